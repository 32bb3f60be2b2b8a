from __future__ import annotations

import pytest

from llmproxy_cohere.traits import thinks


@pytest.mark.parametrize(
    "model",
    [
        "command",
        "command-light",
        "command-r",
        "command-r-plus-08-2024",
        "command-r7b-12-2024",
        "command-a-03-2025",
        "command-a-vision-07-2025",
        "c4ai-aya-expanse-8b",
        "cohere/command-a-03-2025--rec-1",
    ],
)
def test_models_that_do_not_think_are_known(model: str) -> None:
    assert not thinks(model)


@pytest.mark.parametrize("model", ["command-a-reasoning-08-2025", "command-a-plus-05-2026", "command-x", "m"])
def test_others_may(model: str) -> None:
    assert thinks(model)
