"""The plugin's configuration."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Literal

import msgspec

from llmproxy.plugin import ConfigError, Duration, Secret, Size, StoreName
from llmproxy_invalidation.naming import EventRule
from llmproxy_invalidation.signatures import signing_key
from llmproxy_invalidation.writes import Write

#: Characters that a webhook's secret needs at least.
MIN_LENGTH = 16


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where events come from. Without `events` each is an order, as `POST /cache/purge` takes them.

    `purges` names the one store that is purged; all that are used as caches, if left out.
    """

    events: tuple[EventRule, ...] = ()
    purges: StoreName | None = None


class Webhook(Source, frozen=True, kw_only=True):
    """Events that somebody posts to `path` of the data listeners, signed or with a bearer token."""

    path: str
    secrets: tuple[Secret, ...]
    auth: Literal["signature", "bearer"] = "signature"
    tolerance: Duration = 300.0
    max_body: Size = 64 * 1024

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or any(sign in self.path for sign in "*{}?#"):
            raise ConfigError("path", f"{self.path!r} is no plain path")
        if not self.secrets:
            raise ConfigError("secrets", "empty, so nobody could send an event")
        for index, secret in enumerate(self.secrets):
            try:
                key = signing_key(secret.reveal())
            except ValueError as fault:
                raise ConfigError(f"secrets[{index}]", str(fault)) from fault
            if len(key) < MIN_LENGTH:
                raise ConfigError(
                    f"secrets[{index}]", f"shorter than {MIN_LENGTH} characters, so it could be guessed"
                )


class Channel(Source, frozen=True, kw_only=True):
    """Events that are published on a channel of Redis or Valkey.

    What is published while nobody listens is lost, so `after_gap` says what happens to what is stored then.
    """

    store: StoreName
    channel: str
    after_gap: Literal["soft", "hard", "ignore"] = "soft"


class Stream(Source, frozen=True, kw_only=True):
    """Events of a stream of Redis or Valkey, each at least once; `group` keeps the position of a host.

    `field` is the one that holds an event's JSON; without it the fields are the event.
    """

    store: StoreName
    stream: str
    group: str = ""
    field: str = ""

    def __post_init__(self) -> None:
        if not self.field and not self.events:
            raise ConfigError("field", "missing: without events, say which field holds the order's JSON")


class InvalidationConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The sources of events."""

    webhooks: tuple[Webhook, ...] = ()
    channels: tuple[Channel, ...] = ()
    streams: tuple[Stream, ...] = ()

    def __post_init__(self) -> None:
        paths = [each.path for each in self.webhooks]
        for index, path in enumerate(paths):
            if path in paths[:index]:
                raise ConfigError(f"webhooks[{index}].path", f"{path!r} is taken by another webhook")


class PurgeMethod(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who may send PURGE: callers of these networks for every tenant, holders of these keys for their own."""

    networks: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.networks and not self.keys:
            raise ConfigError("networks", "nobody is named who may purge; write networks or keys")
        for index, network in enumerate(self.networks):
            try:
                ip_network(network)
            except ValueError as fault:
                raise ConfigError(f"networks[{index}]", str(fault)) from fault


class InvalidationRoute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a route's requests purge: the writes among them, and PURGE if `purge` says who may send it."""

    writes: tuple[Write, ...] = ()
    purge: PurgeMethod | None = None
