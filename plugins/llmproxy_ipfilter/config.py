"""The plugin's configuration."""

from __future__ import annotations

from typing import Literal

from llmproxy.plugin import ConfigError, Section
from llmproxy_ipfilter.networks import read_network


class IpFilterConfig(Section, frozen=True):
    """Networks that may ask and that may not, written here or in files that are watched."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    allow_file: str | None = None
    deny_file: str | None = None
    unix: Literal["refuse", "pass"] = "refuse"

    def __post_init__(self) -> None:
        for key in ("allow", "deny"):
            for index, text in enumerate(getattr(self, key)):
                try:
                    read_network(text)
                except ValueError as fault:
                    raise ConfigError(f"{key}[{index}]", str(fault)) from fault


class IpFilterRoute(Section, frozen=True):
    """Networks of one route: `allow` in place of the plugin's list and file, `deny` in place of its list."""

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        IpFilterConfig(allow=self.allow or (), deny=self.deny or ())
        if self.allow == ():
            raise ConfigError(
                "allow", "empty, so nobody could use the route; write 0.0.0.0/0 and ::/0 for everybody"
            )
