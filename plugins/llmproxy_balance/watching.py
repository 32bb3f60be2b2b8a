"""What a walk needs of whoever watches the places' health."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from llmproxy.plugin import Attempt, Endpoint, Exchange, Failure, Place
from llmproxy_balance.lineup import AllWell, Health


class Watcher(Health, Protocol):
    """Health that hears how attempts end."""

    @property
    def ailing(self) -> Mapping[Endpoint, object]:
        """Endpoints that are not well: always the same mapping, which is looked at with each request."""

    @property
    def pools(self) -> Mapping[str, tuple[Place, ...]]:
        """The places of each pool by its name, as they are known; while nobody ails, all of them may be tried."""

    def claim(self, endpoint: Endpoint) -> bool:
        """Whether an attempt may be made there now; `settle` comes when it is over."""

    def unclaim(self, endpoint: Endpoint) -> None:
        """Hear that the attempt for which it was claimed is not made."""

    def began(self, exchange: Exchange) -> None:
        """Hear that an exchange's last attempt has brought its first output."""

    def answered(self, place: Place, attempt: Attempt) -> None:
        """Hear of a good answer."""

    def settle(self, exchange: Exchange, attempt: Attempt, failure: Failure | None) -> None:
        """Hear how an attempt ended; None if no place is to blame."""


class Unwatched(AllWell):
    """Places whose health nobody watches."""

    ailing: Mapping[Endpoint, object] = MappingProxyType({})
    pools: Mapping[str, tuple[Place, ...]] = MappingProxyType({})

    def claim(self, endpoint: Endpoint) -> bool:
        """Any attempt may be made."""
        return True

    def unclaim(self, endpoint: Endpoint) -> None:
        """Nobody counts."""

    def began(self, exchange: Exchange) -> None:
        """Nobody listens."""

    def answered(self, place: Place, attempt: Attempt) -> None:
        """Nobody listens."""

    def settle(self, exchange: Exchange, attempt: Attempt, failure: Failure | None) -> None:
        """Nobody listens."""
