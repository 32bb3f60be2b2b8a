"""A credential that expires: kept, asked for anew before its end, by one at a time. Pure but for the asking.

    its life        nobody has refused it                             somebody has (`renew`)
    first part      given at once                                     asked for anew; who comes waits
    last part       given at once; asked for anew behind their backs  likewise
    over            asked for anew; who comes waits for that          likewise

Asking starts with a request: nothing is asked for that nobody uses. While asking fails, a credential is given as long
as it lives, and who asks next is put off for longer and longer, whoever comes meanwhile being refused at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from llmproxy.errors import UpstreamError
from llmproxy.tasks import spawn

if TYPE_CHECKING:
    from llmproxy.runtime import Clock

T = TypeVar("T")

#: Seconds before its end that a credential is asked for anew, and the part of a short life that they are at most.
EARLY: Final = 300.0
_EARLY_PART: Final = 0.25
#: Likewise, the seconds at its end in which none is given any more: it travels, and clocks differ.
_UNSURE: Final = 10.0
_UNSURE_PART: Final = 0.05
#: Seconds until it is asked for again after a failure, and the most that doubling makes of them.
_PATIENCE: Final = (0.5, 30.0)
#: Seconds that asking may take.
_WITHIN: Final = 30.0
#: Seconds after a change in which a refusal is taken to be of what was given before; and the seconds between two times
#: that refusals have it asked for anew.
_JUST: Final = 5.0
_REFUSALS_APART: Final = 1.0


class Granted(NamedTuple, Generic[T]):
    """A credential and the seconds that it lives from now on."""

    value: T
    seconds: float = float("inf")


class CredentialsAway(Exception):
    """No credential can be had; the text is for people, and holds no secret."""


class TokenCache(Generic[T]):
    """Keeps one credential.

    Args:
        ask: gets a new one; raises `CredentialsAway` to say why there is none.
        clock: the gateway's.
        whose: what they are for, as errors and the log call it.
        early: seconds before its end that it is asked for anew, or a quarter of its life if that is less.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[Granted[T]]],
        clock: Clock,
        *,
        whose: str,
        early: float = EARLY,
        within: float = _WITHIN,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._whose = whose
        self._early = early
        self._within = within
        self._value: T | None = None
        self._asking: asyncio.Task[None] | None = None
        self._anew_at = self._ends_at = self._again_at = float("-inf")
        self._changed_at = self._refused_at = float("-inf")
        self._failures = 0

    def __repr__(self) -> str:
        return f"<TokenCache of {self._whose}>"

    def at_hand(self) -> T | None:
        """Return the credential if there is one that lives; see that it is asked for anew in time."""
        now = self._clock.now()
        if now >= self._anew_at:
            if now >= self._ends_at:
                return None
            self._begin(now)
        return self._value

    async def get(self) -> T:
        """Return the credential, asked for if there is none that lives.

        Raises:
            UpstreamError: it cannot be had now (503); nothing was sent.
        """
        value = self.at_hand()
        if value is None:
            await self._asked()
            value = self.at_hand()
        if value is None:
            raise self._away()
        return value

    async def renew(self) -> bool:
        """Ask anew, for the credential was refused; whether there is another one now.

        Where it changed within the last seconds, the refused one is taken to be that of before.
        """
        now, before = self._clock.now(), self._value
        if now - self._changed_at < _JUST:
            return True
        if self._asking is None:
            if now - self._refused_at < _REFUSALS_APART:
                return False
            self._refused_at = now
        await self._asked()
        return self._value != before

    async def _asked(self) -> None:
        """Wait until it has been asked for: by one, for all who wait; not at all while it is too early to ask again."""
        task = self._begin(self._clock.now())
        if task is not None:
            await asyncio.wait([task])

    def _begin(self, now: float) -> asyncio.Task[None] | None:
        if self._asking is None and now >= self._again_at:
            self._asking = spawn(self._renewed(), name=f"credentials:{self._whose}")
        return self._asking

    async def _renewed(self) -> None:
        try:
            async with asyncio.timeout(self._within):
                granted = await self._ask()
            if granted.seconds <= 0:
                raise CredentialsAway("what was given has ended already")
        except Exception as fault:  # libraries raise what they like
            self._failed(fault)
        else:
            self._take(granted)
        finally:
            self._asking = None

    def _take(self, granted: Granted[T]) -> None:
        now, seconds = self._clock.now(), granted.seconds
        if self._value is not None and self._value != granted.value:
            self._changed_at = now
        self._value = granted.value
        self._ends_at = now + seconds - min(_UNSURE, seconds * _UNSURE_PART)
        self._anew_at = min(self._ends_at, now + seconds - min(self._early, seconds * _EARLY_PART))
        self._failures, self._again_at = 0, float("-inf")

    def _failed(self, fault: Exception) -> None:
        first, most = _PATIENCE
        wait = min(most, first * 2.0 ** min(self._failures, 16))
        self._failures += 1
        self._again_at = self._clock.now() + wait
        why = str(fault) if isinstance(fault, CredentialsAway) else type(fault).__name__
        _log().warning("credentials_away", whose=self._whose, why=why, again_in=wait)

    def _away(self) -> UpstreamError:
        message = f"The gateway has no credentials for {self._whose} now."
        fault = UpstreamError("credentials_unavailable", message, phase="connect", sent=False, status=503)
        fault.retry_after = max(1.0, self._again_at - self._clock.now())
        return fault


def _log() -> Any:
    import structlog  # noqa: PLC0415  # whoever imports llmproxy.plugin pays for it otherwise

    return structlog.get_logger("llmproxy")
