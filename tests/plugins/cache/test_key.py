"""The key: equal for what means the same, another for anything that may change the answer or may not share it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any
from unicodedata import normalize
from urllib.parse import urlsplit

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.cache.conftest import FACES, Asked, Digest
from tests.plugins.conftest import records

from llmproxy.plugin import Caller, Endpoint, Exchange, key_rules_of
from llmproxy.testing import make_exchange
from llmproxy_cache.key import HUGE, KeyMaker, Unreadable, final_key, key_start
from llmproxy_cache.normalise import Normalisation, Normaliser

CHAT: dict[str, Any] = {
    "model": "public-model",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Où est Zoë?"},
    ],
    "temperature": 0,
    "max_tokens": 50,
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "find",
                "parameters": {"type": "object", "properties": {"who": {"type": "string"}}},
            },
        }
    ],
}

NAMES = st.text(
    st.characters(categories=["Ll", "Lu", "Nd"], include_characters="_-"), min_size=1, max_size=12
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)


def with_(**changed: Any) -> dict[str, Any]:
    return {**copy.deepcopy(CHAT), **changed}


def turned(value: Any) -> Any:
    """Turn the order of all members round."""
    if isinstance(value, dict):
        return {name: turned(value[name]) for name in reversed(value)}
    return [turned(each) for each in value] if isinstance(value, list) else value


# Equal meaning, equal key.


def test_order_and_space_of_the_json_mean_nothing(digest: Digest) -> None:
    spaced = orjson.dumps(CHAT, option=orjson.OPT_INDENT_2)

    assert digest(spaced) == digest(turned(CHAT)) == digest(CHAT)


def test_escapes_of_the_json_mean_nothing(digest: Digest) -> None:
    escaped = orjson.dumps(CHAT).replace("ë".encode(), b"\\u00eb")

    assert digest(escaped) == digest(CHAT)


@pytest.mark.parametrize(
    "said",
    [
        {"n": 1},
        {"stop": None},
        {"temperature": 0.0},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"top_p": 1},
        {"tool_choice": "auto"},
        {"metadata": {"trace": "1"}},
        {"user": "u-1"},
        {"service_tier": "flex"},
    ],
)
def test_what_cannot_change_the_answer_does_not_change_the_key(digest: Digest, said: dict[str, Any]) -> None:
    assert digest(with_(**said)) == digest(CHAT)


def test_text_is_a_part_of_text_in_any_unicode_form(digest: Digest) -> None:
    text = normalize("NFD", "  Où est Zoë?\r\n")
    told = with_(
        messages=[CHAT["messages"][0], {"role": "user", "content": [{"type": "text", "text": text}]}]
    )

    assert digest(told) == digest(CHAT)


@given(st.text(min_size=1), st.permutations(sorted(CHAT)), st.booleans(), st.sampled_from(["NFC", "NFD"]))
def test_equal_meaning_is_an_equal_key(
    digest: Digest,
    text: str,
    order: list[str],
    parts: bool,
    form: Any,
) -> None:
    plain = with_(messages=[{"role": "user", "content": text}])
    said: Any = normalize(form, text)
    other = {
        **plain,
        "messages": [{"role": "user", "content": [{"type": "text", "text": said}] if parts else said}],
    }

    assert digest({name: other[name] for name in order}) == digest(plain)


# Another meaning, another key.


@pytest.mark.parametrize(
    "said",
    [
        {"temperature": 0.1},
        {"max_tokens": 51},
        {"n": 2},
        {"seed": 1},
        {"stop": ["."]},
        {"response_format": {"type": "json_object"}},
        {"tool_choice": "required"},
        {"parallel_tool_calls": False},
        {"logprobs": True},
        {"reasoning_effort": "low"},
        {"tomorrows_field": None},
        {"messages": CHAT["messages"][1:]},
        {"messages": CHAT["messages"][::-1]},
        {"tools": CHAT["tools"] * 2},
    ],
)
def test_what_may_change_the_answer_changes_the_key(digest: Digest, said: dict[str, Any]) -> None:
    assert digest(with_(**said)) != digest(CHAT)


@given(NAMES, VALUES)
def test_a_field_that_nobody_knows_changes_the_key(digest: Digest, name: str, value: Any) -> None:
    name = f"x-{name}"

    assert digest(with_(**{name: value})) != digest(CHAT)


@given(st.data())
def test_any_change_deep_inside_changes_the_key(digest: Digest, data: st.DataObject) -> None:
    changed = copy.deepcopy(CHAT)
    place, name = data.draw(st.sampled_from(list(_places(changed))))
    if place is changed and name == "model":
        return  # it stands in the key by its resolved name
    before = place[name]
    after = data.draw(VALUES.filter(lambda value: _differs(before, value)))
    place[name] = after
    try:
        made = digest(changed)
    except Unreadable:
        return  # a list where a name must stand: nothing is kept then

    assert made != digest(CHAT)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for name in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, name
        yield from _places(value[name])


def _differs(before: Any, after: Any) -> bool:
    if isinstance(before, str) and isinstance(after, str):
        return normalize("NFC", before.strip()) != normalize("NFC", after.strip())
    # Nought and false, one and true are equal to Python, and false for a number is a mistake that no provider takes.
    return bool(before != after) and after not in (None, [], {}, "", False, 1) and type(after) is not bool


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "/v2/chat/completions"},
        {"path": "/v1/chat/completions?api-version=2024-10-21"},
        {"headers": {"OpenAI-Beta": "assistants=v2"}},
        {"headers": {"OpenAI-Organization": "org-1"}},
        {"model": "other"},
        {"endpoints": (Endpoint("main", "other-model"),)},
        {"endpoints": (Endpoint("other", "upstream-model"),)},
        {"wire": "anthropic", "path": "/v1/messages"},
    ],
)
def test_version_dialect_model_and_upstream_are_in_the_key(digest: Digest, changed: dict[str, Any]) -> None:
    assert digest(CHAT, **changed) != digest(CHAT)


def test_a_pool_is_one_place_in_whatever_order_it_is_asked(digest: Digest) -> None:
    one, other = Endpoint("a", "m"), Endpoint("b", "m")

    assert digest(CHAT, endpoints=(one, other)) == digest(CHAT, endpoints=(other, one))
    assert digest(CHAT, endpoints=(one, Endpoint("b", "m2"))) != digest(CHAT, endpoints=(one, other))


def test_an_arm_of_an_experiment_is_another_key(digest: Digest) -> None:
    arms = Endpoint("a", "m1"), Endpoint("a", "m2")

    assert digest(CHAT, endpoints=arms) != digest(CHAT, endpoints=arms[::-1])


def test_features_are_a_set_and_a_version_has_a_default(digest: Digest) -> None:
    def made(**headers: str) -> bytes:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return digest({"messages": CHAT["messages"]}, "/v1/messages", wire="anthropic", headers=fields)

    assert made(anthropic_beta="a,b") == made(anthropic_beta="b, a") != made(anthropic_beta="a")
    assert made(anthropic_version="2023-06-01") == made() != made(anthropic_version="2030-01-01")


def test_a_stream_asks_for_the_same_by_another_verb(digest: Digest) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}

    def made(target: str) -> bytes:
        return digest(body, target, wire="gemini")

    assert made("/v1beta/models/g:generateContent") == made("/v1beta/models/g:streamGenerateContent?alt=sse")
    assert made("/v1beta/models/g:generateContent") != made("/v1/models/g:generateContent")
    assert made("/v1beta/models/g:generateContent") != made("/v1beta/models/g:countTokens")


def test_the_way_of_normalising_is_in_the_key(digest: Digest) -> None:
    other = KeyMaker(Normaliser(Normalisation(space="collapse")))

    assert digest(CHAT, maker=other) != digest(CHAT)


def test_a_route_may_leave_out_fields_and_count_headers(digest: Digest) -> None:
    maker = KeyMaker(Normaliser(Normalisation()), ignore=("seed",), headers=("X-Locale",))

    assert digest(with_(seed=1), maker=maker) == digest(with_(seed=2), maker=maker)
    assert digest(CHAT, maker=maker, headers={"x-locale": "de"}) != digest(CHAT, maker=maker)


# Bodies beyond the ordinary.


def test_a_body_that_is_no_object_cannot_be_compared(asked: Asked) -> None:
    maker = KeyMaker(Normaliser(Normalisation()))
    deep = b'{"messages":' + b"[" * 900 + b"]" * 900 + b"}"

    for body in (b"[]", b"{", b'"x"', b"{\xff}", deep):
        with pytest.raises(Unreadable):
            maker.keyed(asked(CHAT), body)


def test_a_huge_body_counts_as_it_came_and_its_facts_are_known(asked: Asked) -> None:
    picture = "data:image/png;base64," + "A" * HUGE
    part = {"type": "image_url", "image_url": {"url": picture}}
    body = with_(messages=[{"role": "user", "content": [part]}], user="u")
    maker = KeyMaker(Normaliser(Normalisation()))
    exchange = asked(body)

    plain, spaced = (
        maker.keyed(exchange, orjson.dumps(body)),
        maker.keyed(exchange, orjson.dumps(body, option=orjson.OPT_INDENT_2)),
    )

    assert plain.digest != spaced.digest
    assert (plain.facts.settled, plain.facts.user) == (True, "u")


def test_a_call_without_rules_counts_to_the_byte(asked: Asked) -> None:
    maker = KeyMaker(Normaliser(Normalisation()))
    exchange = asked(CHAT, "/v1/unknown")
    one, other = maker.keyed(exchange, b'{"a":1}'), maker.keyed(exchange, b'{"a": 1}')

    assert one.digest != other.digest
    assert one.facts.kind == ""


def test_what_was_read_for_a_key_is_given_once_to_whoever_may_change_it(asked: Asked) -> None:
    maker = KeyMaker(Normaliser(Normalisation()))
    exchange, body = asked(CHAT), orjson.dumps(CHAT)
    rules = key_rules_of(exchange)
    assert rules is not None
    maker.keyed(exchange, body)
    first = maker.read_again(rules, body)
    first.counted.clear()
    other = orjson.dumps(with_(seed=1))

    assert maker.read_again(rules, body) == maker.read(rules, body)
    assert maker.read_again(rules, other) == maker.read(rules, other) != maker.read(rules, body)


def test_what_was_made_before_and_is_forgotten_is_made_again(asked: Asked) -> None:
    maker = KeyMaker(Normaliser(Normalisation()))
    exchange = asked(CHAT)
    bodies = [orjson.dumps(with_(seed=seed)) for seed in range(3000)]
    first = [maker.keyed(exchange, body) for body in bodies]

    assert [maker.keyed(exchange, bytes(bytearray(body))).digest for body in bodies] == [
        each.digest for each in first
    ]


@given(
    st.lists(st.sampled_from(["a", "b"]), min_size=3, max_size=3),
    st.lists(st.sampled_from(["a", "b"]), min_size=3, max_size=3),
)
def test_memory_never_mixes_requests_up(asked: Asked, one: list[str], other: list[str]) -> None:
    maker = KeyMaker(Normaliser(Normalisation()))

    def made(of: list[str]) -> bytes:
        path, model, upstream = of
        exchange = asked(CHAT, f"/{path}/chat/completions", model=model, endpoints=(Endpoint(upstream),))
        return maker.keyed(exchange, orjson.dumps(CHAT)).digest

    assert (made(one) == made(other)) == (one == other)


# Who shares.

SCOPES = st.sampled_from(["end-user", "key", "team", "tenant", "public"])
WORDS = st.text(st.sampled_from("ab:,=\0é"), min_size=1, max_size=4)
OWNERS = st.tuples(WORDS, WORDS, st.binary(min_size=4, max_size=4), SCOPES, WORDS)


@given(OWNERS, OWNERS)
def test_no_two_who_may_not_share_have_one_key(one: Any, other: Any) -> None:
    def sharing(of: Any) -> Any:
        tenant, route, digest, scope, _ = of
        if scope == "public":
            return route, digest, scope
        return (tenant, route, digest, scope) if scope == "tenant" else of

    assert (final_key(*one) == final_key(*other)) == (sharing(one) == sharing(other))


@given(WORDS, WORDS, st.binary(min_size=32, max_size=32), st.sampled_from(["tenant", "public"]))
def test_the_start_of_a_key_and_a_digest_are_the_key(
    tenant: str, route: str, digest: bytes, scope: str
) -> None:
    assert key_start(tenant, route, scope) + digest == final_key(tenant, route, digest, scope)


def test_no_name_of_a_user_stands_in_a_key() -> None:
    assert b"alice" not in final_key("t", "r", b"d" * 32, "end-user", "alice@example.com")


def test_a_key_needs_a_tenant() -> None:
    with pytest.raises(ValueError, match="needs a tenant"):
        final_key("", "r", b"d")


# What was recorded.


def recorded() -> list[tuple[Exchange, bytes]]:
    found = []
    for record in records():
        request = record["request"]
        wire = record["dialect"].partition(".")[0]
        if request is None or not isinstance(request.get("body"), dict) or wire not in FACES:
            continue
        body = request["body"]
        model = body.get("model") if isinstance(body.get("model"), str) else urlsplit(request["path"]).path
        target = request["path"] + (f"?{request['query']}" if request.get("query") else "")
        exchange = make_exchange(path=target, headers=request["headers"], model=model, caller=Caller("t"))
        exchange.client_face = FACES[wire]
        exchange.endpoints = (Endpoint("main", model),)
        found.append((exchange, orjson.dumps(body)))
    return found


@pytest.mark.shared
def test_recorded_requests_share_keys_only_where_they_say_the_same() -> None:
    maker = KeyMaker(Normaliser(Normalisation()))
    known, by_key = 0, {}
    for exchange, body in recorded():
        rules = key_rules_of(exchange)
        if rules is None:
            continue
        known += 1
        said = orjson.loads(body)
        left = {name: said[name] for name in sorted(said) if name not in rules.dropped}
        key = maker.keyed(exchange, body).digest
        by_key.setdefault(key, []).append((exchange.request.path.replace("streamG", "g"), _essence(left)))

    assert known > 1500
    mixed = {key.hex(): told for key, told in by_key.items() if any(each != told[0] for each in told)}

    assert mixed == {}


def _essence(value: Any) -> Any:
    """Take off what the rules call equal, in another way than they do."""
    if isinstance(value, dict):
        kept = {name: _essence(each) for name, each in value.items() if name not in ("cache_control",)}
        return {
            name: each
            for name, each in kept.items()
            if each not in (None, [], {}, 1, False) or name == "temperature"
        }
    if isinstance(value, list):
        inner = [_essence(each) for each in value]
        if len(inner) == 1 and isinstance(inner[0], dict) and set(inner[0]) == {"type", "text"}:
            return inner[0]["text"]
        return inner[0] if len(inner) == 1 and isinstance(inner[0], str) else inner
    return value.strip() if isinstance(value, str) else value


@pytest.mark.shared
def test_recorded_requests_have_the_same_key_in_any_order_and_spacing() -> None:
    maker = KeyMaker(Normaliser(Normalisation()))
    for exchange, body in recorded():
        if key_rules_of(exchange) is None:
            continue
        other = orjson.dumps(turned(orjson.loads(body)), option=orjson.OPT_INDENT_2)

        assert maker.keyed(exchange, other).digest == maker.keyed(exchange, body).digest


def test_a_field_that_stands_there_twice_counts_with_both_values(asked: Any) -> None:
    def key(*values: str) -> bytes:
        exchange = asked({"messages": []})
        for value in values:
            exchange.request.headers.add("openai-beta", value)
        return KeyMaker(Normaliser(Normalisation())).keyed(exchange, b'{"messages":[]}').digest

    assert key("a", "b") != key("b")
    assert key("a", "b") == key("b", "a") == key("a, b")


def test_what_a_route_passes_over_is_part_of_how_it_reads(digest: Any) -> None:
    one, other = (KeyMaker(Normaliser(Normalisation()), ignore=names) for names in ((), ("customer",)))

    assert digest({"messages": []}, maker=one) != digest({"messages": []}, maker=other)


def test_a_query_counts_across_dialects_too(digest: Any) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    maker = KeyMaker(Normaliser(Normalisation()), across=True)
    keys = {digest(body, f"/v1/chat/completions{query}", maker=maker) for query in ("", "?a=1", "?a=2")}

    assert len(keys) == 3


def test_a_body_is_never_taken_for_the_digest_of_another(asked: Any) -> None:
    maker, large = KeyMaker(Normaliser(Normalisation())), b'{"messages":[],"x":"%b"}' % (b"x" * 2000)
    maker.keyed(asked(large), large)

    for name in (blake2b(large).digest(), blake2b(large).hexdigest().encode()):
        with pytest.raises(Unreadable):
            maker.keyed(asked(large), name)
