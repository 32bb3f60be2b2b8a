"""Counters of the data path: counted in this process, summed over the workers, told as Prometheus text.

Theory. Counting is an attribute add on a child that its user keeps; nothing is locked, so one process counts
in one thread. `snapshot()` is one worker's answer to whoever serves `/metrics`, and `merge` sums the answers.
A dead worker would take its share out of that sum, and Prometheus reads a falling counter as a restart of the
whole: `rate()` would count everything again. So with several workers whatever has been shown is kept: a
snapshot first moves the counters into `Totals`, memory that outlives the worker, and only gauges travel in
the answer. A killed worker loses what it counted since the last scrape, never what was shown. When the whole
gateway restarts, counters begin at zero, which `rate()` handles.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, Literal, Protocol, TypeVar

import msgspec

from llmproxy.exposition import render
from llmproxy.totals import Totals

#: Upper bounds in seconds: a cached answer at one end, a long stream at the other.
DEFAULT_SECONDS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    120,
    300,
)
#: Label sets of one metric in one process; the rest are counted together.
MAX_SERIES: Final = 500
#: The label value of what is counted together.
OTHER: Final = "other"

Kind = Literal["counter", "gauge", "histogram"]
Mode = Literal["sum", "max"]
Labels = tuple[str, ...]

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


class Family(msgspec.Struct, array_like=True):
    """One metric as it travels: a vector for each label set.

    A counter's and a gauge's vector is its value; a histogram's is the count of each bucket, of the rest, and
    the sum.
    """

    kind: Kind
    help: str
    labels: Labels
    mode: Mode
    buckets: tuple[float, ...]
    series: dict[Labels, list[int | float]]

    def same_shape(self, other: Family) -> bool:
        """Whether the two can be added."""
        return (self.kind, self.labels, self.mode, self.buckets) == (
            other.kind,
            other.labels,
            other.mode,
            other.buckets,
        )


Families = dict[str, Family]

_encode: Final = msgspec.msgpack.encode
_decoder: Final = msgspec.msgpack.Decoder(Families)


class _Child(Protocol):
    def vector(self) -> list[int | float]: ...

    def clear(self) -> None: ...


class CounterChild:
    """One counter of one label set."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: int | float = 0

    def inc(self, n: float = 1) -> None:
        """Add `n`, which is not negative."""
        self.value += n

    def vector(self) -> list[int | float]:
        """Return the value as it travels."""
        return [self.value]

    def clear(self) -> None:
        """Start from zero."""
        self.value = 0


class GaugeChild(CounterChild):
    """One gauge of one label set."""

    __slots__ = ()

    def dec(self, n: float = 1) -> None:
        """Take `n` away."""
        self.value -= n

    def set(self, value: float) -> None:
        """Replace the value."""
        self.value = value

    def clear(self) -> None:
        """Stay: a gauge is what it is now."""


class HistogramChild:
    """One histogram of one label set."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count `value` in the first bucket whose bound is not below it."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def vector(self) -> list[int | float]:
        """Return the counts and the sum as they travel."""
        return [*self._counts, self._sum]

    def clear(self) -> None:
        """Start from zero."""
        self._counts = [0] * len(self._counts)
        self._sum = 0.0


ChildT = TypeVar("ChildT", bound=_Child)


class _Metric(Generic[ChildT]):
    """A named metric and its bounded children."""

    def __init__(self, name: str, shape: Family, max_series: int, dropped: Counter | None) -> None:
        self.name = name
        self.shape = shape
        self._max_series = max_series
        self._dropped = dropped
        self._children: dict[Labels, ChildT] = {}

    def labels(self, *values: str) -> ChildT:
        """Return the child of this label set; keep it where it is used often.

        Past the bound, every further label set gets the one child whose values are all `other`.
        """
        child = self._children.get(values)
        return self._add(values) if child is None else child

    def _add(self, values: Labels) -> ChildT:
        if len(values) != len(self.shape.labels):
            wanted = ", ".join(self.shape.labels) or "none"
            raise ValueError(f"metric {self.name!r} has the labels {wanted}, got {len(values)} values")
        if len(self._children) >= self._max_series:
            if self._dropped is not None:
                self._dropped.labels(self.name).inc()
            values = (OTHER,) * len(values)
        return self._children.setdefault(values, self._make())

    def _make(self) -> ChildT:
        raise NotImplementedError

    def read(self) -> Family:
        """Return the metric as it travels."""
        series = {values: child.vector() for values, child in self._children.items()}
        return msgspec.structs.replace(self.shape, series=series)

    def start_over(self) -> None:
        """Forget what was counted, as it is kept elsewhere now."""
        for child in self._children.values():
            child.clear()


class Counter(_Metric[CounterChild]):
    """Something that only grows; its name ends in `_total`."""

    def _make(self) -> CounterChild:
        return CounterChild()


class Gauge(_Metric[GaugeChild]):
    """Something that rises and falls; summed over workers, or the greatest of them with mode `max`."""

    def _make(self) -> GaugeChild:
        return GaugeChild()


class Histogram(_Metric[HistogramChild]):
    """How often values fell under each of some bounds."""

    def _make(self) -> HistogramChild:
        return HistogramChild(self.shape.buckets)


Metric = Counter | Gauge | Histogram
MetricT = TypeVar("MetricT", Counter, Gauge, Histogram)


class Metrics:
    """All metrics of one process; they survive generations.

    Several workers share `totals`, made before the fork; `slot` is this worker's place in them.
    """

    def __init__(self, totals: Totals | None = None, slot: int = 0, *, max_series: int = MAX_SERIES) -> None:
        self._totals = totals
        self._slot = slot
        self._max_series = max_series
        self._metrics: dict[str, Metric] = {}
        self._collectors: list[Callable[[], None]] = []
        self._dropped: Counter | None = None
        self._dropped = self.counter(
            "llmproxy_metric_series_dropped_total",
            "Label sets asked for past a metric's bound and counted as other.",
            ("metric",),
        )

    def counter(self, name: str, help: str, labels: Sequence[str] = ()) -> Counter:
        """Return the counter of that name, made on first use.

        Raises:
            ValueError: the name is not a counter's, or is taken by a metric of another shape.
        """
        if not name.endswith("_total"):
            raise ValueError(f'counter {name!r} should end in "_total"')
        return self._metric(Counter, name, Family("counter", help, tuple(labels), "sum", (), {}))

    def gauge(self, name: str, help: str, labels: Sequence[str] = (), *, mode: Mode = "sum") -> Gauge:
        """Return the gauge of that name, made on first use; see `counter`."""
        return self._metric(Gauge, name, Family("gauge", help, tuple(labels), mode, (), {}))

    def histogram(
        self, name: str, help: str, labels: Sequence[str] = (), buckets: Sequence[float] = DEFAULT_SECONDS
    ) -> Histogram:
        """Return the histogram of that name, made on first use; `buckets` are upper bounds; see `counter`."""
        bounds = tuple(float(bound) for bound in buckets)
        if not bounds or list(bounds) != sorted(set(bounds)) or not all(map(math.isfinite, bounds)):
            raise ValueError(f"histogram {name!r} needs finite buckets that rise, got {list(buckets)}")
        return self._metric(Histogram, name, Family("histogram", help, tuple(labels), "sum", bounds, {}))

    def _metric(self, kind: type[MetricT], name: str, shape: Family) -> MetricT:
        known = self._metrics.get(name)
        if known is None:
            _check_names(name, shape)
            made = self._metrics[name] = kind(name, shape, self._max_series, self._dropped)
            return made
        if not isinstance(known, kind) or not known.shape.same_shape(shape):
            raise ValueError(
                f"metric {name!r} is a {known.shape.kind} with labels {list(known.shape.labels)}"
                f" and buckets {list(known.shape.buckets)} already"
            )
        return known

    def collect(self, collector: Callable[[], None]) -> Callable[[], None]:
        """Have `collector` bring its metrics up to date whenever they are asked for; return what ends that.

        It must not wait for anything: what it tells costs nothing between two scrapes.
        """
        self._collectors.append(collector)

        def end() -> None:
            # What was counted since the last scrape is not lost with whoever counted it.
            collector()
            self._collectors.remove(collector)

        return end

    def snapshot(self) -> bytes:
        """Return what this worker adds to the sum; call it once more when the worker leaves.

        With `totals` its counters and histograms are moved there, and the snapshot holds the gauges.
        """
        for collector in tuple(self._collectors):
            collector()
        if self._totals is None:
            return self._encode(Counter, Gauge, Histogram)
        own = self._encode(Counter, Histogram)
        if self._totals.update(self._slot, lambda kept: _encode(merge([kept, own]))):
            for metric in self._metrics.values():
                metric.start_over()
        return self._encode(Gauge)

    def _encode(self, *kinds: type[Metric]) -> bytes:
        return _encode({name: each.read() for name, each in self._metrics.items() if isinstance(each, kinds)})

    def families(self, snapshots: Iterable[bytes]) -> Families:
        """Return the sum of the workers' snapshots and of what is kept of all of them, dead ones too."""
        kept = self._totals.read() if self._totals is not None else []
        return merge([*kept, *snapshots])

    def exposition(self, snapshots: Iterable[bytes]) -> str:
        """Return Prometheus' text of the same."""
        return render(self.families(snapshots))


def _check_names(name: str, shape: Family) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no metric's name; use letters, digits and underscores")
    for label in shape.labels:
        if not _LABEL.fullmatch(label) or (shape.kind == "histogram" and label == "le"):
            raise ValueError(f"metric {name!r}: {label!r} cannot be a label's name")
    if len(set(shape.labels)) != len(shape.labels):
        raise ValueError(f"metric {name!r} names a label twice")


def merge(snapshots: Iterable[bytes]) -> Families:
    """Sum snapshots: counters, histograms and gauges add up, gauges of mode `max` keep the greatest.

    Of two shapes under one name the first stands.
    """
    merged: Families = {}
    for snapshot in snapshots:
        for name, family in _decoder.decode(snapshot).items() if snapshot else ():
            if name not in merged:
                merged[name] = family
            elif merged[name].same_shape(family):
                _add(merged[name], family)
    return merged


def _add(into: Family, family: Family) -> None:
    for labels, vector in family.series.items():
        known = into.series.get(labels)
        if known is None:
            into.series[labels] = vector
        elif into.mode == "max":
            into.series[labels] = [max(pair) for pair in zip(known, vector, strict=True)]
        else:
            into.series[labels] = [a + b for a, b in zip(known, vector, strict=True)]
