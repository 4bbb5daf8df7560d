"""Compares ways to take keywords from titles, over 200 titles labelled by hand and over a whole data set.

./scripts/bench/keywords              the data sets are in ../shared/data
./scripts/bench/keywords FOLDER       they are in FOLDER
./scripts/bench/keywords --sample     prints the ids and titles that are labelled, in the order of the labels

keyword_labels.tsv holds what a person would type to find each video, by its id; the titles stay in the data sets.
The ids are drawn by rule (`sample`): of each data set the 100 videos listed in KR whose salted SHA-256 is least; the
first 50 are for tuning, the others are held out. MeCab is compared when python-mecab-ko is installed.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from app.shorts import keywords, korean
from app.shorts.korean import Noun

REPOSITORY = Path(__file__).resolve().parents[2]
LABELS = Path(__file__).with_name("keyword_labels.tsv")
DATA_SETS = {"youtube-8countries-2026-07": "countries", "youtube-kr-us-jp-2025-11": "regions"}
TIMED = "youtube-8countries-2026-07"
SALT = "keywords:"
TUNING, HELD_OUT = "tuning", "held_out"
PER_HALF = 50  # of each data set
PAGE_BYTES = 4096

Method = Callable[[Sequence[str]], Iterator[list[str]]]


class Label(NamedTuple):
    """What should be found for a video."""

    half: str
    keywords: frozenset[str]


class Score(NamedTuple):
    """Of all keywords given, how many were wanted; of those wanted, how many were given."""

    precision: float
    recall: float
    given: int

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return 2 * self.precision * self.recall / (self.precision + self.recall)


def read_labels() -> dict[str, Label]:
    """The labels by video id."""
    with LABELS.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {
            row["video_id"]: Label(row["half"], frozenset(filter(None, row["keywords"].split("|")))) for row in rows
        }


def sample(data: Path) -> Iterator[tuple[str, str, str]]:
    """(video id, half, title) as the rule draws them; titles that the collector broke are passed over."""
    drawn = []
    for name, regions in DATA_SETS.items():
        listed = [row for row in _rows(data / name) if "KR" in row[regions].split("|") and "\ufffd" not in row["title"]]
        listed.sort(key=lambda row: hashlib.sha256(f"{SALT}{row['video_id']}".encode()).hexdigest())
        drawn.append(listed)
    for half, begin in ((TUNING, 0), (HELD_OUT, PER_HALF)):
        for listed in drawn:
            for row in listed[begin : begin + PER_HALF]:
                yield row["video_id"], half, row["title"]


def score(method: Method, drawn: Sequence[tuple[str, str, str]], half: str) -> Score:
    """Compare, spelling for spelling, what `method` gives for the titles of `half` with their labels."""
    labels = read_labels()
    wanted = [(labels[video_id].keywords, title) for video_id, of, title in drawn if of == half]
    right = given = expected = 0
    for (label, _), found in zip(wanted, method([title for _, title in wanted]), strict=True):
        right += len(label & set(found))
        given += len(set(found))
        expected += len(label)
    return Score(right / given, right / expected, given)


def split_words(titles: Sequence[str]) -> Iterator[list[str]]:
    """The former way: every run of one script is a word, particles and all."""
    for title in titles:
        runs = [
            Noun(match.start(), match.end(), match[0], is_bare=False)
            for match in korean._HANGUL_RUN.finditer(_words(title))
        ]
        yield _chosen(title, runs)


def single_nouns(titles: Sequence[str]) -> Iterator[list[str]]:
    """Every noun token of kiwipiepy by itself."""
    for title in titles:
        yield _chosen(title, _noun_tokens(_words(title)))


def compounds(titles: Sequence[str]) -> Iterator[list[str]]:
    """Nouns of kiwipiepy, joined where they touch."""
    for title, nouns in zip(titles, korean.nouns_of_many(map(_words, titles)), strict=True):
        yield _chosen(title, [noun._replace(is_bare=False) for noun in nouns])


def noun_phrases(titles: Sequence[str]) -> Iterator[list[str]]:
    """The way that is used."""
    for found in keywords.keywords_of_many((title, ()) for title in titles):
        yield [keyword.keyword for keyword in found]


def noun_phrases_and_parts(titles: Sequence[str]) -> Iterator[list[str]]:
    """The way that is used, and the parts of its compounds."""
    for title, nouns in zip(titles, korean.nouns_of_many(map(_words, titles)), strict=True):
        yield _chosen(title, sorted({*nouns, *_noun_tokens(_words(title))}, key=lambda noun: (noun.start, -noun.end)))


def mecab_compounds(titles: Sequence[str]) -> Iterator[list[str]]:
    """Nouns of MeCab with its Korean dictionary, joined where they touch."""
    parse = import_module("mecab").MeCab().parse
    for title in titles:
        text = _words(title)
        joined: list[Noun] = []
        for token in parse(text):
            start, end = token.span
            if token.pos not in {"NNG", "NNP", "XPN"} and not (token.pos == "XSN" and token.surface != "들"):
                continue
            if joined and joined[-1].end == start:
                joined[-1] = Noun(joined[-1].start, end, text[joined[-1].start : end], is_bare=False)
            else:
                joined.append(Noun(start, end, text[start:end], is_bare=False))
        yield _chosen(title, joined)


METHODS: dict[str, Method] = {
    "words between spaces (the former way)": split_words,
    "kiwipiepy, each noun": single_nouns,
    "kiwipiepy, compounds": compounds,
    "kiwipiepy, noun phrases (used)": noun_phrases,
    "kiwipiepy, noun phrases and parts": noun_phrases_and_parts,
}
if importlib.util.find_spec("mecab"):
    METHODS["MeCab, compounds"] = mecab_compounds


def _rows(folder: Path) -> Iterator[dict[str, str]]:
    with gzip.open(folder / "videos.csv.gz", "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _words(title: str) -> str:
    return keywords._read(title).words


def _chosen(title: str, nouns: Sequence[Noun]) -> list[str]:
    read = keywords._read(title)
    found = keywords._choose(read.hashtags, (), keywords._words_and_phrases(read.words, nouns))
    return [keyword.keyword for keyword in found]


def _noun_tokens(text: str) -> list[Noun]:
    return [
        Noun(token.start, token.end, token.form, is_bare=False)
        for token in korean._tokenizer().tokenize(text)
        if token.tag in {"NNG", "NNP"} and korean._HANGUL_RUN.fullmatch(token.form)
    ]


def _resident_megabytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES // 2**20


def main() -> int:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", nargs="?", type=Path, default=REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--sample", action="store_true", help="print the titles that are labelled, and nothing else")
    options = parser.parse_args()
    missing = [name for name in DATA_SETS if not (options.data / name / "videos.csv.gz").is_file()]
    if missing:
        print(
            f"keywords: {options.data} has no {', '.join(missing)}; name the folder of the data sets.", file=sys.stderr
        )
        return 2
    drawn = list(sample(options.data))
    if options.sample:
        for row in drawn:
            print(*row, sep="\t")
        return 0
    before, began = _resident_megabytes(), time.perf_counter()
    keywords.keywords_of("가나다")
    loaded, grown = time.perf_counter() - began, _resident_megabytes() - before
    titles = [row["title"] for row in _rows(options.data / TIMED)]
    table = Table("way", "P", "R", "F1", "held out: P", "R", "F1", "a title", f"{len(titles):,} titles", "titles/s")
    for name, method in METHODS.items():
        tuned, held = (score(method, drawn, half) for half in (TUNING, HELD_OUT))
        began = time.perf_counter()
        given = sum(map(len, method(titles)))
        seconds = time.perf_counter() - began
        figures = (tuned.precision, tuned.recall, tuned.f1, held.precision, held.recall, held.f1)
        table.add_row(
            name,
            *(f"{figure:.3f}" for figure in figures),
            f"{given / len(titles):.1f}",
            f"{seconds:.1f} s",
            f"{len(titles) / seconds:,.0f}",
        )
    console = Console(width=max(140, Console().width))
    console.print(table)
    console.print(f"kiwipiepy: loaded in {loaded:.1f} s, {grown} MB; the process holds {_resident_megabytes()} MB.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
