"""The database and the app leave out the same words."""

from __future__ import annotations

import psycopg

from app.shorts.keywords import stop_words
from scripts.local_stack.settings import Stack
from scripts.stop_words import FILE, schema_file


def test_the_schema_file_is_what_the_list_makes() -> None:
    """S-216: after a change of the list, `python -m scripts.stop_words` writes the file."""
    assert FILE.read_text(encoding="utf-8") == schema_file()


def test_the_table_has_the_words_of_the_list(stack: Stack) -> None:
    """S-216: each word, and no other."""
    with psycopg.connect(stack.database_url()) as connection:
        rows = connection.execute("select word from private.stop_words").fetchall()
    assert {word for (word,) in rows} == stop_words()
