"""What every test leaves behind: logging as it was found. What holds for all that hypothesis tries."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

# A busy machine is no fault of what is tested. `--hypothesis-profile thorough` tries more.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", _UNTIMED, max_examples=60)
settings.register_profile("thorough", _UNTIMED, max_examples=1000)
settings.load_profile("quick")


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """Undo what a gateway in the test's process did to the logs, so that tests may run in any order."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
