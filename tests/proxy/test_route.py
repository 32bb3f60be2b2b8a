import pytest

from llmproxy.messages import ClientRequest, Headers
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
    assert (route.face, route.faces, route.models, route.handler) == (None,) * 4
    assert route.listing is None
    assert (route.options, route.targets, route.defaults) == ({}, {}, ())


class Choosing:
    """Chooses a face by the path alone."""

    def choose(self, path, headers, default):
        return path if path == "/claimed" else default


def test_the_face_is_the_routes_own_where_its_path_pins_it():
    assert Route("r", Match(), face="mine").face_of(ClientRequest("GET", "/claimed", Headers())) == "mine"


def test_else_each_request_tells_its_face_or_the_routes_own_is_taken():
    route = Route("r", Match(), face="mine", faces=Choosing())

    assert route.face_of(ClientRequest("GET", "/claimed?q=1", Headers())) == "/claimed"
    assert route.face_of(ClientRequest("GET", "/other", Headers())) == "mine"


def test_routes_share_nothing():
    assert Route("a", Match()).options is not Route("b", Match()).options


def test_a_target_stays_what_it_is():
    target = Target(None, None, None)

    assert target.local is None
    with pytest.raises(AttributeError):
        target.face = None
