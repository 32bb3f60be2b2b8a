"""A request that went upstream although an answer may be there: what is still to be learnt of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import StateKey, StoredReply, is_stream, said
from llmproxy_semantic.judging import Comparison

if TYPE_CHECKING:
    from llmproxy.plugin import Fresh
    from llmproxy_semantic.features import Features
    from llmproxy_semantic.overseeing import Candidate, Oversight

#: Seconds after a request's end in which its answer may still be kept.
GRACE: Final = 10.0
#: Questions whose trials wait at once, and trials of one question.
_MOST_PENDING: Final = 1024
_MOST_ALIKE: Final = 64

#: A partition, and a question in it.
Asking = tuple[bytes, str]


class Trial:
    """One such request, from the coin until its answer is compared or it is left out."""

    def __init__(self, oversight: Oversight, asked: Features, candidate: Candidate) -> None:
        self._oversight = oversight
        self._asked = asked
        self._candidate = candidate
        self._taken = asyncio.Event()

    async def compare(self, question: str, fresh: Fresh) -> None:
        """Have the kept answer compared with the fresh one; one that is gone would not have been served."""
        if self._taken.is_set():
            return
        self._taken.set()
        kept = await fresh.other(self._candidate.key)
        if kept is None:
            self._oversight.compare(self._asked, None, None)
            return
        one, other = text_of(kept), text_of(fresh.reply)
        answers = Comparison(question, one, other) if one and other else None
        self._oversight.compare(self._asked, self._candidate, answers)

    async def left(self, within: float = GRACE) -> None:
        """Leave it out if its answer is not compared by then: the request has ended, and may have failed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._taken.wait()
        if not self._taken.is_set():
            self._taken.set()
            self._oversight.compare(self._asked, self._candidate, None)


class Pending:
    """Trials without an answer yet, by what they ask: who joins another's call upstream gets the answer of that."""

    def __init__(self) -> None:
        self._trials: dict[Asking, list[Trial]] = {}

    def add(self, asking: Asking, trial: Trial) -> None:
        """Have a trial be found by what it asks."""
        trials = self._trials.setdefault(asking, [])
        if len(trials) < _MOST_ALIKE:
            trials.append(trial)
        if len(self._trials) > _MOST_PENDING:
            del self._trials[next(iter(self._trials))]

    def take(self, asking: Asking) -> list[Trial]:
        """Return the trials that ask this, and forget them."""
        return self._trials.pop(asking, [])

    def __len__(self) -> int:
        return len(self._trials)


TRIAL: Final[StateKey[Trial]] = StateKey("semantic.trial")


def text_of(reply: StoredReply) -> str:
    """Return what an answer says; some streams say it again at their end."""
    kind = next((value for name, value in reply.headers if name.lower() == b"content-type"), b"")
    texts = said(bytes(reply.body), streamed=is_stream(kind))
    return "\n".join(dict.fromkeys(texts.values()))
