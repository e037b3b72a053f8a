"""Make or update a stack: `python -m infra.deploy STACK [--from build] [Parameter=value ...]`.

Account, region and endpoint are those of boto3's environment (AWS_PROFILE, AWS_REGION,
AWS_ENDPOINT_URL).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from chalicelib.storage.aws.stacks import DeploymentFailed, Stacks


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__)
    parser.add_argument("stack")
    parser.add_argument("parameters", nargs="*", metavar="Parameter=value")
    parser.add_argument("--from", dest="folder", type=Path, default=Path("build"))
    parser.add_argument(
        "--artifacts", metavar="BUCKET", help="a bucket of yours for template and zip"
    )
    parser.add_argument("--endpoint-url", help="another endpoint than AWS's own")
    chosen = parser.parse_intermixed_args(arguments)
    if chosen.endpoint_url:
        os.environ["AWS_ENDPOINT_URL"] = chosen.endpoint_url
    parameters = {}
    for text in chosen.parameters:
        name, is_pair, value = text.partition("=")
        if not is_pair:
            parser.error(f"{text!r} is not Parameter=value")
        parameters[name] = value
    if not (chosen.folder / "sam.json").exists():
        parser.error(f"there is nothing in {chosen.folder}: run `make package` first")
    try:
        deployed = Stacks().deploy(
            chosen.stack, chosen.folder, parameters, chosen.artifacts, report=print
        )
    except DeploymentFailed as error:
        print(f"make deploy: {error}", file=sys.stderr)
        return 1
    if not deployed.changed:
        print(f"{chosen.stack} is up to date")
    for name, value in sorted(deployed.outputs.items()):
        print(f"{name:<32} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
