"""One running local stack for the tests that need it, and the option that points elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from scripts.local_stack import for_tests, supervisor
from scripts.local_stack.settings import REPOSITORY, Stack


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--target",
        default=None,
        metavar="URL",
        help="run the conformance suite against this Supabase instead of the local stack; "
        "keys and database come from SUPABASE_PUBLISHABLE_KEY, SUPABASE_SECRET_KEY and DATABASE_URL",
    )


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The running test stack: the one that ./scripts/test started, else one for this session."""
    stack = for_tests.test_stack()
    if all(part.state == "healthy" for part in supervisor.status(stack)):
        yield stack
        return
    with for_tests.running() as started:
        yield started


@pytest.fixture(scope="module")
def without_purge(stack: Stack) -> Iterator[None]:
    """For tests with old videos: between 18:00 and 18:59 UTC the nightly job would take them away."""
    with paused("shorts-purge-api-data", stack):
        yield


@pytest.fixture(scope="module")
def without_queueing(stack: Stack) -> Iterator[None]:
    """For tests that count what is in the queue: the job would put other tests' videos in."""
    with paused("shorts-queue-due-videos", stack):
        yield


@contextmanager
def paused(job: str, stack: Stack) -> Iterator[None]:
    switch = "select cron.alter_job(jobid, active := %s) from cron.job where jobname = %s"
    with psycopg.connect(stack.database_url("postgres"), autocommit=True) as connection:
        connection.execute(switch, [False, job])
        try:
            yield
        finally:
            connection.execute(switch, [True, job])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data sets beside the checkout."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets (../shared/data) are not beside this checkout")
    return folder
