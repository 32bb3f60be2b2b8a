"""The messages of a request, read into turns: instructions apart, results of tools together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from llmproxy.canonical import Block, Foreign, Message, Refusal, Text, ToolCall, ToolResult
from llmproxy.canonical.fields import members, objects, required_text, rest, text, wrong
from llmproxy_openai.chat.annotations import read_annotations
from llmproxy_openai.chat.parts import read_content, read_mark
from llmproxy_openai.chat.reasoning import read_reasoning
from llmproxy_openai.chat.toolcalls import arguments_text, is_object, made_up_id, read_custom, signature_of

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

_ANY: Final = frozenset({"role", "content", "name", "cache_control"})
_ASSISTANT: Final = _ANY | {
    "refusal",
    "tool_calls",
    "function_call",
    "annotations",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "extra_content",
}
_TOOL: Final = _ANY | {"tool_call_id"}
_CALL: Final = frozenset({"id", "type", "function", "custom", "index", "extra_content", "cache_control"})
_FUNCTION: Final = frozenset({"name", "arguments"})


class Turns:
    """Takes messages one by one; `system` and `messages` are what they mean."""

    def __init__(self, losses: Losses) -> None:
        self.system: list[Text] = []
        self.messages: list[Message] = []
        self._losses = losses
        self._results: list[Block] = []
        self._names: dict[str, str] = {}
        self._legacy = ""

    def take(self, message: dict[str, Any], at: str) -> None:
        """Read one message; `at` is its place, for errors."""
        role = required_text(message, "role", at)
        reader = _ROLES.get(role)
        if reader is None:
            known = ", ".join(sorted(_ROLES))
            raise wrong(f"{at}role", f"one of {known}")
        if reader is not Turns._result and reader is not Turns._function_result and reader is not Turns._user:
            self.flush()
        reader(self, message, at)

    def flush(self) -> None:
        """End a turn that held results alone."""
        if self._results:
            self._add("user", self._results)
            self._results = []

    def _add(self, role: Any, blocks: list[Block], name: str = "") -> None:
        self.messages.append(Message(role, tuple(blocks), name))

    def _system(self, message: dict[str, Any], at: str) -> None:
        blocks = self._content(message, at, _ANY)
        texts = [block for block in blocks if isinstance(block, Text)]
        if len(texts) < len(blocks):
            self._losses.add("messages[].content", "instructions can only be text")
        name = text(message, "name", at)
        if self.messages:
            self._add("system", list[Block](texts), name)
            return
        self.system += texts
        if name:
            self._losses.add("messages[].name", "instructions before the conversation have no name")

    def _user(self, message: dict[str, Any], at: str) -> None:
        blocks = [*self._results, *self._content(message, at, _ANY)]
        self._results = []
        self._add("user", blocks, text(message, "name", at))

    def _assistant(self, message: dict[str, Any], at: str) -> None:
        said = self._content(message, at, _ASSISTANT)
        self._hang(message, said)
        blocks: list[Block] = [*read_reasoning(message), *said]
        if refusal := text(message, "refusal", at):
            blocks.append(Refusal(refusal))
        for item in objects(message, "tool_calls", at):
            blocks.append(self._call(item, f"{at}tool_calls[].", len(blocks)))
        if (legacy := members(message, "function_call", at)) is not None:
            self._legacy = made_up_id("legacy", len(self.messages))
            blocks.append(self._function(legacy, self._legacy, f"{at}function_call."))
        self._add("assistant", blocks, text(message, "name", at))

    def _hang(self, message: dict[str, Any], said: list[Block]) -> None:
        """Hang what a message tells of its text on the text."""
        citations, signature = read_annotations(message.get("annotations")), signature_of(message)
        last = next((place for place in reversed(range(len(said))) if isinstance(said[place], Text)), None)
        if last is not None and (citations or signature):
            said[last] = msgspec.structs.replace(said[last], citations=citations, signature=signature)
        elif signature:
            said.append(Text("", signature=signature))

    def _call(self, item: dict[str, Any], at: str, place: int) -> ToolCall | Foreign:
        rest(item, _CALL, "messages[].tool_calls[].", self._losses)
        name = text(item, "id", at) or made_up_id(len(self.messages), place)
        custom = members(item, "custom", at)
        if custom is not None:
            rest(custom, frozenset({"name", "input"}), "messages[].tool_calls[].custom.", self._losses)
            return read_custom(name, custom)
        function = members(item, "function", at)
        if function is None:
            raise wrong(f"{at}function", "an object")
        call = self._function(function, name, f"{at}function.")
        signature, cache = signature_of(item), read_mark(item, at)
        if signature or cache:
            return msgspec.structs.replace(call, signature=signature, cache=cache)
        return call

    def _function(self, function: dict[str, Any], name: str, at: str) -> ToolCall:
        rest(function, _FUNCTION, "messages[].tool_calls[].function.", self._losses)
        arguments = arguments_text(function.get("arguments"))
        if not is_object(arguments):
            # A model wrote it; the caller shows it back with the error it led to.
            why = "the arguments are no JSON object and were put into one"
            self._losses.add("messages[].tool_calls[].function.arguments", why)
            arguments = orjson.dumps({"invalid_json": arguments}).decode()
        self._names[name] = required_text(function, "name", at)
        return ToolCall(name, self._names[name], arguments)

    def _result(self, message: dict[str, Any], at: str) -> None:
        name = text(message, "tool_call_id", at) or self._unanswered()
        if not name:
            raise wrong(f"{at}tool_call_id", "the id of a tool call")
        self._put_result(message, name, _TOOL, at)

    def _unanswered(self) -> str:
        """Return the first call of the last turn that has no result: some servers give no ids."""
        last = self.messages[-1].content if self.messages else ()
        answered = {block.id for block in self._results if isinstance(block, ToolResult)}
        return next((b.id for b in last if isinstance(b, ToolCall) and b.id not in answered), "")

    def _function_result(self, message: dict[str, Any], at: str) -> None:
        name = self._legacy or made_up_id(text(message, "name", at))
        self._put_result(message, name, _ANY, at)

    def _put_result(self, message: dict[str, Any], name: str, known: frozenset[str], at: str) -> None:
        content = self._content(message, at, known)
        last = content[-1] if content else None
        cache = last.cache if isinstance(last, Text) else None
        if isinstance(last, Text) and cache is not None:
            content[-1:] = [msgspec.structs.replace(last, cache=None)] if last.text else []
        tool = self._names.get(name) or text(message, "name", at)
        self._results.append(ToolResult(name, tuple(content), tool, cache=cache))

    def _content(self, message: dict[str, Any], at: str, known: frozenset[str]) -> list[Block]:
        blocks = read_content(message.get("content"), at, self._losses)
        if message.keys() - known:
            rest(message, known, "messages[].", self._losses)
        mark = read_mark(message, at) if "cache_control" in message else None
        if mark is not None and blocks and hasattr(blocks[-1], "cache"):
            blocks[-1] = msgspec.structs.replace(blocks[-1], cache=mark)
        elif mark is not None:
            self._losses.add("messages[].cache_control", "the message holds nothing to mark")
        return blocks


_ROLES: Final[dict[str, Callable[[Turns, dict[str, Any], str], None]]] = {
    "system": Turns._system,
    "developer": Turns._system,
    "user": Turns._user,
    "assistant": Turns._assistant,
    "tool": Turns._result,
    "function": Turns._function_result,
}
