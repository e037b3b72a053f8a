"""PartyCrasher's API: single, batch and dry-run posts, then reports, buckets and searches."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tests.blackbox.client import Client, eventually
from tests.blackbox.target import Target


def _report(word: str, number: int, **more: Any) -> dict[str, Any]:
    functions = [f"{word}_inner", f"{word}_middle", f"{word}_outer", "main"]
    frames = [
        {"depth": depth, "function": name, "address": f"0x{depth}00"}
        for depth, name in enumerate(functions)
    ]
    return {"database_id": f"{word}:{number}", "stacktrace": frames, **more}


def test_a_report_is_in_its_buckets_when_the_answer_comes(
    service: Target, admin: Client, anyone: Client, word: str
) -> None:
    project = f"/blackbox-{word}"
    answer = anyone.post_json(f"{project}/reports", _report(word, 1))
    assert answer.status == 201
    shown = admin.get(answer.headers["location"])
    assert (shown.status, shown.json["database_id"]) == (200, f"{word}:1")
    bucket = shown.json["buckets"]["4.0"]["bucket_id"]
    again = anyone.post_json(f"{project}/reports", _report(word, 1))
    assert (again.status, again.headers["location"]) == (303, answer.headers["location"])
    tried = anyone.post_json(f"{project}/reports/dry-run", _report(word, 2))
    assert (tried.status, tried.json["buckets"]["4.0"]["bucket_id"]) == (200, bucket)
    many = anyone.post_json(f"{project}/reports", [_report(word, 2), {"bad": 1}, _report(word, 3)])
    assert many.status == 201
    assert [entry.get("status", 201) for entry in many.json] == [201, 400, 201]
    held = admin.get(shown.json["buckets"]["4.0"]["href"])
    assert (held.status, held.json["total"]) == (200, 3)
    to_default = admin.get(f"{project}/buckets")
    assert to_default.status == 302
    top = admin.get(to_default.headers["location"])
    assert top.json["top_buckets"][0]["total"] == 3
    assert urlsplit(to_default.headers["location"]).path.endswith(f"{project}/buckets/4.0")
    compared = admin.get(f"{project}/reports/{word}:1/compare/{word}:2")
    assert compared.json["score"] > 0
    assert admin.get(f"{project}/reports/{word}:1/summary").json["summary"]
    assert admin.get(f"{project}/config").json == {"default_threshold": 4.0}

    def found() -> bool:
        answer = admin.get(f"{project}/search", q=f"stacktrace.function:{word}_inner")
        return len(answer.json) == 3 and answer.headers["x-total-count"] == "3"

    eventually(found, service.patience_s)


def test_refusals_keep_the_shape_of_the_api(admin: Client, anyone: Client, word: str) -> None:
    answer = anyone.send("POST", "/reports", b"{", {"Content-Type": "application/json"})
    assert (answer.status, answer.json["error"]) == (400, "invalid_json")
    missing = admin.get(f"/reports/{word}:none")
    assert (missing.status, missing.json["not_found"]) == (404, f"{word}:none")
