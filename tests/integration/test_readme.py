"""What the README shows of each SDK gets an answer from a gateway without a configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .process import GatewayProcess

README = (Path(__file__).parents[2] / "README.md").read_text()
SHOWN = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    with GatewayProcess("--listen", "127.0.0.1:0") as running:
        yield running


@pytest.mark.parametrize("mark", ["sdk", "openai", "anthropic", "gemini"])
def test_an_example_prints_an_answer(
    mark: str, gateway: GatewayProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    found = re.search(rf"^```python\n# check: {mark}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found is not None
    assert SHOWN in found[1]

    exec(compile(found[1].replace(SHOWN, gateway.url), "README.md", "exec"), {"__name__": f"readme_{mark}"})

    assert capsys.readouterr().out.strip()
