from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import BadRequest, Quirks, UpstreamConfig
from llmproxy_openai.azure import (
    CALLS,
    Azure,
    azure_of,
    below_prefix,
    deployment_of,
    fitting,
    hides_model,
    spoken_model,
)

HOST = "https://mine.openai.azure.com"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/openai/deployments/gpt-4o/chat/completions", "gpt-4o"),
        ("/team/openai/deployments/gpt-4o/embeddings", "gpt-4o"),
        ("/openai/deployments/openai/gpt-4o/completions", "openai/gpt-4o"),
        ("/openai/deployments/openai%2Fgpt-4o/images/generations", "openai/gpt-4o"),
        ("/openai/deployments/gpt-4o", None),
        ("/openai/deployments//chat/completions", None),
        ("/openai/v1/chat/completions", None),
        ("/v1/chat/completions", None),
    ],
)
def test_a_deployment_is_named_in_the_path(path, name):
    assert deployment_of(path) == name


@pytest.mark.parametrize(
    "path",
    [
        "/v1/deployments/gpt-5/chat/completions",
        "/deployments/gpt-5/chat/completions",
        "/openai/Deployments/gpt-5/chat/completions",
        "/openai/%64eployments/gpt-5/chat/completions",
        "/openai/%2564eployments/gpt-5/chat/completions",
        "/openai/deployments%2Fgpt-5/chat/completions",
        "/openai//deployments/gpt-5/chat/completions",
        "/openai/deployments/gpt-5/chat/completions/",
        "/v1/engines/gpt-5/chat/completions",
        "/v1/models/gpt-5/v1/chat/completions",
    ],
)
def test_a_path_may_name_another_model_than_its_body_does(path):
    assert hides_model(path)


@pytest.mark.parametrize(
    "path",
    [
        "/openai/deployments/gpt-5/chat/completions",
        "/v1/chat/completions",
        "/models/chat/completions",
        "/models/images/embeddings",
        "/openai/v1/responses",
    ],
)
def test_most_paths_name_no_other_model(path):
    assert not hides_model(path)


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_that_leads_upwards_is_no_deployment(name):
    with pytest.raises(BadRequest):
        Azure(deployments=True).target("/embeddings", name)


@given(st.text(min_size=1).filter(lambda name: name not in (".", "..")), st.sampled_from(CALLS))
def test_any_name_comes_back(name, call):
    path = Azure(deployments=True).target(call, name)

    assert deployment_of("/openai" + path) == name


@pytest.mark.parametrize(
    ("target", "below"),
    [
        ("/models/chat/completions?api-version=1&x=2", "/chat/completions?x=2"),
        ("/models/embeddings?api-version=1", "/embeddings?"),
        ("/models/embeddings?x=2", "/models/embeddings?x=2"),
        ("/openai/files/f/content?api-version=1", "/files/f/content?"),
        ("/openai/deployments/a/b/odd?api-version=1", "/openai/deployments/a/b/odd?api-version=1"),
    ],
)
def test_calls_stand_below_what_callers_write_before_them(target, below):
    path, _, query = target.partition("?")

    assert "?".join(below_prefix(path, query)) == below


@pytest.mark.parametrize(
    ("base_url", "more", "expected"),
    [
        (f"{HOST}/openai/v1", {}, Azure()),
        (f"{HOST}/openai/v1/", {"provider": "azure"}, Azure()),
        (f"{HOST}/openai", {}, Azure(version="2024-10-21", deployments=True)),
        (
            "http://127.0.0.1:1/openai",
            {"provider": "azure"},
            Azure(version="2024-10-21", deployments=True),
        ),
        (HOST, {}, Azure("/openai/v1")),
        ("https://mine.services.ai.azure.com/models", {}, Azure(version="2024-05-01-preview")),
        ("https://api.novita.ai/openai", {}, None),
        ("https://openai.azure.com.example.com/openai", {}, None),
    ],
)
def test_an_upstream_is_known_by_its_address(base_url, more, expected):
    assert azure_of(UpstreamConfig(base_url=base_url, **more)) == expected


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://gate.example.com/azure/openai", Azure(version="2025-04-01-preview", deployments=True)),
        (HOST, Azure("/openai", "2025-04-01-preview", deployments=True)),
        ("https://gate.example.com/models", Azure(version="2025-04-01-preview")),
    ],
)
def test_a_version_makes_an_upstream_one_of_azures(base_url, expected):
    quirks = Quirks(api_version="2025-04-01-preview")

    assert azure_of(UpstreamConfig(base_url=base_url, quirks=quirks)) == expected


DATED = Azure(version="2024-10-21", deployments=True)


@pytest.mark.parametrize(
    ("azure", "target", "expected"),
    [
        (DATED, "/chat/completions", "/deployments/a%2Fb/chat/completions?api-version=2024-10-21"),
        (DATED, "/embeddings?x=1", "/deployments/a%2Fb/embeddings?x=1&api-version=2024-10-21"),
        (DATED, "/files?api-version=1", "/files?api-version=2024-10-21"),
        (DATED, "/responses", "/responses?api-version=2024-10-21"),
        (Azure(version="2"), "/chat/completions", "/chat/completions?api-version=2"),
        (Azure(), "/chat/completions?api-version=preview", "/chat/completions?api-version=preview"),
        (Azure("/openai/v1"), "/chat/completions", "/openai/v1/chat/completions"),
        (
            Azure("/openai", "2", deployments=True),
            "/embeddings",
            "/openai/deployments/a%2Fb/embeddings?api-version=2",
        ),
    ],
)
def test_a_call_goes_where_the_upstream_wants_it(azure, target, expected):
    assert azure.target(target, "a/b") == expected


@pytest.mark.parametrize(
    ("azure", "target", "expected"),
    [
        (Azure(), "/realtime?model=fast&x=1", "/realtime?model=rt&x=1"),
        (
            DATED,
            "/realtime?model=fast&api-version=1",
            "/realtime?deployment=rt&api-version=2024-10-21",
        ),
        (Azure(), "/realtime?deployment=fast", "/realtime?model=rt"),
        (Azure(), "/realtime?Model=dear&%6Dodel=dear&x=1", "/realtime?model=rt&x=1"),
    ],
)
def test_a_spoken_model_stands_in_the_query(azure, target, expected):
    assert azure.spoken(target, "rt") == expected


def test_a_realtime_session_names_its_model_in_its_address():
    assert spoken_model("/v1/realtime", "model=gpt-realtime&x=1") == "gpt-realtime"
    assert spoken_model("/openai/realtime", "api-version=1&deployment=mine") == "mine"
    assert spoken_model("/v1/realtime", "Model=any&call_id=1") == "any"
    assert spoken_model("/v1/realtime", "call_id=rtc_1") is None
    assert spoken_model("/v1/responses", "model=gpt") is None


@pytest.mark.parametrize(
    ("azure", "responses"),
    [
        (None, True),
        (Azure(), True),
        (DATED, False),
        (Azure(version="2025-03-01-preview", deployments=True), True),
        (Azure(version="2025-04-01-preview", deployments=True), True),
    ],
)
def test_early_versions_have_no_responses(azure, responses):
    assert fitting(Quirks(responses=True), azure).responses is responses
