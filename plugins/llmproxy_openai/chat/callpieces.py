"""Calls of tools in pieces, as chat chunks bring them: of one choice, several at once perhaps."""

from __future__ import annotations

from typing import Any

import orjson

from llmproxy.canonical import BlockEnded, Delta, Signed, ToolCall
from llmproxy_openai.chat.answers import text_of
from llmproxy_openai.chat.telling import Telling
from llmproxy_openai.chat.toolcalls import is_object, made_up_id, read_custom, signature_of


class _Call:
    """A call that is being told; `index` is -1 until its tool's name is known to be whole: some servers split it."""

    __slots__ = ("arguments", "custom", "index", "name", "open", "tool")

    def __init__(self, name: str) -> None:
        self.name = name
        self.tool = ""
        self.index = -1
        self.open = True
        self.arguments = ""
        self.custom: dict[str, str] | None = None


class CallPieces:
    """Puts each piece to its call.

    A call ends when the next one begins and its arguments are whole by then. Servers that send the pieces of several
    calls in turn keep them open.
    """

    __slots__ = ("_all", "_calls", "_choice", "_last", "_names", "_telling", "_touched")

    def __init__(self, telling: Telling, choice: int) -> None:
        self._telling = telling
        self._choice = choice
        self._calls: dict[int | str, _Call] = {}
        self._all: list[_Call] = []
        self._last: _Call | None = None
        self._names: set[str] = set()
        #: Calls that began or went on since another began: only those may have become whole.
        self._touched: dict[_Call, None] = {}

    def __len__(self) -> int:
        return len(self._all)

    def take(self, item: dict[str, Any], index: Any) -> None:
        """Read one piece; `index` is its call's number, where the server tells it."""
        custom, function = item.get("custom"), item.get("function")
        told: dict[str, Any] = custom if type(custom) is dict else function if type(function) is dict else {}
        tool = text_of(told, "name")
        call = self._call_of(text_of(item, "id"), index, tool)
        if self._last is not call:
            self.begin_last()
        self._last = call
        if type(custom) is dict:
            self._take_custom(call, custom)
            return
        arguments = told.get("arguments")
        if arguments is not None and type(arguments) is not str:
            arguments = orjson.dumps(arguments).decode()
        if call.index < 0 and tool != call.tool:
            call.tool += tool
        if arguments:
            self._argue(call, arguments)
        if call.index < 0 and call.tool and (call.arguments or "extra_content" in item):
            self._begin(call)
        if "extra_content" in item and call.index >= 0 and (signature := signature_of(item)):
            self._telling.tell(Signed(call.index, signature))

    def _call_of(self, name: str, index: Any, tool: str) -> _Call:
        """Return the call that a piece belongs to.

        Some servers number every call 0, or none: another id, with a name, is another call.
        """
        key: int | str | None = index if type(index) is int else name or None
        call = self._calls.get(key) if key is not None else None if tool else self._last
        if call is not None and (not name or not tool or name == call.name or call.index < 0):
            return call
        known = self._calls.get(name) if name else None
        if known is not None and type(index) is not int:
            return known
        number = len(self._all)
        if not name or name in self._names:
            name = made_up_id(f"{self._telling.name}:{self._choice}:{number}", tool)
        call = _Call(name)
        self._all.append(call)
        self._names.add(name)
        self._calls[name] = call
        if type(index) is int:
            self._calls[index] = call
        return call

    def begin_last(self) -> None:
        """Begin the call whose name may still have gone on."""
        if self._last is not None and self._last.index < 0 and self._last.tool:
            self._begin(self._last)

    def _begin(self, call: _Call) -> None:
        touched, self._touched = self._touched, {call: None}
        for other in touched:
            if other is not call and other.open and other.index >= 0 and is_object(other.arguments):
                self._end(other)
        call.index = self._telling.begin(ToolCall(call.name, call.tool, ""), self._choice)
        if call.arguments:
            self._telling.tell(Delta(call.index, call.arguments))

    def _argue(self, call: _Call, arguments: str) -> None:
        if not call.open:
            if arguments.strip():
                raise ValueError("a tool call goes on after its arguments were whole")
            return
        call.arguments += arguments
        self._touched[call] = None
        if call.index >= 0:
            self._telling.tell(Delta(call.index, arguments))

    def _take_custom(self, call: _Call, custom: dict[str, Any]) -> None:
        if call.custom is None:
            call.custom = {"name": "", "input": ""}
        for key in call.custom:
            call.custom[key] += text_of(custom, key)

    def _end(self, call: _Call) -> None:
        call.open = False
        self._telling.tell(BlockEnded(call.index))

    def end(self) -> None:
        """End what is open."""
        for call in self._all:
            if call.custom is not None:
                self._telling.whole(read_custom(call.name, call.custom), self._choice)
            elif call.open:
                if call.index < 0:
                    self._begin(call)
                self._end(call)
