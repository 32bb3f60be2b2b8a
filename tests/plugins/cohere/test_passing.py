from __future__ import annotations

from tests.plugins.conftest import MakeExchange

from llmproxy.plugin import Endpoint
from llmproxy_cohere.passing import passed
from llmproxy_cohere.reading import READER


def test_an_unchanged_body_is_the_very_same_object(exchange_for: MakeExchange) -> None:
    body = b'{"model":"m" , "messages":[]}'
    exchange = exchange_for(body=body)
    READER.read(exchange, body)

    assert passed(exchange, Endpoint("main"), body).body is body
    assert passed(exchange, Endpoint("main", "m"), body).body is body


def test_another_model_is_the_only_change(exchange_for: MakeExchange) -> None:
    body = b'{ "messages":[{"model":"m"}], "model" : "m", "x":1.50 }'
    exchange = exchange_for(body=body)
    READER.read(exchange, body)

    sent = passed(exchange, Endpoint("main", 'n"'), body)

    assert sent.body == b'{ "messages":[{"model":"m"}], "model" : "n\\"", "x":1.50 }'
    assert sent.target == "/v2/chat"


def test_a_base_url_that_names_the_version_stands_for_it(exchange_for: MakeExchange) -> None:
    assert passed(exchange_for(), Endpoint("main"), b"{}", "/v2").target == "/chat"
