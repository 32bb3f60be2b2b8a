"""A request's body read for what decides its answer, by the rules of its call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from llmproxy.keyrules import KeyRules, Turns

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
#: Members of a part or a turn that is nothing but text.
_BARE: Final = 2


class Reading(NamedTuple):
    """A request's body, read by the rules: what counts of it, in one form for each meaning; whose end user asks.

    `temperature` is None unless the caller wrote one. `grounds` say why the answer is one of its kind.
    """

    counted: dict[str, Any]
    user: str
    temperature: float | None
    grounds: frozenset[Ground]


def _same(text: str) -> str:
    return text


def read(rules: KeyRules, body: dict[str, Any], text: Text) -> Reading:
    """Read a parsed body, which is used up; `text` says when two prompt texts mean the same."""
    if rules.camel:
        body = _in_capitals(body, rules)
    grounds = _grounds(rules, body)
    user, temperature = _user(rules, body), _temperature(rules, body)
    counted = _said(body, rules.droppable, rules.dropped, rules.defaults)
    for name, defaults in rules.inside.items():
        if type(within := counted.get(name)) is dict:
            counted[name] = _said(within, defaults.keys(), frozenset(), defaults)
            if not counted[name]:
                del counted[name]
    if rules.tools[0] in counted and (tools := _value_at(counted, rules.tools)) is not None:
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


def _grounds(rules: KeyRules, body: dict[str, Any]) -> set[Ground]:
    if rules.grounds.keys().isdisjoint(body):
        return set()
    return {ground for name, ground in rules.grounds.items() if body.get(name) not in _UNSAID}


def _said(
    values: dict[str, Any],
    droppable: Set[str],
    dropped: Set[str],
    defaults: Mapping[str, tuple[Any, ...]],
) -> dict[str, Any]:
    """Return what is said beyond the defaults, whole numbers in one spelling; `droppable` are the names of both."""
    said = {}
    for name, value in values.items():
        if name in droppable and (name in dropped or value in defaults[name]):
            continue
        if type(value) is float and value.is_integer() and -_EXACT < value < _EXACT:
            said[name] = int(value)
        else:
            said[name] = value
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
        if path[0] in body and type(user := _value_at(body, path)) is str and user:
            return user
    return ""


def _temperature(rules: KeyRules, body: dict[str, Any]) -> float | None:
    path = rules.temperature
    value = body.get(path[0]) if len(path) == 1 else _value_at(body, path)
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
            if type(turn) is not dict:
                continue
            if not rules.speaks(turn):
                self._turn(turn, rules)
            elif turn["role"] in rules.asking:
                turn[rules.content] = self._text(turn[rules.content])
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
            if path[0] not in value:
                continue
            if type(place := _value_at(value, path)) is str and place[:5] != "data:":
                self._grounds.add("references")


def _text_of(turn: Any) -> str | None:
    content = turn.get("content") if type(turn) is dict else None
    return content if type(content) is str else None
