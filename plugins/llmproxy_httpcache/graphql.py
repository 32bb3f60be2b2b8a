"""GraphQL documents, as far as a cache has to know them: their tokens, and which operations they hold.

This is the specification's lexical grammar (October 2021, §2.1) and no more of it than where a definition begins and
ends. A parser would tell more, at ten times the cost: a document with tokens in an order that means nothing gets an
answer with errors, which is not stored, and what a definition is stands in its first token.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal, NamedTuple

Kind = Literal["query", "mutation", "subscription"]

# Possessive throughout, so that no text is looked at twice.
_TOKEN: Final = re.compile(
    r"""
      (?P<ignored> (?: [\ufeff\ \t\r\n,]++ | \#[^\r\n]*+ )++ )
    | (?P<name> [_A-Za-z][_0-9A-Za-z]*+ )
    | (?P<sign> \.\.\. | [!$&():=@\[\]{|}] )
    | (?P<number> -?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?+(?![_0-9A-Za-z.]) )
    | (?P<block> \"{3} (?: \\\"{3} | [^"\\] | \\(?!\"{3}) | \"{1,2}(?!\") )*+ \"{3} )
    | (?P<string> \" (?: [^"\\\r\n] | \\[^\r\n] )*+ \" )
    """,
    re.VERBOSE,
)
_CLOSES: Final = {"(": ")", "[": "]", "{": "}"}
_KINDS: Final[dict[str, Kind]] = {
    "query": "query",
    "mutation": "mutation",
    "subscription": "subscription",
}


class BadDocument(ValueError):  # what a caller sent, for the caller's origin to judge
    """The text is no GraphQL document that a cache can tell apart from others."""


class Operation(NamedTuple):
    """One operation of a document; without a name where it has none."""

    kind: Kind
    name: str | None


class Document(NamedTuple):
    """A document: its tokens with one blank between two, and its operations."""

    text: str
    operations: tuple[Operation, ...]

    def kind_of(self, name: str | None) -> Kind | None:
        """Return what would be executed; None where that is not clear."""
        kinds = [each.kind for each in self.operations if name is None or each.name == name]
        return kinds[0] if len(kinds) == 1 else None


def read_document(text: str, depth: int) -> Document:
    """Read a document whose brackets are at most `depth` deep.

    Raises:
        BadDocument: it is none, or holds other things than operations and fragments.
    """
    return _remembered(text, depth) if len(text) <= _LONGEST else _read(text, depth)


def _read(text: str, depth: int) -> Document:
    tokens = _tokens(text)
    operations: list[Operation] = []
    at = 0
    while at < len(tokens):
        operation = _begun(tokens, at)
        if operation is not None:
            operations.append(operation)
        at = _end(tokens, at, depth)
    return Document(" ".join(tokens), tuple(operations))


#: Longer documents than people write are read anew each time, so that they do not fill the memory.
_LONGEST: Final = 16 * 1024
_remembered: Final = lru_cache(maxsize=512)(_read)


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise BadDocument(f"no token begins at character {at}")
        at = token.end()
        if token.lastgroup != "ignored":
            found.append(token[0])
    return found


def _begun(tokens: list[str], at: int) -> Operation | None:
    """Return the operation that begins at a token, None for a fragment."""
    first = tokens[at]
    if first == "{":
        return Operation("query", None)
    if first == "fragment":
        return None
    kind = _KINDS.get(first)
    if kind is None:
        raise BadDocument("it holds something else than operations and fragments")
    follows = tokens[at + 1] if at + 1 < len(tokens) else ""
    named = follows[:1].isalpha() or follows[:1] == "_"
    return Operation(kind, follows if named else None)


def _end(tokens: list[str], at: int, depth: int) -> int:
    """Return where the definition that begins at a token has ended: behind its selections."""
    open_: list[str] = []
    selecting = False
    for place in range(at, len(tokens)):
        token = tokens[place]
        if token in _CLOSES:
            selecting = selecting or (token == "{" and not open_)  # noqa: S105  # no password
            open_.append(_CLOSES[token])
            if len(open_) > depth:
                raise BadDocument("it is nested too deeply")
        elif token in {")", "]", "}"}:
            if not open_ or open_.pop() != token:
                raise BadDocument("its brackets do not match")
            if selecting and not open_:
                return place + 1
    raise BadDocument("a definition does not end")
