"""What a stream tells of one choice: text and thoughts that end when something else begins, calls that stay open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.canonical import (
    BlockEnded,
    BlockStarted,
    Delta,
    Finished,
    FinishReason,
    Reasoning,
    StreamEvent,
    Text,
    ToolCall,
)
from llmproxy_declared.places import BadAnswer
from llmproxy_declared.toolcalls import MOST, Call, made_up_id

if TYPE_CHECKING:
    from collections.abc import Callable


class Numbers:
    """Gives blocks their indexes, over all choices of a stream."""

    def __init__(self) -> None:
        self._count = 0

    def next(self) -> int:
        """Return the next index."""
        self._count += 1
        return self._count - 1


class Told:
    """One choice of a stream as far as it was told; `tell` takes its events."""

    def __init__(self, choice: int, numbers: Numbers, tell: Callable[[StreamEvent], None]) -> None:
        self._choice = choice
        self._numbers = numbers
        self._tell = tell
        self._kind: type[Text | Reasoning] | None = None
        self._open = -1
        self._whole = dict[type, str]()
        self._pieced = dict[int, int]()
        self._calls = 0
        #: Why it ended, once that was told.
        self.finish: tuple[FinishReason, str] | None = None

    def say(self, kind: type[Text | Reasoning], text: str) -> None:
        """Add text to the open block of that kind, or to a new one."""
        if not text:
            return
        if self._kind is not kind:
            self.stop()
            self._open, self._kind = self._numbers.next(), kind
            self._tell(BlockStarted(self._open, kind(text=""), self._choice))
        self._tell(Delta(self._open, text))

    def say_so_far(self, kind: type[Text | Reasoning], text: str) -> None:
        """Add what a text has more than it had.

        Raises:
            BadAnswer: it does not begin with what it was.
        """
        known = self._whole.get(kind, "")
        if not text.startswith(known):
            raise BadAnswer("The upstream's stream takes back text that it told before.")
        self._whole[kind] = text
        self.say(kind, text[len(known) :])

    def call(self, call: Call, seed: str) -> None:
        """Add a whole call, or a piece of one.

        Raises:
            BadAnswer: there are too many, or a piece belongs to none.
        """
        if call.index is not None and call.index in self._pieced:
            if call.arguments:
                self._tell(Delta(self._pieced[call.index], call.arguments))
            return
        if not call.name or self._calls >= MOST:
            raise BadAnswer(
                "The upstream's stream has a piece of a call that never began, or too many calls."
            )
        self.stop()
        number, index = self._calls, self._numbers.next()
        self._calls += 1
        identity = call.id or made_up_id(f"{seed}:{self._choice}", number, call.name)
        self._tell(BlockStarted(index, ToolCall(identity, call.name, ""), self._choice))
        if call.arguments:
            self._tell(Delta(index, call.arguments))
        if call.index is None:
            self._tell(BlockEnded(index))
        else:
            self._pieced[call.index] = index

    def stop(self) -> None:
        """End the open text."""
        if self._kind is not None:
            self._tell(BlockEnded(self._open))
            self._kind = None

    def end(self) -> None:
        """End all that is open, and tell why the choice ended."""
        self.stop()
        for index in self._pieced.values():
            self._tell(BlockEnded(index))
        reason, detail = self.finish or ("stop", "")
        if self._calls and reason == "stop":
            reason = "tool_calls"
        self._tell(Finished(reason, None, detail, "", self._choice))
