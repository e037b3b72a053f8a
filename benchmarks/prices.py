"""What AWS charges: the price list that turns counts into dollars.

List prices of us-east-1, on demand, without the free tier, as of November 2026. Source: the
pricing pages of each service (aws.amazon.com/SERVICE/pricing). A million of:
"""

from __future__ import annotations

from dataclasses import dataclass

# DynamoDB, standard table class, on demand.
WRITE_UNITS = 0.625
READ_UNITS = 0.125
TABLE_GB_MONTH = 0.25
BACKUP_GB_MONTH = 0.20  # point-in-time recovery, of the table's size
# S3 Standard. Deletes cost nothing.
S3_PUTS = 5.0  # PUT, COPY, POST, LIST
S3_GETS = 0.40  # GET, HEAD and all others
S3_GB_MONTH = 0.023
SQS_REQUESTS = 0.40  # standard queue; up to 10 messages or 64 kB
LAMBDA_REQUESTS = 0.20
LAMBDA_GB_SECONDS = {"x86_64": 16.6667, "arm64": 13.3334}
# API Gateway: a REST API, which Chalice makes, and what an HTTP API would cost.
API_REQUESTS = 3.50
HTTP_API_REQUESTS = 1.00
LOG_GB = 0.50  # CloudWatch Logs: taken in
LOG_GB_MONTH = 0.03  # and kept
METRIC_MONTH = 0.30  # CloudWatch: a custom metric
ALARM_MONTH = 0.10
DASHBOARD_MONTH = 3.00
TRACES = 5.0  # X-Ray: recorded
TRANSFER_GB = 0.09  # out to the internet; in costs nothing
SECRET_MONTH = 0.40

CORE_MB = 1769  # of memory, with which a function has one core; below in proportion
"""AWS Lambda Developer Guide, "Configure Lambda function memory"."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill: how much of what at which price.

    `quantity` is millions for a million reports, or GB, or GB-seconds in millions.
    """

    what: str
    quantity: float
    unit: str
    price: float

    @property
    def dollars(self) -> float:
        return self.quantity * self.price

    def arithmetic(self) -> str:
        """The line as people reckon it."""
        return f"{self.quantity:.3f} {self.unit} x {self.price:g} = {self.dollars:.2f}"
