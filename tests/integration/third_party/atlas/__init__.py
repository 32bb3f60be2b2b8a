"""A third party's package: it uses everything that the gateway offers to plugins, and nothing else of it."""

from atlas.plugin import AtlasPlugin, ReaderPlugin

__all__ = ["AtlasPlugin", "ReaderPlugin"]
