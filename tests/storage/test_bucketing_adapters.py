"""Bucketing on both adapters of the table: the same stacks end in the same buckets."""

from __future__ import annotations

from chalicelib.bucketing.assignment import Founder
from chalicelib.bucketing.engine import Bucketing
from chalicelib.bucketing.forgetting import Forgetting
from chalicelib.bucketing.stack import normalise
from chalicelib.model import ExceptionInfo, Frame, Report
from chalicelib.storage.aws.store import AwsStore
from chalicelib.storage.embedded.store import EmbeddedStore
from chalicelib.storage.ports import Table

PARTS = "abcdefgh"


def outcome(table: Table) -> list[tuple[dict[str, str], str | None]]:
    """What becomes of some crashes, the second half of which is like the first."""
    bucketing = Bucketing(table)
    found = []
    for number in range(24):
        part = PARTS[number % 8]
        names = [f"x.{part}.Reader{part}.read", *["x.core.Step.again"] * (number // 8), "x.Main.m"]
        frames = tuple(Frame(function=name, line=number, in_app=True) for name in names)
        crash = Report("java", exceptions=(ExceptionInfo("x.Error", f"bad {part}", frames),))
        assignment = bucketing.assign(normalise(crash), Founder(f"r{number}", "app"))
        match = assignment.match
        found.append((dict(assignment.buckets), match.founder.database_id if match else None))
    bucketing.assign(normalise(Report("other", reason="no frames")), Founder("alone", "app"))
    return found


def test_both_adapters_bucket_alike(embedded_store: EmbeddedStore, aws_store: AwsStore) -> None:
    embedded = outcome(embedded_store.table)
    assert outcome(aws_store.table) == embedded
    assert len({buckets["4.0"] for buckets, _ in embedded}) == 8


def test_stacks_can_be_forgotten_on_dynamodb(aws_store: AwsStore) -> None:
    outcome(aws_store.table)
    bucketing = Bucketing(aws_store.table)
    members = list(bucketing.members("4.0", "r0"))
    assert members
    Forgetting(aws_store.table).forget(members, ["app"])
    assert list(bucketing.members("4.0", "r0")) == []
    assert bucketing.assignments(members) == {}
