"""Users: their passwords, and what those open."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib import clock, keys, users
from chalicelib.access import Access
from chalicelib.bootstrap import Services
from chalicelib.errors import Forbidden, InvalidRequest, NotFound, Unauthenticated
from chalicelib.records import App, User
from chalicelib.storage.ports import Put, query_all

PASSWORD = "open sesame"


def test_the_right_password_gives_the_user(services: Services, app: App) -> None:
    made = services.users.create("Jo@Example.com", PASSWORD, app_ids=[app.app_id])
    assert (made.email, made.scope, made.app_ids) == ("jo@example.com", "write", [app.app_id])
    assert services.users.authenticate(" JO@example.com", PASSWORD).email == made.email


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("jo@example.com", "open sesame "),
        ("jo@example.com", ""),
        ("jo@example.com", "x" * 2000),
        ("nobody@example.com", PASSWORD),
        ("", ""),
        ("\ud800@x", "\ud800"),
        ("x" * 5000 + "@x", PASSWORD),
    ],
)
def test_anything_else_is_refused_alike(services: Services, email: str, password: str) -> None:
    services.users.create("jo@example.com", PASSWORD)
    with pytest.raises(Unauthenticated, match=r"^Invalid username/password\.$"):
        services.users.authenticate(email, password)


def test_an_unknown_user_costs_a_hash_as_a_known_one(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.users.create("jo@example.com", PASSWORD)
    asked: list[tuple[int, int, int]] = []
    real = users._scrypt

    def counted(password: str, salt: bytes, *costs: int) -> bytes:
        asked.append(costs)  # type: ignore[arg-type]
        return real(password, salt, *costs)

    monkeypatch.setattr(users, "_scrypt", counted)
    for email in ("jo@example.com", "nobody@example.com", "no address"):
        with pytest.raises(Unauthenticated):
            services.users.authenticate(email, "wrong password")
    assert len(asked) == 3
    assert len(set(asked)) == 1


def test_a_right_password_is_hashed_once_in_a_while(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    book = users.Users(services.table, services.accounts, now=lambda: now[0])
    book.create("jo@example.com", PASSWORD)
    hashed: list[str] = []
    real = users._scrypt

    def counted(password: str, *rest: object) -> bytes:
        hashed.append(password)
        return real(password, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(users, "_scrypt", counted)
    for _ in range(3):
        book.authenticate("jo@example.com", PASSWORD)
    assert len(hashed) == 1
    now[0] = 60.0
    book.authenticate("jo@example.com", PASSWORD)
    assert len(hashed) == 2
    for _ in range(2):  # a wrong one is never remembered
        with pytest.raises(Unauthenticated):
            book.authenticate("jo@example.com", "wrong password")
    assert len(hashed) == 4


def test_the_password_is_nowhere_neither_stored_nor_remembered(services: Services) -> None:
    services.users.create("jo@example.com", PASSWORD)
    services.users.authenticate("jo@example.com", PASSWORD)
    stored = services.table.get(keys.user("jo@example.com"))
    remembered = services.users._verified._entries
    assert len(remembered) == 1
    assert PASSWORD not in repr(stored) + repr(remembered)


def test_a_removed_user_is_refused_at_once(services: Services) -> None:
    services.users.create("jo@example.com", PASSWORD)
    services.users.authenticate("jo@example.com", PASSWORD)
    services.users.remove("Jo@example.com")
    with pytest.raises(Unauthenticated):
        services.users.authenticate("jo@example.com", PASSWORD)
    with pytest.raises(NotFound):
        services.users.remove("jo@example.com")
    services.users.create("jo@example.com", "another one")
    with pytest.raises(Unauthenticated):
        services.users.authenticate("jo@example.com", PASSWORD)


def test_hashes_of_other_costs_stay_good(services: Services) -> None:
    made = services.users.create("jo@example.com", PASSWORD)
    weaker = users._scrypt(PASSWORD, made.salt, 2, 8, 1)
    changed = replace(made, digest=weaker, cost=2, parallel=1)
    services.table.write([Put(changed.item())])
    assert services.users.authenticate("jo@example.com", PASSWORD) == changed


@pytest.mark.parametrize(
    ("email", "password", "scope", "field"),
    [
        ("jo", PASSWORD, "read", "email"),
        ("jo@", PASSWORD, "read", "email"),
        ("@x", PASSWORD, "read", "email"),
        ("a@b@c", PASSWORD, "read", "email"),
        ("a b@c", PASSWORD, "read", "email"),
        ("a@b\n", "", "read", "password"),
        ("a@b", "1234567", "read", "password"),
        ("a@b", " " * 9, "read", "password"),
        ("a@b", "x" * 1025, "read", "password"),
        ("a@b", PASSWORD, "upload", "scope"),
    ],
)
def test_what_no_user_can_have_is_named(
    services: Services, email: str, password: str, scope: str, field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        services.users.create(email, password, scope=scope)
    assert list(refused.value.fields) == [field]


def test_an_address_belongs_to_one_user(services: Services) -> None:
    services.users.create("jo@example.com", PASSWORD)
    with pytest.raises(InvalidRequest, match="already"):
        services.users.create("JO@example.com", "something else")
    assert [user.email for user in services.users.all()] == ["jo@example.com"]


def test_an_app_that_is_not_there_is_refused(services: Services) -> None:
    with pytest.raises(NotFound):
        services.users.create("jo@example.com", PASSWORD, app_ids=["x"])


def test_who_guesses_passwords_takes_neither_every_thread_nor_the_processor(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.users.create("jo@example.com", PASSWORD)
    go, hashing, most = threading.Event(), [0], [0]
    lock = threading.Lock()

    def slow(*_: object) -> bytes:
        with lock:
            hashing[0] += 1
            most[0] = max(most[0], hashing[0])
        go.wait(10)
        with lock:
            hashing[0] -= 1
        return b""

    monkeypatch.setattr(users, "_scrypt", slow)

    def guess(number: int) -> type[Exception]:
        try:
            services.users.authenticate("jo@example.com", f"guess {number}")
        except (Unauthenticated, users.TooManyLogins) as error:
            if isinstance(error, users.TooManyLogins):
                go.set()
            return type(error)
        raise AssertionError("a guess was right")

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(guess, range(20)))
    assert most[0] <= 2
    assert outcomes.count(Unauthenticated) >= 8
    assert outcomes.count(users.TooManyLogins) >= 1


# --- signing in -------------------------------------------------------------


def test_a_sign_in_opens_what_the_user_may_see_until_it_expires(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.users.create("jo@example.com", PASSWORD, app_ids=[app.app_id], scope="read")
    signed_in = services.users.sign_in("JO@example.com", PASSWORD)
    assert services.accounts.authenticate(signed_in.token) == Access(
        "read", frozenset({app.app_id})
    )
    days = (signed_in.expires_at - clock.now()).total_seconds() / 86_400
    assert days == pytest.approx(30, abs=0.01)
    past = clock.now() - timedelta(days=31)
    monkeypatch.setattr(clock, "now", lambda: past)
    expired = services.users.sign_in("jo@example.com", PASSWORD).token
    with pytest.raises(Unauthenticated):
        services.accounts.authenticate(expired)


def test_a_token_is_kept_as_its_hash_only(services: Services) -> None:
    services.users.create("jo@example.com", PASSWORD)
    token = services.users.sign_in("jo@example.com", PASSWORD).token
    (item,) = query_all(services.table, keys.token(token[:8], "").pk)
    assert token not in str(item)
    assert PASSWORD not in str(item)
    assert "expires_at" in item


def test_a_wrong_password_signs_nobody_in(services: Services) -> None:
    services.users.create("jo@example.com", PASSWORD)
    with pytest.raises(Unauthenticated):
        services.users.sign_in("jo@example.com", "open barley")


def test_a_user_who_is_removed_is_signed_out_also_when_made_again(services: Services) -> None:
    services.users.create("jo@example.com", PASSWORD)
    token = services.users.sign_in("jo@example.com", PASSWORD).token
    services.users.remove("jo@example.com")
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            services.accounts.authenticate(token)
        if not list(services.users.all()):
            services.users.create("jo@example.com", PASSWORD)


def test_a_changed_password_signs_out_and_the_old_one_opens_nothing(services: Services) -> None:
    services.users.create("jo@example.com", PASSWORD, scope="read")
    token = services.users.sign_in("jo@example.com", PASSWORD).token
    services.users.change_password("Jo@example.com", "open barley")
    with pytest.raises(Unauthenticated):
        services.accounts.authenticate(token)
    with pytest.raises(Unauthenticated):
        services.users.sign_in("jo@example.com", PASSWORD)
    signed_in = services.users.sign_in("jo@example.com", "open barley")
    assert services.accounts.authenticate(signed_in.token).scope == "read"
    with pytest.raises(InvalidRequest):
        services.users.change_password("jo@example.com", "short")
    with pytest.raises(NotFound):
        services.users.change_password("nobody@example.com", PASSWORD)


def test_a_sign_in_opens_what_its_user_may_see_now(services: Services, app: App) -> None:
    made = services.users.create("jo@example.com", PASSWORD)
    token = services.users.sign_in("jo@example.com", PASSWORD).token
    services.table.write([Put(replace(made, scope="read", app_ids=[app.app_id]).item())])
    assert services.accounts.authenticate(token) == Access("read", frozenset({app.app_id}))


# --- rights --------------------------------------------------------------


def test_rights_are_those_of_the_scope_on_the_apps() -> None:
    some = Access("write", frozenset({"a", "b"}))
    every = Access.of_user(User("e", "read", "", b"", b"", 2, 8, 1))
    assert [some.opens(app) for app in ("a", "b", "c", None)] == [True, True, False, False]
    assert every.opens("c")
    assert every.opens(None)
    some.require("read")
    some.require("upload")
    every.require("read")
    for access, scope in ((some, "admin"), (every, "write"), (every, "upload")):
        with pytest.raises(Forbidden):
            access.require(scope)  # type: ignore[arg-type]
