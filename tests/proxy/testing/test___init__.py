import subprocess
import sys

import pytest

import llmproxy.testing


def test_names_are_there_when_asked_for():
    from llmproxy.testing import upstream

    assert llmproxy.testing.FakeUpstream is upstream.FakeUpstream
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = llmproxy.testing.Nothing


def test_importing_the_kit_imports_no_server():
    code = "import sys, llmproxy.testing; sys.exit('asyncio' in sys.modules or 'httptools' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=True)
