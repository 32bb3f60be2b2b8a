"""Whole files of the shapes that LiteLLM documents: each becomes a configuration that passes the check."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.commands.check import check
from llmproxy.config import decode
from llmproxy.errors import ConfigErrors
from llmproxy.importing.litellm import NothingCarried, import_litellm

CONFIGS: dict[str, str] = {
    "quick start": """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: gpt-4o, api_key: os.environ/OPENAI_API_KEY}
  - model_name: claude-sonnet
    litellm_params: {model: anthropic/claude-sonnet-4-20250514, api_key: os.environ/ANTHROPIC_API_KEY}
""",
    "keys written out": """
model_list:
  - model_name: a
    litellm_params: {model: openai/gpt-4o, api_key: sk-canary-one, organization: org-1}
  - model_name: b
    litellm_params: {model: openai/gpt-4o, api_key: sk-canary-two}
  - model_name: c
    litellm_params: {model: groq/llama-3.1-8b-instant, api_key: gsk_canary}
general_settings: {master_key: sk-canary-master-key}
""",
    "load balancing on azure": """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://my-endpoint-europe.openai.azure.com/
      api_key: os.environ/AZURE_API_KEY_EU
      rpm: 6
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-ca
      api_base: https://my-endpoint-canada.openai.azure.com/
      api_key: os.environ/AZURE_API_KEY_CA
      rpm: 6
router_settings:
  routing_strategy: simple-shuffle
  model_group_alias: {"gpt-4": "gpt-4o"}
  num_retries: 2
  timeout: 30
  redis_host: os.environ/REDIS_HOST
""",
    "servers of one's own": """
model_list:
  - model_name: vllm-models
    litellm_params: {model: openai/facebook/opt-125m, api_base: "http://127.0.0.1:4001/v1", api_key: none, rpm: 1440}
    model_info: {version: 2}
  - model_name: llama
    litellm_params: {model: ollama/llama3, api_base: "http://127.0.0.1:11434"}
  - model_name: hosted
    litellm_params: {model: hosted_vllm/meta/llama, api_base: "os.environ/VLLM_BASE"}
  - model_name: bge
    litellm_params: {model: xinference/bge-base-en, api_base: "http://127.0.0.1:9997/v1"}
    model_info: {mode: embedding}
""",
    "wildcards": """
model_list:
  - model_name: "openai/*"
    litellm_params: {model: "openai/*", api_key: os.environ/OPENAI_API_KEY}
  - model_name: "anthropic/*"
    litellm_params: {model: "anthropic/*", api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: "claude-*"
    litellm_params: {model: "anthropic/claude-*", api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: "*"
    litellm_params: {model: "groq/*", api_key: os.environ/GROQ_API_KEY}
  - model_name: one
    litellm_params: {model: "groq/*", api_key: os.environ/GROQ_API_KEY}
""",
    "any provider": """
model_list:
  - model_name: "*"
    litellm_params: {model: "*"}
  - model_name: gemini
    litellm_params: {model: gemini/gemini-2.5-flash, api_key: os.environ/GEMINI_API_KEY}
""",
    "credentials by name": """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, litellm_credential_name: default_azure}
  - model_name: lost
    litellm_params: {model: groq/x, litellm_credential_name: gone}
credential_list:
  - credential_name: default_azure
    credential_values:
      api_key: os.environ/AZURE_API_KEY
      api_base: os.environ/AZURE_API_BASE
      api_version: "2023-05-15"
    credential_info: {description: "Production"}
""",
    "other clouds": """
model_list:
  - model_name: claude
    litellm_params: {model: bedrock/anthropic.claude-v2, aws_region_name: us-east-1}
  - model_name: claude
    litellm_params: {model: anthropic/claude-3-5-haiku-latest, api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: gemini
    litellm_params: {model: vertex_ai/gemini-pro, vertex_project: p, vertex_location: us-central1}
""",
    "budgets of all kinds": """
model_list:
  - model_name: fast
    litellm_params: {model: groq/llama-3.1-8b-instant, api_key: os.environ/KEY_A, rpm: 60, tpm: 9000,
      max_budget: 2.5, budget_duration: 7d, input_cost_per_token: 0.0000015, output_cost_per_token: 2e-6}
  - model_name: fast
    litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/KEY_B, rpm: 40}
  - model_name: "mine[1]"
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/KEY_B, max_budget: 1, budget_duration: 12h}
litellm_settings:
  max_budget: 100
  budget_duration: 30d
  max_internal_user_budget: 5
  default_key_generate_params: {max_budget: 1.25, budget_duration: 1d, rpm_limit: 10, models: [fast]}
  upperbound_key_generate_params: {max_parallel_requests: 4, duration: 30d}
  default_team_params: {tpm_limit: 5000}
router_settings: {optional_pre_call_checks: [enforce_model_rate_limits]}
general_settings: {master_key: os.environ/LITELLM_MASTER_KEY, global_max_parallel_requests: 100}
""",
    "caches, callbacks, budgets": """
model_list:
  - model_name: fast
    litellm_params: {model: together_ai/meta-llama/Llama-3-8b, api_key: os.environ/TOGETHERAI_API_KEY, max_tokens: 20}
    model_info: {input_cost_per_token: 0.00003, base_model: x}
litellm_settings:
  drop_params: true
  cache: true
  cache_params: {type: redis, host: localhost, password: canary-password}
  success_callback: ["langfuse", "prometheus"]
  max_budget: 100
  request_timeout: 600
  json_logs: true
  set_verbose: false
  fallbacks: [{"fast": ["slow"]}]
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
  database_url: postgresql://user:canary@host/db
  alerting: ["slack"]
environment_variables: {LANGFUSE_SECRET_KEY: canary-secret}
""",
    "hidden aliases": """
model_list:
  - model_name: gpt-3.5-turbo
    litellm_params: {model: openai/gpt-3.5-turbo, api_key: os.environ/OPENAI_API_KEY}
router_settings:
  model_group_alias:
    "GPT-3.5-turbo": {model: "gpt-3.5-turbo", hidden: true}
    "gpt-3.5-turbo": "gpt-3.5-turbo"
    nowhere: not-there
""",
    "strict about parameters": """
model_list:
  - model_name: m
    litellm_params: {model: mistral/mistral-small-latest, api_key: os.environ/MISTRAL_API_KEY, timeout: 30}
  - model_name: d
    litellm_params: {model: deepseek/deepseek-chat, api_key: os.environ/DEEPSEEK_API_KEY}
litellm_settings: {drop_params: false, callbacks: prometheus}
""",
    "headers and a proxy behind": """
model_list:
  - model_name: m
    litellm_params:
      model: litellm_proxy/gpt-4o
      api_base: https://other.test
      api_key: sk-canary-behind
      extra_headers: {"X-Team": blue, "x-api-key": canary-header}
      ssl_verify: false
guardrails: [{guardrail_name: g}]
mcp_servers: {m: {url: "http://x"}}
""",
    "weights and orders": """
model_list:
  - model_name: chat
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/KEY_A, weight: 9, order: 1, max_parallel_requests: 50}
  - model_name: chat
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/KEY_B, weight: 1, order: 1}
  - model_name: chat
    litellm_params: {model: groq/llama-3.3-70b-versatile, api_key: os.environ/KEY_C, order: 2, stream_timeout: 3}
router_settings:
  routing_strategy: latency-based-routing
  allowed_fails: 3
  cooldown_time: 90
  retry_after: 3
  enable_pre_call_checks: true
  retry_policy: {RateLimitErrorRetries: 2, BadRequestErrorRetries: 0}
""",
    "fallbacks of every kind": """
model_list:
  - model_name: small
    litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/OPENAI_API_KEY}
  - model_name: large
    litellm_params: {model: openai/gpt-4.1, api_key: os.environ/OPENAI_API_KEY}
  - model_name: large
    litellm_params: {model: azure/gpt-4.1, api_base: "https://a.test", api_key: os.environ/AZURE_API_KEY}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-20250514, api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: "groq/*"
    litellm_params: {model: "groq/*", api_key: os.environ/GROQ_API_KEY}
router_settings:
  num_retries: 0
  disable_cooldowns: true
  model_group_alias: {cheap: small}
  fallbacks:
    - small: [large, cheap, "groq/llama-3.1-8b-instant", gone]
    - "groq/llama-3.3-70b-versatile": [claude]
    - claude: [{model: large, temperature: 0}]
    - "groq/*": [small]
    - absent: [small]
  context_window_fallbacks: [{small: [large]}, {large: [claude]}]
litellm_settings:
  content_policy_fallbacks: [{small: [claude]}]
  default_fallbacks: [large]
  num_retries: 7
""",
}


def carried(text: str) -> tuple[dict[str, Any], dict[str, str], str]:
    imported = import_litellm(yaml.safe_load(text))
    return imported.tree, {note.path: note.text for note in imported.notes}, str(imported)


def models(tree: dict[str, Any]) -> Any:
    return tree["routes"][0]["models"]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_documented_shape_becomes_a_configuration_that_can_be_served(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, _, everything = carried(CONFIGS[name])
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    monkeypatch.setenv("GROQ_API_KEY", "gsk_0123456789")  # taken unasked, where the file says none
    for variable in re.findall(r"\$\{env:(\w+)\}", path.read_text()):
        is_place = "BASE" in variable
        monkeypatch.setenv(variable, "https://place.test" if is_place else f"key-of-{variable}-0123456789")

    assert check(path, effective=False).startswith("ok: 1 route")
    assert "canary" not in everything


def test_models_and_keys_come_over() -> None:
    tree, notes, _ = carried(CONFIGS["quick start"])

    assert tree["upstreams"] == {
        "openai": {"provider": "openai", "api_key": "${env:OPENAI_API_KEY}"},
        "anthropic": {"provider": "anthropic", "api_key": "${env:ANTHROPIC_API_KEY}"},
    }
    assert models(tree) == {
        "gpt-4o": {"upstream": "openai"},
        "claude-sonnet": {"upstream": "anthropic", "model": "claude-sonnet-4-20250514"},
    }
    assert tree["plugins"] == {"access": {"mode": "open"}}
    assert set(notes) == {"general_settings.master_key", "listen"}


def test_secrets_written_out_become_variables_to_be_set() -> None:
    tree, notes, _ = carried(CONFIGS["keys written out"])

    assert [each["api_key"] for each in tree["upstreams"].values()] == [
        "${env:OPENAI_API_KEY}",
        "${env:OPENAI_2_API_KEY}",
        "${env:GROQ_API_KEY}",
    ]
    assert "set OPENAI_2_API_KEY" in notes["model_list[1].litellm_params.api_key"]
    (key,) = tree["plugins"]["access"]["keys"]
    assert key == {"name": "master", "tenant": "default", "key": "${env:LITELLM_MASTER_KEY}"}


def test_several_deployments_of_a_name_are_a_pool() -> None:
    balanced, notes, _ = carried(CONFIGS["load balancing on azure"])
    clouds, told, _ = carried(CONFIGS["other clouds"])

    assert models(balanced) == {"gpt-4o": {"pool": "gpt-4o"}, "gpt-4": "gpt-4o"}
    assert balanced["pools"] == {
        "gpt-4o": {
            "strategy": "weighted",
            "targets": [
                {"upstream": "azure", "model": "gpt-4o-eu"},
                {"upstream": "azure-2", "model": "gpt-4o-ca"},
            ],
        }
    }
    assert balanced["plugins"]["balance"] == {"retries": 1}
    assert balanced["routes"][0]["attempts"] == 4
    assert "as a weight" in notes["model_list[1].litellm_params.rpm"]
    assert balanced["upstreams"]["azure"]["timeouts"] == {"total": "30s"}
    assert models(clouds) == {"claude": {"upstream": "anthropic", "model": "claude-3-5-haiku-latest"}}
    assert {"model_list[0].litellm_params.model", "model_list[2].litellm_params.model"} <= told.keys()


def test_budgets_and_rates_are_limits_and_costs_are_prices() -> None:
    tree, notes, _ = carried(CONFIGS["budgets of all kinds"])
    limits = {each.pop("name"): each for each in tree["plugins"]["quota"]["limits"]}

    assert limits == {
        "proxy-budget": {"counts": "money", "window": "month", "at_most": 100},
        "user-budget": {"scope": "user", "counts": "money", "rolling": "3650d", "at_most": 5},
        "default-key-budget": {"scope": "key", "counts": "money", "window": "day", "at_most": 1.25},
        "default-key-rpm": {"scope": "key", "counts": "requests", "window": "minute", "at_most": 10},
        "default-team-tpm": {
            "scope": "team",
            "counts": "tokens",
            "mode": "soft",
            "window": "minute",
            "at_most": 5000,
        },
        "upperbound-key-in-flight": {"scope": "key", "counts": "in_flight", "at_most": 4},
        "proxy-in-flight": {"counts": "in_flight", "at_most": 100},
        "mine-1-budget": {
            "scope": "model",
            "match": "mine[[]1]",
            "across": True,
            "counts": "money",
            "rolling": "12h",
            "at_most": 1,
        },
        "fast-rpm": {
            "scope": "model",
            "match": "fast",
            "across": True,
            "counts": "requests",
            "window": "minute",
            "at_most": 100,
        },
    }
    assert tree["prices"] == {"groq/llama-3.1-8b-instant": {"input": 1.5, "output": 2.0}}
    assert tree["pipeline"] == ["access", "quota"]
    assert {
        "litellm_settings.max_internal_user_budget",
        "litellm_settings.default_team_params.tpm_limit",
        "litellm_settings.default_key_generate_params.models",
        "litellm_settings.upperbound_key_generate_params.duration",
        "model_list[0].litellm_params.max_budget",
        "stores",
    } <= notes.keys()


def test_wildcards_stay_wildcards() -> None:
    tree, notes, _ = carried(CONFIGS["wildcards"])

    assert models(tree) == {
        "openai/*": {"upstream": "openai", "model": "*"},
        "anthropic/*": {"upstream": "anthropic", "model": "*"},
        "claude-*": {"upstream": "anthropic"},
        "*": {"upstream": "groq"},
    }
    assert "wildcard" in notes["model_list[4].litellm_params.model"]


def test_credentials_are_found_by_their_names() -> None:
    tree, notes, _ = carried(CONFIGS["credentials by name"])

    assert tree["upstreams"]["azure"] == {
        "provider": "azure",
        "base_url": "${env:AZURE_API_BASE}/openai/v1",
        "api_key": "${env:AZURE_API_KEY}",
    }
    assert "model_list[1].litellm_params.litellm_credential_name" in notes


def test_settings_with_a_counterpart_here_come_over() -> None:
    tree, _, _ = carried(CONFIGS["caches, callbacks, budgets"])
    strict, _, _ = carried(CONFIGS["strict about parameters"])

    assert tree["log"] == {"format": "json"}
    assert tree["pipeline"] == ["metrics", "access", "quota"]
    assert tree["routes"][0]["lossy"] == "warn"
    assert tree["upstreams"]["together"]["timeouts"] == {"total": "600s"}
    assert tree["plugins"]["access"]["keys"][0]["key"] == "${env:LITELLM_MASTER_KEY}"
    assert (strict["routes"][0]["lossy"], strict["pipeline"]) == ("refuse", ["metrics", "access"])


def test_aliases_lead_to_what_was_carried() -> None:
    tree, notes, _ = carried(CONFIGS["hidden aliases"])

    assert models(tree)["GPT-3.5-turbo"] == "gpt-3.5-turbo"
    assert "nowhere" not in models(tree)
    assert "router_settings.model_group_alias.nowhere" in notes


def test_no_name_of_the_file_refers_to_a_variable_or_file_of_the_reader() -> None:
    tree = {
        "model_list": [
            {"model_name": "${env:HOME}", "litellm_params": {"model": "openai/${file:/etc/passwd}"}}
        ],
        "router_settings": {"model_group_alias": {"a": "${env:HOME}"}},
    }
    models = import_litellm(tree).tree["routes"][0]["models"]

    assert models["a"] == "$${env:HOME}"
    assert models["${env:HOME}"]["model"] == "$${file:/etc/passwd}"


def test_what_was_not_carried_is_told_by_path_and_why() -> None:
    _, notes, _ = carried(CONFIGS["caches, callbacks, budgets"])

    assert {
        "litellm_settings.cache",
        "litellm_settings.cache_params",
        "litellm_settings.success_callback",
        "litellm_settings.max_budget",
        "litellm_settings.fallbacks[0].fast[0]",
        "general_settings.database_url",
        "general_settings.alerting",
        "environment_variables.LANGFUSE_SECRET_KEY",
        "model_list[0].litellm_params.max_tokens",
        "model_list[0].model_info",
        "model_list[0].model_info.base_model",
    } <= notes.keys()
    assert all(notes.values())


def test_a_short_master_key_is_not_asked_for_again() -> None:
    _, notes, everything = carried(CONFIGS["quick start"] + "general_settings: {master_key: sk-1234}")

    assert "sk-1234" not in everything
    assert "carried as a key" in notes["general_settings.master_key"]
    assert "could be guessed" in everything


@pytest.mark.parametrize(
    "tree", [{}, {"model_list": []}, {"model_list": {"a": 1}}, {"model_list": [{"model_name": "m"}]}]
)
def test_a_file_without_a_model_that_can_be_served_is_refused(tree: dict[str, Any]) -> None:
    with pytest.raises(NothingCarried, match="no model"):
        import_litellm(tree)


KEYS = st.sampled_from(
    [
        "model_list",
        "litellm_settings",
        "router_settings",
        "general_settings",
        "environment_variables",
        "credential_list",
        "model_name",
        "litellm_params",
        "model_info",
        "model",
        "api_base",
        "api_key",
        "api_version",
        "organization",
        "extra_headers",
        "timeout",
        "master_key",
        "model_group_alias",
        "request_timeout",
        "drop_params",
        "callbacks",
        "credential_name",
        "credential_values",
        "litellm_credential_name",
        "fallbacks",
        "context_window_fallbacks",
        "default_fallbacks",
        "max_fallbacks",
        "routing_strategy",
        "num_retries",
        "retry_policy",
        "retry_after",
        "allowed_fails",
        "cooldown_time",
        "weight",
        "order",
        "rpm",
        "max_parallel_requests",
        "stream_timeout",
        "tpm",
        "max_budget",
        "budget_duration",
        "default_team_params",
        "rpm_limit",
        "tpm_limit",
        "input_cost_per_token",
        "output_cost_per_token",
        "optional_pre_call_checks",
        "global_max_parallel_requests",
    ]
)
TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["openai/*", "gpt-4o"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=30,
)


def mistakes(tree: dict[str, Any]) -> list[str]:
    """Return what is wrong with a configuration, but for keys and addresses that this test does not have."""
    try:
        decode(tree, environ={}, read_file=str)
    except ConfigErrors as fault:
        return [
            str(error) for error in fault.errors if not error.path.startswith(("upstreams", "plugins.access"))
        ]
    return []


@given(st.dictionaries(KEYS, TREES, max_size=6))
def test_no_tree_is_too_odd(tree: dict[str, Any]) -> None:
    entry = {"model_name": "m", "litellm_params": {"model": "groq/x", **tree}, **tree}
    with suppress(NothingCarried):
        imported = import_litellm({**tree, "model_list": [entry, tree]})

        assert imported.tree["routes"][0]["models"]
        assert mistakes(imported.tree) == []


def test_weights_orders_and_cooldowns_come_over() -> None:
    tree, notes, _ = carried(CONFIGS["weights and orders"])

    assert models(tree) == {"chat": {"pool": "chat"}}
    assert tree["pools"] == {
        "chat-1": {
            "strategy": "p2c",
            "targets": [
                {"upstream": "openai", "model": "gpt-4o", "limit": 50, "weight": 9},
                {"upstream": "openai-2", "model": "gpt-4o", "weight": 1},
            ],
        },
        "chat": {"targets": [{"pool": "chat-1"}, {"upstream": "groq", "model": "llama-3.3-70b-versatile"}]},
    }
    assert tree["plugins"]["balance"] == {
        "retries": 1,
        "backoff": {"first": "3s", "most": "3s"},
        "health": {"failures": 4, "rest": "90s", "longest_rest": "90s"},
    }
    assert tree["routes"][0]["attempts"] == 6
    assert tree["upstreams"]["groq"]["timeouts"] == {"first_token": "3s"}
    assert {
        "router_settings.routing_strategy",
        "router_settings.allowed_fails",
        "router_settings.enable_pre_call_checks",
        "router_settings.retry_policy",
        "model_list[0].litellm_params.max_parallel_requests",
    } <= notes.keys()


def test_fallbacks_come_over_with_the_failures_that_they_are_for() -> None:
    tree, notes, _ = carried(CONFIGS["fallbacks of every kind"])
    small = {"upstream": "openai", "model": "gpt-4o-mini"}
    claude = {"upstream": "anthropic", "model": "claude-sonnet-4-20250514"}

    assert models(tree) == {
        "small": {"pool": "small-fallbacks"},
        "large": {"pool": "large-fallbacks"},
        "claude": {"pool": "claude-fallbacks"},
        "groq/*": {"upstream": "groq", "model": "*"},
        "groq/llama-3.3-70b-versatile": {"pool": "groq-llama-3.3-70b-versatile-fallbacks"},
        "cheap": "small",
    }
    assert tree["pools"]["small-fallbacks"]["targets"] == [
        small,
        {"pool": "large"},
        {"upstream": "groq", "model": "llama-3.1-8b-instant"},
        {"pool": "small-fallbacks-again", "after": ["window"]},
        {**claude, "after": ["policy"]},
    ]
    assert tree["pools"]["small-fallbacks-again"] == {"targets": [{"pool": "large"}]}
    assert tree["pools"]["large-fallbacks"]["targets"] == [{"pool": "large"}, {**claude, "after": ["window"]}]
    assert tree["pools"]["claude-fallbacks"]["targets"] == [claude, {"pool": "large"}]
    assert tree["plugins"]["balance"] == {"health": None}
    assert {
        "router_settings.fallbacks[0].small[3]",
        "router_settings.fallbacks[2].claude[0]",
        "router_settings.fallbacks[3].groq/*[0]",
        "router_settings.fallbacks[4].absent[0]",
        "litellm_settings.num_retries",
    } <= notes.keys()
