"""One store as caches use it: entries in and out, purged ones never, and no fault that anybody sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

from llmproxy.caching.board import Board, Purged, Verdict
from llmproxy.caching.entry import Entry, Mark
from llmproxy.caching.faults import StoreFaults
from llmproxy.caching.sharedboard import shared_server
from llmproxy.lately import Lately
from llmproxy.stores.interface import LocalStore, Store
from llmproxy.tasks import spawn

if TYPE_CHECKING:
    from llmproxy.caching.handing import Handing
    from llmproxy.caching.mirror import Mirror
    from llmproxy.metrics import Metrics
    from llmproxy.stores.sealed import Opening


#: Seconds between two looks whether the board is still the one that all workers see.
_LOOK: Final = 1.0

#: Seconds that a start waits for a server that several hosts share; without it nothing is found at first.
_FIRST: Final = 0.5


@runtime_checkable
class Tiered(Protocol):
    """A store with one in this process before it."""

    near: LocalStore
    far: Store


@runtime_checkable
class OnDisk(Protocol):
    """A store whose files outlive the process, in a directory of its own."""

    @property
    def directory(self) -> Path:
        """Where they are."""


#: Small entries that are remembered as they were read: eight megabytes at most.
_MOST_HOT: Final = 1024
_HOT_SIZE: Final = 4096


@runtime_checkable
class Sealed(Protocol):
    """A store whose values are sealed; one that cannot be opened is a fault that it keeps to itself."""

    opening: Opening


class Found(NamedTuple):
    """An entry that may be used; `stale` if a soft purge says that it is stale, however fresh it was."""

    entry: Entry
    stale: bool = False


class CacheSpace:
    """The entries of one store, with the board that says which of them were purged.

    Who caches looks with `get`, judges by `Entry.stored` and `Found.stale` whether the entry is fresh, and else takes a
    mark with `now`, asks upstream, and puts the answer with that mark and the slots that it is purged by.

    A store that fails, hangs or gives back damaged bytes is a miss, counted and logged. An entry that was purged is not
    found, whichever tier it is in. Where other hosts share the store, what they have purged is not found from `BOUND`
    seconds (llmproxy.caching.mirror) after on, nearly always from milliseconds; `confirm` and `mark` are exact.
    """

    def __init__(
        self, name: str, store: Store, board: Board, metrics: Metrics, mirror: Mirror | None = None
    ) -> None:
        self.name = name
        self.board = board
        self._mirror = mirror
        tiered = isinstance(store, Tiered)
        far = store.far if isinstance(store, Tiered) else store
        near = store.near if isinstance(store, Tiered) else store
        self._near: LocalStore | None = near if isinstance(near, LocalStore) else None
        self._far: Store | None = None if near is far and self._near is not None else far
        self._local_far: LocalStore | None = far if tiered and isinstance(far, LocalStore) else None
        #: What keeps the entries, by tier.
        alone = "far" if self._near is None else "near"
        self.tiers = {"near": near, "far": far} if tiered else {alone: far}
        #: What hands entries to the other workers, where each has its own store only.
        self.handing: Handing | None = None
        #: Entries as they were read of values that the store at hand gave; it gives the same object while it has it.
        self._hot: Lately[bytes, tuple[bytes, Entry]] = Lately(_MOST_HOT)
        #: What is counted of its store.
        self.faults = StoreFaults(name, metrics)
        self._failed = self.faults.add
        self._purges = metrics.counter(
            "llmproxy_cache_purges_total",
            "Purges, by whether every host heard of them at once.",
            ("store", "kind", "heard"),
        )

    def now(self) -> Mark:
        """Return the mark for an answer whose request is sent after this call."""
        return self.board.now()

    async def mark(self) -> Mark:
        """Return the mark that knows of every purge that any host has answered; `now` may lag behind by moments.

        An answer marked by `now` is purged again if this host had not heard of a purge yet; it is never kept too long.
        """
        return self.board.now() if self._mirror is None else await self._mirror.mark()

    def epoch(self, mark: Mark) -> int:
        """Return what callers must have in common to share a call: each purge begins a new one.

        So does a purge that no other host has heard of, which marks know nothing of. `mark` is what the answer to this
        caller would be marked with.
        """
        # Both numbers only grow; a board that is begun anew has another id.
        return mark.board + mark.sequence + self.board.latest

    @property
    def barrier(self) -> int:
        """What callers must have in common to share a call where no other host's purge matters at once.

        Unlike an `epoch`, a quiet purge begins no new one.
        """
        return self.board.barrier

    def good(self, mark: Mark, slots: Iterable[int]) -> bool:
        """Whether an answer of that mark and those tags, on its way or stored, was not purged since, softly either."""
        return self.board.judge(mark, slots) is Verdict.GOOD

    def stands(self, entry: Entry) -> bool:
        """Whether an entry that was found a while ago was not purged since, or softly only."""
        return self._judged(entry) is not None

    async def confirm(self, found: Found) -> Found | None:
        """Return what was found as every host sees it now, or None if it was purged by one of them."""
        if self._mirror is None:
            return found
        try:
            verdict = await self._mirror.judge(found.entry.mark, found.entry.slots)
        except Exception as fault:
            self._failed("confirm", fault)
            return None
        if verdict is Verdict.PURGED:
            return None
        return found if verdict is Verdict.GOOD else Found(found.entry, stale=True)

    def peek(self, key: bytes) -> Found | None:
        """Return what is at hand without waiting for anybody: the tier in this process, or a store on this host."""
        found = self._local(self._near, key, check=self._far is None)
        if found is not None or self._local_far is None:
            return found
        return self._bring_near(key, self._local_far)

    @property
    def waits(self) -> bool:
        """Whether there is more to find than `peek` sees."""
        return self._far is not None and self._local_far is None

    async def get(self, key: bytes) -> Found | None:
        """Return the entry under a key, wherever it is."""
        return self.peek(key) or (await self.get_far(key) if self.waits else None)

    async def get_far(self, key: bytes) -> Found | None:
        """Return the entry that the shared tier has, which may be newer than the one at hand."""
        if self._far is None or self._local_far is not None:
            return self._local(self._local_far or self._near, key, check=True)
        try:
            value = await self._far.get(key)
        except Exception as fault:
            self._failed("get", fault)
            return None
        return self._keep_near(key, value)

    async def put(self, key: bytes, entry: Entry, ttl: float) -> bool:
        """Keep an entry for `ttl` seconds at most; False if it was not kept."""
        kept = False
        try:
            value = entry.pack(key)
            if self._far is not None:
                kept = await self._far.set(key, value, ttl)
            if self._near is not None:
                kept = self._near.set_nowait(key, value, ttl) or kept
        except Exception as fault:
            self._failed("put", fault)
        return kept

    async def drop(self, key: bytes) -> None:
        """Forget the entry under a key here; purging its tags reaches every worker."""
        try:
            if self._near is not None:
                self._near.delete_nowait(key)
            if self._far is not None:
                await self._far.delete(key)
        except Exception as fault:
            self._failed("drop", fault)

    def heal(self) -> None:
        """See to it that the board is the one which all workers of this host see; nothing is left of a lost one."""
        try:
            if not self.board.heal():
                return
            fault = "lost"
        except OSError:
            fault = "away"
        self.faults.count("board", fault, f"the board of purges is {fault}: nothing stored before is used")
        if self._mirror is not None:
            self._mirror.lost()

    async def purge(self, slots: Iterable[int], *, soft: bool = False, quiet: bool = False) -> Purged:
        """Purge whatever has one of these tags, answers that are on their way included.

        When this returns every worker of this host obeys, and the others do within the bound. If the result does not
        say `everywhere`, the other hosts could not be told, and will be when they can. A `quiet` one lets callers who
        come after it join calls from before it: one caller's wish splits nobody else's flights.
        """
        self.heal()
        if self._mirror is None:
            purged = Purged(self.board.purge(slots, soft=soft, quiet=quiet))
        else:
            purged = await self._mirror.purge(slots, soft=soft, quiet=quiet)
        heard = "everywhere" if purged.everywhere else "here"
        self._purges.labels(self.name, "soft" if soft else "hard", heard).inc()
        return purged

    def _local(self, store: LocalStore | None, key: bytes, *, check: bool) -> Found | None:
        if store is None:
            return None
        try:
            value = store.get_nowait(key)
            if value is None:
                return None
            known = self._hot[key]
            if known is not None and known[0] is value:
                return self._judged(known[1])
            entry = Entry.unpack(value, key, check=check)
            if len(value) <= _HOT_SIZE:
                self._hot.keep(key, (value, entry))
            return self._judged(entry)
        except Exception as fault:
            self._failed("get", fault)
            return None

    def _bring_near(self, key: bytes, far: LocalStore) -> Found | None:
        try:
            return self._keep_near(key, far.get_nowait(key))
        except Exception as fault:
            self._failed("get", fault)
            return None

    def _keep_near(self, key: bytes, value: bytes | None) -> Found | None:
        """Judge what a shared tier gave; keep it at hand if it is good."""
        if value is None:
            return None
        try:
            found = self._judged(Entry.unpack(value, key))
            if found is not None and self._near is not None:
                # Its owner knows how long it may be used; the tier only has to be bounded.
                self._near.set_nowait(key, value)
        except Exception as fault:
            self._failed("get", fault)
            return None
        return found

    def _judged(self, entry: Entry) -> Found | None:
        if self._mirror is not None and not self._mirror.trusted:
            self.faults.count("get", "unsure", "purges of other hosts may not have been heard")
            return None
        verdict = self.board.judge(entry.mark, entry.slots)
        if verdict is Verdict.GOOD:
            return Found(entry)
        return Found(entry, stale=True) if verdict is Verdict.SOFT else None


@asynccontextmanager
async def open_space(
    name: str, store: Store, metrics: Metrics, directory: Path | None
) -> AsyncIterator[CacheSpace]:
    """Open the space of one store; `directory` is what several workers of this host share while they run."""
    board = Board(_board_path(store, directory))
    try:
        async with _mirrored(name, board, store) as mirror:
            space = CacheSpace(name, store, board, metrics, mirror)
            far = store.far if isinstance(store, Tiered) else store
            if isinstance(far, Sealed):
                far.opening.tell = space.faults.unopened
            watch = spawn(_watch(space), name="board-watch")
            try:
                yield space
            finally:
                watch.cancel()
                await asyncio.wait([watch])
    finally:
        board.close()


async def _watch(space: CacheSpace) -> None:
    while True:
        await asyncio.sleep(_LOOK)
        space.heal()


@asynccontextmanager
async def _mirrored(name: str, board: Board, store: Store) -> AsyncIterator[Mirror | None]:
    """Keep the board like those of other hosts, if they share the store."""
    server = shared_server(store)
    if server is None:
        yield None
        return
    from llmproxy.caching.mirror import Mirror  # noqa: PLC0415  # few gateways share their stores

    mirror = Mirror(board, server, name)
    mirror.start()
    try:
        await mirror.wait(_FIRST)
        yield mirror
    finally:
        await mirror.close()


def _board_path(store: Store, directory: Path | None) -> Path | None:
    """Return where a store's board is: as lasting as its entries, or as the workers."""
    engine = _engine(store)
    if isinstance(engine, OnDisk):
        return engine.directory / "board"
    if directory is None:
        return None
    name = str(getattr(store, "name", type(store).__name__))
    return directory / f"board-{blake2b(name.encode(), digest_size=8).hexdigest()}"


def _engine(store: Store) -> object:
    """Return what keeps the entries: behind a tier at hand, and behind what seals them."""
    far = store.far if isinstance(store, Tiered) else store
    return getattr(far, "inner", far)
