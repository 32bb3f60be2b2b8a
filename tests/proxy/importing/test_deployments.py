import pytest

from llmproxy.importing.deployments import read_deployment, seconds
from llmproxy.importing.keyrefs import KeyRefs
from llmproxy.importing.walking import Walk


def read(total=None, **params):
    notes = []
    deployment = read_deployment(Walk(params, "p", notes), KeyRefs(params, notes), total)
    return deployment, {note.path: note.text for note in notes}


def section(**params):
    return read(**params)[0].section


def test_a_provider_of_the_table_needs_no_more_than_its_name():
    assert read(model="groq/llama", api_key="os.environ/GROQ_API_KEY") == (
        ({"provider": "groq", "api_key": "${env:GROQ_API_KEY}"}, "groq", "llama"),
        {},
    )


def test_a_server_of_openais_dialect_is_known_by_its_address_alone():
    assert section(model="openai/m", api_base="http://localhost:8000/v1") == {
        "base_url": "http://localhost:8000/v1"
    }
    assert section(model="openai/m", api_base="https://api.openai.com/v1") == {"provider": "openai"}
    assert (
        section(model="whoever/m", api_base="http://localhost:8000/v1")["base_url"]
        == "http://localhost:8000/v1"
    )


def test_an_address_of_a_known_provider_keeps_the_providers_peculiarities():
    told = section(model="mistral/m", api_base="https://eu.mistral.test/v1", api_key="os.environ/K")

    assert told == {"provider": "mistral", "base_url": "https://eu.mistral.test/v1", "api_key": "${env:K}"}


def test_azure_takes_from_the_environment_what_litellm_would():
    deployment, notes = read(model="azure/d", api_version="2024-02-01")

    assert deployment.section == {
        "provider": "azure",
        "base_url": "${env:AZURE_API_BASE}/openai/v1",
        "api_key": "${env:AZURE_API_KEY}",
    }
    assert "v1 API" in notes["p.api_version"]


def test_azures_applications_ask_for_tokens():
    deployment, notes = read(
        model="azure/d",
        api_base="https://x.openai.azure.com",
        tenant_id="mine",
        client_id="os.environ/APP",
        client_secret="os.environ/SECRET",
        azure_scope="https://ai.azure.com/.default",
    )

    told = {"tenant": "mine", "client_id": "${env:APP}", "client_secret": "${env:SECRET}"}
    assert deployment.section == {
        "provider": "azure",
        "base_url": "https://x.openai.azure.com/openai/v1",
        "auth": {"entra": {**told, "scope": "https://ai.azure.com/.default"}},
    }
    assert notes == {}


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"model": "bedrock/anthropic.claude-v2", "aws_region_name": "us-east-1"}, "p.model"),
        ({"model": "vertex_ai/gemini-pro"}, "p.model"),
        ({"model": "gemini-pro"}, "p.model"),
        ({"model": "sagemaker/x"}, "p.model"),
        ({"model": "replicate/meta/llama"}, "p.model"),
        ({"model": "*"}, "p.model"),
        ({"model": "os.environ/MODEL"}, "p.model"),
        ({"model": None}, "p.model"),
        ({}, "p.model"),
        ({"model": "openai/m", "api_base": "<your-endpoint>"}, "p.api_base"),
        ({"model": "openai/m", "base_url": "https://u:canary@api.test"}, "p.base_url"),
        ({"model": "modal/m"}, "p.model"),
    ],
)
def test_what_cannot_be_served_is_left_out_and_told(params, path):
    deployment, notes = read(**params)

    assert deployment is None
    assert path in notes
    assert "canary" not in str(notes)


def test_secrets_in_headers_are_not_copied():
    deployment, notes = read(
        model="openai/gpt-4o",
        organization="org-1",
        extra_headers={
            "X-Team": "blue",
            "Authorization": "Bearer canary-1",
            "X-Other": "sk-canary0123456789abcdef",
            "two words": "x",
            "X-Env": "os.environ/TEAM",
        },
    )

    assert deployment.section["headers"] == {
        "OpenAI-Organization": "org-1",
        "X-Team": "blue",
        "Authorization": "${env:AUTHORIZATION_HEADER}",
        "X-Other": "${env:X_OTHER_HEADER}",
        "X-Env": "${env:TEAM}",
    }
    assert "canary" not in str((deployment, notes))
    assert any("two words" in path for path in notes)


def test_several_organizations_are_several_deployments():
    deployment, notes = read(model="openai/*", organization=["org-1", "org-2"])

    assert deployment.section["headers"] == {"OpenAI-Organization": "org-1"}
    assert "a pool of them all" in notes["p.organization"]


def test_a_deployments_own_time_counts_more_than_that_of_all():
    assert section(model="groq/m", timeout=30, total="600s")["timeouts"] == {"total": "30s"}
    assert section(model="groq/m", total="600s")["timeouts"] == {"total": "600s"}
    assert "timeouts" not in section(model="groq/m", timeout="soon")


def test_a_certificate_that_is_not_judged_stays_so():
    assert section(model="openai/m", api_base="https://x.test", ssl_verify=False)["tls"] == {"verify": False}


def test_what_is_added_to_requests_is_told():
    _, notes = read(model="groq/m", temperature=0.2, rpm=3, colour="red")

    assert set(notes) == {"p.temperature", "p.rpm", "p.colour"}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (600, "600s"),
        ("1.5", "1.5s"),
        (0, None),
        (-1, None),
        ("x", None),
        (None, None),
        ("nan", None),
        ("inf", None),
        (True, None),
    ],
)
def test_seconds_are_told_as_durations(value, told):
    assert seconds(value) == told
