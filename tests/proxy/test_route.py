import pytest

from llmproxy.route import Route, Target
from llmproxy.settings import Match


def test_a_bare_route_takes_what_any_route_may():
    route = Route("r", Match())

    assert (route.name, route.max_body, route.lossy, route.meter_usage) == (
        "r",
        32 * 1024 * 1024,
        "warn",
        True,
    )
    assert (route.face, route.models, route.strategy, route.handler) == (None, None, None, None)
    assert (route.options, route.targets, route.defaults) == ({}, {}, ())


def test_routes_share_nothing():
    assert Route("a", Match()).options is not Route("b", Match()).options


def test_a_target_stays_what_it_is():
    target = Target(None, None, None)

    assert target.local is None
    with pytest.raises(AttributeError):
        target.face = None
