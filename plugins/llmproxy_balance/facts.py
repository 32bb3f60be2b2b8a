"""What is known beside a request: models' prices and windows; and where what happened is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.plugin import Counter, Endpoint, Exchange, Tariff

if TYPE_CHECKING:
    from llmproxy.canonical import GenerateRequest
    from llmproxy.plugin import Runtime, Usage


class Facts:
    """Shared by all gates and strategies of one plugin instance; `open` when the gateway runs.

    The catalogue of models is large: it is read, beside the loop, when somebody first asks for a window or a price, and
    until it is there none is known. Where nothing runs, as in `llmproxy explain`, it is read at once.
    """

    def __init__(self) -> None:
        self._runtime: Runtime | None = None
        self._tariff: Tariff | None = None
        self._asked = False
        self._counters: dict[str, Counter] = {}

    def open(self, runtime: Runtime) -> None:
        """Use the running gateway's prices and metrics."""
        self._runtime = runtime
        self._tariff = runtime.tariff
        self._counters = {
            "arms": runtime.metrics.counter(
                "llmproxy_experiment_requests_total",
                "Requests assigned to an arm of an experiment.",
                ("pool", "arm"),
            ),
            "complexity": runtime.metrics.counter(
                "llmproxy_complexity_requests_total",
                "Requests judged by complexity.",
                ("pool", "place"),
            ),
            "conditions": runtime.metrics.counter(
                "llmproxy_condition_faults_total",
                "Conditions that failed while they were judged, and so were not met.",
                ("place",),
            ),
        }

    def want(self) -> None:
        """Have the catalogue read now, if the gateway runs, rather than with the first question."""
        if self._runtime is not None and self._tariff is not None and not self._asked:
            self._asked = True
            self._runtime.spawn(self._tariff.load(), name="tariff")

    def window(self, exchange: Exchange, endpoint: Endpoint) -> int | None:
        """Return how many tokens the model there reads at most, if that is known."""
        return self._known(exchange).window(endpoint, exchange.model)

    def price(self, exchange: Exchange, endpoint: Endpoint, usage: Usage) -> int | None:
        """Return what a call there would cost in microdollars, if that is known."""
        return self._known(exchange).price(endpoint, usage, exchange.model)

    def tokens(self, exchange: Exchange, request: GenerateRequest) -> int:
        """Return about how many tokens a prompt has."""
        return self._known(exchange).prompt_tokens(request)

    def count(self, what: str, *labels: str) -> None:
        """Count what happened; the labels are names of the configuration."""
        if (counter := self._counters.get(what)) is not None:
            counter.labels(*labels).inc()

    def warn(self, event: str, **details: str) -> None:
        """Log what an operator should see."""
        if self._runtime is not None:
            self._runtime.log.warning(event, **details)

    def _known(self, exchange: Exchange) -> Tariff:
        tariff = self._tariff
        if tariff is None:
            tariff = self._tariff = exchange.route.tariff
            tariff.load_now()
        else:
            self.want()
        return tariff
