"""llmproxy: the gateway between applications and the APIs they call."""

__version__ = "0.1.0"
