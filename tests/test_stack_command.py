"""The `crashbucket` command on a deployed stack, of which moto has outputs, functions and store."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from chalicelib import bootstrap, importing
from chalicelib.bootstrap import Services
from chalicelib.chosen_store import STACK_VARIABLE
from chalicelib.cli import main
from chalicelib.storage.aws import stack_outputs
from chalicelib.storage.aws.store import create_store
from chalicelib.worker import Worker
from tests.crashes import ANDROID_EXAMPLE
from tests.formats.minidump.builder import MinidumpBuilder

STACK = "crashes-eu"
REGION = "eu-central-1"
BUNDLE = "de.codenauts.hockeyapp"
_SETTINGS = {"CRASHBUCKET_VISIBILITY_S": "360", "CRASHBUCKET_THRESHOLDS": "3.0,4.0,5.0"}
_ASSUMED_BY_LAMBDA = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


class Stack:
    """Runs the command in this process; `work` is what the stack's functions would do."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        status = 0
        try:
            main([*arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = self._capsys.readouterr()
        return status, out, err

    def json(self, *arguments: str, status: int = 0) -> Any:
        ended, out, err = self("--stack", STACK, "--region", REGION, *arguments, "--json")
        assert (ended, err) == (status, "")
        return json.loads(out)

    def services(self) -> Services:
        return bootstrap.connect(stack_outputs.settings_of(STACK, region=REGION))

    def work(self) -> None:
        Worker(self.services()).drain()


@pytest.fixture(scope="module")
def account() -> Iterator[None]:
    """An account with the stack, and with another that is none of ours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_CONFIG_FILE", "/nowhere")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.delenv(name, raising=False)
        config = {"core": {"mock_credentials": False}, "lambda": {"use_docker": False}}
        with mock_aws(config=config):
            boto3.setup_default_session(region_name=REGION)
            _create_stack()
            yield
    boto3.DEFAULT_SESSION = None


@pytest.fixture
def stack(
    account: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Stack:
    monkeypatch.delenv(STACK_VARIABLE, raising=False)
    return Stack(capsys)


def _create_stack() -> None:
    create_store(STACK)
    sqs = boto3.client("sqs")
    outputs = {
        "ApiUrl": "https://abc.execute-api.eu-central-1.amazonaws.com/api",
        "TableName": STACK,
        "BucketName": STACK,
        "QueueUrl": sqs.get_queue_url(QueueName=STACK)["QueueUrl"],
        "DeadLetterQueueUrl": sqs.get_queue_url(QueueName=f"{STACK}-dead")["QueueUrl"],
    }
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": _ASSUMED_BY_LAMBDA},
    }
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Code": {"ZipFile": "pass"},
            "Handler": "app.process",
            "Runtime": "python3.12",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Environment": {"Variables": _SETTINGS},
        },
    }
    template = {
        "Resources": {"Role": role, "Process": function},
        "Outputs": {
            **{name: {"Value": value} for name, value in outputs.items()},
            "ProcessFunction": {"Value": {"Ref": "Process"}},
        },
    }
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(template))
    other = {"Resources": {"Role": role}, "Outputs": {"Url": {"Value": "https://example.com"}}}
    cloudformation.create_stack(StackName="other", TemplateBody=json.dumps(other))


# --- what it acts on -------------------------------------------------------


def test_the_settings_are_those_of_the_stacks_functions_and_outputs(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRASHBUCKET_THRESHOLDS", "1.0,4.0")
    monkeypatch.setenv("CRASHBUCKET_TABLE", "mine")
    settings = stack_outputs.settings_of(STACK, region=REGION)
    assert settings.store == "aws"
    assert (settings.table, settings.bucket) == (STACK, STACK)
    assert settings.queue_url.endswith(f"/{STACK}")
    assert settings.dead_letter_queue_url.endswith(f"/{STACK}-dead")
    assert settings.base_url.endswith(".amazonaws.com/api")
    assert settings.visibility_s == 360
    assert settings.all_thresholds == ("3.0", "4.0", "5.0")


def test_the_stack_is_named_before_the_command_on_it_or_in_the_environment(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app_id = stack.json("app", "create", "Named", "--bundle-id", "com.example.named")["app_id"]
    here = ("--stack", STACK, "--region", REGION)
    for arguments in (
        (*here, "app", "list"),
        ("app", "list", *here),
        ("app", "list", "--json", *here),
        ("--region", REGION, "--stack", "another", "app", "list", "--stack", STACK),
    ):
        status, out, err = stack(*arguments)
        assert (status, err) == (0, "")
        assert app_id in out
    monkeypatch.setenv(STACK_VARIABLE, STACK)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    assert app_id in stack("app", "list")[1]
    (tmp_path / "data").mkdir()
    assert stack("app", "list", "--data", str(tmp_path / "data")) == (0, "", "")
    assert stack("--data", str(tmp_path / "data"), "app", "list") == (0, "", "")


# --- the commands ----------------------------------------------------------


def test_what_is_made_on_a_stack_is_what_its_functions_find(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_id = stack.json("app", "create", "Made", "--bundle-id", "com.example.made")["app_id"]
    token = stack.json("token", "create", "--app", app_id, "--scope", "read")["token"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("open sesame\n"))
    stack.json("user", "create", "jo@example.com", "--app", app_id)
    services = stack.services()
    assert services.accounts.authenticate(token).app_ids == {app_id}
    assert services.users.authenticate("jo@example.com", "open sesame").app_ids == [app_id]
    assert [user["email"] for user in stack.json("user", "list")["users"]] == ["jo@example.com"]


def test_import_waits_until_the_stacks_functions_are_done(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_id = stack.json("app", "create", "Import", "--bundle-id", BUNDLE)["app_id"]
    looks = []

    def let_the_stack_work(seconds: float) -> None:
        looks.append(seconds)
        stack.work()

    monkeypatch.setattr(importing.time, "sleep", let_the_stack_work)
    (tmp_path / "a.log").write_text(ANDROID_EXAMPLE)
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)))
    tally = stack.json("import", str(tmp_path), "--app", app_id, status=1)
    assert tally["kinds"] == {"hockeyapp_log": {"stored": 1}, "unknown": {"dead": 1}}
    assert looks == [importing._LOOK_EVERY_S]
    (letter,) = stack.json("deadletters", "list")["dead_letters"]
    replayed = stack.json("deadletters", "replay", str(letter["report_id"]), status=1)
    assert replayed == {"replayed": 0, "dead": [letter["report_id"]]}
    assert stack.json("recount") == {"reports": 1, "differences": []}
    assert stack.json("rebucket")["moved"] == 0
    assert stack.json("reprocess", "--app", app_id)["reports"] == 1
    (report,) = stack.services().crashes.of_app(app_id)
    stacks = stack.json("group", "stacks", app_id, str(report.group_id))["stacks"]
    assert [entry["crashes"] for entry in stacks] == [1]


def test_import_leaves_to_the_queue_what_nobody_processes(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_id = stack.json("app", "create", "Off", "--bundle-id", "com.example.off")["app_id"]
    (tmp_path / "a.log").write_text(ANDROID_EXAMPLE)
    tally = stack.json("import", str(tmp_path / "a.log"), "--app", app_id, "--no-wait")
    assert tally["kinds"] == {"hockeyapp_log": {"waiting": 1}}
    monkeypatch.setattr(importing, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(importing.time, "sleep", lambda _: None)
    tally = stack.json("import", str(tmp_path / "a.log"), "--app", app_id)
    assert tally["kinds"] == {"hockeyapp_log": {"waiting": 1}}
    assert stack.json("recount", "--app", app_id)["reports"] == 0
    stack.work()
    assert stack.json("recount", "--app", app_id)["reports"] == 2


def test_symbols_come_to_a_stack_and_a_dumps_missing_ones_are_told(
    stack: Stack, tmp_path: Path
) -> None:
    app_id = stack.json("app", "create", "Native", "--bundle-id", "com.example.native")["app_id"]
    file = tmp_path / "shop.sym"
    file.write_text(
        "MODULE Linux x86_64 0123456789ABCDEF0123456789ABCDEF0 shop\nFUNC 1000 10 0 main\n"
    )
    added = stack.json("symbols", "upload", str(file), "--app", app_id)["added"]
    listed = stack.json("symbols", "list", "--app", app_id)["symbols"]
    assert [entry["id"] for entry in listed] == [added[0]["id"]]
    (tmp_path / "a.dmp").write_bytes(
        MinidumpBuilder(os="linux", cpu="amd64").thread(1, {"rip": 0x1000}).build()
    )
    stack.json("import", str(tmp_path / "a.dmp"), "--app", app_id, "--no-wait")
    stack.work()
    assert stack.json("symbols", "missing", "--app", app_id) == {"missing": []}
    assert stack.json("symbols", "delete", str(added[0]["id"]))["deleted"]["id"] == added[0]["id"]


# --- failures --------------------------------------------------------------


def _one_line(told: tuple[int, str, str]) -> str:
    status, out, err = told
    assert (status, out) == (2, "")
    assert err.startswith("crashbucket: ")
    assert err.count("\n") == 1
    return err


def test_no_credentials_are_told_in_one_line(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    told = _one_line(stack("--stack", STACK, "--region", REGION, "app", "list"))
    assert "there are no AWS credentials: use --profile" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--stack", "gone", "--region", REGION, "app", "list"], "no stack 'gone' in eu-central-1"),
        (["--stack", "other", "--region", REGION, "app", "list"], "is none of Crashbucket"),
        (["--stack", STACK, "--region", "us-west-2", "app", "list"], "no stack 'crashes-eu' in us"),
        (["--stack", STACK, "app", "list"], "no AWS region is named: use --region"),
        (["app", "list", "--stack", STACK, "--profile", "jo"], "profile (jo) could not be found"),
        (["app", "list", "--stack", STACK, "--data", "here"], "use --data or --stack"),
        (["--stack", STACK, "serve"], "for a data folder, not for a stack"),
    ],
)
def test_what_a_person_can_mend_is_one_line_and_exit_status_2(
    stack: Stack, arguments: list[str], told: str
) -> None:
    assert told in _one_line(stack(*arguments))


def test_a_stack_that_was_rolled_back_is_told_as_such(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloudformation = boto3.Session(region_name=REGION).client("cloudformation")
    answer = {"Stacks": [{"StackName": STACK, "StackStatus": "ROLLBACK_COMPLETE"}]}
    monkeypatch.setattr(cloudformation, "describe_stacks", lambda **_: answer)
    monkeypatch.setattr(boto3, "client", lambda _: cloudformation)
    told = _one_line(stack("--stack", STACK, "--region", REGION, "app", "list"))
    assert "is in ROLLBACK_COMPLETE" in told


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("ExpiredTokenException", "AWS does not take the credentials (ExpiredTokenException)"),
        ("InvalidClientTokenId", "AWS does not take the credentials (InvalidClientTokenId)"),
        ("AccessDenied", "AWS refused DescribeStacks: AccessDenied: not for you"),
    ],
)
def test_what_aws_refuses_says_what_was_asked(code: str, told: str) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "not for you"}}, "DescribeStacks")
    assert (stack_outputs.failure(error) or "").startswith(told)


def test_a_region_that_does_not_answer_is_told_and_a_fault_of_ours_is_not_hidden() -> None:
    away = EndpointConnectionError(endpoint_url="https://cloudformation.eu-west-9.amazonaws.com")
    assert "is the region right" in (stack_outputs.failure(away) or "")
    assert stack_outputs.failure(KeyError("fault")) is None
