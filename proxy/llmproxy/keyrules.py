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
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange

#: Why an answer is not one that every equal request would get.
#:
#: `state`: the provider remembers the call, so that skipping it changes what comes after. `background`: the answer is a
#: ticket, not an answer. `stored`: the caller wants the provider to keep this very call. `references`: the request
#: names what lies elsewhere and may change there: files, links, earlier answers, prompts. `hosted-tools`: the provider
#: looks things up or runs programs while it answers.
Ground = Literal["state", "background", "stored", "references", "hosted-tools"]

Text = Callable[[str], str]

#: Values that say no more than a field that is not there; an empty object may switch something on.
_UNSAID: Final[tuple[Any, ...]] = (None, False, "", [])
#: Whole numbers below this have one spelling as a double.
_EXACT: Final = 2.0**53
#: Members of a part that is nothing but text.
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
    #: All fields that are left out, and the names of `headers` as they are looked up.
    dropped: frozenset[str] = field(init=False, default=frozenset())
    header_names: tuple[bytes, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "dropped", self.form | self.ignored)
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
        return _read(self, body, text)


class Reading(NamedTuple):
    """A request's body, read by the rules: what counts of it, in one form for each meaning; whose end user asks.

    `temperature` is None unless the caller wrote one. `grounds` say why the answer is one of its kind.
    """

    counted: dict[str, Any]
    user: str
    temperature: float | None
    grounds: frozenset[Ground]


class KeyedClient(Protocol):
    """A client face that knows what of its callers' requests decides the answer."""

    def key_rules(self, exchange: Exchange) -> KeyRules | None:
        """Return the rules of this call, or None where nobody knows what it does: then all of it counts."""


def key_rules_of(exchange: Exchange) -> KeyRules | None:
    """Return the rules of an exchange's call, if its dialect has any."""
    # An isinstance of a protocol costs as much as all the rest of a key.
    rules: Callable[[Exchange], KeyRules | None] | None = getattr(exchange.client_face, "key_rules", None)
    return None if rules is None else rules(exchange)


def _same(text: str) -> str:
    return text


def _read(rules: KeyRules, body: dict[str, Any], text: Text) -> Reading:
    if rules.camel:
        body = _in_capitals(body, rules)
    grounds: set[Ground] = {
        ground for name, ground in rules.grounds.items() if name in body and body[name] not in _UNSAID
    }
    user, temperature = _user(rules, body), _temperature(rules, body)
    counted = _said(body, rules.dropped, rules.defaults)
    for name, defaults in rules.inside.items():
        if type(within := counted.get(name)) is dict and not (said := _said(within, frozenset(), defaults)):
            del counted[name]
        elif type(within) is dict:
            counted[name] = said
    if (tools := _value_at(counted, rules.tools)) is not None:
        # Some servers take one for a list of one.
        _read_tools(rules, tools if type(tools) is list else [tools], grounds)
    content = _Content(rules, _same if rules.exact else text, grounds)
    for path in rules.texts:
        content.at(counted, path)
    if rules.turns is not None:
        content.turns(counted, rules.turns)
    for name in rules.lone:
        if type(value := counted.get(name)) is list and len(value) == 1:
            counted[name] = value[0]
    return Reading(counted, user, temperature, frozenset(grounds))


def _said(
    values: dict[str, Any], dropped: frozenset[str], defaults: Mapping[str, tuple[Any, ...]]
) -> dict[str, Any]:
    """Return what is said beyond the defaults, whole numbers in one spelling."""
    said = {}
    for name, value in values.items():
        if name in dropped or (name in defaults and value in defaults[name]):
            continue
        whole = type(value) is float and value.is_integer() and -_EXACT < value < _EXACT
        said[name] = int(value) if whole else value
    return said


def _in_capitals(body: dict[str, Any], rules: KeyRules) -> dict[str, Any]:
    body = _renamed(body)
    for name in rules.inside:
        if type(within := body.get(name)) is dict:
            body[name] = _renamed(within)
    return body


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    if not any("_" in name for name in values):
        return values
    renamed: dict[str, Any] = {}
    for name, value in values.items():
        head, *rest = name.split("_")
        plain = head + "".join(word[:1].upper() + word[1:] for word in rest)
        # One that is there in both spellings is left as it is: nobody knows which of them counts.
        renamed[name if plain in values or plain in renamed else plain] = value
    return renamed


def _value_at(body: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if type(body) is not dict:
            return None
        body = body.get(name)
    return body


def _user(rules: KeyRules, body: dict[str, Any]) -> str:
    for path in rules.users:
        if type(user := _value_at(body, path)) is str and user:
            return user
    return ""


def _temperature(rules: KeyRules, body: dict[str, Any]) -> float | None:
    value = _value_at(body, rules.temperature)
    return value if type(value) is float or type(value) is int else None


def _read_tools(rules: KeyRules, tools: list[Any], grounds: set[Ground]) -> None:
    for tool in tools:
        if rules.hosted(tool):
            grounds.add("hosted-tools")
        if type(tool) is dict:
            for mark in rules.marks:
                tool.pop(mark, None)


class _Content:
    """Brings texts and parts into one form, in place, and notes what lies elsewhere."""

    __slots__ = ("_grounds", "_rules", "_text")

    def __init__(self, rules: KeyRules, text: Text, grounds: set[Ground]) -> None:
        self._rules = rules
        self._text = text
        self._grounds = grounds

    def at(self, values: Any, path: tuple[str, ...]) -> None:
        """Read the content at a path."""
        name, rest = path[0], path[1:]
        if name == "*":
            for value in values if type(values) is list else ():
                self.at(value, rest)
        elif type(values) is dict and name in values:
            if rest:
                self.at(values[name], rest)
            else:
                values[name] = self.one(values[name], self._text)

    def turns(self, counted: dict[str, Any], rules: Turns) -> None:
        """Read a conversation."""
        turns = counted.get(rules.field)
        if type(turns) is str and rules.lone:
            counted[rules.field] = self._text(turns)
            return
        if type(turns) is dict:
            self._turn(turns, rules)
        if type(turns) is not list:
            return
        for turn in turns:
            if type(turn) is dict:
                self._turn(turn, rules)
        if (
            rules.lone
            and len(turns) == 1
            and turns[0] == {"role": rules.lone, rules.content: _text_of(turns[0])}
        ):
            counted[rules.field] = turns[0][rules.content]

    def _turn(self, turn: dict[str, Any], rules: Turns) -> None:
        role = turn.get("role")
        for name, default in rules.defaults.items():
            if "role" in turn and turn.get(name) == default:
                del turn[name]
        kind = turn.get("type")
        if (kind is not None or role is None) and kind in self._rules.referring_turns:
            self._grounds.add("references")
        self._refer(turn, rules.references)
        for mark in self._rules.marks:
            turn.pop(mark, None)
        if (content := turn.get(rules.content)) is not None:
            turn[rules.content] = self.one(content, self._text if role in rules.asking else _same)
        for name in rules.further:
            if name in turn:
                turn[name] = self.one(turn[name], _same)

    def one(self, content: Any, text: Text) -> Any:
        """Return content in its one form."""
        if type(content) is str:
            return text(content)
        if type(content) is dict:
            self._part(content, text)
        if type(content) is not list:
            return content
        for place, part in enumerate(content):
            if type(part) is str:
                content[place] = text(part)
            elif type(part) is dict:
                self._part(part, text)
        return self._bare(content[0], content) if len(content) == 1 else content

    def _bare(self, part: Any, content: list[Any]) -> Any:
        """Return the text of a part that is nothing else, or the content that it is alone in."""
        if type(part) is not dict or len(part) != _BARE or part.get("type") not in self._rules.text_types:
            return content
        return text if type(text := part.get("text")) is str else content

    def _part(self, part: dict[str, Any], text: Text) -> None:
        rules = self._rules
        for mark in rules.marks:
            part.pop(mark, None)
        if type(own := part.get("text")) is str and part.get("thought") is not True:
            part["text"] = text(own)
            if len(part) == 1 + ("type" in part):
                return
        self._refer(part, rules.references)
        for path in rules.nested:
            holder = _value_at(part, path[:-1])
            if type(holder) is dict and path[-1] in holder:
                holder[path[-1]] = self.one(holder[path[-1]], _same)

    def _refer(self, value: dict[str, Any], references: tuple[tuple[str, ...], ...]) -> None:
        """Note what a value names that lies elsewhere."""
        for path in references:
            if type(place := _value_at(value, path)) is str and place[:5] != "data:":
                self._grounds.add("references")


def rules_by_end(calls: Mapping[str, KeyRules]) -> Callable[[str], KeyRules | None]:
    """Return what finds a path's rules by how it ends, the first that fits; None where nobody knows what it does."""

    @lru_cache(maxsize=512)
    def rules_of(path: str) -> KeyRules | None:
        return next((rules for end, rules in calls.items() if path.endswith(end)), None)

    return rules_of


def _text_of(turn: Any) -> str | None:
    content = turn.get("content") if type(turn) is dict else None
    return content if type(content) is str else None
