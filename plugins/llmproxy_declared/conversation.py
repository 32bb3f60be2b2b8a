"""What a conversation gives to templates, and what of it they leave out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import HostedTool, Image, Losses
from llmproxy_declared.messages import MessageWriter, pictures, written_tools
from llmproxy_declared.sources import NO_PLACE, PLAIN
from llmproxy_declared.texts import text_of

if TYPE_CHECKING:
    from llmproxy.canonical import GenerateRequest
    from llmproxy_declared.prompting import Prompt
    from llmproxy_declared.shapes import Shapes

#: What says no more than saying nothing does.
_DEFAULTS: Final = (("n", 1), ("parallel_tool_calls", True), ("service_tier", "auto"))


class Conversation:
    """Gives one endpoint's templates the values that they refer to.

    `words` are the endpoint's own for some; `stops` is how many stop sequences it takes, where it takes no list.
    """

    def __init__(
        self,
        used: frozenset[str],
        shapes: Shapes,
        prompt: Prompt,
        words: Mapping[str, Mapping[str, Any]],
        stops: int | None = None,
    ) -> None:
        self._used = used
        self._stops = stops
        self._shapes = shapes
        self._prompt = prompt
        self._words = words
        #: Whether instructions have a place of their own.
        self._apart = "system" in used
        self._carried = (Image,) if "images" in used else ()

    def values(self, request: GenerateRequest, losses: Losses, *, streamed: bool) -> dict[str, Any]:
        """Return the values; report what none of them carries."""
        values: dict[str, Any] = {"stream": streamed}
        for name in PLAIN:
            self._put(values, name, getattr(request, name), losses)
        self._put_stop(values, request.stop, losses)
        self._put_talk(values, request, losses)
        self._put_tools(values, request, losses)
        self._put_format(values, request, losses)
        self._put_thinking(values, request, losses)
        if request.logprobs or request.top_logprobs:
            losses.lose("logprobs", "they are not read from declared answers")
        if set(request.modalities) - {"text"}:
            losses.lose("modalities", "a declared answer is text")
        return values

    def fetches(self, kind: str) -> bool:
        """Whether only the bytes of a picture can be carried, not a link."""
        if kind != "image":
            return False
        return "images" in self._used or (self._shapes.has("image") and not self._shapes.uses("image", "url"))

    def _put(self, values: dict[str, Any], name: str, value: Any, losses: Losses, loss: str = "") -> None:
        """Put in a value that was given; report it where no template refers to it."""
        if value is None or value in ("", [], {}):
            return
        if name in self._used:
            words = self._words.get(name)
            values[name] = words.get(value, value) if words and isinstance(value, str) else value
        elif (name, value) not in _DEFAULTS:
            losses.lose(loss or name, NO_PLACE)

    def _put_stop(self, values: dict[str, Any], stop: tuple[str, ...], losses: Losses) -> None:
        self._put(values, "stop", list(stop), losses)
        if self._stops is not None and "stop" in values and len(stop) > self._stops:
            losses.lose("stop", "the declared request takes fewer")

    def _put_talk(self, values: dict[str, Any], request: GenerateRequest, losses: Losses) -> None:
        used = self._used
        if request.system:
            self._put_system(values, request, losses)
        tools, apart = "tools" in used, "images" in used
        roles = self._words.get("role", {})
        writer = MessageWriter(self._shapes, roles, losses, tools=tools, apart=apart)
        system = () if self._apart else request.system
        if "messages" in used:
            values["messages"] = writer.write(system, request.messages)
        if "prompt" in used:
            values["prompt"] = self._prompt.write(
                request, losses, system=not self._apart, carried=self._carried
            )
        if "last_user" in used:
            self._put_last(values, request, writer, losses)
        if apart and (found := pictures(request.messages, losses)):
            values["images"] = found

    def _put_system(self, values: dict[str, Any], request: GenerateRequest, losses: Losses) -> None:
        if any(block.cache is not None for block in request.system):
            losses.lose("system.cache", NO_PLACE)
        if self._apart:
            values["system"] = "\n\n".join(block.text for block in request.system)
        elif not self._used & {"messages", "history", "prompt"}:
            losses.lose("system", NO_PLACE)

    def _put_last(
        self, values: dict[str, Any], request: GenerateRequest, writer: MessageWriter, losses: Losses
    ) -> None:
        """Put in what the user said last; what came before is the history."""
        at = max((n for n, message in enumerate(request.messages) if message.role == "user"), default=-1)
        if at < 0:
            return
        values["last_user"] = text_of(request.messages[at].content, losses, self._carried)
        if at + 1 < len(request.messages):
            losses.lose("messages", "what follows the user's last message is not carried")
        before, system = request.messages[:at], () if self._apart else request.system
        if "history" in self._used:
            if written := writer.write(system, before):
                values["history"] = written
        elif before and not self._used & {"messages", "prompt"}:
            losses.lose("messages", "only the user's last message is carried")

    def _put_tools(self, values: dict[str, Any], request: GenerateRequest, losses: Losses) -> None:
        choice, tools = request.tool_choice, list(request.tools)
        if "tools" not in self._used:
            _lose_tools(request, losses)
            return
        if choice is not None and choice.names:
            tools = [tool for tool in tools if not isinstance(tool, HostedTool) and tool.name in choice.names]
        if choice is not None and choice.mode == "none" and "tool_choice" not in self._used:
            tools = []
        if written := written_tools(tools, self._shapes, losses):
            values["tools"] = written
            self._put(values, "parallel_tool_calls", request.parallel_tool_calls, losses)
        if choice is not None and written:
            self._put_choice(values, choice.mode, choice.names, losses)

    def _put_choice(self, values: dict[str, Any], mode: str, names: tuple[str, ...], losses: Losses) -> None:
        if len(names) == 1 and mode == "required" and "tool_name" in self._used:
            values["tool_name"] = names[0]
        elif "tool_choice" not in self._used and mode != "required":
            return
        self._put(values, "tool_choice", mode, Losses() if "tool_name" in values else losses)

    def _put_format(self, values: dict[str, Any], request: GenerateRequest, losses: Losses) -> None:
        form = request.format
        if form is None:
            return
        if form.kind == "schema" and "schema" in self._used:
            values["schema"] = form.schema or {}
            self._put(values, "schema_name", form.name, Losses())
            self._put(values, "format", form.kind, Losses())
        elif form.kind == "schema" and "format" in self._used:
            self._put(values, "format", "json", losses)
            losses.lose("format.schema", NO_PLACE)
        else:
            self._put(values, "format", form.kind, losses)

    def _put_thinking(self, values: dict[str, Any], request: GenerateRequest, losses: Losses) -> None:
        thinking = request.thinking
        if thinking is None:
            return
        self._put(values, "effort", thinking.effort, losses, "thinking.effort")
        self._put(values, "thinking_budget", thinking.budget, losses, "thinking.budget")
        if "thinking" in self._used:
            values["thinking"] = thinking.enabled is not False and thinking.effort != "none"
        elif (thinking.enabled is not None or thinking.adaptive) and not values.keys() & {
            "effort",
            "thinking_budget",
        }:
            losses.lose("thinking", NO_PLACE)


def _lose_tools(request: GenerateRequest, losses: Losses) -> None:
    """Report tools that have no place; none that may not be called are missed."""
    choice = request.tool_choice
    if not request.tools or (choice is not None and choice.mode == "none"):
        return
    for tool in request.tools:
        losses.lose("tools.hosted" if isinstance(tool, HostedTool) else "tools", NO_PLACE)
    if choice is not None and choice.mode == "required":
        losses.lose("tool_choice", NO_PLACE)
