"""The client of Bright Data against the mock of its API over real HTTP: faults, pauses, streams."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator

import pytest

from app.config import Secret
from app.errors import SettingsError, SourceError
from app.shorts.bright_data import ATTEMPTS, LONGEST_PAUSE, VIDEOS_DATASET, BrightData, UnansweredError
from app.shorts.json_rows import NO_ROW
from tests.bright_data_server import MockBrightData, Snapshot, scraped_row, serving
from tests.bright_data_server.server import KEY

from .raw_server import saying


@pytest.fixture
async def mock() -> AsyncIterator[MockBrightData]:
    async with serving(MockBrightData()) as mock:
        yield mock


class Pauses(list[float]):
    """Notes each wait and lets no time pass."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
async def source(mock: MockBrightData, pauses: Pauses) -> AsyncIterator[BrightData]:
    async with BrightData(key=Secret(KEY), url=mock.url, sleep=pauses) as source:
        yield source


async def test_a_search_from_trigger_to_rows(mock: MockBrightData, source: BrightData, pauses: Pauses) -> None:
    snapshot_id = await source.trigger(["김치", "두바이쫀득쿠키"], limit=10, region="KR")
    assert mock.triggers == [
        {
            "query": {
                "dataset_id": VIDEOS_DATASET,
                "type": "discover_new",
                "discover_by": "keyword",
                "format": "json",
                "include_errors": "true",
            },
            "searches": [
                {"keyword": "김치", "num_of_posts": 10, "country": "KR"},
                {"keyword": "두바이쫀득쿠키", "num_of_posts": 10, "country": "KR"},
            ],
        }
    ]
    assert [await source.progress(snapshot_id) for _ in range(4)] == ["waiting", "waiting", "ready", "ready"]
    assert [row async for row in source.rows(snapshot_id)] == [scraped_row()]
    assert pauses == []


@pytest.mark.parametrize("as_lines", [False, True])
@pytest.mark.parametrize("is_gzip", [False, True])
async def test_a_snapshot_is_streamed_in_every_form(
    mock: MockBrightData, source: BrightData, as_lines: bool, is_gzip: bool
) -> None:
    rows = [scraped_row(number) for number in range(300)]
    mock.snapshots["s_1"] = Snapshot(rows, as_lines=as_lines, is_gzip=is_gzip)
    assert [row async for row in source.rows("s_1")] == rows


async def test_the_server_says_how_long_to_wait(mock: MockBrightData, source: BrightData, pauses: Pauses) -> None:
    mock.faults["trigger"] = [(429, {"retry-after": "7"}), (429, {}), (429, {"retry-after": "99999"})]
    await source.trigger(["x"], limit=1)
    assert pauses == [7, 2, LONGEST_PAUSE]
    assert len(mock.triggers) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_what_passes_is_asked_again(
    mock: MockBrightData, source: BrightData, pauses: Pauses, status: int
) -> None:
    mock.snapshots["s_1"] = Snapshot([], states=["ready"])
    mock.faults["progress"] = [status] * (ATTEMPTS - 1)
    assert await source.progress("s_1") == "ready"
    assert pauses == [1, 2, 4, 8]
    mock.faults["progress"] = [status] * ATTEMPTS
    with pytest.raises(SourceError, match=f"HTTP {status}") as failed:
        await source.progress("s_1")
    assert failed.value.is_transient


async def test_a_trigger_without_an_answer_is_never_sent_twice(mock: MockBrightData, source: BrightData) -> None:
    mock.faults["trigger"] = ["lost"]
    with pytest.raises(UnansweredError):
        await source.trigger(["x"], limit=1)
    assert len(mock.triggers) == 1
    mock.faults["trigger"] = [{"status": "ok"}]
    with pytest.raises(UnansweredError, match="names no snapshot"):
        await source.trigger(["x"], limit=1)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422])
async def test_a_refusal_is_final_and_shows_no_key(mock: MockBrightData, source: BrightData, status: int) -> None:
    mock.faults["trigger"] = [(status, {})]
    with pytest.raises(SourceError, match=f"HTTP {status} slow down") as refused:
        await source.trigger(["x"], limit=1)
    assert not refused.value.is_transient
    assert KEY not in repr(refused.value) + str(refused.value)
    assert mock.calls == ["trigger"]


async def test_a_wrong_key_is_refused(mock: MockBrightData) -> None:
    async with BrightData(key=Secret("wrong"), url=mock.url) as source:
        with pytest.raises(SourceError, match="401 Invalid token"):
            await source.progress("s_1")


@pytest.mark.parametrize("fault", [202, {"status": "building", "message": "try again in 10s"}, "cut", 500])
async def test_a_snapshot_that_is_not_whole_yet_is_read_again_without_doubling(
    mock: MockBrightData, source: BrightData, pauses: Pauses, fault: object
) -> None:
    rows = [scraped_row(number) for number in range(50)]
    mock.snapshots["s_1"] = Snapshot(rows)
    mock.faults["snapshot"] = [fault, fault]
    assert [row async for row in source.rows("s_1")] == rows
    assert pauses == [1, 2]


async def test_a_snapshot_that_never_gets_whole_is_an_error(mock: MockBrightData, source: BrightData) -> None:
    mock.snapshots["s_1"] = Snapshot([scraped_row()] * 5)
    mock.faults["snapshot"] = ["cut"] * ATTEMPTS
    with pytest.raises(SourceError, match="does not end"):
        [row async for row in source.rows("s_1")]


async def test_a_bad_row_of_a_snapshot_is_told(mock: MockBrightData, source: BrightData) -> None:
    mock.snapshots["s_1"] = Snapshot([{"a": float("nan")}, {"b": 1}])
    assert [row async for row in source.rows("s_1")] == [NO_ROW, {"b": 1}]


@pytest.mark.parametrize("states", [["failed"], ["cancelled"]])
async def test_a_snapshot_may_fail(mock: MockBrightData, source: BrightData, states: list[str]) -> None:
    mock.snapshots["s_1"] = Snapshot([], states=states)
    assert await source.progress("s_1") == "failed"


@pytest.mark.parametrize("snapshot_id", ["../../x", "", "a b", "x" * 65, "a?b"])
async def test_an_id_that_would_lead_elsewhere_is_refused(
    mock: MockBrightData, source: BrightData, snapshot_id: str
) -> None:
    with pytest.raises(SourceError, match="is no id"):
        await source.progress(snapshot_id)
    assert mock.calls == []


@pytest.mark.parametrize("answer", [[], {}, {"status": 1}, None])
async def test_an_answer_of_another_form_is_named(mock: MockBrightData, source: BrightData, answer: object) -> None:
    mock.faults["progress"] = [answer] if isinstance(answer, dict) else [(200, {"x": json.dumps(answer)})] * ATTEMPTS
    with pytest.raises(SourceError, match=r"no status|not JSON"):
        await source.progress("s_1")


async def test_nobody_there_is_an_error_that_passes(pauses: Pauses) -> None:
    async with BrightData(key=Secret(KEY), url="http://127.0.0.1:9", sleep=pauses) as source:
        with pytest.raises(SourceError, match="no connection") as failed:
            await source.trigger(["x"], limit=1)
    assert failed.value.is_transient
    assert not isinstance(failed.value, UnansweredError)  # it has certainly not begun
    assert len(pauses) == ATTEMPTS - 1


async def test_a_key_goes_only_where_nobody_reads_it_on_the_way() -> None:
    with pytest.raises(SettingsError, match=r"BRIGHT_DATA_API_URL.*in clear"):
        BrightData(key=Secret(KEY), url="http://api.brightdata.com")


HEAD = b"HTTP/1.1 200 OK\r\n"


async def test_what_the_server_sends_back_of_the_key_is_in_no_message() -> None:
    body = b"Bearer " + KEY.encode()
    answer = b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with saying(answer) as url, BrightData(key=Secret(KEY), url=url) as source:
        with pytest.raises(SourceError, match=r"401 Bearer \*{8}") as caught:
            await source.progress("s_1")
    assert KEY not in str(caught.value.values)


async def test_a_gzip_in_a_gzip_is_not_unpacked(pauses: Pauses) -> None:
    body = gzip.compress(gzip.compress(bytes(1_000_000)))
    answer = HEAD + b"Content-Encoding: gzip, gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with saying(answer) as url, BrightData(key=Secret(KEY), url=url, sleep=pauses) as source:
        with pytest.raises(UnansweredError, match="packed twice"):
            await source.progress("s_1")
        with pytest.raises(UnansweredError, match="packed twice"):
            _ = [row async for row in source.rows("s_1")]


async def test_bytes_that_come_one_by_one_are_given_up(pauses: Pauses) -> None:
    answer = HEAD + b"Content-Length: 1000\r\n\r\n"
    async with (
        saying(answer, then=b" ", every=0.05) as url,
        BrightData(key=Secret(KEY), url=url, timeout_seconds=0.1, sleep=pauses) as source,
    ):
        with pytest.raises(UnansweredError, match=r"no whole answer in 0\.2 s"):
            await source.progress("s_1")


@pytest.mark.parametrize(("bound", "value"), [("MAX_SNAPSHOT", 100_000), ("LONGEST_SNAPSHOT", 0.1)])
async def test_rows_without_end_end(monkeypatch: pytest.MonkeyPatch, bound: str, value: float) -> None:
    monkeypatch.setattr(f"app.shorts.bright_data.{bound}", value)
    rows = b'{"a": 1}\n' * 1_000
    answer = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    piece = b"%x\r\n%s\r\n" % (len(rows), rows)
    async with saying(answer, then=piece, every=0.001) as url, BrightData(key=Secret(KEY), url=url) as source:
        with pytest.raises(SourceError, match="does not end") as caught:
            _ = [row async for row in source.rows("s_1")]
    assert not caught.value.is_transient
