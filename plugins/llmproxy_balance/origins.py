"""What only its maker understands goes back to its maker: ids of held answers and files, encrypted or signed reasoning.

    reader = OriginReader(found.extend)      # a body sink, over an answer on its way to the caller
    items = items_of(body)                   # of a later request
    origins.remember(tenant, found, "azure-west")
    await origins.find(tenant, items)        # Origin("azure-west", strict=True)

The items are found by the member that holds them in the four dialects, whose names nothing else has; only a digest of
each is kept, under its tenant.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from llmproxy.plugin import StoreAway, store_key

if TYPE_CHECKING:
    from llmproxy.plugin import Store

#: Items that are remembered, each worker: some 150 bytes each.
MOST: Final = 65_536
#: Items of one request that are looked up, the last ones first, and of one answer that are kept.
MOST_EACH: Final = 64
#: Seconds that a store keeps an origin; OpenAI keeps responses for 30 days.
KEPT: Final = 30 * 86400.0
#: Bytes of an item that tell it from all others: they begin with what is common to many.
_TOLD: Final = 240
_TOPIC: Final = "balance.origins"

#: What is held by its maker alone, so that nobody else can answer.
_HELD: Final = rb"previous_response_id|conversation|file_id|fileUri|file_uri|container|encrypted_content"
#: What others may take too, if they run the same model: Anthropic's signatures count on all platforms.
_SIGNED: Final = rb"signature|thoughtSignature|thought_signature"
# What looks behind a quote comes after it: quotes are found much faster than places that may hold one.
_ASKED: Final = re.compile(
    rb'"(?<!\\")(?:(?P<held>%b)|%b)"\s*:\s*(?:\{\s*"id"\s*:\s*)?"(?P<item>[^"\\]{8,%d})'
    % (_HELD, _SIGNED, _TOLD)
)
#: What a request holds that may hold an item; most quotes are told by the letter behind them to be none of these.
_MAY_ASK: Final = re.compile(
    rb'"[cefpst](?:revious_response_id|on(?:versation|tainer)|ile(?:_id|Uri|_uri)|ncrypted_content'
    rb'|ignature|hought(?:S|_s)ignature)"'
)
_MADE: Final = re.compile(
    rb'"(?<!\\")(?:(?:encrypted_content|%b|file_id)"\s*:\s*"(?P<item>[^"\\]{8,%d})'
    rb'|id"\s*:\s*"(?P<id>(?:resp|conv|file|batch|msgbatch|cntr|container|vs)[-_][^"\\]{4,%d})'
    rb'|(?:uri|fileUri)"\s*:\s*"(?P<uri>https?://[^"\\]{1,%d}/files/[^"\\]{1,100}))'
    % (_SIGNED, _TOLD, _TOLD, _TOLD)
)
#: Stands in every answer that holds a signature.
SIGN: Final = b"ignature"
#: Bytes before the end of what tells that an answer holds an item which may belong to its key.
_KEY: Final = 32
#: Bytes of an answer in which the beginning of an item stands.
_REACH: Final = _TOLD + 64
_IN_PATH: Final = re.compile(r"/((?:resp|conv|file|batch|msgbatch|cntr|container|vs)[-_][^/?#]{4,240})")


class Item(NamedTuple):
    """Something opaque that a request holds; `held` says that nobody but its maker can take it."""

    name: bytes
    held: bool


class Origin(NamedTuple):
    """The upstream that a request has to go to, or had better (not `strict`)."""

    upstream: str
    strict: bool


def may_refer(body: bytes, path: str = "") -> bool:
    """Whether a look for opaque items in a request is worth while; quick."""
    return _MAY_ASK.search(body) is not None or "_" in path or "-" in path


def items_of(body: bytes, path: str = "") -> list[Item]:
    """Return the opaque items of a request, the last ones first."""
    found = [Item(match["item"][:_TOLD], match["held"] is not None) for match in _ASKED.finditer(body)]
    if "_" in path or "-" in path:
        found += [Item(name.encode()[:_TOLD], held=True) for name in _IN_PATH.findall(path)]
    return found[: -MOST_EACH - 1 : -1]


class OriginReader:
    """Finds the opaque items of an answer to a request for `path` as it passes, cut anywhere; a body sink.

    `found` is told of them as soon as they are there: a caller may send them back before the answer is over.
    """

    __slots__ = ("_found", "_seen", "_signed_only", "_tail")

    def __init__(self, found: Callable[[Sequence[bytes]], None], path: str = "") -> None:
        self._found = found
        self._signed_only = path.endswith("/completions")
        self._tail = b""
        self._seen: set[bytes] = set()

    def feed(self, data: bytes) -> None:
        """Read one piece; of a stream there are many, and nearly none holds anything."""
        window = self._tail + data
        if self._signed_only and window.find(SIGN) < 0:
            self._tail = window[-_KEY:]
        else:
            self._tail = window[-_REACH:]
            self._search(window)

    def end(self) -> None:
        """What was found is complete."""

    def fail(self, error: BaseException) -> None:
        """What was found of a broken answer counts all the same: callers send it back."""

    def _search(self, window: bytes) -> None:
        found = []
        for match in _MADE.finditer(window):
            item = (match["item"] or match["id"] or match["uri"])[:_TOLD]
            if match.end() == len(window) and len(item) < _TOLD:
                self._tail = window[match.start() :]  # its end is still to come
            elif item not in self._seen and len(self._seen) < MOST_EACH:
                self._seen.add(item)
                found.append(item)
        if found:
            self._found(found)


class Workers(Protocol):
    """The part of the workers' bus that is used here."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Tell all other workers."""

    def subscribe(self, topic: str, handler: Callable[[bytes, Any], None]) -> Callable[[], None]:
        """Have what they tell handed to `handler`."""


class Origins:
    """Where items come from: this worker's memory, what the others tell, and a store if there is one."""

    def __init__(self, bus: Workers, store: Store | None = None) -> None:
        self._bus = bus
        #: Where other hosts look, and this one after a restart.
        self.store = store
        #: The upstreams by digests of what they made.
        self.known: OrderedDict[bytes, str] = OrderedDict()

    def listen(self) -> Callable[[], None]:
        """Learn what the other workers of this host see; return what ends it."""

        def heard(payload: bytes, sender: Any) -> None:
            self._keep(payload[:16], payload[16:].decode())

        return self._bus.subscribe(_TOPIC, heard)

    async def remember(self, tenant: str, items: Iterable[bytes], upstream: str) -> None:
        """Keep which upstream made these items, here and wherever a later request may come."""
        for item in items:
            digest = _digest(tenant, item)
            self._keep(digest, upstream)
            await self._bus.publish(_TOPIC, digest + upstream.encode())
            if self.store is not None:
                with suppress(StoreAway):  # this host knows it
                    await self.store.set(_key(tenant, digest), upstream.encode(), ttl=KEPT)

    async def find(self, tenant: str, items: Iterable[Item]) -> Origin | None:
        """Return where a request must go for its items, the last one that is known; one that is held comes first."""
        preferred: Origin | None = None
        for item in items:
            if preferred is not None and not item.held:
                continue
            upstream = await self._look_up(tenant, item.name)
            if upstream is not None and item.held:
                return Origin(upstream, strict=True)
            if upstream is not None:
                preferred = Origin(upstream, strict=False)
        return preferred

    async def _look_up(self, tenant: str, item: bytes) -> str | None:
        digest = _digest(tenant, item)
        known = self.known.get(digest)
        if known is None and self.store is not None:
            try:
                told = await self.store.get(_key(tenant, digest))
            except StoreAway:
                return None
            known = None if told is None else bytes(told).decode()
        return known

    def _keep(self, digest: bytes, upstream: str) -> None:
        self.known[digest] = upstream
        self.known.move_to_end(digest)
        if len(self.known) > MOST:
            self.known.popitem(last=False)


def _digest(tenant: str, item: bytes) -> bytes:
    return blake2b(b"%d:" % len(tenant) + tenant.encode() + item, digest_size=16).digest()


def _key(tenant: str, digest: bytes) -> bytes:
    return store_key(tenant, "balance", "origin", digest.hex())
