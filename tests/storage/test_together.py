"""Work of several threads in one transaction of the embedded store."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from chalicelib.storage.embedded.database import Database
from chalicelib.storage.ports import BlobExists
from tests.storage.threads import together

SCHEMA = "CREATE TABLE IF NOT EXISTS numbers (number INTEGER PRIMARY KEY);"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "test.db", SCHEMA)


def stored(database: Database) -> list[int]:
    rows = database.reader().execute("SELECT number FROM numbers ORDER BY number")
    return [row[0] for row in rows]


def test_everybodys_work_is_committed_and_answered(database: Database) -> None:
    answers: dict[int, int] = {}

    def work(number: int) -> None:
        def insert(connection: sqlite3.Connection) -> int:
            connection.execute("INSERT INTO numbers VALUES (?)", (number,))
            return number * 2

        answers[number] = database.together(insert)

    together(16, work)
    assert stored(database) == list(range(16))
    assert answers == {number: number * 2 for number in range(16)}
    database.close()


def test_a_refusal_is_its_own_and_disturbs_nobody(database: Database) -> None:
    refused: list[int] = []

    def work(number: int) -> None:
        def insert(connection: sqlite3.Connection) -> None:
            if number % 2:
                raise BlobExists(str(number))
            connection.execute("INSERT INTO numbers VALUES (?)", (number,))

        try:
            database.together(insert)
        except BlobExists as error:
            refused.append(int(str(error)))

    together(16, work)
    assert stored(database) == list(range(0, 16, 2))
    assert sorted(refused) == list(range(1, 16, 2))
    database.close()


def test_a_failure_leaves_nothing_of_those_who_shared_it_and_tells_them(database: Database) -> None:
    told: list[int] = []

    def work(number: int) -> None:
        def insert(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO numbers VALUES (?)", (number,))
            if number == 3:
                raise ZeroDivisionError

        try:
            database.together(insert)
        except ZeroDivisionError:
            told.append(number)

    together(8, work)
    assert 3 in told
    assert stored(database) == sorted(set(range(8)) - set(told))
    database.close()
