"""The secondary indexes of the one table."""

from __future__ import annotations

from chalicelib.storage.ports import Index

BY_APP = Index("by_app", "app_pk", "app_sk")
BY_GROUP = Index("by_group", "group_pk", "group_sk")
BY_USER = Index("by_user", "user_pk", "user_sk")

INDEXES = (BY_APP, BY_GROUP, BY_USER)
