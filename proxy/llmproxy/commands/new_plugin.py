"""`llmproxy new-plugin`: a package that works, to be changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from llmproxy import __version__
from llmproxy.commands.group import ExitCode, Refusal

_NAME: Final = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
#: What is written, and the template it is made from.
_FILES: Final = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "src/@@{package}/__init__.py": "package_init.py",
    "src/@@{package}/plugin.py": "package_plugin.py",
    "src/@@{package}/config.py": "package_config.py",
    "src/@@{package}/stamp.py": "package_stamp.py",
    "src/@@{package}/README.md": "package_README.md",
    "src/@@{package}/py.typed": "",
    "tests/test_plugin.py": "test_plugin.py",
    "tests/test_stamp.py": "test_stamp.py",
}


class _Text(Template):
    """Marks that neither Python, TOML nor Markdown uses: `@@{name}`."""

    delimiter = "@@"


def new_plugin(name: str, directory: Path) -> str:
    """Write the package into a new folder below `directory`; return what to do next.

    Raises:
        Refusal: the name is no plugin's name, or the folder is there already.
    """
    values = _values(name)
    target = directory / f"llmproxy-{values['dashed']}"
    try:
        target.mkdir(parents=True)
        for path, text in _rendered(values):
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except FileExistsError:
        raise Refusal(f"'{target}' is there already", ExitCode.WRONG_USAGE) from None
    except OSError as fault:
        raise Refusal(f"cannot write '{fault.filename}': {fault.strerror}", ExitCode.WRONG_USAGE) from None
    return f"wrote {target}\nnext: pip install -e '{target}[test]' && cd {target} && pytest"


def _values(name: str) -> dict[str, str]:
    plain = name.lower().removeprefix("llmproxy-").removeprefix("llmproxy_")
    if not _NAME.fullmatch(plain):
        message = f"{name!r} is no plugin's name: letters, digits and single dashes, a letter first"
        raise Refusal(message, ExitCode.WRONG_USAGE)
    words = re.split("[-_]", plain)
    prefix = "".join(map(str.capitalize, words))
    return {
        "name": "_".join(words),
        "dashed": "-".join(words),
        "package": "llmproxy_" + "_".join(words),
        "prefix": prefix,
        "classname": f"{prefix}Plugin",
        "version": __version__,
    }


def _rendered(values: dict[str, str]) -> Iterator[tuple[str, str]]:
    for path, template in _FILES.items():
        yield _Text(path).substitute(values), _Text(template and _template(template)).substitute(values)


def _template(name: str) -> str:
    return (files("llmproxy.scaffold") / f"{name}.tmpl").read_text(encoding="utf-8")
