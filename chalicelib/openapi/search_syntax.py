"""The syntax of searches, by examples: what the document, its page and `docs/search.md` show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """Queries that mean the same, and what they find."""

    queries: Sequence[str]
    finds: str


EXAMPLES: Sequence[Example] = (
    Example(("ubuntu",), "with the word *ubuntu* in any field"),
    Example(("os:ubuntu",), "with it in the field `os`"),
    Example(("ubuntu unity",), "with both words: words are ANDed"),
    Example(("ubuntu AND unity", "ubuntu && unity"), "the same"),
    Example(("ubuntu OR debian", "ubuntu || debian"), "with one of them"),
    Example(
        ("ubuntu NOT unity", "ubuntu -unity", "ubuntu !unity"),
        "with the first and without the second",
    ),
    Example(("-_exists_:os",), "without the field `os`"),
    Example(("_exists_:stacktrace.dylib", "stacktrace.dylib:*"), "with that field"),
    Example(("os:(ubuntu OR debian) -cpu:i386",), "by a group of words in one field"),
    Example(('"free(): invalid pointer"',), "with these words one after the other"),
    Example(('"invalid pointer"~3',), "with these words, at most three places out of order"),
    Example(
        ("stacktrace.function:g_main*", "os:u?untu"),
        "by the shape of a word: `*` any characters, `?` exactly one",
    ),
    Example(
        ("ubunto~1",),
        "with a word at most one letter away; `~` alone allows half of the letters, at most two",
    ),
    Example(("date:2013-08", "date:[2013-08-01 TO 2013-08-18]"), "of that month, of these days"),
    Example(("date:>=2013-08-18T08:00:00",), "from that moment on (UTC)"),
    Example(
        ("Signal:[6 TO 11}", "Signal:<=6", "temperature:>-5"),
        "by a number: brackets include a bound, braces do not",
    ),
    Example(("os_version:[10.3.1 TO *]",), "from a version on"),
    Example(
        ("database_id:launchpad\\:0000450543", 'database_id:"launchpad:0000450543"'),
        "by an id with a colon in it",
    ),
    Example(("*:*",), "all"),
)

NOTES: Sequence[str] = (
    "NOT binds tighter than AND, AND tighter than OR, OR tighter than a mere space: `a b "
    "OR c` is *a and (b or c)*. Operators are in capitals. A `+` requires: beside a `+`, "
    "alternatives of an OR do not matter, as in Lucene.",
    "These have a meaning and need a backslash, or quotes around the text, to be taken as "
    'they are: `+ - ! ( ) { } [ ] ^ " ~ * ? : \\ /` and `&&`, `||`. The operators `+ - !` '
    "have it at the beginning of a word only.",
    "**A database id has a colon**, and `launchpad:0000450543` means what it means in "
    "Lucene: the field `launchpad`. It finds nothing; escape the colon, or search the "
    'number alone: `0000450543`. The same goes for C++ names: `"Foo::bar"`.',
    'A path begins with a slash: put it in quotes, `dylib:"/usr/lib/libdbus-1.so.3"`.',
    "A boost (`word^4`) is read and means nothing: results are sorted by a field, not by "
    "rank. Regular expressions (`/.../`) are refused.",
    "What cannot be read is an error that says at which column, counted from 1, and what to do.",
)

MEANING = (
    "Letters count without case. A word finds whole words, and their parts where they stand one "
    "after the other; a piece of one needs a wildcard. A bound is compared as a number where it "
    "and the value are numbers, as a date where they are ISO 8601 dates, as a version where they "
    "are numbers with more dots, else as text. A day, a month, an hour is the whole of it."
)


def table_row(example: Example) -> str:
    """A row of a table in Markdown, where a bar needs a backslash."""
    queries = ", ".join(f"`{query}`" for query in example.queries).replace("|", "\\|")
    return f"| {queries} | {example.finds} |"


def markdown() -> str:
    """The syntax as Markdown, for the document."""
    rows = [table_row(example) for example in EXAMPLES]
    notes = [f"- {note}" for note in NOTES]
    return "\n".join(["| query | finds reports |", "|---|---|", *rows, "", *notes, "", MEANING])
