"""The child process: a llama.cpp server on a Unix socket, until its parent is gone or nobody asks any more.

A program of its own, run by its path: it imports nothing of the gateway. What to do comes as one line of JSON on
standard input, which ends when the parent does, however it ends. Two locks tell other processes how things stand:
`alive` is held for as long as this process lives, `gate` while somebody looks whether it serves, or while it leaves.
"""

from __future__ import annotations

import fcntl
import json  # noqa: TID251  # a program that imports nothing of the gateway
import os
import re
import sys
import threading
import time
from contextlib import suppress
from typing import Any, NoReturn

_BUSY = re.compile(r"^llamacpp:requests_(?:processing|deferred) ([0-9.]+)", re.MULTILINE)
#: How often it is looked whether anybody asks, at least and at most.
_OFTEN, _SELDOM = 0.1, 5.0


def lock(path: str) -> int:
    """Take a lock and keep it; return its descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def leave(told: dict[str, Any]) -> NoReturn:
    """End at once: what the server's threads are doing has nobody to do it for."""
    for name in ("ready", "socket"):
        with suppress(OSError):
            os.unlink(told[name])
    os._exit(0)


def follow_parent(told: dict[str, Any]) -> None:
    """Wait until the parent is gone, or closes the pipe to have this process end."""
    while os.read(0, 4096):
        pass
    leave(told)


def is_busy(metrics: str) -> bool:
    """Say whether a server's metrics tell of requests that are answered or wait."""
    return any(float(number) > 0 for number in _BUSY.findall(metrics))


def is_idle(told: dict[str, Any], busy_at: float) -> bool:
    """Say whether nobody has asked for so long; each who asks touches the file that says `ready`."""
    try:
        asked = os.stat(told["ready"]).st_mtime
    except OSError:
        return True
    return bool(time.time() - max(asked, busy_at) >= told["idle"])  # noqa: TID251  # file times are wall clock


def await_idleness(server: Any, told: dict[str, Any]) -> None:
    """Leave once nobody has asked for long enough and nothing is being answered."""
    busy_at = time.time()  # noqa: TID251
    pause = min(max(told["idle"] / 10, _OFTEN), _SELDOM)
    while True:
        time.sleep(pause)
        if is_busy(str(server.handle_metrics())):
            busy_at = time.time()  # noqa: TID251
        elif is_idle(told, busy_at):
            gate = lock(told["gate"])
            if is_idle(told, busy_at):
                leave(told)
            os.close(gate)


def parameters(told: dict[str, Any]) -> Any:
    """Return llama.cpp's parameters."""
    import xllamacpp  # noqa: PLC0415  # after the pipe is watched: it takes a while

    given = xllamacpp.CommonParams()
    given.model.path = told["weights"]
    given.model_alias = {told["name"]}
    given.n_ctx, given.n_parallel = told["context"], told["parallel"]
    given.cpuparams.n_threads = told["threads"] or os.cpu_count() or 1
    given.hostnames = [told["socket"]]
    given.api_keys = [told["key"]]
    given.endpoint_metrics = True
    given.ui = False
    given.verbosity = -1
    return given


def main() -> None:
    """Serve."""
    line = sys.stdin.readline()
    told: dict[str, Any] = json.loads(line)
    os.umask(0o077)
    lock(told["alive"])
    threading.Thread(target=follow_parent, args=(told,), daemon=True).start()
    with suppress(OSError):
        os.unlink(told["socket"])
    given = parameters(told)
    import xllamacpp  # noqa: PLC0415  # it is loaded by now

    server = xllamacpp.Server(given)
    partial = f"{told['ready']}.{os.getpid()}"
    with open(partial, "w", encoding="utf-8") as file:
        file.write(told["key"])
    os.replace(partial, told["ready"])
    await_idleness(server, told)


if __name__ == "__main__":
    main()
