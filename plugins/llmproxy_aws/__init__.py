"""Requests signed as AWS wants them."""

from llmproxy_aws.plugin import AwsPlugin

__all__ = ["AwsPlugin"]
