"""One running local stack for the tests that need it, and the option that points elsewhere."""

from __future__ import annotations

import time
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


@pytest.fixture(scope="module")
def without_jobs(stack: Stack) -> Iterator[None]:
    """For tests that compare whole tables: a job that runs between two looks would fold or forget other rows."""
    with paused("%", stack):
        yield


@contextmanager
def paused(jobs: str, stack: Stack) -> Iterator[None]:
    """None of the jobs whose names are like `jobs` starts, and none that has started still runs."""
    stop = """
        select job.jobid, cron.alter_job(job.jobid, active := false)
        from cron.job as job where job.jobname like %s and job.active
    """
    running = """
        select exists (
            select from cron.job_run_details as run
            where run.jobid = any(%s) and run.status in ('starting', 'running', 'sending', 'connecting')
                and run.start_time > now() - interval '5 minutes'
        )
    """
    with psycopg.connect(stack.database_url("postgres"), autocommit=True) as connection:
        ids = [row[0] for row in connection.execute(stop, [jobs]).fetchall()]
        try:
            while connection.execute(running, [ids]).fetchone() == (True,):
                time.sleep(0.2)
            yield
        finally:
            connection.execute("select cron.alter_job(id, active := true) from unnest(%s::bigint[]) as id", [ids])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data sets beside the checkout."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets (../shared/data) are not beside this checkout")
    return folder
