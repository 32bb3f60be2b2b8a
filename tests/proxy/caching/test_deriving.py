"""Kept answers in other forms, with two toy dialects: `toy` callers, `dots` providers."""

from __future__ import annotations

import gzip

import orjson
import pytest
from tests.proxy.toy_dialects import DotsUpstream, ToyClient

from llmproxy.caching.deriving import Forms
from llmproxy.caching.forms import Form, Untellable
from llmproxy.exchange import Attempt, Endpoint
from llmproxy.messages import Headers, Reply, StoredReply
from llmproxy.stores.memory import MemoryStore
from llmproxy.testing import make_exchange

WHOLE, STREAM = Form("toy", "say"), Form("toy", "say", streamed=True)
OWN, OWN_STREAM = Form("dots", "ask"), Form("dots", "ask", streamed=True)
JSON = [(b"Content-Type", b"application/json")]
EVENTS = [(b"Content-Type", b"text/event-stream")]
ANSWER = StoredReply(200, JSON, b'{"answer":"hello you","id":"a-1"}')
DOTS = StoredReply(200, EVENTS, b"id a-1\nword hello\nword  you\n.\n")


class Retelling(ToyClient):
    """Toy callers' answers told again: a stream is the word, letter by letter."""

    def form(self, exchange, body, reply=None):
        streamed = exchange.streamed if reply is None else reply.is_event_stream
        return Form("toy", "" if exchange.request.path.endswith("/odd") else "say", streamed)

    def retell(self, body, source, target):
        if b"secret" in body:
            raise Untellable("it would be poorer")
        if b"odd" in body:
            raise KeyError("a secret of the answer")
        return body[::-1]


class Dots(DotsUpstream):
    calls = {"generate": "ask"}  # noqa: RUF012  # as a face says it


@pytest.fixture
def forms():
    return Forms({"dots": Dots()})


@pytest.fixture
async def memory():
    store = MemoryStore()
    yield store
    await store.close()


@pytest.fixture
def asking(memory):
    def ask(path="/toy/ask", face=None, **body):
        exchange = make_exchange(path=path)
        exchange.client_face = face or Retelling()
        exchange.set_body(orjson.dumps({"model": "m", "say": "hi", **body}))

        async def opened():
            return memory

        exchange.route.open_memory = opened
        return exchange

    return ask


# Which form an answer has.


def test_the_callers_dialect_says_what_was_asked_for(forms, asking):
    assert forms.asked(asking()) == WHOLE
    assert forms.asked(asking(stream=True)) == STREAM


def test_a_dialect_that_tells_nothing_of_forms_has_one_for_streams_and_one_for_the_rest(forms, asking):
    exchange = asking(face=ToyClient(), stream=True)

    assert forms.asked(exchange) == forms.kept(exchange, Reply(200)) == Form("toy", "", streamed=True)


def test_where_no_dialect_is_spoken_there_are_no_forms(forms):
    exchange = make_exchange()

    assert forms.asked(exchange) is None
    assert forms.kept(exchange, Reply(200)) is None


def test_a_kept_answer_says_whether_it_was_translated(forms, asking):
    exchange = asking()
    exchange.attempts = [Attempt(1, Endpoint("u"), 0.0, translated=True)]

    assert forms.kept(exchange, Reply(200, Headers(EVENTS))) == STREAM._replace(translated=True)


def test_an_attempt_that_failed_says_nothing_of_the_answer(forms, asking):
    exchange = asking()
    failed = Attempt(2, Endpoint("v"), 0.0, translated=True, error=ConnectionError())
    exchange.attempts = [Attempt(1, Endpoint("u"), 0.0), failed]

    assert forms.kept(exchange, Reply(200)) == WHOLE


# Within a dialect.


async def test_who_asks_for_the_kept_form_gets_the_kept_reply_itself(forms, asking):
    assert (await forms.derive(asking(), ANSWER, WHOLE)).reply is ANSWER


async def test_a_dialect_tells_its_own_answers_again_with_what_the_provider_said_beside(forms, asking):
    fields = [*JSON, (b"X-Request-Id", b"r-1"), (b"ETag", b'"x"'), (b"Content-Length", b"3")]
    derived = await forms.derive(asking(stream=True), StoredReply(200, fields, b"abc"), WHOLE)

    assert derived.reply is not None
    assert derived.reply.body == b"cba"
    assert [name.lower() for name, _ in derived.reply.headers] == [
        b"content-type",
        b"cache-control",
        b"x-request-id",
    ]
    assert Reply(200, Headers(list(derived.reply.headers))).is_event_stream


async def test_a_compressed_answer_is_read_plain(forms, asking):
    fields = [*JSON, (b"Content-Encoding", b"gzip")]
    derived = await forms.derive(asking(stream=True), StoredReply(200, fields, gzip.compress(b"abc")), WHOLE)

    assert derived.reply is not None
    assert derived.reply.body == b"cba"
    assert b"content-encoding" not in Headers(list(derived.reply.headers)).index


@pytest.mark.parametrize(
    ("body", "why"),
    [(b"secret", "it would be poorer"), (b"odd", "the kept answer could not be read (KeyError)")],
)
async def test_what_cannot_be_told_is_a_miss_with_a_reason_that_tells_nothing_of_the_answer(
    forms, asking, body, why
):
    assert await forms.derive(asking(stream=True), StoredReply(200, JSON, body), WHOLE) == (None, why)


async def test_errors_have_no_other_form(forms, asking):
    derived = await forms.derive(asking(stream=True), StoredReply(404, JSON, b"{}"), WHOLE)

    assert derived == (None, "only a good answer has other forms")


async def test_calls_of_which_a_dialect_tells_nothing_have_no_other_form(forms, asking):
    exchange = asking("/toy/odd", stream=True)

    assert (await forms.derive(exchange, ANSWER, Form("toy"))).reply is None
    assert (await forms.derive(asking(face=ToyClient(), stream=True), ANSWER, Form("toy"))).reply is None


# Between dialects.


@pytest.mark.parametrize("stored", [(ANSWER, OWN), (DOTS, OWN_STREAM)], ids=["whole", "stream"])
async def test_a_providers_answer_is_put_into_the_callers_words(forms, asking, stored):
    whole = await forms.derive(asking(), *stored)
    stream = await forms.derive(asking(stream=True), *stored)

    assert whole.reply is not None
    assert orjson.loads(whole.reply.body) == {"said": "hello you", "why": "stop"}
    assert stream.reply is not None
    assert stream.reply.body in (b"+hello you\n-stop\n!\n", b"+hello\n+ you\n-stop\n!\n")


async def test_what_the_caller_may_refer_to_later_is_remembered_for_it(forms, asking):
    await forms.derive(asking(), ANSWER, OWN)
    exchange = asking(after="a-1")
    derived = await forms.derive(exchange, ANSWER, OWN)

    assert derived.reply is not None  # and not refused, as one who refers to what is not here


async def test_an_answer_that_was_translated_is_no_source_for_others(forms, asking):
    derived = await forms.derive(asking(), ANSWER, OWN._replace(translated=True))

    assert derived == (None, "it was kept as the gateway told it to a caller of another dialect")


async def test_a_request_that_says_more_than_others_can_is_not_answered_from_others(forms, asking):
    derived = await forms.derive(asking(mood="low"), ANSWER, OWN)

    assert derived == (None, "the request says what only its own dialect holds")


@pytest.mark.parametrize(
    "stored",
    [
        (StoredReply(200, JSON, b"{}"), OWN),
        (StoredReply(200, JSON, b'{"oops":"no"}'), OWN),
        (StoredReply(200, EVENTS, b"id a-1\nword hello\n"), OWN_STREAM),
        (StoredReply(200, EVENTS, b"word hello\noops no\n"), OWN_STREAM),
        (StoredReply(200, [*JSON, (b"Content-Encoding", b"gzip")], b"no"), OWN),
        (StoredReply(200, JSON, b'{"answer":"too deep"}'), OWN),
        (ANSWER, Form("nobody", "ask")),
    ],
)
async def test_what_is_broken_cut_failed_or_nobodys_is_a_miss(forms, asking, stored):
    derived = await forms.derive(asking(), *stored)

    assert derived.reply is None
    assert derived.why


async def test_a_request_that_refers_to_what_is_gone_is_a_miss(forms, asking):
    derived = await forms.derive(asking(after="nobody"), ANSWER, OWN)

    assert derived == (None, "the kept answer has no such form (gone)")
