"""A route under verification, from the coin to what is learnt."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from llmproxy.metrics import Metrics
from llmproxy_semantic.features import features_of, pack
from llmproxy_semantic.index import Row
from llmproxy_semantic.judging import Comparison
from llmproxy_semantic.overseeing import Candidate, Oversight, learning
from llmproxy_semantic.verifying import Verification

if TYPE_CHECKING:
    from llmproxy.plugin import Runtime
    from llmproxy_semantic.judging import Judging

ASKED = features_of("Which food does a cat like?")
ANSWERS = Comparison("q", "kept", "fresh")


class Verdict:
    """A judge that says what it is told to."""

    def __init__(self, verdict: bool | None) -> None:
        self.verdict = verdict

    def judge(self, comparison: Comparison, then: Callable[[bool | None], None]) -> None:
        then(self.verdict)


class Log:
    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def warning(self, event: str, **more: Any) -> None:
        self.told.append(more)


def oversight(verdict: bool | None = True, log: Log | None = None) -> Oversight:
    runtime = SimpleNamespace(name="semantic", metrics=Metrics(), log=log or Log())
    learnt = learning(Verification(0.05, Random(1), coin=(0.5, 0.5)))
    return Oversight(cast("Runtime", runtime), "chat", learnt, cast("Judging", Verdict(verdict)))


def row(key: bytes, similarity: float, text: str) -> Row:
    return Row(key, similarity, pack(features_of(text)))


def test_the_nearest_that_no_final_guard_rules_out_is_the_candidate() -> None:
    rows = [
        row(b"number", 0.99, "Which 2 foods does a cat like?"),
        row(b"good", 0.9, "Which food do cats like?"),
        row(b"far", 0.7, "Which food does a cat like?"),
    ]

    assert oversight().best(ASKED, rows) == Candidate(b"good", 0.9, 0)


def test_a_row_that_cannot_be_read_is_no_candidate() -> None:
    assert oversight().best(ASKED, [Row(b"key", 0.99, b"?")]) is None


def test_a_candidate_is_served_above_the_threshold_of_its_tier() -> None:
    route = oversight()

    assert route.serves(Candidate(b"key", 0.99, 0))
    assert not route.serves(Candidate(b"key", 0.99, 1))


def test_a_pair_that_was_judged_wrong_is_not_a_candidate_again_but_the_entry_is_for_others() -> None:
    route = oversight(verdict=False)
    rows = [row(b"key", 0.9, "Which food do cats like?")]
    route.compare(ASKED, route.best(ASKED, rows), ANSWERS)

    assert route.best(ASKED, rows) is None
    assert route.best(features_of("Which foods do the cats like?"), rows) is not None


def test_an_entry_that_was_judged_wrong_twice_is_nobodys_candidate() -> None:
    route = oversight(verdict=False)
    rows = [row(b"key", 0.9, "Which food do cats like?")]
    for _ in range(2):
        route.compare(ASKED, Candidate(b"key", 0.9, 0), ANSWERS)

    assert route.best(features_of("Which foods do the cats like?"), rows) is None
    assert (route.told()["quarantined"], route.told()["vetoes"]) == (1, 1)


def test_samples_count_with_and_without_a_candidate_and_not_where_nobody_can_say() -> None:
    route, unsure = oversight(), oversight(verdict=None)
    route.compare(ASKED, None, None)
    route.compare(ASKED, Candidate(b"key", 0.99, 0), ANSWERS)
    route.compare(ASKED, Candidate(b"key", 0.99, 0), None)
    unsure.compare(ASKED, Candidate(b"key", 0.99, 0), ANSWERS)

    assert (route.told()["samples"], route.told()["hits"], route.told()["left_out"]) == (2, 1, 1)
    assert (unsure.told()["samples"], unsure.told()["left_out"]) == (0, 1)


def test_what_changes_is_told_with_the_route() -> None:
    log = Log()
    route = oversight(log=log)
    for _ in range(100):
        route.compare(ASKED, Candidate(b"key", 0.8, 0), ANSWERS)

    assert [each["route"] for each in log.told] == ["chat"]
    assert "certified" in log.told[0]["change"]


def test_reports_of_callers_are_vetoes_and_pull_the_brake() -> None:
    log = Log()
    route = oversight(log=log)
    for number in range(3):
        route.reported(ASKED.form, b"%d" % number)

    assert route.told()["vetoes"] == 3
    assert [each["change"] for each in log.told] == ["callers report it: off"]


def test_the_coin_is_thrown() -> None:
    route = oversight()

    assert 30 < sum(route.drawn() for _ in range(100)) < 70
