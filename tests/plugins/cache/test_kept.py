"""What is kept of an answer, and its forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.caches import Mark
from llmproxy.plugin import BadEntry, Entry, Form, Headers, StoredReply
from llmproxy_cache.kept import MOST_FORMS, About, FormKept, common_fields, lasting_fields, pack_about, read

JSON = Form("openai", "chat")
STREAM = Form("openai", "chat", streamed=True)
OTHER = Form("anthropic", "messages")


def entry(body: bytes = b"{}", *forms: FormKept, stored: int = 1_000_000) -> Entry:
    about = About(60.0, forms or (FormKept(*JSON, len(body)),), 2.5, "main", "m", (1, 2, 3, 4, 5), 700)
    fields = b"Content-Type: application/json\r\n"
    return Entry(200, fields, body, mark=Mark(1, 2), slots=(3,), stored=stored, meta=pack_about(about))


def test_what_is_known_survives_the_store() -> None:
    kept = read(Entry.unpack(entry().pack(b"key"), b"key"))

    assert kept.about.tokens == 15
    assert (kept.about.seconds, kept.about.upstream, kept.about.cost) == (2.5, "main", 700)
    assert kept.about.forms[0].form == JSON


def test_an_answer_ages_and_never_grows_younger() -> None:
    kept = read(entry(stored=5_000_000))

    assert kept.age(7.5) == 2.5
    assert kept.age(1.0) == 0


def test_forms_stand_one_behind_another() -> None:
    kept = read(entry())
    more = kept.with_form(STREAM, StoredReply(200, [(b"Content-Type", b"text/event-stream")], b"data: 1\n\n"))
    assert more is not None
    both = read(Entry.unpack(more.pack(b"key"), b"key"))

    assert [both.place(form) for form in (JSON, STREAM, OTHER)] == [0, 1, None]
    assert (bytes(both.body(0)), bytes(both.body(1))) == (b"{}", b"data: 1\n\n")
    assert both.reply(1).headers.get("content-type") == "text/event-stream"
    assert both.stored(0).body == b"{}"
    assert (more.mark, more.slots, more.stored) == (kept.entry.mark, kept.entry.slots, kept.entry.stored)


def test_a_form_is_told_of_its_own_kind_first_and_else_of_the_providers_words() -> None:
    forms = FormKept(*OTHER._replace(translated=True), 1), FormKept(*JSON, 2)
    kept = read(entry(b"ab", *forms))

    assert kept.source(STREAM) == 1
    assert kept.source(Form("gemini", "generate")) == 1
    assert kept.source(OTHER._replace(streamed=True)) == 0


def test_an_entry_takes_a_bounded_number_of_forms() -> None:
    kept = read(entry())
    for number in range(MOST_FORMS - 1):
        more = kept.with_form(JSON._replace(manner=str(number)), StoredReply(200, [], b"x"))
        assert more is not None
        kept = read(more)

    assert kept.with_form(STREAM, StoredReply(200, [], b"x")) is None


@given(st.binary(max_size=40))
def test_what_is_none_of_this_caches_is_refused(meta: bytes) -> None:
    made = entry()
    with pytest.raises(BadEntry):
        read(Entry(200, made.fields, b"other length", mark=made.mark, meta=meta))


def test_an_entry_whose_forms_are_cut_is_refused() -> None:
    made = entry()
    with pytest.raises(BadEntry):
        read(Entry(200, made.fields, b"{", mark=made.mark, meta=made.meta))


def test_only_what_lasts_is_kept_of_the_header() -> None:
    fields = {
        "Content-Type": "a/b",
        "Set-Cookie": "x",
        "Anthropic-RateLimit-Tokens": "9",
        "X-Request-Id": "r",
        "OpenAI-Version": "1",
    }

    assert lasting_fields(Headers.of(fields).raw) == b"Content-Type: a/b\r\nOpenAI-Version: 1\r\n"


def test_what_is_about_one_call_is_kept_for_nobody() -> None:
    fields = {
        "Request-ID": "r",
        "X_Request_Id": "r",
        "X-Amzn-RequestId": "r",
        "Anthropic-RateLimit-Tokens": "1",
        "RateLimit": "1",
        "Traceparent": "00",
        "X-Cloud-Trace-Context": "1",
        "OpenAI-Processing-Ms": "12",
        "Set-Cookie2": "a",
        "CF-Ray": "1",
        "Server": "x",
    }

    assert lasting_fields(Headers.of(fields).raw) == b"Server: x\r\n"
    assert list(common_fields(Headers.of(fields))) == [("Server", "x")]
    assert list(common_fields(Headers.of({"Age": "1", "Retry-After": "2"}))) == [
        ("Age", "1"),
        ("Retry-After", "2"),
    ]
