"""What decides an answer, read by the rules of a made-up dialect."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.keyreading import Reading
from llmproxy.keyrules import KeyRules, Turns

CHAT = KeyRules(
    kind="chat",
    form=frozenset({"stream"}),
    ignored=frozenset({"note"}),
    defaults={"n": (None, 1), "config": (None, {}), "stop": (None, [])},
    inside={"config": {"candidateCount": (None, 1)}},
    camel=True,
    lone=frozenset({"stop"}),
    texts=(("systemText", "parts"), ("requests", "*", "content")),
    turns=Turns("messages", defaults={"type": "message"}, lone="user"),
    text_types=frozenset({"text"}),
    marks=frozenset({"mark"}),
    users=(("meta", "user"), ("user",)),
    temperature=("config", "temperature"),
    grounds={"thread": "state", "file": "references"},
    hosted=lambda tool: tool == {"type": "search"},
    references=(("image", "url"),),
    referring_turns=frozenset({"pointer", None}),
    headers={"version": "1"},
)


def read(body: dict[str, Any], rules: KeyRules = CHAT) -> Reading:
    return rules.read(body, str.strip)


def counted(body: dict[str, Any]) -> dict[str, Any]:
    return read(body).counted


def said(content: Any, role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content}, {"role": "user", "content": "and"}]}


def test_what_cannot_change_the_answer_is_left_out() -> None:
    assert counted({"stream": True, "note": "x", "seed": 7}) == {"seed": 7}


def test_what_nobody_knows_counts_even_where_it_is_null() -> None:
    assert counted({"brand_new": None}) == {"brandNew": None}


@pytest.mark.parametrize("body", [{"n": 1}, {"n": None}, {"n": 1.0}, {"config": {}}, {"stop": []}])
def test_a_default_says_no_more_than_its_absence(body: dict[str, Any]) -> None:
    assert counted(body) == {}


def test_an_object_of_defaults_is_one_of_nothing() -> None:
    assert counted({"config": {"candidate_count": 1}}) == {}
    assert counted({"config": {"candidate_count": 2}}) == {"config": {"candidateCount": 2}}


def test_whole_numbers_are_spelled_in_one_way() -> None:
    assert repr(counted({"top": 2.0})) == "{'top': 2}"


def test_a_field_in_both_spellings_stays_in_both() -> None:
    assert counted({"a_b": 1, "aB": 2}) == {"a_b": 1, "aB": 2}


def test_a_list_of_one_means_what_its_element_means_where_the_rules_say_so() -> None:
    assert counted({"stop": ["."]}) == {"stop": "."}
    assert counted({"top": ["."]}) == {"top": ["."]}


def test_one_bare_part_equals_its_text() -> None:
    assert counted(said([{"type": "text", "text": " hi "}])) == said("hi")


def test_a_part_that_says_more_stays_a_part() -> None:
    part = {"type": "text", "text": "hi", "citations": []}

    assert counted(said([part])) == said([part])


def test_marks_of_the_prompt_cache_are_taken_off_parts_turns_and_tools() -> None:
    body = said([{"type": "text", "text": "hi", "mark": 1}])
    body["messages"][0]["mark"] = 1
    body["tools"] = [{"type": "own", "mark": 1}]

    assert counted(body) == said("hi") | {"tools": [{"type": "own"}]}


def test_the_models_own_words_are_no_prompt_text() -> None:
    assert counted(said(" so ", "assistant")) == said(" so ", "assistant")


def test_thoughts_and_results_of_tools_are_no_prompt_text() -> None:
    body = said(
        [{"text": " a ", "thought": True}, {"type": "result", "content": [{"type": "text", "text": " b "}]}]
    )

    assert counted(body)["messages"][0]["content"][0]["text"] == " a "
    assert counted(body)["messages"][0]["content"][1]["content"] == " b "


def test_text_in_place_of_the_conversation_is_one_turn() -> None:
    assert counted({"messages": [{"type": "message", "role": "user", "content": " hi "}]}) == {
        "messages": "hi"
    }
    assert counted({"messages": " hi "}) == {"messages": "hi"}


def test_texts_are_found_at_paths() -> None:
    body = {
        "systemText": {"parts": [{"text": " a "}]},
        "requests": [{"content": " b "}, {"content": [" c "]}],
    }

    assert counted(body) == {
        "systemText": {"parts": [{"text": "a"}]},
        "requests": [{"content": "b"}, {"content": ["c"]}],
    }


def test_exact_calls_keep_each_character() -> None:
    exact = KeyRules(kind="count", exact=True, turns=CHAT.turns)

    assert read(said(" hi "), exact).counted == said(" hi ")


def test_the_end_user_is_the_first_that_is_named() -> None:
    assert read({"meta": {"user": "a"}, "user": "b"}).user == "a"
    assert read({"meta": {"user": ""}, "user": "b"}).user == "b"
    assert read({"meta": "?", "user": 7}).user == ""


def test_the_temperature_is_what_the_caller_wrote() -> None:
    assert read({"config": {"temperature": 0}}).temperature == 0
    assert read({"config": {"temperature": False}}).temperature is None
    assert read({}).temperature is None


@pytest.mark.parametrize(
    ("body", "ground"),
    [
        ({"thread": {"id": 1}}, "state"),
        ({"tools": [{"type": "search"}]}, "hosted-tools"),
        (said([{"image": {"url": "https://example.com/cat.png"}}]), "references"),
        (said([{"type": "result", "content": [{"image": {"url": "https://example.com"}}]}]), "references"),
        ({"messages": [{"id": "msg_1"}]}, "references"),
        ({"messages": [{"type": "pointer", "id": "msg_1"}]}, "references"),
    ],
)
def test_what_an_answer_depends_on_beside_the_request_is_told(body: dict[str, Any], ground: str) -> None:
    assert read(body).grounds == {ground}


@pytest.mark.parametrize(
    "body", [{"thread": None}, {"file": ""}, said([{"image": {"url": "data:image/png;base64,AA=="}}])]
)
def test_what_is_empty_or_in_the_request_itself_is_no_ground(body: dict[str, Any]) -> None:
    assert read(body).grounds == frozenset()


@pytest.mark.parametrize("odd", [None, 7, "x", [], {}, [None], [7], [[]], [{}], {"x": 1}])
@pytest.mark.parametrize("name", ["messages", "tools", "systemText", "requests", "config", "stop", "meta"])
def test_odd_bodies_are_read_all_the_same(name: str, odd: Any) -> None:
    rules = KeyRules(
        kind="chat",
        inside=CHAT.inside,
        camel=True,
        texts=CHAT.texts,
        turns=CHAT.turns,
        users=CHAT.users,
        temperature=CHAT.temperature,
    )

    assert isinstance(read({name: odd}, rules), Reading)
