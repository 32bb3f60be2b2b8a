import io
import logging
import os
import threading

import orjson
import pytest
import structlog

from llmproxy.log import LogSink, configure
from llmproxy.references import Secret
from llmproxy.settings import LogConfig


class Lines:
    """A place to write to that can be read back, and made to fail or to wait."""

    def __init__(self):
        self.data = b""
        self.fault = None
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, data):
        self.gate.wait(10)
        if self.fault is not None:
            raise self.fault
        self.data += data

    def read(self):
        return [orjson.loads(line) for line in self.data.splitlines()]

    def events(self):
        return [line["event"] for line in self.read()]


@pytest.fixture
def lines():
    return Lines()


@pytest.fixture
def sink(lines):
    made = LogSink(lines, now=lambda: 1_700_000_000.25)
    yield made
    lines.gate.set()
    made.close()


@pytest.fixture
def unconfigured():
    root = logging.getLogger()
    before = root.level
    yield
    structlog.reset_defaults()
    root.setLevel(before)
    for handler in root.handlers[:]:
        if type(handler).__module__ == "llmproxy.log":
            root.removeHandler(handler)


@pytest.fixture
def configured(sink, unconfigured):
    configure(sink, LogConfig(level="info", format="json"))
    return sink


def test_a_line_is_an_event_with_fields(sink, lines):
    sink.put("warning", "upstream_lost", dict, {"upstream": "main", "tries": 2})

    assert lines.read() == [
        {
            "time": "2023-11-14T22:13:20.250Z",
            "level": "warning",
            "event": "upstream_lost",
            "upstream": "main",
            "tries": 2,
        }
    ]


def test_lines_below_the_level_are_not_written(sink, lines):
    sink.level = 30
    sink.put("info", "quiet", dict, {})
    sink.put("error", "loud", dict, {})

    assert lines.events() == ["loud"]
    assert not sink.wants("info")
    assert sink.wants("warning")


def test_an_open_sink_makes_and_writes_its_lines_in_a_thread(sink, lines):
    names = []
    sink.open()
    sink.put("info", "made", lambda value: names.append(threading.current_thread().name) or {"v": value}, 7)
    sink.close()

    assert names == ["log-writer"]
    assert lines.read()[0]["v"] == 7


def test_close_writes_all_that_waits_in_order(sink, lines):
    sink.open()
    for number in range(500):
        sink.put("info", f"e{number}", dict, {})
    sink.close()
    sink.put("info", "after", dict, {})

    assert lines.events() == [*(f"e{number}" for number in range(500)), "after"]


def test_a_full_queue_drops_lines_counts_them_and_says_so(lines):
    drops = []
    sink = LogSink(lines, limit=3, on_drop=lambda: drops.append(1))
    lines.gate.clear()
    sink.open()
    for number in range(100):
        sink.put("info", f"e{number}", dict, {})
    lines.gate.set()
    sink.close()

    assert lines.read()[-1] | {"time": ""} == {
        "time": "",
        "level": "warning",
        "event": "log_lines_dropped",
        "lines": sink.dropped,
    }
    assert len(drops) == sink.dropped == 100 - (len(lines.read()) - 1)
    assert sink.dropped > 0


def test_a_failing_place_loses_lines_not_the_writer(sink, lines):
    sink.open()
    lines.fault = BrokenPipeError()
    sink.put("info", "lost", dict, {})
    sink.close()
    lines.fault = None
    sink.open()
    sink.put("info", "kept", dict, {})
    sink.close()

    assert lines.events() == ["kept", "log_lines_dropped"]
    assert sink.dropped >= 1


def test_a_line_that_cannot_be_made_or_rendered_says_so(sink, lines):
    sink.put("info", "broken", lambda _: 1 // 0, None)
    sink.put("info", "odd", dict, {"text": "\ud800", "n": 2**70})

    assert lines.read()[0]["unreadable"] == "ZeroDivisionError"
    assert lines.read()[1]["event"] == "odd"
    assert len(lines.read()) == 2


def test_a_sink_that_opens_after_a_fork_writes_in_the_child(lines):
    receiving, sending = os.pipe()
    sink = LogSink(lambda data: os.write(sending, data))
    sink.put("info", "before", dict, {})
    pid = os.fork()
    if pid == 0:
        sink.open()
        sink.put("info", "child", dict, {})
        sink.close()
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(sending)
    with os.fdopen(receiving, "rb") as reader:
        written = reader.read()

    assert [orjson.loads(line)["event"] for line in written.splitlines()] == ["before", "child"]


def test_structlog_goes_to_the_sink_redacted(configured, lines):
    log = structlog.get_logger("llmproxy").bind(plugin="access")
    log.info("key_refused", api_key="abc", secret=Secret("abc", "${env:K}"), detail="Bearer abc")
    log.debug("unheard")

    assert [{**line, "time": ""} for line in lines.read()] == [
        {
            "time": "",
            "level": "info",
            "event": "key_refused",
            "plugin": "access",
            "api_key": "[redacted]",
            "secret": "${env:K}",
            "detail": "Bearer [redacted]",
        }
    ]


def test_a_fault_brings_its_traceback_without_credentials(configured, lines):
    configured.open()
    log = structlog.get_logger("llmproxy")
    try:
        raise ValueError("bad header b'Authorization: Bearer abcdef'")
    except ValueError as fault:
        log.exception("failed")
        kept = fault
    log.error("failed_again", exc_info=kept)
    log.error("plain", exc_info=False)
    configured.close()
    one, two, plain = lines.read()

    assert one["exception"] == two["exception"]
    assert one["exception"].endswith("ValueError: bad header b'Authorization: Bearer [redacted]'")
    assert "exception" not in plain


def test_the_standard_librarys_logs_are_routed_and_redacted(configured, lines):
    logging.getLogger("aiohttp.server").warning("refused %s", "Authorization: Bearer abcdef")
    try:
        raise KeyError("x")
    except KeyError:
        logging.getLogger("asyncio").exception("lost")
    logging.getLogger("aiohttp.access").info("chatter")
    one, two = lines.read()

    assert one | {"time": ""} == {
        "time": "",
        "level": "warning",
        "event": "library_log",
        "logger": "aiohttp.server",
        "message": "refused Authorization: Bearer [redacted]",
    }
    assert two["exception"].endswith("KeyError: 'x'")


def test_configuring_again_changes_the_level_and_doubles_nothing(configured, lines):
    configure(configured, LogConfig(level="error", format="json"))
    log = structlog.get_logger("llmproxy")
    log.warning("quiet")
    log.error("loud")
    logging.getLogger("asyncio").error("once")
    configure(configured, LogConfig(level="debug", format="json"))
    log.debug("fine")
    logging.getLogger("asyncio").debug("fine too")

    assert lines.events() == ["loud", "library_log", "fine", "library_log"]


def test_the_console_form_is_one_escaped_line_for_people(configured, lines):
    configure(configured, LogConfig(level="info", format="console"))
    structlog.get_logger("llmproxy").info("seen", model="a\x1b[31m\nb", n=1)

    assert lines.data.count(b"\n") == 1
    assert b"\x1b" not in lines.data
    assert b"seen" in lines.data
    assert rb"model=a\x1b[31m\nb" in lines.data


def test_auto_is_json_where_no_terminal_reads(configured, lines, monkeypatch):
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(io.BytesIO()))
    configure(configured, LogConfig(format="auto"))
    structlog.get_logger("llmproxy").info("seen")

    assert lines.events() == ["seen"]


def test_lines_go_to_standard_error_unless_told_otherwise(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr("sys.stderr", stream)
    LogSink().put("info", "seen", dict, {})

    assert orjson.loads(stream.buffer.getvalue())["event"] == "seen"


def test_a_started_sink_takes_all_logs_of_the_process(unconfigured, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr("sys.stderr", stream)
    sink = LogSink.start(LogConfig(level="warning", format="json"))
    structlog.get_logger("llmproxy").info("quiet")
    structlog.get_logger("llmproxy").warning("loud")
    sink.close()

    assert [orjson.loads(line)["event"] for line in stream.buffer.getvalue().splitlines()] == ["loud"]
