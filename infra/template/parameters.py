"""What the owner of a stack may choose, and the conditions that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.template.cloudformation import Json, Parameter

_NUMBER = "Number"

_DATA = "Data"
_PEOPLE = "Who is told"
_API = "API"
_DOMAIN = "Domain"
_CAPACITY = "Capacity"

RETENTION_DAYS = Parameter(
    "RetentionDays",
    _DATA,
    "Days for which an app's reports are kept, unless its own policy says otherwise; 0: for ever",
    0,
    _NUMBER,
    {"MinValue": 0, "MaxValue": 3650},
)
RESTORED_TABLE = Parameter(
    "RestoredTable",
    _DATA,
    "Name of a table that was restored from a backup, to be used in the place of the stack's own; "
    "empty: its own",
    "",
    limits={"AllowedPattern": r"^$|^[a-zA-Z0-9_.-]{3,255}$"},
)
# The periods that CloudWatch Logs knows, up to a year.
LOG_RETENTION_DAYS = Parameter(
    "LogRetentionDays",
    _DATA,
    "Days for which the functions' logs are kept",
    30,
    _NUMBER,
    {"AllowedValues": [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365]},
)
ALERT_EMAIL = Parameter(
    "AlertEmail",
    _PEOPLE,
    "Address that alerts and alarms are sent to (it gets a mail that asks to confirm); empty: none",
    "",
    limits={
        "AllowedPattern": r"^$|^[^@\s]+@[^@\s]+\.[^@\s]+$",
        "ConstraintDescription": "must be empty or an e-mail address",
    },
)
ALERT_WEBHOOK = Parameter(
    "AlertWebhook",
    _PEOPLE,
    "URL that alerts of every app are posted to; empty: none (apps have webhooks of their own)",
    "",
    limits={
        "AllowedPattern": r"^$|^https?://\S+$",
        "ConstraintDescription": "must be empty or begin with https://",
    },
)
PRIVATE_WEBHOOKS = Parameter(
    "AllowPrivateWebhooks",
    _PEOPLE,
    "1: webhooks may lead to private addresses, which reach more than the world does; 0: no",
    0,
    _NUMBER,
    {"AllowedValues": [0, 1]},
)
STORED_PER_MINUTE = Parameter(
    "StoredPerMinute",
    _DATA,
    "Reports of one app that are stored in a minute, unless its own policy says otherwise; of "
    "those above a sample is, and all are counted; 0: every report is stored",
    6000,
    _NUMBER,
    {"MinValue": 0},
)
REFUSED_ABOVE = Parameter(
    "RefusedAbovePerMinute",
    _DATA,
    "Reports of one app in a minute above which more are refused (429), unless its own policy "
    "says otherwise; 0: none is",
    0,
    _NUMBER,
    {"MinValue": 0},
)
RATE = Parameter(
    "RequestsPerSecond",
    _API,
    "Requests a second that the API takes in the long run; the others are answered 429",
    500,
    _NUMBER,
    {"MinValue": 1, "MaxValue": 10000},
)
BURST = Parameter(
    "RequestBurst",
    _API,
    "Requests above that rate which the API takes at once",
    1000,
    _NUMBER,
    {"MinValue": 1, "MaxValue": 5000},
)
PARTYCRASHER_READ = Parameter(
    "PartycrasherRead",
    _API,
    "Who may read PartyCrasher's projects: those with a token, or anyone (open)",
    "token",
    limits={"AllowedValues": ["token", "open"]},
)
ALLOWED_ORIGIN = Parameter(
    "AllowedOrigin",
    _API,
    "Origin of the web pages that may upload to the bucket with a signed form; *: any",
    "*",
    limits={"AllowedPattern": r"^\*$|^https?://[^/\s]+$"},
)
ACCESS_LOG = Parameter(
    "AccessLog",
    _API,
    "Whether API Gateway logs each request (without what it holds); sets the role that API "
    "Gateway logs with, which the account has one of in a region",
    "on",
    limits={"AllowedValues": ["on", "off"]},
)
TRACING = Parameter(
    "Tracing",
    _API,
    "Whether X-Ray traces the first request of each second and 5 % of the others: 5 dollars for a "
    "million traces, which a quiet stack makes of nearly all its requests",
    "off",
    limits={"AllowedValues": ["on", "off"]},
)
AUTO_CREATE_APPS = Parameter(
    "AutoCreateApps",
    _API,
    "1: a crash that names an unknown appid makes an app, as omaha-server did; 0: it is refused",
    1,
    _NUMBER,
    {"AllowedValues": [0, 1]},
)
METRICS_APPS = Parameter(
    "MetricsApps",
    _API,
    "Ids of apps, with commas between, whose crashes are counted in CloudWatch by themselves too "
    "(0.30 dollars a month for each metric that has values)",
    "",
)
DOMAIN_NAME = Parameter(
    "DomainName",
    _DOMAIN,
    "Domain of the API, such as crashes.example.com; empty: API Gateway's own address",
    "",
    limits={"AllowedPattern": r"^$|^[a-z0-9-]+(\.[a-z0-9-]+)+$"},
)
CERTIFICATE_ARN = Parameter(
    "CertificateArn",
    _DOMAIN,
    "ARN of the domain's certificate in ACM, in the stack's region; needed with DomainName",
    "",
    limits={"AllowedPattern": r"^$|^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/\S+$"},
)
HOSTED_ZONE_ID = Parameter(
    "HostedZoneId",
    _DOMAIN,
    "Route 53 zone that the domain is made in; empty: you point the domain at the output "
    "DomainTarget yourself",
    "",
    limits={"AllowedPattern": r"^$|^Z[A-Z0-9]+$"},
)
API_CONCURRENCY = Parameter(
    "ApiReservedConcurrency",
    _CAPACITY,
    "Concurrent executions kept for the API, and its limit; -1: none, it shares the account's",
    -1,
    _NUMBER,
    {"MinValue": -1, "MaxValue": 10000},
)
PROCESS_RESERVED = Parameter(
    "ProcessReservedConcurrency",
    _CAPACITY,
    "Concurrent executions kept for processing, at least ProcessConcurrency; -1: none",
    -1,
    _NUMBER,
    {"MinValue": -1, "MaxValue": 10000},
)
PROCESS_CONCURRENCY = Parameter(
    "ProcessConcurrency",
    _CAPACITY,
    "Batches that are processed at one time; what is above waits in the queue",
    20,
    _NUMBER,
    {"MinValue": 2, "MaxValue": 1000},
)
API_MEMORY = Parameter(
    "ApiMemory",
    _CAPACITY,
    "Megabytes of the API's function; its processor grows with them (1769: one core)",
    768,
    _NUMBER,
    {"MinValue": 512, "MaxValue": 10240},
)
PROCESS_MEMORY = Parameter(
    "ProcessMemory",
    _CAPACITY,
    "Megabytes of the function that processes reports; a minidump of 100 MB needs about 400",
    1024,
    _NUMBER,
    {"MinValue": 512, "MaxValue": 10240},
)

PARAMETERS = (
    RETENTION_DAYS,
    STORED_PER_MINUTE,
    REFUSED_ABOVE,
    RESTORED_TABLE,
    LOG_RETENTION_DAYS,
    ALERT_EMAIL,
    ALERT_WEBHOOK,
    PRIVATE_WEBHOOKS,
    RATE,
    BURST,
    PARTYCRASHER_READ,
    ALLOWED_ORIGIN,
    AUTO_CREATE_APPS,
    METRICS_APPS,
    ACCESS_LOG,
    TRACING,
    DOMAIN_NAME,
    CERTIFICATE_ARN,
    HOSTED_ZONE_ID,
    API_CONCURRENCY,
    PROCESS_RESERVED,
    PROCESS_CONCURRENCY,
    API_MEMORY,
    PROCESS_MEMORY,
)

HAS_ACCESS_LOG = "HasAccessLog"
HAS_TRACING = "HasTracing"
HAS_RESTORED_TABLE = "HasRestoredTable"
HAS_EMAIL = "HasEmail"
HAS_DOMAIN = "HasDomain"
HAS_ZONE = "HasZone"
HAS_API_CONCURRENCY = "HasApiConcurrency"
HAS_PROCESS_CONCURRENCY = "HasProcessConcurrency"

CONDITIONS: Mapping[str, Json] = {
    HAS_ACCESS_LOG: {"Fn::Equals": [ACCESS_LOG.ref, "on"]},
    HAS_TRACING: {"Fn::Equals": [TRACING.ref, "on"]},
    HAS_RESTORED_TABLE: RESTORED_TABLE.chosen(),
    HAS_EMAIL: ALERT_EMAIL.chosen(),
    HAS_DOMAIN: DOMAIN_NAME.chosen(),
    HAS_ZONE: {"Fn::And": [DOMAIN_NAME.chosen(), HOSTED_ZONE_ID.chosen()]},
    HAS_API_CONCURRENCY: API_CONCURRENCY.chosen(),
    HAS_PROCESS_CONCURRENCY: PROCESS_RESERVED.chosen(),
}

RULES: Mapping[str, Any] = {
    "DomainNeedsCertificate": {
        "RuleCondition": {"Fn::Not": [{"Fn::Equals": [DOMAIN_NAME.ref, ""]}]},
        "Assertions": [
            {
                "Assert": {"Fn::Not": [{"Fn::Equals": [CERTIFICATE_ARN.ref, ""]}]},
                "AssertDescription": "A DomainName needs a CertificateArn.",
            }
        ],
    }
}
