"""What the tests of all places for rows have in common: vectors by number, and the faults that were counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmproxy.metrics import Metrics


def vector(number: int) -> NDArray[np.float32]:
    """Return a vector of its own for each number, as long as MiniLM's."""
    return np.random.default_rng(number).standard_normal(384, dtype=np.float32)


def faults_of(metrics: Metrics) -> str:
    """Return the lines of the store's faults."""
    told = metrics.exposition([metrics.snapshot()]).splitlines()
    return "\n".join(line for line in told if line.startswith("llmproxy_cache_store_faults_total{"))
