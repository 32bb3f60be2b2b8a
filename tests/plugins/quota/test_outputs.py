import orjson
import pytest

from llmproxy_quota.calls import Kind
from llmproxy_quota.config import QuotaConfig
from llmproxy_quota.outputs import NoBoundError, output_of

CONFIG = QuotaConfig(store="s", limits=(), output=100)


@pytest.mark.parametrize(
    ("kind", "body", "most"),
    [
        ("completions", b'{"prompt": ["a", "b", "c"], "max_tokens": 5, "n": 2}', 30),
        ("completions", b'{"prompt": [[1, 2], [3]], "max_tokens": 5}', 10),
        ("completions", b'{"prompt": [1, 2, 3], "max_tokens": 5}', 5),
        ("completions", b'{"prompt": "a", "max_tokens": 5, "best_of": 4, "n": 2}', 20),
        ("completions", b'{"prompt": "a", "max_tokens": 0}', 100),
        ("chat", b'{"max_tokens": 5, "max_completion_tokens": 9}', 9),
        ("chat", b'{"max_tokens": 5, "n_predict": 900}', 900),
        ("chat", rb'{"max\u005ftokens": 900}', 900),
        ("chat", b'{"max_tokens": 5, "prediction": {"content": "x"}}', 54),
        ("gemini", b'{"generationConfig": {"maxOutputTokens": 6, "candidate_count": 3}}', 18),
        ("cohere", b'{"max_tokens": 6}', 6),
        ("ollama", b'{"options": {"num_predict": 6, "temperature": 0}}', 6),
        ("converse", b'{"inferenceConfig": {"maxTokens": 6}}', 6),
        ("messages", b'{"max_tokens": 5, "thinking": {"type": "enabled", "budget_tokens": 2000}}', 2005),
        ("messages", b'{"max_tokens": 5000, "thinking": {"budget_tokens": 2000}}', 5000),
    ],
)
def test_all_that_lengthens_an_answer_counts(kind: Kind, body: bytes, most: int) -> None:
    found = output_of(kind, body, CONFIG)

    assert (found.most, found.body) == (most, None)


@pytest.mark.parametrize(
    ("kind", "body", "sent"),
    [
        ("chat", {"metadata": {"max_tokens": 1}}, {"max_completion_tokens": 100}),
        ("chat", {"tools": [{"x": {"max_tokens": 1}}]}, {"max_completion_tokens": 100}),
        ("chat", {"maxOutputTokens": 3}, {"max_completion_tokens": 3}),
        ("chat", {"max_tokens": -1}, {"max_tokens": 100, "max_completion_tokens": 100}),
        ("chat", {"max_completion_tokens": 0}, {"max_completion_tokens": 100}),
        (
            "chat",
            {"max_completion_tokens": None, "n_predict": -1},
            {"max_completion_tokens": 100, "n_predict": 100},
        ),
        ("responses", {"max_tokens": 4}, {"max_output_tokens": 4}),
        ("messages", {"metadata": {"user_id": "max_tokens"}}, {"max_tokens": 100}),
        ("gemini", {"generationConfig": None}, {"generationConfig": {"maxOutputTokens": 100}}),
        ("gemini", {"max_tokens": 1}, {"generationConfig": {"maxOutputTokens": 100}}),
        ("cohere", {"messages": []}, {"max_tokens": 100}),
        ("ollama", {"num_predict": 1}, {"options": {"num_predict": 100}}),
        ("ollama", {"options": {"num_predict": -1}}, {"options": {"num_predict": 100}}),
        ("converse", {"messages": []}, {"inferenceConfig": {"maxTokens": 100}}),
    ],
)
def test_what_bounds_nothing_gets_a_bound(
    kind: Kind, body: dict[str, object], sent: dict[str, object]
) -> None:
    found = output_of(kind, orjson.dumps(body), CONFIG)

    assert orjson.loads(found.body or b"") == {**body, **sent}


def test_a_server_that_knows_one_name_is_told_by_it() -> None:
    config = QuotaConfig(store="s", limits=(), bound_chat_by="max_tokens")

    assert output_of("chat", b'{"max_completion_tokens":7}', config).body == (
        b'{"max_completion_tokens":7,"max_tokens":7}'
    )


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("chat", b'{"max_tokens": 1e6}'),
        ("chat", b'{"max_tokens": 5.0}'),
        ("chat", b'{"max_tokens": "100000"}'),
        ("chat", b'{"max_tokens": true}'),
        ("chat", b'{"max_tokens": 99999999999999999999}'),
        ("chat", b'{"max_tokens": 9, "max_tokens": 7}'),
        ("chat", rb'{"max_tokens": 7, "max\u005ftokens": 9}'),
        ("chat", b'{"max_tokens": 7, "MAX_TOKENS": 9}'),
        ("chat", '{"max_tokens": 7, "max_to\u212aens": 9}'.encode()),
        ("chat", b'{"max_tokens": 7, "n": "99"}'),
        ("chat", b'{"max_tokens": 7, "n": 9.0}'),
        ("chat", b'{"max_tokens": 7, "n": 9, "n": 1}'),
        ("chat", b'{"max_tokens": 7, "N": 9}'),
        ("chat", b'{"max_tokens": 7, "models": ["dearer"]}'),
        ("gemini", b'{"generationConfig": {}, "generation_config": {"candidateCount": 8}}'),
        ("gemini", b'{"generationConfig": {"maxOutputTokens": 1, "maxOutputTokens": 9}}'),
        ("gemini", b'{"generationConfig": []}'),
        ("ollama", b'{"options": "num_predict"}'),
        ("ollama", b'{"options": {"num_predict": 1, "Num_Predict": 9}}'),
        ("converse", b'{"inferenceConfig": {"maxTokens": 1.5}}'),
        ("chat", b"[]"),
        ("chat", b"{"),
    ],
)
def test_what_may_be_read_in_two_ways_is_no_bound(kind: Kind, body: bytes) -> None:
    with pytest.raises(NoBoundError):
        output_of(kind, body, CONFIG)
