from pathlib import Path

import pytest
from tests.plugins.registries import addresses

from llmproxy.plugin import BadRegistry, RegistryAway
from llmproxy_discovery_file.config import FileConfig
from llmproxy_discovery_file.listing import ListingFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "members.yaml"
    path.write_text("- 10.0.0.1:80")
    return path


def rename(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


async def settled(file: ListingFile) -> list[str]:
    """Look twice: what has changed is read when it has stood still."""
    await addresses(file)
    return await addresses(file)


async def test_a_renamed_file_is_read_again(path: Path) -> None:
    file = ListingFile(FileConfig(path=str(path)))
    before = await addresses(file)
    rename(path, "- 10.0.0.2:80")

    assert before == ["10.0.0.1:80"]
    assert await settled(file) == ["10.0.0.2:80"]


async def test_a_broken_file_is_told_of_until_it_is_whole(path: Path) -> None:
    file = ListingFile(FileConfig(path=str(path)))
    await addresses(file)
    rename(path, "- [")
    await addresses(file)
    for _ in range(2):
        with pytest.raises(BadRegistry, match=r"members.yaml: not YAML"):
            await file.look()
    rename(path, "- 10.0.0.3:80")
    with pytest.raises(BadRegistry):
        await file.look()

    assert await addresses(file) == ["10.0.0.3:80"]


async def test_a_file_that_is_gone_is_away_and_may_come_back(path: Path) -> None:
    file = ListingFile(FileConfig(path=str(path)))
    await addresses(file)
    path.unlink()
    with pytest.raises(RegistryAway, match="No such file"):
        await file.look()
    rename(path, "- 10.0.0.4:80")

    assert await addresses(file) == ["10.0.0.4:80"]


async def test_a_file_that_is_too_large_is_not_read(path: Path) -> None:
    path.write_bytes(b" " * (4 * 1024 * 1024 + 1))

    with pytest.raises(BadRegistry, match="larger than"):
        await ListingFile(FileConfig(path=str(path))).look()


async def test_a_fault_is_looked_at_as_often_as_all_else(path: Path) -> None:
    assert ListingFile(FileConfig(path=str(path), interval=2.0)).longest_pause == 2.0
