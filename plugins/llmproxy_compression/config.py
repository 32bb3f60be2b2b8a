"""The plugin's configuration."""

from __future__ import annotations

import re
from typing import Final, Literal

from llmproxy.plugin import ConfigError, Section, Size
from llmproxy_compression.coders import CODERS, installed

Coding = Literal["zstd", "br", "gzip"]

_TYPE: Final = re.compile(r"[a-z0-9.+-]+/(\*|(\*\+)?[a-z0-9.+-]+)")


class CompressionConfig(Section, frozen=True):
    """What is compressed, and how; without `codings` by all that are installed."""

    codings: tuple[Coding, ...] = ()
    min_size: Size = 1024
    types: tuple[str, ...] = (
        "text/*",
        "application/json",
        "application/*+json",
        "application/x-ndjson",
        "application/javascript",
        "application/xml",
        "application/*+xml",
        "application/wasm",
        "image/svg+xml",
    )
    events: bool = False

    def __post_init__(self) -> None:
        for index, coding in enumerate(self.codings):
            if not installed(coding):
                message = f"{coding} needs a package: pip install 'llmproxy-gateway[compression]'"
                raise ConfigError(f"codings[{index}]", message)
        for index, kind in enumerate(self.types):
            if not _TYPE.fullmatch(kind):
                raise ConfigError(
                    f"types[{index}]", f"{kind!r} is no type such as text/* or application/json"
                )

    @property
    def chosen(self) -> tuple[str, ...]:
        """The codings, the best first."""
        return self.codings or tuple(filter(installed, CODERS))


class CompressionRoute(Section, frozen=True):
    """What differs on a route: nothing is compressed, or event streams are too."""

    off: bool = False
    events: bool | None = None
