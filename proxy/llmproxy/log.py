"""Logs: constant event names with fields, redacted, written by a thread of their own.

Theory. What is logged is put into a bounded queue as it is; making fields of it, redacting, rendering and
writing happen in the writer's thread. `put` never blocks: a full queue drops the line and counts it. The
thread waits a moment after it was woken, so that a busy loop is interrupted some times a second and not once
a line. Before `open` and after `close` lines are written at once: a process may fork safely before it starts
its sink.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

from llmproxy.redaction import redact

if TYPE_CHECKING:
    from llmproxy.settings import LogConfig

T = TypeVar("T")
Fields = Mapping[str, Any]
Entry = tuple[float, str, str, Callable[[Any], Fields], Any]
Render = Callable[[dict[str, Any]], str | bytes]

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
#: Lines that wait for the writer before further ones are dropped.
QUEUE_LIMIT: Final = 10_000
_GATHER: Final = 0.05
_BATCH: Final = 64


def stderr(data: bytes) -> None:
    """Write to whatever standard error is now."""
    sys.stderr.buffer.write(data)
    sys.stderr.buffer.flush()


class LogSink:
    """Takes lines without blocking and writes them from a thread.

    `level` is the least that is wanted, as in `LEVELS`; `dropped` counts the lines lost to a full queue or a
    failed write, and `on_drop` is called for each.
    """

    def __init__(
        self,
        write: Callable[[bytes], object] = stderr,
        *,
        now: Callable[[], float] = time.time,  # noqa: TID251  # what the runtime's clock says
        limit: int = QUEUE_LIMIT,
        on_drop: Callable[[], object] = lambda: None,
    ) -> None:
        self.level = LEVELS["info"]
        self.render: Render = render_json
        self.dropped = 0
        self._write = write
        self._now = now
        self._limit = limit
        self._on_drop = on_drop
        self._told = 0
        self._queue: deque[Entry] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def start(cls, settings: LogConfig) -> LogSink:
        """Return an open sink that all of this process logs to."""
        sink = cls()
        configure(sink, settings)
        sink.open()
        return sink

    def open(self) -> None:
        """Write from a thread from now on; call it in the process that logs, after any fork."""
        self._closing.clear()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def close(self, timeout: float = 2.0) -> None:
        """Write what waits, for `timeout` seconds at most; later lines are written at once."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._closing.set()
            self._wake.set()
            thread.join(timeout)

    def wants(self, level: str) -> bool:
        """Whether lines of this level are written."""
        return LEVELS[level] >= self.level

    def put(self, level: str, event: str, fields: Callable[[T], Fields], values: T) -> None:
        """Log `event` with `fields(values)`, which the writer's thread calls.

        `values` should be small and must not change any more.
        """
        if not self.wants(level):
            return
        entry = (self._now(), level, event, fields, values)
        if self._thread is None:
            self._write_out([entry])
        elif len(self._queue) >= self._limit:
            self._drop(1)
        else:
            self._queue.append(entry)
            if not self._wake.is_set():
                self._wake.set()

    def _drop(self, lines: int) -> None:
        self.dropped += lines
        for _ in range(lines):
            self._on_drop()

    def _run(self) -> None:
        closing = False
        while not closing:
            self._wake.wait()
            closing = self._closing.wait(_GATHER)
            self._wake.clear()  # before the queue is looked at: what comes later wakes again
            self._drain()

    def _drain(self) -> None:
        while self._queue:
            self._write_out([self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))])
            time.sleep(0)  # the event loop may run between batches
        if self.dropped > self._told:
            lost, self._told = self.dropped - self._told, self.dropped
            self._write_out([(self._now(), "warning", "log_lines_dropped", dict, {"lines": lost})])

    def _write_out(self, entries: list[Entry]) -> None:
        try:
            self._write(b"".join(map(self._line, entries)))
        except (OSError, ValueError):  # a closed or full pipe: nowhere to say so
            self._drop(len(entries))

    def _line(self, entry: Entry) -> bytes:
        wall, level, event, fields, values = entry
        stamp = datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        record = {"time": stamp, "level": level, "event": event}
        try:
            line = self.render(record | redact(_with_traceback(fields(values))))
        except Exception as fault:  # one bad line must not end the writer
            line = self.render(record | {"unreadable": type(fault).__name__})
        return (line.encode("utf-8", "backslashreplace") if isinstance(line, str) else line) + b"\n"


def _with_traceback(fields: Fields) -> Fields:
    if "exc_info" not in fields:
        return fields
    plain = dict(fields)
    fault = plain.pop("exc_info")
    if fault is not None:
        import structlog  # noqa: PLC0415

        render = structlog.processors.ExceptionRenderer()
        plain["exception"] = render(None, "", {"exc_info": fault})["exception"]
    return plain


def render_json(record: dict[str, Any]) -> bytes:
    """Render one line of JSON."""
    return orjson.dumps(record, default=str, option=orjson.OPT_NON_STR_KEYS)


def console_renderer(*, colors: bool) -> Render:
    """Return a renderer for people; text that a terminal would act on is shown escaped."""
    import structlog  # noqa: PLC0415

    render = structlog.dev.ConsoleRenderer(
        colors=colors,
        timestamp_key="time",
        pad_event_to=0,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )

    def render_console(record: dict[str, Any]) -> str:
        safe = {key: _printable(value) if key != "exception" else value for key, value in record.items()}
        return str(render(None, "", safe))

    return render_console


def _printable(value: Any) -> Any:
    if isinstance(value, str) and not value.isprintable():
        return value.encode("unicode_escape").decode()
    return value


def configure(sink: LogSink, settings: LogConfig) -> None:
    """Send structlog's and the standard library's logs to `sink`; call it again when the settings change."""
    # structlog takes as long to import as the rest of the public API: whoever only writes a plugin goes without.
    import structlog  # noqa: PLC0415

    tty = sys.stderr.isatty()
    level = LEVELS[settings.level]
    console = settings.format == "console" or (settings.format == "auto" and tty)
    sink.level = level
    sink.render = console_renderer(colors=tty) if console else render_json
    structlog.configure(
        processors=[_hand_over],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _SinkLogger(sink),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _SinkHandler)]:
        root.removeHandler(handler)
    root.addHandler(_SinkHandler(sink))
    # libraries say at info what is of use to nobody else
    root.setLevel(level if level == logging.DEBUG else max(level, logging.WARNING))


def _hand_over(
    _: Any, method: str, fields: MutableMapping[str, Any]
) -> tuple[tuple[str, str, Any], dict[str, Any]]:
    event = str(fields.pop("event", ""))
    fault = fields.get("exc_info")
    if fault is True:
        fields["exc_info"] = sys.exc_info()  # the writer's thread has none
    elif fault is False:
        del fields["exc_info"]
    return (method, event, fields), {}


class _SinkLogger:
    """What structlog calls at the end of its chain."""

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink

    def msg(self, level: str, event: str, fields: Fields) -> None:
        """Hand one line over."""
        self._sink.put(level, event, dict, fields)

    debug = info = warning = error = critical = msg


class _SinkHandler(logging.Handler):
    """What the standard library's loggers end in."""

    def __init__(self, sink: LogSink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one record over, as event `library_log`."""
        level = max(
            (name for name, number in LEVELS.items() if number <= record.levelno), key=LEVELS.__getitem__
        )
        fields: dict[str, Any] = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        self._sink.put(level, "library_log", dict, fields)
