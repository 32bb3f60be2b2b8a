"""Where a command's configuration comes from: a file, or what is built in."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llmproxy.config import Config, decode, default_text, format_of, parse
from llmproxy.control import unreadable
from llmproxy.errors import StartError
from llmproxy.filewatch import Source, file_source


class Configuration:
    """A configuration file, or the built-in text, with the command line's listeners in place of its own."""

    def __init__(self, path: Path | None, listen: Sequence[str] = ()) -> None:
        self.path = path
        self.name = "built-in configuration" if path is None else str(path)
        self._format = format_of(self.name)
        self._listen = tuple(listen)

    def source(self, *, watch: bool = False) -> Source:
        """Return what gives the configuration's bytes."""
        if self.path is None:
            return Source(lambda: default_text(os.environ).encode())
        return file_source(self.path, watch=watch)

    def read(self, data: bytes) -> Config:
        """Decode the configuration's bytes.

        Raises:
            ConfigErrors: every mistake in it.
        """
        tree = parse(data, self._format, self.name)
        if self._listen:
            tree = {**tree, "listen": [{**_first_listener(tree), "address": each} for each in self._listen]}
        return decode(tree, environ=os.environ, read_file=_read_text)

    def load(self) -> Config:
        """Read and decode it now."""
        return self.read(self._bytes())

    def part(self, section: str, keep: Callable[[str, object], bool] = lambda *_: True) -> Config:
        """Read and decode one section now, or what is kept of it, name by name.

        What the other sections refer to, secrets above all, need not be there: whoever looks at a gateway from beside
        it has not all that it has.

        Raises:
            ConfigErrors: every mistake in it.
        """
        found = parse(self._bytes(), self._format, self.name).get(section)
        if found is None:
            return Config()
        if isinstance(found, dict):
            found = {name: each for name, each in found.items() if keep(name, each)}
        return decode({section: found}, environ=os.environ, read_file=_read_text)

    def _bytes(self) -> bytes:
        try:
            return self.source().read()
        except OSError as fault:
            raise StartError(unreadable(fault)) from fault


def _read_text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _first_listener(tree: dict[str, Any]) -> dict[str, Any]:
    """Return what the file's first listener says beside its address: TLS and trusted proxies stay."""
    listeners = tree.get("listen")
    first = listeners[0] if isinstance(listeners, list) and listeners else listeners
    return first if isinstance(first, dict) else {}
