"""Errors that are told again and again, as if each were told for the first time."""

from llmproxy.errors import GatewayError
from llmproxy.messages import Reply
from llmproxy.standing import StandingError, tell


class Face:
    def __init__(self):
        self.asked = 0

    def error(self, error):
        self.asked += 1
        return Reply.json({"told": error.message}, error.status, {"retry-after": str(error.retry_after)})


def test_it_is_put_into_a_dialect_once():
    standing, face, other = StandingError(503, "overloaded", "Later.", retry_after=3), Face(), Face()
    replies = [tell(standing.once(), face) for _ in range(3)]
    tell(standing.once(), other)

    assert (face.asked, other.asked) == (1, 1)
    assert {(reply.status, bytes(reply.body), reply.headers.get("retry-after")) for reply in replies} == {
        (503, b'{"told":"Later."}', "3")
    }


def test_callers_of_no_dialect_are_told_a_problem():
    standing = StandingError(503, "overloaded", "Later.")
    fresh = tell(GatewayError(503, "overloaded", "Later."), None)
    again = [tell(standing.once(), None) for _ in range(2)][1]

    assert (again.status, again.body, list(again.headers)) == (fresh.status, fresh.body, list(fresh.headers))


def test_what_is_changed_for_one_caller_is_not_for_the_next():
    standing, face = StandingError(503, "overloaded", "Later."), Face()
    first = tell(standing.once(), face)
    first.headers.add("X-Only", "me")
    first.status = 200

    assert tell(standing.once(), face).headers.get("x-only") is None
    assert tell(standing.once(), face).status == 503


def test_each_is_an_error_of_its_own():
    standing = StandingError(503, "overloaded", "Later.")
    for _ in range(2):
        try:
            raise standing.once()
        except GatewayError as error:
            seen = error

    assert standing.once() is not seen
    assert standing.once().__traceback__ is None


def test_other_errors_are_told_anew_each_time():
    face = Face()
    for _ in range(2):
        tell(GatewayError(400, "bad", "No."), face)

    assert face.asked == 2
