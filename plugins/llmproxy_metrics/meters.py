"""What is counted of an exchange.

Every label value comes from the configuration or from a closed set, never from a caller. The children of a
label set are looked up once and kept, so that an exchange costs a few additions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from llmproxy.plugin import Attempt, CounterChild, Exchange, Metrics, UpstreamError, Usage

#: The disjoint kinds of tokens, as `Usage` holds them.
BUCKETS: Final = ("input", "cache_read", "cache_write", "output", "reasoning")
#: A model that the configuration does not name, or any while models are not told apart.
OTHER_MODEL: Final = "other"


class Families:
    """The metrics that this plugin adds."""

    def __init__(self, metrics: Metrics, seconds: Sequence[float]) -> None:
        self.requests = metrics.counter(
            "llmproxy_requests_total",
            "Exchanges that ended, by how they ended and by the status the caller got.",
            ("route", "result", "status"),
        )
        self.durations = metrics.histogram(
            "llmproxy_request_seconds",
            "From the request's headers to the end of the exchange.",
            ("route", "result"),
            seconds,
        )
        self.first_byte = metrics.histogram(
            "llmproxy_first_byte_seconds",
            "From the request's headers to the first byte for the caller.",
            ("route",),
            seconds,
        )
        self.first_output = metrics.histogram(
            "llmproxy_first_output_seconds",
            "From the request's headers to the first output of a model.",
            ("route",),
            seconds,
        )
        self.in_flight = metrics.gauge(
            "llmproxy_requests_in_flight", "Exchanges that have begun and not ended.", ("route",)
        )
        self.gone = metrics.counter(
            "llmproxy_client_gone_total", "Callers that left before their answer was whole.", ("route",)
        )
        self.attempts = metrics.counter(
            "llmproxy_upstream_attempts_total",
            "Attempts at upstreams, by status class or by the phase in which they failed.",
            ("upstream", "outcome"),
        )
        self.tokens = metrics.counter(
            "llmproxy_tokens_total", "Tokens that providers reported.", ("route", "model", "bucket")
        )


class Ending:
    """How exchanges of one route end: one result, one status class."""

    def __init__(self, families: Families, route: str, result: str, hundreds: int) -> None:
        status = f"{hundreds}xx" if hundreds else "none"
        self.requests = families.requests.labels(route, result, status)
        self.durations = families.durations.labels(route, result)


class Tokens:
    """The tokens of one model on one route, by bucket."""

    def __init__(self, families: Families, route: str, model: str) -> None:
        children = [families.tokens.labels(route, model, bucket) for bucket in BUCKETS]
        self._input, self._cache_read, self._cache_write, self._output, self._reasoning = children

    def count(self, usage: Usage) -> None:
        """Add one exchange's tokens."""
        self._input.inc(usage.input)
        self._output.inc(usage.output)
        if usage.cache_read or usage.cache_write or usage.reasoning:
            self._cache_read.inc(usage.cache_read)
            self._cache_write.inc(usage.cache_write)
            self._reasoning.inc(usage.reasoning)


class RouteMeters:
    """The metrics of one route; `models` are the names told apart."""

    def __init__(self, families: Families, route: str, models: frozenset[str]) -> None:
        self._families = families
        self._route = route
        self._models = models
        self._in_flight = families.in_flight.labels(route)
        self._first_byte = families.first_byte.labels(route)
        self._first_output = families.first_output.labels(route)
        self._endings: dict[tuple[str, int], Ending] = {}
        self._tokens: dict[str, Tokens] = {}
        self._begun: set[Exchange] = set()

    def begin(self, exchange: Exchange) -> None:
        """Count an exchange that begins."""
        self._begun.add(exchange)
        self._in_flight.inc()

    def end(self, exchange: Exchange) -> None:
        """Count an exchange that has ended; one answered before it came here has not begun."""
        outcome, started = exchange.outcome, exchange.started
        if exchange in self._begun:
            self._begun.remove(exchange)
            self._in_flight.dec()
        ending = self._ending(outcome.result, outcome.status // 100)
        ending.requests.inc()
        ending.durations.observe(outcome.ended - started)
        if outcome.first_byte_at is not None:
            self._first_byte.observe(outcome.first_byte_at - started)
        if outcome.client_gone:
            self._families.gone.labels(self._route).inc()
        if exchange.streamed:
            self._output(exchange)
        if exchange.usage is not None:
            model = exchange.model if exchange.model in self._models else OTHER_MODEL
            self._of_model(model or OTHER_MODEL).count(exchange.usage)

    def _output(self, exchange: Exchange) -> None:
        for attempt in exchange.attempts:
            if attempt.first_output_at is not None:
                self._first_output.observe(attempt.first_output_at - exchange.started)
                return

    def _ending(self, result: str, hundreds: int) -> Ending:
        ending = self._endings.get((result, hundreds))
        if ending is None:
            ending = self._endings[result, hundreds] = Ending(self._families, self._route, result, hundreds)
        return ending

    def _of_model(self, model: str) -> Tokens:
        tokens = self._tokens.get(model)
        if tokens is None:
            tokens = self._tokens[model] = Tokens(self._families, self._route, model)
        return tokens


class Meters:
    """The metrics of all routes and upstreams of one generation."""

    def __init__(self, metrics: Metrics, seconds: Sequence[float], *, per_model: bool) -> None:
        self._families = Families(metrics, seconds)
        self._per_model = per_model
        self._routes: dict[str, RouteMeters] = {}
        self._answered: dict[tuple[str, int], CounterChild] = {}

    def route(self, exchange: Exchange) -> RouteMeters:
        """Return the metrics of the exchange's route."""
        return self._routes.get(exchange.route.name) or self._add(exchange)

    def _add(self, exchange: Exchange) -> RouteMeters:
        route = exchange.route
        named = route.models.names() if self._per_model and route.models is not None else ()
        return self._routes.setdefault(route.name, RouteMeters(self._families, route.name, frozenset(named)))

    def attempt(self, attempt: Attempt) -> None:
        """Count an attempt that has ended."""
        if attempt.error is not None or attempt.status is None:
            self._families.attempts.labels(attempt.endpoint.upstream, outcome_of(attempt)).inc()
            return
        ended = attempt.endpoint.upstream, attempt.status // 100
        child = self._answered.get(ended)
        if child is None:
            child = self._families.attempts.labels(ended[0], outcome_of(attempt))
            self._answered[ended] = child
        child.inc()


def outcome_of(attempt: Attempt) -> str:
    """Say how an attempt ended: a status class, the phase it failed in, `cancelled`, `fault` or `none`."""
    error = attempt.error
    if error is None:
        return f"{attempt.status // 100}xx" if attempt.status else "none"
    if isinstance(error, UpstreamError):
        return error.phase
    given_up = isinstance(error, asyncio.CancelledError | ConnectionAbortedError)
    return "cancelled" if given_up else "fault"
