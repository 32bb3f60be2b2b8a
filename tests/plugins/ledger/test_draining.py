import asyncio

from llmproxy.plugin import Body
from llmproxy_ledger.draining import Drain, Joining


class Client:
    """A sink that leaves when it is told to."""

    def __init__(self):
        self.got = b""

    def feed(self, data):
        self.got += data

    def end(self):
        """It is whole."""

    def fail(self, error):
        """It broke off."""


def drained():
    given_up = []
    body = Body(abandon=lambda: given_up.append(True))
    drain = Drain(body)
    body.observe(Joining(body, drain))
    return body, drain, given_up


async def test_what_was_held_goes_to_the_caller_and_the_rest_comes_though_it_left():
    body, drain, given_up = drained()
    client = Client()
    body.feed(b"held")
    body.attach(client)
    body.feed(b", more")
    body.detach(client)
    drain.begin(60, 100)
    body.feed(b", the rest")
    body.end()

    assert client.got == b"held, more"
    assert (given_up, drain.over) == ([], True)


async def test_more_bytes_than_allowed_end_it():
    body, drain, given_up = drained()
    client = Client()
    body.attach(client)
    body.feed(b"some of it " * 100)
    body.detach(client)
    drain.begin(60, 10)
    body.feed(b"x" * 10)
    still = list(given_up)
    body.feed(b"x")

    assert (still, given_up, drain.over) == ([], [True], True)


async def test_more_time_than_allowed_ends_it():
    body, drain, given_up = drained()
    client = Client()
    body.attach(client)
    body.feed(b"x")
    body.detach(client)
    drain.begin(0, 10)
    await asyncio.sleep(0.01)

    assert (given_up, drain.over) == ([True], True)


async def test_another_who_reads_goes_on_when_the_drain_is_over():
    body, drain, given_up = drained()
    client = Client()
    body.attach(client)
    body.feed(b"a")
    drain.begin(0, 10)
    await asyncio.sleep(0.01)
    body.feed(b"b")

    assert (client.got, given_up) == (b"ab", [])


async def test_what_broke_off_needs_no_timer():
    body, drain, given_up = drained()
    body.attach(Client())
    body.feed(b"x")
    drain.begin(0.01, 10)
    body.fail(ConnectionError())
    await asyncio.sleep(0.02)
    drain.begin(0, 0)

    assert (given_up, drain.over) == ([], True)


async def test_an_answer_that_is_over_before_any_piece_leaves_nothing_to_do():
    for last in (Body.end, lambda body: body.fail(ConnectionError())):
        body, drain, _ = drained()
        body.attach(Client())
        last(body)

        assert drain.over
