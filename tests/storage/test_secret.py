"""The secret that webhooks are signed with: the same for all who ask, on both stores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from aws_lambda_powertools.utilities import parameters
from moto import mock_aws

from chalicelib import bootstrap
from chalicelib.config import Settings


def test_on_aws_it_is_the_one_of_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    parameters.clear_caches()
    with mock_aws():
        client = boto3.client("secretsmanager")
        client.create_secret(Name="of the stack", SecretString="a long one")
        services = bootstrap.connect(Settings(store="aws", secret_name="of the stack"))
        assert services.secret() == b"a long one"
        client.put_secret_value(SecretId="of the stack", SecretString="another")
        assert services.secret() == b"a long one"  # a signature does not cost a request
        parameters.clear_caches()
        assert services.secret() == b"another"
    parameters.clear_caches()
    parameters.base.DEFAULT_PROVIDERS.clear()


def test_embedded_it_is_in_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path / "data"))
    secret = bootstrap.connect(settings).secret()
    assert len(secret) == 32
    assert bootstrap.connect(replace(settings)).secret() == secret
    assert (tmp_path / "data" / "secret").stat().st_mode & 0o777 == 0o600
