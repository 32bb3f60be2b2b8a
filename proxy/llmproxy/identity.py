"""Names for exchanges and traces."""

from __future__ import annotations

import os
import random
import re
from itertools import count

_SAFE_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Names:
    """Makes request ids that are unique among workers and restarts, without a system call each."""

    def __init__(self) -> None:
        self._prefix = os.urandom(6).hex()
        self._count = count(1)
        self._bits = random.Random(os.urandom(16)).getrandbits  # noqa: S311  # names, not secrets

    def request_id(self, given: bytes | None) -> str:
        """Pass on the caller's id if it is safe to log and to send on, else make one."""
        if given is not None and _SAFE_ID.fullmatch(given):
            return given.decode("ascii")
        return f"req-{self._prefix}-{next(self._count):x}"

    def trace(self, given: bytes | None) -> str:
        """Pass on a valid W3C `traceparent`, else begin a trace (unsampled: nobody records it yet)."""
        if given is not None and _TRACEPARENT.fullmatch(given):
            return given.decode("ascii")
        # One draw for both ids; that either is all zeros is not to be expected in the life of the universe.
        ids = f"{self._bits(192):048x}"
        return f"00-{ids[:32]}-{ids[32:]}-00"


class Serials:
    """Makes names that no other process makes, and that no caller can choose or repeat."""

    def __init__(self) -> None:
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """Begin anew: a forked process must not go on where its parent was."""
        self._prefix = os.urandom(8).hex()
        self._count = count(1)

    def __call__(self) -> str:
        """Return the next one."""
        return f"{self._prefix}-{next(self._count):x}"


#: Makes the serial of each exchange that is asked for one.
next_serial = Serials()
