"""Writes supabase/schemas/shorts/15_stop_words.sql, so that the database leaves out the same words as the app:
`.venv/bin/python -m scripts.stop_words` after each change of app/shorts/stopwords.txt."""

from __future__ import annotations

import textwrap
from pathlib import Path

from app.shorts.keywords import stop_words

FILE = Path(__file__).parents[1] / "supabase/schemas/shorts/15_stop_words.sql"
BEGINNING = """\
-- Promises that the database leaves out the same words as the app: scripts/stop_words.py writes this file.

create table private.stop_words (
    word text primary key,
    constraint a_stop_word_is_one_word check (word ~ '^[^[:space:]]+$')
);
alter table private.stop_words enable row level security;
comment on table private.stop_words is
'Words that say nothing about what a video is about, as app/shorts/stopwords.txt has them.';
comment on column private.stop_words.word is 'Normalised: NFKC, without case.';

insert into private.stop_words (word)
select listed.word
from unnest(
    string_to_array(
"""
END = """\
        ' '
    )
) as listed (word);

create function private.says_nothing(keyword text)
returns boolean
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        length(keyword) < 2
        or not exists (
            select
            from string_to_table(keyword, ' ') as part (word)
            where
                not exists (
                    select
                    from private.stop_words as stop
                    where stop.word = part.word
                )
        )
$$;
comment on function private.says_nothing(text) is 'Whether a normalised keyword is one letter, or stop words only.';
"""


def schema_file() -> str:
    """The text of the schema file, from the app's list."""
    words = " ".join(sorted(stop_words())).replace("'", "''")
    lines = textwrap.wrap(words, 105, break_long_words=False, break_on_hyphens=False)
    # SQL joins literals on lines of their own; the space between two lines stands at the end of the first.
    literals = [f"        '{line}{' ' if number < len(lines) else ''}'" for number, line in enumerate(lines, 1)]
    return BEGINNING + "\n".join(literals) + ",\n" + END


if __name__ == "__main__":
    FILE.write_text(schema_file(), encoding="utf-8")
