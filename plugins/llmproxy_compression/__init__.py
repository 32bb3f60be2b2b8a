"""Compresses answers for callers that take them so."""

from llmproxy_compression.plugin import CompressionPlugin

__all__ = ["CompressionPlugin"]
