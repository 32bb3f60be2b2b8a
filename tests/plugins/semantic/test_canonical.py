"""One form for texts that say the same, and two for those that do not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_semantic.canonical import canonicalise

WORDS = ["what", "is", "the", "5", "five", "can't", '"C d"', "?", ".", ",", "please", "hi", "US", "us"]
PAIRS = Path(__file__).parents[4] / "shared" / "data" / "semantic_pairs_dev.jsonl"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is the capital of France?", "what is  the capital of france"),
        ("What's the capital of France?", "What is the capital of France?"),
        ("What\u2019s the capital of France?", "What's the capital of France?"),
        ("I can't log in", "I cannot log in."),
        ("They won't start, why?", "they will not start, why?"),
        ("Hi there, what is 2 + 2?", "What is 2 + 2?"),
        ("Hello, I have a question. What is DNS?", "What is DNS?"),
        ("Could you help me with this: how do I sort a list?", "How do I sort a list?"),
        ("Can you please explain DNS?", "Explain DNS"),
        ("Please explain DNS", "Explain DNS, thanks in advance!"),
        ("How do I study? pls", "How do I study?"),
        ("Name the top ten snacks.", "Name the top 10 snacks"),
        ("How much is 1,000 dollars?", "How much is 1000 dollars?"),
        ("What is 20 percent of 50?", "What is 20% of 50?"),
        ("Write two hundred words", "Write 200 words"),
        ("What is twenty-five plus six", "what is 25 plus 6?"),
        ("How do I organise colours?", "how do i organize colors?"),
        ("Is it actually raining?", "Is it raining?"),
        ("List these:\n\n a\n b", "List these:\n a\n b"),
        ("WHO IS THE PRESIDENT?", "who is the president?"),
    ],
)
def test_texts_that_say_the_same_have_one_form(one: str, other: str) -> None:
    assert canonicalise(one) == canonicalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Is the US large?", "Is us large?"),
        ("What is WHO?", "What is who?"),
        ("Fix `Foo.bar`", "Fix `foo.bar`"),
        ('Translate "Can\'t stop"', 'Translate "cannot stop"'),
        ("GET https://a.test/Items", "GET https://a.test/items"),
        ("Run ls -L", "Run ls -l /"),
        ("What is a_b?", "What is A_b?"),
        ("for i in x:\n  a()\nb()", "for i in x:\n  a()\n  b()"),
        ("Why do people not vote?", "Why do people vote?"),
        ("You are leaving.", "You are leaving?"),
        ("What is 1.5 + 1?", "What is 15 + 1?"),
        ("What is 1,5?", "What is 15?"),
        ("Explain in five sentences", "Explain in six sentences"),
        ("What is 5 - 3?", "What is 5 + 3?"),
        ("Write 2 hundred-word essays", "Write 200-word essays"),
        ("thanks", "please"),
        ("Say hello", "Say"),
        ("Is this please?", "Is this"),
    ],
)
def test_texts_that_do_not_have_two(one: str, other: str) -> None:
    assert canonicalise(one) != canonicalise(other)


@given(st.text(max_size=80))
def test_any_text_has_a_form_and_the_form_of_lines_is_not_much_longer(text: str) -> None:
    assert len(canonicalise(text)) <= 3 * len(text) + 16


@given(st.lists(st.sampled_from(WORDS), max_size=9))
def test_space_and_case_outside_of_what_is_kept_never_matter(words: list[str]) -> None:
    text = " ".join(words)

    assert canonicalise(text) == canonicalise(f"  {text} ")
    assert canonicalise(text) == canonicalise(text.replace(" what ", "  What "))


@given(st.text(alphabet=" abA5'\"`?.,-\n\tps", max_size=40))
def test_a_form_is_its_own_form(text: str) -> None:
    form = canonicalise(text)

    assert canonicalise(form) == canonicalise(canonicalise(form))


def test_a_long_hostile_text_takes_no_time_to_speak_of() -> None:
    for text in (
        "a" * 100_000,
        "please " * 20_000,
        "'" * 50_000,
        "hi, " * 30_000,
        "1," * 50_000,
        "\n" * 90_000,
    ):
        canonicalise(text)


@pytest.mark.shared
@pytest.mark.skipif(not PAIRS.exists(), reason="the labelled pairs are not here")
def test_the_labelled_pairs_are_told_apart() -> None:
    same: Counter[tuple[str, int]] = Counter()
    all_of: Counter[tuple[str, int]] = Counter()
    for line in PAIRS.read_bytes().splitlines():
        pair = orjson.loads(line)
        kind = pair["kind"], pair["label"]
        all_of[kind] += 1
        same[kind] += canonicalise(pair["prompt_a"]) == canonicalise(pair["prompt_b"])
    easy = [(kind, 1) for kind in ("wrapper", "case", "contraction", "number_form")]

    assert sum(same[kind] for kind in all_of if kind[1] == 0) == 0
    assert sum(same[kind] for kind in easy) >= 0.95 * sum(all_of[kind] for kind in easy)
