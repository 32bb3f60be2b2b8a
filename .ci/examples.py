"""Run `COMMAND check` on every configuration under deploy/examples.

usage: examples.py COMMAND [ARGUMENT...]
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import trustme

EXAMPLES = tuple(sorted((Path(__file__).parents[1] / "deploy" / "examples").glob("*.*")))
SPECIAL = {
    "BENCH_LISTEN": "127.0.0.1:0",
    "BENCH_UPSTREAM": "http://127.0.0.1:9",
    "BENCH_STORE": "/var/lib/llmproxy/bench",
}


def main(command: list[str]) -> int:
    failed = 0
    for path in EXAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            environ = {**os.environ, **environment(path, Path(folder))}
            failed += subprocess.run([*command, "check", str(path)], env=environ, check=False).returncode != 0
    print(f"{len(EXAMPLES) - failed} of {len(EXAMPLES)} examples pass")
    return min(failed, 1) if EXAMPLES else 1


def environment(example: Path, folder: Path) -> dict[str, str]:
    """Return a value for each variable an example refers to; certificates are made in `folder`."""
    names = re.findall(r"\$\{env:(\w+)", example.read_text())
    values = {name: SPECIAL.get(name, f"example-{name.lower()}-0123456789") for name in names}
    if "CREDENTIALS_DIRECTORY" in values:
        values["CREDENTIALS_DIRECTORY"] = str(folder)
        _make_certificates(folder)
    return values


def _make_certificates(folder: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("server", "client"):
        issued = authority.issue_cert(f"{name}.example")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
