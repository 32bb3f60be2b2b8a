import asyncio

import pytest

from llmproxy.plugin import Attempt, Body, Endpoint, Tariff, UpstreamError, UpstreamTimeout, Usage
from llmproxy.runtime import Clock
from llmproxy.testing import make_exchange
from llmproxy_ledger.estimating import Seen
from llmproxy_ledger.settling import Sent, find, given_up
from llmproxy_openai.faces import OpenAIClient

from .stage import asked, event

SENT = Sent(40, 100, ())
TOLD = Usage(input=7, cache_read=3, output=2)
GONE = ConnectionAbortedError("given up")
RESET = UpstreamError("upstream_reset", "It broke.", phase="headers", sent=True)


def found(*, sent=SENT, seen=None, policy="estimate", exchange=None, model="gpt", **attempt):
    exchange = exchange or asked()
    exchange.take_body()
    exchange.model = model
    known = Attempt(1, Endpoint("upstream", "gpt"), 0.0, **attempt)
    return find(exchange, known, sent, seen, policy, Tariff({}, Clock()))


def watched(*pieces):
    seen = Seen()
    for piece in pieces:
        seen.feed(piece)
    return seen


@pytest.mark.parametrize(
    ("attempt", "state", "basis", "result"),
    [
        ({"status": 200, "usage": TOLD, "complete": True}, "exact", "told", "ok"),
        ({"status": 200, "usage": TOLD, "error": GONE}, "partial", "told", "given_up"),
        ({"status": 200, "error": GONE}, "estimated", "seen", "given_up"),
        ({"status": 200, "complete": True}, "estimated", "seen", "ok"),
        ({"error": asyncio.CancelledError()}, "estimated", "seen", "given_up"),
        ({"error": RESET}, "unknown", "seen", "upstream_reset"),
        ({"error": UpstreamTimeout("headers", 1, sent=True)}, "unknown", "seen", "upstream_timeout"),
        ({"error": ValueError()}, "unknown", "seen", "failed"),
        ({"status": 429, "complete": True}, "free", "none", "status_429"),
        ({"sent": None, "error": RESET}, "free", "none", "upstream_reset"),
        ({"model": None, "status": 200, "complete": True}, "free", "none", "ok"),
        ({"model": None, "status": 200, "error": GONE}, "free", "none", "given_up"),
    ],
)
def test_each_end_has_its_state(attempt, state, basis, result):
    finding = found(**attempt)

    assert (finding.state, finding.basis, finding.result) == (state, basis, result)
    assert (state == "free") == (finding.usage.total == 0)


def test_what_the_provider_told_at_the_end_stands_as_it_is():
    assert found(status=200, usage=TOLD, complete=True).usage is TOLD


def test_output_that_was_seen_is_added_to_what_was_told_before():
    finding = found(status=200, usage=TOLD, error=GONE, seen=watched(*[event("a")] * 9))

    assert finding.usage == Usage(input=7, cache_read=3, output=9)
    assert (finding.state, finding.basis) == ("partial", "seen")


def test_what_was_seen_is_no_more_than_what_was_asked_for():
    long = watched(*[event("word " * 40)] * 9)

    assert found(exchange=asked(max_tokens=50), status=200, error=GONE, seen=long).usage.output == 50


def test_the_ceiling_keeps_what_was_told_of_the_input():
    told = {"status": 200, "usage": TOLD, "error": GONE, "policy": "ceiling"}

    assert found(exchange=asked(max_tokens=50), **told).usage == Usage(input=7, cache_read=3, output=50)
    assert found(**told).usage == Usage(input=7, cache_read=3, output=100)


def test_the_ceiling_is_for_what_broke_off_alone():
    assert found(status=200, usage=TOLD, complete=True, policy="ceiling").state == "exact"
    assert found(status=200, complete=True, policy="ceiling").basis == "seen"


def test_of_forms_and_vectors_and_pictures_no_output_is_made_up():
    form = make_exchange(body=b"--x\r\nsound\r\n--x--", headers={"Content-Type": "multipart/form-data"})
    body = Body()
    body.feed(b"x" * 9000)
    whole = {"status": 200, "complete": True, "first_output_at": 1.0, "body": body}

    assert found(exchange=form, **whole).usage == Usage()
    assert found(**whole).usage == Usage(input=10)
    assert found(**{**whole, "complete": False, "error": GONE}).usage.output == 45


def test_who_left_is_told_from_what_was_given_up():
    exchange = asked()
    exchange.outcome.client_gone = True

    assert found(status=200, error=GONE, exchange=exchange).result == "client_gone"
    assert given_up(Attempt(1, Endpoint("upstream"), 0.0, error=GONE))
    assert not given_up(Attempt(1, Endpoint("upstream"), 0.0, error=RESET))


def test_a_session_that_broke_off_comes_to_what_its_answers_told():
    session = asked()
    session.upgraded = True
    seen = watched(b"x" * 4000)

    finding = found(exchange=session, seen=seen, policy="ceiling", status=101, usage=TOLD, error=GONE)

    assert (finding.state, finding.basis, finding.usage) == ("partial", "told", TOLD)


def test_completions_of_old_are_text():
    old = make_exchange(path="/v1/completions", body={"model": "gpt", "prompt": "Hi"})
    seen = watched(*[b'data: {"choices":[{"text":"a"}]}\n\n'] * 9)

    assert found(exchange=old, status=200, complete=True, first_output_at=1.0, seen=seen).usage.output == 9


@pytest.mark.parametrize("path", ["/v1/assistants", "/v1/assistants/asst_1", "/v1/assistants/"])
def test_what_only_sets_a_model_up_is_free(path):
    setting_up = make_exchange(path=path, body={"model": "gpt", "instructions": "Be brief."})

    assert found(exchange=setting_up, status=200, complete=True).state == "free"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/images/generations", {"model": "gpt", "prompt": "a cat"}),
        ("/v1/audio/speech", {"model": "gpt", "input": "Hello", "voice": "alloy"}),
        (
            "/v1/audio/transcriptions",
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nsound\r\n--x--\r\n',
        ),
    ],
)
def test_pictures_and_sound_of_which_nothing_is_told_have_no_price_that_is_known(path, body):
    headers = {} if isinstance(body, dict) else {"Content-Type": "multipart/form-data; boundary=x"}
    media = make_exchange(path=path, body=body, headers=headers)
    media.client_face = OpenAIClient()

    assert found(exchange=media, status=200, complete=True).priced is False
    assert found(exchange=media, status=200, complete=True, usage=TOLD).priced is True
