from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.bodyreader import BodyReader, media_type, scan_members
from llmproxy.errors import BadField
from llmproxy.exchange import Exchange
from llmproxy.jsonscan import Member
from llmproxy.messages import ClientRequest, Headers
from llmproxy.testing import make_exchange

JSON = "application/json"
FORM = "multipart/form-data; boundary=b"


class Toy(BodyReader):
    json_paths = ("/ask",)
    form_paths = ("/hear",)
    keys = frozenset({"model", "stream", "more"})
    bad_stream = "stream?"

    def check(self, body: bytes, members: Mapping[str, Member]) -> None:
        if "more" in members:
            raise BadField("no_more", "No more.", "more")

    def read_form(self, exchange: Exchange, body: bytes) -> None:
        exchange.model = self.model(body.decode())


READER = Toy()


def read(body: bytes, path: str = "/ask", kind: str = JSON, method: str = "POST", **fields: str) -> Exchange:
    headers = {"Content-Type": kind} if kind else {}
    exchange = make_exchange(method, path, headers={**headers, **fields})
    READER.read(exchange, body)
    return exchange


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"m"}', ("m", False)),
        (b'{"model":"m","stream":true}', ("m", True)),
        (b'{"model":"m","stream":null,"said":["stream"]}', ("m", False)),
        (b'{"mod\\u0065l":"m","stream":true}', ("m", True)),
        (b'{"said":[{"model":"x"}],"model":"m"}', ("m", False)),
        (b'{"said":[]}', (None, False)),
    ],
)
def test_model_and_stream_are_read(body: bytes, expected: tuple[str | None, bool]) -> None:
    exchange = read(body)

    assert (exchange.model, exchange.streamed) == expected


def test_a_second_body_replaces_what_was_read() -> None:
    exchange = read(b'{"model":"one","stream":true}')

    READER.read(exchange, b"{}")

    assert (exchange.model, exchange.streamed, exchange.members) == (None, False, {})


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b"[]", "invalid_json", None),
        (b'{"model":"\xff"}', "invalid_json", None),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json", None),
        (b'{"model":1}', "invalid_type", "model"),
        (b'{"model":""}', "invalid_type", "model"),
        (b'{"model":"m","stream":1}', "invalid_type", "stream"),
        (b'{"model":"m","model":"n"}', "duplicate_key", "model"),
        (b'{"model":"m","stream":true,"str\\u0065am":false}', "duplicate_key", "stream"),
        (b'{"model":"m","more":1}', "no_more", "more"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_broken_input_is_refused(body: bytes, code: str, param: str | None) -> None:
    with pytest.raises(BadField) as caught:
        read(body)

    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, param)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","Model":"other"}',
        b'{"MODEL":"other","model":"m"}',
        b'{"mODel":"other"}',
        b'{"model":"m","said":"\\u0041","mode\\u004c":"other"}',
        b'{"model":"m","said":[{"model":"x"}],"Model":{"a":1}}',
    ],
)
def test_a_model_that_others_would_read_instead_is_refused(body: bytes) -> None:
    """Go's decoder takes keys in any case, and the last one counts: `Model` would get round lists of models."""
    with pytest.raises(BadField) as caught:
        read(body)

    assert (caught.value.code, caught.value.param) == ("misspelt_key", "model")


def test_what_is_not_the_requests_own_model_may_be_spelled_in_any_way() -> None:
    assert read(b'{"model":"m","said":[{"Model":"x"}],"Models":1,"model_":2}').model == "m"


def test_a_dialect_says_in_its_own_words_what_is_wrong() -> None:
    with pytest.raises(BadField, match=r"^stream\?$"):
        read(b'{"model":"m","stream":1}')


def test_other_types_of_body_are_refused_where_json_is_needed() -> None:
    with pytest.raises(BadField) as caught:
        read(b"model=m", kind="application/x-www-form-urlencoded")

    assert (caught.value.status, caught.value.code) == (415, "unsupported_media_type")


def test_a_compressed_body_is_refused() -> None:
    with pytest.raises(BadField) as caught:
        read(b"\x1f\x8b", **{"Content-Encoding": "gzip"})

    assert (caught.value.status, caught.value.code) == (415, "unsupported_encoding")


@pytest.mark.parametrize("kind", ["Application/JSON; charset=utf-8", "application/vnd.api+json", ""])
def test_json_is_known_by_any_of_its_names(kind: str) -> None:
    assert read(b'{"model":"m"}', "/anything", kind).model == "m"


def test_a_form_is_read_where_forms_name_a_model_and_is_a_file_elsewhere() -> None:
    assert read(b"m", "/hear/it", FORM).model == "m"
    assert read(b"m", "/files", FORM).model is None


def test_a_post_that_needs_no_body_passes() -> None:
    assert read(b"", "/asked/cancel", "").model is None


@pytest.mark.parametrize(
    ("method", "path", "kind", "needed"),
    [
        ("POST", "/ask", JSON, True),
        ("POST", "/ask", "text/plain", True),
        ("POST", "/other", JSON, True),
        ("POST", "/hear", FORM, True),
        ("POST", "/files", FORM, False),
        ("PUT", "/parts", "application/octet-stream", False),
        ("GET", "/ask", JSON, False),
        ("DELETE", "/ask", JSON, False),
    ],
)
def test_only_bodies_that_name_a_model_are_needed(method: str, path: str, kind: str, needed: bool) -> None:
    assert READER.needed(ClientRequest(method, path, Headers.of({"Content-Type": kind}))) is needed


def test_where_no_form_names_a_model_one_in_jsons_place_is_looked_at() -> None:
    class Plain(BodyReader):
        json_paths = ("/ask",)

    assert Plain().needed(ClientRequest("POST", "/ask", Headers.of({"Content-Type": FORM})))


def test_members_are_found_when_they_are_asked_for() -> None:
    body = b'{"model": "m", "stream":true}'
    exchange = read(body)

    assert READER.members_of(exchange, body)["model"] == Member(1, 10, 13)
    assert set(exchange.members) == {"model", "stream"}


def test_a_content_type_is_compared_without_its_parameters() -> None:
    request = ClientRequest("POST", "/", Headers.of({"content-type": " Text/Plain ;charset=x"}))

    assert media_type(request) == b"text/plain"


@pytest.mark.parametrize(
    ("body", "code", "param"), [(b"[", "invalid_json", "a"), (b'{"b":1,"b":2}', "duplicate_key", "a.b")]
)
def test_a_fault_inside_an_object_is_told_with_its_place(body: bytes, code: str, param: str) -> None:
    with pytest.raises(BadField) as caught:
        scan_members(body, frozenset({"b"}), "a.")

    assert (caught.value.code, caught.value.param) == (code, param)


KEYS = [b'"model"', b'"stream"', b'"said"', rb'"mod\u0065l"', rb'"\u0073tream"', b'"x"', '"é"'.encode()]
VALUES = [
    b'"gpt"',
    b'"\xc3\xa9"',
    b"true",
    b"false",
    b"null",
    b"7",
    b'["model"]',
    b'{"model":1}',
    b'"\\"stream\\""',
    b'"\xff"',
]


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)), max_size=5))
def test_the_short_way_of_reading_tells_what_the_long_way_tells(members: list[tuple[bytes, bytes]]) -> None:
    body = b"{" + b",".join(key + b":" + value for key, value in members) + b"}"

    def told(how: Callable[[Exchange, bytes], object]) -> object:
        exchange = make_exchange("POST", "/files")
        try:
            plain = how(exchange, body)
        except BadField as fault:
            return fault.code
        return "not plain" if plain is False else (exchange.model, exchange.streamed)

    short = told(READER._read_plainly)

    assert short in ("not plain", told(READER._read_exactly))
