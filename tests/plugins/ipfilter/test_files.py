from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmproxy.plugin import StartError
from llmproxy_ipfilter.files import ListFile, keep_reading
from llmproxy_ipfilter.listing import BadList
from llmproxy_ipfilter.networks import read_address


def holds(file: ListFile, address: str) -> bool:
    number = read_address(address)
    assert number is not None
    return file.networks.hold(number)


async def settle(file: ListFile) -> bool:
    """Look twice, as a file that is being written must have come to rest."""
    return await file.changed() or await file.changed()


async def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("10.0.0.0/8")
    file = ListFile(str(path), may_be_empty=False)
    file.load()

    assert holds(file, "10.1.1.1")
    assert not await settle(file)
    path.write_text("192.168.0.0/16")
    assert await settle(file)
    assert not holds(file, "10.1.1.1")


@pytest.mark.parametrize("text", ["", "# nothing", "10.0.0.0/8\nbroken"])
async def test_a_file_that_breaks_leaves_what_it_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "list"
    path.write_text("10.0.0.0/8")
    file = ListFile(str(path), may_be_empty=False)
    file.load()
    path.write_text(text)

    with pytest.raises(BadList):
        await settle(file)
    assert holds(file, "10.1.1.1")
    path.unlink()
    assert not await settle(file)
    assert holds(file, "10.1.1.1")


@pytest.mark.parametrize("text", [None, "", "x"])
def test_a_gateway_does_not_start_on_a_broken_list(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "list"
    if text is not None:
        path.write_text(text)

    with pytest.raises(StartError, match="list"):
        ListFile(str(path), may_be_empty=False).load()


def test_nobody_has_to_be_denied(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("# nobody\n")
    file = ListFile(str(path), may_be_empty=True)
    file.load()

    assert len(file.networks) == 0


class Enough(Exception):
    pass


async def test_changes_and_faults_are_told(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("10.0.0.0/8")
    file = ListFile(str(path), may_be_empty=False)
    file.load()
    texts = ["192.168.0.0/16", None, "broken", None, None]
    told: list[str] = []

    async def sleep(seconds: float) -> None:
        if not texts:
            raise Enough
        if (text := texts.pop(0)) is not None:
            path.write_text(text)

    log = SimpleNamespace(
        info=lambda event, **_: told.append(event), warning=lambda event, **_: told.append(event)
    )
    runtime: Any = SimpleNamespace(clock=SimpleNamespace(sleep=sleep), log=log)
    with pytest.raises(Enough):
        await keep_reading([file], runtime, lambda: told.append("changed"), lambda: told.append("failed"))

    assert told == ["changed", "ip_list_read", "ip_list_kept", "failed"]
