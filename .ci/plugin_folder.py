"""Show that the one-file executable loads a plugin from a folder.

usage: plugin_folder.py PYTHON EXECUTABLE FOLDER
PYTHON is one in which llmproxy is installed; it scaffolds the plugin and installs it into FOLDER.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIG = """
version: 1
plugins: {hello: {}}
pipeline: [hello]
"""


def main(python: Path, executable: Path, folder: Path) -> int:
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([python.with_name("llmproxy"), "new-plugin", "hello"], cwd=work, check=True)
        project = next(path.parent for path in Path(work).rglob("pyproject.toml"))
        pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
        subprocess.run([*pip, "--target", str(folder), str(project)], check=True)
        config = Path(work, "hello.yaml")
        config.write_text(CONFIG)
        without = subprocess.run([executable, "check", config], capture_output=True, check=False)
        environ = {**os.environ, "LLMPROXY_PLUGIN_PATH": str(folder)}
        with_folder = subprocess.run([executable, "check", config], env=environ, check=False)
    if without.returncode == 0 or with_folder.returncode != 0:
        print("the executable should know the plugin by its folder, and only by that", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*(Path(argument) for argument in sys.argv[1:])))
