"""The contract holds for a good plugin, and says what is wrong with another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import msgspec
import pytest

from llmproxy.plugin import Exchange, NoConfig, Plugin, Runtime, Secret, StartError, hookimpl
from llmproxy.testing import PluginContract


class GoodConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: Secret
    size: int = 3


class GoodPlugin(Plugin[GoodConfig]):
    """Does nothing wrong."""

    Config = GoodConfig
    lives = 0

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        type(self).lives += 1
        yield
        type(self).lives -= 1

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        assert exchange.outcome.status or exchange.outcome.client_gone


class TestGood(PluginContract):
    plugin_class = GoodPlugin
    config: ClassVar = {"token": "${env:TOKEN}"}
    environ: ClassVar = {"TOKEN": "s3cret-value"}

    def test_every_life_ended(self) -> None:
        self.test_it_survives_a_reload()

        assert GoodPlugin.lives == 0


def contract_of(kind: type[Plugin[Any]], **attributes: Any) -> PluginContract:
    checks: type[PluginContract] = type("Contract", (PluginContract,), {"plugin_class": kind, **attributes})
    return checks()


def test_a_configuration_that_lets_unknown_keys_pass_is_told() -> None:
    class LaxConfig(msgspec.Struct, frozen=True):
        size: int = 3

        @classmethod
        def from_shorthand(cls, tree: dict[str, Any]) -> dict[str, Any]:
            return {key: value for key, value in tree.items() if key == "size"}

    lax = type("LaxPlugin", (Plugin,), {"Config": LaxConfig})

    with pytest.raises(AssertionError, match="'LaxConfig' takes keys"):
        contract_of(lax).test_its_configuration_is_decoded_strictly()


def test_a_configuration_that_can_be_changed_is_told() -> None:
    class OpenConfig(msgspec.Struct, forbid_unknown_fields=True):
        size: int = 3

    loose = type("LoosePlugin", (Plugin,), {"Config": OpenConfig})

    with pytest.raises(AssertionError, match="frozen=True"):
        contract_of(loose).test_its_configuration_is_frozen()


def test_a_secret_that_is_shown_is_told() -> None:
    class TalkingPlugin(Plugin[GoodConfig]):
        Config = GoodConfig

        def __repr__(self) -> str:
            return f"<plugin with {self.config.token.reveal()}>"

    contract = contract_of(TalkingPlugin, config={"token": "${env:T}"}, environ={"T": "s3cret-value"})

    with pytest.raises(AssertionError, match=r"the repr shows the value of \$\{env:T\}"):
        contract.test_it_shows_no_secret()


@pytest.mark.parametrize("check", ["no_exchange_makes_it_fail", "a_caller_that_leaves_does_not_make_it_fail"])
def test_a_hook_that_raises_is_told(check: str) -> None:
    class WeakPlugin(Plugin[NoConfig]):
        @hookimpl
        async def post_response(self, exchange: Exchange) -> None:
            raise ValueError

    with pytest.raises(AssertionError, match="a hook raised"):
        getattr(contract_of(WeakPlugin), f"test_{check}")()


def test_a_plugin_that_cannot_start_again_is_told() -> None:
    class OncePlugin(Plugin[NoConfig]):
        started = False

        @hookimpl
        @asynccontextmanager
        async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
            if type(self).started:
                raise OSError("in use")
            type(self).started = True
            yield

    with pytest.raises(StartError, match="plugin 'contract': lifespan failed"):
        contract_of(OncePlugin).test_it_starts_and_stops_more_than_once()


def test_a_readme_that_leaves_out_a_key_is_told(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "README.md").write_text("| `token` | the token |")
    monkeypatch.setattr("inspect.getfile", lambda kind: str(tmp_path / "plugin.py"))

    with pytest.raises(AssertionError, match=r"README\.md should tell of size"):
        contract_of(GoodPlugin).test_its_readme_tells_every_key()
