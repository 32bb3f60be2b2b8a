from __future__ import annotations

import pytest
from tests.plugins.conftest import MakeExchange

from llmproxy.plugin import BadField
from llmproxy_cohere.reading import READER


def test_the_model_and_the_stream_are_read(exchange_for: MakeExchange) -> None:
    body = b'{"model": "m", "stream": true, "messages": []}'
    exchange = exchange_for(body=body)

    READER.read(exchange, body)

    assert (exchange.model, exchange.streamed) == ("m", True)


def test_a_call_without_a_body_is_refused(exchange_for: MakeExchange) -> None:
    with pytest.raises(BadField):
        READER.read(exchange_for(body=b""), b"")
