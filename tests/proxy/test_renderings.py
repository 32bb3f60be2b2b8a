import pytest

from llmproxy.renderings import Rendering, rendering_of


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("gpt-4o", "openai/gpt-4.1-mini"),
        ("gpt-4o", "chatgpt-4o-latest"),
        ("gpt-5-nano", "openai/o3-mini"),
        ("claude-sonnet-4-5", "us.anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("claude-opus-4-7", "anthropic/claude-sonnet-5"),
        ("claude-sonnet-4-20250514", "claude-opus-4-1"),
        ("claude-3-haiku-20240307", "anthropic.claude-v2"),
        ("gemini-3-flash-preview", "models/gemini-flash-latest"),
        ("meta-llama/Llama-3.3-70B", "llama3"),
        ("Qwen/Qwen3-8B", "ollama/qwen2.5"),
    ],
)
def test_models_of_a_family_share_a_row_whatever_stands_around_their_name(one, same):
    assert rendering_of(one) is rendering_of(same)


@pytest.mark.parametrize(
    ("one", "other"),
    [("gpt-4o", "gpt-oss-120b"), ("gemini-2.5-flash", "gemini-2.0-flash"), ("llama3", "llama-4-scout")],
)
def test_families_differ(one, other):
    assert rendering_of(one) != rendering_of(other)


def test_an_unknown_model_is_rendered_as_most_are():
    assert rendering_of("egpt-xcommander") == rendering_of("") == Rendering()
