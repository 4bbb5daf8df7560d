"""Many connections at the same time: no id is looked up twice, none is lost, no quota is overdrawn."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from scripts.local_stack.settings import Stack

pytestmark = pytest.mark.usefixtures("without_queueing")

QUEUED = 10_000
WORKERS = 20
TAKERS = 40
HELD = "insert into private.quota_limits (bucket, daily_limit) values (%s, %s)"


class Service:
    """The service and the operator, as many connections as are asked for; `mark` begins every id of a test."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self.mark = f"q{uuid4().hex[:8]}"

    @contextmanager
    def connected(self) -> Iterator[Callable[..., Any]]:
        """A connection of the service; calls a function and returns the first value, each call a transaction."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("set role service_role")

            def call(query: str, *parameters: object) -> Any:
                row = connection.execute(query.encode(), parameters).fetchone()
                return row and row[0]

            yield call

    def ask(self, query: str, *parameters: object) -> Any:
        """The first value of the answer to the operator."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            answer = connection.execute(query.encode(), parameters)
            row = answer.fetchone() if answer.description else None
        return row and row[0]

    def queue(self, ids: list[str], **more: object) -> None:
        with self.connected() as call:
            for start in range(0, len(ids), 5000):
                rows = [{"video_id": one, "reason": "requested", **more} for one in ids[start : start + 5000]]
                call("select public.queue_videos(%s)", json.dumps(rows))

    def news(self, video_id: str, **more: object) -> dict[str, object]:
        return {
            "video_id": video_id,
            "title": f"of {video_id}",
            "collected_at": datetime.now(UTC).isoformat(),
            "is_embeddable": True,
            "privacy_status": "public",
            **more,
        }


@pytest.fixture
def service(stack: Stack) -> Iterator[Service]:
    """The queue belongs to the test alone: what the stack's job put in before is gone, and the job waits."""
    service = Service(stack.database_url())
    job = "select cron.alter_job(jobid, active := %s) from cron.job where jobname = 'shorts-queue-due-videos'"
    service.ask(job, False)
    service.ask("delete from private.refresh_queue")
    try:
        yield service
    finally:
        service.ask("delete from private.refresh_queue")
        service.ask("delete from public.cached_videos where starts_with(video_id, %s)", service.mark)
        service.ask("delete from private.quota_days where bucket = %s", service.mark)
        service.ask("delete from private.quota_limits where bucket = %s", service.mark)
        service.ask(job, True)


def at_once(amount: int, work: Callable[[int], Any]) -> list[Any]:
    """What each of so many threads returned, all of which began together."""
    start = threading.Barrier(amount)

    def begin(number: int) -> Any:
        start.wait(timeout=60)
        return work(number)

    with ThreadPoolExecutor(amount) as pool:
        return list(pool.map(begin, range(amount)))


def test_each_id_is_claimed_once_however_many_ask(service: Service) -> None:
    """S-215: 20 connections claim 10,000 ids in batches of 50: every id exactly once."""
    ids = [f"{service.mark}-{number}" for number in range(QUEUED)]
    service.queue(ids)

    def claim(_: int) -> list[str]:
        mine: list[str] = []
        with service.connected() as call:
            while videos := call("select public.claim_refreshes()")["videos"]:
                assert len(videos) <= 50
                mine += [video["video_id"] for video in videos]
        return mine

    claimed = at_once(WORKERS, claim)
    # Who found only rows that others were taking just then has left: the last ones are still there.
    claimed.append(claim(0))

    assert sorted(one for part in claimed for one in part) == sorted(ids)
    assert sum(1 for part in claimed if part) > 1


def test_120_ids_are_three_claims(service: Service) -> None:
    """S-215: 120 queued ids are claimed as 50, 50 and 20."""
    service.queue([f"{service.mark}-{number}" for number in range(120)])
    with service.connected() as call:
        sizes = [len(call("select public.claim_refreshes()")["videos"]) for _ in range(4)]
    assert sizes == [50, 50, 20, 0]


@pytest.mark.parametrize("begun", [False, True], ids=["first of the day", "later in the day"])
def test_a_quota_is_granted_to_the_unit(service: Service, begun: bool) -> None:
    """S-215: 40 connections take 3 units at a time near a limit of 100: exactly 33 are granted."""
    service.ask(HELD, service.mark, 100)
    if begun:
        service.ask("insert into private.quota_days values (%s, private.pacific_day(), 1)", service.mark)

    def take(_: int) -> int:
        with service.connected() as call:
            return sum(call("select public.take_quota(%s, 3)", service.mark)["granted"] for _ in range(2))

    granted = sum(at_once(TAKERS, take))

    assert granted == 33
    used = service.ask("select used from private.quota_days where bucket = %s", service.mark)
    assert used == 99 + begun


def test_a_stale_video_is_true_again(service: Service) -> None:
    """S-192: queued by the job's own command, claimed, finished: its status is the source's, its time is renewed."""
    stale = f"{service.mark}-stale"
    insert = (
        "insert into public.cached_videos (video_id, title, is_embeddable, privacy_status, collected_at, expires_at)"
        " values (%s, 'was public', true, 'public', now() - interval '7 days', now())"
    )
    service.ask(insert, stale)
    service.ask(service.ask("select command from cron.job where jobname = 'shorts-queue-due-videos'"))
    with service.connected() as call:
        while (claim := call("select public.claim_refreshes(500)"))["lease"]:
            if stale in [video["video_id"] for video in claim["videos"]]:
                break
        assert claim["lease"], "the job has not queued it"
        news = [service.news(stale, privacy_status="private")]
        answer = call("select public.finish_refreshes(%s::uuid, %s, '[]')", claim["lease"], json.dumps(news))
    assert answer["stored"]["updated"] == 1
    state = (
        "select array[privacy_status = 'private', not is_playable, expires_at > now() + interval '6 days']"
        " from public.cached_videos where video_id = %s"
    )
    assert service.ask(state, stale) == [True, True, True]


def test_finishing_queueing_folding_and_the_job_never_wait_in_a_circle(service: Service) -> None:
    """S-192, S-215: workers finish while searches queue the same ids; no deadlock, and no keyword is lost."""
    ids = [f"{service.mark}-{number}" for number in range(60)]
    rounds, done = 12, threading.Event()
    left = threading.Semaphore(0)

    def search(number: int) -> None:
        try:
            with service.connected() as call:
                for turn in range(rounds):
                    keyword = f"{service.mark} {number} {turn}"
                    rows = [{"video_id": one, "reason": "discovered", "keyword": keyword, "rank": 5} for one in ids]
                    call("select public.queue_videos(%s)", json.dumps(rows if turn % 2 else rows[::-1]))
                    service.ask(
                        "update public.cached_videos set collected_at = now() - interval '2 hours'"
                        " where video_id = %s and collected_at > now() - interval '1 hour'",
                        ids[turn],
                    )
        finally:
            left.release()

    def refresh() -> None:
        with service.connected() as call:
            while True:
                ended = done.is_set()
                claim = call("select public.claim_refreshes(17)")
                if claim["lease"] is None:
                    if ended:
                        return
                    continue
                keywords = [{"keyword": f"{service.mark} title", "relevance": 0.5, "source": "youtube_api"}]
                news = [service.news(video["video_id"], keywords=keywords) for video in reversed(claim["videos"])]
                call("select public.finish_refreshes(%s::uuid, %s, '[]')", claim["lease"], json.dumps(news))

    def fold() -> None:
        with psycopg.connect(service.database_url, autocommit=True) as connection:
            while not done.is_set():
                connection.execute(
                    "insert into private.pending_counts (counter, video_id, keyword, amount)"
                    " select 'click', video_id, keyword, 1 from public.keyword_video_mappings"
                    " where starts_with(video_id, %s) limit 50",
                    (service.mark,),
                )
                connection.execute("select private.fold_counters(1000), private.queue_due_videos(10)")

    def stop() -> None:
        for _ in range(2):
            left.acquire(timeout=120)
        done.set()

    work = [lambda: search(0), lambda: search(1), refresh, refresh, refresh, fold, stop]
    at_once(len(work), lambda number: work[number]())

    # The job may have put other tests' videos in since.
    assert service.ask("select count(*) from private.refresh_queue where starts_with(video_id, %s)", service.mark) == 0
    mapped = "select count(*) from public.keyword_video_mappings where starts_with(video_id, %s) and search_rank = 5"
    assert service.ask(mapped, service.mark) == len(ids) * rounds * 2


def test_two_that_begin_the_same_run_have_one(service: Service) -> None:
    """S-192: ten connections begin the same request at once: one run, nine times resumed."""
    request = json.dumps({"mark": service.mark})

    def begin(_: int) -> tuple[str, bool]:
        with service.connected() as call:
            run = call("select public.begin_ingest_run('youtube', %s)", request)
        return run["id"], run["resumed"]

    begun = at_once(10, begin)
    service.ask("delete from private.ingest_runs where request = %s::jsonb", request)
    assert len({run for run, _ in begun}) == 1
    assert sorted(resumed for _, resumed in begun) == [False] + [True] * 9
