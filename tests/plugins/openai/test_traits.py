"""What models take, told by their names."""

from __future__ import annotations

import pytest

from llmproxy.canonical import GenerateRequest, Losses, Thinking
from llmproxy.plugin import Quirks
from llmproxy_openai.traits import Traits, fitted, fitted_quirks, traits_of

HARD = Thinking(enabled=True, effort="high")


def kept(model, **asked):
    losses = Losses()
    request = fitted(GenerateRequest(model="m", **asked), model, losses)
    return {name for name in asked if getattr(request, name)}, {loss.field for loss in losses}


@pytest.mark.parametrize(
    "model", ["", "m", "qwen3", "gpt-oss-120b", "grok-4.3", "grok-3-mini", "mistral-large-latest", "o2x"]
)
def test_a_name_that_tells_nothing_takes_everything(model):
    assert traits_of(model) == Traits()
    assert kept(model, thinking=HARD, temperature=0.2, stop=("x",)) == (
        {"thinking", "temperature", "stop"},
        set(),
    )


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o",
        "openai/gpt-4.1-mini",
        "chatgpt-4o-latest",
        "gpt-5-chat-latest",
        "gpt-5.1-chat-latest",
        "llama-3.3-70b-versatile",
        "meta-llama/llama-4-scout",
        "grok-4",
        "grok-4-fast",
        "grok-3",
    ],
)
def test_a_model_that_cannot_be_told_how_much_to_think_is_not(model):
    assert kept(model, thinking=HARD, temperature=0.2, stop=("x",)) == ({"temperature", "stop"}, {"thinking"})


@pytest.mark.parametrize(
    "thinking", [Thinking(enabled=False), Thinking(enabled=False, effort="none"), Thinking(show="auto")]
)
def test_nothing_is_lost_of_thinking_that_was_not_asked_for(thinking):
    assert kept("gpt-4o", thinking=thinking) == (set(), set())


@pytest.mark.parametrize(
    "model", ["o1", "o3", "o4-mini", "o3-2025-04-16", "gpt-5", "gpt-5-mini", "openai/gpt-5-nano"]
)
def test_a_thinking_model_takes_neither_sampling_nor_stops(model):
    asked = {"temperature": 0.2, "top_p": 0.9, "presence_penalty": 0.5, "top_logprobs": 2, "stop": ("x",)}

    assert kept(model, thinking=HARD, **asked) == ({"thinking"}, set(asked))


def test_the_default_is_taken_and_stays():
    assert kept("gpt-5", temperature=1, top_p=1.0) == ({"temperature", "top_p"}, set())


def test_a_later_one_takes_sampling_while_it_does_not_think():
    none = Thinking(enabled=False, effort="none")

    assert kept("gpt-5.2", temperature=0.2) == ({"temperature"}, set())
    assert kept("gpt-5.2", thinking=none, temperature=0.2) == ({"thinking", "temperature"}, set())
    assert kept("gpt-5.2", thinking=HARD, temperature=0.2) == ({"thinking"}, {"temperature"})


def test_the_small_o3_takes_stops_as_was_recorded():
    assert kept("o3-mini", stop=("x",)) == ({"stop"}, set())


def test_what_needs_no_change_is_the_same_request():
    request = GenerateRequest(model="m", temperature=0.2)

    assert fitted(request, "gpt-4o", Losses()) is request


@pytest.mark.parametrize(
    ("model", "marked"),
    [
        ("gpt-4o", False),
        ("gpt-5", False),
        ("openai/gpt-5.5", False),
        ("o3", False),
        ("gpt-5.6", True),
        ("gpt-5.10", True),
        ("gpt-6", True),
        ("mine", True),
        ("gpt-oss-120b", True),
    ],
)
def test_marks_for_the_cache_are_for_models_that_take_them(model, marked):
    quirks = Quirks(extras=("prompt_cache_breakpoint", "top_k"))

    assert ("prompt_cache_breakpoint" in fitted_quirks(quirks, model).extras) is marked
    assert "top_k" in fitted_quirks(quirks, model).extras


def test_who_takes_no_marks_keeps_its_quirks():
    quirks = Quirks(extras=("cache_control",))

    assert fitted_quirks(quirks, "gpt-4o") is quirks
