"""What S3 does with a presigned POST, written from AWS's documentation, not from our code.

"Authenticating Requests in Browser-Based Uploads Using POST (AWS Signature
Version 4)" in the Amazon S3 API Reference. moto accepts any form.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime


class Refused(Exception):
    """S3 would answer 403 or 400."""


def accept(fields: Mapping[str, str], data: bytes, secret: str, now: float) -> str:
    """The key that the upload is put under; raises `Refused` as S3 would."""
    policy_text = fields["policy"]
    if not hmac.compare_digest(_signature(fields, policy_text, secret), fields["x-amz-signature"]):
        raise Refused("SignatureDoesNotMatch")
    policy = json.loads(base64.b64decode(policy_text))
    expires = datetime.fromisoformat(policy["expiration"]).astimezone(UTC)
    if expires.timestamp() <= now:
        raise Refused("AccessDenied: Policy expired")
    unexplained = set(fields) - {"policy", "x-amz-signature"}
    for condition in policy["conditions"]:
        unexplained -= _check(condition, fields, len(data))
    if unexplained:
        raise Refused(f"AccessDenied: extra input fields {sorted(unexplained)}")
    return fields["key"]


def _check(condition: object, fields: Mapping[str, str], size: int) -> set[str]:
    if isinstance(condition, dict):
        for name, value in condition.items():
            if name != "bucket" and fields.get(name) != value:
                raise Refused(f"AccessDenied: {name}")
        return set(condition)
    assert isinstance(condition, list)
    if condition[0] == "content-length-range":
        if not condition[1] <= size <= condition[2]:
            raise Refused("EntityTooLarge")
        return set()
    raise AssertionError(f"a condition this verifier does not know: {condition}")


def _signature(fields: Mapping[str, str], policy: str, secret: str) -> str:
    _, date, region, service, kind = fields["x-amz-credential"].split("/")
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, kind):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, policy.encode(), hashlib.sha256).hexdigest()
