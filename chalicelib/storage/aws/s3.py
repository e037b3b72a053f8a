"""The blobs on S3. The bucket itself notifies the intake queue (see `create`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chalicelib.storage.away import tells_when_away
from chalicelib.storage.aws.away import telling
from chalicelib.storage.blob_keys import attachment, checked_blob_key
from chalicelib.storage.ports import BlobExists, BlobNotFound, Fetched, SignedUpload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ABSENT_CODES = frozenset({"NoSuchKey", "404", "NotFound"})
_PUT_ATTEMPTS = 3


@tells_when_away(telling)
class S3Blobs:
    """`ports.Blobs` in one bucket. The client must sign with `s3v4` (`create_clients`)."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        if_absent: bool = False,
    ) -> None:
        request: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": checked_blob_key(key),
            "Body": data,
            "ContentType": content_type,
        }
        if if_absent:
            request["IfNoneMatch"] = "*"
        for attempt in range(1, _PUT_ATTEMPTS + 1):
            try:
                self._client.put_object(**request)
                return
            except ClientError as error:
                code = _code(error)
                if code == "PreconditionFailed":
                    raise BlobExists(f"there is a blob under {key!r} already") from error
                # S3's answer to two conditional puts at one moment: ask again who was first.
                if code != "ConditionalRequestConflict" or attempt == _PUT_ATTEMPTS:
                    raise

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        request: dict[str, Any] = {"Bucket": self._bucket, "Key": key}
        if length == 0:
            return self._nothing_of(key)
        if length is not None:
            request["Range"] = f"bytes={start}-{start + length - 1}"
        elif start:
            request["Range"] = f"bytes={start}-"
        try:
            return self._client.get_object(**request)["Body"].read()
        except ClientError as error:
            if _code(error) == "InvalidRange":
                return b""
            if _code(error) in _ABSENT_CODES:
                raise _not_found(key) from error
            raise

    def size(self, key: str) -> int | None:
        try:
            return self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"]
        except ClientError as error:
            if _code(error) in _ABSENT_CODES:
                return None
            raise

    def fetch(self, key: str, *, length: int) -> Fetched:
        request: dict[str, Any] = {"Bucket": self._bucket, "Key": key}
        try:
            answer = self._client.get_object(**request, Range=f"bytes=0-{length - 1}")
        except ClientError as error:
            if _code(error) in _ABSENT_CODES:
                raise _not_found(key) from error
            if _code(error) != "InvalidRange":  # S3's answer for an empty object
                raise
            answer = self._client.get_object(**request)
        return Fetched(answer["Body"].read(length), answer["ETag"])

    def delete(self, key: str, *, version: str | None = None) -> None:
        condition: dict[str, Any] = {} if version is None else {"IfMatch": version}
        try:
            self._client.delete_object(Bucket=self._bucket, Key=key, **condition)
        except ClientError as error:
            if _code(error) not in {"PreconditionFailed", *_ABSENT_CODES}:
                raise

    def keys(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            for entry in page.get("Contents", ()):
                yield entry["Key"]

    def signed_download(self, key: str, *, expires_in_s: int, filename: str | None = None) -> str:
        parameters = {"Bucket": self._bucket, "Key": checked_blob_key(key)}
        if filename is not None:
            parameters["ResponseContentDisposition"] = attachment(filename)
        return self._client.generate_presigned_url(
            "get_object", Params=parameters, ExpiresIn=expires_in_s
        )

    def signed_upload(self, key: str, *, max_bytes: int, expires_in_s: int) -> SignedUpload:
        # boto3 itself adds the conditions that bucket and key are exactly these.
        form = self._client.generate_presigned_post(
            self._bucket,
            checked_blob_key(key),
            Conditions=[["content-length-range", 0, max_bytes]],
            ExpiresIn=expires_in_s,
        )
        return SignedUpload(form["url"], "POST", form["fields"])

    def _nothing_of(self, key: str) -> bytes:
        if self.size(key) is None:
            raise _not_found(key)
        return b""


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _not_found(key: str) -> BlobNotFound:
    return BlobNotFound(f"there is no blob under {key!r}")
