"""Stacks over moto's CloudFormation: made, changed, left as they are, refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from chalicelib.storage.aws.stacks import DeploymentFailed, Stacks
from infra import deploy

_TEMPLATE: dict[str, Any] = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Parameters": {
        "Color": {"Type": "String", "Default": "red"},
        "Size": {"Type": "Number", "Default": 1},
    },
    "Resources": {
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Color"}}},
        "Code": {"Type": "AWS::SQS::Queue", "Properties": {"CodeUri": "./deployment.zip"}},
    },
    "Outputs": {"TopicArn": {"Value": {"Ref": "Topic"}}},
}


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stacks]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield Stacks(look_every_s=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sam.json").write_text(json.dumps(_TEMPLATE))
    (tmp_path / "deployment.zip").write_bytes(b"zip")
    return tmp_path


def parameters(stack: str) -> dict[str, str]:
    (found,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {entry["ParameterKey"]: entry["ParameterValue"] for entry in found["Parameters"]}


def test_a_stack_is_made_by_a_change_and_tells_of_it(stacks: Stacks, folder: Path) -> None:
    lines: list[str] = []
    deployed = stacks.deploy("one", folder, {"Color": "blue"}, report=lines.append)
    assert deployed.changed
    assert parameters("one") == {"Color": "blue", "Size": "1"}
    assert [line.split() for line in lines] == [["CREATE_COMPLETE", "one"]]
    assert len(boto3.client("sns").list_topics()["Topics"]) == 1


def test_a_stack_tells_its_outputs(stacks: Stacks) -> None:
    body = json.dumps(_TEMPLATE)  # moto knows no outputs of what a change set made
    boto3.client("cloudformation").create_stack(StackName="one", TemplateBody=body)
    assert stacks.outputs("one")["TopicArn"].startswith("arn:aws:sns:eu-central-1:")
    assert stacks.outputs("none") == {}


def test_what_is_not_said_again_stays_as_it_was(stacks: Stacks, folder: Path) -> None:
    stacks.deploy("one", folder, {"Color": "blue"})
    changed = {**_TEMPLATE, "Description": "changed"}
    (folder / "sam.json").write_text(json.dumps(changed))
    stacks.deploy("one", folder, {"Size": "7"})
    assert parameters("one") == {"Color": "blue", "Size": "7"}


def test_the_code_lies_under_its_hash_in_a_bucket_that_is_shut(
    stacks: Stacks, folder: Path
) -> None:
    stacks.deploy("one", folder, {})
    s3 = boto3.client("s3")
    (bucket,) = (entry["Name"] for entry in s3.list_buckets()["Buckets"])
    assert bucket == "crashbucket-artifacts-123456789012-eu-central-1"
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    first = {entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert {key.partition(".")[2] for key in first} == {"zip", "json"}
    stacks.deploy("two", folder, {})
    assert {entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]} == first
    body = boto3.client("cloudformation").get_template(StackName="two")["TemplateBody"]
    code = body["Resources"]["Code"]["Properties"]["CodeUri"]  # type: ignore[index]
    assert code["Bucket"] == bucket
    assert code["Key"] in first


def test_a_parameter_that_the_template_does_not_have_is_named(stacks: Stacks, folder: Path) -> None:
    with pytest.raises(DeploymentFailed, match="no parameter Colour: use Color, Size"):
        stacks.deploy("one", folder, {"Colour": "blue"})


def test_what_aws_refuses_is_a_message(
    stacks: Stacks,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(DeploymentFailed, match="NoSuchBucket"):
        stacks.deploy("one", folder, {}, bucket="there-is-none")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert deploy.main(["one", "--from", str(folder)]) == 1
    assert "make deploy: You must specify a region" in capsys.readouterr().err


# --- the command -------------------------------------------------------------------


def test_the_command_takes_parameters_and_tells_what_changed(
    stacks: Stacks, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy.main(["one", "--from", str(folder), "Color=blue", "Size=2"]) == 0
    assert "CREATE_COMPLETE" in capsys.readouterr().out
    assert parameters("one") == {"Color": "blue", "Size": "2"}


@pytest.mark.parametrize("arguments", [["one", "Color"], ["one", "--from", "/nowhere"]])
def test_what_the_command_cannot_do_is_said(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        deploy.main(arguments)
    assert "make deploy: error:" in capsys.readouterr().err
