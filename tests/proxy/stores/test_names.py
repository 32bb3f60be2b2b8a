"""Wrong names of stores are found wherever a plugin's settings have them."""

from __future__ import annotations

import msgspec
import pytest

from llmproxy.stores.names import StoreName, unknown_stores


class Source(msgspec.Struct, frozen=True):
    store: StoreName
    purges: StoreName | None = None


class Settings(msgspec.Struct, frozen=True, rename={"main": "store"}):
    main: StoreName = "answers"
    name: str = "llmproxy"
    sources: tuple[Source, ...] = ()
    more: tuple[StoreName, ...] = ()
    one: Source | None = None


def test_known_names_and_absent_ones_pass() -> None:
    settings = Settings(sources=(Source("events"),), one=Source("answers", "events"))

    assert list(unknown_stores(settings, "plugins.x", {"answers", "events"})) == []


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        (Settings(main="x"), "plugins.p.store"),
        (Settings(sources=(Source("answers"), Source("x"))), "plugins.p.sources[1].store"),
        (Settings(sources=(Source("answers", "x"),)), "plugins.p.sources[0].purges"),
        (Settings(more=("x",)), "plugins.p.more[0]"),
        (Settings(one=Source("x")), "plugins.p.one.store"),
    ],
)
def test_an_unknown_one_is_told_with_its_place(settings: Settings, path: str) -> None:
    [told] = unknown_stores(settings, "plugins.p", {"answers"})

    assert str(told) == f'{path}: unknown store "x" (known: answers)'


def test_nothing_else_is_taken_for_a_name() -> None:
    assert list(unknown_stores(Settings(name="x"), "plugins.p", {"answers"})) == []
