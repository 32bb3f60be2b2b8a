"""What caches count, under the same names whichever cache it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from llmproxy.metrics import DEFAULT_SECONDS

if TYPE_CHECKING:
    from llmproxy.metrics import CounterChild, Histogram, HistogramChild, Metrics

#: How a request was answered: from a fresh entry, a stale one, that of a question in other words (`canonical`,
#: `semantic`), by joining another's call, after asking whether an entry
#: is still good, by the upstream, or past the cache.
Outcome = Literal["hit", "stale", "canonical", "semantic", "joined", "revalidated", "miss", "bypass"]

_AGES: Final = (1, 10, 60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400)


class CacheMeters:
    """The metrics of one cache; keep one of these a plugin instance."""

    def __init__(self, metrics: Metrics, cache: str) -> None:
        self._cache = cache
        self._requests = metrics.counter(
            "llmproxy_cache_requests_total",
            "Requests that a cache looked at, by how they were answered.",
            ("cache", "route", "outcome"),
        )
        self._seconds: Histogram = metrics.histogram(
            "llmproxy_cache_request_seconds",
            "From the request's headers to the head of its answer, by how it was answered.",
            ("cache", "outcome"),
            DEFAULT_SECONDS,
        )
        self._ages = metrics.histogram(
            "llmproxy_cache_age_seconds",
            "Age of the answers that were served from a cache.",
            ("cache",),
            _AGES,
        ).labels(cache)
        self._stored = metrics.counter(
            "llmproxy_cache_answers_total",
            "Answers that could have been stored, by whether they were, or why not.",
            ("cache", "route", "result"),
        )
        self._bytes = metrics.counter(
            "llmproxy_cache_stored_bytes_total", "Bytes of bodies that were stored.", ("cache",)
        ).labels(cache)
        self._served = metrics.counter(
            "llmproxy_cache_served_bytes_total", "Bytes of bodies that were served from a cache.", ("cache",)
        ).labels(cache)
        self._tokens = metrics.counter(
            "llmproxy_cache_saved_tokens_total",
            "Tokens that no provider had to be paid for.",
            ("cache", "route"),
        )
        self._money = metrics.counter(
            "llmproxy_cache_saved_dollars_total",
            "What they would have cost, where that is known.",
            ("cache", "route"),
        )
        self._time = metrics.counter(
            "llmproxy_cache_saved_seconds_total",
            "What the stored answers took to make, less what it took to serve them.",
            ("cache", "route"),
        )
        self._children: dict[tuple[str, str], tuple[CounterChild, HistogramChild]] = {}

    def hits(self, route: str, outcome: Outcome) -> CacheHits:
        """Return what counts the answers that come out of this cache on one route; keep it."""
        counters = [counter.labels(self._cache, route) for counter in (self._tokens, self._money, self._time)]
        return CacheHits(
            self._requests.labels(self._cache, route, outcome),
            self._seconds.labels(self._cache, outcome),
            self._ages,
            self._served,
            *counters,
        )

    def answered(self, route: str, outcome: Outcome, seconds: float) -> None:
        """Count one request, answered after so many seconds."""
        found = self._children.get((route, outcome))
        if found is None:
            found = self._children[route, outcome] = (
                self._requests.labels(self._cache, route, outcome),
                self._seconds.labels(self._cache, outcome),
            )
        found[0].value += 1
        found[1].observe(seconds)

    def served(self, age: float, size: int) -> None:
        """Count an answer of that age (seconds) and size (bytes) that came out of the cache."""
        self._ages.observe(age)
        self._served.value += size

    def stored(self, route: str, result: str, size: int = 0) -> None:
        """Count an answer that was stored (`stored`), or was not and why: a word of a closed set."""
        self._stored.labels(self._cache, route, result).inc()
        self._bytes.inc(size)


class CacheHits:
    """What counts one route's answers from the cache, all that one of them makes in one call."""

    __slots__ = ("_ages", "_bytes", "_money", "_requests", "_seconds", "_time", "_tokens")

    def __init__(  # one argument a metric
        self,
        requests: CounterChild,
        seconds: HistogramChild,
        ages: HistogramChild,
        served: CounterChild,
        tokens: CounterChild,
        money: CounterChild,
        time: CounterChild,
    ) -> None:
        self._requests = requests
        self._seconds = seconds
        self._ages = ages
        self._bytes = served
        self._tokens = tokens
        self._money = money
        self._time = time

    def count(
        self,
        seconds: float,
        age: float,
        size: int,
        *,
        tokens: int = 0,
        microdollars: int = 0,
        saved: float = 0.0,
    ) -> None:
        """Count an answer of that age (seconds) and size (bytes), given after so many seconds, and what it has saved."""
        self._requests.value += 1
        self._seconds.observe(seconds)
        self._ages.observe(age)
        self._bytes.value += size
        if tokens:
            self._tokens.value += tokens
        if microdollars > 0:
            self._money.value += microdollars / 1_000_000
        if saved > 0.0:
            self._time.value += saved
