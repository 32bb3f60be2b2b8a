"""A request is read once, and again when it was changed; what cannot be read is nothing."""

from llmproxy.canonical import GenerateRequest
from llmproxy.testing import make_exchange
from llmproxy_balance.reading import request_of, talk_of

from .places import asking


def test_a_request_is_read_once_until_its_body_changes():
    exchange = asking("Hi.")
    first = talk_of(exchange)

    assert isinstance(first, GenerateRequest)
    assert talk_of(exchange) is first

    exchange.set_body((exchange.body_at_hand or b"").replace(b"Hi.", b"Bye."))
    assert talk_of(exchange).messages[0].content[0].text == "Bye."


def test_what_is_broken_or_of_no_dialect_is_nothing():
    broken = asking("Hi.")
    broken.set_body(b'{"model": "m", "messages": 7}')

    assert request_of(broken) is None
    assert talk_of(make_exchange(body=b"{}")) is None
