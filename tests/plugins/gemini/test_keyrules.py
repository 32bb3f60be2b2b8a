"""What decides the answer of Gemini's calls."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import KeyRules, Reading
from llmproxy_gemini.keyrules import COUNT, EMBED, GENERATE, PREDICT, hosted, rules_of

HI = [{"role": "user", "parts": [{"text": "hi"}]}]


def read(body: dict[str, Any], rules: KeyRules = GENERATE) -> Reading:
    return rules.read(body, str.strip)


@pytest.mark.parametrize(
    ("verb", "rules"),
    [
        ("generateContent", GENERATE),
        ("streamGenerateContent", GENERATE),
        ("countTokens", COUNT),
        ("batchEmbedContents", EMBED),
        ("predict", PREDICT),
        ("predictLongRunning", None),
    ],
)
def test_the_verb_says_which_call_it_is(verb: str, rules: KeyRules | None) -> None:
    assert rules_of(f"/v1beta/models/gemini-2.5-flash:{verb}") is rules


def test_names_with_underscores_are_the_same_names() -> None:
    plain = {
        "contents": HI,
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {"maxOutputTokens": 5},
    }
    written = {
        "contents": [{"role": "user", "parts": [{"text": " hi"}]}],
        "system_instruction": {"parts": [{"text": "Be brief. "}]},
        "generation_config": {"max_output_tokens": 5, "candidate_count": 1},
    }

    assert read(written).counted == plain


def test_the_temperature_stands_in_the_config() -> None:
    assert read({"contents": HI, "generation_config": {"temperature": 0.0}}).temperature == 0


@pytest.mark.parametrize(
    ("body", "ground"),
    [
        ({"cachedContent": "cachedContents/1"}, "references"),
        ({"tools": [{"google_search": {}}]}, "hosted-tools"),
        ({"tools": [{"functionDeclarations": [], "codeExecution": {}}]}, "hosted-tools"),
        ({"contents": [{"parts": [{"fileData": {"fileUri": "https://a"}}]}]}, "references"),
    ],
)
def test_grounds_are_told(body: dict[str, Any], ground: str) -> None:
    assert read(body).grounds == {ground}


def test_functions_of_the_caller_are_not_hosted() -> None:
    assert not hosted({"functionDeclarations": [{"name": "f"}]})


def test_texts_to_embed_are_read_wherever_they_stand() -> None:
    assert read({"content": {"parts": [{"text": " a "}]}}, EMBED).counted == {
        "content": {"parts": [{"text": "a"}]}
    }
    assert read({"requests": [{"content": {"parts": [{"text": " a "}]}}]}, EMBED).counted == {
        "requests": [{"content": {"parts": [{"text": "a"}]}}]
    }


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        (b'{"candidates":[{"finishReason": "STOP"}]}', True),
        (b'{"candidates":[{"finishReason":"MAX_TOKENS"}]}', False),
        (b'{"candidates":[{"finishReason":"STOP"},{"finishReason":"SAFETY"}]}', False),
        (b'{"promptFeedback":{"blockReason":"SAFETY"}}', False),
        (b'{"candidates":[{}]}', False),
    ],
)
def test_only_what_is_whole_and_without_a_flaw_is_kept(answer: bytes, good: bool) -> None:
    assert GENERATE.keeps(answer) == good


@pytest.mark.parametrize(
    "contents",
    [
        {"role": "user", "parts": {"fileData": {"fileUri": "https://a"}}},
        [{"role": "user", "parts": {"fileData": {"fileUri": "https://a"}}}],
        [{"parts": [{"fileData": {"file_uri": "https://a"}}]}],
        [{"parts": [{"text": "", "fileData": {"fileUri": "https://a"}}]}],
        [{"parts": [{"functionResponse": {"parts": [{"fileData": {"fileUri": "https://a"}}]}}]}],
    ],
)
def test_files_are_found_where_one_stands_in_a_lists_place_and_in_results(contents: Any) -> None:
    assert read({"contents": contents}).grounds == {"references"}


def test_a_tool_that_stands_in_the_lists_place_is_one() -> None:
    assert read({"contents": HI, "tools": {"googleSearch": {}}}).grounds == {"hosted-tools"}


def test_vectors_that_are_predicted_are_the_same_each_time() -> None:
    vectors = rules_of("/v1/publishers/google/models/text-embedding-005:predict")
    pictures = rules_of("/v1/publishers/google/models/imagen-4:predict")

    assert vectors is not None
    assert pictures is not None
    assert (vectors.deterministic, pictures.deterministic) == (True, False)
