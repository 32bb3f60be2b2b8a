"""What is asked for a token, and what answers mean."""

from urllib.parse import parse_qs, urlsplit

import pytest

from llmproxy.plugin import ConfigError, CredentialsAway, Granted, Secret
from llmproxy_entra.config import EntraOptions
from llmproxy_entra.sources import granted, question_of

APPLICATION = {"AZURE_TENANT_ID": "mine", "AZURE_CLIENT_ID": "app", "AZURE_CLIENT_SECRET": "s3cret&"}


def form_of(question):
    return {name: value[0] for name, value in parse_qs(question.body().decode()).items()}


def test_an_application_asks_with_its_secret():
    question = question_of(EntraOptions(), APPLICATION)

    assert question.base_url + question.target == "https://login.microsoftonline.com/mine/oauth2/v2.0/token"
    assert form_of(question) == {
        "grant_type": "client_credentials",
        "client_id": "app",
        "client_secret": "s3cret&",
        "scope": "https://cognitiveservices.azure.com/.default",
    }


def test_options_go_before_the_environment():
    options = EntraOptions(
        tenant="own", client_id="other", client_secret=Secret("t"), authority="https://login.example.com/"
    )

    question = question_of(options, APPLICATION)

    assert question.base_url + question.target == "https://login.example.com/own/oauth2/v2.0/token"
    assert (form_of(question)["client_id"], form_of(question)["client_secret"]) == ("other", "t")


def test_a_platform_vouches_for_a_workload_by_a_file_that_it_replaces(tmp_path):
    file = tmp_path / "token"
    environ = {**APPLICATION, "AZURE_CLIENT_SECRET": "", "AZURE_FEDERATED_TOKEN_FILE": str(file)}
    question = question_of(EntraOptions(), environ)

    with pytest.raises(CredentialsAway, match="No such file"):
        question.body()
    for proof in ("one", "two"):
        file.write_text(f"{proof}\n")

        assert form_of(question)["client_assertion"] == proof
        assert "client_secret" not in form_of(question)


def test_a_file_that_is_named_goes_before_a_secret_of_the_environment(tmp_path):
    file = tmp_path / "token"
    file.write_text("proof")

    assert "client_secret" not in form_of(question_of(EntraOptions(token_file=str(file)), APPLICATION))


@pytest.mark.parametrize(("gone", "named"), [("AZURE_TENANT_ID", "tenant"), ("AZURE_CLIENT_ID", "client_id")])
def test_who_asks_must_be_known(gone, named):
    with pytest.raises(ConfigError, match=gone) as fault:
        question_of(EntraOptions(), {**APPLICATION, gone: ""})

    assert fault.value.path == named


def test_an_authority_of_the_environment_is_held_to_https():
    with pytest.raises(ConfigError, match="https"):
        question_of(EntraOptions(), {**APPLICATION, "AZURE_AUTHORITY_HOST": "http://example.com"})
    host = {**APPLICATION, "AZURE_AUTHORITY_HOST": "login.microsoftonline.us"}
    assert question_of(EntraOptions(), host).base_url == "https://login.microsoftonline.us"


def test_a_machine_asks_for_its_own_identity():
    question = question_of(EntraOptions(managed=True), APPLICATION)

    url = urlsplit(question.base_url + question.target)
    assert (url.hostname, url.path) == ("169.254.169.254", "/metadata/identity/oauth2/token")
    assert parse_qs(url.query) == {
        "resource": ["https://cognitiveservices.azure.com"],
        "client_id": ["app"],
        "api-version": ["2018-02-01"],
    }
    assert question.headers == ((b"Metadata", b"true"),)
    assert question.near
    assert question.body() == b""


def test_a_service_asks_where_its_host_says():
    environ = {"IDENTITY_ENDPOINT": "http://127.0.0.1:41/msi/token?x=1", "IDENTITY_HEADER": "proof"}

    question = question_of(EntraOptions(), environ)

    assert question.base_url == "http://127.0.0.1:41"
    assert question.target.startswith("/msi/token?x=1&resource=")
    assert "api-version=2019-08-01" in question.target
    assert question.headers == ((b"X-IDENTITY-HEADER", b"proof"),)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"expires_in": 3599}, 3599),
        ({"expires_in": "3599"}, 3599),
        ({"expires_on": "1060"}, 60),
        ({}, 86400),
        ({"expires_in": 10**9}, 86400),
        ({"expires_in": True}, 86400),
    ],
)
def test_a_token_lives_as_long_as_is_said(told, seconds):
    assert granted(200, {"access_token": "t", **told}, 1000.0) == Granted(b"t", seconds)


@pytest.mark.parametrize(
    ("status", "told", "why"),
    [
        (401, {"error": "invalid_client", "error_description": "s3cret"}, r"answers 401 \(invalid_client\)$"),
        (401, {"error": "canary-s3cret of 40 letters"}, r"answers 401$"),
        (500, None, "answers 500$"),
        (200, {"access_token": "a\r\nb"}, "answers 200$"),
        (200, {"access_token": 1}, "answers 200$"),
        (200, {"access_token": ""}, "answers 200$"),
        (200, [], "answers 200$"),
    ],
)
def test_what_is_no_token_is_told_without_what_it_says(status, told, why):
    with pytest.raises(CredentialsAway, match=why):
        granted(status, told, 0.0)
