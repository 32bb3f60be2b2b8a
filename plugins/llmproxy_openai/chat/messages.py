"""Turns written as chat messages, as the provider takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import (
    Audio,
    Block,
    Document,
    Foreign,
    Image,
    Message,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy_openai.chat import parts
from llmproxy_openai.chat.reasoning import write_details
from llmproxy_openai.chat.toolcalls import CUSTOM_CALL, fitting_id, signed, write_call, write_custom

if TYPE_CHECKING:
    from llmproxy.canonical import GenerateRequest, Losses
    from llmproxy.plugin import Quirks

_MOVED: Final = "what is no text in a tool's result follows it in a message of the user"


class Writer:
    """Writes one request's turns; everything that a provider may be peculiar in is in `quirks`."""

    def __init__(self, quirks: Quirks, losses: Losses) -> None:
        self._quirks = quirks
        self._losses = losses
        self._nine = quirks.tool_ids == "nine"
        self._out: list[dict[str, Any]] = []

    def write(self, request: GenerateRequest) -> list[dict[str, Any]]:
        """Return the messages."""
        if request.system:
            self._system(request.system, "")
        for message in request.messages:
            if message.role == "user":
                self._user(message)
            elif message.role == "assistant":
                self._assistant(message)
            else:
                self._system(tuple(b for b in message.content if isinstance(b, Text)), message.name)
        return self._out

    def _system(self, texts: tuple[Text, ...], name: str) -> None:
        """Write instructions; as one string unless a mark stands between them: many servers take no list there."""
        for text in texts:
            self._text_extras(text)
        marks = [text for text in texts if text.cache is not None]
        if marks and self._takes_marks:
            content: Any = [self._text(text) for text in texts]
        else:
            content = "\n\n".join(text.text for text in texts)
            if marks:
                self._losses.lose("system.cache")
        self._put(self._quirks.system_role, name, content=content)

    @property
    def _takes_marks(self) -> bool:
        extras = self._quirks.extras
        return "cache_control" in extras or "prompt_cache_breakpoint" in extras

    def _put(self, role: str, name: str, **members: Any) -> None:
        message: dict[str, Any] = {"role": role, **members}
        if name and "messages.name" in self._quirks.refused:
            self._losses.lose("messages.name")
        elif name:
            message["name"] = name
        self._out.append(message)

    def _text(self, block: Text) -> dict[str, Any]:
        return self._marked({"type": "text", "text": block.text}, block)

    def _marked(self, part: dict[str, Any], block: Text | Image | Audio | Video | Document) -> dict[str, Any]:
        if block.cache is not None and not parts.write_mark(part, block.cache, self._quirks.extras):
            self._losses.lose("content.cache")
        return part

    def _user(self, message: Message) -> None:
        """Write results one message each, first; then what the user says."""
        rest: list[dict[str, Any]] = []
        said: list[Block] = []
        for block in message.content:
            if isinstance(block, ToolResult):
                rest += self._result(block)
            else:
                said.append(block)
        rest += [part for block in said if (part := self._part(block)) is not None]
        if rest or not any(isinstance(block, ToolResult) for block in message.content):
            self._put("user", message.name, content=_content(rest))
        elif message.name:
            self._losses.lose("messages.name")

    def _result(self, result: ToolResult) -> list[dict[str, Any]]:
        """Write a tool's result; return what of it has to stand elsewhere."""
        texts: list[str] = []
        moved: list[dict[str, Any]] = []
        for block in result.content:
            part = self._part(block)
            if part is not None and part["type"] == "text":
                texts.append(part["text"])
            elif part is not None:
                moved.append(part)
        if moved:
            self._losses.lose("tool_result.content", _MOVED)
        if result.is_error:
            self._losses.lose("tool_result.is_error", "the result's text has to say that the tool failed")
        content: Any = "\n".join(texts)
        if result.cache is not None:
            part = {"type": "text", "text": content}
            if parts.write_mark(part, result.cache, self._quirks.extras):
                content = [part]
            else:
                self._losses.lose("content.cache")
        name = fitting_id(result.id, nine=self._nine)
        self._out.append({"role": "tool", "tool_call_id": name, "content": content})
        return moved

    def _part(self, block: Block) -> dict[str, Any] | None:
        part: dict[str, Any] | None = None
        if isinstance(block, Text):
            self._text_extras(block)
            return self._text(block)
        if isinstance(block, Image):
            part = parts.write_image(block, self._losses)
        elif isinstance(block, Audio):
            part = parts.write_audio(block, self._losses)
        elif isinstance(block, Video):
            part = parts.write_video(block, self._quirks.extras, self._losses)
        elif isinstance(block, Document):
            part = parts.write_document(block, self._losses)
        else:
            self._losses.lose("content.foreign")
            return None
        return None if part is None else self._marked(part, block)

    def _text_extras(self, block: Text) -> None:
        if block.citations:
            self._losses.lose("content.citations")

    def _assistant(self, message: Message) -> None:
        texts = [block for block in message.content if isinstance(block, Text)]
        thoughts = [block for block in message.content if isinstance(block, Reasoning)]
        refused = "".join(block.text for block in message.content if isinstance(block, Refusal))
        written: dict[str, Any] = {"content": self._said(texts, refused)}
        if thoughts:
            self._thoughts(thoughts, written)
        calls = self._calls(message.content)
        if calls:
            written["tool_calls"] = calls
        elif written["content"] is None:
            written["content"] = ""
        signature = next((text.signature for text in texts if text.signature), "")
        if signature and self._signs("reasoning.signature"):
            written["extra_content"] = signed(signature)
        self._put("assistant", message.name, **written)

    def _said(self, texts: list[Text], refused: str) -> Any:
        for block in texts:
            self._text_extras(block)
        if refused:
            self._losses.lose("content.refusal", "told as plain text")
        if any(block.cache for block in texts):
            if self._takes_marks:
                return [*map(self._text, texts), *([{"type": "text", "text": refused}] if refused else [])]
            self._losses.lose("content.cache")
        return "".join(block.text for block in texts) + refused or None

    def _calls(self, content: tuple[Block, ...]) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []
        for block in content:
            if isinstance(block, ToolCall):
                calls.append(self._call(block))
            elif isinstance(block, Foreign) and (custom := write_custom(block)) is not None:
                calls.append({**custom, "id": fitting_id(custom["id"], nine=self._nine)})
                if block.value.keys() - CUSTOM_CALL:
                    self._losses.lose("content.foreign", "a call has a name and a text here, and no more")
            elif isinstance(block, Image | Audio | Video | Document | ToolResult | Foreign):
                self._losses.lose(_LOST_OF_ASSISTANT.get(type(block), "content.foreign"))
        return calls

    def _call(self, call: ToolCall) -> dict[str, Any]:
        if call.cache is not None:
            self._losses.lose("content.cache")
        item = write_call(call, name=fitting_id(call.id, nine=self._nine))
        if call.signature and not self._signs("tool_call.signature"):
            del item["extra_content"]
        return item

    def _signs(self, name: str) -> bool:
        if "extra_content" not in self._quirks.extras:
            self._losses.lose(name)
            return False
        return True

    def _thoughts(self, thoughts: list[Reasoning], written: dict[str, Any]) -> None:
        """Write earlier thoughts back, to providers that take them."""
        field = self._quirks.reasoning_field
        if field == "none":
            self._losses.lose("reasoning", "the provider takes no earlier thoughts back")
        elif field == "reasoning_details":
            written[field] = write_details(thoughts)
        else:
            written[field] = "".join(block.text for block in thoughts)
            if any(block.signature for block in thoughts):
                self._losses.lose("reasoning.signature")
            if any(block.redacted for block in thoughts):
                self._losses.lose("reasoning", "thoughts that only another provider can read stay behind")


_LOST_OF_ASSISTANT: Final = {
    Image: "content.image",
    Audio: "content.audio",
    Video: "content.video",
    Document: "content.document",
}


def _content(written: list[dict[str, Any]]) -> Any:
    """Return a content as it is written most plainly: one text without a mark is a string."""
    if not written:
        return ""
    if len(written) == 1 and written[0].keys() == {"type", "text"}:
        return written[0]["text"]
    return written
