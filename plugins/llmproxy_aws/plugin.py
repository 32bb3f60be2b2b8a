"""Registers the authorizer."""

from __future__ import annotations

from llmproxy.plugin import Plugin, Registry, hookimpl
from llmproxy_aws.authorizer import make_authorizer
from llmproxy_aws.config import AwsConfig, AwsOptions


class AwsPlugin(Plugin[AwsConfig]):
    """`auth: aws`: requests signed with AWS's signature version 4."""

    Config = AwsConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer the authorizer."""
        registry.authorizer("aws", make_authorizer, AwsOptions)
