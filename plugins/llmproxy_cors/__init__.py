"""Which web pages of other sites may use an API, by the Fetch standard's CORS protocol."""

from llmproxy_cors.plugin import CorsPlugin

__all__ = ["CorsPlugin"]
