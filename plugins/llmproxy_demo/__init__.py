"""A model that needs no network: it echoes, and misbehaves when told to."""

from llmproxy_demo.plugin import DemoPlugin

__all__ = ["DemoPlugin"]
