"""What a million reports cost on AWS, by door, for known and for new stacks.

    python -m benchmarks.bill [--quick]

Requests, units, bytes and the waiting for AWS come from the deployed functions
run in this process over ports that count (`usage`); processor time from the
same functions over boto3 (`function_time`); prices from `prices`; memory from
the template.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence

from benchmarks import function_time, output, prices
from benchmarks.doors import DOORS
from benchmarks.function_time import CpuMs
from benchmarks.prices import Line
from benchmarks.usage import (
    BUSY,
    TRAFFICS,
    Deletion,
    Usage,
    measure,
    measure_deletion,
)
from chalicelib.metrics import Metric
from infra.template.alarms import ALARMS
from infra.template.functions import DETECT
from infra.template.parameters import API_MEMORY, PROCESS_MEMORY
from infra.template.triggers import MAPPINGS

ALLOWED = 25.0
"""Dollars for a million reports of 3 kB with known stacks."""

# Milliseconds of a core as `function_time` printed them for HockeyApp's door, November 2026: for
# where they are not measured at once.
CPU = CpuMs(api=3.3, process_one=9.4, process_ten=43.9, detect=58.6)
START_MS = {"api": 693.0, "process": 611.0, "detect": 588.0}

MEMORY_MB = {
    "api": int(API_MEMORY.default),
    "process": int(PROCESS_MEMORY.default),
    "detect": int(DETECT.memory_mb),
}
PROCESSOR = "arm64"  # what `make package` makes: a fifth cheaper a second than x86-64
_MESSAGES_A_REQUEST = 10  # that Lambda's poller takes from SQS, or deletes, at once
_COLD_SHARE = 0.01  # of calls: AWS's figure for what is usual ("Lambda standardizes billing for
# INIT phase", 2025): such a call pays for its start too
_TRIED_MB = (512, 768, 1024, 1280, 1769)

# Milliseconds that a call waits for its answer. S3: the lower end of the "100-200 ms" of its user
# guide ("Performance guidelines"), more than is usual for small objects within a region.
# DynamoDB: "single-digit milliseconds" (its developer guide), ten here, and twice that for a
# transaction, which has two rounds. SQS: assumed as DynamoDB's transaction.
WAIT_MS = {"puts": 100.0, "gets": 100.0, "reads": 10.0, "writes": 20.0, "sends": 20.0}

_MINUTES = 43_200  # of a month of thirty days
_POLLERS = 5  # that Lambda has for each mapping while a queue is empty, each asking every 20 s
_POLLS_A_MINUTE = 3
_DETECT_READS = 40.0  # of a quiet minute with one app: leases, deltas in 16 shards, what it watches


def milliseconds(usage: Usage, function: str, cpu_ms: float, memory_mb: int) -> float:
    """How long a call of the function lasts once it is warm."""
    waited = sum(WAIT_MS[kind] * n for kind, n in usage.waits[function].items())
    return cpu_ms * _slowness(memory_mb) + waited / usage.calls[function]


def lines(
    usage: Usage,
    batch: int,
    cpu: CpuMs = CPU,
    start_ms: Mapping[str, float] = START_MS,
    *,
    memory_mb: Mapping[str, int] = MEMORY_MB,
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
    for function, calls in sorted(usage.calls.items()):
        memory = memory_mb[function]
        lasts = milliseconds(usage, function, cpu.of_call(function, batch), memory)
        lasts += _COLD_SHARE * start_ms[function] * _slowness(memory)
        what = f"Lambda {function}: {lasts:.0f} ms of {memory} MB"
        bill.append(_seconds(what, calls * lasts, memory))
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


def deleted(deletion: Deletion) -> list[Line]:
    """What it costs to delete a million reports, once; S3 deletes for nothing."""
    return [
        Line("DynamoDB, writes", deletion.write_units, "M units", prices.WRITE_UNITS),
        Line("DynamoDB, reads", deletion.read_units, "M units", prices.READ_UNITS),
    ]


def fixed(cpu: CpuMs = CPU) -> list[Line]:
    """What a stack costs a month to which nothing comes, with one app."""
    calls = _MINUTES / 1e6
    memory = MEMORY_MB["detect"]
    lasts = cpu.detect * _slowness(memory) + _DETECT_READS * WAIT_MS["reads"]
    polls = len(MAPPINGS) * _POLLERS * _POLLS_A_MINUTE * _MINUTES / 1e6
    queues = f"SQS, {len(MAPPINGS)} queues that are asked"
    return [
        Line("CloudWatch, alarms", float(len(ALARMS)), "alarms", prices.ALARM_MONTH),
        Line("CloudWatch, metrics", float(len(Metric)), "metrics", prices.METRIC_MONTH),
        Line("CloudWatch, the dashboard", 1.0, "dashboard", prices.DASHBOARD_MONTH),
        Line("Secrets Manager", 1.0, "secret", prices.SECRET_MONTH),
        Line(queues, polls, "M requests", prices.SQS_REQUESTS),
        Line("Lambda detect, calls", calls, "M calls", prices.LAMBDA_REQUESTS),
        _seconds(f"Lambda detect: {lasts:.0f} ms of {memory} MB", calls * lasts, memory),
        Line("DynamoDB, reads of detect", calls * _DETECT_READS, "M units", prices.READ_UNITS),
    ]


def dollars(bill: Sequence[Line]) -> float:
    return sum(line.dollars for line in bill)


def _slowness(memory_mb: int) -> float:
    """How much longer work takes than on a whole core."""
    return max(1.0, prices.CORE_MB / memory_mb)


def _seconds(what: str, ms: float, memory_mb: int) -> Line:
    price = prices.LAMBDA_GB_SECONDS[PROCESSOR]
    return Line(what, ms / 1000 * memory_mb / 1024, "M GB-s", price)


# --- printing ------------------------------------------------------------

_SHARES = {"known": 0.0, "1 % new": 0.01, "5 % new": 0.05, "all new": 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="logs only, times as they were once")
    quick = parser.parse_args().quick
    doors = DOORS[:1] if quick else DOORS
    times = {} if quick else function_time.of_doors(function_time.CALLS)
    kept: dict[str, object] = {}
    for traffic in TRAFFICS:
        print(f"\n{traffic.name}, batches of {traffic.batch}, dollars a million:\n")
        rows = []
        for door in doors if traffic is BUSY else doors[:1]:
            cpu = times.get(door.name, CPU)
            known, new = (measure(door, traffic, known=is_known) for is_known in (True, False))
            bills = {
                name: lines(known.mixed(new, share), traffic.batch, cpu)
                for name, share in _SHARES.items()
            }
            rows.append((door.name, *map(dollars, bills.values()), dollars(stored(known))))
            kept[f"{door.name}, {traffic.name}"] = {n: _told(bill) for n, bill in bills.items()}
            if door is doors[0]:
                first, arithmetic = known, bills["known"]
        print(output.table(("door", *_SHARES, "kept, a month"), rows))
        verdict = "kept" if dollars(arithmetic) < ALLOWED else "BROKEN"
        print(f"\n{doors[0].name}, known stacks, below {ALLOWED:.0f} dollars: {verdict}")
        _print("", arithmetic)
    _print("kept for a month, a million of them", stored(first))
    _print("deleted, a million of them", deleted(measure_deletion()))
    _print("a month of a stack to which nothing comes", fixed(times.get(doors[0].name, CPU)))
    print()
    heading = ("memory", "API, ms", "$/million", "start, ms", "process 10, ms", "$/million")
    print(output.table(heading, list(_by_memory(first, times.get(doors[0].name, CPU)))))
    output.keep("bill", kept)


def _by_memory(usage: Usage, cpu: CpuMs) -> Iterator[tuple[object, ...]]:
    """What each memory would cost and bring, at the traffic of the last measurement."""
    for memory in _TRIED_MB:
        row: list[object] = [memory]
        for function in ("api", "process"):
            lasts = milliseconds(usage, function, cpu.of_call(function, BUSY.batch), memory)
            cost = _seconds("", usage.calls[function] * lasts, memory).dollars
            row += [lasts, cost]
            if function == "api":
                row.append(START_MS["api"] * _slowness(memory))
        yield tuple(row)


def _print(title: str, bill: Sequence[Line]) -> None:
    if title:
        print(f"\n{title}: {dollars(bill):.2f} dollars")
    for line in bill:
        print(f"  {line.what:<40} {line.arithmetic()}")


def _told(bill: Sequence[Line]) -> list[tuple[str, float, float]]:
    return [(line.what, line.quantity, line.price) for line in bill]


if __name__ == "__main__":
    main()
