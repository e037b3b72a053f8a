"""What the template lets a function do, held against the requests that its code makes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from infra.template.functions import Function

_TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
_FED = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
_S3_ACTIONS = {"HeadObject": "GetObject", "ListObjectsV2": "ListBucket"}
_SQS_ACTIONS = {"DeleteMessageBatch": "DeleteMessage", "SendMessageBatch": "SendMessage"}


@dataclass(frozen=True)
class Asked:
    """One thing that a request asks for, in IAM's words."""

    action: str
    resource: str


@dataclass(frozen=True)
class Grant:
    """One action on one resource (a pattern) that a function may do."""

    action: str
    resource: str

    def covers(self, asked: Asked) -> bool:
        return self.action == asked.action and fnmatchcase(asked.resource, self.resource)


def grants(function: Function, arns: Mapping[str, str], *, with_fed: bool = True) -> list[Grant]:
    """All that the function may do; `arns` is what the template's references come to.

    Without `with_fed` not what Lambda does in its name with the queues that feed it.
    """
    return [
        Grant(action, resource)
        for statement in function.statements
        if with_fed or set(statement["Action"]) != _FED
        for action in statement["Action"]
        for resource in _resolved(statement["Resource"], arns)
    ]


def _resolved(value: Any, arns: Mapping[str, str]) -> list[str]:
    match value:
        case list():
            return [resource for entry in value for resource in _resolved(entry, arns)]
        case {"Ref": name} | {"Fn::GetAtt": [name, "Arn" | "Id"]}:
            return [arns[name]]
        case {"Fn::Sub": [text, values]}:
            inner = {name: _resolved(part, arns)[0] for name, part in values.items()}
            return [_substituted(text, inner)]
        case {"Fn::Sub": str(text)}:
            return [_substituted(text, {f"{name}.Arn": arn for name, arn in arns.items()})]
        case {"Fn::If": [_, _, otherwise]}:  # nothing was chosen
            return _resolved(otherwise, arns)
        case str():
            return [value]
    raise AssertionError(f"not known here: {value}")


def _substituted(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\{([^}]+)\}", lambda found: values[found[1]], text)


@dataclass
class Watch:
    """Notes what boto3's clients are asked for while a function is at work."""

    account: str
    at_work: str | None = None
    asked: dict[str, set[Asked]] = field(default_factory=dict)

    def clients(self, *clients: Any) -> None:
        """Look at the requests of these clients, and at the links that they sign."""
        for client in clients:
            client.meta.events.register("provide-client-params.*.*", self._note)
            client.meta.events.register("after-call.s3.*", self._after)

    @contextmanager
    def __call__(self, function: Function) -> Iterator[None]:
        self.at_work = function.name
        try:
            yield
        finally:
            self.at_work = None

    def note(self, *asked: Asked) -> None:
        if self.at_work is not None:
            self.asked.setdefault(self.at_work, set()).update(asked)

    def _after(self, context: Mapping[str, Any], http_response: Any, **_: Any) -> None:
        """S3 says that an object is not there only to who may list its bucket."""
        if http_response.status_code == 404:
            self.note(Asked("s3:ListBucket", f"arn:aws:s3:::{context['asked_bucket']}"))

    def _note(
        self, params: Mapping[str, Any], model: Any, context: dict[str, Any], **_: Any
    ) -> None:
        context["asked_bucket"] = params.get("Bucket")
        service = model.service_model.service_name
        self.note(*getattr(self, f"_{service}")(model.name, params))

    def _s3(self, operation: str, params: Mapping[str, Any]) -> Iterator[Asked]:
        if operation == "CreateBucket":  # what boto3 takes for the endpoint of a form that it signs
            return
        action = f"s3:{_S3_ACTIONS.get(operation, operation)}"
        inside = f"/{params['Key']}" if "Key" in params else ""
        resource = f"arn:aws:s3:::{params['Bucket']}{inside}"
        yield Asked(action, resource)
        if "IfMatch" in params:  # S3's user guide: a condition on an ETag takes this right too
            yield Asked("s3:GetObject", resource)

    def _dynamodb(self, operation: str, params: Mapping[str, Any]) -> Iterator[Asked]:
        if operation == "TransactWriteItems":
            for part in params["TransactItems"]:
                for kind, request in part.items():
                    yield self._of_table(_TRANSACTION[kind], request["TableName"])
        elif operation == "BatchGetItem":
            for name in params["RequestItems"]:
                yield self._of_table(operation, name)
        else:
            name = params["TableName"]
            index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
            yield self._of_table(operation, name + index)

    def _of_table(self, action: str, name: str) -> Asked:
        arn = f"arn:aws:dynamodb:us-east-1:{self.account}:table/{name}"
        return Asked(f"dynamodb:{action}", arn)

    def _sqs(self, operation: str, params: Mapping[str, Any]) -> Iterator[Asked]:
        queue = params["QueueUrl"].rpartition("/")[2]
        action = f"sqs:{_SQS_ACTIONS.get(operation, operation)}"
        yield Asked(action, f"arn:aws:sqs:us-east-1:{self.account}:{queue}")

    def _sns(self, operation: str, params: Mapping[str, Any]) -> Iterator[Asked]:
        yield Asked(f"sns:{operation}", params["TopicArn"])

    def _secretsmanager(self, operation: str, params: Mapping[str, Any]) -> Iterator[Asked]:
        yield Asked(f"secretsmanager:{operation}", params["SecretId"])
