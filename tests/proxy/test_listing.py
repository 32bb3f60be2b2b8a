from __future__ import annotations

import asyncio

import pytest

from llmproxy import listing
from llmproxy.listing import Listing, wanted_model
from llmproxy.providers import models
from llmproxy.providers.models import Catalogue, Model
from llmproxy.routing import ModelTable
from llmproxy.settings import ModelConfig

KNOWN = Catalogue([Model(provider=who, name=name) for who in ("p", "q") for name in ("m-2", "m-1", "n")], {})


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Count how often the catalogue is asked for."""
    counted: list[None] = []

    def load_now() -> Catalogue:
        counted.append(None)
        return KNOWN

    monkeypatch.setattr(models, "load_now", load_now)
    return counted


@pytest.mark.usefixtures("loads")
async def test_what_providers_are_known_to_have_follows_the_written_names() -> None:
    written = {
        "z": ModelConfig(upstream="b"),
        "a/n": ModelConfig(upstream="b"),
        "q-*": ModelConfig(alias="b/m-*"),
    }
    table = ModelTable(written, ["b", "a", "own"])

    names = await Listing(table, {"a": "p", "b": "q"}).names()

    assert names == ("z", "a/n", "a/m-1", "a/m-2", "b/m-1", "b/m-2", "b/n", "q-1", "q-2")


async def test_the_catalogue_is_asked_once_however_many_list(loads: list[None]) -> None:
    listed = Listing(ModelTable({}, ["a"]), {"a": "p"})

    answers = await asyncio.gather(*(listed.names() for _ in range(5)))

    assert {*answers, await listed.names()} == {("a/m-1", "a/m-2", "a/n")}
    assert len(loads) == 1


@pytest.mark.parametrize("providers", [{}, {"other": "p"}])
async def test_the_catalogue_is_left_alone_where_it_adds_nothing(
    loads: list[None], providers: dict[str, str]
) -> None:
    table = ModelTable({"fast": ModelConfig(upstream="a")}, ["a"])

    assert await Listing(table, providers).names() == ("fast",)
    assert loads == []


@pytest.mark.usefixtures("loads")
async def test_a_list_has_an_end_and_what_is_written_stands_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST", 2)
    table = ModelTable({"z": ModelConfig(upstream="a")}, ["a"])

    assert await Listing(table, {"a": "p"}).names() == ("z", "a/m-1", "a/m-2")


def test_the_bound_cuts_no_model_where_every_provider_is_served() -> None:
    assert len(models.load_now().models) < listing.MOST


async def test_a_reading_that_was_given_up_is_begun_anew(loads: list[None]) -> None:
    listed = Listing(ModelTable({}, ["a"]), {"a": "p"})
    first = asyncio.create_task(listed.names())
    await asyncio.sleep(0)
    first.cancel()

    assert await listed.names() == ("a/m-1", "a/m-2", "a/n")
    assert len(loads) <= 2


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/models", ""),
        ("/v1/models/", ""),
        ("/v1/models/a", "a"),
        ("/v1/models/org%2Fa", "org/a"),
        ("/v1/chat/completions", None),
    ],
)
def test_a_call_asks_about_all_models_or_one(path: str, name: str | None) -> None:
    assert wanted_model(path) == name
