import functools
import sys
from contextlib import asynccontextmanager
from types import ModuleType

import pluggy
import pytest

from llmproxy.errors import ConfigError, StartError
from llmproxy.hooks import HOOKS, hookimpl
from llmproxy.installed import available
from llmproxy.registry import (
    AdminRequest,
    HookTable,
    NoConfig,
    Plugin,
    Registrations,
    Registry,
    StrategyKind,
    check,
    load,
)


def refusal(kind):
    """Return the one line that refuses a plugin of this class."""
    with pytest.raises(StartError) as caught:
        HookTable([kind("culprit", NoConfig())])
    text = str(caught.value)

    assert text.startswith("plugin 'culprit': ")
    assert "\n" not in text
    return text.removeprefix("plugin 'culprit': ")


def test_a_misspelt_hook_is_refused_with_the_nearest_one():
    class Misspelt(Plugin):
        @hookimpl
        async def pre_rout(self, exchange):
            return None

    assert refusal(Misspelt) == "no hook is called 'pre_rout'; did you mean 'pre_route'?"


def test_a_hook_that_is_like_no_other_is_refused():
    class Strange(Plugin):
        @hookimpl
        def xyzzy(self):
            return None

    assert refusal(Strange) == "no hook is called 'xyzzy'"


@pytest.mark.parametrize("arguments", ["self", "self, request", "self, exchange, more", "self, *args", ""])
def test_wrong_arguments_are_refused_with_the_right_ones(arguments):
    scope = {"hookimpl": hookimpl, "Plugin": Plugin}
    exec(
        f"class Wrong(Plugin):\n  @hookimpl\n  async def pre_route({arguments}): pass",
        scope,
    )

    assert (
        refusal(scope["Wrong"])
        == f"pre_route({arguments.replace('*', '')}) should be pre_route(self, exchange)"
    )


def test_a_sync_hook_that_should_be_async_is_refused():
    class Blue(Plugin):
        @hookimpl
        def pre_route(self, exchange):
            return None

    assert refusal(Blue) == "'pre_route' must be async def"


def test_an_async_hook_that_should_be_sync_is_refused():
    class Red(Plugin):
        @hookimpl
        async def attempt_done(self, exchange, attempt):
            return None

    assert refusal(Red) == "'attempt_done' must be a plain def"


def test_an_async_generator_is_no_async_hook():
    class Yields(Plugin):
        @hookimpl
        async def pre_route(self, exchange):
            yield None

    assert refusal(Yields) == "'pre_route' must be async def"


@pytest.mark.parametrize("mark", ["tryfirst", "trylast", "hookwrapper", "wrapper"])
def test_a_place_in_the_order_is_not_for_a_plugin_to_ask(mark):
    class Pushy(Plugin):
        @hookimpl(**{mark: True})
        async def pre_route(self, exchange):
            return None

    assert refusal(Pushy) == "'pre_route' asks for a place in the order; the config's order is the order"


def test_a_hook_under_another_name_is_refused():
    class Masked(Plugin):
        @hookimpl(specname="cache_lookup")
        async def pre_route(self, exchange):
            return None

    assert refusal(Masked) == "'pre_route' must implement the hook that it is called after"


def test_an_unmarked_hook_is_refused():
    class Unmarked(Plugin):
        async def pre_route(self, exchange):
            return None

    assert refusal(Unmarked) == "'pre_route' is a hook but is not marked @hookimpl"


def test_a_hook_that_is_no_function_is_refused():
    class Valued(Plugin):
        pre_route = None

    assert refusal(Valued) == "'pre_route' is a hook but is not marked @hookimpl"


def test_a_mark_of_another_pluggy_project_is_no_mark():
    class Foreign(Plugin):
        @pluggy.HookimplMarker("pytest")
        async def pre_route(self, exchange):
            return None

    assert refusal(Foreign) == "'pre_route' is a hook but is not marked @hookimpl"


@pytest.mark.parametrize("yields", [True, False])
def test_a_lifespan_must_be_a_context_manager(yields):
    class Coroutine(Plugin):
        @hookimpl
        async def lifespan(self, runtime):
            return None

    class Generator(Plugin):
        @hookimpl
        async def lifespan(self, runtime):
            yield

    assert refusal(Generator if yields else Coroutine) == "'lifespan' must be marked @asynccontextmanager"


def test_the_mark_may_stand_above_or_below_the_context_manager():
    class Above(Plugin):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, runtime):
            yield

    class Below(Plugin):
        @asynccontextmanager
        @hookimpl
        async def lifespan(self, runtime):
            yield

    table = HookTable([Above("above", NoConfig()), Below("below", NoConfig())])

    assert [plugin.name for plugin, _ in table.methods("lifespan")] == ["above", "below"]


def test_a_decorated_hook_is_judged_by_what_it_wraps():
    def traced(function):
        @functools.wraps(function)
        def call(*args):
            return function(*args)

        return call

    class Traced(Plugin):
        @hookimpl
        @traced
        async def pre_route(self, exchange):
            return None

    check(Traced("traced", NoConfig()))


class Early(Plugin):
    @hookimpl
    async def pre_route(self, exchange):
        return None


class Late(Early):
    @hookimpl
    async def post_response(self, exchange):
        return None


def test_methods_come_in_config_order_inherited_ones_too():
    late, early = Late("late", NoConfig()), Early("early", NoConfig())
    table = HookTable([late, early])

    assert table.methods("pre_route") == [(late, late.pre_route), (early, early.pre_route)]
    assert table.methods("post_response") == [(late, late.post_response)]
    assert table.methods("cache_lookup") == []


def test_one_plugin_may_stand_there_twice_under_two_names():
    one, two = Early("one", NoConfig()), Early("two", NoConfig())
    table = HookTable([one, two])

    assert table.implements(one, "pre_route")
    assert table.implements(two, "pre_route")
    assert not table.implements(one, "post_response")


def test_a_plugin_without_hooks_is_welcome():
    table = HookTable([Plugin("idle", NoConfig())])

    assert not any(table.implements(table.plugins[0], hook) for hook in HOOKS)


def test_a_plugin_shows_its_name_and_not_its_config():
    assert repr(Plugin("cache", NoConfig())) == "<plugin 'cache'>"


def test_an_admin_request_does_not_show_its_body():
    assert "secret" not in repr(AdminRequest(None, {}, b"secret"))


@pytest.fixture
def module(monkeypatch):
    module = ModuleType("llmproxy_test_registry")
    module.Early, module.value = Early, 1
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__name__


def test_a_plugin_is_found_by_its_entry_point():
    assert load("demo", "plugins.x.use") is available()["demo"].load()


def test_a_plugin_is_found_by_its_module(module):
    assert load(f"{module}:Early", "plugins.x.use") is Early


@pytest.mark.parametrize(
    ("use", "told"),
    [
        ("demoo", "no plugin named 'demoo' is installed; did you mean 'demo'?"),
        ("xyzzy", "no plugin named 'xyzzy' is installed"),
        ("llmproxy_nowhere:P", "plugin 'llmproxy_nowhere:P' cannot be imported: ModuleNotFoundError: "),
        ("llmproxy_test_registry:Nothing", "plugin 'llmproxy_test_registry:Nothing' cannot be imported: "),
        (":P", "plugin ':P' cannot be imported: ValueError: "),
        (".relative:P", "plugin '.relative:P' cannot be imported: TypeError: "),
        ("llmproxy_test_registry:value", "'llmproxy_test_registry:value' is not a subclass of llmproxy"),
        ("llmproxy.registry:Registry", "'llmproxy.registry:Registry' is not a subclass of llmproxy"),
    ],
)
def test_what_is_no_plugin_is_refused_by_its_config_key(use, told, module):
    with pytest.raises(ConfigError) as caught:
        load(use, "plugins.x.use")

    assert str(caught.value).startswith(f"plugins.x.use: {told}")
    assert "\n" not in str(caught.value)


def test_a_plugin_whose_import_raises_is_refused_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "llmproxy_raises.py").write_text("raise RuntimeError('first\\nsecond')")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ConfigError) as caught:
        load("llmproxy_raises:P", "plugins.x.use")
    assert str(caught.value) == (
        "plugins.x.use: plugin 'llmproxy_raises:P' cannot be imported: RuntimeError: first"
    )


async def answer(request):
    return None


@pytest.fixture
def registered():
    return Registrations()


def test_each_registration_is_kept_under_its_name(registered):
    registry = Registry("p", registered)
    client, upstream = object(), object()
    registry.dialect("d", client=client)
    registry.dialect("d", upstream=upstream)
    registry.store_scheme("s", answer)
    registry.strategy("t", answer)
    registry.embedder("e", answer)

    assert registered.client_faces == {"d": client}
    assert registered.upstream_faces == {"d": upstream}
    assert (registered.store_schemes, registered.strategies, registered.embedders) == (
        {"s": answer},
        {"t": StrategyKind(answer, NoConfig)},
        {"e": answer},
    )


def test_routes_and_pages_carry_their_plugin_and_permission(registered):
    registry = Registry("p", registered)
    registry.admin_route("POST", "/purge", answer, permission="write")
    registry.page("/home", "Home", answer)
    registry.public_route(["GET", "HEAD"], "/hello", answer)
    purge, home = registered.admin_routes
    (hello,) = registered.public_routes

    assert (purge.method, purge.path, purge.permission, purge.plugin, purge.title) == (
        "POST",
        "/purge",
        "write",
        "p",
        "",
    )
    assert (home.method, home.permission, home.title) == ("GET", "read", "Home")
    assert (hello.methods, hello.path, hello.plugin) == (("GET", "HEAD"), "/hello", "p")


@pytest.mark.parametrize(
    ("offer", "told"),
    [
        (lambda r: r.dialect("d", client=object()), "client dialect 'd' is registered already"),
        (lambda r: r.dialect("d", upstream=object()), "upstream dialect 'd' is registered already"),
        (lambda r: r.store_scheme("s", answer), "store scheme 's' is registered already"),
        (lambda r: r.strategy("t", answer), "strategy 't' is registered already"),
        (lambda r: r.embedder("e", answer), "embedder 'e' is registered already"),
        (lambda r: r.public_route(["GET"], "/p", answer), "public route '/p' is served by plugin 'first'"),
        (lambda r: r.public_route([], "/p", answer), "public route '/p' is served by plugin 'first'"),
    ],
)
def test_what_is_taken_is_refused_with_the_plugins_name(offer, told, registered):
    offer(Registry("first", registered))

    with pytest.raises(StartError) as caught:
        offer(Registry("second", registered))
    assert str(caught.value) == f"plugin 'second': {told}"


def test_one_path_may_be_shared_by_methods(registered):
    registry = Registry("p", registered)
    registry.public_route(["GET"], "/p", answer)
    registry.public_route(["POST"], "/p", answer)

    assert len(registered.public_routes) == 2
