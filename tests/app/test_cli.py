from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.cli.ingest_dataset import show_report
from app.cli.trends import bars_of
from app.shorts.sending import IngestReport
from app.shorts.tables import Refusal

from .shorts.datasets import chart_row, video_row, write_dataset

NOWHERE = {"SUPABASE_URL": "http://127.0.0.1:9", "SUPABASE_PUBLISHABLE_KEY": "x", "SUPABASE_SECRET_KEY": "y"}

NO_SECRET = {**NOWHERE, "SUPABASE_SECRET_KEY": ""}
NO_ENDPOINT = "5a3b1e00-0000-4000-8000-000000000001"


def ondol(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, without the reader's own settings; `cwd` has no .env."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(**environ),
        check=False,
        timeout=60,
    )


def environment(**environ: str) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("SUPABASE_", "ONDOL_", "LC_"))
    }
    root = str(Path(__file__).parents[2])
    return {**inherited, "PYTHONPATH": root, "LANG": "C.UTF-8", "PYTHONIOENCODING": "utf-8", **environ}


def test_help_names_every_command_and_exit_code(tmp_path: Path) -> None:
    done = ondol("--help", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("ingest", "trends", "webhooks", "notifications", "doctor", "3 done but some rows"):
        assert word in " ".join(done.stdout.split())
    assert "\x1b[" not in done.stdout


def test_help_speaks_korean(tmp_path: Path) -> None:
    done = ondol("trends", "--help", cwd=tmp_path, ONDOL_LANG="ko")
    assert "지금 뜨는 키워드를 보여 줍니다." in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("trends", "now", "--limit", "51"),
        ("trends", "later"),
        ("ingest", "dataset"),
        ("trends", "watch", "--count", "0"),
        ("webhooks", "test", "mine"),
        ("webhooks", "rotate", NO_ENDPOINT, "--overlap", "604801"),
        ("webhooks", "replay", "--since", "2026-07-10"),
        ("webhooks", "tail", "--every", "0"),
        ("notifications", "--limit", "201"),
    ],
)
def test_wrong_usage_ends_with_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = ondol(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not done.stdout


@pytest.mark.parametrize(
    ("arguments", "environ", "sentence"),
    [
        (("trends", "now"), {}, "The setting SUPABASE_URL is missing."),
        (("trends", "now"), {"SUPABASE_URL": "nowhere"}, "The setting SUPABASE_URL is wrong"),
        (("trends", "now"), NOWHERE, "http://127.0.0.1:9 cannot be reached"),
        (("trends", "now", "--region", "XX"), NOWHERE, "There is no region XX."),
        (("trends", "replay", "."), NOWHERE, "There is no chart.csv[.gz] in the data set"),
        (
            ("ingest", "dataset", "."),
            {**NOWHERE, "SUPABASE_SECRET_KEY": ""},
            "The setting SUPABASE_SECRET_KEY is missing.",
        ),
        (("ingest", "dataset", "."), NOWHERE, ". is of no format that is known: chart.csv + videos.csv;"),
        (("ingest", "dataset", "absent.json"), NOWHERE, "There is no absent.json."),
        (("ingest", "dataset", ".", "--collected-at", "today"), NOWHERE, "today is no time with a time zone."),
        (("ingest", "dataset", ".", "--region", "kr"), NOWHERE, "There is no region kr."),
        (("trends", "watch", "--region", "XX"), NOWHERE, "There is no region XX."),
        (("webhooks", "list"), NO_SECRET, "The setting ONDOL_EMAIL is missing."),
        (("webhooks", "list"), NOWHERE, "http://127.0.0.1:9 cannot be reached"),
        (("webhooks", "tail", NO_ENDPOINT), NOWHERE, "http://127.0.0.1:9 cannot be reached"),
        (("notifications",), NOWHERE, "The setting ONDOL_EMAIL is missing."),
    ],
)
def test_an_expected_error_is_one_sentence_and_the_next_step(
    tmp_path: Path, arguments: tuple[str, ...], environ: dict[str, str], sentence: str
) -> None:
    done = ondol(*arguments, cwd=tmp_path, **environ)
    assert done.returncode == 1
    said, step = done.stderr.splitlines()
    assert said.startswith(sentence)
    assert step.startswith("Next step: ")
    assert not done.stdout


def test_a_missing_column_is_told_in_korean(tmp_path: Path) -> None:
    write_dataset(tmp_path, chart=[], videos=[])
    (tmp_path / "chart.csv").write_text("country\n")
    done = ondol("ingest", "dataset", ".", cwd=tmp_path, LANG="ko_KR.UTF-8", **NOWHERE)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "chart.csv 파일에 collected_at, video_id, views, likes, comments 열이 없습니다. 머리글: country.",
        "다음 단계: 열을 추가하십시오. 두 파일의 열 목록은 docs/ingest.md에 있습니다.",
    ]


def test_a_setting_may_stand_in_the_folders_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SUPABASE_URL=http://127.0.0.1:9\nSUPABASE_PUBLISHABLE_KEY=x\nONDOL_LANG=ko\n")
    done = ondol("trends", "now", cwd=tmp_path)
    assert done.stderr.startswith("http://127.0.0.1:9 주소에 연결할 수 없습니다")


def test_doctor_says_what_fails_and_what_to_do(tmp_path: Path) -> None:
    done = ondol("doctor", cwd=tmp_path, **NOWHERE)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["ok", "Python"]
    assert any(line.startswith("failed  Data API") for line in lines)
    assert any("./scripts/dev up" in line for line in lines)
    assert "Traceback" not in done.stderr


def test_doctor_speaks_json(tmp_path: Path) -> None:
    done = ondol("doctor", "--json", cwd=tmp_path)
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert answer["ok"] is False
    assert answer["checks"][-1]["name"] == "settings"
    assert "SUPABASE_URL" in answer["checks"][-1]["detail"]


@pytest.mark.parametrize("arguments", [("trends", "now"), ("trends", "watch"), ("webhooks", "tail")])
def test_ctrl_c_is_quiet(tmp_path: Path, unused_tcp_port: int, arguments: tuple[str, ...]) -> None:
    """The server takes the connection and never answers, so the command waits when the signal comes."""
    import socket

    # A background shell hands down an ignored SIGINT; a terminal does not.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from app.cli import main; main()"
    with socket.create_server(("127.0.0.1", unused_tcp_port)) as server:
        environ = {**NOWHERE, "SUPABASE_URL": f"http://127.0.0.1:{unused_tcp_port}"}
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environment(**environ),
            text=True,
        )
        server.settimeout(30)
        connection, _ = server.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")


def test_ingest_of_a_dead_backend_fails_after_its_retries(tmp_path: Path) -> None:
    write_dataset(tmp_path, chart=[chart_row()], videos=[video_row()])
    done = ondol("ingest", "dataset", ".", "--json", cwd=tmp_path, **NOWHERE)
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert not done.stdout


def test_the_report_as_json_names_file_line_and_code() -> None:
    from app.cli.ingest_dataset import describe_report

    report = IngestReport(videos_read=3)
    report.refuse(Refusal("videos.csv", 4, "nul_byte", "title 'a'"))
    described: dict[str, Any] = json.loads(json.dumps(describe_report(report)))
    assert described["refused"] == {"count": 1, "by_code": {"nul_byte": 1}}
    assert described["refusals"] == [
        {"file": "videos.csv", "line": 4, "code": "nul_byte", "message": "title 'a': a NUL byte"}
    ]
    assert described["videos"] == {"received": 0, "inserted": 0, "updated": 0, "unchanged": 0, "rejected": 0}


def test_a_folders_name_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show_report(IngestReport(), folder=Path("data[/b]"))
    assert "data[/b]" in capsys.readouterr().out


def test_a_series_is_drawn_as_bars() -> None:
    assert bars_of([None, 0, 1, 7]) == "·▁▂█"
    assert bars_of([0, 0]) == "▁▁"
    assert bars_of([]) == ""


def test_moments_are_in_the_readers_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from app.cli.console import moment

    monkeypatch.setenv("TZ", "Asia/Seoul")
    time.tzset()
    try:
        assert moment(datetime(2026, 7, 10, 15, 24, tzinfo=UTC)) == "2026-07-11 00:24"
    finally:
        monkeypatch.undo()
        time.tzset()
