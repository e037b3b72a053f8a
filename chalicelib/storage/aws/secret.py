"""A secret of Secrets Manager, as powertools reads and keeps it."""

from __future__ import annotations

from aws_lambda_powertools.utilities import parameters

_KEPT_S = 300  # so that one that was changed is in use everywhere after five minutes


def secret(name: str) -> bytes:
    """The value of the secret of that name or ARN; raises powertools' `GetParameterError`."""
    value = parameters.get_secret(name, max_age=_KEPT_S)
    return value.encode() if isinstance(value, str) else bytes(value)
