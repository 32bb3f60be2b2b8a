"""Tokens of Google Cloud."""

from llmproxy_google.plugin import GooglePlugin

__all__ = ["GooglePlugin"]
