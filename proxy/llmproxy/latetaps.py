"""Taps of answers that tell what earlier calls used: one JSON object, lines of results, the messages of a WebSocket."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from llmproxy.belated import BATCH, TOLD, Belated, Spent
from llmproxy.exchange import Usage
from llmproxy.taps import LONG_TAIL

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange

#: Bytes of an object that is read; batches of Gemini hold their results.
MOST: Final = 64 * LONG_TAIL
#: Bytes of one line of results.
LONGEST_LINE: Final = 16 * LONG_TAIL
#: Models of one file of results.
_MODELS: Final = 256

#: What an object tells: usage of something else, or of this very call.
Found = Belated | Usage | None


class _Late:
    """What these taps have in common: nothing is held back for them, and any end is an end."""

    failed = cut = False

    def __init__(self) -> None:
        self.first_output = False
        self.terminal = False
        self.usage: Usage | None = None

    def fail(self, error: BaseException) -> None:
        """Forget what came: who fetches it again is told all of it."""


class ObjectTap(_Late):
    """Reads a whole JSON object; `read` finds in it what is told, and may raise whatever it likes."""

    def __init__(self, exchange: Exchange, read: Callable[[dict[str, Any]], Found]) -> None:
        super().__init__()
        self._exchange = exchange
        self._read = read
        self._pieces: list[bytes] = []
        self._left = MOST

    def feed(self, data: bytes) -> None:
        """Keep one piece."""
        self.first_output = True
        self._left -= len(data)
        if self._left >= 0:
            self._pieces.append(data)
        else:
            self._pieces = []

    def end(self) -> None:
        """Read it."""
        self.terminal = True
        body, self._pieces = b"".join(self._pieces), []
        if self._left < 0:
            return
        try:
            found = self._read(orjson.loads(body))
        except (ValueError, TypeError, LookupError, AttributeError):
            return  # it is of another form, and passes as it is
        if isinstance(found, Belated):
            self._exchange.state[TOLD] = found
        else:
            self.usage = found


class LinesTap(_Late):
    """Reads lines of results, and sums up what each model used; what does not begin as results do is not read.

    `read` returns what a line tells, None for nothing; it raises `ValueError` for what is no line of results.
    """

    def __init__(self, exchange: Exchange, name: str, read: Callable[[bytes], Spent | None]) -> None:
        super().__init__()
        self._exchange = exchange
        self._name = name
        self._read = read
        self._pieces: list[bytes] = []
        self._size = 0
        self._reading = True
        self._spent: dict[str, Usage] = {}

    def feed(self, data: bytes) -> None:
        """Read the lines that are whole with this piece."""
        self.first_output = True
        if not self._reading:
            return
        last = data.rfind(b"\n") + 1
        if last:
            self._take(b"".join((*self._pieces, data[:last])))
            self._pieces, self._size = [], 0
        self._pieces.append(data[last:])
        self._size += len(data) - last
        if self._size > LONGEST_LINE:
            self._stop()

    def end(self) -> None:
        """Read the last line, and tell the sums."""
        self.terminal = True
        self._take(b"".join(self._pieces))
        self._pieces = []
        spent = tuple(Spent(model, usage) for model, usage in self._spent.items() if usage != Usage())
        if self._reading and spent:
            self._exchange.state[TOLD] = Belated(self._name, spent, BATCH)

    def _take(self, lines: bytes) -> None:
        if not self._reading:
            return
        for line in lines.split(b"\n"):
            if not line.strip():
                continue
            try:
                told = self._read(line)
            except ValueError:
                self._stop()
                return
            if told is not None and (told.model in self._spent or len(self._spent) < _MODELS):
                before = self._spent.get(told.model)
                self._spent[told.model] = told.usage if before is None else summed((before, told.usage))

    def _stop(self) -> None:
        self._reading, self._pieces, self._spent = False, [], {}


class MessagesTap(_Late):
    """Reads the messages of a WebSocket, one each time, and sums up what they tell of use; at first it is nothing.

    What a session used whose address names no model is told by the models that its messages name.
    """

    def __init__(
        self, exchange: Exchange, mark: bytes, read: Callable[[dict[str, Any]], Spent | None]
    ) -> None:
        super().__init__()
        self.usage = self._sum = Usage()
        self._exchange = exchange
        self._mark = mark
        self._read = read
        self._spent: dict[str, Usage] = {}

    def feed(self, data: bytes) -> None:
        """Read one message, if it may tell of use."""
        self.first_output = True
        if self._mark not in data:
            return
        try:
            told = self._read(orjson.loads(data))
        except (ValueError, TypeError, LookupError, AttributeError):
            return
        if told is None:
            return
        if self._exchange.model is None and told.model and len(self._spent) < _MODELS:
            before = self._spent.get(told.model, Usage())
            self._spent[told.model] = summed((before, told.usage))
        else:
            self.usage = self._sum = summed((self._sum, told.usage))

    def end(self) -> None:
        """All has been read."""
        self.terminal = True
        if self._spent:
            spent = tuple(Spent(model, usage) for model, usage in self._spent.items())
            self._exchange.state[TOLD] = Belated(self._exchange.serial, spent)

    def fail(self, error: BaseException) -> None:
        """What was told before the break counts."""
        self.end()


def summed(usages: Iterable[Usage]) -> Usage:
    """Return what several calls used together."""
    first, *others = usages
    return first if not others else _sum(Usage, [first, *others])


def _sum(kind: Any, all_of: list[Any]) -> Any:
    """Add structs of numbers, some of which hold a struct of numbers or none."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        told = [value for each in all_of if (value := getattr(each, field.encode_name)) is not None]
        inner = [value for value in told if isinstance(value, msgspec.Struct)]
        values[field.encode_name] = _sum(type(inner[0]), inner) if inner else sum(told) if told else None
    return kind(**values)
