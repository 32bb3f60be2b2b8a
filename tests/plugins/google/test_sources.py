"""Where tokens come from: keys, the environment's default credentials, the metadata server of a machine."""

import asyncio
import os
import subprocess
import sys

import orjson
import pytest

from llmproxy.plugin import CredentialsAway, Secret
from llmproxy.testing import FakeUpstream
from llmproxy_google.config import GoogleOptions
from llmproxy_google.sources import Source

from .accounts import decoded


def of_key(text, **options):
    return Source(GoogleOptions(key=Secret(text), **options))


async def test_a_service_account_s_key_gets_tokens_for_its_scopes(google):
    source = of_key(google.service_account())
    first = await asyncio.to_thread(source.ask)
    second = await asyncio.to_thread(source.ask)

    assert first.value == ((b"authorization", b"Bearer token-1"),)
    assert second.value == ((b"authorization", b"Bearer token-2"),)
    assert 3500 < first.seconds <= 3600
    assert google.seen[0]["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"


async def test_a_user_s_key_gets_tokens_too_and_says_who_pays(google, monkeypatch):
    monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{google.url}/token")
    told = {"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}
    granted = await asyncio.to_thread(of_key(orjson.dumps(told).decode(), quota_project="payer").ask)

    assert granted.value == ((b"authorization", b"Bearer token-1"), (b"x-goog-user-project", b"payer"))
    assert google.seen[0]["grant_type"] == "refresh_token"


async def test_default_credentials_are_found(google, monkeypatch, tmp_path):
    file = tmp_path / "key.json"
    file.write_text(google.service_account())
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))

    assert (await asyncio.to_thread(Source(GoogleOptions()).ask)).value[0][1] == b"Bearer token-1"


async def test_a_refusal_is_told_by_its_word_alone(google):
    google.refusal = {"error": "invalid_grant", "error_description": "account gateway@project is unknown"}

    with pytest.raises(CredentialsAway, match=r"^Google gives no token: invalid_grant$"):
        await asyncio.to_thread(of_key(google.service_account()).ask)


async def test_an_identity_token_is_for_its_audience(google):
    granted = await asyncio.to_thread(of_key(google.service_account(), audience="https://own.test").ask)
    asked = decoded(google.seen[0]["assertion"])

    assert granted.value[0][1].startswith(b"Bearer eyJ")
    assert decoded(granted.value[0][1].decode())["jti"] == "token-1"
    assert asked["target_audience"] == "https://own.test"
    assert 3500 < granted.seconds <= 3600


async def test_a_user_has_no_identity_for_an_audience():
    text = '{"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}'

    with pytest.raises(CredentialsAway, match="neither a service account's"):
        of_key(text, audience="https://own.test").ask()


async def test_an_account_is_impersonated(google, monkeypatch):
    account = "other@project.iam.gserviceaccount.com"
    async with FakeUpstream() as iam:
        iam.reply(json={"accessToken": "of-the-other", "expireTime": "2099-01-01T00:00:00Z"})
        monkeypatch.setattr(
            "google.auth.impersonated_credentials.iam._IAM_ENDPOINT", f"{iam.url}/v1/{{}}:generateAccessToken"
        )
        granted = await asyncio.to_thread(of_key(google.service_account(), impersonate=account).ask)

        assert granted.value[0][1] == b"Bearer of-the-other"
        assert iam.requests[0].path == f"/v1/{account}:generateAccessToken"
        assert iam.requests[0].header("authorization") == "Bearer token-1"


@pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"type": "service_account"}', '{"type": "other"}'])
def test_what_is_no_key_is_told_without_its_text(text):
    with pytest.raises(CredentialsAway) as told:
        of_key(text).ask()
    assert text not in str(told.value)


async def test_the_metadata_server_of_a_machine_is_asked():
    code = """
from llmproxy_google.config import GoogleOptions
from llmproxy_google.sources import Source
granted = Source(GoogleOptions()).ask()
print(granted.value, 500 < granted.seconds <= 600)
"""
    flavor = [("Metadata-Flavor", "Google")]
    account = "/computeMetadata/v1/instance/service-accounts/default/"
    async with FakeUpstream() as server:
        server.reply(body=b"", headers=flavor)
        server.reply(
            body=b"project",
            headers=[*flavor, ("Content-Type", "application/text")],
            path="/computeMetadata/v1/project/project-id",
        )
        server.reply(
            body=b"googleapis.com",
            headers=[*flavor, ("Content-Type", "application/text")],
            path="/computeMetadata/v1/universe/universe-domain",
        )
        server.reply(json={"email": "e@x", "scopes": ["s"], "aliases": []}, headers=flavor, path=account)
        server.reply(
            json={"access_token": "of-the-machine", "expires_in": 600, "token_type": "Bearer"},
            headers=flavor,
            path=f"{account}token",
        )
        address = server.url.removeprefix("http://")
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "HOME": "/nonexistent",
            "GCE_METADATA_HOST": address,
            "GCE_METADATA_IP": address,
        }
        command = [sys.executable, "-W", "ignore", "-c", code]
        run = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, env=environ, check=False
        )

    assert run.stdout == "((b'authorization', b'Bearer of-the-machine'),) True\n", run.stderr
