"""`llmproxy serve`: read the configuration, bind, fork, serve."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from llmproxy import supervisor, worker
from llmproxy.addresses import Address
from llmproxy.assembly import Assembly
from llmproxy.bindings import ADMIN, bindings
from llmproxy.commands.inputs import Configuration
from llmproxy.config import Config
from llmproxy.control import Worker
from llmproxy.log import LogSink, configure
from llmproxy.settings import Listener as ListenerSettings
from llmproxy.sockets import Listener

_QUESTION = '{"model": "demo/echo", "messages": [{"role": "user", "content": "Hello!"}]}'
_JSON = "-H 'Content-Type: application/json'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says about serving."""

    path: Path | None
    listen: tuple[str, ...] = ()
    workers: int = 1
    pid_file: Path | None = None
    watch: bool = True


def serve(options: Options) -> int:
    """Serve until told to stop; return the exit code."""
    configuration = Configuration(options.path, options.listen)
    config = configuration.load()
    configure(LogSink(), config.log)  # not started: a process may still fork
    if options.workers > 1:
        Assembly(config)  # what it imports is shared by all workers
    settings = supervisor.Settings(
        listen=bindings(config),
        workers=options.workers,
        source=configuration.source(watch=options.watch),
        drain_timeout=config.server.drain_timeout,
        pid_file=options.pid_file,
    )
    first = _first_to_ask()

    def serve_one(one: Worker) -> int:
        def announce() -> None:
            if first():
                sys.stderr.write(announcement(one.listeners, config, show_request=options.path is None))

        return worker.main(one, configuration.read, announce)

    return supervisor.run(settings, serve_one)


def announcement(listeners: Iterable[Listener], config: Config, *, show_request: bool) -> str:
    """Say where the gateway listens and, if wanted, how to ask it something first."""
    by_address = {each.address: each for each in config.listeners}
    data = [each for each in listeners if each.binding.name != ADMIN]
    admin = [each for each in listeners if each.binding.name == ADMIN]
    urls = [_url(each, by_address.get(each.binding.name)) for each in data]
    lines = [f"llmproxy listens on {', '.join(urls)}"]
    if admin:
        lines[0] += f"; admin on {_url(admin[0], None)}"
    if show_request and (keyed := [name for name, up in config.upstreams.items() if up.api_key]):
        lines.append(f"Keys found for {', '.join(keyed)}: models are asked for as {keyed[0]}/MODEL")
    if show_request and data:
        lines += ["Try it:", f"  {_curl(data[0], urls[0])}"]
    return "\n".join(lines) + "\n"


def _url(listener: Listener, settings: ListenerSettings | None) -> str:
    address = _bound(listener)
    if address.path is not None:
        return str(address)
    return f"{'https' if settings is not None and settings.tls else 'http'}://{address}"


def _bound(listener: Listener) -> Address:
    """Return where a caller on this machine reaches a socket; port 0 was replaced by a real one."""
    if listener.binding.address.path is not None:
        return listener.binding.address
    host, port = listener.sock.getsockname()[:2]
    return Address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)  # noqa: S104  # names it only


def _curl(listener: Listener, url: str) -> str:
    where = url
    if (path := listener.binding.address.path) is not None:
        where = f"--unix-socket {path} http://localhost"
    return f"curl {where}/v1/chat/completions {_JSON} -d '{_QUESTION}'"


def _first_to_ask() -> Callable[[], bool]:
    """Return what is true once, in whichever of the processes forked later asks first."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, b"1")
    os.close(writing)

    def ask() -> bool:
        with suppress(BlockingIOError):
            return os.read(reading, 1) == b"1"
        return False

    return ask
