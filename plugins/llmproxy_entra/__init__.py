"""Tokens of Microsoft Entra ID for upstreams on Azure."""

from llmproxy_entra.plugin import EntraPlugin

__all__ = ["EntraPlugin"]
