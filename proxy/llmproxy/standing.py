"""A refusal that is told again and again: put into each caller's dialect once, so that telling it costs little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.errors import GatewayError
from llmproxy.messages import Reply
from llmproxy.problems import problem
from llmproxy.storedheaders import StoredHeaders, wire_fields

if TYPE_CHECKING:
    from llmproxy.dialects import ClientFace

#: A status, header fields as they stand on the wire, and a body.
Told = tuple[int, bytes, bytes]


class StandingError:
    """Makes errors that are alike; the arguments are those of a `GatewayError`.

    It belongs to whoever refuses, and lives no longer than a generation does: so do the dialects that it is told in.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after: float | None = None) -> None:
        self._said = status, code, message
        self._retry_after = retry_after
        self._told: dict[ClientFace | None, Told] = {}

    def once(self) -> GatewayError:
        """Return an error to be raised: one object that is raised twice would remember both callers."""
        error = GatewayError(*self._said, retry_after=self._retry_after)
        error.told = self._told
        return error


def tell(error: GatewayError, face: ClientFace | None) -> Reply:
    """Return an error as callers of a dialect are told it."""
    known = error.told
    if known is None:
        return problem(error) if face is None else face.error(error)
    told = known.get(face)
    if told is None:
        reply = problem(error) if face is None else face.error(error)
        if not isinstance(reply.body, bytes):
            return reply
        told = known[face] = reply.status, wire_fields(reply.headers.raw), reply.body
    status, fields, body = told
    return Reply(status, StoredHeaders(fields), body)
