"""What the AWS adapters say when a service throttles, fails or cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from chalicelib.storage.ports import StoreAway

_SERVER_ERROR = 500
_AGAIN_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


@contextmanager
def telling() -> Iterator[None]:
    """Raises `StoreAway` for it, once botocore has tried as often as it does."""
    try:
        yield
    except (ConnectionError, HTTPClientError) as error:  # no connection, or no answer in time
        raise StoreAway(f"the store does not answer: {error}") from error
    except ClientError as error:
        told = error.response["Error"]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if told.get("Code") not in _AGAIN_CODES and status < _SERVER_ERROR:
            raise
        raise StoreAway(f"the store cannot do it now: {told.get('Code')}") from error
