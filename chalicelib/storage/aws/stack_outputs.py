"""A deployed stack as its settings: what its CloudFormation outputs and its functions say."""

from __future__ import annotations

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)

from chalicelib.config import Settings
from chalicelib.errors import CrashbucketError

_FUNCTION = "ProcessFunction"  # the output that names a function with every setting
_REQUIRED = {
    "TableName": "CRASHBUCKET_TABLE",
    "BucketName": "CRASHBUCKET_BUCKET",
    "QueueUrl": "CRASHBUCKET_QUEUE_URL",
    "DeadLetterQueueUrl": "CRASHBUCKET_DEAD_LETTER_QUEUE_URL",
}
_VARIABLES = {
    **_REQUIRED,
    "NotificationsQueueUrl": "CRASHBUCKET_NOTIFICATIONS_URL",
    "NotificationsDeadLetterQueueUrl": "CRASHBUCKET_NOTIFICATIONS_DEAD_LETTER_URL",
    "TopicArn": "CRASHBUCKET_TOPIC_ARN",
    "SecretName": "CRASHBUCKET_SECRET_NAME",
    "ApiUrl": "CRASHBUCKET_BASE_URL",
}
_CREDENTIALS_CODES = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_GIVE_CREDENTIALS = "use --profile, or the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


class StackUnusable(CrashbucketError):
    """A stack that cannot be worked on, with what to do about it."""


def settings_of(stack: str, *, region: str | None = None, profile: str | None = None) -> Settings:
    """The settings that the stack's functions run with, for this process to do as they do.

    What this process has in its own environment counts for nothing: buckets
    that were made by other thresholds would be of another service. boto3's
    default session is of that region and profile from then on.

    Raises `StackUnusable`, and botocore's errors (see `failure`).
    """
    boto3.setup_default_session(region_name=region, profile_name=profile)
    outputs = _outputs(stack)
    missing = [name for name in (*_REQUIRED, _FUNCTION) if name not in outputs]
    if missing:
        told = f"stack {stack!r} is none of Crashbucket: it has no output {missing[0]}"
        raise StackUnusable(told)
    environment = _environment(outputs[_FUNCTION])
    environment |= {
        variable: outputs[name] for name, variable in _VARIABLES.items() if name in outputs
    }
    return Settings.from_environment(environment | {"CRASHBUCKET_STORE": "aws"})


def failure(error: Exception) -> str | None:
    """What a person can do about a failure of AWS; None where it is no such failure."""
    match error:
        case ProfileNotFound():
            return f"{error}: see `aws configure list-profiles`"
        case NoCredentialsError():
            return f"there are no AWS credentials: {_GIVE_CREDENTIALS}"
        case NoRegionError():
            return "no AWS region is named: use --region, or the variable AWS_REGION"
        case EndpointConnectionError():
            return f"{error}: is the region right, and the network there?"
        case ClientError():
            told = error.response["Error"]
            if told["Code"] in _CREDENTIALS_CODES:
                return f"AWS does not take the credentials ({told['Code']}): {_GIVE_CREDENTIALS}"
            return f"AWS refused {error.operation_name}: {told['Code']}: {told.get('Message', '')}"
        case BotoCoreError():
            return str(error)
    return None


def _outputs(stack: str) -> dict[str, str]:
    cloudformation = boto3.client("cloudformation")
    try:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        told = error.response["Error"]
        if told["Code"] == "ValidationError" and "does not exist" in told.get("Message", ""):
            where = f"no stack {stack!r} in {cloudformation.meta.region_name}"
            raise StackUnusable(f"there is {where}: is it another --region or account?") from None
        raise
    status = found["StackStatus"]
    outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in found.get("Outputs", ())}
    if not outputs and not status.endswith(("CREATE_COMPLETE", "UPDATE_COMPLETE")):
        raise StackUnusable(f"stack {stack!r} is in {status}: there is nothing to work on")
    return outputs


def _environment(function: str) -> dict[str, str]:
    found = boto3.client("lambda").get_function_configuration(FunctionName=function)
    variables: dict[str, str] = found.get("Environment", {}).get("Variables", {})
    return variables
