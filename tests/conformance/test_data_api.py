"""The Data API as supabase-py and plain HTTP see it: values, filters, pages, shapes and relations."""

from __future__ import annotations

import json
from typing import Any

import httpx
import psycopg
import pytest
from postgrest import CountMethod
from postgrest.exceptions import APIError
from supabase import AsyncClient

from .conftest import Target, found, ids

VIDEOS = "conformance_videos"
CHANNELS = "conformance_channels"


async def test_every_kind_of_value_is_written_as_postgres_writes_json(rest: httpx.AsyncClient, target: Target) -> None:
    text = (await rest.get("/conformance_kinds", params={"select": "*"})).text
    with psycopg.connect(target.database_url) as connection:
        found = connection.execute("select json_agg(kind)::text from public.conformance_kinds as kind").fetchone()
    assert found is not None
    assert json.loads(text, parse_float=str, parse_int=str) == json.loads(found[0], parse_float=str, parse_int=str)


async def test_numbers_keep_every_digit(rest: httpx.AsyncClient) -> None:
    text = (await rest.get("/conformance_kinds", params={"select": "exact,big,ratio,plain"})).text
    assert "12345678901234567890.123456789000" in text
    assert "9223372036854775807" in text
    assert '"NaN"' in text
    assert "1.10" in text


async def test_times_are_iso_8601(service: AsyncClient) -> None:
    row = await found(service.table("conformance_kinds").select("at, local_at, day, clock, span, period").single())
    assert row == {
        "at": "2026-11-21T07:47:15.78+00:00",
        "local_at": "2026-11-21T07:47:15",
        "day": "2026-11-21",
        "clock": "07:47:15.5",
        "span": "1 day 02:00:00",
        "period": '["2026-01-01 00:00:00+00","2026-01-02 00:00:00+00")',
    }


async def test_composites_arrays_and_bytes_are_readable(service: AsyncClient) -> None:
    row = await found(service.table("conformance_kinds").select("place, places, numbers, raw, embedding").single())
    assert row == {
        "place": {"name": "attic", "floor": 3},
        "places": [{"name": "attic", "floor": 3}, {"name": None, "floor": -1}],
        "numbers": [1, None, 3],
        "raw": "\\x00ff10",
        "embedding": "[1,2,3]",
    }


async def test_every_kind_of_value_can_be_written_and_read_back(rest: httpx.AsyncClient) -> None:
    row = (
        '{"id": 2, "exact": 0.1000000000000000000001, "big": -9223372036854775808, "ratio": "Infinity",'
        ' "raw": "\\\\xdead", "at": "2026-01-01T09:00:00+09:00", "mood": "calm",'
        ' "place": {"name": "a,\\"b\\"", "floor": null}, "places": [{"name": "x", "floor": 1}],'
        ' "numbers": [1, null], "plain": {"z": 1.50, "a": []},'
        ' "embedding": [0.5, 0, -1], "period": "[2026-01-01,2026-01-02)", "address": "10.1.0.0/16"}'
    )
    headers = {"content-type": "application/json", "prefer": "return=representation"}
    answer = await rest.post("/conformance_kinds", content=row, headers=headers)
    await rest.delete("/conformance_kinds", params={"id": "eq.2"})
    assert answer.status_code == 201
    assert "0.1000000000000000000001" in answer.text
    assert "-9223372036854775808" in answer.text
    written = answer.json()[0]
    assert written["ratio"] == "Infinity"
    assert written["raw"] == "\\xdead"
    assert written["at"] == "2026-01-01T00:00:00+00:00"
    assert written["place"] == {"name": 'a,"b"', "floor": None}
    assert written["places"] == [{"name": "x", "floor": 1}]
    assert written["numbers"] == [1, None]
    assert written["plain"] == {"z": 1.5, "a": []}
    assert written["embedding"] == "[0.5,0,-1]"


async def test_an_update_takes_json_composites_and_lists(service: AsyncClient) -> None:
    table = service.table("conformance_kinds")
    await table.insert({"id": 3}).execute()
    change = {"plain": ["x"], "place": {"name": "b", "floor": 2}, "numbers": [4], "embedding": [1, 1, 1], "mood": None}
    changed = await found(table.update(change).eq("id", 3))
    await table.delete().eq("id", 3).execute()
    assert len(changed) == 1
    assert {name: changed[0][name] for name in change} == {**change, "embedding": "[1,1,1]"}


async def test_comparisons(anonymous: AsyncClient) -> None:
    videos = anonymous.table(VIDEOS)
    assert await ids(videos.select("id").eq("views", 200)) == [2]
    assert await ids(videos.select("id").neq("views", 200)) == [1, 3, 4]
    assert await ids(videos.select("id").gt("views", 100).lt("views", 300)) == [2]
    assert await ids(videos.select("id").gte("views", 100).lte("views", 200)) == [1, 2]
    assert await ids(videos.select("id").in_("id", [1, 3, 99])) == [1, 3]
    assert await ids(videos.select("id").in_("title", ['a, "quoted" (title)', "cold roof"])) == [2, 4]
    assert await ids(videos.select("id").is_("rating", "null")) == [3]
    assert await ids(videos.select("id").not_.is_("rating", "null")) == [1, 2, 4]


async def test_numbers_beyond_javascript_can_be_filtered_for(anonymous: AsyncClient) -> None:
    videos = anonymous.table(VIDEOS)
    assert await ids(videos.select("id").eq("views", 9007199254740993)) == [4]
    assert await ids(videos.select("id").eq("views", 9007199254740992)) == []
    assert await ids(videos.select("id").in_("views", [9007199254740993])) == [4]


@pytest.mark.parametrize(("code", "expected"), [("007", 1), ("7", 2), ("null", 3), ("1e3", 4)])
async def test_text_filters_compare_text(anonymous: AsyncClient, code: str, expected: int) -> None:
    videos = anonymous.table(VIDEOS)
    assert await ids(videos.select("id").eq("code", code)) == [expected]
    assert await ids(videos.select("id").in_("code", [code])) == [expected]
    assert await ids(videos.select("id").or_(f"code.eq.{code},id.eq.99")) == [expected]


async def test_patterns(anonymous: AsyncClient) -> None:
    videos = anonymous.table(VIDEOS)
    assert await ids(videos.select("id").like("title", "%floor")) == [1]
    assert await ids(videos.select("id").ilike("title", "COLD*")) == [2]
    assert await ids(videos.select("id").ilike("title", "%마루%")) == [3]
    assert await ids(videos.select("id").like("title", '%, "quoted" (%')) == [4]


async def test_logic(anonymous: AsyncClient) -> None:
    videos = anonymous.table(VIDEOS)
    assert await ids(videos.select("id").or_("id.eq.1,and(views.gt.250,views.lt.350)")) == [1, 3]
    assert await ids(videos.select("id").or_("id.eq.1,id.eq.2,id.eq.3").or_("views.eq.100,views.eq.300")) == [1, 3]
    assert await ids(videos.select("id").or_('title.eq."a, \\"quoted\\" (title)",tags.cs.{cold}')) == [2, 4]
    assert await ids(videos.select("id").not_.in_("id", [1, 2])) == [3, 4]


async def test_repeated_filters_on_one_column_all_hold(anonymous: AsyncClient) -> None:
    videos = anonymous.table(VIDEOS)
    assert await ids(videos.select("id").neq("id", 1).neq("id", 2)) == [3, 4]
    assert await ids(videos.select("id").like("title", "%a%").like("title", "%floor%")) == [1]


async def test_arrays_and_ranges(anonymous: AsyncClient, service: AsyncClient) -> None:
    videos = anonymous.table(VIDEOS)
    assert await ids(videos.select("id").contains("tags", ["warm"])) == [1, 3]
    assert await ids(videos.select("id").contained_by("tags", ["warm", "floor"])) == [1, 3, 4]
    assert await ids(videos.select("id").overlaps("tags", ["floor", "roof"])) == [1, 2]
    kinds = service.table("conformance_kinds")
    assert await ids(kinds.select("id").filter("period", "ov", "[2026-01-01 12:00,2026-01-03)")) == [1]
    assert await ids(kinds.select("id").range_lt("period", ("2026-02-01", "2026-02-02"))) == [1]


async def test_json_paths(anonymous: AsyncClient) -> None:
    videos = anonymous.table(VIDEOS)
    assert await ids(videos.select("id").eq("details->>lang", "ko")) == [1, 3]
    assert await ids(videos.select("id").gt("details->size->w", 10)) == [2]
    assert await ids(videos.select("id").contains("details", {"size": {"w": 9}})) == [1]
    rows = await found(videos.select("sku:details->sku, text:details->>sku, w:details->size->w").order("id"))
    assert [row["sku"] for row in rows] == ["007", "7", "true", None]
    assert [row["text"] for row in rows] == ["007", "7", "true", None]
    assert [row["w"] for row in rows] == [9, 16, None, None]


async def test_full_text_search(anonymous: AsyncClient) -> None:
    videos = anonymous.table(VIDEOS)
    assert [row["id"] for row in await found(videos.select("id").text_search("title", "warm & floor"))] == [1]
    query = videos.select("id").text_search("title", "cold roof", {"type": "web_search", "config": "english"})
    assert [row["id"] for row in await found(query)] == [2]


async def test_order_and_pages(anonymous: AsyncClient) -> None:
    videos = anonymous.table(VIDEOS)

    async def listed(query: Any) -> list[int]:
        return [row["id"] for row in await found(query)]

    assert await listed(videos.select("id").order("rating", desc=True, nullsfirst=False)) == [4, 1, 2, 3]
    assert await listed(videos.select("id").order("rating", nullsfirst=True)) == [3, 2, 1, 4]
    assert await listed(videos.select("id").order("id").limit(2).offset(1)) == [2, 3]
    assert await listed(videos.select("id").order("id").range(2, 3)) == [3, 4]


async def test_a_range_beyond_the_end_is_not_satisfiable(rest: httpx.AsyncClient) -> None:
    answer = await rest.get(f"/{VIDEOS}", params={"select": "id", "offset": "99"}, headers={"prefer": "count=exact"})
    assert answer.status_code == 416
    assert answer.json()["code"] == "PGRST103"


@pytest.mark.parametrize("method", [CountMethod.exact, CountMethod.planned, CountMethod.estimated])
async def test_counts(anonymous: AsyncClient, service: AsyncClient, method: CountMethod) -> None:
    # An estimate is made of everybody's rows, so it is for the service only.
    asking = anonymous if method is CountMethod.exact else service
    answer = await asking.table(VIDEOS).select("id", count=method).limit(1).execute()
    assert len(answer.data) == 1
    assert answer.count is not None
    if method is CountMethod.exact:
        assert answer.count == 4


async def test_head_counts_without_rows(anonymous: AsyncClient, rest: httpx.AsyncClient) -> None:
    answer = await anonymous.table(VIDEOS).select("*", count=CountMethod.exact, head=True).gt("views", 100).execute()
    assert answer.count == 3
    assert answer.data == []
    called = await anonymous.rpc("conformance_popular", {"at_least": 200}, count=CountMethod.exact, head=True).execute()
    assert called.count == 3
    raw = await rest.head(f"/{VIDEOS}", params={"select": "*"}, headers={"prefer": "count=exact"})
    assert raw.status_code == 200
    assert raw.headers["content-range"] == "0-3/4"
    assert raw.content == b""


async def test_one_row_or_none(anonymous: AsyncClient) -> None:
    videos = anonymous.table(VIDEOS)
    assert await found(videos.select("id").eq("id", 1).single()) == {"id": 1}
    with pytest.raises(APIError) as none:
        await videos.select("id").eq("id", 99).single().execute()
    assert none.value.code == "PGRST116"
    with pytest.raises(APIError) as many:
        await videos.select("id").single().execute()
    assert many.value.code == "PGRST116"
    assert many.value.details == "The result contains 4 rows"
    assert await videos.select("id").eq("id", 99).maybe_single().execute() is None


async def test_a_write_that_is_not_one_row_is_undone(service: AsyncClient, rest: httpx.AsyncClient) -> None:
    headers = {"accept": "application/vnd.pgrst.object+json", "prefer": "return=representation"}
    answer = await rest.patch(f"/{CHANNELS}", params={"id": "in.(1,2)"}, json={"title": "lost"}, headers=headers)
    assert answer.status_code == 406
    titles = await found(service.table(CHANNELS).select("title").order("id"))
    assert [row["title"] for row in titles] == ["Ondol", "Maru", "Empty"]


async def test_csv(anonymous: AsyncClient) -> None:
    text = await found(anonymous.table(VIDEOS).select("id, title, tags, published_at, rating").order("id").csv())
    assert text.split("\n") == [
        "id,title,tags,published_at,rating",
        '1,"warm floor","{warm,floor}","2026-01-02 03:04:05.678901+00",12.50',
        '2,"cold roof","{cold,roof}","2026-02-02 00:00:00+00",3.00',
        '3,"따뜻한 마루",{warm},"2026-03-02 00:00:00+00",',
        '4,"a, ""quoted"" (title)",{},,99.99',
    ]


async def test_embedding_both_ways(anonymous: AsyncClient) -> None:
    one = await found(anonymous.table(VIDEOS).select(f"id, channel:{CHANNELS}(title)").order("id"))
    assert [row["channel"] for row in one] == [{"title": "Ondol"}, {"title": "Ondol"}, {"title": "Maru"}, None]
    many = await found(anonymous.table(CHANNELS).select(f"title, {VIDEOS}(id, rating, published_at)").order("id"))
    assert [[video["id"] for video in row[VIDEOS]] for row in many] == [[1, 2], [3], []]
    assert many[0][VIDEOS][0] == {"id": 1, "rating": 12.5, "published_at": "2026-01-02T03:04:05.678901+00:00"}


async def test_inner_joins_filter_the_outer_rows(anonymous: AsyncClient) -> None:
    inner = anonymous.table(VIDEOS).select(f"id, {CHANNELS}!inner(title)").eq(f"{CHANNELS}.title", "Ondol")
    assert await ids(inner) == [1, 2]
    left = await found(
        anonymous.table(VIDEOS).select(f"id, {CHANNELS}(title)").eq(f"{CHANNELS}.title", "Ondol").order("id")
    )
    assert [row[CHANNELS] for row in left] == [{"title": "Ondol"}, {"title": "Ondol"}, None, None]


async def test_spread_and_counts_of_related_rows(anonymous: AsyncClient) -> None:
    spread = await found(anonymous.table(VIDEOS).select(f"id, ...{CHANNELS}(channel_title:title)").order("id"))
    assert spread[0] == {"id": 1, "channel_title": "Ondol"}
    assert spread[3] == {"id": 4, "channel_title": None}
    counted = await found(anonymous.table(CHANNELS).select(f"id, {VIDEOS}(count)").order("id"))
    assert [row[VIDEOS] for row in counted] == [[{"count": 2}], [{"count": 1}], [{"count": 0}]]


async def test_related_rows_are_filtered_ordered_and_limited(anonymous: AsyncClient) -> None:
    query = (
        anonymous.table(CHANNELS)
        .select(f"id, {VIDEOS}(id)")
        .gt(f"{VIDEOS}.views", 50)
        .order("id", desc=True, foreign_table=VIDEOS)
        .limit(1, foreign_table=VIDEOS)
        .order("id")
    )
    assert [row[VIDEOS] for row in await found(query)] == [[{"id": 2}], [{"id": 3}], []]


async def test_embedding_through_a_view_over_a_join(anonymous: AsyncClient) -> None:
    query = anonymous.table("conformance_video_cards").select(f"video_id, {CHANNELS}(title)").order("video_id")
    assert (await found(query))[0] == {"video_id": 1, CHANNELS: {"title": "Ondol"}}


async def test_many_to_many_through_a_junction(service: AsyncClient) -> None:
    rows = await found(service.table(VIDEOS).select("id, conformance_labels(name)").order("id").limit(2))
    assert [[label["name"] for label in row["conformance_labels"]] for row in rows] == [["home", "winter"], ["winter"]]


async def test_tables_with_both_foreign_keys_are_no_junctions(service: AsyncClient) -> None:
    with pytest.raises(APIError) as refused:
        await service.table("conformance_labels").select(f"id, {CHANNELS}(id)").execute()
    assert refused.value.code == "PGRST200"
    row = await found(service.table(VIDEOS).select(f"id, {CHANNELS}(title), conformance_likes(id)").eq("id", 1))
    assert row == [{"id": 1, CHANNELS: {"title": "Ondol"}, "conformance_likes": []}]
