"""The bucket of all blobs: who may reach it, what goes by itself, what it tells the queue."""

from __future__ import annotations

from chalicelib import keys
from chalicelib.storage.schema import NOTIFIED_PREFIXES
from infra.template.cloudformation import Json, Resource, sub
from infra.template.parameters import ALLOWED_ORIGIN
from infra.template.queues import INTAKE, INTAKE_POLICY

# How long what was deleted or written over can be fetched back: the table's backups last longer.
_UNDO_DAYS = 7
# What lies below these goes by itself should the service not come to take it away: a dump that was
# given up is kept for its replay, the rest is of use for a day (`export_s`) or an hour.
_LEFTOVER_DAYS = {
    keys.LANDING_PREFIX: 60,
    keys.SYMBOL_UPLOADS: 3,
    keys.EXPORTS: 3,
    keys.DOWNLOADS: 3,
}


def _leftovers(prefix: str, days: int) -> Json:
    return {
        "Id": f"leftovers-{prefix.rstrip('/')}",
        "Status": "Enabled",
        "Prefix": prefix,
        "ExpirationInDays": days,
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    }


BUCKET = Resource(
    "Bucket",
    "AWS::S3::Bucket",
    {
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            ]
        },
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        # A payload is the one copy of what a phone sent: a mistake, ours or an operator's, can be
        # undone for a week. After that what was deleted is gone, a person's data too.
        "VersioningConfiguration": {"Status": "Enabled"},
        "LifecycleConfiguration": {
            "Rules": [
                {
                    "Id": "undo",
                    "Status": "Enabled",
                    "NoncurrentVersionExpiration": {"NoncurrentDays": _UNDO_DAYS},
                    "ExpiredObjectDeleteMarker": True,
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                },
                *(_leftovers(prefix, days) for prefix, days in _LEFTOVER_DAYS.items()),
            ]
        },
        "CorsConfiguration": {
            "CorsRules": [
                {
                    "AllowedOrigins": [ALLOWED_ORIGIN.ref],
                    "AllowedMethods": ["GET", "HEAD", "PUT", "POST"],
                    "AllowedHeaders": ["*"],
                    "ExposedHeaders": ["ETag"],
                    "MaxAge": 3600,
                }
            ]
        },
        "NotificationConfiguration": {
            "QueueConfigurations": [
                {
                    "Event": "s3:ObjectCreated:*",
                    "Queue": INTAKE.arn,
                    "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": prefix}]}},
                }
                for prefix in NOTIFIED_PREFIXES
            ]
        },
    },
    # S3 tries at once whether it may send.
    depends_on=(INTAKE_POLICY.name,),
    kept=True,
)

BUCKET_POLICY = Resource(
    "BucketPolicy",
    "AWS::S3::BucketPolicy",
    {
        "Bucket": BUCKET.ref,
        "PolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "OnlyEncryptedConnections",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [BUCKET.arn, sub("${Bucket.Arn}/*")],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        },
    },
    kept=True,
)
