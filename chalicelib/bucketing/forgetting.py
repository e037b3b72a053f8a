"""Take stacks out of the store and out of the index, once their reports are deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import cast

from chalicelib import keys
from chalicelib.bucketing import terms
from chalicelib.bucketing.index import Index, Posting
from chalicelib.bucketing.stacks import KnownStack, Stacks
from chalicelib.bucketing.terms import ALL, Term
from chalicelib.storage.ports import (
    MAX_BATCH_ITEMS,
    ConditionFailed,
    Conflict,
    Delete,
    Item,
    Key,
    Table,
    Update,
    query_all,
)

_MAX_ATTEMPTS = 20  # each failure means that another worker changed the same terms


class Forgetting:
    """Deletes what bucketing keeps of stacks."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._index = Index(table)
        self._stacks = Stacks(table)

    def forget(
        self, fingerprints: Iterable[str], app_ids: Collection[str], *, nothing_stays: bool = False
    ) -> None:
        """Take from each stack what these apps have of it, and all of it where that is all.

        Common terms are counted by chance, and so are they taken back: with
        `nothing_stays` no other app has any report, and the terms go as a whole.
        What is counted is taken back in the same batch as the item that says
        how much it was: running it again takes nothing twice.
        """
        for fingerprint in fingerprints:
            partition = keys.stack(fingerprint).pk
            items = {str(item["sk"]): item for item in query_all(self._table, partition)}
            known = self._stacks.read([fingerprint]).get(fingerprint)
            for app_id in app_ids:
                totals = items.get(keys.reports_of_stack(fingerprint, app_id).sk)
                if totals is not None:
                    self._uncount(None if nothing_stays else known, totals)
            ours = {keys.stack_in_app(fingerprint, app_id).sk for app_id in app_ids}
            everybodys = {sk for sk in items if sk.startswith("app#")}
            left = ours & everybodys
            ours |= {keys.reports_of_stack(fingerprint, app_id).sk for app_id in app_ids}
            everybodys |= {sk for sk, item in items.items() if item.get("reports")}
            if known is not None and everybodys <= ours:
                of_founder = keys.reports_of_stack(fingerprint, known.founder.app_id).sk
                self._forget(known, 0 if of_founder in items else 1, nothing_stays)
                left.add(of_founder)
            self._delete(Key(partition, sk) for sk in left)

    def _uncount(self, known: KnownStack | None, totals: Item) -> None:
        """Take an app's count of a stack away, and from the functions it was added to.

        That of the app that brought the stack says 0 from then on: where it
        says nothing, the report that the stack came with counts as its own.
        """
        app_id = cast(str, totals["sk"]).partition("#")[2]
        counted = cast(int, totals.get("counted", known.counted_in(app_id) if known else 0))
        names = known.weighed.stack.frames if known and counted else ()
        touched = dict.fromkeys((*map(terms.frame, names), ALL)) if known and counted else {}
        taken: Delete | Update = Delete(_key(totals), must_exist=True)
        if known is not None and known.founder.app_id == app_id:
            nothing = {"reports": 0, "counted": 0}
            taken = Update(_key(totals), set=nothing, require={"counted": totals.get("counted")})

        def less(_: Term, posting: Posting) -> Posting:
            return replace(posting, reports=max(0, posting.reports - counted))

        self._write([taken], touched, less)

    def _forget(self, known: KnownStack, reports: int, nothing_stays: bool) -> None:
        """Delete a stack; where the index names it, it does so no longer.

        `reports` are those that its terms were given with it and still have.
        """
        stack, fingerprint = known.weighed.stack, known.fingerprint
        doomed = [Delete(keys.stack(fingerprint), must_exist=True)]
        doomed += [Delete(keys.member(name, fingerprint)) for name in set(known.buckets.values())]
        if stack.plain_fingerprint is not None:
            doomed.append(Delete(keys.stack_messages(stack.plain_fingerprint)))
        if stack.content is not None:
            place = keys.content(stack.content)
            content = self._table.get(place)
            if content is not None and content["fingerprint"] == fingerprint:
                doomed.append(Delete(place))

        def without(term: Term, posting: Posting) -> Posting:
            if nothing_stays:
                return Posting()
            left = max(0, posting.reports - (reports if term.counts_reports else 0))
            return Posting(max(0, posting.stacks - 1), left, posting.without(fingerprint))

        has_terms = known.is_indexed or nothing_stays  # a forced one's functions are counted too
        touched = dict.fromkeys((*terms.terms(stack), ALL)) if has_terms else {}
        self._write(doomed, touched, without)

    def _write(
        self,
        taken: Sequence[Delete | Update],
        touched: Iterable[Term],
        change: Callable[[Term, Posting], Posting],
    ) -> None:
        """Take the items away, the first on a condition, together with changing the terms.

        What a stack has fits into one batch, as it was written in one.
        """
        wanted = list(touched)
        for _ in range(_MAX_ATTEMPTS):
            known = self._index.read(wanted) if wanted else {}
            changes = (self._index.changed(t, known[t], change(t, known[t])) for t in wanted)
            try:
                self._table.write([*taken, *(made for made in changes if made is not None)])
            except ConditionFailed as failure:
                if failure.indexes[0] == 0:
                    return  # another one took it back
            else:
                return
        raise Conflict(f"the terms of {taken[0].key.pk} keep changing")

    def _delete(self, doomed: Iterable[Key]) -> None:
        distinct = list(dict.fromkeys(doomed))
        for start in range(0, len(distinct), MAX_BATCH_ITEMS):
            self._table.write([Delete(key) for key in distinct[start : start + MAX_BATCH_ITEMS]])


def _key(item: Item) -> Key:
    return Key(cast(str, item["pk"]), cast(str, item["sk"]))
