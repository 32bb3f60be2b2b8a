import pytest

from llmproxy.echoes import says
from llmproxy.testing import make_exchange


def asking(body=b"{}", target="/v1/chat/completions", headers=None):
    exchange = make_exchange("POST", target, headers=headers, body=body)
    assert exchange.take_body()
    return exchange


@pytest.mark.parametrize(
    "body",
    [
        b'{"role": "Incorrect API key"}',
        b'{"incorrect api key": 1}',
        b'{"role": "\\u0069ncorrect\\u0020api key"}',
        b'{"role": "incorrect api key", "role": "user"}',
        b'{"arguments": "{\\"a\\": \\"\\\\u0069ncorrect api key\\"}"}',
    ],
)
def test_a_request_says_what_stands_anywhere_in_its_body_however_it_is_written(body):
    assert says(asking(body), "incorrect api key")


def test_a_request_says_what_its_address_and_its_header_say():
    assert says(asking(target="/v1/models/incorrect%20api+key"), "incorrect api key")
    assert says(asking(target="/v1?role=incorrect+api%20key"), "incorrect api key")
    assert says(asking(headers={"anthropic-beta": "a, Incorrect API key"}), "incorrect api key")


def test_a_request_does_not_say_what_is_not_in_it():
    assert not says(asking(b'{"role": "user"}', headers={"accept": "*/*"}), "incorrect api key")


def test_a_request_that_cannot_be_read_may_say_anything():
    assert says(make_exchange("POST", "/v1"), "incorrect api key")
    assert says(asking(b"\x1f\x8b", headers={"content-encoding": "gzip"}), "incorrect api key")
