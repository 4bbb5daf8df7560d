"""The keywords are spelled as the database spells them, whatever letter they hold."""

from __future__ import annotations

import unicodedata

import psycopg

from app.shorts.keywords import keywords_of_many
from scripts.local_stack.settings import Stack

LETTERS = [
    letter
    for letter in map(chr, [*range(0x21, 0xD800), *range(0xE000, 0x1_1000), *range(0x1_D400, 0x1_D800)])
    if unicodedata.category(letter)[0] in "LMN"
]


def test_the_database_changes_no_keyword(stack: Stack) -> None:
    parts = ["".join(LETTERS[at : at + 7]) for at in range(0, len(LETTERS), 7)]
    found = keywords_of_many((f"#{part} {part} 한국 {part[0]}ab", [part[::-1], f"a  {part}\u3000b"]) for part in parts)
    keywords = sorted({keyword.keyword for keywords in found for keyword in keywords})
    assert len(keywords) > len(parts)
    with psycopg.connect(stack.database_url()) as connection:
        changed = connection.execute(
            "select given, private.normalize_keyword(given) from unnest(%s::text[]) as given"
            " where given is distinct from private.normalize_keyword(given)",
            [keywords],
        ).fetchall()
    assert changed == []
