"""Judges requests and answers by JSON Schema or an OpenAPI document."""

from llmproxy_validation.plugin import ValidationPlugin

__all__ = ["ValidationPlugin"]
