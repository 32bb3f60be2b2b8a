"""Who may ask: what is denied never, what is allowed if anything is, else everybody. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from llmproxy_ipfilter.networks import Networks, read_address

#: Callers whose verdict is remembered; who fills this up costs the others a look into the lists.
MOST_REMEMBERED: Final = 16_384


class Policy:
    """Networks that are allowed and denied; `only_allowed` says that whoever is in neither is refused.

    `nameless` is the verdict on callers without an address, those of Unix sockets.
    """

    def __init__(
        self, allow: Sequence[Networks], deny: Sequence[Networks], *, only_allowed: bool, nameless: bool
    ) -> None:
        self._allow = allow
        self._deny = deny
        self._only_allowed = only_allowed
        self._known: dict[str, bool] = {"": nameless}

    def admits(self, client: str) -> bool:
        """Whether a caller at this address may ask."""
        known = self._known.get(client)
        if known is not None:
            return known
        verdict = self._judge(client)
        if len(self._known) < MOST_REMEMBERED:
            self._known[client] = verdict
        return verdict

    def _judge(self, client: str) -> bool:
        address = read_address(client)
        if address is None:
            return False
        for networks in self._deny:
            if networks.hold(address):
                return False
        if not self._only_allowed:
            return True
        return any(networks.hold(address) for networks in self._allow)
