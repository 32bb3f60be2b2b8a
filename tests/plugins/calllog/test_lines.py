import os

import orjson

from llmproxy_calllog.lines import Files, Output, line

from .records import NOW, make_record


def make_files(path, rotate_at=10_000, wall=lambda: NOW):
    return Files(path, rotate_at, wall)


def ids(*paths):
    return [orjson.loads(each)["id"] for path in paths for each in path.read_bytes().splitlines()]


def test_a_record_is_a_line():
    told = orjson.loads(line(make_record("hi", None, attempts='[{"place":"a"}]')))

    assert (told["tenant"], told["request"], told["attempts"]) == ("acme", "hi", [{"place": "a"}])
    assert "answer" not in told


def test_lines_are_appended_to_a_file_that_its_owner_alone_reads(tmp_path):
    path = tmp_path / "calls.jsonl"
    for name in "ab":
        files = make_files(path)
        files.write([make_record(id=name)])
        files.close()

    assert ids(path) == ["a", "b"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_large_file_is_put_aside_and_all_writers_go_over(tmp_path):
    path, times = tmp_path / "calls.jsonl", iter([NOW, NOW + 1])
    one, two = make_files(path, 200, lambda: next(times)), make_files(path, 200, lambda: next(times))
    one.write([make_record(id="a"), make_record(id="b")])
    two.write([make_record(id="c")])
    one.write([make_record(id="d"), make_record(id="e")])
    aside = sorted(tmp_path.glob("calls.jsonl.*"))

    assert len(aside) >= 1
    assert sorted(ids(*aside, *([path] if path.exists() else []))) == ["a", "b", "c", "d", "e"]
    assert ids(aside[0]) == ["a", "b"]


def test_old_files_and_what_is_too_much_go(tmp_path):
    path = tmp_path / "calls.jsonl"
    files = make_files(path)
    for day, size in (
        ("20260101T000000.000000Z", 10),
        ("20260102T000000.000000Z", 1000),
        ("20260103T000000.000000Z", 10),
    ):
        aside = tmp_path / f"calls.jsonl.{day}"
        aside.write_bytes(b"x" * size)
        os.utime(aside, (NOW, NOW))
    os.utime(tmp_path / "calls.jsonl.20260101T000000.000000Z", (NOW - 100, NOW - 100))
    (tmp_path / "calls.jsonl.notes").write_text("mine")
    files.tidy(50, 100)

    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "calls.jsonl",
        "calls.jsonl.20260103T000000.000000Z",
        "calls.jsonl.notes",
    ]


def test_output_goes_where_it_is_told(tmp_path):
    with (tmp_path / "out").open("wb") as file:
        output = Output(file.fileno())
        output.write([make_record(id="a"), make_record(id="b")])

        assert output.tidy(1, 1) is False
    assert ids(tmp_path / "out") == ["a", "b"]
