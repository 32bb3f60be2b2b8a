"""Build one executable file that holds Python, the gateway and its plugins.

usage: onefile.py [TARGET-FOLDER]
Run it with the Python of an environment in which llmproxy and PyInstaller are installed; the file is for the
system it was built on (its C library or later). Others' plugins need no new build: `LLMPROXY_PLUGIN_PATH`
names folders, as `pip install --target FOLDER PLUGIN` fills them, from which plugins are loaded by name.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import PyInstaller.__main__
from PyInstaller.utils.hooks import collect_submodules

DISTRIBUTION = "llmproxy-gateway"
LAUNCHER = """
import os, sys
folders = os.environ.get("LLMPROXY_PLUGIN_PATH", "").split(os.pathsep)
sys.path[:0] = [os.path.abspath(folder) for folder in folders if folder]
from llmproxy.cli import main
main()
"""
# What no plugin of a gateway needs of the standard library.
LEFT_OUT = {
    "antigravity",
    "idlelib",
    "lib2to3",
    "msilib",
    "pydoc_data",
    "test",
    "this",
    "tkinter",
    "turtle",
    "turtledemo",
}


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        launcher = Path(work, "launcher.py")
        launcher.write_text(LAUNCHER)
        PyInstaller.__main__.run([*options(Path(work)), "--distpath", str(target), str(launcher)])


def options(work: Path) -> list[str]:
    fixed = ["--onefile", "--name", "llmproxy", "--noconfirm", "--clean", "--log-level", "WARN"]
    places = ["--workpath", str(work / "build"), "--specpath", str(work)]
    packages = sorted({*own_packages(), *needed_packages()})
    collected = [f"--collect-all={package}" for package in packages if _is_package(package)]
    metadata = [f"--recursive-copy-metadata={DISTRIBUTION}"]
    return [*fixed, *places, *collected, *metadata, *standard_library()]


def own_packages() -> Iterator[str]:
    """Yield `llmproxy` and the package of each plugin that came with it."""
    yield "llmproxy"
    for point in importlib.metadata.distribution(DISTRIBUTION).entry_points.select(group="llmproxy.plugins"):
        yield point.module.partition(".")[0]


def needed_packages() -> Iterator[str]:
    """Yield what stands behind the names of the direct dependencies, those of installed extras too."""
    requirements = importlib.metadata.requires(DISTRIBUTION) or []
    names = {
        re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in requirements if _runs(requirement)
    }
    wanted = {_normal(name) for name in names}
    for package, distributions in importlib.metadata.packages_distributions().items():
        if wanted & {_normal(each) for each in distributions} and package.isidentifier():
            yield package


def _is_package(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.submodule_search_locations is not None


def _runs(requirement: str) -> bool:
    return not re.search(r"extra == ['\"](test|check)['\"]", requirement)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def standard_library() -> Iterator[str]:
    """Yield the options that bring all of it, so that a plugin from a folder is not short of a module."""
    for name in sorted(sys.stdlib_module_names - LEFT_OUT):
        if not name.startswith("_") and importlib.util.find_spec(name) is not None:
            yield from (f"--hidden-import={module}" for module in collect_submodules(name, filter=_is_wanted))
    yield from (f"--exclude-module={name}" for name in sorted(LEFT_OUT))


def _is_wanted(module: str) -> bool:
    return not set(module.split(".")) & {"__main__", "test", "tests", "_msvccompiler", "msvccompiler"}


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "dist"))
