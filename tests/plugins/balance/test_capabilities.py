"""Who is left out because its model cannot, and who is not because nobody knows."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.exchange import Endpoint
from llmproxy.pools import Place, Pool, place_of
from llmproxy.poolsettings import TargetConfig
from llmproxy.quirks import Quirks
from llmproxy.runtime import Clock
from llmproxy.tariff import Tariff
from llmproxy.testing import make_exchange
from llmproxy_balance.capabilities import CapabilityGate
from llmproxy_balance.facts import Facts

from .places import asking, target

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
JSON = {"type": "json_object"}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
PICTURE = [{"type": "image_url", "image_url": {"url": "https://pictures.test/a.png"}}]


@pytest.fixture(scope="module")
def facts():
    known = Facts()
    known._tariff = Tariff({"openai": "openai"}, Clock())
    known._tariff.load_now()
    return known


def judged(exchange, facts=None, upstream="up", other=None, **known):
    """What is said of a place that stands beside another one, of which nothing is known."""
    place = place_of(target(upstream=upstream, **known))
    if not exchange.endpoints:
        beside = place_of(target(upstream="beside")) if other is None else other
        exchange.endpoints = Pool.of("pool", [place, beside])
    return CapabilityGate(facts or Facts())(exchange, place)


def with_quirks(exchange, **upstreams):
    """An exchange whose route has these upstreams, all of them in its pool."""
    for name, quirks in upstreams.items():
        config = SimpleNamespace(dialect="openai", provider=None, quirks=quirks)
        exchange.route.targets = {
            **exchange.route.targets,
            name: SimpleNamespace(upstream=SimpleNamespace(config=config)),
        }
    exchange.endpoints = tuple(Endpoint(name) for name in upstreams)
    return exchange


def test_a_model_that_cannot_is_left_out_and_the_reason_is_told():
    assert judged(asking(tools=[TOOL]), capabilities={"tools": False}) == "it lacks tools"
    assert (
        judged(asking(PICTURE, response_format=SCHEMA), capabilities=["tools"]) == "it lacks schema, vision"
    )
    assert judged(asking(stream=True), capabilities={"streaming": False}) == "it lacks streaming"
    assert judged(asking(response_format=SCHEMA), capabilities={"json": False}) == "it lacks schema"


def test_what_is_not_known_counts_as_able():
    hard = asking(PICTURE, tools=[TOOL], response_format=SCHEMA, stream=True)

    assert judged(hard) == ""
    assert judged(hard, capabilities={"audio": False}) == ""
    assert judged(make_exchange(body=b"\xff"), capabilities=[]) == ""


def test_what_a_request_does_not_need_is_no_reason():
    assert judged(asking("Hi."), capabilities=[]) == ""


def test_a_provider_of_weaker_forms_is_left_out_while_another_has_them():
    weak, strong = Quirks(format="json_object"), Quirks()

    assert judged(with_quirks(asking(response_format=SCHEMA), up=weak, other=strong)) == "it lacks schema"
    assert judged(with_quirks(asking(response_format=JSON), up=weak, other=strong)) == ""
    # Nobody can: the translation makes the best of it, or refuses.
    assert judged(with_quirks(asking(response_format=SCHEMA), up=weak, other=weak)) == ""


def test_what_a_target_says_of_itself_wins_over_its_providers_quirks():
    exchange = with_quirks(asking(response_format=SCHEMA), up=Quirks(format="none"), other=Quirks())

    assert judged(exchange, capabilities={"schema": True}) == ""


def test_a_prompt_longer_than_the_window_goes_elsewhere(facts):
    long = asking("one two three " * 12_000)  # some 36,000 tokens

    assert judged(long, capabilities={"window": 32_000}).startswith("about 3")
    assert judged(long, capabilities={"window": 128_000}) == ""
    long.endpoints = ()
    assert judged(long, facts, upstream="openai", model="gpt-4") != ""  # 8,192 tokens
    long.endpoints = ()
    assert judged(long, facts, upstream="openai", model="gpt-4o-mini") == ""
    assert judged(long, facts, upstream="openai", model="a-model-of-nobody") == ""


@pytest.mark.parametrize(
    "other",
    [
        place_of(target(upstream="beside", capabilities={"window": 3000})),
        place_of(target(upstream="beside", after=["window"])),
        Place("inner", TargetConfig(pool="inner"), pool=Pool.of("inner", [])),
    ],
)
def test_an_estimate_refuses_nobody_who_has_nowhere_else_to_go(other):
    assert judged(asking("one two three " * 2000), other=other, capabilities={"window": 2000}) == ""


def test_a_place_of_a_pool_beside_it_is_somewhere_else():
    inner = Pool.of("inner", [place_of(target(upstream="beside"))])
    other = Place("inner", TargetConfig(pool="inner"), pool=inner)

    assert judged(asking("one two three " * 2000), other=other, capabilities={"window": 2000}) != ""


def test_a_name_that_is_passed_on_is_looked_up_as_the_caller_wrote_it(facts):
    long = asking("one two three " * 12_000)
    long.model = "gpt-4"

    assert "its window is 8192" in judged(long, facts, upstream="openai")


def test_the_longest_answer_counts_too():
    assert judged(asking("Hi.", max_tokens=9000), capabilities={"window": 8192}) != ""
    assert judged(asking("Hi.", max_tokens=8000), capabilities={"window": 8192}) == ""
    assert judged(asking("Hi.", max_tokens=5000), capabilities={"output": 4096}) == (
        "an answer of 5000 tokens is asked for, of 4096 at most"
    )


def test_pictures_that_are_only_named_count_though_their_bytes_are_elsewhere():
    pictures = PICTURE * 30

    assert judged(asking(pictures), capabilities={"window": 4096}) != ""


def test_what_a_pool_says_holds_for_all_of_it():
    gate = CapabilityGate(Facts())
    place = place_of(target(capabilities=["tools"]))
    place.endpoint = None  # as a pool's place has none

    assert gate(asking(PICTURE), place) == "it lacks vision"
    assert gate(asking("one " * 3000), place) == ""


def test_places_that_come_and_go_are_forgotten(monkeypatch):
    monkeypatch.setattr("llmproxy_balance.capabilities._REMEMBERED", 10)
    gate = CapabilityGate(Facts())
    for _ in range(35):
        assert gate(asking(), place_of(target())) == ""

    assert len(gate._known) <= 10


@given(st.integers(1, 3000), st.integers(0, 5000), st.sampled_from([256, 1024, 4096]))
def test_a_prompt_whose_bytes_and_answer_fit_is_never_refused(words, answer, window):
    exchange = asking("word " * words, max_tokens=answer or 1)
    reason = judged(exchange, capabilities={"window": window})

    if len(exchange.body_at_hand or b"") + (answer or 1) <= window:
        assert reason == ""
    if answer > window:
        assert reason
