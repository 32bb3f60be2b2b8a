from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.errors import BadRequest
from llmproxy_gemini.paths import (
    VERBS,
    after_version,
    call_of,
    parent_of,
    resource_name,
    streams_events,
    target,
    within,
    without_secrets,
    written,
)


@pytest.mark.parametrize(
    ("path", "model", "verb"),
    [
        ("/v1/models/gemini-3-pro:generateContent", "gemini-3-pro", "generateContent"),
        ("/v1beta/models/m:streamGenerateContent", "m", "streamGenerateContent"),
        ("/v1beta1/models/m:countTokens", "m", "countTokens"),
        ("/v1alpha/models/m:embedContent", "m", "embedContent"),
        ("/team/v1beta/models/m:generateContent", "m", "generateContent"),
        ("/models/m:generateContent", "m", "generateContent"),
        ("/v1beta/models/groq/llama:8b:generateContent", "groq/llama:8b", "generateContent"),
        ("/v1beta/models/groq%2Fllama%3A8b:generateContent", "groq/llama:8b", "generateContent"),
        ("/v1beta/tunedModels/mine:generateContent", "tunedModels/mine", "generateContent"),
        ("/v1/publishers/google/models/m:generateContent", "m", "generateContent"),
        (
            "/v1beta1/projects/p/locations/l/publishers/google/models/m:countTokens",
            "m",
            "countTokens",
        ),
        ("/v1/projects/p/locations/l/endpoints/7:generateContent", "endpoints/7", "generateContent"),
        ("/v1/publishers/groq/models/llama:generateContent", "groq/llama", "generateContent"),
        ("/v1/projects/p/locations/l/publishers/a/models/b%2Fc:generateContent", "a/b/c", "generateContent"),
    ],
)
def test_model_and_verb_stand_in_the_path(path: str, model: str, verb: str) -> None:
    call = call_of(path)

    assert call is not None
    assert (call.model, call.verb) == (model, verb)


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models",
        "/v1beta/models/m",
        "/v1beta/models/m:predictLongRunning",
        "/v1beta/files",
        "/:countTokens",
    ],
)
def test_other_paths_call_no_model(path: str) -> None:
    assert call_of(path) is None


@pytest.mark.parametrize(
    "name",
    ["gemini-3/../../tunedModels/secret", "..", "a/..", "./a", "a/..;x/b", "models/../files/f", "a\\..\\b"],
)
def test_no_name_of_a_model_leads_out_of_its_path(name: str) -> None:
    with pytest.raises(BadRequest) as refused:
        written(name)

    assert (refused.value.status, refused.value.code) == (404, "model_not_found")


@pytest.mark.parametrize("name", ["gemini-2.5-pro", "a..b", "groq/llama-3.1", "...", "a/.hidden"])
def test_dots_in_a_name_are_part_of_it(name: str) -> None:
    assert written(name) == f"models/{name}"


def test_what_vertex_writes_before_a_model_is_kept_apart() -> None:
    call = call_of("/v1/projects/p/locations/l/publishers/google/models/a%2Fb:generateContent")

    assert call is not None
    assert call.parent == "projects/p/locations/l/publishers/google/"
    assert call.inside == "models/a%2Fb"


@pytest.mark.parametrize(
    ("inside", "parent", "expected"),
    [
        ("models/m", "", "/models/m:x"),
        ("models/m", "publishers/google/", "/publishers/google/models/m:x"),
        ("publishers/meta/models/m", "publishers/google/", "/publishers/meta/models/m:x"),
    ],
)
def test_a_target_is_relative_to_the_base_url(inside: str, parent: str, expected: str) -> None:
    assert target("x", inside, parent) == expected


@pytest.mark.parametrize(
    ("model", "name"),
    [("m", "models/m"), ("models/m", "models/m"), ("tunedModels/m", "tunedModels/m"), ("a/b", "models/a/b")],
)
def test_a_model_names_its_collection(model: str, name: str) -> None:
    assert resource_name(model) == name


#: Names that lead nowhere else: those with dots between slashes are refused.
NAMES = st.text(min_size=1).filter(lambda text: not re.search(r"(^|[/\\])\.\.?([/\\;]|$)", text))


@given(model=NAMES, verb=st.sampled_from(sorted(VERBS)))
def test_any_name_comes_back_out_of_the_path_it_was_written_in(model: str, verb: str) -> None:
    call = call_of("/v1beta" + target(verb, written(f"models/{model}")))

    assert call is not None
    assert (call.model, call.verb) == (model, verb)


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", ""),
        ("alt=sse", "alt=sse"),
        ("key=s", ""),
        ("alt=sse&key=s&x=1", "alt=sse&x=1"),
        ("%6bey=s&alt=sse", "alt=sse"),
        ("KEY=s&access_token=t&oauth_token=u&keys=1", "keys=1"),
    ],
)
def test_credentials_are_cut_out_of_the_query(query: str, kept: str) -> None:
    assert without_secrets(query) == kept


def test_a_stream_is_of_events_only_where_they_are_asked_for() -> None:
    assert streams_events("x=1&alt=sse")
    assert not streams_events("alt=json")


def test_what_stands_before_the_version_is_not_the_apis() -> None:
    assert after_version("/team/v1beta/files/x") == "files/x"
    assert after_version("/files/x") == "files/x"


OWN = "/v1/projects/own/locations/l"


@pytest.mark.parametrize(
    ("path", "base", "renamed", "parent"),
    [
        ("/v1/models/m", "/v1", False, "publishers/google/"),
        ("/v1/publishers/google/models/m", OWN, False, "publishers/google/"),
        ("/v1/projects/p/locations/l/publishers/google/models/m", OWN, False, "publishers/google/"),
        ("/v1/projects/p/locations/l/publishers/meta/models/m", OWN, False, "publishers/meta/"),
        ("/v1/projects/p/locations/l/publishers/groq/models/m", OWN, True, "publishers/google/"),
        (
            "/v1/projects/p/locations/l/publishers/google/models/m",
            "/v1",
            True,
            "projects/p/locations/l/publishers/google/",
        ),
        ("/v1/projects/p/locations/l/endpoints/7", "/v1", False, "projects/p/locations/l/"),
        ("/v1/projects/p/locations/l/endpoints/7", OWN, False, ""),
    ],
)
def test_project_and_publisher_are_the_upstream_s_where_it_names_them(path, base, renamed, parent):
    call = call_of(path + ":generateContent")

    assert call is not None
    assert parent_of(call, "publishers/google/", base, renamed=renamed) == parent
    assert parent_of(call, "", base, renamed=renamed) == ""


def test_other_paths_of_a_caller_s_project_are_the_upstream_s_own():
    path = "projects/p/locations/l/cachedContents/7"

    assert within(path, OWN) == "cachedContents/7"
    assert within(path, "/v1") == path
    assert within("files/7", OWN) == "files/7"
