"""The one table, with the indexes of the schema."""

from __future__ import annotations

from chalicelib.storage.ports import EXPIRES_AT
from chalicelib.storage.schema import INDEXES
from infra.template.cloudformation import Json, Resource

TABLE = Resource(
    "Table",
    "AWS::DynamoDB::Table",
    {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": "S"}
            for attribute in (
                *("pk", "sk"),
                *(name for index in INDEXES for name in (index.pk_attribute, index.sk_attribute)),
            )
        ],
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index.name,
                "KeySchema": [
                    {"AttributeName": index.pk_attribute, "KeyType": "HASH"},
                    {"AttributeName": index.sk_attribute, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index in INDEXES
        ],
        "TimeToLiveSpecification": {"Enabled": True, "AttributeName": EXPIRES_AT},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        # With the account's own key for DynamoDB: no charge by the month, and its use is logged.
        "SSESpecification": {"SSEEnabled": True},
        "DeletionProtectionEnabled": True,
    },
    kept=True,
)


def index_arns() -> list[Json]:
    """The ARNs of the indexes, each by its name."""
    return [
        {"Fn::Sub": ["${Table}/index/" + index.name, {"Table": TABLE.arn}]} for index in INDEXES
    ]
