"""What a request says, read once for all who choose by it."""

from __future__ import annotations

from typing import Final, NamedTuple

from llmproxy.canonical import CountRequest, GenerateRequest, Losses, ModelRequest
from llmproxy.plugin import BadRequest, Exchange, StateKey


class _Read(NamedTuple):
    body: bytes
    request: ModelRequest | None


_READ: Final[StateKey[_Read]] = StateKey("balance.read")


def request_of(exchange: Exchange) -> ModelRequest | None:
    """Return what a model is asked for; None where the body is not at hand, or of no dialect that is understood."""
    body, face = exchange.body_at_hand, exchange.client_face
    if not body or face is None:
        return None
    known = exchange.state.get(_READ)
    if known is None or known.body is not body:
        try:
            request = face.decode_request(exchange, body, Losses(face.loss_names))
        except BadRequest:  # what is broken is told by who has to send it
            request = None
        known = exchange.state[_READ] = _Read(body, request)
    return known.request


def talk_of(exchange: Exchange) -> GenerateRequest | None:
    """Return the conversation that is to be answered or counted, or None."""
    request = request_of(exchange)
    if isinstance(request, CountRequest):
        return request.request
    return request if isinstance(request, GenerateRequest) else None
