"""Answers a route with what several calls give, made at once and merged by a template."""

from llmproxy_aggregate.plugin import AggregatePlugin

__all__ = ["AggregatePlugin"]
