"""From a configuration to plugins: what is taken, what is refused and how it is told."""

import pytest

from llmproxy.assembly import Assembly
from llmproxy.config import decode
from llmproxy.errors import ConfigErrors, StartError
from llmproxy.installed import DIALECT_GROUP, available
from llmproxy.plugin import Plugin, StoreName, hookimpl
from llmproxy.sections import Section
from llmproxy.testing.classes import with_names

API = {"base_url": "http://127.0.0.1:9/base", "dialect": "http", "proxy": None}
AI = {"base_url": "http://127.0.0.1:9/v1", "dialect": "openai", "proxy": None, "api_key": "${env:KEY}"}


def assembled(tree):
    return Assembly(decode(with_names(tree), environ={"KEY": "sk-upstream"}, read_file=str))


class Kept(Section, frozen=True):
    store: StoreName


class Keeping(Plugin):
    Config = Kept


async def test_a_dialect_brings_its_plugin_and_those_that_callers_of_a_model_may_speak():
    assembly = assembled({"upstreams": {"ai": AI}, "routes": []})

    assert [plugin.name for plugin in assembly.table.plugins] == sorted(available(DIALECT_GROUP))
    assert assembly.face_of("ai").wire == "openai"


async def test_without_an_upstream_of_a_model_no_dialect_is_loaded():
    assert assembled({"upstreams": {"api": API}, "routes": []}).table.plugins == []


async def test_a_plugin_that_contributes_upstreams_brings_their_dialects():
    class Bringing(Plugin):
        dialects = ("openai",)

    found = assembled({"plugins": {"bringing": {"use": Bringing}}, "routes": []})

    assert {plugin.name for plugin in found.table.plugins} >= {"openai", "anthropic", "gemini"}


async def test_a_dialect_that_is_configured_is_loaded_once():
    tree = {"plugins": {"mine": {"use": "openai"}}, "upstreams": {"ai": AI}, "routes": []}
    names = [plugin.name for plugin in assembled(tree).table.plugins]

    assert names == ["mine", *sorted(available(DIALECT_GROUP).keys() - {"openai"})]


async def test_an_unknown_dialect_is_told_with_the_known_ones():
    with pytest.raises(ConfigErrors, match=r"upstreams\.x\.dialect: 'klingon' is not known \(known: .*http"):
        assembled({"upstreams": {"x": {**API, "dialect": "klingon"}}, "routes": []})


async def test_a_plugin_of_an_unknown_store_is_told_before_anything_is_opened():
    tree = {"plugins": {"keeping": {"use": Keeping, "store": "anwsers"}}, "stores": {"answers": "memory://"}}

    with pytest.raises(
        ConfigErrors, match=r'^plugins\.keeping\.store: unknown store "anwsers"; did you mean'
    ):
        assembled(tree)


async def test_a_register_that_fails_names_its_plugin():
    class Failing(Plugin):
        @hookimpl
        def register(self, registry):
            raise LookupError("no")

    with pytest.raises(StartError, match="plugin 'failing': register failed: LookupError: no"):
        assembled({"plugins": {"failing": {"use": Failing}}, "routes": []})


def test_a_dialect_spoken_upstream_only_brings_the_face_of_its_callers() -> None:
    config = decode(
        {
            "upstreams": {"demo": {"base_url": "http://demo.invalid", "dialect": "demo"}},
            "plugins": {"demo": {}},
            "routes": [{"name": "r", "match": {"path": "/v1/*"}, "upstream": "demo"}],
        },
        environ={},
        read_file=_no_file,
    )

    assembly = Assembly(config)

    assert assembly.registered.client_faces["openai"].wire == "openai"
    assert {"demo", "openai"} <= {plugin.name for plugin in assembly.table.plugins}


def _no_file(path: str) -> str:
    raise FileNotFoundError(path)
