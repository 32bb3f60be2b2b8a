"""Responses: the shapes of an answer, whole and in events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from llmproxy_demo.answers import Answer


def response(answer: Answer, status: str = "completed") -> dict[str, Any]:
    """Return the response object; while in progress it has neither output nor usage."""
    done = status == "completed"
    return {
        "id": f"resp_{answer.id}",
        "object": "response",
        "created_at": 0,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": answer.model,
        "output": [_item(answer)] if done else [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage(answer) if done else None,
    }


def usage(answer: Answer) -> dict[str, Any]:
    """Return the counts in this API's form."""
    return {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }


class Events:
    """Writes one answer's events, each with the next sequence number."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._item = _item(answer)
        self._number = -1

    def opening(self) -> Iterator[bytes]:
        """Yield the events before the first word."""
        for kind in ("response.created", "response.in_progress"):
            yield self._event(kind, response=response(self._answer, "in_progress"))
        empty: dict[str, Any] = {"arguments": ""} if self._is_call else {"content": []}
        yield self._of_item("response.output_item.added", item=self._item | {"status": "in_progress"} | empty)
        if not self._is_call:
            yield self._of_part("response.content_part.added", part=_part(""))

    def word(self, piece: str) -> bytes:
        """Return the event of one word."""
        if self._is_call:
            return self._of_item(
                "response.function_call_arguments.delta", item_id=self._item["id"], delta=piece
            )
        return self._of_part("response.output_text.delta", delta=piece, logprobs=[])

    def closing(self) -> Iterator[bytes]:
        """Yield the events after the last word."""
        text = self._answer.text
        if self._is_call:
            kind = "response.function_call_arguments.done"
            name = self._item["name"]
            yield self._of_item(kind, item_id=self._item["id"], name=name, arguments=text)
        else:
            yield self._of_part("response.output_text.done", text=text, logprobs=[])
            yield self._of_part("response.content_part.done", part=_part(text))
        yield self._of_item("response.output_item.done", item=self._item)
        yield self._event("response.completed", response=response(self._answer))

    @property
    def _is_call(self) -> bool:
        return self._answer.directives.tool is not None

    def _of_part(self, kind: str, **fields: Any) -> bytes:
        return self._of_item(kind, item_id=self._item["id"], content_index=0, **fields)

    def _of_item(self, kind: str, **fields: Any) -> bytes:
        return self._event(kind, output_index=0, **fields)

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._number += 1
        data = orjson.dumps({"type": kind, "sequence_number": self._number, **fields})
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def _item(answer: Answer) -> dict[str, Any]:
    if answer.directives.tool is None:
        content = [_part(answer.text)]
        return {
            "id": f"msg_{answer.id}",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": content,
        }
    return {
        "id": f"fc_{answer.id}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{answer.id}",
        "name": answer.directives.tool,
        "arguments": answer.text,
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
