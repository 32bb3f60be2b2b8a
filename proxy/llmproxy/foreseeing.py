"""What a translation would send, told from the caller's words alone: nothing is fetched, nothing kept is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from llmproxy.canonical import CountRequest, GenerateRequest, Inline, Losses, ModelRequest
from llmproxy.errors import BadRequest
from llmproxy.links import to_fetch, with_bytes
from llmproxy.translation import client_of, written

if TYPE_CHECKING:
    from llmproxy.dialects import UpstreamFace
    from llmproxy.exchange import Endpoint, Exchange
    from llmproxy.messages import UpstreamRequest

#: What stands for bytes that are not fetched.
_STAND_INS: Final = {
    "image": Inline(media_type="image/png", data=""),
    "audio": Inline(media_type="audio/wav", data=""),
    "video": Inline(media_type="video/mp4", data=""),
    "document": Inline(media_type="application/pdf", data=""),
}


class Foreseen(NamedTuple):
    """The wire request, or None where the gateway would count itself; `notes` say what is not shown."""

    wire: UpstreamRequest | None
    notes: list[str]


class _Nothing:
    """A memory in which nothing is kept."""

    async def get(self, kind: str, name: str) -> bytes | None:
        return None

    async def put(self, kind: str, name: str, value: bytes) -> None:
        return None

    async def drop(self, kind: str, name: str) -> bool:
        return False


async def foresee(exchange: Exchange, endpoint: Endpoint, face: UpstreamFace) -> Foreseen:
    """Put a request into an upstream's dialect; what got lost is in `exchange.losses`.

    Raises:
        BadRequest: it cannot be said there.
    """
    client, notes = client_of(exchange), list[str]()
    losses = Losses(client.loss_names)
    request = client.decode_request(exchange, await exchange.body(), losses)
    request = await _recalled(exchange, request, notes)
    request = await _with_stand_ins(exchange, face, request, notes)
    wire = written(exchange, endpoint, face, request, losses)
    if wire is None and isinstance(request, CountRequest):
        notes.append("the provider has no such call: the gateway counts, and asks nobody")
    elif wire is None:
        kind = type(request).__name__.removesuffix("Request").lower()
        message = f"The provider behind this model has no call that could serve this request ({kind})."
        raise BadRequest("not_supported_by_provider", message)
    return Foreseen(wire, notes)


async def _recalled(exchange: Exchange, request: ModelRequest, notes: list[str]) -> ModelRequest:
    talk = request.request if isinstance(request, CountRequest) else request
    if not isinstance(talk, GenerateRequest):
        return request
    try:
        talk = await client_of(exchange).recall(exchange, talk, _Nothing())
    except BadRequest:
        notes.append("it refers to an earlier answer, which only the gateway that gave it knows")
    return CountRequest(request=talk) if isinstance(request, CountRequest) else talk


async def _with_stand_ins(
    exchange: Exchange, face: UpstreamFace, request: ModelRequest, notes: list[str]
) -> ModelRequest:
    talk = request.request if isinstance(request, CountRequest) else request
    if not isinstance(talk, GenerateRequest) or not exchange.route.fetching.enabled:
        return request
    wanted = to_fetch(talk, face)
    notes += [f"{url[:200]!r} would be fetched; nothing stands in its place" for url in wanted]
    return await with_bytes(
        request, face, exchange.route, {url: _STAND_INS[kind] for url, kind in wanted.items()}
    )
