"""Of AWS's SDK, the part that the functions use."""

from __future__ import annotations

import shutil
from pathlib import Path

SERVICES = frozenset({"dynamodb", "s3", "secretsmanager", "sns", "sqs"})
"""What the functions make clients of; a test looks for others in the code."""

_EXAMPLES = "examples-1.json"  # for the documentation


def prune(folder: Path) -> None:
    """Take away the descriptions of all other services, which are nearly all there is."""
    for path in (folder / "botocore" / "data").iterdir():
        if path.is_dir() and path.name not in SERVICES:
            shutil.rmtree(path)
    for path in (folder / "botocore" / "data").rglob(f"{_EXAMPLES}*"):
        path.unlink()
    shutil.rmtree(folder / "boto3" / "examples", ignore_errors=True)
