"""Vectors for whoever cannot wait: asked of an embedder elsewhere, in time or not at all.

Theory. What embeds works apart from the event loop: a model in a thread of its own (`Worker`), or an API. A question
waits for its vector as long as it may; past that, where too many wait, and whatever fails, it goes on without one, and
is counted. What is stored waits behind all questions, as nobody waits for it. A question that found nothing is stored
next: its vector is still at hand then.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal, Protocol

from llmproxy_semantic.embedder import Embedder, TooLong, Unavailable, Unread

if TYPE_CHECKING:
    from llmproxy.plugin import Metrics, Runtime
    from llmproxy_semantic.embedder import Vector

Purpose = Literal["lookup", "store"]

#: Questions that wait for a thread at once: more than it answers within a deadline.
MOST_ASKED: Final = 16
#: Texts of stored answers that wait at once, of 4 KiB at most.
MOST_LATER: Final = 1024
#: Vectors that are kept at hand.
_RECENT: Final = 256
#: What the last text says of how long one takes.
_WEIGHT: Final = 0.2
#: Seconds for which that is worth something.
_LASTS: Final = 1.0
#: Seconds after which failures that began anew are told again.
_TELL_AGAIN: Final = 60.0
#: Characters of a text above which it is no question that is compared; no embedder is asked.
LONGEST: Final = 4096

_OUTCOMES: Final = ("done", "recent", "late", "full", "long", "unread", "failed", "off")


#: Takes a vector that nobody waits for any more.
Late = Callable[["Vector"], None]


class Full(Exception):
    """Too many texts wait already."""


class EmbeddingFault(Exception):
    """An embedder failed; the message tells why, with no text of anybody's in it."""


class Work(Protocol):
    """Where texts are embedded; awaited in the event loop, which it does not hold up."""

    @property
    def id(self) -> str:
        """What its vectors are told apart by."""

    @property
    def dims(self) -> int:
        """Numbers in a vector; 0 while that is not known."""

    @property
    def wait(self) -> float:
        """Seconds that a question asked now would wait, by what those before it did; 0 where that is not known."""

    async def ready(self) -> None:
        """Wait until it can be asked.

        Raises:
            Unavailable: it never can.
        """

    async def vector(self, text: str, purpose: Purpose, late: Late) -> Vector:
        """Return a text's vector, of unit length; `late` may get it when who waited was cancelled.

        Raises:
            Full: too many wait.
            TooLong: the text does not fit.
            Unread: something in it says nothing to the embedder.
            Unavailable: there is no embedder.
        """


class Worker:
    """An embedder in a thread: made there, asked there, one text after the other, questions first."""

    def __init__(self, name: str, id: str, dims: int, make: Callable[[], Embedder]) -> None:
        self.id = id
        self.dims = dims
        self._make = make
        self._asked: deque[_Job] = deque()
        self._later: deque[_Job] = deque()
        #: Those that are not settled: who asks for the same waits for the same.
        self._known: dict[tuple[Purpose, str], _Job] = {}
        self._jobs = threading.Semaphore(0)
        self._off = ""
        #: Seconds that one text takes, as far as the last ones tell.
        self._takes = 0.0
        self._ended = monotonic()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def wait(self) -> float:
        """Seconds that a question asked now would wait."""
        recent = monotonic() - self._ended < _LASTS
        return (len(self._asked) + 1) * self._takes if recent else 0.0

    def start(self) -> None:
        """Load the embedder, in its thread, and embed from then on."""
        self._loop = asyncio.get_running_loop()
        self._loaded = asyncio.Event()
        self._thread.start()

    async def close(self) -> None:
        """End the thread; who still waits is told that there is no embedder."""
        self._end("it was closed")
        self._jobs.release()
        await asyncio.to_thread(self._thread.join, 5.0)

    async def ready(self) -> None:
        """Wait until the embedder is loaded."""
        await self._loaded.wait()
        if self._off:
            raise Unavailable(self._off)

    async def vector(self, text: str, purpose: Purpose, late: Late) -> Vector:
        """Have a text embedded in the thread; what nobody waits for when its turn comes is not."""
        if self._off:
            raise Unavailable(self._off)
        queue, most = (self._asked, MOST_ASKED) if purpose == "lookup" else (self._later, MOST_LATER)
        job = self._known.get((purpose, text))
        if job is not None:
            return await job.waiter(self._loop)
        if len(queue) >= most:
            raise Full
        job = self._known[purpose, text] = _Job(purpose, text, late)
        waiter = job.waiter(self._loop)  # before the thread can see the job, which would find it unwanted
        queue.append(job)
        self._jobs.release()
        return await waiter

    def _run(self) -> None:
        try:
            embedder = self._make()
        except Exception as fault:
            self._tell(self._end, str(fault) if isinstance(fault, Unavailable) else type(fault).__name__)
            return
        self._tell(self._loaded.set)
        while True:
            self._jobs.acquire()
            if self._off:
                return
            job = (self._asked or self._later).popleft()
            self._tell(self._settle, job, self._embedded(embedder, job.text) if job.wanted else Full())

    def _embedded(self, embedder: Embedder, text: str) -> Vector | Exception:
        begun = monotonic()
        told = _embedded(embedder, text)
        self._ended = monotonic()
        self._takes += _WEIGHT * (self._ended - begun - self._takes)
        return told

    def _settle(self, job: _Job, told: Vector | Exception) -> None:
        if self._known.get((job.purpose, job.text)) is job:
            del self._known[job.purpose, job.text]
        job.settle(told)

    def _tell(self, what: Callable[..., None], *about: object) -> None:
        try:
            self._loop.call_soon_threadsafe(what, *about)
        except RuntimeError:
            self._off = "the event loop is closed"

    def _end(self, why: str) -> None:
        self._off = why
        self._loaded.set()
        for job in (*self._asked, *self._later):
            self._settle(job, Unavailable(why))


class _Job:
    """A text, and all who wait for its vector."""

    __slots__ = ("_late", "_waiters", "purpose", "text")

    def __init__(self, purpose: Purpose, text: str, late: Late) -> None:
        self.purpose = purpose
        self.text = text
        self._late = late
        self._waiters: list[asyncio.Future[Vector]] = []

    @property
    def wanted(self) -> bool:
        """Whether anybody waits still; asked in the thread."""
        return any(not waiter.done() for waiter in self._waiters)

    def waiter(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Vector]:
        """Return what one more may wait for."""
        waiter = loop.create_future()
        self._waiters.append(waiter)
        return waiter

    def settle(self, told: Vector | Exception) -> None:
        """Tell all who wait; a vector that nobody waits for goes to whom it may be of use."""
        waiting = [waiter for waiter in self._waiters if not waiter.done()]
        for waiter in waiting:
            if isinstance(told, Exception):
                waiter.set_exception(told)
            else:
                waiter.set_result(told)
        if not waiting and not isinstance(told, Exception):
            self._late(told)


def _embedded(embedder: Embedder, text: str) -> Vector | Exception:
    try:
        return embedder.embed(text)
    except Exception as fault:
        return fault


class Meters:
    """What is counted of embeddings."""

    def __init__(self, plugin: str, metrics: Metrics) -> None:
        family = metrics.counter(
            "llmproxy_semantic_embeddings_total",
            "Vectors asked for, of questions (lookup) and of what is stored (store): done, at hand (recent), late, or"
            " not to be had: too many wait (full), too long a text, signs that the model does not know (unread),"
            " failed, no embedder (off).",
            ("plugin", "purpose", "outcome"),
        )
        purposes: tuple[Purpose, ...] = ("lookup", "store")
        self.outcomes = {
            purpose: {outcome: family.labels(plugin, purpose, outcome) for outcome in _OUTCOMES}
            for purpose in purposes
        }
        seconds = metrics.histogram(
            "llmproxy_semantic_embedding_seconds",
            "Seconds until the vector of a question was there.",
            ("plugin",),
        )
        self.seconds = seconds.labels(plugin)
        up = metrics.gauge(
            "llmproxy_semantic_embedder_up", "Workers whose embedder can be asked.", ("plugin",)
        )
        self.up = up.labels(plugin)


class Embedding:
    """Gets vectors in time or not at all; used in the event loop alone."""

    def __init__(self, work: Work, runtime: Runtime) -> None:
        self._work = work
        self._runtime = runtime
        self._now = runtime.clock.now
        self._meters = Meters(runtime.name, runtime.metrics)
        self._recent: dict[str, Vector] = {}
        self._failing = False
        #: When what was told last.
        self._told: dict[str, float] = {}
        self._off = False

    @property
    def id(self) -> str:
        """What its vectors are told apart by: model, file, form of the texts. No two ids are ever compared."""
        return self._work.id

    @property
    def dims(self) -> int:
        """Numbers in a vector; 0 while that is not known."""
        return self._work.dims

    async def ready(self) -> None:
        """Wait until vectors can be had; where they never can, say so."""
        try:
            await self._work.ready()
        except Unavailable as why:
            self._turn_off(why)
        else:
            self._meters.up.set(1)

    async def vector(self, text: str, within: float) -> Vector | None:
        """Return a question's vector, None where it is not there within so many seconds.

        The text is one in canonical form. The vector must not be changed.
        """
        begun = self._now()
        vector = await self._ask(text, "lookup", within)
        if vector is not None:
            self._meters.seconds.observe(self._now() - begun)
        return vector

    def embed_later(self, text: str, then: Callable[[Vector], None]) -> None:
        """Have `then` called in the event loop with a text's vector, some time; never where it is not to be had."""
        self._runtime.spawn(self._embed_then(text, then), name="embed")

    async def _embed_then(self, text: str, then: Callable[[Vector], None]) -> None:
        vector = await self._ask(text, "store", None)
        if vector is not None:
            then(vector)

    async def _ask(self, text: str, purpose: Purpose, within: float | None) -> Vector | None:
        vector = self._recent.get(text)
        outcome = "recent"
        if vector is None:
            outcome, vector = await self._embedded(text, purpose, within)
        self._meters.outcomes[purpose][outcome].inc()
        return vector

    async def _embedded(self, text: str, purpose: Purpose, within: float | None) -> tuple[str, Vector | None]:
        if len(text) > LONGEST:
            return "long", None
        if within is not None and self._work.wait > within:
            return (
                "late",
                None,
            )  # it would be, and nobody has to wait to see that; what is stored tells when it is over
        try:
            async with asyncio.timeout(within):
                vector = await self._work.vector(text, purpose, partial(self._remember, text))
        except TimeoutError:
            return "late", None
        except asyncio.CancelledError:
            # Whoever asks may have a deadline of his own.
            self._meters.outcomes[purpose]["late"].inc()
            raise
        except Exception as fault:
            return self._failed(fault), None
        self._failing = False
        self._remember(text, vector)
        return "done", vector

    def _failed(self, fault: Exception) -> str:
        """Return the outcome that a fault is; tell of the first that is the embedder's own."""
        if isinstance(fault, Unavailable):
            self._turn_off(fault)
            return "off"
        for kind, outcome in ((Full, "full"), (TooLong, "long"), (Unread, "unread")):
            if isinstance(fault, kind):
                if outcome == "full":
                    self._tell("semantic_embedder_full", why="more texts wait than it can embed")
                return outcome
        if not self._failing:
            why = str(fault) if isinstance(fault, EmbeddingFault) else type(fault).__name__
            self._tell("semantic_embedding_failed", why=why)
        self._failing = True
        return "failed"

    def _tell(self, event: str, *, why: str) -> None:
        """Log, once in a while."""
        now = self._now()
        if now - self._told.get(event, float("-inf")) >= _TELL_AGAIN:
            self._told[event] = now
            self._runtime.log.warning(event, why=why)

    def _turn_off(self, why: Unavailable) -> None:
        if not self._off:
            self._off = True
            self._meters.up.set(0)
            self._runtime.log.warning("semantic_embedder_off", why=str(why))

    def _remember(self, text: str, vector: Vector) -> None:
        if len(self._recent) >= _RECENT:
            del self._recent[next(iter(self._recent))]
        self._recent[text] = vector
