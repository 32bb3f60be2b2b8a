"""Whole configs of the shapes that Portkey documents: each becomes a configuration that passes the check."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.commands.check import check
from llmproxy.config import decode
from llmproxy.errors import ConfigErrors
from llmproxy.importing.litellm import NothingCarried
from llmproxy.importing.portkey import import_portkey

OPENAI = {"provider": "openai", "api_key": "sk-canary-openai"}
CLAUDE = {
    "provider": "anthropic",
    "api_key": "sk-ant-canary",
    "override_params": {"model": "claude-sonnet-4-20250514", "max_tokens": 512},
}

CONFIGS: dict[str, Any] = {
    "one provider": {**OPENAI, "retry": {"attempts": 3}, "cache": {"mode": "simple", "max_age": 60}},
    "fallback": {"strategy": {"mode": "fallback"}, "targets": [OPENAI, CLAUDE]},
    "fallback on statuses, with virtual keys": {
        "strategy": {"mode": "fallback", "on_status_codes": [429, 529]},
        "targets": [
            {"virtual_key": "openai-main-258f4d"},
            {"provider": "azure-openai", "virtual_key": "azure-test-4110dd", "deployment_id": "gpt-4o-eu"},
        ],
    },
    "load balancing by weights": {
        "strategy": {"mode": "loadbalance"},
        "targets": [
            {**OPENAI, "weight": 0.7},
            {"provider": "openai", "api_key": "sk-canary-second", "weight": 0.3, "request_timeout": 2500},
        ],
    },
    "a fallback of balanced targets": {
        "retry": {"attempts": 2, "on_status_codes": [429], "use_retry_after_header": False},
        "request_timeout": 10000,
        "strategy": {
            "mode": "fallback",
            "cb_config": {"failure_threshold": 4, "cooldown_interval": 90000, "failure_status_codes": [500]},
        },
        "targets": [
            {
                "name": "balanced",
                "strategy": {"mode": "loadbalance"},
                "targets": [
                    {"provider": "@openai-prod", "weight": 3},
                    {"override_params": {"model": "@openai-spare/gpt-4o-mini"}, "weight": 1},
                ],
            },
            {**CLAUDE, "retry": {"attempts": 4}, "cache": "simple"},
        ],
    },
    "conditions": {
        "strategy": {
            "mode": "conditional",
            "conditions": [
                {"query": {"metadata.user_plan": {"$eq": "paid"}}, "then": "large"},
                {
                    "query": {"$or": [{"params.model": "smart"}, {"url.pathname": {"$regex": "^/v1/resp"}}]},
                    "then": "large",
                },
                {"query": {"params.temperature": {"$gt": 0.7}}, "then": "large"},
                {"query": {"params.model": "x"}, "then": "gone"},
            ],
            "default": "small",
        },
        "targets": [
            {"name": "large", **OPENAI, "override_params": {"model": "gpt-4.1"}},
            {"name": "small", **OPENAI, "override_params": {"model": "gpt-4.1-nano"}},
        ],
    },
    "as the API gives it, in the other spelling": {
        "success": True,
        "data": {
            "config": {
                "strategy": {"mode": "single", "onStatusCodes": [500]},
                "targets": [
                    {
                        "provider": "mistral-ai",
                        "apiKey": "canary",
                        "overrideParams": {"model": "mistral-small-latest"},
                    },
                    OPENAI,
                ],
                "requestTimeout": 5000,
            }
        },
    },
    "hosts of one's own": {
        "custom_host": "http://10.0.0.7:8000/v1",
        "forward_headers": ["x-team"],
        "strategy": {"mode": "loadbalance"},
        "targets": [
            OPENAI,
            {"provider": "ollama", "custom_host": "http://127.0.0.1:11434/v1"},
            {"provider": "made-up", "api_key": "canary", "custom_host": "https://made.up/v1"},
        ],
    },
    "what cannot be reached": {
        "strategy": {"mode": "fallback"},
        "input_guardrails": ["pii"],
        "targets": [
            {"provider": "bedrock", "aws_region": "us-east-1", "aws_access_key_id": "canary"},
            {"provider": "vertex-ai", "vertex_region": "us-central1"},
            {"virtual_key": "who-knows"},
            {**OPENAI, "openai_organization": "org-1", "cache": {"mode": "semantic"}},
        ],
    },
}


def carried(config: Any) -> tuple[dict[str, Any], dict[str, str], str]:
    imported = import_portkey(config)
    return imported.tree, {note.path: note.text for note in imported.notes}, str(imported)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_documented_shape_becomes_a_configuration_that_can_be_served(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, _, everything = carried(CONFIGS[name])
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://place.test")
    for variable in re.findall(r"\$\{env:(\w+)\}", path.read_text()):
        monkeypatch.setenv(variable, f"key-of-{variable}-0123456789")

    assert check(path, effective=False).startswith("ok: 1 route")
    assert "canary" not in everything


def test_one_provider_is_a_pool_of_one_place_that_is_tried_again() -> None:
    tree, notes, _ = carried(CONFIGS["one provider"])

    assert tree == {
        "listen": "127.0.0.1:8787",
        "stores": {"answers": "memory://"},
        "upstreams": {"openai": {"provider": "openai", "api_key": "${env:OPENAI_API_KEY}"}},
        "pools": {"portkey": {"targets": [{"upstream": "openai"}]}},
        "plugins": {
            "access": {"mode": "open"},
            "cache": {"store": "answers"},
            "balance": {"retries": 3},
        },
        "pipeline": ["access"],
        "routes": [
            {
                "name": "portkey",
                "match": {"path": "/*"},
                "plugins": [{"cache": {"ttl": "60s", "invalidation": ["ttl"]}}],
                "attempts": 4,
                "pool": "portkey",
            }
        ],
    }
    assert "set OPENAI_API_KEY to it" in notes["api_key"]


def test_fallback_is_a_pool_in_the_written_order() -> None:
    tree, notes, _ = carried(CONFIGS["fallback"])

    assert tree["pools"] == {
        "portkey": {
            "targets": [
                {"upstream": "openai"},
                {"upstream": "anthropic", "model": "claude-sonnet-4-20250514"},
            ]
        }
    }
    assert "attempts" not in tree["routes"][0]
    assert {"strategy.on_status_codes", "targets[1].override_params.max_tokens"} <= notes.keys()


def test_keys_that_portkey_keeps_are_variables_to_be_set() -> None:
    tree, notes, _ = carried(CONFIGS["fallback on statuses, with virtual keys"])

    assert tree["upstreams"] == {
        "openai": {"provider": "openai", "api_key": "${env:OPENAI_API_KEY}"},
        "azure": {"provider": "azure", "api_key": "${env:AZURE_OPENAI_API_KEY}"},
    }
    assert tree["pools"]["portkey"]["targets"][1] == {"upstream": "azure", "model": "gpt-4o-eu"}
    assert "Portkey keeps the key" in notes["targets[0].virtual_key"]
    assert "set AZURE_OPENAI_API_KEY" in notes["targets[1].virtual_key"]
    assert "whichever its status" in notes["strategy.on_status_codes"]


def test_weights_come_over() -> None:
    tree, _, _ = carried(CONFIGS["load balancing by weights"])

    assert tree["pools"]["portkey"] == {
        "strategy": "weighted",
        "targets": [{"upstream": "openai", "weight": 0.7}, {"upstream": "openai-2", "weight": 0.3}],
    }
    assert tree["upstreams"]["openai-2"] == {
        "provider": "openai",
        "api_key": "${env:OPENAI_2_API_KEY}",
        "timeouts": {"total": "2.5s"},
    }


def test_pools_lie_within_one_another() -> None:
    tree, notes, _ = carried(CONFIGS["a fallback of balanced targets"])

    assert tree["pools"] == {
        "balanced": {
            "strategy": "weighted",
            "targets": [
                {"upstream": "openai", "weight": 3.0},
                {"upstream": "openai-2", "model": "gpt-4o-mini", "weight": 1.0},
            ],
        },
        "portkey": {
            "targets": [
                {"pool": "balanced"},
                {"upstream": "anthropic", "model": "claude-sonnet-4-20250514"},
            ]
        },
    }
    assert tree["plugins"]["balance"] == {
        "retries": 4,
        "health": {"failures": 4, "rest": "90s", "longest_rest": "90s"},
    }
    assert tree["routes"][0]["attempts"] == 15
    assert all(each["timeouts"] == {"total": "10s"} for each in tree["upstreams"].values())
    assert {
        "retry.on_status_codes",
        "retry.use_retry_after_header",
        "strategy.cb_config.failure_status_codes",
        "targets[0].targets[0].provider",
        "targets[0].targets[1].override_params",
        "targets[1].retry.attempts",
        "targets[1].cache",
    } <= notes.keys()


def test_conditions_are_asked_in_their_order_and_the_default_comes_last() -> None:
    tree, notes, _ = carried(CONFIGS["conditions"])
    targets = tree["pools"]["portkey"]["targets"]

    assert targets[0] == {
        "upstream": "openai",
        "model": "gpt-4.1",
        "when": r'"x-portkey-metadata" in headers && '
        r'headers["x-portkey-metadata"].matches("\"user_plan\"\\s*:\\s*\"paid\"")',
    }
    assert targets[1] == {
        "pool": "portkey-again",
        "when": '(model == "smart") || (path.matches("^/v1/resp"))',
    }
    assert tree["pools"]["portkey-again"] == {"targets": [{"upstream": "openai", "model": "gpt-4.1"}]}
    assert targets[2:] == [{"upstream": "openai", "model": "gpt-4.1-nano"}]
    assert "temperature" in notes["strategy.conditions[2].query"]
    assert "strategy.conditions[3].then" in notes


def test_either_spelling_and_any_wrapping_is_read() -> None:
    tree, notes, _ = carried(CONFIGS["as the API gives it, in the other spelling"])

    assert tree["upstreams"] == {
        "mistral": {
            "provider": "mistral",
            "api_key": "${env:MISTRAL_API_KEY}",
            "timeouts": {"total": "5s"},
        }
    }
    assert tree["pools"]["portkey"]["targets"] == [{"upstream": "mistral", "model": "mistral-small-latest"}]
    assert "data.config.targets[1]" in notes


def test_more_targets_than_anybody_tries_are_left_out() -> None:
    names = [f"http://h{number}.test/v1" for number in range(300)]
    targets = [{"provider": "openai", "custom_host": name} for name in names]
    imported = import_portkey({"strategy": {"mode": "loadbalance"}, "targets": targets})

    assert len(imported.tree["pools"]["portkey"]["targets"]) == 200
    assert "more than 200" in dict(imported.notes)["targets"]


def test_hosts_of_ones_own_come_over() -> None:
    tree, notes, _ = carried(CONFIGS["hosts of one's own"])

    assert {name: each["base_url"] for name, each in tree["upstreams"].items()} == {
        "10-0-0-7-8000": "http://10.0.0.7:8000/v1",
        "ollama": "http://127.0.0.1:11434/v1",
        "made-up": "https://made.up/v1",
    }
    assert "forward_headers" in notes


def test_what_cannot_be_reached_is_left_out_and_told() -> None:
    tree, notes, _ = carried(CONFIGS["what cannot be reached"])

    assert list(tree["upstreams"]) == ["openai"]
    assert tree["upstreams"]["openai"]["headers"] == {"OpenAI-Organization": "org-1"}
    assert tree["pools"]["portkey"]["targets"] == [{"upstream": "openai"}]
    assert tree["routes"][0]["plugins"] == [{"cache": {"ttl": "604800s", "invalidation": ["ttl"]}}]
    assert {f"targets[{index}]" for index in range(3)} <= notes.keys()
    assert "guardrails" in notes["input_guardrails"]
    assert "semantic" in notes["targets[3].cache.mode"]


@pytest.mark.parametrize(
    "tree", [{}, {"targets": []}, {"strategy": {"mode": "single"}}, {"config": {"cache": "simple"}}]
)
def test_a_config_without_a_target_that_can_be_served_is_refused(tree: dict[str, Any]) -> None:
    with pytest.raises(NothingCarried):
        import_portkey(tree)


WORDY = """
    strategy mode conditions query then default targets provider api_key virtual_key weight retry attempts cache
    max_age request_timeout custom_host override_params model name on_status_codes cb_config failure_threshold
    cooldown_interval minimum_requests failure_threshold_percentage deployment_id resource_name
    """
KEYS = st.sampled_from(WORDY.split())
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
WORDS = st.sampled_from(
    [
        "fallback",
        "loadbalance",
        "conditional",
        "openai",
        "@openai-x",
        "@a/b",
        "https://a.test",
        "params.model",
        "azure",
    ]
)
TREES = st.recursive(
    VALUES | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | WORDS, inner, max_size=6),
    max_leaves=30,
)


def mistakes(tree: dict[str, Any]) -> list[str]:
    """Return what is wrong with a configuration, but for keys and addresses that this test does not have."""
    try:
        decode(tree, environ={}, read_file=str)
    except ConfigErrors as fault:
        return [str(error) for error in fault.errors if not error.path.startswith("upstreams")]
    return []


@given(st.dictionaries(KEYS, TREES, max_size=6))
def test_no_config_is_too_odd(tree: dict[str, Any]) -> None:
    config = {"strategy": {"mode": "fallback"}, **tree, "targets": [{**tree, "provider": "groq"}, tree]}
    with suppress(NothingCarried):
        imported = import_portkey(config)

        assert imported.tree["pools"]
        assert mistakes(orjson.loads(orjson.dumps(imported.tree))) == []
