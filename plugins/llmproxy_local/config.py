"""The plugin's configuration."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec

from llmproxy.plugin import ConfigError, Duration, Section
from llmproxy_local.weights import PACKAGED

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SECOND: Final = 1.0


class ModelSettings(Section, frozen=True):
    """One model, and the server that runs it."""

    #: A GGUF file; not needed for a model that is a package.
    path: str | None = None
    #: Tokens of the window, shared by those that are answered at once.
    context: Annotated[int, msgspec.Meta(ge=256, le=1_048_576)] = 8192
    #: Requests answered at once; others wait in the server.
    parallel: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    #: Threads that compute; 0 is one for each processor.
    threads: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 0
    #: How long nobody asks before the server is stopped.
    idle: Duration = 300.0

    def __post_init__(self) -> None:
        if self.idle < _SECOND:
            raise ConfigError("idle", "must be at least 1s")


class LocalConfig(Section, frozen=True):
    """The models, by their names behind the plugin's own, and how long a start may take."""

    models: dict[str, ModelSettings] = msgspec.field(default_factory=lambda: {"smollm2": ModelSettings()})
    start_timeout: Duration = 60.0

    def __post_init__(self) -> None:
        if self.start_timeout < _SECOND:
            raise ConfigError("start_timeout", "must be at least 1s")
        for name, model in self.models.items():
            if not _NAME.fullmatch(name):
                raise ConfigError("models", "a name has letters, digits, '.', '_' and '-', 64 at most")
            if model.path is None and name not in PACKAGED:
                known = ", ".join(PACKAGED)
                raise ConfigError(f"models.{name}.path", f"missing; only {known} comes in a package")
