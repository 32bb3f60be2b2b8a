from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.plugins.registries import FakeEureka, addresses

from llmproxy.plugin import RegistryAway, Secret
from llmproxy_discovery_eureka.config import EurekaConfig
from llmproxy_discovery_eureka.polling import Application


@pytest.fixture
async def eureka() -> AsyncIterator[FakeEureka]:
    async with FakeEureka() as eureka:
        eureka.put([80])
        yield eureka


def application(*servers: FakeEureka, **fields: Any) -> Application:
    urls = tuple(f"{server.url}/eureka" for server in servers)
    return Application(EurekaConfig(application="backend", servers=urls, **fields))


async def test_everything_is_fetched_once_and_then_changes(eureka: FakeEureka) -> None:
    source = application(eureka)
    first = await addresses(source)
    eureka.put([81])

    assert first == ["127.0.0.1:80"]
    assert await addresses(source) == ["127.0.0.1:81"]
    assert eureka.asked == ["/eureka/apps", "/eureka/apps/delta"]
    await source.close()


async def test_changes_that_do_not_add_up_are_followed_by_everything(eureka: FakeEureka) -> None:
    source = application(eureka)
    await addresses(source)
    eureka.forked = True
    eureka.put([80, 81])

    assert await addresses(source) == ["127.0.0.1:80", "127.0.0.1:81"]
    assert eureka.asked[-2:] == ["/eureka/apps/delta", "/eureka/apps"]
    await source.close()


async def test_a_server_that_gives_no_changes_is_asked_for_everything(eureka: FakeEureka) -> None:
    source = application(eureka)
    eureka.gives_delta = False
    await addresses(source)
    eureka.put([81])

    assert await addresses(source) == ["127.0.0.1:81"]
    await source.close()


async def test_the_next_server_is_asked_when_one_fails_and_stays_first(eureka: FakeEureka) -> None:
    async with FakeEureka() as broken:
        broken.broken = 503
        source = application(broken, eureka)
        first = await addresses(source)
        await addresses(source)

    assert first == ["127.0.0.1:80"]
    assert len(broken.asked) == 1
    await source.close()


async def test_where_none_answers_the_registry_is_away(eureka: FakeEureka) -> None:
    eureka.broken = 500
    source = application(eureka)

    with pytest.raises(RegistryAway, match="answers 500"):
        await source.look()
    await source.close()


async def test_user_and_password_are_sent(eureka: FakeEureka) -> None:
    source = application(eureka, username="u", password=Secret("p", "${env:P}"))
    await addresses(source)

    assert eureka.headers[0]["Authorization"] == "Basic dTpw"
    await source.close()
