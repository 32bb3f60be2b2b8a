"""What every test leaves behind: logging as it was found. What holds for all that hypothesis tries."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import count

import pytest
import structlog
from hypothesis import HealthCheck, settings

from .postgresserver import PostgresServer

# A busy machine is no fault of what is tested. `--hypothesis-profile thorough` tries more.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", _UNTIMED, max_examples=50)
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


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[PostgresServer]:
    """One Postgres for the run, which no test stops."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A Postgres for one test, which may stop it."""
    with PostgresServer() as server:
        yield server


_schemas = count()


@pytest.fixture
def postgres_url(shared_postgres: PostgresServer) -> str:
    """Where an empty schema for one test is."""
    return f"{shared_postgres.url()}?schema=test_{next(_schemas)}"
