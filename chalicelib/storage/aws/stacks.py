"""Make and update a stack on AWS: its artifacts, its change set, what it says."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from chalicelib.errors import CrashbucketError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef
    from mypy_boto3_s3 import S3Client

_DEFAULT_REGION = "us-east-1"  # the one whose buckets are made without naming it
_CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND")  # roles; SAM's transform
_LOOK_EVERY_S = 5
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed", "no changes")
_STUCK = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"})


class DeploymentFailed(CrashbucketError):
    """CloudFormation did not do it; the message says why."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A stack after its deployment; `changed` is False where it was so already."""

    outputs: Mapping[str, str]
    changed: bool


class Stacks:
    """The stacks of one account and region, as boto3's environment names them."""

    def __init__(self, look_every_s: float = _LOOK_EVERY_S) -> None:
        try:
            self._cloudformation: CloudFormationClient = boto3.client("cloudformation")
            self._s3: S3Client = boto3.client("s3")
        except BotoCoreError as error:  # no region, say
            raise DeploymentFailed(str(error)) from error
        self._look_every_s = look_every_s

    def artifact_bucket(self) -> str:
        """The account's bucket for what is deployed in the region, made if it is not there.

        Nothing in it goes by itself: CloudFormation rolls back to an earlier zip by its key.
        """
        account = boto3.client("sts").get_caller_identity()["Account"]
        region = self._s3.meta.region_name
        name = f"crashbucket-artifacts-{account}-{region}"
        try:
            self._s3.head_bucket(Bucket=name, ExpectedBucketOwner=account)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
                raise
            self._make_bucket(name, region)
        return name

    def upload(self, bucket: str, content: bytes, suffix: str) -> str:
        """Put the artifact under its hash, unless it is there; its key."""
        key = f"{hashlib.sha256(content).hexdigest()}{suffix}"
        try:
            self._s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"404", "NoSuchKey"}:
                raise
            self._s3.put_object(Bucket=bucket, Key=key, Body=content)
        return key

    def deploy(
        self,
        stack: str,
        folder: Path,
        parameters: Mapping[str, str],
        bucket: str | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> Deployed:
        """Make the stack be what `make package` put into the folder.

        Parameters that are not named keep the value that the stack has. `report` gets
        a line for each resource that changed. Raises `DeploymentFailed`.
        """
        try:
            return self._deploy(stack, folder, parameters, bucket, report)
        except (BotoCoreError, ClientError) as error:
            raise DeploymentFailed(str(error)) from error

    def _deploy(
        self,
        stack: str,
        folder: Path,
        parameters: Mapping[str, str],
        bucket: str | None,
        report: Callable[[str], None],
    ) -> Deployed:
        artifacts = bucket or self.artifact_bucket()
        template = json.loads((folder / "sam.json").read_text())
        unknown = sorted(set(parameters) - set(template["Parameters"]))
        if unknown:
            known = ", ".join(sorted(template["Parameters"]))
            raise DeploymentFailed(f"the template has no parameter {unknown[0]}: use {known}")
        _point_at(template, folder, lambda path: self._uploaded(artifacts, path))
        body = json.dumps(template, separators=(",", ":")).encode()
        template_key = self.upload(artifacts, body, ".json")
        return self._change(
            stack,
            f"{self._s3.meta.endpoint_url}/{artifacts}/{template_key}",
            template["Parameters"],
            parameters,
            report,
        )

    def _uploaded(self, bucket: str, path: Path) -> dict[str, str]:
        return {"Bucket": bucket, "Key": self.upload(bucket, path.read_bytes(), path.suffix)}

    def _change(
        self,
        stack: str,
        template_url: str,
        declared: Mapping[str, Any],
        chosen: Mapping[str, str],
        report: Callable[[str], None],
    ) -> Deployed:
        present = self._described(stack)
        if present is not None and present["StackStatus"] in _STUCK:
            told = (
                f"stack {stack} is {present['StackStatus']}, the end of a failed first deployment"
            )
            raise DeploymentFailed(f"{told}: delete it, then deploy again")
        is_new = present is None or present["StackStatus"] == "REVIEW_IN_PROGRESS"
        had = {entry["ParameterKey"] for entry in (present or {}).get("Parameters", ())}
        values: list[ParameterTypeDef] = [
            {"ParameterKey": name, "ParameterValue": chosen[name]}
            if name in chosen
            else {"ParameterKey": name, "UsePreviousValue": True}
            for name in declared
            if name in chosen or (name in had and not is_new)
        ]
        change = self._cloudformation.create_change_set(
            StackName=stack,
            ChangeSetName=f"deployment-{time.time_ns()}",
            ChangeSetType="CREATE" if is_new else "UPDATE",
            TemplateURL=template_url,
            Parameters=values,
            Capabilities=list(_CAPABILITIES),  # type: ignore[arg-type]
        )["Id"]
        if not self._is_ready(stack, change):
            return Deployed(self.outputs(stack), changed=False)
        past = {event["EventId"] for event in self._events(stack)}
        self._cloudformation.execute_change_set(StackName=stack, ChangeSetName=change)
        self._follow(stack, past, report)
        return Deployed(self.outputs(stack), changed=True)

    def _is_ready(self, stack: str, change: str) -> bool:
        """Wait for the change set; False when it would change nothing."""
        waiter = self._cloudformation.get_waiter("change_set_create_complete")
        try:
            waiter.wait(
                StackName=stack,
                ChangeSetName=change,
                WaiterConfig={"Delay": max(1, int(self._look_every_s)), "MaxAttempts": 360},
            )
        except WaiterError as error:
            told = str(error.last_response.get("StatusReason", error))
            if any(words in told for words in _NO_CHANGES):
                self._cloudformation.delete_change_set(StackName=stack, ChangeSetName=change)
                return False
            raise DeploymentFailed(f"the change was refused: {told}") from error
        return True

    def _follow(self, stack: str, seen: set[str], report: Callable[[str], None]) -> None:
        """Wait for the end of the change, and tell of each resource, but not of events `seen`."""
        failures: list[str] = []
        while True:
            present = self._described(stack)
            if present is None:
                raise DeploymentFailed(f"stack {stack} is gone")
            fresh = takewhile(lambda event: event["EventId"] not in seen, self._events(stack))
            for event in reversed(list(fresh)):
                seen.add(event["EventId"])
                status = event.get("ResourceStatus", "")
                if status.endswith("_IN_PROGRESS"):
                    continue
                reason = event.get("ResourceStatusReason", "")
                line = f"{status:<24} {event.get('LogicalResourceId', '')} {reason}".rstrip()
                report(line)
                if status.endswith("_FAILED"):
                    failures.append(line)
            status = present["StackStatus"]
            if not status.endswith("_IN_PROGRESS"):
                if status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
                    return
                first = f": {failures[0]}" if failures else ""
                raise DeploymentFailed(f"stack {stack} is {status}{first}")
            time.sleep(self._look_every_s)

    def outputs(self, stack: str) -> Mapping[str, str]:
        """What the stack tells of itself, by name."""
        present = self._described(stack) or {}
        return {entry["OutputKey"]: entry["OutputValue"] for entry in present.get("Outputs", ())}

    def _described(self, stack: str) -> Mapping[str, Any] | None:
        try:
            (found,) = self._cloudformation.describe_stacks(StackName=stack)["Stacks"]
        except ClientError as error:
            told = error.response["Error"]
            if told["Code"] == "ValidationError" and "does not exist" in told.get("Message", ""):
                return None
            raise
        return dict(found)

    def _events(self, stack: str) -> Iterator[Mapping[str, Any]]:
        """What happened to the stack, newest first."""
        pages = self._cloudformation.get_paginator("describe_stack_events")
        for page in pages.paginate(StackName=stack):
            yield from map(dict, page["StackEvents"])

    def _make_bucket(self, name: str, region: str) -> None:
        if region == _DEFAULT_REGION:
            self._s3.create_bucket(Bucket=name)
        else:
            self._s3.create_bucket(
                Bucket=name,
                CreateBucketConfiguration={"LocationConstraint": region},  # type: ignore[typeddict-item]
            )
        self._s3.put_public_access_block(
            Bucket=name,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
        )


def _point_at(
    template: dict[str, Any], folder: Path, uploaded: Callable[[Path], dict[str, str]]
) -> None:
    """Put where the code was uploaded in the place of its path beside the template."""
    places: dict[str, dict[str, str]] = {}
    for resource in template["Resources"].values():
        code = resource.get("Properties", {}).get("CodeUri")
        if isinstance(code, str):
            if code not in places:
                places[code] = uploaded(folder / code)
            resource["Properties"]["CodeUri"] = places[code]
