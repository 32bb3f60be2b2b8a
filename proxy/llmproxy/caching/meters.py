"""What caches count, under the same names whichever cache it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from llmproxy.metrics import DEFAULT_SECONDS

if TYPE_CHECKING:
    from llmproxy.metrics import CounterChild, Histogram, HistogramChild, Metrics

#: How a request was answered: from a fresh entry, a stale one, by joining another's call, after asking whether an entry
#: is still good, by the upstream, or past the cache.
Outcome = Literal["hit", "stale", "joined", "revalidated", "miss", "bypass"]

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
        self._savings: dict[str, tuple[CounterChild, CounterChild, CounterChild]] = {}

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

    def saved(self, route: str, tokens: int, microdollars: int, seconds: float) -> None:
        """Count what an answer from the cache has saved."""
        found = self._savings.get(route)
        if found is None:
            counters = (self._tokens, self._money, self._time)
            told, money, time = [counter.labels(self._cache, route) for counter in counters]
            found = self._savings[route] = (told, money, time)
        found[0].value += tokens
        found[1].value += microdollars / 1_000_000
        if seconds > 0.0:
            found[2].value += seconds
