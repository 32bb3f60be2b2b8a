"""The plugin's configuration."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from llmproxy.plugin import ConfigError
from llmproxy_accesslog.line import OPTIONAL_FIELDS


class AccessLogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which exchanges are logged, and what of them."""

    level: Literal["info", "warning"] = "info"
    sample: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    omit: tuple[str, ...] = ()
    path: bool = True
    client: Literal["full", "truncated", "off"] = "full"

    def __post_init__(self) -> None:
        for index, name in enumerate(self.omit):
            if name not in OPTIONAL_FIELDS:
                known = ", ".join(OPTIONAL_FIELDS)
                raise ConfigError(
                    f"omit[{index}]", f"{name!r} is no field that can be left out (known: {known})"
                )
