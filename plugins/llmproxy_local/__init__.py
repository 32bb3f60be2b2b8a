"""Models that run beside the gateway: a llama.cpp server in a child process, started when it is asked."""

from llmproxy_local.plugin import LocalPlugin

__all__ = ["LocalPlugin"]
