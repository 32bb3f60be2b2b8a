from llmproxy.dialects import LocalUpstream, Tap
from llmproxy.http_api import HttpApi


class Whole:
    first_output = False
    terminal = True
    usage = None

    def feed(self, data):
        """Read nothing."""

    def end(self):
        """Nothing follows."""

    def fail(self, error):
        """Nothing follows."""


class Local(HttpApi):
    async def send(self, exchange, request):
        """Answer nothing."""


def test_a_face_that_sends_is_known_to_answer_in_this_process():
    assert isinstance(Local(), LocalUpstream)
    assert not isinstance(HttpApi(), LocalUpstream)


def test_a_tap_is_known_by_its_findings():
    assert isinstance(Whole(), Tap)
    assert not isinstance(Local(), Tap)
