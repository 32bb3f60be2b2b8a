"""Errors as Ollama words them: one text.

Source: docs.ollama.com/api/errors; in a stream an error is a line of its own, behind status 200.
"""

from __future__ import annotations

import orjson

from llmproxy.plugin import GatewayError, Reply, retry_fields


def error_reply(error: GatewayError) -> Reply:
    """Shape an error that is the whole answer."""
    headers = retry_fields(error)
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"  # RFC 9110 §11.6.1
    headers.update({name.lower(): value for name, value in error.headers})
    return Reply.json({"error": error.message}, error.status, headers)


def error_line(error: GatewayError) -> bytes:
    """Shape an error that ends a stream."""
    return orjson.dumps({"error": error.message}, option=orjson.OPT_APPEND_NEWLINE)
