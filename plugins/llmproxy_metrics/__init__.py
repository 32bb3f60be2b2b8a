"""Prometheus metrics of the exchanges on a route."""

from llmproxy_metrics.plugin import MetricsPlugin

__all__ = ["MetricsPlugin"]
