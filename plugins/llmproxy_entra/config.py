"""The plugin's configuration, and the options of `auth: entra`."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

from llmproxy.plugin import ConfigError, Secret, Section

#: Whom tokens for models are for, in the public cloud.
SCOPE: Final = "https://cognitiveservices.azure.com/.default"
AUTHORITY: Final = "https://login.microsoftonline.com"

_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{1,252}")
_LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class EntraConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to set: credentials belong to upstreams."""


class EntraOptions(Section, frozen=True):
    """Who asks for tokens; what is left out comes from the environment, as Azure's own tools find it.

    With a `client_secret` it is an application, with a `token_file` a workload whose platform vouches for it; else, or
    with `managed`, it is the identity that the machine runs under.
    """

    tenant: str | None = None
    client_id: str | None = None
    client_secret: Secret | None = None
    token_file: str | None = None
    managed: bool = False
    scope: str = SCOPE
    authority: str | None = None

    def __post_init__(self) -> None:
        if self.tenant is not None and _TENANT.fullmatch(self.tenant) is None:
            raise ConfigError("tenant", "no tenant: it is an id or a domain")
        if self.client_secret is not None and self.token_file is not None:
            raise ConfigError("token_file", "of no use beside client_secret")
        for name in ("tenant", "client_secret", "token_file", "authority"):
            if self.managed and getattr(self, name) is not None:
                raise ConfigError(name, "of no use to a managed identity")
        if not self.scope or re.search(r"\s", self.scope):
            raise ConfigError("scope", f'no scope, as in "{SCOPE}"')
        if self.authority is not None and not is_safe(self.authority):
            raise ConfigError("authority", f'no https address, as in "{AUTHORITY}"')


def is_safe(url: str) -> bool:
    """Whether secrets may go to a URL: by https, or to this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOCAL))
