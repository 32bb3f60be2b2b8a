"""Start `llmproxy serve` as given on the command line, ask the offline demo model, print its answer, stop it.

usage: try.py COMMAND [ARGUMENT...]        the gateway's program and what stands before `serve`
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

QUESTION = b'{"model": "demo/echo", "messages": [{"role": "user", "content": "Hello from llmproxy!"}]}'
START_LIMIT_S = 20.0


def main(command: list[str]) -> int:
    address = f"127.0.0.1:{_free_port()}"
    began = time.monotonic()
    gateway = subprocess.Popen([*command, "serve", "--listen", address], stdin=subprocess.DEVNULL)
    try:
        answer = _ask(f"http://{address}/v1/chat/completions", gateway, deadline=began + START_LIMIT_S)
        took = time.monotonic() - began
    finally:
        gateway.terminate()
        status = gateway.wait(timeout=30)
    print(f"\nasked:    {QUESTION.decode()}\nanswered: {answer}\n({took:.2f} s from start to first answer)")
    if "Hello from llmproxy!" not in answer:
        print("the demo model should have echoed the question", file=sys.stderr)
        return 1
    return status


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _ask(url: str, gateway: subprocess.Popen[bytes], *, deadline: float) -> str:
    """Ask until the gateway listens; any HTTP answer but 200 is final."""
    request = urllib.request.Request(url, QUESTION, {"Content-Type": "application/json"})
    # A proxy from the environment must not see a loopback request.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(request, timeout=10) as reply:
                return str(reply.read().decode())
        except urllib.error.HTTPError as refusal:
            raise SystemExit(f"the gateway said {refusal.code}: {refusal.read().decode()}") from None
        except OSError as fault:
            if gateway.poll() is not None:
                raise SystemExit(f"the gateway stopped with status {gateway.returncode}") from None
            if time.monotonic() > deadline:
                raise SystemExit(f"no answer within {START_LIMIT_S:g} s: {fault}") from None
        time.sleep(0.02)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main(sys.argv[1:]))
