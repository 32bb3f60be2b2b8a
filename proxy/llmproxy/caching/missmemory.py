"""Keys whose answers were not to be shared, remembered for a while so that nobody waits for the next one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from llmproxy.runtime import Clock

#: Seconds for which a key is remembered, and how many are: the least recently met goes first.
REMEMBERED: Final = 120.0
MOST: Final = 16_384


class MissMemory:
    """Hit-for-miss: says of a key that waiting for another's answer has not been worth it lately.

    A key is remembered for `seconds` from the last time that it was added. `until` is when each is forgotten: what is
    not in it need not be asked for.
    """

    __slots__ = ("_most", "_now", "seconds", "until")

    def __init__(
        self, seconds: float = REMEMBERED, most: int = MOST, now: Callable[[], float] = Clock.now
    ) -> None:
        self.seconds = seconds
        self._most = most
        self._now = now
        self.until: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self.until)

    def __contains__(self, key: bytes) -> bool:
        until = self.until.get(key)
        if until is None:
            return False
        if until <= self._now():
            del self.until[key]
            return False
        self.until.move_to_end(key)
        return True

    def add(self, key: bytes) -> None:
        """Remember that this key's answer was not to be shared."""
        self.until[key] = self._now() + self.seconds
        self.until.move_to_end(key)
        if len(self.until) > self._most:
            self.until.popitem(last=False)

    def lift(self, key: bytes) -> None:
        """Forget a key: its answer may be shared again."""
        self.until.pop(key, None)
