"""The secondary indexes of the one table, and which blobs are events."""

from __future__ import annotations

from chalicelib.storage.ports import Index

BY_APP = Index("by_app", "app_pk", "app_sk")
BY_GROUP = Index("by_group", "group_pk", "group_sk")
BY_USER = Index("by_user", "user_pk", "user_sk")

INDEXES = (BY_APP, BY_GROUP, BY_USER)

# A put below one of these sends a message: payloads that doors took, and dumps that came straight
# to the store.
NOTIFIED_PREFIXES = ("raw/", "dumps/")
