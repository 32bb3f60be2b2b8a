import pytest

from llmproxy.canonical.claude import traits_of


@pytest.mark.parametrize(
    ("model", "tokens", "thinks", "budgets", "adaptive"),
    [
        ("claude-2.1", 4096, False, False, False),
        ("claude-3-haiku-20240307", 4096, False, False, False),
        ("claude-3-5-sonnet-20241022", 8192, False, False, False),
        ("anthropic/claude-3-7-sonnet@20250219", 32_000, True, True, False),
        ("claude-sonnet-4-20250514", 32_000, True, True, False),
        ("claude-opus-4-1-20250805", 32_000, True, True, False),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", 32_000, True, True, False),
        ("claude-opus-4.6", 32_000, True, True, True),
        ("claude-opus-4-7", 32_000, True, False, True),
        ("claude-sonnet-5", 32_000, True, False, True),
        ("claude-sonnet-4-6--rec-0123456789ab", 32_000, True, True, True),
        ("some-model", 8192, True, True, False),
    ],
)
def test_a_name_tells_what_the_model_takes(model, tokens, thinks, budgets, adaptive):
    traits = traits_of(model)

    assert (traits.max_tokens, traits.thinks, traits.budgets, traits.adaptive) == (
        tokens,
        thinks,
        budgets,
        adaptive,
    )


@pytest.mark.parametrize(
    ("model", "sampling", "both", "schemas", "late"),
    [
        ("claude-3-5-haiku-latest", True, True, False, False),
        ("claude-sonnet-4-0", True, True, False, False),
        ("claude-opus-4-1", True, False, True, False),
        ("claude-sonnet-4-5", True, False, True, False),
        ("claude-opus-4-7", False, False, True, False),
        ("claude-opus-4-8", False, False, True, True),
        ("claude-sonnet-5", False, False, True, False),
        ("claude-sonnet-5-5", False, False, True, True),
        ("claude-fable-5", False, False, True, True),
        ("some-model", True, True, True, False),
    ],
)
def test_a_name_tells_what_the_model_can_be_told(model, sampling, both, schemas, late):
    traits = traits_of(model)

    assert (traits.sampling, traits.both_samplings, traits.schemas, traits.late_system) == (
        sampling,
        both,
        schemas,
        late,
    )


def test_efforts_grow_with_the_models():
    assert traits_of("claude-sonnet-4-5").efforts == ()
    assert "xhigh" not in traits_of("claude-opus-4-6").efforts
    assert "xhigh" in traits_of("claude-opus-4-7").efforts
    assert not traits_of("claude-mythos-5").can_stop_thinking
    assert not traits_of("claude-opus-5-5").can_stop_thinking
    assert traits_of("claude-opus-5").can_stop_thinking
