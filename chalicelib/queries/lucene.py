"""Lucene's query syntax, read with luqum's grammar into our own tree.

What differs from Lucene's classic parser, and why, is told in docs/search.md:
the default operator is AND, NOT binds tighter than AND, AND tighter than OR,
and a boost is read but means nothing, as results are sorted by a field.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import cache, partial
from importlib import import_module
from typing import Any

from chalicelib.errors import InvalidQuery
from chalicelib.queries.document import words_of
from chalicelib.queries.query import (
    And,
    Everything,
    Exists,
    Fuzzy,
    Not,
    Or,
    Phrase,
    Query,
    Range,
    Wildcard,
    Word,
)

MAX_QUERY_CHARS = 4096
MAX_CLAUSES = 100  # words, phrases and ranges: each costs a look at every report
MAX_DEPTH = 64  # of luqum's tree, where a group, a field and an operator are a level each
MAX_EDITS = 2  # Lucene's own: beyond it, short words are like any other
MAX_SLOP = 100
MAX_PROXIMITY_WORDS = 32  # each walks over all places of its word
MAX_WILDCARD_CHARS = 128

# What luqum's grammar lacks. A '!' that begins a term is a '-', of the same
# length so that columns stay; phrases, terms and escapes are passed over.
_NEGATION = re.compile(
    r"""
    "(?:[^\\"]|\\.)*"
    | (?:\\.|[^\s:^~(){}\[\]/"'+\-\\<>!])(?:\\.|[^\s:^\\~(){}\[\]])*
    | (!)
    """,
    re.VERBOSE,
)
_SYMBOLS = {"&&": "AND_OP", "||": "OR_OP"}
_NUMBER = re.compile(r"\d{1,18}(?:\.\d{1,18})?", re.ASCII)
_TAKE_A_NUMBER = {
    "APPROX": "'~' stands behind a word or a phrase, and takes a number such as 2 or 0.5",
    "BOOST": "'^' stands behind what it boosts, and takes a number such as 2 or 0.5",
}
_BEFORE_A_NUMBER = frozenset({"COLUMN", "LESSTHAN", "GREATERTHAN", "LBRACKET", "TO"})
_UNESCAPED_WILDCARD = re.compile(r"(?<!\\)(?:\\\\)*[*?]")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

_loading = threading.Lock()


def parse(text: str) -> Query:
    """The tree of a query in Lucene's syntax; an empty one asks for everything.

    Raises `InvalidQuery` with the column and what to do: for what is no
    query, for regular expressions, and beyond the limits above.
    """
    if len(text) > MAX_QUERY_CHARS:
        raise InvalidQuery(
            f"the query has {len(text)} characters; the limit is {MAX_QUERY_CHARS}",
            MAX_QUERY_CHARS + 1,
        )
    if not text.strip():
        return Everything()
    tokens = _Tokens(text)
    parser = _luqum("parser")
    try:
        tree = parser.parser.parse(input=None, lexer=tokens.lexer, tokenfunc=tokens.next)
    except (ValueError, ArithmeticError):  # luqum's errors, and numbers it takes for decimals
        raise tokens.not_expected() from None
    return _Reader().read(tree, None, 0)


@cache
def _luqum(name: str) -> Any:
    """A module of luqum: loaded at the first query, for a start without a search needs none.

    PLY would build its tables anew on a Python that keeps docstrings in
    another form than the one luqum was packed with (3.13), and write them and
    a log beside luqum's code; told not to, it builds them in memory.
    """
    from ply import yacc  # noqa: PLC0415

    with _loading:
        original = yacc.yacc
        yacc.yacc = partial(original, debug=False, write_tables=False, errorlog=yacc.NullLogger())
        try:
            return import_module(f"luqum.{name}")
        finally:
            yacc.yacc = original


class _Tokens:
    """luqum's tokens of one query, one by one; knows the last one for an error's column."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.lexer = _luqum("parser").lexer.clone()  # the lexer keeps state, so each query has one
        self.lexer.input(_NEGATION.sub(lambda found: "-" if found[1] else found[0], text))
        self._tokens: Iterator[Any] = iter(self._joined(list(self._lexed())))
        self._last: Any = None

    def next(self) -> Any:
        self._last = next(self._tokens, None)
        return self._last

    def not_expected(self) -> InvalidQuery:
        """Why the grammar could not go on after the last token."""
        token = self._last
        if token is None:
            return InvalidQuery(
                "the query ends too early: a word, a bound or a closing bracket is missing",
                len(self._text) + 1,
            )
        written = str(token.value) or self._text[token.lexpos]
        problem = {
            "COLUMN": "a ':' is not expected here: in a word write \\: or put it in quotes",
            "RPAREN": "this ')' closes nothing, or there is nothing between the parentheses",
            "AND_OP": f"{written} needs something before and after it",
            "OR_OP": f"{written} needs something before and after it",
            **_TAKE_A_NUMBER,
        }.get(token.type, f"{written} is not expected here: put text like this in quotes")
        return InvalidQuery(problem, token.lexpos + 1)

    def _lexed(self) -> Iterator[Any]:
        errors = _luqum("exceptions")
        while True:
            try:
                token = self.lexer.token()
            except errors.IllegalCharacterError:
                raise self._illegal(self.lexer.lexpos) from None
            if token is None:
                return
            if token.type == "REGEX":
                raise InvalidQuery(
                    "regular expressions are not supported: use the wildcards * and ?,"
                    " and put a path in quotes",
                    token.lexpos + 1,
                )
            if token.type == "TERM" and token.value.value in _SYMBOLS:
                token.type = _SYMBOLS[token.value.value]
            if token.type in _TAKE_A_NUMBER:
                number = token.value.value
                if number is not None and not _NUMBER.fullmatch(number):
                    raise InvalidQuery(_TAKE_A_NUMBER[token.type], token.lexpos + 1)
            yield token

    def _illegal(self, position: int) -> InvalidQuery:
        character = self._text[position]
        if character == '"':
            problem = "this quote is not closed"
        elif character == "\\":
            problem = "a backslash needs a character behind it that it takes as it is"
        else:
            problem = f"{character} cannot begin a word: put the text in quotes"
        return InvalidQuery(problem, position + 1)

    def _joined(self, tokens: list[Any]) -> Iterator[Any]:
        """The tokens with a minus that is a number's sign made part of the number."""
        before = ""
        skip = False
        for token, following in zip(tokens, [*tokens[1:], None], strict=True):
            if skip:
                skip = False
                continue
            if (
                token.type == "MINUS"
                and before in _BEFORE_A_NUMBER
                and self._text[token.lexpos] == "-"
                and following is not None
                and following.type == "TERM"
                and following.lexpos == token.lexpos + 1
                and _NUMBER.fullmatch(following.value.value)
            ):
                following.value.value = f"-{following.value.value}"
                token, skip = following, True  # noqa: PLW2901
            before = token.type
            yield token


class _Reader:
    """Turns luqum's tree into ours, counting what it costs."""

    def __init__(self) -> None:
        self._tree = _luqum("tree")
        self._clauses = 0

    def read(self, node: Any, field: str | None, depth: int) -> Query:
        tree = self._tree
        if depth > MAX_DEPTH:
            raise _refused(node, f"the query is nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, tree.SearchField):
            return self._field(node, field, depth)
        if isinstance(node, tree.BaseGroup | tree.Boost):
            return self.read(node.expr, field, depth + 1)
        if isinstance(node, tree.Plus):
            return self.read(node.a, field, depth + 1)
        if isinstance(node, tree.Not | tree.Prohibit):
            return Not(self.read(node.a, field, depth + 1))
        if isinstance(node, tree.OrOperation):
            # as in Lucene, a '+' says that the others are optional
            required = [operand for operand in node.operands if isinstance(operand, tree.Plus)]
            operands = tuple(
                self.read(operand, field, depth + 1) for operand in required or node.operands
            )
            return (
                operands[0] if len(operands) == 1 else And(operands) if required else Or(operands)
            )
        if isinstance(node, tree.BaseOperation):
            return And(tuple(self.read(operand, field, depth + 1) for operand in node.operands))
        self._clauses += 1
        if self._clauses > MAX_CLAUSES:
            raise _refused(node, f"the query has more than {MAX_CLAUSES} clauses")
        return self._leaf(node, field)

    def _field(self, node: Any, field: str | None, depth: int) -> Query:
        name = _unescaped(node.name)
        if field is not None:
            raise _refused(
                node,
                f"the field {name} stands inside of the field {field}:"
                " if the ':' belongs to the text, write \\: or put the text in quotes",
            )
        if node.name == "*":
            return self.read(node.expr, None, depth + 1)
        if _UNESCAPED_WILDCARD.search(node.name):
            raise _refused(node, "the name of a field takes no wildcard")
        if name != "_exists_":
            return self.read(node.expr, name, depth + 1)
        if not isinstance(node.expr, self._tree.Term) or _is_wildcard(node.expr):
            raise _refused(node, "_exists_: takes the name of one field, without a wildcard")
        return Exists(_text(node.expr))

    def _leaf(self, node: Any, field: str | None) -> Query:
        tree = self._tree
        if isinstance(node, tree.Word):
            return _word(node, field)
        if isinstance(node, tree.Phrase):
            return Phrase(_phrase(node), field)
        if isinstance(node, tree.Proximity):
            if not 0 <= node.degree <= MAX_SLOP:
                raise _refused(node, f"a phrase's ~ takes a number from 0 to {MAX_SLOP}")
            text = _phrase(node.term)
            if len(words_of(text)) > MAX_PROXIMITY_WORDS:
                raise _refused(node, f"a phrase with ~ may have {MAX_PROXIMITY_WORDS} words")
            return Phrase(text, field, int(node.degree))
        if isinstance(node, tree.Fuzzy):
            return _fuzzy(node, field)
        if isinstance(node, tree.Range):
            low, high = self._bound(node.low), self._bound(node.high)
            return _range(low, high, bool(node.include_low), bool(node.include_high), field)
        if isinstance(node, tree.From):
            return _range(self._bound(node.a), None, bool(node.include), True, field)
        assert isinstance(node, tree.To), type(node)
        return _range(None, self._bound(node.a), True, bool(node.include), field)

    def _bound(self, node: Any) -> str | None:
        if isinstance(node, self._tree.Prohibit):
            return f"-{_text(node.a)}"
        if isinstance(node, self._tree.Word):
            if node.value == "*":
                return None
            if _is_wildcard(node):
                raise _refused(
                    node, "a bound takes no wildcard but a single *, which leaves it open"
                )
        return _text(node)


def _refused(node: Any, problem: str) -> InvalidQuery:
    return InvalidQuery(problem, (node.pos or 0) + 1)


def _is_wildcard(node: Any) -> bool:
    return type(node).__name__ == "Word" and bool(_UNESCAPED_WILDCARD.search(node.value))


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(r"\1", text)


def _text(node: Any) -> str:
    """A term's text, without the quotes of a phrase."""
    value = str(node.value)
    return _unescaped(value[1:-1] if type(node).__name__ == "Phrase" else value)


def _phrase(node: Any) -> str:
    text = _text(node)
    if not text.strip():
        raise _refused(node, "there is nothing between these quotes")
    return text


def _word(node: Any, field: str | None) -> Query:
    raw = str(node.value)
    if raw == "*":
        return Everything() if field is None else Exists(field)
    if not _is_wildcard(node):
        return Word(_unescaped(raw), field)
    if len(raw) > MAX_WILDCARD_CHARS:
        raise _refused(node, f"a word with wildcards may have {MAX_WILDCARD_CHARS} characters")
    return Wildcard(raw, field)


def _fuzzy(node: Any, field: str | None) -> Query:
    if _is_wildcard(node.term):
        raise _refused(node, "a word takes either wildcards or ~")
    text = _text(node.term)
    degree = float(node.degree)
    if degree > MAX_EDITS:
        raise _refused(node, f"a word's ~ takes at most {MAX_EDITS} (changed letters)")
    if degree < 1:  # Lucene 2.9's similarity: the share of letters that stay
        degree = min(MAX_EDITS, int((1 - degree) * len(text)))
    return Fuzzy(text, int(degree), field)


def _range(
    low: str | None, high: str | None, include_low: bool, include_high: bool, field: str | None
) -> Query:
    if low is None and high is None:
        return Everything() if field is None else Exists(field)
    return Range(low, high, include_low, include_high, field)
