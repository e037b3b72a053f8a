"""A stack on this machine: packaged, deployed by `make deploy`'s own code into an emulated AWS.

The emulator is ministack, in an environment of its own that holds nothing else: its functions run
under its interpreter, where a library that the package forgot would be found. It speaks TLS and
enforces IAM policies, as AWS does. What it leaves out is made up for here, and named:

- `binary media types` and `gateway responses` of the API's definition are not imported: they are
  set through API Gateway's API, from the same template.
- Numbers that come from parameters stay texts: a limit of an event source mapping, which is
  compared, is set again.
- Answers of mock integrations have no headers (`PREFLIGHT`): what a browser asks first is not
  looked at.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest

from infra.router import Router
from tests.blackbox.client import Client
from tests.blackbox.target import PREFLIGHT, Command, Target
from tests.server import ROOT, free_port

_STACK = "blackbox"
_REGION = "eu-central-1"
_ARCHITECTURES = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
_KEY = "test"  # the emulator's root user
_START_S = 30
_MAKE_S = 600
_STEP_S = 300
_PATIENCE_S = 120.0  # as many processes as there are functions start at once


_REPORT = re.compile(r"^REPORT .*\tDuration: ([0-9.]+) ms")


@dataclass(frozen=True)
class Invocation:
    """`ended` is in seconds since 1970; `ms` as CloudWatch's logs tell them."""

    function: str
    ended: float
    ms: float


@dataclass(frozen=True)
class Tools:
    """The interpreters of the two environments: what packages and deploys, what emulates."""

    package: Path
    ministack: Path


def tools() -> Tools:
    """As `make` installs them; skips, saying why, where it cannot."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, which makes the certificate of the emulated AWS")
    made = []
    for variable, folder in (("PACKAGE", ".venv-package"), ("DEPLOYED", ".venv-deployed")):
        venv = os.environ.get(f"{variable}_VENV", folder)
        done = subprocess.run(
            ["make", "--no-print-directory", f"{venv}/.installed", f"{variable}_VENV={venv}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_MAKE_S,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip().splitlines()
            why = [line for line in said if not line.startswith("make")] or said
            pytest.skip(f"no {venv}: {' / '.join(why[-3:])}")
        made.append((ROOT / venv / "bin" / "python").absolute())
    return Tools(*made)


class Deployed:
    """The stack, from package to outputs; everything is below one folder."""

    def __init__(self, chosen: Tools, folder: Path) -> None:
        self._tools, self._folder = chosen, folder
        self._port = free_port()
        self._address = f"https://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.seconds: dict[str, float] = {}

    def __enter__(self) -> Self:
        shutil.rmtree(self._folder, ignore_errors=True)
        (self._folder / "tmp").mkdir(parents=True)
        try:
            self._timed("package", self._package)
            self._timed("start", self._start)
            self.outputs: dict[str, str] = self._timed("deploy", self._deploy)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the emulator with the functions that it started; keep its log and the package."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)  # asked to stop, it takes half a minute
            self._process.wait()
        shutil.rmtree(self._folder / "tmp", ignore_errors=True)

    # --- steps ---

    def _timed(self, name: str, step: Any) -> Any:
        began = time.monotonic()
        done = step()
        self.seconds[name] = time.monotonic() - began
        return done

    def _package(self) -> None:
        architecture = _ARCHITECTURES[platform.machine()]
        self._run("infra.package", "--arch", architecture, "--out", str(self._package_folder))

    def _start(self) -> None:
        environment = _without_aws() | {
            "AUTH": "true",  # policies are enforced, each function has its role's
            "USE_SSL": "1",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self._port),
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _KEY,
            "AWS_DEFAULT_REGION": _REGION,
            "MINISTACK_REGION": _REGION,
            "MINISTACK_HOST": f"{_REGION}.amazonaws.com",  # the API's host is that of its output
            "TMPDIR": str(self._folder / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": "",
        }
        with (self._folder / "ministack.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(self._tools.ministack), "-m", "ministack"],
                cwd=self._folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + _START_S
        while not self._is_up():
            assert self._process.poll() is None, self._log_tail()
            assert time.monotonic() < until, self._log_tail()
            time.sleep(0.1)

    def _deploy(self) -> dict[str, str]:
        self._run("infra.deploy", _STACK, "--from", str(self._package_folder))
        stacks = self._aws("cloudformation").describe_stacks(StackName=_STACK)["Stacks"]
        outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in stacks[0]["Outputs"]}
        self._complete_api(_api_of(outputs))
        self._complete_mappings()
        for function in ("ApiFunction", "NotifyFunction"):  # the receiver is on this machine
            self._set(outputs[function], CRASHBUCKET_ALLOW_PRIVATE_WEBHOOKS="1")
        return outputs

    def _complete_api(self, api_id: str) -> None:
        """What the emulator did not import of the API's definition (see above)."""
        template = json.loads((self._package_folder / "sam.json").read_text())
        definition = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
        gateway = self._aws("apigateway")
        for kind, answer in definition["x-amazon-apigateway-gateway-responses"].items():
            gateway.put_gateway_response(restApiId=api_id, responseType=kind, **answer)
        types = definition["x-amazon-apigateway-binary-media-types"]
        change = {"op": "replace", "path": "/binaryMediaTypes", "value": types}
        gateway.update_rest_api(restApiId=api_id, patchOperations=[change])
        [stage] = gateway.get_stages(restApiId=api_id)["item"]
        gateway.create_deployment(restApiId=api_id, stageName=stage["stageName"])

    def _complete_mappings(self) -> None:
        functions = self._aws("lambda")
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
            limits = mapping.get("ScalingConfig") or {}
            functions.update_event_source_mapping(
                UUID=mapping["UUID"],
                ScalingConfig={name: int(limit) for name, limit in limits.items()},
            )

    def target(self) -> Target:
        outputs = self.outputs
        command = Command(("--stack", _STACK), self._environment)
        token = command.run("token", "create", "--scope", "admin")["token"]
        trusted = ssl.create_default_context(cafile=self._certificate)
        client = Client(outputs["ApiUrl"].rstrip("/"), token, ("127.0.0.1", self._port), trusted)
        lacks = frozenset({PREFLIGHT})
        return Target(client, command, _PATIENCE_S, lacks, self.outage)

    @contextmanager
    def outage(self) -> Iterator[None]:
        """As if somebody had deployed a function that knows a wrong table."""
        function = self.outputs["ProcessFunction"]
        queue, sqs = self.outputs["QueueUrl"], self._aws("sqs")
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
        right = self._set(function, CRASHBUCKET_TABLE="of-nobody")
        try:
            yield
        finally:
            self._set(function, CRASHBUCKET_TABLE=right["CRASHBUCKET_TABLE"])
            sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "360"})

    def _set(self, function: str, **changes: str) -> dict[str, str]:
        """Change variables of a function's environment; what they were."""
        functions = self._aws("lambda")
        told = functions.get_function_configuration(FunctionName=function)
        before: dict[str, str] = told["Environment"]["Variables"]
        functions.update_function_configuration(
            FunctionName=function, Environment={"Variables": {**before, **changes}}
        )
        return before

    def invocations(self) -> list[Invocation]:
        """Every run of a function, as the emulator logged it."""
        logs = self._aws("logs")
        found = []
        for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
            name = group["logGroupName"]
            pages = logs.get_paginator("filter_log_events")
            for page in pages.paginate(logGroupName=name, filterPattern="REPORT"):
                for event in page["events"]:
                    said = _REPORT.search(event["message"])
                    if said:
                        function = name.rpartition("/")[2]
                        ended = event["timestamp"] / 1000
                        found.append(Invocation(function, ended, float(said[1])))
        return found

    def route(self, path: str) -> str:
        """The route of the API that a path below the stage belongs to."""
        template = json.loads((self._package_folder / "sam.json").read_text())
        routes = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
        found = Router(routes).find(path.removeprefix(urlsplit(self.outputs["ApiUrl"]).path))
        return found[0] if found else path

    # --- helpers ---

    @property
    def _package_folder(self) -> Path:
        return self._folder / "package"

    @property
    def _certificate(self) -> Path:
        return self._folder / "tmp" / "ministack-tls" / "server.crt"

    @property
    def _environment(self) -> dict[str, str]:
        """That of whoever deploys and operates the stack."""
        return {
            "AWS_ENDPOINT_URL": self._address,
            "AWS_CA_BUNDLE": str(self._certificate),
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _KEY,
        }

    def _run(self, module: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._tools.package), "-m", module, *arguments],
            cwd=ROOT,
            env={**_without_aws(), "PYTHONPATH": str(ROOT), **self._environment},
            capture_output=True,
            text=True,
            timeout=_STEP_S,
            check=False,
        )
        told = done.stdout + done.stderr
        assert done.returncode == 0, f"{module}: {told[-3000:]}\n{self._log_tail()}"

    def _aws(self, service: str) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            endpoint_url=self._address,
            region_name=_REGION,
            aws_access_key_id=_KEY,
            aws_secret_access_key=_KEY,
            verify=str(self._certificate),
            config=Config(parameter_validation=False),  # of a list where AWS takes one text
        )

    def _is_up(self) -> bool:
        if not self._certificate.exists():
            return False
        trusted = ssl.create_default_context(cafile=self._certificate)
        try:
            url = f"{self._address}/_ministack/health"
            with urllib.request.urlopen(url, context=trusted) as answer:
                assert json.loads(answer.read())["auth"] == "enabled"
        except OSError:
            return False
        return True

    def _log_tail(self) -> str:
        log = self._folder / "ministack.log"
        return log.read_text(errors="replace")[-3000:] if log.exists() else ""


def _api_of(outputs: dict[str, str]) -> str:
    return (urlsplit(outputs["ApiUrl"]).hostname or "").partition(".")[0]


def _without_aws() -> dict[str, str]:
    """The environment without whatever account its user works in."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
