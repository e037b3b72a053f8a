"""What AWS charges, to turn counts into dollars.

List prices of us-east-1, on demand, November 2026, without the free tier.
"""

from __future__ import annotations

from dataclasses import dataclass

DYNAMODB_WRITE_UNITS = 0.625  # dollars a million
DYNAMODB_READ_UNITS = 0.125
S3_PUTS = 5.0
S3_GETS = 0.40
SQS_REQUESTS = 0.40
LAMBDA_REQUESTS = 0.20
LAMBDA_GB_SECONDS = 16.67  # a million
API_GATEWAY_REQUESTS = 3.50

LAMBDA_GB = 0.5
INTAKE_S = 0.03  # assumed: one S3 put and our own few milliseconds
BATCH_S = 0.10  # assumed, for a batch: reads, transaction, its share of folding
GET_S = 0.015  # assumed, for each payload: the worker gets them one after another
SQS_BATCH = 10  # messages that one SQS request takes


@dataclass(frozen=True, slots=True)
class Bill:
    """Dollars per million reports."""

    dynamodb: float
    s3: float
    sqs: float
    compute: float
    api_gateway: float

    @property
    def total(self) -> float:
        return self.dynamodb + self.s3 + self.sqs + self.compute + self.api_gateway


def bill(
    *, write_units: float, read_units: float, blob_puts: float, blob_gets: float, batch: int
) -> Bill:
    """For what one report costs, processed in batches of that size."""
    requests = -(-batch // SQS_BATCH) / batch  # of each kind; S3's own send is one a report
    seconds = INTAKE_S + BATCH_S / batch + GET_S
    return Bill(
        dynamodb=write_units * DYNAMODB_WRITE_UNITS + read_units * DYNAMODB_READ_UNITS,
        s3=blob_puts * S3_PUTS + blob_gets * S3_GETS,
        sqs=(1 + 2 * requests) * SQS_REQUESTS,
        compute=(1 + 1 / batch) * LAMBDA_REQUESTS + seconds * LAMBDA_GB * LAMBDA_GB_SECONDS,
        api_gateway=API_GATEWAY_REQUESTS,
    )
