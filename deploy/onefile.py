"""Build one executable file that holds Python, the gateway and its plugins.

usage: onefile.py [TARGET-FOLDER]
Run it with the Python of an environment in which llmproxy and PyInstaller are installed; the file is for the
system it was built on (its C library or later). Others' plugins need no new build: `LLMPROXY_PLUGIN_PATH`
names folders, as `pip install --target FOLDER PLUGIN` fills them, from which plugins are loaded by name.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import PyInstaller.__main__

DISTRIBUTION = "llmproxy-gateway"
LAUNCHER = """
import os, sys
folders = os.environ.get("LLMPROXY_PLUGIN_PATH", "").split(os.pathsep)
sys.path[:0] = [os.path.abspath(folder) for folder in folders if folder]
from llmproxy.cli import main
main()
"""
# A plugin from a folder may import the standard library beside llmproxy, less what no gateway plugin needs.
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
    collected = [f"--collect-all={package}" for package in packages]
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


def _runs(requirement: str) -> bool:
    return not re.search(r"extra == ['\"](test|check)['\"]", requirement)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def standard_library() -> Iterator[str]:
    names = sys.stdlib_module_names - LEFT_OUT
    yield from (f"--hidden-import={name}" for name in sorted(names) if not name.startswith("_"))
    yield from (f"--exclude-module={name}" for name in sorted(LEFT_OUT))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "dist"))
