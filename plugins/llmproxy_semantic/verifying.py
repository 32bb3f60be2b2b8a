"""How much alike a question's candidate must be, by what was seen of the route's own requests. Pure.

Theory. A coin that is thrown before anything is looked at sends a share of all requests upstream although a candidate
may be there; whether that candidate would have done is judged later. So what is judged is a fair sample of all
requests: those that were merely not served are none, and bounds learnt of them break two- to threefold. Thresholds are
walked down from the top in an order fixed beforehand, for as long as the upper bound of (wrong at or above the
threshold) / (all samples, candidate or not) is at most `delta`; the first that fails ends the walk, so that all of it
has one risk. Each walk has it anew. The promise is one per request: what is wrong of the hits is told beside it.

    policy = Verification(0.01, Random())
    if policy.drawn():            # before the index is asked
        ...                       # upstream; then, of the candidate with the most merit, if there is one:
        policy.judged(similarity, tier, wrong=False)
    elif similarity >= policy.cuts[tier]:
        ...                       # served
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from llmproxy_semantic.brake import Brake, Reports
from llmproxy_semantic.certifying import holds, lower, upper
from llmproxy_semantic.tiers import STRICT

if TYPE_CHECKING:
    from random import Random

#: What is in force: the offline thresholds, thresholds that were certified here, or nothing at all.
State = Literal["strict", "verified", "off"]
#: The least similarity of each tier, `DOUBTED` among them.
Cuts = tuple[float, float, float, float]

#: How much more alike than in the first tier two questions of each tier must be, whatever the threshold.
LEADS: Final[Cuts] = (0.0, STRICT[1] - STRICT[0], STRICT[2] - STRICT[0], STRICT[2] - STRICT[0])
#: The offline thresholds: a guard's doubt is enough.
OFFLINE: Final[Cuts] = (*STRICT, math.inf)
#: The walk: from here, by steps of this size, so many of them.
TOP: Final = 0.99
STEP: Final = 0.005
STEPS: Final = 99
#: Cuts that nothing reaches.
NEVER: Final[Cuts] = (math.inf, math.inf, math.inf, math.inf)
#: Merit of no candidate.
NONE: Final = -math.inf

WINDOW: Final = 3000
#: Samples between two walks.
EACH: Final = 100
#: The risk at which the offline thresholds are given up once others were: that requests changed is known by then.
_DOUBT: Final = 0.05
#: Of the samples since the last walk, the share that may have been left out: above it, the rest may not be fair.
_MOST_LEFT_OUT: Final = 0.05


class Sample(NamedTuple):
    """A drawn request: which step would first serve its candidate, whether wrongly; whether offline thresholds would."""

    step: int
    wrong: bool
    offline: bool = False


class Told(NamedTuple):
    """What is known of a route's answers by likeness; `certified` says that `bound` is at most `delta`."""

    state: State
    certified: bool
    why: str
    delta: float
    cuts: Cuts | None
    samples: int
    hits: int
    wrong: int
    bound: float
    wrong_per_hit: tuple[float, float, float]
    left_out: int
    reports: int
    brakes: int


def merit(similarity: float, tier: int) -> float:
    """Return how much alike two questions are, whatever their tier: of several candidates, the best has the most."""
    return similarity - LEADS[tier]


def step_of(merit_: float) -> int:
    """Return the first step of the walk at which a candidate of such merit is served; `STEPS` if at none."""
    if merit_ == NONE:
        return STEPS
    # Thresholds have three decimals: what equals one in all but its last bits is at it.
    return min(max(math.ceil((TOP - merit_) / STEP - 1e-9), 0), STEPS)


def threshold(step: int) -> float:
    """Return the least merit that a step of the walk serves."""
    return TOP - step * STEP


def cuts_at(step: int) -> Cuts:
    """Return the least similarity of each tier that a step of the walk serves."""
    return tuple(round(threshold(step) + lead, 6) for lead in LEADS)  # type: ignore[return-value]  # three


class Coin:
    """Says which requests go upstream to be compared, before anything is known of them."""

    def __init__(self, random: Random, start: float = 0.05, rest: float = 0.01) -> None:
        self._random = random
        self.start, self.rest = start, rest

    def thrown(self, *, resting: bool) -> bool:
        """Throw it."""
        return self._random.random() < (self.rest if resting else self.start)


class Window:
    """The last samples, counted by the step that would first have served them."""

    def __init__(self, most: int = WINDOW) -> None:
        self._samples: deque[Sample] = deque()
        self._most = most
        self._hits = [0] * (STEPS + 1)
        self._wrong = [0] * (STEPS + 1)
        self._offline = [0, 0]

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, sample: Sample) -> None:
        """Take a sample in, and the oldest out where there are too many."""
        self._samples.append(sample)
        self._count(sample, 1)
        if len(self._samples) > self._most:
            self._count(self._samples.popleft(), -1)

    def _count(self, sample: Sample, by: int) -> None:
        self._hits[sample.step] += by
        self._wrong[sample.step] += by * sample.wrong
        self._offline[0] += by * sample.offline
        self._offline[1] += by * (sample.offline and sample.wrong)

    def clear(self) -> None:
        """Forget all."""
        self.__init__(self._most)  # type: ignore[misc]

    def served(self, step: int) -> tuple[int, int]:
        """Return how many samples a step would have served, and how many of them wrongly."""
        return sum(self._hits[: step + 1]), sum(self._wrong[: step + 1])

    def served_offline(self) -> tuple[int, int]:
        """Return the same of the offline thresholds."""
        return self._offline[0], self._offline[1]

    def walked(self, most_wrong: int) -> int:
        """Return the last step, from the top, at which at most so many are wrong; -1 if none is."""
        wrong = 0
        for step in range(STEPS):
            wrong += self._wrong[step]
            if wrong > most_wrong:
                return step - 1
        return STEPS - 1


def most_wrong(of: int, delta: float, risk: float) -> int:
    """Return how many of `of` samples may be wrong with an upper bound of at most `delta`; -1 if not even none."""
    low, high = -1, math.floor(of * delta)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle, of, delta, risk) else (low, middle - 1)
    return low


class Verification:
    """What may be served by likeness on a route, so that at most `delta` of its requests are answered wrongly.

    Before 3 / delta samples are seen the offline thresholds are in force. A bound that cannot be held at the first
    threshold, or that the offline ones are seen to break, turns likeness off until samples tell otherwise.
    """

    def __init__(
        self,
        delta: float,
        random: Random,
        *,
        coin: tuple[float, float] = (0.05, 0.01),
        offline: Cuts = OFFLINE,
        hit_limit: float = 1.0,
        risk: float = 0.05,
        window: int = WINDOW,
    ) -> None:
        self.delta = delta
        #: The least similarity of each tier that is served now.
        self.cuts: Cuts = offline
        self._offline = offline
        self.state: State = "strict"
        self.brakes = 0
        self._why = "too few samples"
        self._coin = Coin(random, *coin)
        self._risk = risk
        self._window = Window(window)
        self._least = math.ceil(3 / delta)
        self._seen = 0
        self._left_out = 0
        self._step = -1
        self._brake = Brake(delta)
        self._doubt = Brake(delta, _DOUBT)
        self._hit_brake = Brake(hit_limit) if hit_limit < 1 else None
        self._reports = Reports(window)

    def drawn(self) -> bool:
        """Throw the coin for a request, before anything is looked up: whether it goes upstream to be compared."""
        resting = self.state == "verified" and len(self._window) >= 2 * self._least
        return self._coin.thrown(resting=resting)

    def judged(self, similarity: float = NONE, tier: int = 0, *, wrong: bool = False) -> str:
        """Take a drawn request in: the candidate of the most merit and how it was judged; nothing if it had none.

        Returns what has changed by it, in words for a log line; empty if nothing has.
        """
        step = step_of(merit(similarity, tier))
        served, offline = similarity >= self.cuts[tier], similarity >= self._offline[tier]
        self._window.add(Sample(step, wrong and step < STEPS, offline))
        self._seen += 1
        doubtful = self._doubt.pulled(wrong=wrong and offline)
        why = self._too_wrong(served=served, wrong=wrong)
        if not why and doubtful and self.brakes and self.state == "strict":
            why = "more than delta is wrong"
        if why:
            return self._fall_back(why)
        if self._seen % EACH == 0:
            return self._walk()
        return ""

    def _too_wrong(self, *, served: bool, wrong: bool) -> str:
        if self._brake.pulled(wrong=served and wrong):
            return "more than delta is wrong"
        if served and self._hit_brake is not None and self._hit_brake.pulled(wrong=wrong):
            return "too many hits are wrong"
        return ""

    def left_out(self) -> None:
        """Hear that a drawn request could not be judged."""
        self._left_out += 1

    def reported(self) -> str:
        """Hear that a caller was answered wrongly; returns what has changed by it, as `judged` does."""
        if self.state == "off":
            return ""
        wrong = self._served()[1]
        return self._fall_back("callers report it") if self._reports.pulled(self._seen, wrong) else ""

    def _fall_back(self, why: str) -> str:
        """Forget what was seen: the requests are others now. Nothing is left to fall back to where strict fails."""
        to: State = "strict" if self.state == "verified" and not self._doubt.stands else "off"
        self.brakes += 1
        self._window.clear()
        self._reports.clear()
        self._seen = self._left_out = 0
        self._release()
        self._put(to, -1, why)
        return f"{why}: {to}"

    def _release(self) -> None:
        self._brake.release()
        if self._hit_brake is not None:
            self._hit_brake.release()

    def _walk(self) -> str:
        """Look for the least threshold that keeps the promise."""
        left_out, self._left_out = self._left_out, 0
        if left_out > _MOST_LEFT_OUT * EACH:
            return self._step_aside()
        samples = len(self._window)
        if samples < self._least:
            return ""
        step = self._window.walked(most_wrong(samples, self.delta, self._risk))
        before = (self.state, self._step)
        self._reports.forget(self._seen)
        self._put(
            "off" if step < 0 else "verified", step, "no threshold keeps the promise" if step < 0 else ""
        )
        return (
            ""
            if before == (self.state, self._step)
            else f"{self._why or 'certified'}: {self.state} {self.cuts}"
        )

    def _step_aside(self) -> str:
        """Stop relying on samples that may not be fair."""
        if self.state != "verified":
            return ""
        self._put("strict", -1, "judging fails")
        return "judging fails: strict"

    def _put(self, state: State, step: int, why: str) -> None:
        self.state, self._why = state, why
        self._step = step
        if state == "verified":
            self.cuts = cuts_at(step)
        else:
            self.cuts = self._offline if state == "strict" else NEVER

    def _served(self) -> tuple[int, int]:
        """Return how many samples would be served now, and how many of them wrongly."""
        if self.state == "strict":
            return self._window.served_offline()
        return self._window.served(self._step) if self.state == "verified" else (0, 0)

    def told(self) -> Told:
        """Return what is known now."""
        samples = len(self._window)
        hits, wrong = self._served()
        per_hit = (wrong / hits, lower(wrong, hits), upper(wrong, hits)) if hits else (0.0, 0.0, 1.0)
        return Told(
            self.state,
            self.state == "verified",
            self._why,
            self.delta,
            None if self.state == "off" else self.cuts,
            samples,
            hits,
            wrong,
            upper(wrong, samples, self._risk),
            per_hit,
            self._left_out,
            len(self._reports),
            self.brakes,
        )
