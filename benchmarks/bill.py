"""What a million reports cost on AWS, by door, for known and for new stacks.

    python -m benchmarks.bill [--quick]

Requests, units, bytes and the waiting for AWS come from the deployed functions
run in this process over ports that count; processor time from the same
functions over boto3 (`function_time`); prices from `prices`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from benchmarks import function_time, output, prices
from benchmarks.doors import DOORS, Door
from benchmarks.function_time import CpuMs
from benchmarks.prices import Line
from benchmarks.usage import BUSY, QUIET, Traffic, Usage, measure

ALLOWED = 25.0
"""Dollars for a million reports of 3 kB with known stacks."""

# Milliseconds of a core as `function_time` printed them for HockeyApp's door, November 2026: for
# where they are not measured at once.
CPU = CpuMs(api=3.1, process_one=8.1, process_ten=39.8, detect=56.6)
START_MS = {"api": 693.0, "process": 611.0, "detect": 588.0}

MEMORY_MB = {"api": 512, "process": 1024, "detect": 512}
PROCESSOR = "arm64"
_MESSAGES_A_REQUEST = 10  # that Lambda's poller takes from SQS, or deletes, at once
_COLD_SHARE = 0.01  # of calls: AWS's figure for what is usual ("Lambda standardizes billing for
# INIT phase", 2025): such a call pays for its start too

# Milliseconds that a call waits for its answer. S3: the lower end of the "100-200 ms" of its user
# guide ("Performance guidelines"), more than is usual for small objects within a region.
# DynamoDB: "single-digit milliseconds" (its developer guide), ten here, and twice that for a
# transaction, which has two rounds. SQS: assumed as DynamoDB's transaction.
WAIT_MS = {"puts": 100.0, "gets": 100.0, "reads": 10.0, "writes": 20.0, "sends": 20.0}


def milliseconds(usage: Usage, function: str, cpu_ms: float, memory_mb: int) -> float:
    """How long a call of the function lasts, the share of cold starts included."""
    waited = sum(WAIT_MS[kind] * n for kind, n in usage.waits[function].items())
    calls = usage.calls.get(function, 0.0)
    if not calls:
        return 0.0
    return cpu_ms * max(1.0, prices.CORE_MB / memory_mb) + waited / calls


def lines(
    usage: Usage,
    batch: int,
    cpu: CpuMs = CPU,
    start_ms: Mapping[str, float] = START_MS,
    *,
    memory_mb: Mapping[str, int] = MEMORY_MB,
    processor: str = PROCESSOR,
) -> list[Line]:
    """The bill of a million such reports, line by line."""
    requests = usage.sent * (1 + 2 * -(-batch // _MESSAGES_A_REQUEST) / batch)
    bill = [
        Line("API Gateway, REST", usage.calls["api"], "M requests", prices.API_REQUESTS),
        Line("DynamoDB, writes", usage.write_units, "M units", prices.WRITE_UNITS),
        Line("DynamoDB, reads", usage.read_units, "M units", prices.READ_UNITS),
        Line("S3, PUT", usage.puts, "M requests", prices.S3_PUTS),
        Line("S3, GET", usage.gets, "M requests", prices.S3_GETS),
        Line("SQS", requests, "M requests", prices.SQS_REQUESTS),
        Line("Lambda, calls", sum(usage.calls.values()), "M calls", prices.LAMBDA_REQUESTS),
    ]
    for function, calls in usage.calls.items():
        memory = memory_mb[function]
        cold_ms = _COLD_SHARE * start_ms[function] * max(1.0, prices.CORE_MB / memory)
        lasts = milliseconds(usage, function, cpu.of_call(function, batch), memory) + cold_ms
        what = f"Lambda {function}: {lasts:.0f} ms of {memory} MB"
        seconds = calls * lasts / 1000 * memory / 1024
        bill.append(Line(what, seconds, "M GB-s", prices.LAMBDA_GB_SECONDS[processor]))
    logged = sum(usage.log_bytes.values()) / 1000
    bill.append(Line("CloudWatch Logs, with metrics", logged, "GB", prices.LOG_GB))
    bill.append(Line("Answers to clients", usage.answer_bytes / 1000, "GB", prices.TRANSFER_GB))
    return bill


def stored(usage: Usage) -> list[Line]:
    """What a million such reports cost a month for as long as they are kept."""
    table, blobs = usage.table_bytes / 1000, usage.blob_bytes / 1000
    return [
        Line("DynamoDB, with indexes", table, "GB", prices.TABLE_GB_MONTH),
        Line("its point-in-time recovery", table, "GB", prices.BACKUP_GB_MONTH),
        Line("S3", blobs, "GB", prices.S3_GB_MONTH),
    ]


def dollars(bill: Sequence[Line]) -> float:
    return sum(line.dollars for line in bill)


# --- printing ------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="logs only, times as they were once")
    quick = parser.parse_args().quick
    doors = DOORS[:1] if quick else DOORS
    times = {} if quick else function_time.of_doors(function_time.CALLS)
    kept: dict[str, object] = {}
    for traffic in (QUIET, BUSY):
        print(f"\n{traffic.name}, batches of {traffic.batch}, dollars a million:\n")
        rows = []
        for door in doors:
            bills = _bills(door, traffic, times.get(door.name, CPU))
            rows.append((door.name, *map(dollars, bills.values())))
            kept[f"{door.name}, {traffic.name}"] = {
                name: [(line.what, line.quantity, line.price) for line in bill]
                for name, bill in bills.items()
            }
            if door is doors[0]:
                arithmetic = bills["known"]
        print(output.table(("door", *_SHARES), rows))
        verdict = "kept" if dollars(arithmetic) < ALLOWED else "BROKEN"
        print(f"\n{doors[0].name}, known stacks, below {ALLOWED:.0f} dollars: {verdict}")
        for line in arithmetic:
            print(f"  {line.what:<40} {line.arithmetic()}")
    output.keep("bill", kept)


_SHARES = {"known": 0.0, "1 % new": 0.01, "5 % new": 0.05, "new": 1.0}


def _bills(door: Door, traffic: Traffic, cpu: CpuMs) -> dict[str, list[Line]]:
    known, new = (measure(door, traffic, known=is_known) for is_known in (True, False))
    return {
        name: lines(known.mixed(new, share), traffic.batch, cpu) for name, share in _SHARES.items()
    }


if __name__ == "__main__":
    main()
