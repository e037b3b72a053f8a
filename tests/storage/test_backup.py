"""A backup of a data folder that is in use: whole, of one moment, and good to go on with."""

from __future__ import annotations

import json
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chalicelib import bootstrap, keys
from chalicelib.bootstrap import Services
from chalicelib.cli import main
from chalicelib.config import Settings
from chalicelib.errors import Refused
from chalicelib.records import App
from chalicelib.recount import recount_app
from chalicelib.storage.embedded.backup import back_up
from chalicelib.storage.embedded.blobs import MAX_ROW_BYTES
from chalicelib.storage.embedded.store import open_store
from chalicelib.worker import Worker
from tests.crashes import android_log, drain, receive


@contextmanager
def opened(folder: Path) -> Iterator[Services]:
    # An hour later: what a worker had in hand is delivered again after its visibility.
    store = open_store(folder, clock=lambda: time.time() + 3600)
    yield bootstrap.build(Settings(), store.table, store.blobs, store.queue)
    store.close()


def test_a_backup_has_what_was_there_large_blobs_too(
    services: Services, app: App, tmp_path: Path
) -> None:
    receive(services, app, android_log())
    drain(services)
    large = b"x" * (MAX_ROW_BYTES + 1)
    services.blobs.put("kept/large", large)
    done = back_up(tmp_path / "data", tmp_path / "backup")
    assert (done.files, done.file_bytes, done.missing) == (1, len(large), 0)
    services.blobs.delete("kept/large")
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o700
    with opened(tmp_path / "backup") as copy:
        assert copy.blobs.get("kept/large") == large
        (report,) = copy.crashes.of_app(app.app_id)
        assert copy.crashes.payload(report.report_id).log == android_log()
        assert recount_app(copy, app.app_id).differences == ()


def test_a_backup_beside_work_loses_no_crash_and_no_count(
    services: Services, app: App, tmp_path: Path
) -> None:
    done = threading.Event()
    received: list[int] = []

    def post() -> None:
        while not done.is_set():
            received.append(receive(services, app, android_log()))

    def work() -> None:
        worker = Worker(services)
        while not done.is_set():
            worker.step()

    threads = [threading.Thread(target=run) for run in (post, work)]
    for thread in threads:
        thread.start()
    try:
        for number in range(4):
            before = len(received)
            back_up(tmp_path / "data", tmp_path / f"backup{number}")
            with opened(tmp_path / f"backup{number}") as copy:
                Worker(copy).drain()
                reports = {report.report_id for report in copy.crashes.of_app(app.app_id)}
                assert reports.issuperset(received[:before])
                payloads = {keys.report_id_of_raw_blob(key) for key in copy.blobs.keys("raw/")}
                assert reports == payloads
                assert recount_app(copy, app.app_id).differences == ()
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_a_backup_writes_over_nothing(services: Services, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(Refused, match="is there already"):
        back_up(tmp_path / "data", tmp_path / "there")


def test_the_command_backs_up_a_folder_and_says_what_it_holds(
    services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["backup", str(tmp_path / "copy"), "--data", str(tmp_path / "data"), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["files"], told["missing"]) == (0, 0)
    assert told["database_bytes"] > 0
    with pytest.raises(SystemExit):
        main(["backup", str(tmp_path / "copy"), "--data", str(tmp_path / "nothing")])
    assert "there is no data folder" in capsys.readouterr().err
