"""What can be checked of the image without Docker: what it copies and installs, who it runs as, that it starts."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution, requires
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from functions.requirements import needed

from .signing import NOW, SECRET, signed_headers, trend_body
from .test_inbound import VIDEO

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKERFILE = (REPOSITORY / "functions" / "Dockerfile").read_text(encoding="utf-8")
STAGES = re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]


def copied(stage: str) -> list[tuple[str, str]]:
    """Source and place of each COPY of a stage from the repository."""
    return [
        (source, target)
        for line in re.findall(r"^COPY (?!--from)(.+)$", stage, re.MULTILINE)
        for *sources, target in [line.split()]
        for source in sources
    ]


def closure() -> set[str]:
    """Every package that the project needs at run time, as the installed ones say."""
    found: set[str] = set()
    waiting = [("ondol", frozenset[str]())]
    seen = set()
    while waiting:
        name, extras = waiting.pop()
        for text in requires(name) or []:
            requirement = Requirement(text)
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
                continue
            key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
            found.add(key[0])
            if key not in seen:
                seen.add(key)
                waiting.append(key)
    return found


def printed() -> str:
    done = subprocess.run(
        [sys.executable, "functions/requirements.py"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_base_is_pinned_and_the_handlers_run_as_nobody_in_particular() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", bases[0])
    user = re.findall(r"^USER (\d+)$", STAGES[-1], re.MULTILINE)
    assert user == re.findall(r"^RUN useradd .*--uid (\d+)", STAGES[-1], re.MULTILINE)
    assert int(user[0]) > 0
    assert STAGES[-1].index("\nUSER ") < STAGES[-1].index("\nENTRYPOINT ")
    assert not re.search(r"^(ARG|ENV) .*(SECRET|TOKEN|KEY)", DOCKERFILE, re.MULTILINE)


def test_what_is_copied_is_there_and_let_through() -> None:
    allowed = (REPOSITORY / "functions" / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert "*" in allowed
    for stage in STAGES:
        for source, _ in copied(stage):
            assert (REPOSITORY / source).exists(), source
            assert any(f"!{source}".startswith(line) for line in allowed if line.startswith("!")), source


def test_it_starts_what_scripts_handlers_starts() -> None:
    assert ("scripts/handlers", "scripts/") in copied(STAGES[-1])
    assert 'ENTRYPOINT ["scripts/handlers"]\n' in STAGES[-1]
    assert STAGES[-1].endswith('CMD ["--host", "0.0.0.0"]\n')
    assert os.access(REPOSITORY / "scripts" / "handlers", os.X_OK)
    assert "python functions/requirements.py > wanted.lock" in STAGES[0]
    assert "--require-hashes --requirement wanted.lock" in STAGES[0]


def test_only_what_the_handlers_need_of_the_lock_is_installed() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    names = re.findall(r"^([a-z0-9-]+)==\S+ \\$", printed(), re.MULTILINE)
    assert set(names) == closure()
    assert set(names).isdisjoint({"pytest", "mypy", "deno", "aiohttp", "psycopg", "scipy", "matplotlib"})
    for entry in re.split(r"^(?=[a-z0-9])", printed(), flags=re.MULTILINE)[1:]:
        assert entry in lock  # versions and hashes untouched
        assert "--hash=sha256:" in entry


def test_a_dependency_that_the_lock_lacks_is_named() -> None:
    with pytest.raises(SystemExit, match="does not hold absent"):
        needed("httpx==1.0 \\\n    --hash=sha256:00\n    # via ondol (pyproject.toml)\n", {"httpx", "absent"})


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A folder that holds what the last stage holds: the copied files, and those packages alone."""
    for source, target in copied(STAGES[-1]):
        place = tmp_path / target / Path(source).name if target.endswith("/") else tmp_path / target
        place.parent.mkdir(exist_ok=True)
        if (REPOSITORY / source).is_dir():
            shutil.copytree(REPOSITORY / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(REPOSITORY / source, place)
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in closure():
        for top in top_level(distribution(name)):
            (packages / top.name).symlink_to(top)
    interpreter = tmp_path / ".venv" / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    # -S: nothing of the environment that runs this test is importable.
    interpreter.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{packages}" exec {sys.executable} -S "$@"\n')
    interpreter.chmod(0o755)
    return tmp_path


def top_level(package: Distribution) -> Iterator[Path]:
    """The folders and modules that a package puts next to others."""
    names = {file.parts[0] for file in package.files or [] if file.parts[0] not in ("..", "__pycache__")}
    for name in sorted(names):
        yield Path(str(package.locate_file(name)))


def test_it_starts_with_what_it_holds_and_answers(image: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "SUPABASE_URL": "http://127.0.0.1:9",
        "SUPABASE_SECRET_KEY": "sb_secret_x",
        **{f"{name}_WEBHOOK_SECRET": SECRET for name in ("TREND", "YOUTUBE", "TRENDS", "AI")},
    }
    process = subprocess.Popen([image / "scripts" / "handlers", "--port", str(port)], cwd="/", env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            for _ in range(300):
                try:
                    answer = client.get("/health")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            assert answer.json() == {"status": "ok"}
            assert "server" not in answer.headers
            body = trend_body()
            stale = client.post("/webhooks/notify-trend", content=body, headers=signed_headers(body, timestamp=NOW))
            assert stale.status_code == 401
            # With Kiwi and its model it gets as far as the database, which is away.
            video = json.dumps({"items": [VIDEO]}).encode()
            fresh = signed_headers(video, timestamp=int(time.time()))
            assert client.post("/webhooks/youtube-videos", content=video, headers=fresh).status_code == 503
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_without_the_packages_it_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(REPOSITORY / "scripts" / "handlers", tmp_path / "scripts")
    done = subprocess.run([tmp_path / "scripts" / "handlers"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("handlers: the packages are not installed yet; run ./scripts/setup")
