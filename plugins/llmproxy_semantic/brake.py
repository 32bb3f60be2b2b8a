"""When an answer by likeness is wrong too often to wait for the next look at the thresholds. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from llmproxy_semantic.certifying import exceeds

#: Spans of the last events that are looked at, each after each event: short ones tell soon what is very wrong.
SPANS: Final = (25, 50, 100, 150, 200, 250, 300)
#: What each span stops without need. Small, for it is looked at after each event.
RISK: Final = 0.002
#: As few reports stop nothing: one caller may be mistaken.
LEAST_REPORTS: Final = 3
_MOST_REPORTS: Final = 1000


def stop_at(span: int, limit: float, risk: float) -> int:
    """Return how many wrong of a span have a lower bound above the limit; more than the span if none do."""
    return next((wrong for wrong in range(1, span + 1) if exceeds(wrong, span, limit, risk)), span + 1)


class Brake:
    """Watches for a share of wrong ones that is, beyond doubt, above a limit."""

    def __init__(self, limit: float, risk: float = RISK) -> None:
        self._limits = [(span, stop_at(span, limit, risk)) for span in SPANS]
        self._counts: deque[int] = deque([0], SPANS[-1] + 1)

    def pulled(self, *, wrong: bool) -> bool:
        """Take note of one more; return whether that one says that it is time to stop."""
        self._counts.append(self._counts[-1] + wrong)
        return wrong and self.stands

    @property
    def stands(self) -> bool:
        """Whether what was seen last says that it is time to stop."""
        counts = self._counts
        last = len(counts) - 1
        return any(counts[-1] - counts[max(last - span, 0)] >= most for span, most in self._limits)

    def release(self) -> None:
        """Begin anew."""
        self._counts = deque([0], SPANS[-1] + 1)


class Reports:
    """Callers' reports of wrong answers, each forgotten after as many samples as a window holds."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._seen: deque[int] = deque(maxlen=_MOST_REPORTS)

    def __len__(self) -> int:
        return len(self._seen)

    def pulled(self, sample: int, wrong: int) -> bool:
        """Take a report at a sample's number; return whether reports have doubled what was judged wrong."""
        self._seen.append(sample)
        self.forget(sample)
        return len(self._seen) >= max(wrong, LEAST_REPORTS)

    def forget(self, sample: int) -> None:
        """Forget what is older than the window before a sample."""
        while self._seen and self._seen[0] <= sample - self._window:
            self._seen.popleft()

    def clear(self) -> None:
        """Forget all."""
        self._seen.clear()
