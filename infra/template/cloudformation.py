"""CloudFormation's words as Python values: resources, parameters, outputs and references.

Source: AWS CloudFormation User Guide, "Template anatomy" and "Intrinsic function reference".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

ACCOUNT: Json = {"Ref": "AWS::AccountId"}
NO_VALUE: Json = {"Ref": "AWS::NoValue"}
REGION: Json = {"Ref": "AWS::Region"}
STACK_NAME: Json = {"Ref": "AWS::StackName"}


def sub(text: str, values: Mapping[str, Any] | None = None) -> Json:
    """`Fn::Sub`: `${Name}` is a parameter, a resource, or one of the values."""
    return {"Fn::Sub": [text, dict(values)] if values else text}


def either(condition: str, then: Any, otherwise: Any) -> Json:
    """`Fn::If`."""
    return {"Fn::If": [condition, then, otherwise]}


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource; `kept` ones outlive their stack and their replacement."""

    name: str
    type: str
    properties: Json
    condition: str | None = None
    depends_on: tuple[str, ...] = ()
    kept: bool = False
    metadata: Json | None = None

    @property
    def ref(self) -> Json:
        return {"Ref": self.name}

    @property
    def arn(self) -> Json:
        return self.attribute("Arn")

    def attribute(self, name: str) -> Json:
        return {"Fn::GetAtt": [self.name, name]}

    def described(self) -> Json:
        """The resource as the template has it."""
        described: Json = {"Type": self.type, "Properties": self.properties}
        if self.condition is not None:
            described["Condition"] = self.condition
        if self.depends_on:
            described["DependsOn"] = list(self.depends_on)
        if self.kept:
            described["DeletionPolicy"] = described["UpdateReplacePolicy"] = "Retain"
        if self.metadata is not None:
            described["Metadata"] = self.metadata
        return described


@dataclass(frozen=True, slots=True)
class Parameter:
    """What an owner may choose when the stack is made or updated.

    `limits` are CloudFormation's own properties: AllowedValues, MinValue, AllowedPattern, ...
    """

    name: str
    group: str
    description: str
    default: str | int
    type: str = "String"
    limits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ref(self) -> Json:
        return {"Ref": self.name}

    def described(self) -> Json:
        return {
            "Type": self.type,
            "Description": self.description,
            "Default": self.default,
            **self.limits,
        }

    def chosen(self) -> Json:
        """The condition that its value is not the default, which stands for "none"."""
        return {"Fn::Not": [{"Fn::Equals": [self.ref, self.default]}]}


def by_name(resources: Iterable[Resource]) -> dict[str, Json]:
    """The resources as the template's `Resources`; a name taken twice is an error."""
    described: dict[str, Json] = {}
    for resource in resources:
        if resource.name in described:
            raise ValueError(f"two resources are called {resource.name}")
        described[resource.name] = resource.described()
    return described


def grouped(parameters: Iterable[Parameter]) -> Json:
    """`AWS::CloudFormation::Interface`: the parameters in groups, as the console shows them."""
    groups: dict[str, list[str]] = {}
    for parameter in parameters:
        groups.setdefault(parameter.group, []).append(parameter.name)
    return {
        "ParameterGroups": [
            {"Label": {"default": label}, "Parameters": names} for label, names in groups.items()
        ]
    }
