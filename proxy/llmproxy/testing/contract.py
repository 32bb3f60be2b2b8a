"""What every plugin promises, as tests that a plugin's author gets by subclassing."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import msgspec

from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy.exchange import Exchange
from llmproxy.references import Interpolation, Secret
from llmproxy.registry import Plugin
from llmproxy.runtime import Process
from llmproxy.tasks import spawn
from llmproxy.testing.exchanges import Serving, make_exchange, make_process, running_route
from llmproxy.testing.upstream import FakeUpstream

_NAME: Final = "contract"
_UNKNOWN: Final = "no_such_key"


class PluginContract:
    """Checks of a plugin class; subclass it as `TestContract` and set `plugin_class`.

    Attributes:
        plugin_class: what is checked.
        config: a good configuration for it, as the file would have it; `${env:NAME}` refers to `environ`.
        route: its options on the route, likewise.
        more: further sections of the configuration that it needs, stores or other plugins for instance.
        environ: the environment that the configuration refers to.
        headers: fields that a request needs so that the plugin lets it pass.
    """

    plugin_class: ClassVar[type[Plugin[Any]]]
    config: ClassVar[Mapping[str, Any]] = {}
    route: ClassVar[Mapping[str, Any]] = {}
    more: ClassVar[Mapping[str, Any]] = {}
    environ: ClassVar[Mapping[str, str]] = {}
    headers: ClassVar[Mapping[str, str]] = {}

    def test_its_configuration_is_decoded_strictly(self) -> None:
        """An unknown key is refused by its name, in its table and on a route."""
        self._refuses_unknown(self.plugin_class.Config, self.config)
        self._refuses_unknown(self.plugin_class.RouteConfig, self.route)

    def test_its_configuration_is_frozen(self) -> None:
        """Neither struct can be changed while requests read it."""
        for kind in (self.plugin_class.Config, self.plugin_class.RouteConfig):
            assert kind.__struct_config__.frozen, f"{kind.__name__!r} should be declared frozen=True"

    def test_its_readme_tells_every_key(self) -> None:
        """Each key stands in backticks in the README.md beside the class, if there is one."""
        readme = Path(inspect.getfile(self.plugin_class)).with_name("README.md")
        if not readme.exists():
            return
        told = set(re.findall(r"`([a-z][a-z0-9_]*)`", readme.read_text(encoding="utf-8")))
        keys = {
            field.encode_name
            for kind in (self.plugin_class.Config, self.plugin_class.RouteConfig)
            for field in msgspec.structs.fields(kind)
        }
        assert keys <= told, f"{readme.name} should tell of {', '.join(sorted(keys - told))}"

    def test_it_shows_no_secret(self) -> None:
        """The repr of the plugin and of its configuration shows references, never values."""
        tree = Interpolation(self.environ, str).replace(dict(self.config))
        config = decode_struct(self.plugin_class.Config, tree, "config")
        shown = f"{self.plugin_class(_NAME, config)!r} {config!r}"
        for secret in _secrets(config):
            assert secret.reveal() not in shown, f"the repr shows the value of {secret}"

    def test_it_starts_and_stops_more_than_once(self) -> None:
        """Its hooks are valid, and a second generation starts as the first did."""
        for _ in range(2):
            asyncio.run(self._serve(FakeUpstream().reply(json={})))

    def test_it_survives_a_reload(self) -> None:
        """The next generation starts while this one serves, and serves after this one has stopped."""
        asyncio.run(self._reload())

    def test_no_exchange_makes_it_fail(self) -> None:
        """Answers, errors, streams, broken streams and refusals end without a fault of the plugin."""
        for upstream in _upstreams():
            asyncio.run(self._serve(upstream))

    def test_a_caller_that_leaves_does_not_make_it_fail(self) -> None:
        """A request that is cancelled while the upstream is silent ends as every other one does."""
        asyncio.run(self._leave())

    async def _serve(self, upstream: FakeUpstream | None) -> None:
        process = make_process()
        async with AsyncExitStack() as stack:
            there = None if upstream is None else await stack.enter_async_context(upstream)
            serving = await stack.enter_async_context(self._serving(process, there))
            await serving.serve(self._request())
        _assert_no_fault(process)

    async def _reload(self) -> None:
        process = make_process()
        async with FakeUpstream().reply(json={}) as upstream, AsyncExitStack() as first:
            serving = await first.enter_async_context(self._serving(process, upstream))
            await serving.serve(self._request())
            async with self._serving(process, upstream) as successor:
                await first.aclose()
                await successor.serve(self._request())
        _assert_no_fault(process)

    async def _leave(self) -> None:
        process = make_process()
        async with FakeUpstream().stall() as upstream, self._serving(process, upstream) as serving:
            caller = spawn(serving.serve(self._request()), name="caller")
            arrived = spawn(upstream.received(), name="arrived")
            await asyncio.wait([caller, arrived], return_when=asyncio.FIRST_COMPLETED)
            caller.cancel()
            arrived.cancel()
            await asyncio.wait([caller, arrived])
        _assert_no_fault(process)

    def _serving(
        self, process: Process, upstream: FakeUpstream | None
    ) -> AbstractAsyncContextManager[Serving]:
        return running_route(
            {_NAME: {"use": self.plugin_class, **self.config}},
            upstream=upstream,
            options={_NAME: self.route},
            config=self.more,
            environ=self.environ,
            process=process,
        )

    def _request(self) -> Exchange:
        return make_exchange(headers=self.headers, body={"model": "m", "messages": []})

    def _refuses_unknown(self, kind: type[msgspec.Struct], tree: Mapping[str, Any]) -> None:
        good = Interpolation(self.environ, str).replace(dict(tree))
        decode_struct(kind, good, "config")
        told = ""
        try:
            decode_struct(kind, {**cast("dict[str, Any]", good), _UNKNOWN: 1}, "config")
        except ConfigErrors as fault:
            told = str(fault)
        assert _UNKNOWN in told, f"{kind.__name__!r} takes keys that it does not have"


def _upstreams() -> Iterator[FakeUpstream | None]:
    """Yield upstreams of each kind; None refuses the connection."""
    event = b"data: {}\n\n"
    yield FakeUpstream().reply(json={"ok": True})
    yield FakeUpstream().reply(500, json={"error": "no"})
    yield FakeUpstream().stream([event, event])
    yield FakeUpstream().stream([event, event], then="reset", after=100)
    yield None


def _secrets(value: Any) -> Iterator[Secret]:
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, msgspec.Struct):
        yield from _secrets([getattr(value, name) for name in value.__struct_fields__])
    elif isinstance(value, Mapping):
        yield from _secrets(list(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _secrets(each)


def _assert_no_fault(process: Process) -> None:
    text = process.metrics.exposition([process.metrics.snapshot()])
    faults = [line for line in text.splitlines() if line.startswith("llmproxy_plugin_faults_total{")]
    assert faults == [], f"a hook raised: {'; '.join(faults)}"
