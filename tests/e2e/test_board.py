"""The board in a real browser: each *.test.mjs beside this file drives headless Chromium on the running stack.

Screenshots of every page are written to .local/screenshots for a person to look at.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from scripts.local_stack import board
from scripts.local_stack.settings import REPOSITORY, Stack
from tests.node_tests import run_node_tests

pytestmark = pytest.mark.usefixtures("without_purge")

FILES = sorted(Path(__file__).parent.glob("*.test.mjs"))
SCREENSHOTS = REPOSITORY / ".local" / "screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MOST_SCRIPT_BYTES = 200_000
PICTURE = REPOSITORY / "docs" / "images" / "board.png"
MOST_PICTURE_BYTES = 250_000


@pytest.fixture(scope="module")
def build() -> Path:
    """The board's static files, built when its sources changed."""
    board.build(REPOSITORY, print)
    return REPOSITORY / "web" / "dist"


@pytest.fixture(scope="module")
def browser() -> str:
    found = os.environ.get("ONDOL_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail("No Chromium to drive. Install it with ./scripts/setup --for-tests, or name it in ONDOL_CHROMIUM.")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".test.mjs"))
def test_in_chromium(file: Path, stack: Stack, build: Path, browser: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    settings = {
        "BOARD_URL": stack.board_url,
        "CHROMIUM": browser,
        "DATABASE_URL": stack.database_url(),
        "MAILS": str(stack.logs / "data-api.log"),
        "SCREENSHOTS": str(SCREENSHOTS),
        "SUPABASE_URL": stack.api_url,
        "SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable,
        "SUPABASE_SECRET_KEY": stack.keys.secret,
    }
    run_node_tests(file, settings)


@pytest.mark.parametrize("path", ["/", "/index.html", "/config.json", "/health", "/icon.svg", "/assets/", "/nowhere"])
def test_every_answer_carries_the_policy(stack: Stack, build: Path, path: str) -> None:
    """Pages, data, and what is not there: a browser may be made to show any of them."""
    for address in [path, *(f"/assets/{file.name}" for file in (build / "assets").iterdir() if path == "/assets/")]:
        headers = httpx.get(stack.board_url + address).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
        assert (policy["base-uri"], policy["form-action"], policy["frame-ancestors"]) == ("'none'", "'self'", "'none'")
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_pure_parts_of_the_board() -> None:
    """web/test, by vitest."""
    done = subprocess.run(
        ["npm", "test"], cwd=REPOSITORY / "web", capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_picture_of_the_readme_is_small() -> None:
    """What test_in_chromium[picture] writes to .local/screenshots/board.png, as it was kept."""
    content = PICTURE.read_bytes()
    size = tuple(int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    assert (content[:8], size) == (b"\x89PNG\r\n\x1a\n", (1280, 800))
    assert len(content) <= MOST_PICTURE_BYTES


def test_the_script_is_small(build: Path) -> None:
    """All JavaScript that the board can ever load, as a host would send it."""
    scripts = list(build.rglob("*.js"))
    sent = sum(len(gzip.compress(script.read_bytes(), 9)) for script in scripts)
    assert scripts
    assert sent <= MOST_SCRIPT_BYTES


def test_no_code_and_no_style_stands_in_the_page(build: Path) -> None:
    """The policy would refuse them, and a message from the browser is all that anybody would see."""
    page = (build / "index.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "<style" not in page
    assert "style=" not in page
    for source in (REPOSITORY / "web" / "src").rglob("*.ts*"):
        text = source.read_text(encoding="utf-8")
        assert not any(word in text for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write")), (
            source
        )
