"""./scripts/setup leaves alone what is not this checkout's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .conftest import Checkout


@pytest.mark.parametrize("name", [".venv", "node_modules", "web/node_modules"])
def test_refuses_to_replace_the_packages_of_another_checkout(checkout: Checkout, tmp_path: Path, name: str) -> None:
    others = tmp_path / "others"
    others.mkdir()
    (others / "package").write_text("in use", encoding="utf-8")
    (checkout.folder / name).unlink()
    (checkout.folder / name).symlink_to(others)

    done = subprocess.run(
        ["./scripts/setup"], cwd=checkout.folder, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 1
    assert f"setup: {name} is a link to {others}" in done.stderr
    assert (others / "package").read_text(encoding="utf-8") == "in use"
