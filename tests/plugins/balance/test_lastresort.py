"""Where no eligible place takes a request: those that rest are tried, full ones waited for, or it is told why."""

from llmproxy.errors import BadRequest
from llmproxy_balance.lastresort import nowhere
from llmproxy_balance.lineup import AllWell, Gatekeeper
from llmproxy_balance.walking import Trail

from .places import pool_of, target
from .walks import GOOD, Walk, refused


class Resting(AllWell):
    """Only the last place is well; the first may be tried where there is nobody else."""

    def __init__(self, *, spare=False):
        self._spare = spare

    def eligible(self, pool):
        return pool.places[-1:]

    def spare(self, pool):
        return pool.places if self._spare else pool.places[-1:]


def gate(*names, passing=False):
    return Gatekeeper(
        lambda exchange, place: "not here" if place.name in names else "", lambda place: True, passing
    )


async def test_a_place_that_rests_is_tried_for_a_request_that_no_other_answers():
    for spare in (True, False):
        walk = Walk({"a": [GOOD]}, gates=[gate("b")])
        walk.line_up.health = Resting(spare=spare)

        assert await walk(pool_of(1, 1)) is GOOD
        assert walk.tried == ["a"]


async def test_a_request_is_not_told_to_fit_nowhere_while_a_place_that_it_fits_rests():
    walk = Walk({"a": [GOOD]}, gates=[gate("b")])
    walk.line_up.health = Resting()
    walk.watcher.shut.add("a")
    told = await refused(walk, pool_of(1, 1))

    assert (told.status, told.code) == (503, "no_place")


async def test_a_request_that_fits_nowhere_is_told_so_whoever_rests():
    walk = Walk({}, gates=[gate("a", "b")])
    walk.line_up.health = Resting()
    told = await refused(walk, pool_of(1, 1))

    assert isinstance(told, BadRequest)
    assert told.code == "no_place_fits"


async def test_what_only_its_maker_may_take_waits_for_nobody_elses_slot():
    free = target(model="b", name="b", limit=5)
    walk = Walk({"b": [GOOD]}, gates=[gate("b", passing=True)])
    walk.watcher.shut.add("a")
    told = await refused(walk, pool_of(1, free))

    assert told.status == 503
    assert walk.tried == []


async def test_a_place_that_failed_while_it_was_waited_for_gets_no_request_and_keeps_no_slot():
    pool, walk = pool_of(target(model="a", name="a", limit=1)), Walk({"a": [GOOD]})
    walk.watcher.shut.add("a")
    told = await refused(walk, pool)

    assert told.code == "no_place"
    assert walk.limits.take(walk.exchange, pool.places[0]) is not None


async def test_members_are_called_by_their_targets_name():
    pool, walk = pool_of(1, 1), Walk({}, gates=[gate("a@10.0.0.1:80", "a@10.0.0.2:80", passing=True)])
    for place, address in zip(pool.places, ("10.0.0.1:80", "10.0.0.2:80"), strict=True):
        place.name, place.label = f"a@{address}", "a"
    told = await refused(walk, pool)

    assert told.message == "No place of the pool 'pool' can be tried now (a: not here)."


def test_an_empty_pool_has_no_place_for_now():
    walk, pool = Walk({}), pool_of(1)
    pool.places = ()

    assert nowhere(walk.walker, None, Trail(walk.walker, pool)).status == 503
