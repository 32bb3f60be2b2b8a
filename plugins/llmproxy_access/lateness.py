"""Whether a worker may still go by what it knows of a database, or has to look again first.

Theory. A worker looks twice a second. One that was stopped, or held up, has missed looks and cannot know what was
revoked meanwhile: it looks before it lets anybody in. One that goes on and gets no answer has missed nothing that
it could learn by waiting: requests do not wait for a database that is away. The beat of its own loop tells the two
apart.
"""

from __future__ import annotations

from math import inf
from typing import Final

#: Seconds after which nobody is let in by what is known without another look.
LATE: Final = 1.0
#: Seconds between two beats; a look that takes longer is one in vain as long as it lasts.
BEAT: Final = 0.25


class Lateness:
    """What one worker knows of its looks. All times are the gateway's clock's."""

    def __init__(self, now: float) -> None:
        #: When that was asked for which is known; what was changed later may be unknown.
        self.known_at = -inf
        self._beat_at = now
        self._asked_at: float | None = None
        self._in_vain = False

    def asks(self, now: float) -> None:
        """A look begins."""
        self._asked_at = now

    def knows(self, asked_at: float) -> None:
        """A look has ended well, which began then."""
        self.known_at = asked_at
        self._asked_at = None
        self._in_vain = False

    def gives_up(self, now: float) -> None:
        """A look has failed, or is not waited for any longer."""
        self._asked_at = None
        self._in_vain = True
        self._beat_at = now

    def beat(self, now: float) -> None:
        """The worker runs."""
        if now - self._beat_at > LATE:
            self._in_vain = False
        elif self._asked_at is not None and now - self._asked_at >= BEAT:
            self._in_vain = True
        self._beat_at = now

    def is_late(self, now: float) -> bool:
        """Whether there is to be a look before anybody is let in."""
        return now - self.known_at > LATE and not (self._in_vain and now - self._beat_at <= LATE)
