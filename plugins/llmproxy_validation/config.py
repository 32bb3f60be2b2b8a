"""The plugin's configuration. Schemas are compiled when it is read, so that a broken one is told by its key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec

from llmproxy.plugin import ConfigError, Section, Size
from llmproxy_validation.judging import Judge, document_judge, schema_judge
from llmproxy_validation.schemas import BadSchema


class ValidationConfig(Section, frozen=True):
    """Bounds that hold on every route."""

    max_body: Size = 1024 * 1024
    errors: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5


class RequestSchemas(Section, frozen=True):
    """Schemas of a request: `body` a schema or a file with one, the others objects whose properties are parameters."""

    body: Any = None
    query: Mapping[str, Any] = {}
    headers: Mapping[str, Any] = {}
    path: Mapping[str, Any] = {}


class ValidationRoute(Section, frozen=True):
    """What a route's requests and answers must be: an OpenAPI document, or schemas."""

    openapi: str | None = None
    base_path: str = ""
    request: RequestSchemas | None = None
    reply: Any = None
    replies: Literal["off", "log", "refuse"] = "off"
    unknown: Literal["refuse", "pass"] = "refuse"
    unknown_query: Literal["refuse", "pass"] = "pass"

    def __post_init__(self) -> None:
        if self.openapi is not None and (self.request is not None or self.reply is not None):
            raise ConfigError("openapi", "stands beside schemas; write one of them")
        if self.base_path and (not self.base_path.startswith("/") or self.base_path.endswith("/")):
            raise ConfigError("base_path", f"{self.base_path!r} is no prefix such as /v1")
        if self.replies != "off" and self.openapi is None and self.reply is None:
            raise ConfigError("replies", "nothing says what an answer must be; write openapi or reply")
        self.judge()

    def judge(self) -> Judge | None:
        """Return what judges; None where nothing is said.

        Raises:
            ConfigError: a schema or document cannot be used.
        """
        path, prefix = self.openapi, self.base_path
        if path is not None:
            return _made("openapi", lambda: document_judge(path, prefix))
        asked = self.request
        if asked is None and self.reply is None:
            return None
        asked = asked or RequestSchemas()
        places = {"query": asked.query, "header": asked.headers, "path": asked.path}
        key = "reply" if self.request is None else "request"
        return _made(key, lambda: schema_judge(asked.body, places, self.reply))


def _made(key: str, make: Callable[[], Judge]) -> Judge:
    try:
        return make()
    except BadSchema as fault:
        raise ConfigError(key, str(fault)) from fault
