from pathlib import Path
from typing import Any

import pytest

from llmproxy.plugin import StartError
from llmproxy.testing import run_route
from llmproxy_ledger import LedgerPlugin


async def told(tmp_path: Path, **config: Any) -> str:
    table = {"use": LedgerPlugin, "directory": str(tmp_path / "ledger"), **config}
    with pytest.raises(StartError) as caught:
        await run_route({"ledger": table})
    return str(caught.value)


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"directory": ""}, "directory: empty"),
        ({"prices": {"a/b": {"input": 1, "output": 1}}}, "prices"),
        ({"ceiling_price": {"input": -1, "output": 1}}, "ceiling_price.input"),
        ({"unknown_price": "guess"}, "unknown_price"),
        ({"on_abort": "ignore"}, "on_abort"),
        ({"sync_every": "0s"}, "sync_every: must be more than nothing"),
        ({"segment": 0}, "segment: must be more than nothing"),
        ({"journal_limit": "8MiB"}, "journal_limit: less than two segments"),
        ({"database": {"url": "mysql://db/x"}}, "database.url: a Postgres URL starts with"),
        ({"database": {"url": "postgres://me:secret@db/x"}}, "database.url: a password is not written out"),
    ],
)
async def test_a_mistake_is_told_by_its_key(tmp_path: Path, config: dict[str, Any], where: str) -> None:
    assert where in await told(tmp_path, **config)


async def test_a_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert "cannot be used: Not a directory" in await told(
        tmp_path, directory=str(tmp_path / "file" / "ledger")
    )
