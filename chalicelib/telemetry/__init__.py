"""What the service tells its operators: logs, metrics, traces; on AWS and embedded."""

import os
from functools import cache


@cache
def on_lambda() -> bool:
    """Whether this process is a Lambda function's."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ
