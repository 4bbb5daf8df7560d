"""Blocks that show no command's output: formulas, answers, settings and drawings, each held against what is real."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from typing import Any

import psycopg
import pytest

from app.config import KEYS
from scripts.local_stack.settings import REPOSITORY, Stack
from tests.app.people import connected
from tests.app.shorts.datasets import write_broken_dataset

from .blocks import Block, blocks
from .shape import differences, missing_lines
from .world import World

# What is checked below, by page and language.
HERE = {
    ("docs/ingest.md", "text"),
    ("docs/search.md", "text"),
    ("docs/trends.md", "text"),
    ("docs/youtube.md", "text"),
    ("docs/realtime.md", "json"),
    ("docs/flow.md", "mermaid"),
}


def only(page: str, language: str) -> Block:
    assert (page, language) in HERE
    [block] = blocks(language, page=page)
    return block


def formula(block: Block, **values: float) -> float:
    """What a formula of a page comes to."""
    text = block.text.strip().replace("−", "-").replace("·", "*").replace("×", "*").replace("^", "**")
    return float(eval(text, {"ln": math.log}, values))  # noqa: S307 -- our own page


def asked(stack: Stack, query: str, *values: object) -> Any:
    with psycopg.connect(stack.database_url()) as connection:
        row = connection.execute(query, values).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(("today", "usual", "fresh"), [(2, 1, 2), (0, 0.5, 0), (40, 40, 3), (7, 3, 1)])
def test_the_formula_of_surges(stack: Stack, today: float, usual: float, fresh: float) -> None:
    shown = formula(
        only("docs/trends.md", "text"), today=today, usual=usual, fresh=fresh, n=max(3, 2 * usual, today + 1)
    )
    query = "select private.surge_score(%s::double precision, %s::double precision, %s::double precision)"
    assert shown == pytest.approx(asked(stack, query, today, usual, fresh))


@pytest.mark.parametrize(
    ("relevance", "quality", "popularity", "age"), [(0.8, 0.5, 1, 0), (1, 1, 1, 180), (0.5, 0, 0.3, 30)]
)
def test_the_formula_of_search(stack: Stack, relevance: float, quality: float, popularity: float, age: int) -> None:
    text = only("docs/search.md", "text")
    days = Block(text.page, text.line, text.section, text.language, text.text.replace("180 days", "180"))
    shown = formula(days, relevance=relevance, quality=quality, popularity=popularity, age=age)
    query = """
        select private.search_score_at(
            private.search_score(%s::real, %s::real, %s::real, now() - %s * interval '1 day'), now()
        )
    """
    assert shown == pytest.approx(asked(stack, query, relevance, quality, popularity, age), rel=1e-5)


def test_the_refusals_of_a_data_set(world: World) -> None:
    folder = world.folder / "broken"
    write_broken_dataset(folder)
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "ingest", "dataset", folder, "--dry-run"],
        env=world.settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert missing_lines(only("docs/ingest.md", "text").text, done.stdout + done.stderr) == []


def test_the_setting_of_the_youtube_key_exists() -> None:
    name, _, value = only("docs/youtube.md", "text").text.strip().partition("=")
    assert (name in {key.name for key in KEYS}, value) == (True, "…")


async def test_a_trend_is_as_the_page_shows_it(stack: Stack) -> None:
    async with connected(stack, as_service=True) as service, connected(stack) as visitor:
        table = service.supabase.table("trending_keywords")
        start = await visitor.call("trends_since", {})
        trend = {"keyword": "문서시험", "region_code": "KR", "trend_score": 0.5, "growth_rate": 320.0}
        await table.insert(trend).execute()
        try:
            news = await visitor.call("trends_since", {"cursor": start["cursor"]})
        finally:
            await table.delete().eq("keyword", "문서시험").execute()
    shown = json.loads(only("docs/realtime.md", "json").text)
    assert differences(shown, news["trends"][-1]) == []
    assert set(news["trends"][-1]) == set(shown)


def test_what_the_drawing_names_is_there() -> None:
    """Functions and tables of SQL are in the schemas, edge functions and folders beside them."""
    text = only("docs/flow.md", "mermaid").text
    schemas = "\n".join(
        file.read_text(encoding="utf-8") for file in sorted((REPOSITORY / "supabase" / "schemas").rglob("*.sql"))
    )
    names = set(re.findall(r"\b(?:\w+\.)?\w+_\w+\b|\bops\.\w+|\brealtime\.\w+", text))
    assert {"ingest_videos", "detect_trends", "trending_now", "ops.outbox", "realtime.send"} <= names
    assert {name for name in names if not re.search(rf"\b{re.escape(name)}\b", schemas)} == set()
    for function in re.findall(r"edge function ([\w-]+)", text):
        assert (REPOSITORY / "supabase" / "functions" / function / "index.ts").is_file()
    for folder in re.findall(r"\b(\w+)/", text.replace("<br/>", " ")):
        assert (REPOSITORY / folder).is_dir(), folder
    joined = set(re.findall(r"(\w+)(?:\[[^\]]*\])? --", text)) | set(re.findall(r"-->(?:\|[^|]*\|)? (\w+)", text))
    assert len(joined) >= 9
