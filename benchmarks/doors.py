"""One crash by every way that a client takes: the requests it makes, as API Gateway gets them."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from xml.sax.saxutils import escape

from benchmarks import corpus
from benchmarks.minidumps import made

PROJECT = "shop"
OMAHA_ID = "{D0AB2EBC-931B-4013-9FEB-C9C4C2225C8C}"
_JSON = {"content-type": "application/json"}
_dump = lru_cache(maxsize=512)(made.dump)


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the API."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def event(self, resource: str, variables: Mapping[str, str]) -> dict[str, object]:
        """As API Gateway hands it to its function: every body is in base64."""
        headers = {
            "accept": "*/*",
            "host": "abc.execute-api.us-east-1.amazonaws.com",
            "user-agent": "Shop/4.2.0 (Android 14)",
            "x-amzn-trace-id": "Root=1-67890000-000000000000000000000000",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-proto": "https",
            **self.headers,
        }
        return {
            "resource": resource,
            "path": self.path,
            "httpMethod": self.method,
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "pathParameters": dict(variables) or None,
            "stageVariables": None,
            "requestContext": {
                "resourcePath": resource,
                "httpMethod": self.method,
                "path": f"/api{self.path}",
                "protocol": "HTTP/1.1",
                "requestId": str(uuid.uuid4()),
                "identity": {"sourceIp": "203.0.113.7"},
            },
            "body": base64.b64encode(self.body).decode(),
            "isBase64Encoded": True,
        }


@dataclass(frozen=True, slots=True)
class Upload:
    """What goes straight to the bucket: `key` is made of the answer before it."""

    key_of: Callable[[bytes], str]
    body: bytes


Step = Request | Upload


@dataclass(frozen=True, slots=True)
class Door:
    """A way of crashes; `steps` are what a client sends for one of them."""

    name: str
    steps: Callable[[corpus.Crash, str], Iterator[Step]]
    is_small: bool
    """About 3 kB a crash; else minidumps of 40 kB."""


def _hockeyapp(crash: corpus.Crash, app_id: str) -> Iterator[Step]:
    files = {"log": ("crash.log", corpus.log(crash))}
    fields = {"userID": corpus.user(crash)}
    yield _form(f"/api/2/apps/{app_id}/crashes/upload", fields, files)


def _quincy(crash: corpus.Crash, _: str) -> Iterator[Step]:
    number, name = crash.version
    xml = (
        f"<crashes><crash><applicationname>Shop</applicationname>"
        f"<bundleidentifier>{corpus.PACKAGE}</bundleidentifier>"
        f"<systemversion>14</systemversion><platform>{escape(crash.device[1])}</platform>"
        f"<senderversion>{number}</senderversion><version>{number}</version>"
        f"<shortversion>{name}</shortversion><userid>{corpus.user(crash)}</userid>"
        f"<log><![CDATA[{corpus.log(crash).decode()}]]></log></crash></crashes>"
    )
    yield _form("/crash_v200.php", {"xmlstring": xml}, {})


def _partycrasher(crash: corpus.Crash, _: str) -> Iterator[Step]:
    places = (*crash.cause.inner, *crash.cause.outer)
    told = {
        "database_id": f"{PROJECT}:{crash.number}",
        "project": PROJECT,
        "type": crash.cause.type,
        "version": crash.version[1],
        "platform": "Android",
        "os": "14",
        "user": corpus.user(crash),
        "stacktrace": [
            {"depth": depth, "function": f"{where}.{method}", "file": file, "fileline": str(line)}
            for depth, (where, method, file, line) in enumerate(places)
        ],
    }
    yield Request("POST", "/reports", _JSON, json.dumps(told).encode())


def _omaha(crash: corpus.Crash, _: str) -> Iterator[Step]:
    fields = {"appid": OMAHA_ID, "userid": corpus.user(crash), "ver": crash.version[1]}
    yield _form("/service/crash_report/", fields, _dump_part(crash))


def _breakpad(crash: corpus.Crash, app_id: str) -> Iterator[Step]:
    fields = {"ver": crash.version[1], "prod": "Shop", "guid": corpus.user(crash)}
    yield _form(f"/breakpad/{app_id}/upload", fields, _dump_part(crash))


def _direct(crash: corpus.Crash, app_id: str) -> Iterator[Step]:
    dump = _dump(crash)
    told = {
        "filename": "crash.dmp",
        "size": len(dump),
        "annotations": {"ver": crash.version[1], "guid": corpus.user(crash)},
    }
    path = f"/api/2/apps/{app_id}/uploads"
    yield Request("POST", path, _JSON, json.dumps(told).encode())
    yield Upload(lambda answer: str(json.loads(answer)["fields"]["key"]), dump)


DOORS = (
    Door("HockeyApp, a log", _hockeyapp, is_small=True),
    Door("QuincyKit, XML", _quincy, is_small=True),
    Door("PartyCrasher, JSON", _partycrasher, is_small=True),
    Door("omaha-server, a minidump", _omaha, is_small=False),
    Door("Breakpad, a minidump", _breakpad, is_small=False),
    Door("straight to S3, a minidump", _direct, is_small=False),
)


def _dump_part(crash: corpus.Crash) -> dict[str, tuple[str, bytes]]:
    return {"upload_file_minidump": ("crash.dmp", _dump(crash))}


def _form(path: str, fields: Mapping[str, str], files: Mapping[str, tuple[str, bytes]]) -> Request:
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for name, (filename, content) in files.items():
        disposition = f'form-data; name="{name}"; filename="{filename}"'
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n"
        parts.append(head.encode() + content + b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    return Request("POST", path, headers, b"".join(parts))
