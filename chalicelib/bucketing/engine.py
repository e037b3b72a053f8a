"""Assign a stack to its buckets: the one interface that the rest of the service uses.

A known stack has its buckets at the price of one read. A new one reads its
terms, compares itself with the few stacks that share its rarest ones, and
joins the buckets of the closest at every threshold up to the score; for the
thresholds above it founds its own (PartyCrasher's rule, Campbell et al. 2016).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import cast

from chalicelib import keys
from chalicelib.bucketing import explanation, index, stacks, terms
from chalicelib.bucketing.assignment import (
    DEFAULT_THRESHOLD,
    THRESHOLDS,
    TOP_SCORE,
    Assignment,
    Comparison,
    Founder,
    Match,
    Preview,
    Weight,
)
from chalicelib.bucketing.index import Index, Posting, bits_of, chance_of
from chalicelib.bucketing.names import Names
from chalicelib.bucketing.similarity import Weighed, likeness, rarity_of
from chalicelib.bucketing.stack import Stack, digest_of, plain_function
from chalicelib.bucketing.stacks import KnownStack, Stacks
from chalicelib.bucketing.terms import ALL, Term
from chalicelib.storage.ports import (
    ConditionFailed,
    Conflict,
    Item,
    Key,
    Operation,
    Table,
    Update,
    get_all,
    query_all,
)

# score = 12 * likeness ** _STEEPNESS: puts the likeness above which two stacks more often than not
# have one cause (0.68 on the labelled corpora) at PartyCrasher's default threshold.
_STEEPNESS = 2.85
_TOP_WITHOUT_FRAMES = 10.5  # equal words are less than an equal stack: never one bucket at 11.0

_MAX_CANDIDATES = 16  # compared with a new stack, of all that share a rare term with it
_MIN_SHARED = 0.4  # of the rarity that the first candidate shares: what shares less is not closer
_MAX_NAMED = 150  # stacks: by then the rarest terms have said what they know
_RAREST_TERMS = 25  # of a new stack, whose postings name the candidates

# Messages that one stack may have before they count as data (a user's name, a file's) and are left
# out: each new one costs what a new stack costs, and may found a bucket.
_MAX_MESSAGES = 8

_MAX_ATTEMPTS = 5  # to write a new stack while others write the same terms

_MAX_RECOUNTS = 30  # of a stack's reports: each failure means that another worker counted some


@dataclass(frozen=True, slots=True)
class _Near:
    """A new stack's weights, what the index knows of its terms (nothing for one that it is not to
    name), the closest stored stack and that one's buckets."""

    weighed: Weighed
    postings: Mapping[Term, Posting] = field(default_factory=dict)
    match: Match | None = None
    buckets: Mapping[str, str] = field(default_factory=dict)


class Bucketing:
    """Knows stacks and the table port, nothing of reports, apps or doors."""

    def __init__(
        self,
        table: Table,
        thresholds: Sequence[str] = THRESHOLDS,
        default_threshold: str = DEFAULT_THRESHOLD,
    ) -> None:
        self._table = table
        self._index = Index(table)
        self._stacks = Stacks(table)
        self._names = Names(table)
        self.thresholds = tuple(thresholds)
        self.default_threshold = default_threshold

    # --- assigning ---

    def assign(self, stack: Stack, founder: Founder, forced: str | None = None) -> Assignment:
        """The buckets of this stack, opened now if it is a new one.

        `founder` names the buckets it may open. Of two callers with the same
        new stack at the same moment one opens them, and both get those. A
        crash with nothing to compare founds its own buckets. `forced` puts
        the report into that bucket at every threshold, whatever it is like.
        """
        for _ in range(_MAX_ATTEMPTS):
            known = self._known(stack, founder)
            if known is not None and (forced is None or known.is_forced(founder, forced)):
                return self._complete(known)
            try:
                return self._store(stack, founder, forced, known)
            except ConditionFailed:
                continue  # another worker just stored it: now it is known
        raise Conflict(f"the stack of {founder.database_id} comes and goes")

    def preview(self, stack: Stack, app_id: str | None = None) -> Preview:
        """Where the stack would go in an app (None: in a new one); nothing is stored."""
        known = self._known(stack, None)
        if known is not None:
            return self._as_known(known)
        return self._as_near(self._near(stack if app_id is None else self.named(stack, app_id)))

    def recognise(self, stack: Stack) -> Preview | None:
        """Where the stack would go if one is stored that equals it, or that has no frames either
        and says the same; None for a new one, which is compared with no other.

        Two reads at most.
        """
        known = self._known(stack, None)
        if known is not None:
            return self._as_known(known)
        same = self._same_content(stack)
        return None if same is None else self._as_near(_same_words(stack, same))

    def _as_known(self, known: KnownStack) -> Preview:
        itself = Match(known.fingerprint, known.founder, TOP_SCORE)
        return Preview(self._complete(known).buckets, itself)

    def _as_near(self, near: _Near) -> Preview:
        own: dict[str, str | None] = dict.fromkeys(self.thresholds)
        return Preview({**own, **self._shared(near)}, near.match)

    def assignments(self, fingerprints: Sequence[str]) -> Mapping[str, Assignment]:
        """What was decided for stored stacks (at most 100), by fingerprint."""
        found = self._stacks.read(fingerprints)
        return {fingerprint: self._complete(known) for fingerprint, known in found.items()}

    def members(self, threshold: str, bucket_id: str) -> Iterator[str]:
        """The fingerprints of the stacks in a bucket."""
        for item in query_all(self._table, keys.member(bucket_id, "").pk):
            if threshold in stacks.thresholds_of(item):
                yield str(item["sk"])

    def _known(self, stack: Stack, founder: Founder | None) -> KnownStack | None:
        """The stored stack that this one equals, or as which this founder's was stored before."""
        fingerprints = [stack.fingerprint] if stack.fingerprint else []
        if stack.fingerprint and stack.message:
            fingerprints.append(stack.plain_fingerprint or "")
        elif founder is not None:
            fingerprints = [_fingerprint_of(stack, founder)]
        found = self._stacks.read(fingerprints)
        return next((found[name] for name in fingerprints if name in found), None)

    def _store(
        self, stack: Stack, founder: Founder, forced: str | None, known: KnownStack | None
    ) -> Assignment:
        """Store a new stack, or put a report aside from one that is known.

        Raises `ConditionFailed` when another worker stores the same at this moment.
        """
        if known is not None and forced is not None:
            fingerprint = digest_of("forced", forced, known.fingerprint, founder.database_id)
            before = self._stacks.current(fingerprint)
            if before is not None:  # the report comes again
                return self._complete(before)
            aside = self._made(fingerprint, _Near(Weighed(stack, (), ())), founder, forced)
            return self._write(aside, stacks.puts_of(aside), {})
        if not stack.frames:
            return self._store_content(stack, founder, forced)
        # A stack keeps the fingerprint that it came with, whatever names were learned for it.
        own, own_plain = stack.fingerprint or "", stack.plain_fingerprint or ""
        stack, learned = self._names.of(stack, founder.app_id)
        plain = stack.plain_fingerprint or ""
        counted = self._table.get(keys.stack_messages(plain)) if stack.message else None
        if stacks.messages_of(counted) >= _MAX_MESSAGES:
            stack = replace(stack, message="", words=())
            own = own_plain
        near = self._near(stack)
        new = self._made(own, near, founder, forced)
        operations = [*stacks.puts_of(new), *learned]
        if stack.message:
            operations.append(Update(keys.stack_messages(plain), add={"messages": 1}))
        return self._write(new, operations, near.postings)

    def _store_content(self, stack: Stack, founder: Founder, forced: str | None) -> Assignment:
        """A crash without frames is a stack of its own, close to those that say the same."""
        near = self._near(stack)
        new = self._made(_fingerprint_of(stack, founder), near, founder, forced)
        operations = stacks.puts_of(new)
        if near.postings:
            operations.append(stacks.content_put(stack.content or "", new.fingerprint))
        return self._write(new, operations, near.postings)

    def _made(
        self, fingerprint: str, near: _Near, founder: Founder, forced: str | None
    ) -> KnownStack:
        """A new stack: in the match's buckets up to its score, in its founder's own above."""
        own = dict.fromkeys(self.thresholds, forced or founder.database_id)
        return KnownStack(
            fingerprint=fingerprint,
            weighed=near.weighed,
            buckets=own if forced is not None else {**own, **self._shared(near)},
            founder=founder,
            match=near.match,
            is_indexed=bool(near.postings),
        )

    def _write(
        self, new: KnownStack, operations: list[Operation], postings: Mapping[Term, Posting]
    ) -> Assignment:
        """Store a new stack with its terms.

        A term that others keep changing counts the stack in the end, but does
        not name it: the stack is still found by its rare ones.
        """
        crowded: set[Term] = set()
        for attempt in count(1):
            additions = self._index.additions(new.fingerprint, postings, crowded)
            updated = list(additions)
            try:
                self._table.write([*operations, *additions.values()])
            except ConditionFailed as failure:
                if failure.indexes[0] < len(operations):
                    raise
                lost = [updated[at - len(operations)] for at in failure.indexes]
                postings = {**postings, **self._index.read(lost)}
                if attempt >= _MAX_ATTEMPTS:
                    crowded.update(lost)  # these have no condition any more, so that this ends
            else:
                break
        return self._complete(new)

    # --- counting ---

    def count_reports(self, app_id: str, fingerprints: Sequence[str]) -> None:
        """Count an app's reports of these stacks for the functions they hold.

        Each at once while the service is small. Later whenever a stack has
        twice as many: that costs the logarithm of its reports, and as the
        total is counted with them, the shares keep within a fraction of a bit.
        """
        is_small = self._index.read([])[ALL].reports < index.SMALL
        waiting = {keys.reports_of_stack(name, app_id): name for name in fingerprints}
        for _ in range(_MAX_RECOUNTS):
            contested = {}
            for key, item in get_all(self._table, waiting).items():
                reports, counted = cast(int, item["reports"]), cast(int, item.get("counted", 0))
                is_due = abs(reports - counted) >= (1 if is_small else max(1, counted))
                if is_due and not self._count_functions(key, waiting[key], app_id, item):
                    contested[key] = waiting[key]
            if not contested:
                return
            waiting = contested

    def _count_functions(self, key: Key, fingerprint: str, app_id: str, item: Item) -> bool:
        """False: another worker counted just then, perhaps without the latest reports."""
        reports, counted = cast(int, item["reports"]), cast(int | None, item.get("counted"))
        if counted is None:  # who brought it counts: not who did before it was deleted
            known = self._stacks.current(fingerprint)
            before = known.counted_in(app_id) if known else 0
            weighed = known.weighed if known else None
        else:
            weighed = self._stacks.weighed([fingerprint]).get(fingerprint)
            before = counted
        if reports == before:
            return True
        names = weighed.stack.frames if weighed else ()
        postings = self._index.read(dict.fromkeys(map(terms.frame, names)))
        chance = chance_of(f"{key.pk}{key.sk}{reports}")
        # Not where it was forgotten meanwhile: what is left would be a count without reports.
        require = {"counted": counted}
        done = Update(key, set={"counted": reports}, require=require, must_exist=True)
        try:
            more = self._index.more_reports(chance, reports - before, postings)
            self._table.write([done, *more])
        except (ConditionFailed, Conflict):
            return False
        return True

    # --- finding the closest ---

    def _near(self, stack: Stack) -> _Near:
        """What lies around a new stack."""
        same = self._same_content(stack)
        if same is not None:
            return _same_words(stack, same)
        if not (stack.frames or stack.content):
            return _Near(Weighed(stack, (), ()))
        postings = self._index.read(terms.terms(stack))
        total = postings[ALL].stacks
        weighed = _weigh(stack, postings, total)
        scores = {
            fingerprint: score_of(weighed, known)
            for fingerprint, known in self._candidates(postings, total).items()
            if bool(known.stack.frames) == bool(stack.frames)
        }
        for fingerprint in sorted(scores, key=lambda name: -scores[name]):
            known = self._stacks.current(fingerprint)
            if known is not None:  # not deleted since it was read
                match = Match(fingerprint, known.founder, scores[fingerprint])
                return _Near(weighed, postings, match, known.buckets)
        return _Near(weighed, postings)

    def _shared(self, near: _Near) -> dict[str, str]:
        """The match's buckets at every threshold up to its score."""
        score = near.match.score if near.match else 0.0
        return {
            t: near.buckets[t] for t in self.thresholds if t in near.buckets and score >= float(t)
        }

    def _candidates(self, postings: Mapping[Term, Posting], total: int) -> dict[str, Weighed]:
        """The stacks that share the rarest terms, those that share most of them first."""
        rarities = ((bits_of(posting, total), term) for term, posting in postings.items())
        named = ((bits, term) for bits, term in rarities if postings[term].packed)
        rarest = heapq.nlargest(_RAREST_TERMS, named, key=lambda entry: entry[0])
        weights: dict[bytes, float] = {}
        for bits, term in rarest:
            weight = bits * bits
            for name in postings[term].newest():
                weights[name] = weights.get(name, 0.0) + weight
            if len(weights) >= _MAX_NAMED:
                break
        nearest = heapq.nlargest(_MAX_CANDIDATES, weights, key=lambda name: (weights[name], name))
        least = _MIN_SHARED * weights[nearest[0]] if nearest else 0.0
        best = [name.hex() for name in nearest if weights[name] >= least]
        found = self._stacks.weighed(best)
        return {fingerprint: found[fingerprint] for fingerprint in best if fingerprint in found}

    def _same_content(self, stack: Stack) -> KnownStack | None:
        """The first crash without frames that says just the same."""
        item = self._table.get(keys.content(stack.content)) if stack.content else None
        return self._stacks.current(str(item["fingerprint"])) if item else None

    def _complete(self, known: KnownStack) -> Assignment:
        """What was decided, with thresholds that came into use later: the stack's own bucket."""
        own = known.founder.database_id
        buckets = {name: known.buckets.get(name, own) for name in self.thresholds}
        return Assignment(known.fingerprint, buckets, known.founder, known.match)

    # --- telling why ---

    def functions(self, fingerprints: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """The names of the frames of stored stacks, by fingerprint."""
        found = self._stacks.weighed(fingerprints)
        return {name: weighed.stack.frames for name, weighed in found.items()}

    def named(self, stack: Stack, app_id: str) -> Stack:
        """The stack with the names that the app's other reports have for its nameless frames."""
        return self._names.of(stack, app_id)[0]

    def summary(self, stack: Stack) -> tuple[Weight, ...]:
        """What makes the stack what it is: its terms by falling weight."""
        return explanation.summary(self._weighed(stack))

    def compare(self, stack: Stack, other: Stack) -> Comparison:
        """How alike two stacks are, with every term's share and the frames side by side."""
        one, two = self._weighed(stack), self._weighed(other)
        return explanation.compare(one, two, score_of(one, two))

    def rarity(self, functions: Sequence[str]) -> Mapping[str, float]:
        """For each function: minus log2 of the share of all reports that hold it (`logdf`, bits).

        Functions that no report holds are left out.
        """
        wanted = {name: terms.frame(plain_function(name)) for name in functions}
        distinct = list(dict.fromkeys(wanted.values()))
        known: dict[Term, Posting] = {}
        for start in range(0, len(distinct), terms.MAX_TERMS):
            known.update(self._index.read(distinct[start : start + terms.MAX_TERMS]))
        if not known:
            return {}
        total = known[ALL].reports
        return {
            name: index.bits_of_share(known[term].reports, total)
            for name, term in wanted.items()
            if known[term].reports > 0
        }

    def _weighed(self, stack: Stack) -> Weighed:
        postings = self._index.read(terms.terms(stack))
        return _weigh(stack, postings, postings[ALL].stacks)


def _same_words(stack: Stack, same: KnownStack) -> _Near:
    """What lies around a crash without frames that says what another one said."""
    match = Match(same.fingerprint, same.founder, _TOP_WITHOUT_FRAMES)
    return _Near(Weighed(stack, (), ()), {}, match, same.buckets)


def score_of(one: Weighed, other: Weighed) -> float:
    """The likeness of two stacks on PartyCrasher's scale, from 0 to `TOP_SCORE`."""
    score = TOP_SCORE * math.pow(likeness(one, other).value, _STEEPNESS)
    return score if one.stack.frames else min(score, _TOP_WITHOUT_FRAMES)


def _weigh(stack: Stack, postings: Mapping[Term, Posting], total: int) -> Weighed:
    nothing = Posting()

    def bits(term: Term) -> float:
        return bits_of(postings.get(term, nothing), total)

    return Weighed(
        stack,
        tuple(rarity_of(bits(terms.frame(name))) for name in stack.frames),
        tuple(bits(terms.word(text)) for text in stack.words),
    )


def _fingerprint_of(stack: Stack, founder: Founder) -> str:
    """The stack's fingerprint; a crash without frames has one of its own."""
    return stack.fingerprint or digest_of("alone", founder.database_id)
