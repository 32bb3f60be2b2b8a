from __future__ import annotations

import re
from hashlib import sha256

from click.testing import CliRunner

from llmproxy_access.command import access


def run(*arguments: str, stdin: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(access, ["hash-key", *arguments], input=stdin)
    return result.exit_code, result.output


def test_a_new_key_is_printed_with_its_digest() -> None:
    code, output = run()

    match = re.fullmatch(r"key: (llmp-\S{43})\nsha256: ([0-9a-f]{64})\n", output)
    assert code == 0
    assert match is not None
    assert sha256(match[1].encode()).hexdigest() == match[2]


def test_new_keys_differ() -> None:
    assert run()[1] != run()[1]


def test_a_given_key_is_hashed_and_not_repeated() -> None:
    code, output = run("--stdin", stdin="canary-0123456789abcdef\n")

    assert code == 0
    assert output == f"sha256: {sha256(b'canary-0123456789abcdef').hexdigest()}\n"


def test_a_short_key_is_refused_and_not_repeated() -> None:
    code, output = run("--stdin", stdin="canary\n")

    assert code == 1
    assert "at least 12" in output
    assert "canary" not in output
