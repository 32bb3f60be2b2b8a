"""How an upstream is reached: the sections of the configuration below `upstreams`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final
from urllib.parse import urlsplit

import msgspec

from llmproxy.elsewhere import IN_UPSTREAMS
from llmproxy.errors import ConfigError
from llmproxy.keypaths import join_key
from llmproxy.quirks import Quirks
from llmproxy.references import Secret, quoted
from llmproxy.sections import Section, name_with_options
from llmproxy.units import Duration

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: Bytes of a Unix socket's path, the last of 108 being its end (unix(7)); other systems take 104.
_LONGEST_SOCKET: Final = 103
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _refuse_zero(timeouts: msgspec.Struct) -> None:
    for name, value in msgspec.structs.asdict(timeouts).items():
        if value == 0:
            raise ConfigError(name, "a timeout of 0s would fail every attempt")


def _check_url(path: str, url: str, *, userinfo: bool) -> None:
    if re.search(r"[\x00-\x20\x7f]", url):
        raise ConfigError(path, "holds a space or a control character")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ConfigError(path, "not a URL") from None
    if not usable:  # the text is not repeated: it may hold a credential
        raise ConfigError(path, 'not a URL with a host, as in "https://api.example.com/v1"')
    if not userinfo and "@" in parts.netloc:
        raise ConfigError(path, "holds a user name or password; use api_key or headers")
    if parts.query or parts.fragment:
        raise ConfigError(path, "holds a query or a fragment")


def _check_socket(path: str | None) -> None:
    if path is None:
        return
    if not path.startswith("/") or "\0" in path:
        raise ConfigError("socket", "not an absolute path")
    if len(path.encode()) > _LONGEST_SOCKET:
        raise ConfigError("socket", f"longer than {_LONGEST_SOCKET} bytes, which is what systems take")


class Timeouts(Section, frozen=True):
    """The five timeouts of an attempt, one meaning each."""

    connect: Duration = 5.0
    headers: Duration = 120.0
    first_token: Duration = 120.0
    idle: Duration = 60.0
    total: Duration = 600.0

    def __post_init__(self) -> None:
        _refuse_zero(self)


class TimeoutOverrides(Section, frozen=True):
    """A route's own timeouts; what it leaves out stays the upstream's."""

    connect: Duration | None = None
    headers: Duration | None = None
    first_token: Duration | None = None
    idle: Duration | None = None
    total: Duration | None = None

    def __post_init__(self) -> None:
        _refuse_zero(self)

    def over(self, timeouts: Timeouts) -> Timeouts:
        """Return the upstream's timeouts with this route's on top."""
        own = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return msgspec.structs.replace(timeouts, **own)


class PoolSettings(Section, frozen=True):
    """Connections to one upstream, for each worker."""

    max_connections: Positive = 16384
    max_waiting: Count = 4096
    keepalive: Duration = 60.0


class UpstreamTls(Section, frozen=True):
    """How an upstream's certificate is judged, and which one is shown to it."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    verify: bool = True
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            missing, given = ("key", "certificate") if self.key is None else ("certificate", "key")
            raise ConfigError(missing, f"missing; {given} is of no use without it")


class AuthorizerRef(Section, frozen=True):
    """What gives requests credentials of their own, by its name, with its options."""

    name: str
    options: Any = {}

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`aws` is a name; `{aws: {region: eu-west-1}}` a name with its options."""
        return name_with_options(tree, "an authorizer's")


class UpstreamConfig(Section, frozen=True):
    """An API to send requests to; with a `provider`, what is left out comes from the table of providers.

    Of several keys each request takes another one; a key that the provider refuses rests. `auth` is for providers that
    want no key: a signature of each request, or a token that ends.
    """

    base_url: str
    #: The Unix socket that it listens on, in place of the host of `base_url`; no proxy is used then.
    socket: str | None = None
    provider: str | None = None
    dialect: str = "openai"
    quirks: Quirks = Quirks()
    api_key: tuple[Secret, ...] = ()
    auth: AuthorizerRef | None = None
    headers: dict[str, str] = {}
    timeouts: Timeouts = Timeouts()
    pool: PoolSettings = PoolSettings()
    tls: UpstreamTls | None = None
    proxy: str | None = "env"
    dns_ttl: Duration = 30.0

    elsewhere: ClassVar[Mapping[str, str]] = IN_UPSTREAMS

    def __post_init__(self) -> None:
        _check_url("base_url", self.base_url, userinfo=False)
        _check_socket(self.socket)
        if self.proxy is not None and self.proxy != "env":
            _check_url("proxy", self.proxy, userinfo=True)
        if len(set(self.api_key)) < len(self.api_key):
            raise ConfigError("api_key", "holds a key twice")
        if self.auth is not None and self.api_key:
            raise ConfigError("auth", "of no use beside api_key: requests carry one or the other")
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ConfigError("headers", f"{quoted(name)} is not a header name")
            if _CONTROL.search(value):
                raise ConfigError(
                    join_key("headers", name), "holds a line break or another control character"
                )

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`api_key: ${env:KEY}` is the only one."""
        if isinstance(tree, dict) and "api_key" in tree and not isinstance(keys := tree["api_key"], list):
            return tree | {"api_key": [] if keys is None else [keys]}
        return tree
