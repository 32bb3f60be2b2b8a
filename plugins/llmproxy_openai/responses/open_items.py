"""Items of a streamed response while they are open: each tells its events, and is whole at its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmproxy.canonical import Citation, Reasoning, Refusal, Text, ToolCall
from llmproxy_openai.responses.citations import write_citation
from llmproxy_openai.responses.custom_tools import input_of
from llmproxy_openai.responses.output import call_item, custom_item, message_item, refusal_part, text_part
from llmproxy_openai.responses.thoughts import encrypted_of, summary_of, thought_item

#: Writes one event: its type and its members.
Tell = Callable[[str, dict[str, Any]], None]


class OpenMessage:
    """A message; its parts are texts and refusals."""

    __slots__ = (
        "_at",
        "_cited",
        "_content",
        "_late",
        "_logprobs",
        "_pieces",
        "_refusal",
        "_tell",
        "name",
        "place",
    )

    def __init__(self, tell: Tell, name: str, place: int) -> None:
        self._tell = tell
        self.name = name
        self.place = place
        self._content: list[dict[str, Any]] = []
        self._open_part(refusal=False)
        item = message_item(name, [], "in_progress")
        tell("response.output_item.added", {"output_index": place, "item": item})

    def start(self, block: Text | Refusal) -> None:
        """Begin a part."""
        self._open_part(refusal=isinstance(block, Refusal))
        part = refusal_part("") if self._refusal else text_part("")
        self._tell("response.content_part.added", {**self._at, "part": part})
        if block.text:
            self.more(block.text, None)
        if isinstance(block, Text):
            for citation in block.citations:
                self.cite(citation)

    def _open_part(self, *, refusal: bool) -> None:
        self._refusal = refusal
        self._pieces: list[str] = []
        self._logprobs: list[Any] = []
        self._cited: list[Citation] = []
        self._late: list[Citation] = []
        self._at = {"item_id": self.name, "output_index": self.place, "content_index": len(self._content)}

    def more(self, text: str, logprobs: dict[str, Any] | None) -> None:
        """Tell a piece of the part."""
        self._pieces.append(text)
        if self._refusal:
            self._tell("response.refusal.delta", {**self._at, "delta": text})
            return
        tokens = logprobs.get("content") if logprobs else None
        tokens = tokens if isinstance(tokens, list) else []
        self._logprobs += tokens
        self._tell("response.output_text.delta", {**self._at, "delta": text, "logprobs": tokens})

    def cite(self, citation: Citation) -> None:
        """Tell a source; one of the text as a whole waits until its length is known."""
        if citation.text_end is None and not citation.file_id:
            self._late.append(citation)
        else:
            self._annotate(citation, 0)

    def _annotate(self, citation: Citation, length: int) -> None:
        told = {
            **self._at,
            "annotation_index": len(self._cited),
            "annotation": write_citation(citation, length),
        }
        self._cited.append(citation)
        self._tell("response.output_text.annotation.added", told)

    def end_block(self) -> None:
        """End the part."""
        text = "".join(self._pieces)
        if self._refusal:
            self._tell("response.refusal.done", {**self._at, "refusal": text})
            part = refusal_part(text)
        else:
            for citation in self._late:
                self._annotate(citation, len(text))
            self._tell("response.output_text.done", {**self._at, "text": text, "logprobs": self._logprobs})
            part = text_part(text, self._cited, self._logprobs)
        self._tell("response.content_part.done", {**self._at, "part": part})
        self._content.append(part)

    def end(self, status: str) -> dict[str, Any]:
        """End the message; return it whole."""
        item = message_item(self.name, self._content, status)
        self._tell("response.output_item.done", {"output_index": self.place, "item": item})
        return item


class OpenCall:
    """A call of a function."""

    __slots__ = ("_at", "_call", "_pieces", "_tell", "name", "place")

    def __init__(self, tell: Tell, name: str, place: int, call: ToolCall) -> None:
        self._tell = tell
        self.name = name
        self.place = place
        self._call = call
        self._pieces: list[str] = []
        self._at = {"item_id": name, "output_index": place}
        item = call_item(name, call, "", "in_progress")
        tell("response.output_item.added", {"output_index": place, "item": item})
        if call.arguments not in ("", "{}"):
            self.more(call.arguments, None)

    def more(self, text: str, logprobs: dict[str, Any] | None) -> None:
        """Tell a piece of the arguments."""
        self._pieces.append(text)
        self._tell("response.function_call_arguments.delta", {**self._at, "delta": text})

    def end(self, status: str) -> dict[str, Any]:
        """End the call; return it whole."""
        arguments = "".join(self._pieces)
        if not arguments and status == "completed":
            arguments = "{}"
            self._tell("response.function_call_arguments.delta", {**self._at, "delta": arguments})
        self._tell("response.function_call_arguments.done", {**self._at, "arguments": arguments})
        item = call_item(self.name, self._call, arguments, status)
        self._tell("response.output_item.done", {"output_index": self.place, "item": item})
        return item


class OpenCustom:
    """A call of a custom tool; its input is in the arguments, and known when they are whole."""

    __slots__ = ("_at", "_call", "_pieces", "_tell", "name", "place")

    def __init__(self, tell: Tell, name: str, place: int, call: ToolCall) -> None:
        self._tell = tell
        self.name = name
        self.place = place
        self._call = call
        self._pieces = [] if call.arguments in ("", "{}") else [call.arguments]
        self._at = {"item_id": name, "output_index": place}
        item = custom_item(name, call, "", "in_progress")
        tell("response.output_item.added", {"output_index": place, "item": item})

    def more(self, text: str, logprobs: dict[str, Any] | None) -> None:
        """Take a piece of the arguments."""
        self._pieces.append(text)

    def end(self, status: str) -> dict[str, Any]:
        """Tell the input and end the call; return it whole."""
        given = input_of("".join(self._pieces))
        if given:
            self._tell("response.custom_tool_call_input.delta", {**self._at, "delta": given})
        self._tell("response.custom_tool_call_input.done", {**self._at, "input": given})
        item = custom_item(self.name, self._call, given, status)
        self._tell("response.output_item.done", {"output_index": self.place, "item": item})
        return item


class OpenThought:
    """What the model thinks, told as one summary."""

    __slots__ = ("_at", "_block", "_pieces", "_signature", "_tell", "name", "place")

    def __init__(self, tell: Tell, name: str, place: int, block: Reasoning) -> None:
        self._tell = tell
        self.name = name
        self.place = place
        self._block = block
        self._signature = ""
        self._pieces: list[str] = []
        self._at = {"item_id": name, "output_index": place, "summary_index": 0}
        item = {**thought_item(name, "", ""), "status": "in_progress"}
        tell("response.output_item.added", {"output_index": place, "item": item})
        if block.text:
            self.more(block.text, None)

    def more(self, text: str, logprobs: dict[str, Any] | None) -> None:
        """Tell a piece of the thought."""
        if not self._pieces:
            part = {"type": "summary_text", "text": ""}
            self._tell("response.reasoning_summary_part.added", {**self._at, "part": part})
        self._pieces.append(text)
        self._tell("response.reasoning_summary_text.delta", {**self._at, "delta": text})

    def sign(self, signature: str) -> None:
        """Keep what proves the thought; it stands in the whole item."""
        self._signature = signature

    def end(self, status: str) -> dict[str, Any]:
        """End the thought; return it whole."""
        text = "".join(self._pieces)
        if self._pieces:
            part = summary_of(text)[0] if text else {"type": "summary_text", "text": ""}
            self._tell("response.reasoning_summary_text.done", {**self._at, "text": text})
            self._tell("response.reasoning_summary_part.done", {**self._at, "part": part})
        item = thought_item(self.name, text, self._encrypted())
        item["status"] = status
        self._tell("response.output_item.done", {"output_index": self.place, "item": item})
        return item

    def _encrypted(self) -> str:
        block = self._block
        if not self._signature:
            return encrypted_of(block)
        return encrypted_of(
            Reasoning(
                signature=block.signature + self._signature, redacted=block.redacted, origin=block.origin
            )
        )
