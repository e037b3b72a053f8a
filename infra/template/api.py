"""API Gateway in front of the API's function: limits, its own answers, log, domain."""

from __future__ import annotations

import json

from infra.template.cloudformation import NO_VALUE, Json, Resource, either, sub
from infra.template.functions import STAGE
from infra.template.parameters import (
    BURST,
    CERTIFICATE_ARN,
    DOMAIN_NAME,
    HAS_ACCESS_LOG,
    HAS_DOMAIN,
    HAS_TRACING,
    HAS_ZONE,
    HOSTED_ZONE_ID,
    LOG_RETENTION_DAYS,
    RATE,
)

REST_API = "RestAPI"  # as Chalice calls it
_UPLOADS = "POST /api/2/apps/APP_ID/uploads"

_LOG_ROLE = Resource(
    "ApiGatewayLogRole",
    "AWS::IAM::Role",
    {
        "Description": "Lets API Gateway write access logs, for all APIs of the account here",
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "apigateway.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        },
        "ManagedPolicyArns": [
            sub(
                "arn:${AWS::Partition}:iam::aws:policy/service-role/"
                "AmazonAPIGatewayPushToCloudWatchLogs"
            )
        ],
    },
    condition=HAS_ACCESS_LOG,
    # The account has one setting for all its APIs in a region: it must work on when a stack goes.
    kept=True,
)
_LOG_SETTING = Resource(
    "ApiGatewayAccount",
    "AWS::ApiGateway::Account",
    {"CloudWatchRoleArn": _LOG_ROLE.arn},
    condition=HAS_ACCESS_LOG,
    kept=True,
)
ACCESS_LOGS = Resource(
    "AccessLogs",
    "AWS::Logs::LogGroup",
    {
        "LogGroupName": sub("/aws/apigateway/${AWS::StackName}"),
        "RetentionInDays": LOG_RETENTION_DAYS.ref,
    },
    condition=HAS_ACCESS_LOG,
    depends_on=(_LOG_SETTING.name,),  # a stage with a log fails without it, and names this one
)

_LOGGED = {
    "at": "$context.requestTime",
    "request": "$context.requestId",
    "method": "$context.httpMethod",
    "route": "$context.resourcePath",
    "path": "$context.path",
    "status": "$context.status",
    "bytes": "$context.responseLength",
    "ms": "$context.responseLatency",
    "function_ms": "$context.integrationLatency",
    "trace": "$context.xrayTraceId",
    "refused": "$context.error.responseType",
}


def settings() -> Json:
    """Properties of Chalice's `AWS::Serverless::Api`, which its stage gets."""
    return {
        "Name": {"Ref": "AWS::StackName"},
        "StageName": STAGE,
        "EndpointConfiguration": {"Type": "REGIONAL"},
        "OpenApiVersion": "2.0",  # without it SAM makes a second stage, called Stage
        "TracingEnabled": either(HAS_TRACING, True, False),
        "MethodSettings": [
            {
                "HttpMethod": "*",
                "ResourcePath": "/*",
                "ThrottlingRateLimit": RATE.ref,
                "ThrottlingBurstLimit": BURST.ref,
                "LoggingLevel": "OFF",  # of what a request holds: the access log has none of it
                "DataTraceEnabled": False,
            }
        ],
        "AccessLogSetting": either(
            HAS_ACCESS_LOG,
            {"DestinationArn": ACCESS_LOGS.arn, "Format": json.dumps(_LOGGED)},
            NO_VALUE,
        ),
    }


def _own_answer(status: int | None, message: str, headers: dict[str, str] | None = None) -> Json:
    """An answer of API Gateway itself, of the shape that the embedded server gives."""
    answer: Json = {
        "responseTemplates": {"application/json": json.dumps({"message": message})},
        "responseParameters": {
            f"gatewayresponse.header.{name}": f"'{value}'"
            for name, value in {"Access-Control-Allow-Origin": "*", **(headers or {})}.items()
        },
    }
    return answer if status is None else {**answer, "statusCode": str(status)}


def gateway_responses() -> Json:
    """`x-amazon-apigateway-gateway-responses` of the API's definition.

    Source: Amazon API Gateway Developer Guide, "Gateway response types". API Gateway has
    no 405: a method that a path does not take is a missing one, as an unknown path is.
    """
    too_large = f"the body is too large: {_UPLOADS} answers where to put large files"
    return {
        "DEFAULT_4XX": {
            "responseTemplates": {"application/json": '{"message":$context.error.messageString}'},
            "responseParameters": {"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"},
        },
        "DEFAULT_5XX": _own_answer(None, "internal error", {"Retry-After": "30"}),
        "MISSING_AUTHENTICATION_TOKEN": _own_answer(404, "there is nothing at this path"),
        "RESOURCE_NOT_FOUND": _own_answer(404, "there is nothing at this path"),
        "REQUEST_TOO_LARGE": _own_answer(413, too_large),
        "THROTTLED": _own_answer(429, "too many requests", {"Retry-After": "1"}),
        "QUOTA_EXCEEDED": _own_answer(429, "too many requests", {"Retry-After": "60"}),
        "INTEGRATION_FAILURE": _own_answer(503, "try again later", {"Retry-After": "30"}),
        "INTEGRATION_TIMEOUT": _own_answer(504, "no answer in time", {"Retry-After": "30"}),
    }


DOMAIN = Resource(
    "Domain",
    "AWS::ApiGateway::DomainName",
    {
        "DomainName": DOMAIN_NAME.ref,
        "RegionalCertificateArn": CERTIFICATE_ARN.ref,
        "EndpointConfiguration": {"Types": ["REGIONAL"]},
        "SecurityPolicy": "TLS_1_2",
    },
    condition=HAS_DOMAIN,
)
_AT_ROOT = Resource(
    "DomainMapping",
    "AWS::ApiGateway::BasePathMapping",
    {
        "DomainName": DOMAIN.ref,
        "RestApiId": {"Ref": REST_API},
        "Stage": {"Ref": f"{REST_API}.Stage"},
    },
    condition=HAS_DOMAIN,
)
_RECORD = Resource(
    "DomainRecord",
    "AWS::Route53::RecordSet",
    {
        "HostedZoneId": HOSTED_ZONE_ID.ref,
        "Name": DOMAIN_NAME.ref,
        "Type": "A",
        "AliasTarget": {
            "DNSName": DOMAIN.attribute("RegionalDomainName"),
            "HostedZoneId": DOMAIN.attribute("RegionalHostedZoneId"),
        },
    },
    condition=HAS_ZONE,
)

API_RESOURCES = (_LOG_ROLE, _LOG_SETTING, ACCESS_LOGS, DOMAIN, _AT_ROOT, _RECORD)
