from __future__ import annotations

import pytest

from llmproxy_ollama.keyrules import CHAT, EMBED, GENERATE, rules_of

from .conftest import STREAM, last, line, piece

SAID = [{"role": "user", "content": "Hi"}]


def counted(rules, **body):
    return rules.read(body, str.strip).counted


def test_each_call_has_its_rules():
    assert (rules_of("chat"), rules_of("generate")) == (CHAT, GENERATE)
    assert rules_of("embed") is rules_of("embeddings") is EMBED
    assert rules_of("show") is None


@pytest.mark.parametrize(
    "more",
    [
        {"stream": False},
        {"keep_alive": "5m"},
        {"options": {}},
        {"options": {"seed": None}},
        {"format": ""},
        {"tools": []},
        {"think": None},
    ],
)
def test_what_says_nothing_changes_no_key(more):
    assert counted(CHAT, model="m", messages=SAID, **more) == counted(CHAT, model="m", messages=SAID)


@pytest.mark.parametrize(
    "more",
    [{"options": {"num_ctx": 9}}, {"think": False}, {"format": "json"}, {"tools": [{"a": 1}]}, {"new": 1}],
)
def test_what_changes_the_answer_changes_the_key(more):
    assert counted(CHAT, model="m", messages=SAID, **more) != counted(CHAT, model="m", messages=SAID)


def test_the_temperature_stands_in_the_options():
    assert CHAT.read({"messages": SAID, "options": {"temperature": 0}}, str).temperature == 0


def test_a_prompts_context_counts():
    assert counted(GENERATE, prompt="a", context=[1]) != counted(GENERATE, prompt="a", context=[])


def test_whole_answers_are_kept_and_flawed_ones_are_not():
    assert CHAT.keeps(STREAM)
    assert CHAT.keeps(last())
    assert not CHAT.keeps(piece("Hi"))
    assert not CHAT.keeps(piece("Hi") + last("length"))
    assert not CHAT.keeps(piece("Hi") + line(error="broken"))


def test_one_text_to_embed_is_a_list_of_one():
    assert counted(EMBED, input=["a"]) == counted(EMBED, input="a")
    assert EMBED.keeps(b'{"embeddings":[[1]]}')
