"""What every test leaves behind: logging as it was found. What holds for all that hypothesis tries."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Generator, Iterator
from itertools import count

import pytest
import structlog
import trustme
from hypothesis import HealthCheck, settings

from .postgresserver import PostgresServer

# A busy machine is no fault of what is tested. `--hypothesis-profile thorough` tries more.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", _UNTIMED, max_examples=50)
settings.register_profile("thorough", _UNTIMED, max_examples=1000)
settings.load_profile("quick")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Start three processes for two cores: a third of their time they wait, for gateways, clocks and servers."""
    return max(2, 3 * (os.cpu_count() or 1) // 2)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the collector from what is imported for all tests: to look through it takes a third of a second."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust an authority of the run by default: each client of an SDK would read the hundred others."""
    file = tmp_path_factory.mktemp("trusted") / "authority.pem"
    trustme.CA().cert_pem.write_to_path(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


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
