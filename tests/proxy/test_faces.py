"""Which dialect a caller speaks, by path and header names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.dialects import Claim
from llmproxy.faces import _LONGEST, _REMEMBERED, Faces
from llmproxy.messages import Headers


class Face:
    """A client face of which only its claims count."""

    def __init__(self, *claims, markers=()):
        self.claims = [Claim(*claim) if isinstance(claim, tuple) else Claim(claim) for claim in claims]
        self.markers = markers


def chosen(faces, path, headers=None, default=None):
    face = Faces(faces).choose(path, None if headers is None else Headers.of(headers), default)
    return next((name for name, each in faces.items() if each is face), face)


def test_the_longest_claim_on_the_path_wins_then_a_marker():
    faces = {
        "short": Face("/v1/*"),
        "long": Face("/v1/messages", "/v1/messages/*"),
        "marked": Face(markers=["X-Theirs"]),
    }

    assert chosen(faces, "/v1/messages/1") == "long"
    assert chosen(faces, "/v1/chat", {"x-theirs": "1"}) == "short"
    assert chosen(faces, "/other", {"X-THEIRS": "1"}) == "marked"
    assert chosen(faces, "/other", {}) is None


def test_a_claim_is_of_a_whole_path():
    faces = {"only": Face("/v1/messages")}

    assert chosen(faces, "/v1/messages") == "only"
    assert chosen(faces, "/v1/messages/1") is None
    assert chosen(faces, "/v1/messagess") is None
    assert chosen(faces, "/xv1/messages") is None


@pytest.mark.parametrize("mount", ["", "/team", "/a/b/c", "/v1/messages"])
def test_a_claim_counts_wherever_a_route_mounts_its_path(mount):
    assert chosen({"only": Face("/v1/messages")}, f"{mount}/v1/messages") == "only"


def test_a_star_stands_for_any_text():
    faces = {"verbs": Face("/v1/models/*:generateContent"), "rest": Face("/v1/*")}

    assert chosen(faces, "/v1/models/tuned/me:generateContent") == "verbs"
    assert chosen(faces, "/v1/models/me:countTokens") == "rest"


def test_pieces_between_stars_stand_in_their_order_and_do_not_overlap():
    faces = {"only": Face("/v1/projects/*/publishers/*")}

    assert chosen(faces, "/v1/projects/p/publishers/google") == "only"
    assert chosen(faces, "/team/v1/projects//publishers/") == "only"
    assert chosen(faces, "/v1/projects/publishers/google") is None
    assert chosen(faces, "/publishers/v1/projects/p") is None
    assert chosen({"ends": Face("/v1/a*a")}, "/v1/a") is None
    assert chosen(faces, "x/v1/projects/p/publishers/google") is None


def test_a_path_takes_no_longer_than_its_length():
    faces = {"only": Face("/v1/a/*/b/*/c", "/*:call")}

    assert chosen(faces, "/" * 500_000) is None
    assert chosen(faces, "/v1/a//b/" * 50_000) is None
    assert chosen(faces, ":call/" * 50_000) is None


def test_dots_and_brackets_in_a_claim_are_what_they_are():
    faces = {"only": Face("/v1.0/[x]")}

    assert chosen(faces, "/v1.0/[x]") == "only"
    assert chosen(faces, "/v1a0/x") is None


def test_one_path_has_a_shape_for_each_header():
    faces = {
        "plain": Face("/v1/models"),
        "mine": Face(("/v1/models", "X-Mine-Version")),
        "theirs": Face(("/v1/models", "x-theirs-key")),
    }

    assert chosen(faces, "/v1/models", {"x-mine-version": "1"}) == "mine"
    assert chosen(faces, "/v1/models", {"X-Theirs-Key": ""}) == "theirs"
    assert chosen(faces, "/v1/models", {"x-other": "1"}) == "plain"
    assert chosen(faces, "/v1/models") == "plain"


def test_a_claim_that_needs_a_header_is_passed_over_without_it():
    faces = {"mine": Face(("/v1/models", "x-mine"))}

    assert chosen(faces, "/v1/models", {}, "default") == "default"


def test_a_default_is_taken_where_nothing_tells():
    faces = {"marked": Face(markers=["x-theirs"])}

    assert chosen(faces, "/other", {}, "default") == "default"
    assert chosen(faces, "/other", {"x-theirs": "1"}, "default") == "marked"


def test_a_path_is_pinned_where_no_header_can_change_its_dialect():
    plain, mine = Face("/v1/models", "/v1/chat"), Face(("/v1/models", "x-mine"))
    faces = Faces({"plain": plain, "mine": mine})

    assert faces.pinned("/v1/chat") is plain
    assert faces.pinned("/v1/models") is None
    assert faces.pinned("/elsewhere") is None


def test_callers_cannot_fill_the_memory_with_paths():
    faces = Faces({"only": Face("/v1/*")})
    for number in range(_REMEMBERED + 10):
        faces.choose(f"/v1/{number}", None)
    many = len(faces._known)
    faces = Faces({"only": Face("/v1/*")})
    faces.choose("/v1/" + "x" * _LONGEST, None)

    assert many == _REMEMBERED
    assert faces._known == {}


@given(st.text(max_size=40), st.booleans())
def test_no_path_is_too_odd(path, again):
    faces = Faces({"only": Face("/v1/*", ("/v1/models", "x-mine"))})
    face = faces.choose(path, Headers())

    assert not again or faces.choose(path, Headers()) is face
