"""Whose tokens are let in."""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import urlsplit

from llmproxy.plugin import ConfigError, Duration, Section, UpstreamTls
from llmproxy_access.listeners import is_local_host
from llmproxy_access.permissions import check_names

#: Signatures that a public key checks. With a shared secret whoever checks could also sign.
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"
]

_RANGE: Final = 300.0


class ClaimNames(Section, frozen=True):
    """Which claims name the tenant, the organisation, the team and the user; all that are written have to be there."""

    tenant: str | None = None
    org: str | None = None
    team: str | None = None
    user: str | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """What tokens tell besides the tenant."""
        return tuple(kind for kind in ("org", "team", "user") if getattr(self, kind))


class IssuerConfig(Section, frozen=True):
    """One issuer. `name` stands for all its tokens where keys have names; its `tenant` is written here or is a claim.

    Without `jwks` the issuer tells where its keys are (OpenID Connect Discovery). They are asked for again after
    `refresh`, and when a token names another; while the issuer does not answer they go on for `stale`.
    """

    name: str
    issuer: str
    audience: tuple[str, ...]
    jwks: str | None = None
    algorithms: tuple[Algorithm, ...] = ("RS256", "ES256")
    tenant: str | None = None
    claims: ClaimNames = ClaimNames()
    models: tuple[str, ...] | None = None
    routes: tuple[str, ...] | None = None
    leeway: Duration = 30.0
    timeout: Duration = 5.0
    refresh: Duration = 600.0
    stale: Duration = 86400.0
    tls: UpstreamTls | None = None

    def __post_init__(self) -> None:
        for field in ("name", "issuer", "audience", "algorithms"):
            if not getattr(self, field):
                raise ConfigError(field, "empty")
        if (self.tenant is None) == (self.claims.tenant is None):
            raise ConfigError("tenant", "write either tenant, or claims.tenant")
        if self.leeway > _RANGE:
            raise ConfigError("leeway", "longer than 5m; clocks do not differ by so much")
        for field, url in (("issuer", self.issuer), ("jwks", self.jwks)):
            if url is not None and (field == "jwks" or self.jwks is None) and not is_trusted(url):
                raise ConfigError(field, "not an https:// URL: whoever stands between could sign tokens")
        check_names("models", self.models)
        check_names("routes", self.routes)


def is_trusted(url: str) -> bool:
    """Say whether keys may come from a URL: by TLS, or from this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_local_host(host)))
