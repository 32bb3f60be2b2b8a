"""The Responses API in other dialects' words; nothing of it is loaded before it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from llmproxy_openai.responses.answer_writer import encode_answer
    from llmproxy_openai.responses.conversations import recall, remember
    from llmproxy_openai.responses.request_reader import decode_request
    from llmproxy_openai.responses.stream_writer import stream_encoder, stream_error

_WHERE: Final = {
    "decode_request": "request_reader",
    "encode_answer": "answer_writer",
    "recall": "conversations",
    "remember": "conversations",
    "stream_encoder": "stream_writer",
    "stream_error": "stream_writer",
}

__all__ = ["decode_request", "encode_answer", "recall", "remember", "stream_encoder", "stream_error"]


def __getattr__(name: str) -> Any:
    """Load what is asked for with its module (PEP 562)."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    return value
