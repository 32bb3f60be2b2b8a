import pytest

from llmproxy.importing.reasons import UNKNOWN, why, why_of_a_model


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("fallbacks", "routing"),
        ("tags", "condition"),
        ("redis_host", "hosts"),
        ("rpm", "limits"),
        ("cache_params", "cache"),
        ("input_cost_per_second", "section prices"),
        ("langfuse_secret", "exporters"),
        ("database_url", "key"),
        ("temperature", "request"),
        ("guardrails", "guardrails"),
        ("mcp_servers", "tools"),
        ("aws_region_name", "AWS"),
        ("vertex_project", "Google"),
        ("azure_ad_token", "Entra"),
        ("pass_through_endpoints", "http"),
    ],
)
def test_each_subject_has_its_reason(key, word):
    assert word in why(key)


def test_what_nobody_knows_is_said_to_be_unknown():
    assert why("colour_of_the_sky") == UNKNOWN


def test_facts_about_models_come_from_the_table():
    assert "table of models" in why_of_a_model("max_input_tokens")
    assert "routes" in why_of_a_model("access_groups")
