"""The whole template: what Chalice makes of the app, and everything around it."""

from __future__ import annotations

from typing import Any

from infra.template.alarms import ALARMS
from infra.template.api import (
    API_RESOURCES,
    REST_API,
    gateway_responses,
    settings,
)
from infra.template.bucket import BUCKET, BUCKET_POLICY
from infra.template.cloudformation import Json, Resource, by_name, grouped
from infra.template.dashboard import DASHBOARD
from infra.template.functions import FUNCTIONS
from infra.template.outputs import outputs
from infra.template.parameters import CONDITIONS, PARAMETERS, RULES
from infra.template.queues import QUEUES
from infra.template.table import TABLE
from infra.template.topic import SECRET, SUBSCRIPTION, TOPIC, TOPIC_POLICY
from infra.template.triggers import TRIGGERS

_INVOKE = "APIHandlerInvokePermission"


class NotAsChaliceMakesIt(Exception):
    """Chalice's template lacks something that this one builds on."""


def resources() -> list[Resource]:
    """Everything that is not made by Chalice."""
    return [
        TABLE,
        *QUEUES,
        BUCKET,
        BUCKET_POLICY,
        TOPIC,
        TOPIC_POLICY,
        SUBSCRIPTION,
        SECRET,
        *(function.logs for function in FUNCTIONS),
        *(function.role for function in FUNCTIONS),
        *TRIGGERS,
        *API_RESOURCES,
        *ALARMS,
        DASHBOARD,
    ]


def merged(chalice: Json, *, runtime: str, architecture: str, code: str) -> Json:
    """Chalice's template (`chalice package`) with all the rest.

    `code` is the CodeUri of every function: the path of the zip beside the
    template, which `aws cloudformation package` and `make deploy` upload.
    Raises `NotAsChaliceMakesIt` for a template without our functions.
    """
    made: dict[str, Any] = chalice["Resources"]
    names = {function.name for function in FUNCTIONS}
    unknown = sorted(set(made) - names - {REST_API, _INVOKE})
    if unknown:
        raise NotAsChaliceMakesIt(f"{unknown[0]}: it is not in infra/template")
    handlers = {name: _function(made, name) for name in sorted(names)}
    for function in FUNCTIONS:
        handlers[function.name]["Properties"] = {
            "Handler": handlers[function.name]["Properties"]["Handler"],
            "Runtime": runtime,
            "Architectures": [architecture],
            "CodeUri": code,
            **function.properties(),
        }
    api = made[REST_API]
    definition = api["Properties"]["DefinitionBody"]
    definition["x-amazon-apigateway-gateway-responses"] = gateway_responses()
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Description": "Crashbucket: takes, groups and counts crash reports",
        "Metadata": {"AWS::CloudFormation::Interface": grouped(PARAMETERS)},
        "Parameters": {parameter.name: parameter.described() for parameter in PARAMETERS},
        "Rules": RULES,
        "Conditions": dict(CONDITIONS),
        "Resources": {
            **by_name(resources()),
            **handlers,
            _INVOKE: made[_INVOKE],
            REST_API: {
                **api,
                "Properties": {"DefinitionBody": definition, **settings()},
            },
        },
        "Outputs": outputs(),
    }


def _function(made: dict[str, Any], name: str) -> Json:
    found = made.get(name)
    if found is None:
        raise NotAsChaliceMakesIt(f"app.py registers no function {name}")
    return {"Type": found["Type"], "Properties": found["Properties"]}
