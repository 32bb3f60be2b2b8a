"""The line-up: lazy, nested, gates asked, places that are meant for failures kept apart."""

from llmproxy.plugin import Pool
from llmproxy.pools import place_of
from llmproxy.testing import make_exchange
from llmproxy_balance.lineup import AllWell, Gatekeeper, LineUp

from .places import names, nested, pool_of, target

EXCHANGE = make_exchange(model="m")


def ordered(pool, line_up=None, *among):
    skipped = []
    line_up = line_up or LineUp(AllWell())
    return names(line_up.order(EXCHANGE, pool, skipped, *among)), skipped


def refusing(*refused, passing=False):
    def gate(exchange, place):
        return "refused" if place.name in refused else ""

    return Gatekeeper(gate, lambda place: True, passing)


def test_places_come_in_the_strategys_order():
    pool = pool_of(1, 1, 1)
    pool.strategy = type("Backwards", (), {"order": lambda self, exchange, places: places[::-1]})()

    assert ordered(pool)[0] == ["c", "b", "a"]


def test_the_places_of_inner_pools_come_where_these_stand():
    inner = pool_of(1, 1, name="inner")
    other = Pool.of("other", [place_of(target(name="z"))])

    assert ordered(nested("outer", inner, other))[0] == ["a", "b", "z"]


def test_the_next_place_is_looked_for_when_it_is_asked_for():
    asked = []

    def gate(exchange, place):
        asked.append(place.name)
        return ""

    line_up = LineUp(AllWell(), [Gatekeeper(gate, lambda place: True)])
    order = line_up.order(EXCHANGE, pool_of(1, 1, 1), [])
    next(order)

    assert asked == ["a"]


def test_a_place_that_is_refused_is_passed_over_and_told():
    found, skipped = ordered(pool_of(1, 1), LineUp(AllWell(), [refusing("a")]))

    assert found == ["b"]
    assert [(each.place.name, each.reason, each.passing) for each in skipped] == [("a", "refused", False)]


def test_a_gate_is_asked_for_the_places_that_it_concerns():
    keeper = refusing("a", "b")._replace(concerns=lambda place: place.name == "b")

    assert ordered(pool_of(1, 1), LineUp(AllWell(), [keeper]))[0] == ["a"]


def test_a_refused_pool_is_passed_over_with_its_places():
    inner = pool_of(1, name="inner")

    assert ordered(nested("outer", inner), LineUp(AllWell(), [refusing("inner")]))[0] == []


def test_who_is_not_well_is_not_tried_and_may_be_spared():
    class Ill(AllWell):
        def eligible(self, pool):
            return pool.places[1:]

    line_up = LineUp(Ill())

    assert ordered(pool_of(1, 1), line_up)[0] == ["b"]
    line_up.health.spare = lambda pool: pool.places
    assert ordered(pool_of(1, 1), line_up, line_up.health.spare)[0] == ["a", "b"]


def test_a_place_that_is_meant_for_a_failure_stays_out_until_it_happens():
    pool = pool_of(1, target(name="b", after=["window"]), target(name="c", after=["policy", "window"]))
    line_up = LineUp(AllWell())

    assert ordered(pool, line_up)[0] == ["a"]
    assert names(line_up.after("window", EXCHANGE, pool, [])) == ["b", "c"]
    assert names(line_up.after("policy", EXCHANGE, pool, [])) == ["c"]
    assert names(line_up.after("server", EXCHANGE, pool, [])) == []


def test_a_pool_may_be_meant_for_a_failure_and_hold_places_that_are():
    large = pool_of(1, name="large")
    inner = pool_of(1, target(name="b", after=["policy"]), name="inner")
    outer = nested("outer", inner, large)
    outer.places[1].settings = target(upstream=None, pool="large", after=["window"])
    line_up = LineUp(AllWell())

    assert ordered(outer, line_up)[0] == ["a"]
    assert names(line_up.after("window", EXCHANGE, outer, [])) == ["a"]
    assert names(line_up.after("policy", EXCHANGE, outer, [])) == ["b"]


def test_who_goes_back_somewhere_is_sent_there_first():
    line_up = LineUp(AllWell())
    line_up.prefer = lambda exchange, pool, places: places[2]

    assert ordered(pool_of(1, 1, 1), line_up)[0] == ["c", "a", "b"]


def test_places_that_come_and_go_are_seen():
    pool, line_up = pool_of(1, 1), LineUp(AllWell(), [refusing("c")])
    assert ordered(pool, line_up)[0] == ["a", "b"]
    pool.places = pool_of(1, 1, 1, 1).places[1:]

    assert ordered(pool, line_up)[0] == ["b", "d"]


def test_only_a_window_that_is_known_is_larger():
    pool, line_up = pool_of(1, 1, 1), LineUp(AllWell())
    windows = {"a": 10, "b": 20}
    line_up.window = lambda exchange, place: windows.get(place.name)
    a, b, c = pool.places

    assert line_up.is_larger(EXCHANGE, b, a)
    assert not line_up.is_larger(EXCHANGE, a, b)
    assert not line_up.is_larger(EXCHANGE, c, a)
    assert not line_up.is_larger(EXCHANGE, b, c)


def test_pools_that_are_made_for_names_of_callers_are_not_remembered_for_ever():
    line_up = LineUp(AllWell())
    for number in range(5000):
        ordered(pool_of(1, name=str(number)), line_up)

    assert len(line_up._plans) <= 4096


def test_who_goes_back_where_is_chosen_among_those_that_answer_such_requests():
    waiting, asked = target(name="c", model="c", after=["window"]), []
    line_up = LineUp(AllWell(), [refusing("a"), refusing("b", passing=True)])
    line_up.prefer = lambda exchange, pool, places: asked.append(names(places))
    ordered(pool_of(1, 1, waiting, 1), line_up)

    assert asked == [["b", "d"]]
