"""`crashbucket group`: merge, split, undo, stacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from chalicelib import bootstrap
from chalicelib.cli import commands
from chalicelib.config import Settings
from chalicelib.worker import Worker
from tests.crashes import android_log, receive


def test_groups_are_merged_split_and_put_back(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    services = bootstrap.connect(Settings(data=data))
    app = services.accounts.create_app("Demo", bundle_id="de.codenauts.hockeyapp")
    deeper = android_log("a") + b"\tat de.codenauts.hockeyapp.Outer.call(Outer.java:3)\n"
    ids = [receive(services, app, log) for log in (android_log("a"), deeper, android_log("b"))]
    Worker(services).drain()
    a, twin, b = (services.crashes.report(report_id).group_id for report_id in ids)
    assert (a == twin, a == b) == (True, False)

    def told(*asked: object) -> dict[str, Any]:
        command = ["group", *map(str, asked), "--data", data, "--json"]
        answer = CliRunner().invoke(commands, command, catch_exceptions=False)
        Worker(services).drain()
        return dict(json.loads(answer.output))

    def where() -> list[int]:
        return [services.crashes.report(report_id).group_id for report_id in ids]

    stack = services.crashes.report(ids[1]).fingerprint
    assert {entry["stack"] for entry in told("stacks", app.app_id, a)["stacks"]} > {stack}
    own = told("split", app.app_id, a, stack)["group_id"]
    assert where() == [a, own, b]
    told("merge", app.app_id, own, b)
    assert where() == [a, b, b]
    assert told("undo", app.app_id, own)["undone"] == "merge"
    assert where() == [a, own, b]
    assert told("undo", app.app_id, own)["undone"] == "split"
    assert where() == [a, a, b]
