"""What the plugin counts."""

from __future__ import annotations

from llmproxy.plugin import Metrics


class Meters:
    """Requests with a key by what they met, and executions by how they ended; they outlive generations."""

    def __init__(self, metrics: Metrics) -> None:
        self._requests = metrics.counter(
            "llmproxy_idempotency_requests_total",
            "Requests with an idempotency key, by what became of them.",
            ("route", "outcome"),
        )
        self._executions = metrics.counter(
            "llmproxy_idempotency_executions_total",
            "Executions under an idempotency key, by what is known of their result.",
            ("route", "result"),
        )

    def met(self, route: str, outcome: str) -> None:
        """Count a request: `first`, `replayed`, or the code of its refusal."""
        self._requests.labels(route, outcome).inc()

    def ended(self, route: str, result: str) -> None:
        """Count an execution: `kept`, `dropped`, `released` or `unknown`."""
        self._executions.labels(route, result).inc()
