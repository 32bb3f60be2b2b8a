"""A turn of the model written as a chat message: what it thought and said, and the tools it called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import (
    Audio,
    Block,
    Document,
    Foreign,
    Image,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy_openai.chat.parts import report_text, takes_marks, write_text
from llmproxy_openai.chat.reasoning import write_details
from llmproxy_openai.chat.toolcalls import CUSTOM_CALL, fitting_id, signed, write_call, write_custom

if TYPE_CHECKING:
    from llmproxy.canonical import Losses
    from llmproxy.plugin import Quirks

_LOST_OF_ASSISTANT: Final = {
    Image: "content.image",
    Audio: "content.audio",
    Video: "content.video",
    Document: "content.document",
}


class Assistant:
    """Writes the turns of the model as one provider takes them."""

    def __init__(self, quirks: Quirks, losses: Losses) -> None:
        self._quirks = quirks
        self._losses = losses
        self._nine = quirks.tool_ids == "nine"

    def write(self, content: tuple[Block, ...]) -> dict[str, Any]:
        """Return the message without its role."""
        texts = [block for block in content if isinstance(block, Text)]
        thoughts = [block for block in content if isinstance(block, Reasoning)]
        refused = "".join(block.text for block in content if isinstance(block, Refusal))
        written: dict[str, Any] = {"content": self._said(texts, refused)}
        if thoughts:
            self._thoughts(thoughts, written)
        calls = self._calls(content)
        if calls:
            written["tool_calls"] = calls
        elif written["content"] is None:
            written["content"] = ""
        signature = next((text.signature for text in texts if text.signature), "")
        if signature and self._signs("reasoning.signature"):
            written["extra_content"] = signed(signature)
        return written

    def _said(self, texts: list[Text], refused: str) -> Any:
        for block in texts:
            report_text(block, self._losses)
        if refused:
            self._losses.lose("content.refusal", "told as plain text")
        if any(block.cache for block in texts):
            if takes_marks(self._quirks.extras):
                said = [*texts, Text(refused)] if refused else texts
                return [write_text(block, self._quirks.extras, self._losses) for block in said]
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
