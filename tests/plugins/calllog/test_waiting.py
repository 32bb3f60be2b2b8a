from llmproxy.plugin import Attempt, Endpoint
from llmproxy.testing import make_exchange
from llmproxy_calllog.waiting import Waiting, is_open


def exchange_with(*ended):
    exchange = make_exchange()
    exchange.attempts = [Attempt(n, Endpoint("main"), 0.0, ended=each) for n, each in enumerate(ended, 1)]
    return exchange


def test_a_call_is_open_while_one_attempt_is():
    assert is_open(exchange_with(1.0, None).attempts)
    assert not is_open(exchange_with(1.0, 2.0).attempts)


def test_a_call_waits_for_its_last_attempt():
    waiting, exchange = Waiting(100), exchange_with(None, None)
    waiting.hold(exchange, "known")
    exchange.attempts[0].ended = 1.0
    early = waiting.done(exchange)
    exchange.attempts[1].ended = 2.0

    assert (early, waiting.done(exchange), waiting.done(exchange), len(waiting)) == (None, "known", None, 0)


def test_the_oldest_makes_room():
    waiting, first, second = Waiting(100, most=1), exchange_with(None), exchange_with(None)

    assert waiting.hold(first, "first") == []
    assert waiting.hold(second, "second") == [(first, "first")]


def test_what_is_large_makes_room_by_its_size():
    waiting, first, second, third = Waiting(100), *(exchange_with(None) for _ in range(3))
    waiting.hold(first, "first", 60)

    assert waiting.hold(second, "second", 60) == [(first, "first")]
    assert waiting.hold(third, "third", 40) == []


def test_the_rest_is_let_go():
    waiting, exchange = Waiting(100), exchange_with(None)
    waiting.hold(exchange, "known")

    assert waiting.rest() == [(exchange, "known")]
    assert len(waiting) == 0
