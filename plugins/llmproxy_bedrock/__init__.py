"""Amazon Bedrock's runtime API."""

from llmproxy_bedrock.plugin import BedrockPlugin

__all__ = ["BedrockPlugin"]
