"""The one table, with the indexes of the schema."""

from __future__ import annotations

from chalicelib.storage.ports import EXPIRES_AT
from chalicelib.storage.schema import INDEXES
from infra.template.cloudformation import Json, Resource, either, sub
from infra.template.parameters import HAS_RESTORED_TABLE, RESTORED_TABLE

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


# The table that the service works on: its own, or one that was restored from a backup of it.
TABLE_NAME = either(HAS_RESTORED_TABLE, RESTORED_TABLE.ref, TABLE.ref)
_RESTORED = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${RestoredTable}"
TABLE_ARN = either(HAS_RESTORED_TABLE, sub(_RESTORED), TABLE.arn)


def index_arns() -> list[Json]:
    """The ARNs of the indexes, each by its name."""
    return [
        {"Fn::Sub": ["${Table}/index/" + index.name, {"Table": TABLE_ARN}]} for index in INDEXES
    ]
