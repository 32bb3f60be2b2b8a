"""Tokens of any OAuth 2.0 server."""

from llmproxy_oauth2.plugin import OAuth2Plugin

__all__ = ["OAuth2Plugin"]
