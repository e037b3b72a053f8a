"""A query in the words of one API, told in ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.queries.document import as_interval
from chalicelib.queries.query import And, Everything, Not, Or, Query, Range, Word

_ALL = Everything()


def renamed(query: Query, names: Mapping[str, str]) -> Query:
    """The query with other names of fields, which are compared without case."""
    match query:
        case And(operands):
            return And(tuple(renamed(operand, names) for operand in operands))
        case Or(operands):
            return Or(tuple(renamed(operand, names) for operand in operands))
        case Not(operand):
            return Not(renamed(operand, names))
        case Everything():
            return query
    if query.field is None:
        return query
    root, dot, below = query.field.partition(".")
    return replace(query, field=names.get(root.casefold(), root) + dot + below)


@dataclass(frozen=True, slots=True)
class Between:
    """What can match is not before `since`, and before `until`; None is no limit."""

    since: datetime | None = None
    until: datetime | None = None


def dates_of(query: Query, field: str) -> Between:
    """The time that a query allows by a date that all of it depends on: so that a search reads
    no more than that time's reports."""
    match query:
        case And(operands):
            found = [dates_of(operand, field) for operand in operands]
            since = max((one.since for one in found if one.since), default=None)
            until = min((one.until for one in found if one.until), default=None)
            return Between(since, until)
        case Range(low, high) if query.field == field:
            begin = as_interval(low) if low else None
            end = as_interval(high) if high else None
            return Between(begin[0] if begin else None, end[1] if end else None)
        case Word(text) if query.field == field:
            day = as_interval(text)
            return Between(*day) if day else Between()
    return Between()


def without_dates(query: Query, field: str) -> Query:
    """The query without those bounds that `dates_of` tells wholly: what is between need not be
    looked at again."""
    match query:
        case And(operands):
            return And(tuple(without_dates(operand, field) for operand in operands))
        case Range(low, high, True, True) if query.field == field:
            readable = (bound is None or as_interval(bound) is not None for bound in (low, high))
            return _ALL if all(readable) else query
    return query
