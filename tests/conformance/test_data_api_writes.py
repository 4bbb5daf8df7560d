"""Inserts, upserts, updates and deletes through the Data API."""

from __future__ import annotations

import httpx
from postgrest import CountMethod, ReturnMethod
from supabase import AsyncClient

from .conftest import found

VIDEOS = "conformance_videos"
CHANNELS = "conformance_channels"


async def test_upsert_merges_or_ignores(service: AsyncClient) -> None:
    table = service.table(CHANNELS)
    merged = await table.upsert([{"id": 3, "title": "merged"}, {"id": 50, "title": "new"}]).execute()
    ignored = await table.upsert(
        [{"id": 3, "title": "ignored"}, {"id": 51, "title": "new"}], ignore_duplicates=True
    ).execute()
    rows = await found(table.select("id, title").gte("id", 3).order("id"))
    await table.delete().gte("id", 50).execute()
    await table.update({"title": "Empty"}).eq("id", 3).execute()
    assert merged.data == [{"id": 3, "title": "merged"}, {"id": 50, "title": "new"}]
    assert ignored.data == [{"id": 51, "title": "new"}]
    assert rows == [{"id": 3, "title": "merged"}, {"id": 50, "title": "new"}, {"id": 51, "title": "new"}]


async def test_upsert_on_another_key(service: AsyncClient) -> None:
    table = service.table(VIDEOS)
    row = {"code": "upserted", "title": "first"}
    first = (await found(table.upsert(row, on_conflict="code")))[0]
    second = (await found(table.upsert({**row, "title": "second"}, on_conflict="code")))[0]
    await table.delete().eq("code", "upserted").execute()
    assert second == {**first, "title": "second"}


async def test_a_missing_key_is_null_unless_the_default_is_asked_for(rest: httpx.AsyncClient) -> None:
    rows = [{"id": 1, "label": "a", "amount": 1}, {"id": 2, "amount": 2}]
    params = {"columns": "id,label,amount"}
    headers = {"prefer": "return=representation"}
    written = (await rest.post("/conformance_ragged", params=params, json=rows, headers=headers)).json()
    assert written == [rows[0], {"id": 2, "label": None, "amount": 2}]
    refused = await rest.post("/conformance_ragged", params=params, json=[{"id": 3}], headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "23502")
    headers = {"prefer": "return=representation,missing=default"}
    filled = (
        await rest.post("/conformance_ragged", params=params, json=[{"id": 4}, {"id": 5, "amount": 5}], headers=headers)
    ).json()
    assert filled == [{"id": 4, "label": "unnamed", "amount": 7}, {"id": 5, "label": "unnamed", "amount": 5}]
    uneven = await rest.post("/conformance_ragged", json=[{"id": 6}, {"id": 7, "amount": 7}])
    assert (uneven.status_code, uneven.json()["code"]) == (400, "PGRST102")


async def test_a_large_bulk_insert(service: AsyncClient) -> None:
    rows = [
        {"id": n, "a": n, "b": -n, "c": 0, "d": f"d{n}", "e": "é,\"'", "f": None, "g": n / 4, "h": n % 2 == 0,
         "i": "2026-01-01T00:00:00+00:00", "j": {"n": n, "list": [n]}}
        for n in range(7_000)
    ]  # fmt: skip
    table = service.table("conformance_bulk")
    written = await found(table.insert(rows))
    assert len(written) == 7_000
    assert written[6_999] == rows[6_999]
    again = await table.upsert(rows, returning=ReturnMethod.minimal, count=CountMethod.exact).execute()
    assert again.data == []
    assert (await table.select("id", count=CountMethod.exact, head=True).execute()).count == 7_000
    deleted = (await table.delete(count=CountMethod.exact).gte("id", 0).execute()).count
    assert deleted == 7_000


async def test_a_write_answers_with_related_rows(service: AsyncClient) -> None:
    row = {"channel_id": 2, "title": "with channel"}
    written = await found(service.table(VIDEOS).insert(row).select("id", "title", f"{CHANNELS}(title)"))
    await service.table(VIDEOS).delete().eq("title", "with channel").execute()
    assert written == [{"id": written[0]["id"], "title": "with channel", CHANNELS: {"title": "Maru"}}]


async def test_minimal_writes_answer_without_a_body(rest: httpx.AsyncClient) -> None:
    made = await rest.post(f"/{CHANNELS}", json={"id": 60, "title": "x"}, headers={"prefer": "return=minimal"})
    assert (made.status_code, made.content) == (201, b"")
    changed = await rest.patch(f"/{CHANNELS}", params={"id": "eq.60"}, json={"title": "y"})
    assert (changed.status_code, changed.content) == (204, b"")
    gone = await rest.delete(f"/{CHANNELS}", params={"id": "eq.60"}, headers={"prefer": "return=representation"})
    assert gone.json() == [{"id": 60, "title": "y"}]


async def test_put_makes_or_replaces_one_row(rest: httpx.AsyncClient) -> None:
    headers = {"prefer": "return=representation"}
    for title in ("made", "replaced"):
        row = {"id": 61, "title": title}
        answer = await rest.put(f"/{CHANNELS}", params={"id": "eq.61"}, json=row, headers=headers)
        assert answer.json() == [row]
    await rest.delete(f"/{CHANNELS}", params={"id": "eq.61"})
    other = await rest.put(f"/{CHANNELS}", params={"id": "eq.62"}, json={"id": 61, "title": "x"})
    assert (other.status_code, other.json()["code"]) == (400, "PGRST115")


async def test_rows_can_be_sent_as_csv(rest: httpx.AsyncClient) -> None:
    headers = {"content-type": "text/csv", "prefer": "return=representation"}
    answer = await rest.post(f"/{CHANNELS}", content='id,title\n63,plain\n64,"a, ""b"""', headers=headers)
    await rest.delete(f"/{CHANNELS}", params={"id": "in.(63,64)"})
    assert answer.json() == [{"id": 63, "title": "plain"}, {"id": 64, "title": 'a, "b"'}]
