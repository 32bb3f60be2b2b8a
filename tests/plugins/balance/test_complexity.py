"""The score: from 0 to 1, the same each time, each part named; and which place it leads to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import GenerateRequest, Message, Text, Thinking, Tool, ToolCall
from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigError, ConfigErrors
from llmproxy.pools import Pool, place_of
from llmproxy.testing import make_exchange
from llmproxy_balance.complexity import (
    JUDGED,
    WEIGHTS,
    ByComplexity,
    ComplexityOptions,
    complexity_of,
)
from llmproxy_balance.facts import Facts

from .places import asking, names, pool_of, target

CODE = "```python\ndef f(x):\n    return {x};\n```\nTraceback (most recent call last)\n"
HARD = (
    "Explain step by step why this algorithm is slow, compare two designs and prove the bound.\n" + CODE * 20
)


def talk(*texts, **more):
    roles = ("user", "assistant")
    turns = [Message(role=roles[at % 2], content=(Text(text=text),)) for at, text in enumerate(texts)]
    return GenerateRequest(model="m", messages=tuple(turns), **more)


texts = st.lists(st.text(max_size=300), min_size=0, max_size=6)


@given(said=texts, tools=st.integers(0, 20))
def test_a_score_is_the_sum_of_its_parts_between_0_and_1(said, tools):
    request = talk(*said, tools=tuple(Tool(name=f"t{index}") for index in range(tools)))
    judged = complexity_of(request)

    assert 0 <= judged.score <= 1
    assert judged.score == pytest.approx(min(1, sum(judged.parts.values())))
    assert all(0 <= added <= WEIGHTS[name] for name, added in judged.parts.items())
    assert judged == complexity_of(request)


@given(said=texts)
def test_more_of_anything_never_makes_a_prompt_simpler(said):
    before = complexity_of(talk(*said))

    assert complexity_of(talk(*said, tools=(Tool(name="search"),))).score >= before.score
    assert complexity_of(talk(*said, thinking=Thinking(effort="high"))).score >= before.score


def test_the_parts_together_weigh_1():
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_a_short_question_is_simple_and_a_long_debugging_session_is_hard():
    simple = complexity_of(talk("What is the capital of France?"))
    calls = Message(role="assistant", content=tuple(ToolCall(id="1", name="run") for _ in range(4)))
    hard = complexity_of(
        GenerateRequest(
            model="m",
            messages=(*talk(*["So?"] * 9).messages, calls, *talk(HARD).messages),
            tools=(Tool(name="run"), Tool(name="read")),
        )
    )

    assert simple.score < 0.1
    assert hard.score > 0.6
    assert set(hard.parts) == {"length", "reasoning", "code", "tools", "turns"}
    assert all(hard.parts.values())


def test_what_is_asked_last_decides_whether_it_wants_reasoning():
    before = complexity_of(talk("Prove the theorem, explain why.", "Done.", "Thanks!"))

    assert before.parts["reasoning"] == 0
    assert complexity_of(talk("Prove the theorem, explain why.")).parts["reasoning"] > 0


def test_words_may_be_added():
    assert complexity_of(talk("Bereken de integraal"), ("Bereken",)).parts["reasoning"] > 0
    assert complexity_of(talk("Bereken de integraal")).parts["reasoning"] == 0


def test_a_judgement_names_its_parts_and_nothing_of_the_prompt():
    told = str(complexity_of(talk(HARD)))

    assert "code 0.20" in told
    assert "algorithm" not in told
    assert str(complexity_of(talk("Hi."))) == "0.00 (nothing)"


def strategy(pool, **options):
    return ByComplexity(pool, decode_struct(ComplexityOptions, options, "options"), Facts())


def test_simple_prompts_go_to_the_first_place_and_hard_ones_to_the_last():
    pool = pool_of(1, 1, 1)
    ordering = strategy(pool, thresholds=[0.2, 0.5])
    simple, hard = asking("Hi."), asking(HARD, tools=[{"type": "function", "function": {"name": "f"}}])

    assert names(ordering.order(simple, pool.places)) == ["a", "b", "c"]
    assert names(ordering.order(hard, pool.places)) == ["c", "b", "a"]
    assert simple.state[JUDGED].score < 0.2
    assert hard.state[JUDGED].score > 0.5


def test_thresholds_may_name_their_places():
    pool = pool_of(1, 1, 1)
    ordering = strategy(pool, thresholds={"a": 0.5, "b": 0, "c": 0.01})

    assert names(ordering.order(asking("Hi."), pool.places)) == ["b", "c", "a"]
    assert names(ordering.order(asking(HARD), pool.places)) == ["a", "c", "b"]


def test_a_place_that_is_away_is_stood_in_for_by_the_next_smaller_or_bigger_one():
    pool = pool_of(1, 1, 1)
    ordering = strategy(pool, thresholds=[0.2, 0.5])

    assert names(ordering.order(asking(HARD), pool.places[:2])) == ["b", "a"]
    assert names(ordering.order(asking("Hi."), pool.places[1:])) == ["b", "c"]


def test_members_of_a_target_have_its_score_and_who_waits_for_failures_has_none():
    small, large, spare = pool_of(1, 1, 1).places
    spare.settings = target(name="c", after=["window"])
    members = [place_of(target(name=f"b@{number}")) for number in range(3)]
    for member in members:
        member.label = "b"
    ordering = strategy(Pool.of("pool", [small, large, spare]), thresholds=[0.2])
    now = (small, *members, spare)

    assert names(ordering.order(asking("Hi."), now))[0] == "a"
    assert names(ordering.order(asking(HARD), now)) == ["b@0", "b@1", "b@2", "c", "a"]


def test_what_cannot_be_read_is_ordered_as_written():
    pool = pool_of(1, 1)

    assert strategy(pool).order(make_exchange(), pool.places) is pool.places


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"thresholds": [0.5, 0.2]}, "rising"),
        ({"thresholds": [2]}, "from 0 to 1"),
        ({"thresholds": {"a": -1}}, "from 0 to 1"),
        ({"thresholds": [0.1]}, "1 for 3 places"),
        ({"thresholds": {"zz": 0.1}}, "no place of the pool"),
    ],
)
def test_thresholds_that_fit_no_pool_are_told_at_the_start(options, why):
    with pytest.raises((ConfigError, ConfigErrors), match=why):
        strategy(pool_of(1, 1, 1), **options)


def test_long_texts_take_no_longer_than_their_end():
    spaces = " \n" * 200_000 + "x" * 100_000

    assert complexity_of(talk(spaces)).score <= 1


@pytest.mark.parametrize("odd", ["\n", " \n", "\n\t", ";", "; ", "<a", "`", "\r\n", "def ", "{ \n"])
def test_no_text_that_a_caller_may_write_takes_more_than_a_look_at_each_of_its_characters(odd):
    # A look at every rest of it would be some billion steps, and nobody else would be served for a minute.
    assert complexity_of(talk(odd * (65536 // len(odd)))).score <= 1


def test_code_is_told_behind_blank_lines_and_however_it_is_indented():
    prompt = "Look:\n\n\n    def f(x):\n\n\treturn x;  \n"

    assert complexity_of(talk(prompt)).parts["code"] > complexity_of(talk("Look: def f(x)")).parts["code"]
