"""Routes under verification, over reloads."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from llmproxy.metrics import Metrics
from llmproxy_semantic.config import VerifiedSettings
from llmproxy_semantic.overseer import Known, Overseer, Served
from llmproxy_semantic.tiers import STRICT

if TYPE_CHECKING:
    from llmproxy.plugin import Runtime

OFFLINE = (*STRICT, math.inf)
SETTINGS = VerifiedSettings()


class Log:
    def warning(self, event: str, **more: object) -> None:
        pass


def overseer(known: Known, settings: VerifiedSettings = SETTINGS, embedder: str = "e") -> Overseer:
    runtime = SimpleNamespace(name="semantic", metrics=Metrics(), log=Log())
    return Overseer(cast("Runtime", runtime), settings, known, OFFLINE, embedder)


def test_what_is_learnt_outlives_a_reload() -> None:
    known = Known()
    overseer(known).of("faq").vetoes.add(b"form", b"key")

    assert overseer(known).of("faq").told()["vetoes"] == 1
    assert overseer(known).of("chat").told()["vetoes"] == 0


def test_other_terms_or_another_embedder_begin_anew() -> None:
    known = Known()
    overseer(known).of("faq").vetoes.add(b"form", b"key")

    assert overseer(known, VerifiedSettings(delta=0.02)).of("faq").told()["vetoes"] == 0
    assert overseer(known, embedder="f").of("faq").told()["vetoes"] == 0


def test_an_answer_is_reported_once_by_its_exchange() -> None:
    known = Known()
    route = overseer(known)
    told = route.of("faq").told
    known.serve("id", Served("faq", b"form", b"key"))

    assert route.report("", "id")
    assert not route.report("", "id")
    assert (told()["vetoes"], told()["reports"]) == (1, 1)


def test_a_route_may_be_reported_without_an_answer() -> None:
    route = overseer(Known())
    told = route.of("faq").told

    assert route.report("faq", "")
    assert not route.report("other", "")
    assert (told()["vetoes"], told()["reports"]) == (0, 1)


def test_of_what_was_served_only_the_last_is_remembered() -> None:
    known = Known()
    for number in range(10_001):
        known.serve(str(number), Served("faq", b"", b""))

    assert len(known.served) == 10_000
    assert "0" not in known.served
