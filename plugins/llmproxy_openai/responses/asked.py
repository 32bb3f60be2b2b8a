"""What one exchange must know between a caller's request and the answer to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmproxy.plugin import Exchange, StateKey
from llmproxy_openai.responses.custom_tools import custom_names
from llmproxy_openai.responses.ids import response_id

if TYPE_CHECKING:
    from llmproxy_openai.responses.stream_writer import ResponsesEncoder


class Asked:
    """The request as the caller wrote it, since a response repeats it, and the response's name.

    `instructed` says how many of the system texts are the request's own instructions, which no later response sees;
    `custom` holds the names of custom tools.
    """

    __slots__ = ("custom", "encoder", "id", "instructed", "told")

    def __init__(self, told: dict[str, Any], instructed: int = 0) -> None:
        self.told = told
        self.custom = custom_names(told.get("tools"))
        self.instructed = instructed
        self.id = response_id()
        self.encoder: ResponsesEncoder | None = None


_ASKED: Final = StateKey[Asked]("openai.responses.asked")


def keep_asked(exchange: Exchange, asked: Asked) -> None:
    """Keep what was asked with the exchange."""
    exchange.state[_ASKED] = asked


def asked_of(exchange: Exchange) -> Asked:
    """Return what was asked, or an empty request where none was read."""
    asked = exchange.state.get(_ASKED)
    if asked is None:
        asked = exchange.state[_ASKED] = Asked({})
    return asked
