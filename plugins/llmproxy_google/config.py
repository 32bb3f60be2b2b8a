"""The plugin's configuration, and the options of `auth: google`."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from llmproxy.plugin import ConfigError, Secret, Section

_ACCOUNT: Final = re.compile(r"[^@\s/]+@[^@\s/]+")


class GoogleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to set: credentials belong to upstreams."""


class GoogleOptions(Section, frozen=True):
    """Whose tokens they are; without a `key` those of the environment, as Google's own libraries find them."""

    key: Secret | None = None
    impersonate: str | None = None
    audience: str | None = None
    scopes: tuple[str, ...] = ("https://www.googleapis.com/auth/cloud-platform",)
    quota_project: str | None = None

    def __post_init__(self) -> None:
        if self.impersonate is not None and _ACCOUNT.fullmatch(self.impersonate) is None:
            raise ConfigError(
                "impersonate", 'no service account, as in "gateway@project.iam.gserviceaccount.com"'
            )
        if not self.scopes:
            raise ConfigError("scopes", "empty; a token must be good for something")
        if self.quota_project is not None and not re.fullmatch(r"[a-z0-9.:-]+", self.quota_project):
            raise ConfigError("quota_project", "not the name of a project")
