"""The template of a stack: what it promises about data, names, queues and people told."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from chalicelib import keys
from chalicelib.alerts import delivery
from chalicelib.config import Settings
from chalicelib.storage.schema import INDEXES, NOTIFIED_PREFIXES
from chalicelib.tasks import BATCH
from infra.packaging import chalice_template
from infra.template.functions import FUNCTIONS, environment
from infra.template.parameters import PARAMETERS
from infra.template.stack import NotAsChaliceMakesIt, merged

_PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def of_chalice(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return chalice_template.package(_PROJECT, tmp_path_factory.mktemp("package"))[0]


@pytest.fixture(scope="module")
def template(of_chalice: dict[str, Any]) -> dict[str, Any]:
    copied = json.loads(json.dumps(of_chalice))
    return merged(copied, runtime="python3.12", architecture="arm64", code="./deployment.zip")


@pytest.fixture(scope="module")
def resources(template: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"]
    return found


def properties(resources: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = resources[name]["Properties"]
    return found


def of_type(resources: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: entry["Properties"] for name, entry in resources.items() if entry["Type"] == kind}


def texts(value: Any) -> Iterator[str]:
    """Every string below a value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


# --- the whole ------------------------------------------------------------------


def test_cfn_lint_finds_nothing(template: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "sam.json"
    file.write_text(json.dumps(template))
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_stacks_of_it_can_live_in_one_account(resources: dict[str, Any]) -> None:
    naming = re.compile(
        "^(TableName|BucketName|QueueName|TopicName|RoleName|FunctionName|LogGroupName|AlarmName"
        "|DashboardName|RuleName|PolicyName|Name)$"
    )
    for name, resource in resources.items():
        for key, value in resource["Properties"].items():
            if naming.match(key):
                assert not isinstance(value, str), f"{name} is called {value} in every stack"
    assert not [text for text in texts(resources) if re.search(r"arn:aws|[0-9]{12}", text)]


def test_it_fits_into_what_cloudformation_takes(template: dict[str, Any]) -> None:
    compact = json.dumps(template, separators=(",", ":"))
    assert len(compact) < 1_000_000 / 2  # SAM makes more of it
    assert len(template["Resources"]) < 500 / 2
    assert len(template["Parameters"]) < 200
    assert len(template["Outputs"]) < 200


def test_a_function_that_nobody_described_is_told_of(of_chalice: dict[str, Any]) -> None:
    function = of_chalice["Resources"]["Process"]
    more = {**of_chalice, "Resources": {**of_chalice["Resources"], "Another": function}}
    with pytest.raises(NotAsChaliceMakesIt, match="Another"):
        merged(more, runtime="python3.12", architecture="arm64", code="./x.zip")
    fewer = {name: entry for name, entry in of_chalice["Resources"].items() if name != "Sweep"}
    with pytest.raises(NotAsChaliceMakesIt, match="Sweep"):
        merged(
            {**of_chalice, "Resources": fewer}, runtime="python3.12", architecture="arm64", code=""
        )


# --- data -----------------------------------------------------------------------


def test_the_table_is_the_one_of_the_schema_and_cannot_be_lost(resources: dict[str, Any]) -> None:
    table = properties(resources, "Table")
    assert {
        entry["IndexName"]: [key["AttributeName"] for key in entry["KeySchema"]]
        for entry in table["GlobalSecondaryIndexes"]
    } == {index.name: [index.pk_attribute, index.sk_attribute] for index in INDEXES}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"Enabled": True, "AttributeName": "expires_at"}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionProtectionEnabled"] is True
    assert table["SSESpecification"] == {"SSEEnabled": True}
    for name in ("Table", "Bucket"):
        assert resources[name]["DeletionPolicy"] == "Retain"
        assert resources[name]["UpdateReplacePolicy"] == "Retain"


def test_the_bucket_is_shut_encrypted_and_tells_of_crashes(resources: dict[str, Any]) -> None:
    bucket = properties(resources, "Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]
    (statement,) = properties(resources, "BucketPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Deny", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    told = bucket["NotificationConfiguration"]["QueueConfigurations"]
    prefixes = [entry["Filter"]["S3Key"]["Rules"][0]["Value"] for entry in told]
    assert tuple(prefixes) == NOTIFIED_PREFIXES
    assert "IntakePolicy" in resources["Bucket"]["DependsOn"]
    methods = set(bucket["CorsConfiguration"]["CorsRules"][0]["AllowedMethods"])
    assert {"GET", "PUT", "POST"} <= methods


def test_no_lifecycle_takes_a_report_or_a_symbol_away(resources: dict[str, Any]) -> None:
    rules = properties(resources, "Bucket")["LifecycleConfiguration"]["Rules"]
    expiring = {rule["Prefix"] for rule in rules if "ExpirationInDays" in rule}
    assert expiring == {"dumps/", "symbol-uploads/", "exports/", "downloads/"}
    assert not expiring & {keys.RAW, keys.KEPT, keys.SYMBOLS}
    (whole,) = (rule for rule in rules if "Prefix" not in rule)
    assert whole["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 1


# --- queues -----------------------------------------------------------------------


def test_every_queue_is_encrypted_and_gives_up_to_a_queue_of_its_own(
    resources: dict[str, Any],
) -> None:
    queues = of_type(resources, "AWS::SQS::Queue")
    assert all(queue["SqsManagedSseEnabled"] for queue in queues.values())
    assert {
        name: queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for name, queue in queues.items()
        if "RedrivePolicy" in queue
    } == {"Intake": "IntakeDeadLetters", "Notifications": "NotificationsDeadLetters"}
    fortnight = 14 * 24 * 3600
    assert all(queue["MessageRetentionPeriod"] == fortnight for queue in queues.values())
    kept = int(environment(is_api=False)["CRASHBUCKET_MAX_DELIVERIES"])
    assert queues["Intake"]["RedrivePolicy"]["maxReceiveCount"] == kept


def test_messages_are_hidden_longer_than_a_function_may_take(resources: dict[str, Any]) -> None:
    queues = of_type(resources, "AWS::SQS::Queue")
    functions = of_type(resources, "AWS::Serverless::Function")
    mappings = of_type(resources, "AWS::Lambda::EventSourceMapping")
    assert len(mappings) == len(queues) == 4
    for mapping in mappings.values():
        queue = queues[mapping["EventSourceArn"]["Fn::GetAtt"][0]]
        function = functions[mapping["FunctionName"]["Ref"]]
        assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert int(environment(is_api=False)["CRASHBUCKET_VISIBILITY_S"]) == 360
    intake, told = mappings["IntakeToProcess"], mappings["NotificationsToNotify"]
    assert (intake["BatchSize"], intake["MaximumBatchingWindowInSeconds"]) == (BATCH, 1)
    assert told["BatchSize"] == delivery.BATCH


# --- functions --------------------------------------------------------------------


def test_every_function_has_a_role_a_log_and_traces_of_its_own(resources: dict[str, Any]) -> None:
    functions = of_type(resources, "AWS::Serverless::Function")
    assert set(functions) == {function.name for function in FUNCTIONS}
    roles = {entry["Role"]["Fn::GetAtt"][0] for entry in functions.values()}
    logs = {entry["LoggingConfig"]["LogGroup"]["Ref"] for entry in functions.values()}
    assert len(roles) == len(logs) == len(functions) == 6
    for name in logs:
        assert properties(resources, name)["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    for entry in functions.values():
        assert entry["Tracing"] == {"Fn::If": ["HasTracing", "Active", "PassThrough"]}
        assert (entry["Runtime"], entry["Architectures"]) == ("python3.12", ["arm64"])


def test_functions_are_told_settings_that_there_are() -> None:
    known = {f"CRASHBUCKET_{setting.name.upper()}" for setting in fields(Settings)}
    for is_api in (True, False):
        told = {name for name in environment(is_api=is_api) if name.startswith("CRASHBUCKET_")}
        assert told <= known
    # What is not told is right as it is for every stack, or of no use on AWS.
    assert {name.removeprefix("CRASHBUCKET_").lower() for name in known - told} == {
        *("data", "thresholds", "default_threshold", "allow_delete_all", "export_s", "sign_in_s"),
        *("max_auto_created_apps", "max_body_bytes", "max_dump_bytes", "symbol_cache_bytes"),
        "upload_link_s",
    }


def test_the_api_itself_is_not_told_where_it_is(resources: dict[str, Any]) -> None:
    """API and function would have to be made before each other."""
    base = properties(resources, "APIHandler")["Environment"]["Variables"]["CRASHBUCKET_BASE_URL"]
    assert base == {"Fn::If": ["HasDomain", {"Fn::Sub": "https://${DomainName}"}, ""]}
    assert "RestAPI" in str(properties(resources, "Notify")["Environment"])


# --- API ---------------------------------------------------------------------------


def test_the_gateway_answers_as_the_service_does(resources: dict[str, Any]) -> None:
    api = properties(resources, "RestAPI")
    definition = api["DefinitionBody"]
    assert definition["x-amazon-apigateway-binary-media-types"] == ["*/*"]
    answers = definition["x-amazon-apigateway-gateway-responses"]
    for name, answer in answers.items():
        body = answer["responseTemplates"]["application/json"]
        filled = body.replace("$context.error.messageString", '"told"')
        assert set(json.loads(filled)) == {"message"}, name
    assert "/uploads" in answers["REQUEST_TOO_LARGE"]["responseTemplates"]["application/json"]
    assert answers["THROTTLED"]["statusCode"] == "429"
    assert "gatewayresponse.header.Retry-After" in answers["THROTTLED"]["responseParameters"]
    assert answers["MISSING_AUTHENTICATION_TOKEN"]["statusCode"] == "404"
    assert api["MethodSettings"][0]["ThrottlingRateLimit"] == {"Ref": "RequestsPerSecond"}


# --- watching -------------------------------------------------------------------------


def test_every_alarm_tells_people(resources: dict[str, Any]) -> None:
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")
    assert all(alarm["AlarmActions"] == [{"Ref": "Topic"}] for alarm in alarms.values())
    watched = {alarm["MetricName"] for alarm in alarms.values()}
    assert watched >= {
        *("FailedCrashes", "ApproximateAgeOfOldestMessage", "Errors", "Throttles", "5XXError"),
        *("ApproximateNumberOfMessagesVisible", "UndeliveredNotifications", "Alerts"),
        *("WriteThrottleEvents", "SystemErrors"),
    }
    for function in FUNCTIONS:
        assert f"{function.name}Errors" in alarms
    allowed = properties(resources, "TopicPolicy")["PolicyDocument"]["Statement"][0]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}


def test_the_dashboard_is_json_that_shows_every_alarm(resources: dict[str, Any]) -> None:
    body = json.loads(properties(resources, "Dashboard")["DashboardBody"]["Fn::Sub"][0])
    shown, *charts = body["widgets"]
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")
    assert shown["properties"]["alarms"] == [f"${{{name}.Arn}}" for name in alarms]
    titles = [chart["properties"]["title"] for chart in charts]
    assert len(titles) == len(set(titles)) >= 12


def test_a_restored_table_takes_the_place_of_the_stacks_own_everywhere(
    resources: dict[str, Any], template: dict[str, Any]
) -> None:
    used = {"Fn::If": ["HasRestoredTable", {"Ref": "RestoredTable"}, {"Ref": "Table"}]}
    assert template["Outputs"]["TableName"]["Value"] == used
    for function in of_type(resources, "AWS::Serverless::Function").values():
        assert function["Environment"]["Variables"]["CRASHBUCKET_TABLE"] == used
    roles = json.dumps(list(of_type(resources, "AWS::IAM::Role").values()))
    assert roles.count('{"Fn::GetAtt": ["Table", "Arn"]}') == roles.count("table/${RestoredTable}")


def test_the_outputs_are_those_that_the_command_line_goes_by(template: dict[str, Any]) -> None:
    assert set(template["Outputs"]) == {
        *("ApiUrl", "TableName", "BucketName", "QueueUrl", "DeadLetterQueueUrl"),
        *("NotificationsQueueUrl", "NotificationsDeadLetterQueueUrl", "TopicArn", "SecretName"),
        *("DashboardName", "DomainTarget", "ApiFunction", "ProcessFunction", "BuryFunction"),
        *("NotifyFunction", "DetectFunction", "SweepFunction"),
    }


def test_a_parameter_says_what_it_is_and_may_be_left_out(template: dict[str, Any]) -> None:
    for name, parameter in template["Parameters"].items():
        assert len(parameter["Description"]) > 20, name
        assert "Default" in parameter, name
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    listed = [name for group in groups for name in group["Parameters"]]
    assert sorted(listed) == sorted(template["Parameters"])


def test_every_parameter_has_its_line_in_the_page() -> None:
    lines = (_PROJECT / "docs" / "aws.md").read_text().splitlines()
    for parameter in PARAMETERS:
        default = "(empty)" if parameter.default == "" else f"`{parameter.default}`"
        assert f"| `{parameter.name}` | {default} | {parameter.description} |" in lines
