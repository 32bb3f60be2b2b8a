"""What of a request decides its answer: what a dialect knows of one kind of call, as data, and how it is read.

A cache asks two requests whether they mean the same. What is not named here counts: a field that nobody knew yet
gives another key, so that a new feature of a provider makes misses and never wrong answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmproxy.keyreading import Ground, Reading, Text, read

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange

#: Members of a part or a turn that is nothing but text.
_BARE: Final = 2
#: Bytes in which an answer shows how it begins and ends.
_START: Final = 64
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def no_tool_is_hosted(tool: Any) -> bool:
    """Say that the caller runs every tool itself."""
    return False


class Turns(NamedTuple):
    """Where the conversation stands: a list at `field` whose items hold their text at `content`.

    Texts of the roles in `asking` are prompt text, those of others (the model's own, and results of tools) data.
    `further` are members that hold data in the same way. `defaults` are members of an item that say no more than their
    absence. With `lone`, text in the list's place is one turn of that role. `references` name what lies elsewhere.
    """

    field: str
    content: str = "content"
    asking: frozenset[str | None] = frozenset({"user", "system", "developer"})
    defaults: Mapping[str, Any] = _NOTHING
    lone: str = ""
    further: tuple[str, ...] = ()
    references: tuple[tuple[str, ...], ...] = ()

    def speaks(self, turn: dict[str, Any]) -> bool:
        """Say whether a turn is nothing but a text of one role, as most are; no default is of either."""
        return len(turn) == _BARE and type(turn.get("role")) is str and type(turn.get(self.content)) is str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRules:
    """One kind of call of one wire dialect.

    Field names are the wire's; a path is a tuple of them, `*` for each element of a list.
    """

    #: What the call is for: chat, completions, responses, messages, generate, embeddings, moderations, count, ...
    kind: str
    #: Whether the provider's answer follows from the request alone, whatever the temperature.
    deterministic: bool = False
    #: Whether each character counts, so that no text is normalised: the answer is about the characters themselves.
    exact: bool = False
    #: Fields that only say in which form the answer is sent.
    form: frozenset[str] = frozenset()
    #: Further fields that cannot change the answer.
    ignored: frozenset[str] = frozenset()
    #: Values that say no more than the field's absence, by field.
    defaults: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    #: The same of fields of an object, by the object's name.
    inside: Mapping[str, Mapping[str, tuple[Any, ...]]] = field(default_factory=dict)
    #: Whether names may be written with underscores instead of capitals (protocol buffers in JSON).
    camel: bool = False
    #: Fields in which a list of one means what its element means.
    lone: frozenset[str] = frozenset()
    #: Where prompt text stands outside of turns.
    texts: tuple[tuple[str, ...], ...] = ()
    turns: Turns | None = None
    #: Types of parts that are plain text; content of one bare part of these types equals its text.
    text_types: frozenset[str] = frozenset()
    #: Members of parts and tools that only tell the provider what to keep warm.
    marks: frozenset[str] = frozenset()
    #: Where the end user is named, best first.
    users: tuple[tuple[str, ...], ...] = ()
    temperature: tuple[str, ...] = ("temperature",)
    #: Fields whose presence makes the answer one of its kind, and why.
    grounds: Mapping[str, Ground] = field(default_factory=dict)
    #: Where the list of tools stands.
    tools: tuple[str, ...] = ("tools",)
    hosted: Callable[[Any], bool] = no_tool_is_hosted
    #: Where in a part something that lies elsewhere is named; `data:` URLs lie in the request.
    references: tuple[tuple[str, ...], ...] = ()
    #: Where a part holds further parts.
    nested: tuple[tuple[str, ...], ...] = (("content",),)
    #: Types of turns that stand for something that lies elsewhere.
    referring_turns: frozenset[str | None] = frozenset()
    #: Request header fields that change the answer (versions, switched-on features), each in lower case with the value
    #: that says no more than its absence.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Those of `headers` that tell in which version of the dialect a request is written, and nothing of what it means.
    versions: frozenset[str] = frozenset()
    #: Ends of the path that ask for the same in another form.
    verbs: tuple[str, ...] = ()
    #: Query parameters that only say in which form the answer is sent.
    form_query: frozenset[str] = frozenset()
    #: What stands in every answer that is whole, and in none that is flawed: cut at a limit, refused, filtered. They are
    #: looked for in JSON and in events alike; within a string of JSON no quotation mark stands alone.
    whole: re.Pattern[bytes] | None = None
    flawed: re.Pattern[bytes] | None = None
    #: What the events of a whole answer end with, empty where nothing does.
    ending: bytes = b""
    #: What stands in no whole answer of one object, though it does in parts of a stream.
    unfinished: re.Pattern[bytes] | None = None
    #: Whether an answer is JSON, or events of it.
    json: bool = True
    #: All fields that are left out, all that may be, and the names of `headers` as they are looked up.
    dropped: frozenset[str] = field(init=False, default=frozenset())
    droppable: frozenset[str] = field(init=False, default=frozenset())
    header_names: tuple[bytes, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "dropped", self.form | self.ignored)
        object.__setattr__(self, "droppable", self.dropped | self.defaults.keys())
        object.__setattr__(self, "header_names", tuple(name.encode() for name in self.headers))

    def keeps(self, answer: bytes) -> bool:
        """Say whether an answer, as it went to a caller of this dialect, is whole and without a flaw."""
        if self.flawed is not None and self.flawed.search(answer) is not None:
            return False
        if answer[:_START].lstrip()[:1] in (b"{", b"["):
            if self.unfinished is not None and self.unfinished.search(answer) is not None:
                return False
        elif self.ending and not answer[-_START:].rstrip().endswith(self.ending):
            return False
        return self.whole is None or self.whole.search(answer) is not None

    def read(self, body: dict[str, Any], text: Text) -> Reading:
        """Read a parsed body, which is used up; `text` says when two prompt texts mean the same.

        Raises:
            TypeError: a list or an object stands where a name must, which no provider takes.
            RecursionError: it is nested too deeply.
        """
        return read(self, body, text)


def key_rules_of(exchange: Exchange) -> KeyRules | None:
    """Return the rules of an exchange's call, if its dialect has any."""
    # An isinstance of a protocol costs as much as all the rest of a key.
    rules: Callable[[Exchange], KeyRules | None] | None = getattr(exchange.client_face, "key_rules", None)
    return None if rules is None else rules(exchange)


def rules_by_end(calls: Mapping[str, KeyRules]) -> Callable[[str], KeyRules | None]:
    """Return what finds a path's rules by how it ends, the first that fits; None where nobody knows what it does."""

    @lru_cache(maxsize=512)
    def rules_of(path: str) -> KeyRules | None:
        return next((rules for end, rules in calls.items() if path.endswith(end)), None)

    return rules_of
