"""The doors: `app` for the floor, `app.shorts` for the room."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from types import ModuleType

import pytest

import app
import app.shorts

FLOOR = ("app.messages", "app.errors", "app.config", "app.client", "app.realtime")
SHORTS = tuple(
    f"app.shorts.{name}"
    for name in (
        *("regions", "tables", "keywords", "dataset", "json_rows", "velocity", "trending", "csv_videos"),
        *("backtest_metrics", "backtest_nab", "backtest_surges"),
        *("batches", "activity", "channels", "detect", "feed", "forecast", "freshness", "quality", "search"),
        *("notifications", "webhooks"),
        *("summaries", "surges", "told_trends", "trends", "vectors", "api", "youtube"),
        *("bright_data", "bright_data_fields"),
        *("watch", "youtube_dump", "formats", "signals", "sending", "refresh", "discover", "ingest"),
        *("ingest_bright_data", "replay", "backtest_data", "backtest"),
    )
)


def natural(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions: the order that the linter keeps in every `__all__`."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize(("door", "modules"), [(app, FLOOR), (app.shorts, SHORTS)])
def test_the_door_is_sorted_and_complete(door: ModuleType, modules: tuple[str, ...]) -> None:
    offered = sorted((name for module in modules for name in import_module(module).__all__), key=natural)
    assert door.__all__ == offered
    for name in door.__all__:
        assert getattr(door, name) is not None


@pytest.mark.parametrize("module", FLOOR + SHORTS)
def test_a_module_offers_what_it_defines_with_a_docstring(module: str) -> None:
    loaded = import_module(module)
    for name in loaded.__all__:
        offered = getattr(loaded, name)
        if inspect.isclass(offered) or inspect.isfunction(offered):
            assert offered.__module__ == module
            assert offered.__doc__, f"{module}.{name} has no docstring"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = app.nothing
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = app.shorts.nothing


@pytest.mark.parametrize("wanted", ["app.cli", "app.shorts.dataset", "app.shorts.keywords"])
def test_the_network_is_imported_only_when_it_is_used(wanted: str) -> None:
    code = (
        f"import sys, {wanted}; print(sorted(sys.modules.keys() & {{'supabase', 'httpx', 'pydantic', 'websockets'}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
