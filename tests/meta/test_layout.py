"""Every module has its own test file in the mirrored place, and every plugin folder is complete."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import msgspec
import pytest

from .tree import CORE, MODULES, PLUGINS, ROOT, named, parsed, pyproject, setup_cfg

TESTS = ROOT / "tests"


def mirror(module: Path) -> Path:
    """Say where a module's tests belong: plugins/llmproxy_n/m.py has them in tests/plugins/n/test_m.py."""
    if module.is_relative_to(CORE):
        inside = module.relative_to(CORE)
        folder = TESTS / "proxy" / inside.parent
    else:
        inside = module.relative_to(ROOT / "plugins")
        package, *rest = inside.parts[:-1]
        folder = TESTS.joinpath("plugins", package.removeprefix("llmproxy_"), *rest)
    return folder / f"test_{module.name}"


def needs_test(module: Path) -> bool:
    return module.name not in {"__init__.py", "__main__.py"} and not only_passes_names_on(module)


def only_passes_names_on(module: Path) -> bool:
    """Tell whether a module has imports, `__all__` and its docstring, and nothing that could be wrong."""
    return all(_passes_on(statement) for statement in parsed(module).body)


def _passes_on(statement: ast.stmt) -> bool:
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case _:
            return False


def test_every_module_has_its_test_file() -> None:
    missing = [
        named(mirror(module)) for module in MODULES if not mirror(module).exists() and needs_test(module)
    ]

    assert missing == []


def test_every_mirrored_test_file_has_its_module() -> None:
    mirrors = {mirror(module) for module in MODULES}
    files = [*TESTS.glob("proxy/**/test_*.py"), *TESTS.glob("plugins/**/test_*.py")]

    assert [named(path) for path in files if path not in mirrors] == []


def test_only_the_agreed_names_stand_at_the_top() -> None:
    agreed = "proxy plugins tests deploy setup.cfg pyproject.toml README.md LICENSE CHANGELOG.md"
    made = {"build", "dist", "llmproxy_gateway.egg-info"}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}

    assert found - made == set(agreed.split())


@pytest.mark.parametrize("root", [ROOT / "proxy", ROOT / "plugins"], ids=named)
def test_a_source_root_is_not_a_package(root: Path) -> None:
    assert not (root / "__init__.py").exists()


@pytest.mark.parametrize("plugin", PLUGINS, ids=named)
@pytest.mark.parametrize("file", ["__init__.py", "plugin.py", "config.py", "README.md", "py.typed"])
def test_a_plugin_folder_is_complete(plugin: Path, file: str) -> None:
    assert (plugin / file).is_file()


@pytest.mark.parametrize("plugin", PLUGINS, ids=named)
def test_a_plugin_exports_one_name_and_its_entry_point_loads_it(plugin: Path) -> None:
    points = pyproject()["project"]["entry-points"]["llmproxy.plugins"]
    module, _, name = points[plugin.name.removeprefix("llmproxy_")].partition(":")
    package = importlib.import_module(plugin.name)

    assert module == plugin.name
    assert package.__all__ == [name]
    assert inspect.isclass(getattr(package, name))


def test_every_list_of_plugins_names_the_same_ones() -> None:
    folders = {path.name for path in PLUGINS}
    points = pyproject()["project"]["entry-points"]["llmproxy.plugins"]
    settings = setup_cfg()
    lists = {
        "entry points": {f"llmproxy_{name}" for name in points},
        "mypy": set(settings["mypy"]["packages"].split(",")) - {"llmproxy"},
        "importlinter": set(settings["importlinter"]["root_packages"].split()) - {"llmproxy"},
        "core-is-alone": set(settings["importlinter:contract:core-is-alone"]["forbidden_modules"].split()),
        "plugins-are-strangers": set(
            settings["importlinter:contract:plugins-are-strangers"]["modules"].split()
        ),
    }

    assert lists == dict.fromkeys(lists, folders)


@pytest.mark.parametrize("plugin", PLUGINS, ids=named)
def test_a_plugin_readme_explains_every_config_key(plugin: Path) -> None:
    explained = set(re.findall(r"`([a-z][a-z0-9_]*)`", (plugin / "README.md").read_text()))

    assert config_keys(plugin.name) - explained == set()


def config_keys(package: str) -> set[str]:
    module = importlib.import_module(f"{package}.config")
    structs = [
        thing
        for thing in vars(module).values()
        if inspect.isclass(thing)
        and issubclass(thing, msgspec.Struct)
        and thing.__module__ == module.__name__
    ]
    return {field.encode_name for struct in structs for field in msgspec.structs.fields(struct)}


def test_the_marker_of_typed_packages_ships() -> None:
    assert "py.typed" in pyproject()["tool"]["setuptools"]["package-data"]["*"]
    assert (CORE / "py.typed").is_file()


def test_a_changelog_fragment_is_named_for_its_issue_and_kind() -> None:
    strays = [path.name for path in (ROOT / ".changes").iterdir() if not FRAGMENT.fullmatch(path.name)]

    assert strays == []


FRAGMENT = re.compile(r"\d+\.(added|changed|fixed|removed)\.md")
