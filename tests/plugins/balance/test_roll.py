from __future__ import annotations

from llmproxy.plugin import Endpoint, Pool
from llmproxy.pools import place_of
from llmproxy.poolsettings import TargetConfig
from llmproxy_balance.health import Health, State
from llmproxy_balance.healthsettings import HealthSettings
from llmproxy_balance.roll import Record, Roll, endpoints_of

from .places import nested

A, B, C = Endpoint("a"), Endpoint("b"), Endpoint("c")


def roll() -> Roll:
    return Roll(lambda: Health(HealthSettings(failures=1), lambda: 0.0))


def pool_of(*names: str, name: str = "p") -> Pool:
    return Pool.of(name, [place_of(TargetConfig(upstream=each)) for each in names])


def test_all_endpoints_of_a_pool_are_known_nested_ones_too() -> None:
    known = roll()
    known.adopt(nested("outer", pool_of("a", "b", name="one"), pool_of("b", "c", name="two")))

    assert set(known.records) == {A, B, C}
    assert known.records[B].pools == {"one", "two"}
    assert set(known.pools) == {"outer", "one", "two"}


def test_the_others_of_a_pool_are_all_but_one() -> None:
    known, pool = roll(), pool_of("a", "b", "b")
    known.adopt(pool)

    assert [each.endpoint for each in known.others(known.records[A], "p")] == [B]
    assert known.others(known.records[A], "another") == []
    assert list(endpoints_of(pool.places)) == [A, B, B]


def test_who_is_not_closed_is_listed_until_he_is() -> None:
    known = roll()
    known.adopt(pool_of("a"))
    health = known.records[A].health

    health.failed(0.0)
    assert list(known.ailing) == [A]
    health.claim(5.0)
    health.succeeded(5.0)
    assert list(known.ailing) == [A]
    health.advance(15.0)
    assert not known.ailing


def test_changes_are_told_of_those_who_are_there() -> None:
    known, told = roll(), []
    known.on_change = lambda record, before, cause: told.append((record.endpoint, before, cause))
    known.adopt(pool_of("a", "b"))
    b = known.records[B].health
    known.records[A].health.failed(0.0)
    known.adopt(pool_of("a"))
    b.failed(0.0)

    assert told == [(A, State.CLOSED, "failures")]
    assert not known.ailing.keys() - {A}


def test_a_place_of_two_pools_stays_while_one_has_it() -> None:
    known = roll()
    known.adopt(pool_of("a", "b", name="one"))
    known.adopt(pool_of("a", name="two"))
    known.keep(["two"])

    assert set(known.records) == {A}
    assert set(known.gone) == {B}


def test_the_newest_latency_makes_a_fifth_of_the_average() -> None:
    record = Record(Endpoint("a"), Health(HealthSettings(), lambda: 0.5, 0.0))
    record.took(1.0)
    assert record.latency == 1.0

    record.took(2.0)
    assert round(record.latency, 6) == 1.2
