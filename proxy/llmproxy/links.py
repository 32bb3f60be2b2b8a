"""Pictures and files behind URLs, fetched where an upstream's dialect takes bytes only."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from llmproxy.canonical import (
    Audio,
    Block,
    CountRequest,
    Document,
    GenerateRequest,
    Image,
    ImageRequest,
    Inline,
    Link,
    Message,
    ModelRequest,
    ToolResult,
    Video,
)
from llmproxy.fetching import UnreachableUrl, fetch_public
from llmproxy.fetchpolicy import FetchPolicy

if TYPE_CHECKING:
    from llmproxy.dialects import UpstreamFace
    from llmproxy.fetchpolicy import FetchingConfig
    from llmproxy.route import Route

#: URLs that are fetched for one request, and how many at a time.
MOST: Final = 16
_AT_ONCE: Final = 4

_KINDS: Final[dict[type, str]] = {Image: "image", Audio: "audio", Video: "video", Document: "document"}
_WANTED: Final = {
    "image": ("image/*",),
    "audio": ("audio/*",),
    "video": ("video/*",),
    "document": ("application/pdf", "text/*"),
}

#: What was fetched for an exchange, by its URL.
Fetches = dict[str, Inline]


async def with_bytes(
    request: ModelRequest, face: UpstreamFace, route: Route, fetched: Fetches
) -> ModelRequest:
    """Return the request with the bytes in place of each link that `face` wants fetched.

    `fetched` keeps them for the exchange's next attempt.

    Raises:
        UnreachableUrl: one cannot be had, or all are too many or too large.
    """
    config = route.fetching
    if isinstance(request, ImageRequest):
        return await _with_references(request, face, route, fetched)
    if isinstance(request, CountRequest):
        counted = await with_bytes(request.request, face, route, fetched)
        return CountRequest(request=counted) if isinstance(counted, GenerateRequest) else request
    if not config.enabled or not isinstance(request, GenerateRequest):
        return request
    wanted = to_fetch(request, face)
    if not wanted:
        return request
    uses = Counter(link.url for kind, link in _links(request.messages) if face.fetches(link, kind))
    await _fetch_wanted(wanted, uses, route, fetched)
    messages = tuple(_replaced(message, wanted, fetched) for message in request.messages)
    return msgspec.structs.replace(request, messages=messages)


async def _with_references(
    request: ImageRequest, face: UpstreamFace, route: Route, fetched: Fetches
) -> ImageRequest:
    """Replace the pictures that another one is to be made from."""
    pictures = [*request.images, *([] if request.mask is None else [request.mask])]
    links = [image.source for image in pictures if type(image.source) is Link]
    uses = Counter(link.url for link in links if face.fetches(link, "reference"))
    if not uses or not route.fetching.enabled:
        return request
    wanted = dict.fromkeys(uses, "image")
    await _fetch_wanted(wanted, uses, route, fetched)
    images = tuple(_block(image, wanted, fetched) for image in pictures)
    mask = None if request.mask is None else images[-1]
    return msgspec.structs.replace(request, images=images[: len(request.images)], mask=mask)


async def _fetch_wanted(
    wanted: dict[str, str], uses: Mapping[str, int], route: Route, fetched: Fetches
) -> None:
    """Fetch what is not there yet; `uses` says how often each stands in the request, and so is sent."""
    if len(wanted) > MOST:
        raise UnreachableUrl(
            f"More than {MOST} URLs of the request would have to be fetched for its provider."
        )
    missing = {url: kind for url, kind in wanted.items() if url not in fetched}
    await _fetch_all(missing, route.fetching, route.max_body, fetched)
    # What is fetched once is sent wherever its URL stands.
    if sum(_size(fetched[url]) * times for url, times in uses.items()) > route.max_body:
        raise _too_large(route.max_body)


def to_fetch(request: GenerateRequest, face: UpstreamFace) -> dict[str, str]:
    """Return the URLs that `face` wants fetched, with the kind of what each leads to."""
    return {link.url: kind for kind, link in _links(request.messages) if face.fetches(link, kind)}


def _links(messages: Iterable[Message | ToolResult]) -> Iterator[tuple[str, Link]]:
    for message in messages:
        for block in message.content:
            if type(block) is ToolResult:
                yield from _links((block,))
            elif (kind := _KINDS.get(type(block))) is not None:
                source = block.source  # type: ignore[union-attr]  # what has a kind has a source
                if type(source) is Link:
                    yield kind, source


async def _fetch_all(wanted: dict[str, str], config: FetchingConfig, most: int, fetched: Fetches) -> None:
    policy = FetchPolicy(config)
    gate = asyncio.Semaphore(_AT_ONCE)
    left = most

    async def fetch(url: str, kind: str) -> None:
        nonlocal left
        async with gate:
            found = await fetch_public(
                url,
                limit=max(min(config.max_size, left), 0),
                timeout=config.timeout,
                media_types=_WANTED[kind],
                policy=policy,
            )
        left -= len(found.data)
        if left < 0:
            raise _too_large(most)
        fetched[url] = Inline(found.media_type, b64encode(found.data).decode())

    try:
        async with asyncio.TaskGroup() as group:
            for url, kind in wanted.items():
                group.create_task(fetch(url, kind))
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None


def _size(inline: Inline) -> int:
    """Return how many bytes base64 holds."""
    return len(inline.data) // 4 * 3 - inline.data[-2:].count("=")


def _too_large(most: int) -> UnreachableUrl:
    return UnreachableUrl(f"What the request's URLs lead to is larger than {most} bytes together.")


def _replaced(message: Message, wanted: dict[str, str], fetched: Fetches) -> Message:
    content = tuple(_block(block, wanted, fetched) for block in message.content)
    return msgspec.structs.replace(message, content=content)


def _block(block: Block, wanted: dict[str, str], fetched: Fetches) -> Block:
    if isinstance(block, ToolResult):
        content = tuple(_block(inner, wanted, fetched) for inner in block.content)
        return msgspec.structs.replace(block, content=content)
    if isinstance(block, Image | Audio | Video | Document) and type(block.source) is Link:
        url = block.source.url
        return msgspec.structs.replace(block, source=fetched[url]) if url in wanted else block
    return block
