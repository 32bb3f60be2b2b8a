"""One target of a Portkey config: whose it is, where, by which key."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.importing.keyrefs import KeyRefs
from llmproxy.importing.portkeytargets import Inherited, Leaf, read_leaf, why
from llmproxy.importing.walking import Note, Walk


def read(target: dict[str, Any], **inherited: Any) -> tuple[Leaf | None, dict[str, str]]:
    notes: list[Note] = []
    walk = Walk(target, "t", notes)
    leaf = read_leaf(walk, KeyRefs(target, notes), Inherited(**inherited).over(walk))
    return leaf, dict(notes)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ({"provider": "openai"}, "openai"),
        ({"provider": "google", "api_key": "k-of-google"}, "gemini"),
        ({"provider": "@anthropic-team-b"}, "anthropic"),
        ({"virtual_key": "fireworks-ai-123"}, "fireworks"),
        ({"override_params": {"model": "@groq/llama-3.1-8b-instant"}}, "groq"),
    ],
)
def test_a_provider_is_found_by_its_name_or_by_what_stands_for_its_key(target: Any, name: str) -> None:
    leaf, _ = read(target)

    assert leaf is not None
    assert leaf.section["provider"] == name


def test_a_target_says_otherwise_than_those_around_it() -> None:
    around = {"model": "m", "timeout": "5s", "host": "https://around.test/v1"}
    own, _ = read(
        {"provider": "openai", "request_timeout": 1500, "override_params": {"model": "n"}}, **around
    )
    none, notes = read({"provider": "openai", "request_timeout": "soon"}, **around)

    assert own is not None
    assert own == ({"base_url": "https://around.test/v1", "timeouts": {"total": "1.5s"}}, "around-test", "n")
    assert none is not None
    assert (none.model, none.section["timeouts"]) == ("m", {"total": "5s"})
    assert "milliseconds" in notes["t.request_timeout"]


def test_a_time_of_more_digits_than_a_number_has_is_none() -> None:
    leaf, notes = read({"provider": "openai", "request_timeout": 10**400})

    assert leaf is not None
    assert notes["t.request_timeout"] == "not a number of milliseconds"


def test_azure_is_found_by_its_resource() -> None:
    good, _ = read(
        {"provider": "azure-openai", "resource_name": "shop-eu", "deployment_id": "d", "api_version": "x"}
    )
    bad, notes = read({"provider": "azure-openai", "resource_name": "a/../b"})

    assert good is not None
    assert good.section["base_url"] == "https://shop-eu.openai.azure.com/openai/v1"
    assert good.model == "d"
    assert bad is not None
    assert bad.section == {"provider": "azure"}
    assert "AZURE_OPENAI_ENDPOINT" in notes["t.resource_name"]


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"provider": "made-up"},
        {"provider": "bedrock"},
        {"virtual_key": "x"},
        {"provider": "openai", "custom_host": "https://user:pass@host"},
        {"provider": 3},
    ],
)
def test_what_leads_nowhere_is_left_out(target: Any) -> None:
    leaf, notes = read(target)

    assert leaf is None
    assert "left out" in notes["t"]


def test_a_star_is_no_model() -> None:
    leaf, notes = read({"provider": "openai", "override_params": {"model": "gpt-*"}})

    assert leaf is not None
    assert leaf.model is None
    assert "t.override_params" in notes


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("aws_region", "cloud"),
        ("input_guardrails", "guardrails"),
        ("forward_headers", "callers"),
        ("x", "not know"),
    ],
)
def test_each_subject_has_its_reason(key: str, word: str) -> None:
    assert word in why(key)
