"""Routes under verification, over reloads."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from llmproxy.metrics import Metrics
from llmproxy_semantic.config import VerifiedSettings
from llmproxy_semantic.features import features_of
from llmproxy_semantic.overseer import Known, Overseer, Served
from llmproxy_semantic.tiers import STRICT

if TYPE_CHECKING:
    from llmproxy.plugin import Runtime

OFFLINE = (*STRICT, math.inf)
SETTINGS = VerifiedSettings()
ASKED = features_of("What is DNS?")


class Log:
    def warning(self, event: str, **more: object) -> None:
        pass


def overseer(known: Known, settings: VerifiedSettings = SETTINGS, embedder: str = "e") -> Overseer:
    runtime = SimpleNamespace(name="semantic", metrics=Metrics(), log=Log())
    return Overseer(cast("Runtime", runtime), settings, known, OFFLINE, embedder)


def test_what_is_learnt_outlives_a_reload() -> None:
    known = Known()
    overseer(known).of("faq", "t").vetoes.add(b"form", b"key")

    assert overseer(known).of("faq", "t").told()["vetoes"] == 1
    assert overseer(known).of("chat", "t").told()["vetoes"] == 0


def test_other_terms_or_another_embedder_begin_anew() -> None:
    known = Known()
    overseer(known).of("faq", "t").vetoes.add(b"form", b"key")

    assert overseer(known, VerifiedSettings(delta=0.02)).of("faq", "t").told()["vetoes"] == 0
    assert overseer(known, embedder="f").of("faq", "t").told()["vetoes"] == 0


def test_an_answer_is_reported_once_by_its_exchange() -> None:
    known = Known()
    route = overseer(known)
    told = route.of("faq", "t").told
    known.serve("id", Served("faq", "t", b"form", b"key"))

    assert route.report("", "id")
    assert not route.report("", "id")
    assert (told()["vetoes"], told()["reports"]) == (1, 1)


def test_a_route_may_be_reported_without_an_answer() -> None:
    route = overseer(Known())
    told = route.of("faq", "t").told

    assert route.report("faq", "")
    assert not route.report("other", "")
    assert (told()["vetoes"], told()["reports"]) == (0, 1)


def test_of_what_was_served_only_the_last_is_remembered() -> None:
    known = Known()
    for number in range(10_001):
        known.serve(str(number), Served("faq", "t", b"", b""))

    assert len(known.served) == 10_000
    assert "0" not in known.served


def test_no_tenant_is_learnt_of_by_what_another_asks() -> None:
    route = overseer(Known(), VerifiedSettings(delta=0.05, window=100))
    one, other = route.of("faq", "one"), route.of("faq", "other")
    for _ in range(100):
        one.compare(ASKED, None, None)

    assert (one.certified, other.certified) == (True, False)
    assert route.told().keys() == {"faq of one", "faq of other"}


def test_a_report_of_a_route_may_name_the_tenant() -> None:
    route = overseer(Known())
    one, other = route.of("faq", "one"), route.of("faq", "other")

    assert route.report("faq", "", "one")
    assert not route.report("faq", "", "nobody")
    assert (one.told()["reports"], other.told()["reports"]) == (1, 0)


def test_of_very_many_tenants_those_who_asked_longest_ago_are_forgotten() -> None:
    route = overseer(Known())
    first = route.of("faq", "0")
    for number in range(1, 1000):
        route.of("faq", str(number))

    assert len(route.known.routes) == len(route.routes) == 256
    assert route.of("faq", "0") is not first
