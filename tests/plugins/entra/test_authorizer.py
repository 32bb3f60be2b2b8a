"""Requests with tokens through the gateway: kept, renewed under load, refused where there are none."""

import asyncio
from contextlib import asynccontextmanager

import openai
import pytest
from aiohttp import web
from tests.webserver import served

from llmproxy.plugin import UpstreamConfig
from llmproxy.testing import running_gateway
from llmproxy_entra.authorizer import make_authorizer
from llmproxy_entra.config import EntraOptions

ENVIRON = {"SECRET": "s3cret", "AZURE_TENANT_ID": "", "AZURE_CLIENT_ID": ""}
ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
}


class Cloud:
    """Entra ID and a resource that takes its tokens, as long as they live."""

    def __init__(self, life=3600.0):
        self.life, self.forms, self.refused, self.answered = life, [], 0, 0
        self.ends, self.url, self.away = {}, "", False

    async def handle(self, request):
        now = asyncio.get_running_loop().time()
        if request.path.endswith("/oauth2/v2.0/token"):
            self.forms.append(dict(await request.post()))
            if self.away:
                return web.json_response({"error": "temporarily_unavailable"}, status=503)
            token = f"token-{len(self.forms)}"
            self.ends[f"Bearer {token}"] = now + self.life
            return web.json_response({"access_token": token, "expires_in": self.life, "token_type": "Bearer"})
        if "api-key" in request.headers or self.ends.get(request.headers.get("authorization"), 0) < now:
            self.refused += 1
            return web.json_response({"error": {"code": "401", "message": "expired"}}, status=401)
        self.answered += 1
        return web.json_response(ANSWER)


@asynccontextmanager
async def asking(cloud, **more):
    async with served(cloud.handle) as url:
        options = {"tenant": "mine", "client_id": "app", "client_secret": "${env:SECRET}", "authority": url}
        config = {
            "listen": "127.0.0.1:0",
            "admin": {"listen": "127.0.0.1:0"},
            "server": {"drain_pause": "1ms"},
            "upstreams": {
                "azure": {
                    "provider": "azure",
                    "base_url": f"{url}/openai/v1",
                    "auth": {"entra": options},
                    **more,
                }
            },
            "routes": [{"name": "models"}],
        }
        async with (
            running_gateway(config, environ=ENVIRON) as gateway,
            openai.AsyncAzureOpenAI(
                azure_endpoint=gateway.url, api_key="caller", api_version="1", max_retries=0
            ) as client,
        ):
            yield client


async def ask(client):
    return await client.chat.completions.create(model="azure/m", messages=[{"role": "user", "content": "Hi"}])


async def test_one_token_serves_all_and_takes_the_place_of_the_callers_key():
    cloud = Cloud()
    async with asking(cloud) as client:
        answers = await asyncio.gather(*(ask(client) for _ in range(20)))

    assert {answer.choices[0].message.content for answer in answers} == {"Hi"}
    assert (cloud.answered, cloud.refused, len(cloud.forms)) == (20, 0, 1)
    assert cloud.forms[0]["client_secret"] == "s3cret"


async def test_tokens_are_renewed_under_load_without_a_failed_request():
    cloud = Cloud(life=0.4)
    loop = asyncio.get_running_loop()
    async with asking(cloud) as client:
        until = loop.time() + 1.2

        async def work():
            while loop.time() < until:
                await ask(client)

        await asyncio.gather(*(work() for _ in range(4)))

    assert cloud.refused == 0
    assert len(cloud.forms) >= 3
    assert cloud.answered > 20


async def test_a_token_that_is_refused_is_replaced_at_once():
    cloud = Cloud()
    async with asking(cloud) as client:
        await ask(client)
        cloud.ends.clear()
        await ask(client)

    assert (cloud.answered, cloud.refused, len(cloud.forms)) == (2, 1, 2)


async def test_without_a_token_nothing_is_sent():
    cloud = Cloud()
    cloud.away = True
    async with asking(cloud) as client:
        with pytest.raises(openai.InternalServerError) as fault:
            await ask(client)

    assert fault.value.code == "credentials_unavailable"
    assert "s3cret" not in str(fault.value)
    assert (cloud.answered, cloud.refused) == (0, 0)


async def test_a_machines_identity_is_asked_for_where_its_host_says():
    async def tell(request):
        assert request.headers["X-IDENTITY-HEADER"] == "proof"
        return web.json_response({"access_token": "t", "expires_on": str(2**40)})

    config = UpstreamConfig(base_url="https://mine.openai.azure.com")
    async with served(tell) as url:
        environ = {"IDENTITY_ENDPOINT": f"{url}/msi/token", "IDENTITY_HEADER": "proof"}
        granted = await make_authorizer(config, EntraOptions(), environ)._ask()

    assert granted == (b"t", 86400.0)
