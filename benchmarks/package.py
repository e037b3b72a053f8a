"""What is deployed: how large the zip is, and what a cold start of each function imports.

python -m benchmarks.package [--runs 7] [--at build]

Packages for this machine's processor with `make package` (which finds the
Python of Lambda), and imports each function's entry module out of the unpacked
zip in fresh processes of that Python, with the package's files in the disk
cache and nothing else on the path. Milliseconds are medians; processor time is
what other processes on the machine do not change.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.output import keep, table
from infra.package import MAX_ZIP_BYTES

MAX_API_IMPORT_MS = 400
_LARGEST = 6
# Modules that cost a start more than a few milliseconds, or megabytes.
_HEAVY = (
    *("boto3", "aws_lambda_powertools", "aws_xray_sdk", "symbolic", "siggen", "multi_demangle"),
    *("luqum", "msgpack", "sqlite3", "click", "chalicelib.formats.minidump.reader"),
)
# Runs in the packaged Python: import, then the services over clients that ask nobody.
_START = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
heavy = sys.argv[3].split()
told = []
def measure(step):
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    loaded = [name for name in heavy if name in sys.modules]
    told.append([(time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000, loaded])
measure(lambda: __import__(sys.argv[2], fromlist=["_"]))
def ready():
    from chalicelib.bootstrap import services
    services()
measure(ready)
print(json.dumps([told, len(sys.modules)]))
"""
_ENVIRONMENT = {
    "AWS_LAMBDA_FUNCTION_NAME": "measured",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "measured",
    "AWS_SECRET_ACCESS_KEY": "measured",
    "CRASHBUCKET_STORE": "aws",
    "CRASHBUCKET_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/1/intake",
    "CRASHBUCKET_NOTIFICATIONS_URL": "https://sqs.eu-central-1.amazonaws.com/1/notifications",
    "POWERTOOLS_SERVICE_NAME": "measured",
    "HOME": "/tmp",
}


@dataclass(frozen=True, slots=True)
class Start:
    """A cold start of a function, in milliseconds."""

    function: str
    import_ms: float
    import_cpu_ms: float
    ready_cpu_ms: float
    modules: int
    at_import: tuple[str, ...]
    when_ready: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--at", type=Path, default=Path("build/bench/package"))
    parser.add_argument("--python", default=".venv-package/bin/python")
    chosen = parser.parse_args()
    made = subprocess.run(
        ["make", "package", "ARCH=native", f"OUT={chosen.at}"],
        check=True,
        capture_output=True,
        text=True,
    )
    print(made.stdout.splitlines()[-_LARGEST - 3], "\n")
    size, unpacked, parts = _sizes(chosen.at / "deployment.zip")
    print(table(["part", "MB in the zip"], [(name, n / 1e6) for name, n in parts[:_LARGEST]]))
    print(f"\n{size / 1e6:.2f} MB, {unpacked / 1e6:.1f} MB unpacked\n")
    resources: dict[str, Any] = json.loads((chosen.at / "sam.json").read_text())["Resources"]
    starts = [
        _start(chosen.python, chosen.at / "unpacked", name, resource["Properties"], chosen.runs)
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    ]
    print(
        table(
            ["function", "import ms", "processor ms", "until ready", "modules", "loads"],
            [
                (
                    start.function,
                    round(start.import_ms),
                    round(start.import_cpu_ms),
                    round(start.ready_cpu_ms),
                    start.modules,
                    " ".join(start.at_import) or "-",
                )
                for start in starts
            ],
        )
    )
    later = sorted({name for start in starts for name in start.when_ready})
    print(
        f"\n`until ready`: with clients of AWS's services, for which each loads {' '.join(later)}"
    )
    api = next(start for start in starts if start.function == "APIHandler")
    print(f"API's import: {api.import_cpu_ms:.0f} ms of at most {MAX_API_IMPORT_MS}")
    keep(
        "package",
        {
            "zip_bytes": size,
            "unpacked_bytes": unpacked,
            "api_import_cpu_ms": api.import_cpu_ms,
            "starts": {
                start.function: {
                    "import_ms": start.import_ms,
                    "import_cpu_ms": start.import_cpu_ms,
                    "ready_cpu_ms": start.ready_cpu_ms,
                    "heavy": start.at_import,
                }
                for start in starts
            },
        },
    )
    if size > MAX_ZIP_BYTES or api.import_cpu_ms > MAX_API_IMPORT_MS:
        sys.exit("above the bounds")


def _sizes(path: Path) -> tuple[int, int, list[tuple[str, int]]]:
    """Bytes of the zip, bytes of its files, and bytes in the zip by part, the largest first."""
    parts: dict[str, int] = {}
    unpacked = 0
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            part = entry.filename.partition("/")[0]
            parts[part] = parts.get(part, 0) + entry.compress_size
            unpacked += entry.file_size
    return path.stat().st_size, unpacked, sorted(parts.items(), key=lambda part: -part[1])


def _start(
    python: str, folder: Path, function: str, properties: dict[str, Any], runs: int
) -> Start:
    module = properties["Handler"].rpartition(".")[0]
    command = [python, "-I", "-S", "-c", _START, str(folder), module, " ".join(_HEAVY)]
    told = []
    for _ in range(runs + 1):  # the first fills the disk cache
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=os.environ | _ENVIRONMENT
        )
        told.append(json.loads(done.stdout.splitlines()[-1]))
    imports, ready = ([entry[0][step] for entry in told[1:]] for step in (0, 1))
    return Start(
        function,
        statistics.median(wall for wall, _, _ in imports),
        statistics.median(cpu for _, cpu, _ in imports),
        statistics.median(
            first[1] + second[1] for first, second in zip(imports, ready, strict=True)
        ),
        told[-1][1],
        tuple(imports[-1][2]),
        tuple(name for name in ready[-1][2] if name not in imports[-1][2]),
    )


if __name__ == "__main__":
    main()
