"""The topic that people are told by, and the secret that webhooks are signed with."""

from __future__ import annotations

from infra.template.cloudformation import ACCOUNT, Resource, sub
from infra.template.parameters import ALERT_EMAIL, HAS_EMAIL

# Without a key: alarms cannot publish to a topic under the key that AWS manages for SNS, and one
# of our own is a dollar a month for names of alarms and groups.
TOPIC = Resource("Topic", "AWS::SNS::Topic", {"DisplayName": sub("Crashbucket ${AWS::StackName}")})

TOPIC_POLICY = Resource(
    "TopicPolicy",
    "AWS::SNS::TopicPolicy",
    {
        "Topics": [TOPIC.ref],
        "PolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "AlarmsOfThisAccount",
                    "Effect": "Allow",
                    "Principal": {"Service": "cloudwatch.amazonaws.com"},
                    "Action": "sns:Publish",
                    "Resource": TOPIC.ref,
                    "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
                },
                {
                    "Sid": "OnlyEncryptedConnections",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sns:Publish",
                    "Resource": TOPIC.ref,
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
            ],
        },
    },
)

SUBSCRIPTION = Resource(
    "EmailSubscription",
    "AWS::SNS::Subscription",
    {"TopicArn": TOPIC.ref, "Protocol": "email", "Endpoint": ALERT_EMAIL.ref},
    condition=HAS_EMAIL,
)

SECRET = Resource(
    "WebhookSecret",
    "AWS::SecretsManager::Secret",
    {
        "Description": sub("What the stack ${AWS::StackName} signs its webhooks with"),
        "GenerateSecretString": {"PasswordLength": 64, "ExcludePunctuation": True},
    },
)
