"""An app above its quota: a sample is kept, all of it is counted, and more is refused."""

from __future__ import annotations

import secrets

from tests.blackbox import crashes
from tests.blackbox.client import Client, eventually
from tests.blackbox.target import Target
from tests.minidump_forms import Part

_STORED, _REFUSED_ABOVE = 3, 10
_MOST = 200  # posts until one is refused: what several processes let through before they tell


def test_above_its_quota_an_app_is_told_to_wait_and_its_counts_stay_exact(
    service: Target, admin: Client, anyone: Client, word: str
) -> None:
    made = service.crashbucket.run("app", "create", f"Quota {secrets.token_hex(4)}")
    path = f"/api/2/apps/{made['app_id']}"
    limits = {"stored_per_minute": _STORED, "refused_above_per_minute": _REFUSED_ABOVE}
    decided = admin.post_json(f"{path}/policy", limits, method="PUT")
    assert (decided.status, decided.json["decided"]) == (200, sorted(limits))
    taken = 0
    for _ in range(_MOST):
        log = [Part("log", crashes.log(word), "crash.log")]
        answer = anyone.post_form(f"{path}/crashes/upload", log)
        if answer.status == 429:
            break
        assert answer.status == 201
        taken += 1
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) > 0
    assert taken >= _REFUSED_ABOVE

    def counted() -> int:
        groups = admin.get(f"{path}/crash_reasons").json["crash_reasons"]
        return sum(int(group["number_of_crashes"]) for group in groups)

    eventually(lambda: counted() == taken, service.patience_s)
    stored = service.crashbucket.run("recount", "--app", made["app_id"])
    assert not stored["differences"]
    assert _STORED <= stored["reports"] <= taken
