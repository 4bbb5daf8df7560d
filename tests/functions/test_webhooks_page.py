"""The code on docs/webhooks.md does what the page says: a genuine request is believed, a forged one is not."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.shorts.told_trends import ToldTrend
from functions.told import AnalyzedEvent, TrendsEvent
from functions.trend_events import OtherEvent, TrendEvent, verify

from .signing import NOW, OTHER_SECRET, SECRET, signature, signed_headers, trend_body

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "webhooks.md").read_text(encoding="utf-8")


def code(language: str, *, of: int = 1, place: int = 0) -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert len(blocks) == of
    return str(blocks[place])


def cases() -> list[tuple[str, dict[str, str], bytes, list[str], float, bool]]:
    """Name, headers, body, secrets, now, and whether it is genuine."""
    body = trend_body()
    good = signed_headers(body)
    two = {"webhook-signature": f"v1,AAAA {signature('msg_1', NOW, body)}"}
    rotated = {"webhook-signature": f"{signature('msg_1', NOW, body, secret=OTHER_SECRET)} {good['webhook-signature']}"}
    return [
        ("genuine", good, body, [SECRET], NOW, True),
        ("the second secret", good, body, [OTHER_SECRET, SECRET], NOW, True),
        ("the second signature", good | two, body, [SECRET], NOW, True),
        ("rotated, the old secret known", good | rotated, body, [SECRET], NOW, True),
        ("rotated, the new secret known", good | rotated, body, [OTHER_SECRET], NOW, True),
        ("300 s old", good, body, [SECRET], NOW + 300, True),
        ("300 s ahead", good, body, [SECRET], NOW - 300, True),
        ("301 s old", good, body, [SECRET], NOW + 301, False),
        ("301 s ahead", good, body, [SECRET], NOW - 301, False),
        ("another secret", good, body, [OTHER_SECRET], NOW, False),
        ("no secret", good, body, [], NOW, False),
        ("another body", good, body + b" ", [SECRET], NOW, False),
        ("another id", good | {"webhook-id": "msg_2"}, body, [SECRET], NOW, False),
        ("another time", good | {"webhook-timestamp": str(NOW + 1)}, body, [SECRET], NOW, False),
        ("no time", good | {"webhook-timestamp": "soon"}, body, [SECRET], NOW, False),
        ("a signature without comma", good | {"webhook-signature": "v1"}, body, [SECRET], NOW, False),
        ("a signature that is no base64", good | {"webhook-signature": "v1,?"}, body, [SECRET], NOW, False),
        ("unsigned", {}, body, [SECRET], NOW, False),
    ]


@pytest.mark.parametrize(
    ("name", "headers", "body", "secrets", "now", "genuine"), cases(), ids=lambda case: str(case)[:30]
)
def test_the_python_on_the_page(
    name: str, headers: dict[str, str], body: bytes, secrets: list[str], now: float, genuine: bool
) -> None:
    page: dict[str, Any] = {}
    exec(compile(code("python"), "docs/webhooks.md", "exec"), page)  # noqa: S102 -- our own page
    assert page["is_genuine"](headers, body, secrets, now) is genuine


def test_the_typescript_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "page.ts").write_text(code("typescript"), encoding="utf-8")
    (tmp_path / "cases.json").write_text(
        json.dumps([(headers, body.decode(), secrets, now) for _, headers, body, secrets, now, _ in cases()]),
        encoding="utf-8",
    )
    (tmp_path / "run.ts").write_text(
        'import { isGenuine } from "./page.ts";\n'
        'import cases from "./cases.json" with { type: "json" };\n'
        "const all = cases as [Record<string, string>, string, string[], number][];\n"
        "console.log(JSON.stringify(all.map(([headers, body, secrets, now]) =>\n"
        "  isGenuine(new Headers(headers), new TextEncoder().encode(body), secrets, now))));\n",
        encoding="utf-8",
    )
    deno = REPOSITORY / ".venv" / "bin" / "deno"
    done = subprocess.run(
        [deno, "run", "--no-config", "--quiet", "run.ts"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [case[-1] for case in cases()]


@pytest.mark.parametrize(("place", "wanted"), [(0, "trend.detected"), (1, "trend.updated")])
def test_each_event_on_the_page_is_one_that_its_handler_takes(place: int, wanted: str) -> None:
    body = code("json", of=5, place=place).encode()
    event = verify(signed_headers(body), body, secrets=[SECRET], now=NOW, wanted=wanted)
    assert isinstance(event, TrendEvent)
    assert event.trend.keyword == "두바이쫀득쿠키"


def test_the_test_event_on_the_page_is_genuine_and_nothing_to_act_on() -> None:
    body = code("json", of=5, place=2).encode()
    event = verify(signed_headers(body), body, secrets=[SECRET], now=NOW)
    assert event == OtherEvent(webhook_id="msg_1", type="webhook.test")


@pytest.mark.parametrize(("place", "wanted"), [(0, "trend.detected"), (1, "trend.updated")])
def test_the_fields_on_the_page_are_those_that_the_database_sends(place: int, wanted: str) -> None:
    sql = (REPOSITORY / "supabase" / "schemas" / "shorts" / "40_notify.sql").read_text(encoding="utf-8")
    start = sql.index("'data', jsonb_build_object(", sql.index(f"'event_type', '{wanted}'"))
    sent = re.findall(r"^\s*'(\w+)', \w+\.", sql[start : sql.index("order by", start)], re.MULTILINE)
    assert list(json.loads(code("json", of=5, place=place))["data"]) == sent


def test_the_functions_on_the_page_are_there() -> None:
    """Every function of the table, with the parameters that it names."""
    schemas = REPOSITORY / "supabase" / "schemas"
    sql = "\n".join(file.read_text(encoding="utf-8") for file in sorted(schemas.glob("*/4*.sql")))
    table = PAGE[PAGE.index("| the operator calls |") : PAGE.index("## Which addresses")]
    calls = re.findall(r"`(\w+)\(([^)`]*)\)`", table)
    assert len(calls) == 15
    for name, parameters in calls:
        [made] = re.findall(rf"^create function public\.{name}\((.*?)\)\nreturns", sql, re.MULTILINE | re.DOTALL)
        known = re.findall(r'^\s*"?(\w+)"? (?:text|uuid|integer|boolean|timestamptz)', made, re.MULTILINE)
        assert set(parameters.replace(",", "").split()) <= set(known), name


def test_the_waits_on_the_page_are_those_of_the_database() -> None:
    sql = (REPOSITORY / "supabase" / "schemas" / "floor" / "42_webhook_delivery.sql").read_text(encoding="utf-8")
    [waits] = re.findall(r"select \(\s*array\[\s*(.*?)\s*\]::interval", sql, re.DOTALL)
    [row] = re.findall(r"^\| after the one before \| at once \| (.*) \|$", PAGE, re.MULTILINE)
    assert row.split(" | ") == re.findall(r"'(.*?)'", waits)


def test_what_the_page_says_that_we_take_in_is_taken() -> None:
    """S-216, S-217: the two examples are events as the handlers want them."""
    told = TrendsEvent.model_validate_json(code("json", of=5, place=3))
    assert set(told.data.trends[0]) == {*ToldTrend.__required_keys__, *ToldTrend.__optional_keys__}
    assert AnalyzedEvent.model_validate_json(code("json", of=5, place=4)).data.analysis_version == "v1.0"
