import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.registries import FakeKubernetes, addresses

from llmproxy.plugin import BadRegistry, RegistryAway
from llmproxy_discovery_kubernetes.config import KubernetesConfig
from llmproxy_discovery_kubernetes.watching import ServiceWatch

endpoint = FakeKubernetes.endpoint


@pytest.fixture
async def api() -> AsyncIterator[FakeKubernetes]:
    async with FakeKubernetes() as api:
        api.change("ADDED", "a", [endpoint("10.0.0.1")])
        yield api


def make(api: FakeKubernetes, **fields: Any) -> ServiceWatch:
    fields = {"token_file": None, **fields}
    return ServiceWatch(KubernetesConfig(service="backend", namespace="shop", api=api.url, **fields))


@pytest.fixture
async def watch(api: FakeKubernetes) -> AsyncIterator[ServiceWatch]:
    watch = make(api)
    yield watch
    await watch.close()


def watches(api: FakeKubernetes) -> int:
    return sum("watch=1" in target for target in api.asked)


async def test_slices_are_listed_and_then_watched(api: FakeKubernetes, watch: ServiceWatch) -> None:
    first = await addresses(watch)
    api.change("ADDED", "b", [endpoint("10.0.0.2")])
    second = await addresses(watch)
    api.change("MODIFIED", "b", [endpoint("10.0.0.3")])
    third = await addresses(watch)
    api.change("DELETED", "a")

    assert first == ["10.0.0.1:8080"]
    assert second == ["10.0.0.1:8080", "10.0.0.2:8080"]
    assert third == ["10.0.0.1:8080", "10.0.0.3:8080"]
    assert await addresses(watch) == ["10.0.0.3:8080"]
    assert watches(api) == 1


async def test_a_long_list_comes_in_pages(api: FakeKubernetes, watch: ServiceWatch) -> None:
    api.page = 2
    for number in range(2, 6):
        api.change("ADDED", f"s{number}", [endpoint(f"10.0.0.{number}")])

    assert len(await addresses(watch)) == 5
    assert len(api.asked) == 3


async def test_a_watch_that_ends_goes_on_where_it_was(api: FakeKubernetes, watch: ServiceWatch) -> None:
    api.watch_seconds = 0.05
    await addresses(watch)
    api.change("ADDED", "b", [endpoint("10.0.0.2")])
    await addresses(watch)
    api.bookmark()
    api.watch_seconds = 30.0
    api.change("DELETED", "a")

    assert await addresses(watch) == ["10.0.0.2:8080"]
    assert sum("limit=" in target for target in api.asked) == 1


async def test_a_version_that_is_too_old_means_a_new_list(api: FakeKubernetes, watch: ServiceWatch) -> None:
    await addresses(watch)
    api.change("DELETED", "a")
    api.change("ADDED", "b", [endpoint("10.0.0.2")])
    api.compacted = api.version

    assert await addresses(watch) == ["10.0.0.2:8080"]
    assert sum("limit=" in target for target in api.asked) == 2


async def test_a_watch_that_breaks_is_told_and_then_goes_on(api: FakeKubernetes, watch: ServiceWatch) -> None:
    await addresses(watch)
    api.broken = 500
    with pytest.raises(RegistryAway, match="answers 500"):
        await watch.look()
    api.broken = 0
    api.change("ADDED", "b", [endpoint("10.0.0.2")])

    assert await addresses(watch) == ["10.0.0.1:8080", "10.0.0.2:8080"]
    assert sum("limit=" in target for target in api.asked) == 1


async def test_nonsense_is_refused(api: FakeKubernetes, watch: ServiceWatch) -> None:
    api.nonsense = b"[]"

    with pytest.raises(BadRegistry):
        await watch.look()


async def test_the_token_is_read_before_each_question(api: FakeKubernetes, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one\n")
    watch = make(api, token_file=str(token))
    await addresses(watch)
    token.write_text("two")
    api.change("DELETED", "a")
    await addresses(watch)
    await watch.close()

    assert [headers["Authorization"] for headers in api.headers] == ["Bearer one", "Bearer two"]


async def test_without_a_token_the_registry_is_away(api: FakeKubernetes, tmp_path: Path) -> None:
    with pytest.raises(RegistryAway, match="token file cannot be read: No such file"):
        await make(api, token_file=str(tmp_path / "none")).look()


async def test_a_server_that_ends_each_watch_at_once_is_asked_ever_less_often(
    api: FakeKubernetes, watch: ServiceWatch
) -> None:
    await addresses(watch)
    api.watch_seconds = 0.0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await watch.look()

    assert 1 < watches(api) < 10


async def test_a_version_that_is_always_too_old_is_asked_for_ever_less_often(
    api: FakeKubernetes, watch: ServiceWatch
) -> None:
    await watch.look()
    pauses = []
    for _ in range(4):
        api.change("MODIFIED", "a", [endpoint("10.0.0.1")])
        api.compacted = api.version
        pauses.append((await watch.look()).again)

    assert pauses == [0.04, 0.08, 0.16, 0.32]


async def test_a_list_without_end_is_refused(api: FakeKubernetes, watch: ServiceWatch) -> None:
    api.nonsense = b'{"metadata": {"continue": "more", "resourceVersion": "1"}, "items": []}'

    with pytest.raises(BadRegistry, match="without end"):
        await watch.look()
