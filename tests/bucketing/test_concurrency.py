"""Eight workers on the labelled corpus, in random order, each report delivered twice."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor

from benchmarks.evaluation import corpus
from chalicelib import bootstrap, clock
from chalicelib.bootstrap import Services
from chalicelib.payload import PARTYCRASHER, Payload
from chalicelib.recount import recount_app
from tests.shared_data import shared_data

WORKERS = 8
REPORTS = 800  # of the corpus: four in ten are new stacks


def test_eight_workers_split_no_stack_and_count_each_report_once(services: Services) -> None:
    found = corpus.read(corpus.find(shared_data("bucketing", "dev.jsonl.gz")))
    chance = random.Random(3)
    app = services.projects.open("dev")
    ids = []
    for entry in chance.sample(found.entries, REPORTS):
        raw = json.dumps(dict(entry.document)).encode()
        fields = {"database_id": entry.database_id}
        received = Payload(app.app_id, PARTYCRASHER, clock.now(), raw, fields=fields)
        ids.append(services.intake.receive(received))
    told = [*ids, *ids]
    chance.shuffle(told)
    parts = (services.settings, services.table, services.blobs, services.queue)
    workers = [bootstrap.build(*parts).processor for _ in range(WORKERS)]

    def work(number: int) -> None:
        mine = told[number::WORKERS]
        for start in range(0, len(mine), 10):
            workers[number].process(mine[start : start + 10])
        workers[number].fold()

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, range(WORKERS)))
    services.counts.fold_all(app.app_id)

    reports = list(services.crashes.of_app(app.app_id))
    assert len(reports) == REPORTS
    groups: dict[str, set[int]] = {}
    for report in reports:
        groups.setdefault(report.fingerprint, set()).add(report.group_id)
    assert len(groups) > 200
    assert all(len(of_stack) == 1 for of_stack in groups.values())
    assert recount_app(services, app.app_id).differences == ()
    totals = services.counts.of_stacks(app.app_id, groups)
    assert sum(total.reports for total in totals.values()) == REPORTS
    buckets = {
        assignment.buckets["4.0"]
        for start in range(0, len(groups), 100)
        for assignment in services.bucketing.assignments(
            sorted(groups)[start : start + 100]
        ).values()
    }
    assert len(buckets) == len({group for of_stack in groups.values() for group in of_stack})
