"""The tests of Anthropic's SDK once more, with its first major version: another key header, another API version."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What the first version has not learned, or says otherwise.
_LATER = "not test_a_thread_that_nobody_can_hold"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_first_version_of_the_sdk_is_served_too(tmp_path: Path) -> None:
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tmp_path), "anthropic<2"]
    subprocess.run(install, check=True, capture_output=True)
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}

    asked = [sys.executable, "-c", "import anthropic; print(anthropic.__version__)"]
    version = subprocess.run(asked, env=environ, check=True, capture_output=True, text=True).stdout
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-k", _LATER]
    verdict = subprocess.run(
        [*run, "tests/integration/test_sdk_anthropic.py"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert version.startswith(("0.", "1."))
    assert verdict.returncode == 0, verdict.stdout[-4000:]
