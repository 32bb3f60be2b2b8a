from __future__ import annotations

from llmproxy.testing import make_exchange
from llmproxy_openai.responses.asked import Asked, asked_of, keep_asked


def test_what_was_asked_stays_with_its_exchange() -> None:
    exchange, asked = make_exchange(), Asked({"input": "hello"}, 1)

    keep_asked(exchange, asked)

    assert asked_of(exchange) is asked
    assert asked_of(make_exchange()).told == {}


def test_a_response_keeps_its_name_though_nothing_was_read() -> None:
    exchange = make_exchange()

    assert asked_of(exchange).id == asked_of(exchange).id
