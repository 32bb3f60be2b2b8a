"""A worker's copy of the database: who holds which key, and what he may use."""

from __future__ import annotations

from collections.abc import Iterable
from hmac import compare_digest
from typing import Final, NamedTuple

from llmproxy.plugin import Caller
from llmproxy_access.permissions import Grant, NameList
from llmproxy_access.records import Account, AccountKind, Contents, KeyRecord

#: Seconds for which the holder of an expired key is told that it has expired, rather than that it is not known.
_REMEMBERED: Final = 30 * 86400.0
#: Compared with where there is no such id, so that it takes as long as a wrong secret.
_NOBODYS: Final = bytes(32)


class _Holder(NamedTuple):
    digest: bytes
    grant: Grant


class Directory:
    """All keys by public id; made anew whenever the database has changed."""

    def __init__(self, contents: Contents, now: float) -> None:
        self.version = contents.version
        self.names = frozenset(key.name for key in contents.keys)
        self._accounts = {(account.kind, account.name): account for account in contents.accounts}
        self._holders = dict(self._held(contents.keys, now))
        self._callers = {(each.grant.caller.tenant, each.grant.caller.key) for each in self._holders.values()}
        #: Grants by the SHA-256 of keys that were found good: no more than there are secrets.
        self.seen: dict[bytes, Grant] = {}

    def find(self, public: str, digest: bytes) -> Grant | None:
        """Return what the key of this id and digest grants, expired or not; None if there is none."""
        holder = self._holders.get(public)
        if not compare_digest(_NOBODYS if holder is None else holder.digest, digest):
            return None
        return None if holder is None else holder.grant

    def holds(self, caller: Caller) -> bool:
        """Whether a caller's key is one of these, and not revoked."""
        return (caller.tenant, caller.key) in self._callers

    def limits(self, caller: Caller) -> tuple[tuple[NameList, ...], tuple[NameList, ...]]:
        """Return the lists of models and of routes that hold for a caller by his labels, in his tenant alone."""
        labels = dict(caller.labels)
        kinds: tuple[AccountKind, ...] = ("org", "team", "user")
        named = [self._accounts.get((kind, labels[kind])) for kind in kinds if kind in labels]
        own = [each for each in named if each is not None and each.tenant == caller.tenant]
        return _lists(own)

    def __repr__(self) -> str:
        return f"<Directory {self.version} of {len(self._holders)} keys>"

    def _held(self, keys: Iterable[KeyRecord], now: float) -> Iterable[tuple[str, _Holder]]:
        for key in keys:
            if key.revoked is not None:
                continue
            caller = Caller(key.tenant, key.name, _labels(key))
            models, routes = _lists([*self._above(key), key])
            for secret in key.secrets:
                ended = secret.expires is not None and secret.expires < now - _REMEMBERED
                if secret.revoked is None and not ended:
                    yield secret.id, _Holder(secret.digest, Grant(caller, models, routes, secret.expires))

    def _above(self, key: KeyRecord) -> list[Account]:
        pairs: list[tuple[AccountKind, str | None]] = [
            ("org", key.org),
            ("team", key.team),
            ("user", key.user),
        ]
        return [self._accounts[kind, name] for kind, name in pairs if name is not None]


def _labels(key: KeyRecord) -> tuple[tuple[str, str], ...]:
    pairs = (("org", key.org), ("team", key.team), ("user", key.user))
    return tuple((kind, name) for kind, name in pairs if name is not None)


def _lists(holders: Iterable[Account | KeyRecord]) -> tuple[tuple[NameList, ...], tuple[NameList, ...]]:
    listed = tuple(holders)
    return (
        tuple(NameList(each.models) for each in listed if each.models is not None),
        tuple(NameList(each.routes) for each in listed if each.routes is not None),
    )
