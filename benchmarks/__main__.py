"""All the benchmarks, one after another.

python -m benchmarks [quick|full]
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

_FULL = (
    ("profile_spine",),
    ("cost",),
    ("bill",),
    ("evaluation", "--baseline"),
    ("engine",),
    ("minidumps",),
    ("door",),
    ("queries",),
    ("bugsink",),
    ("drain",),
    ("detector",),
    ("alerts",),
    ("package",),
)
_QUICK = (
    ("profile_spine", "--reports", "1500", "--floor-seconds", "0.5"),
    ("cost", "--stored", "1000", "2000", "--storm-seconds", "5", "--storm-scale", "10"),
    ("bill", "--quick"),
    ("evaluation",),
    ("engine", "--stored", "300", "1000", "--rounds", "2"),
    ("minidumps", "--rounds", "3"),
    ("door", "--reports", "800", "--runs", "1"),
    ("queries", "--reports", "2000"),
    ("bugsink", "--reports", "1500", "--events", "250", "--runs", "1"),
    ("drain", "--reports", "2000", "--stored", "0", "2000", "--runs", "1"),
    ("detector", "--groups", "500"),
    ("alerts", "--apps", "4", "--months", "0.5"),
    ("package", "--runs", "3"),
)


def main() -> None:
    chosen = sys.argv[1] if len(sys.argv) > 1 else "full"
    if chosen not in {"quick", "full"}:
        sys.exit("usage: python -m benchmarks [quick|full]")
    for name, *options in _QUICK if chosen == "quick" else _FULL:
        print(f"\n== {' '.join((name, *options))}\n", flush=True)
        began = time.monotonic()
        # Each in a process of its own: what one leaves in memory must not weigh on the next.
        subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *options],
            check=True,
            cwd=Path(__file__).resolve().parent.parent,
        )
        print(f"({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
