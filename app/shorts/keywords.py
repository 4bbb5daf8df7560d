"""Keywords from a video's title: its hashtags and its words, in one spelling, without the words that say nothing."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

__all__ = ["Keyword", "keywords_of"]

MAX_KEYWORDS = 12  # of one title, hashtags first
MAX_LENGTH = 50  # characters; longer runs are decoration, not words
HASHTAG_RELEVANCE = 1.0  # the uploader chose it
FIRST_WORD_RELEVANCE = 0.9  # titles lead with their subject …
LAST_WORD_RELEVANCE = 0.5  # … and end with decoration

# Letters and digits, with the vowel signs that Python does not count among them.
_LETTER = r"(?:[^\W_]|[\u0300-\u036f\u0900-\u0dff\u0e00-\u0eff])"
_LINK = re.compile(r"https?://\S+|www\.\S+|@[\w.]+")
_HASHTAG = re.compile(rf"#((?:{_LETTER}|_)+)")
_HANGUL = "가-힣"
_KATAKANA = "ァ-ヺー"
_HIRAGANA = "ぁ-ゖ"
_HAN = "一-鿿々"
_LONE_JAMO = re.compile(r"[\u1100-\u11ff]")  # ㅋㅋ, ㄷㄷ: laughter and awe, spelled by NFKC in this block
# A change of script ends a word: 아이유IU is two, and Japanese has no other boundary.
_WORD = re.compile(
    rf"[{_HANGUL}]+|[{_KATAKANA}]+|[{_HIRAGANA}]{{3,}}|[{_HAN}]+"
    rf"|(?:(?![{_HANGUL}{_KATAKANA}{_HIRAGANA}{_HAN}]){_LETTER})+"
)


class Keyword(NamedTuple):
    """One keyword of a title; `relevance` is between 0 and 1."""

    keyword: str
    relevance: float
    source: Literal["hashtag", "title"]


def keywords_of(title: str) -> list[Keyword]:
    """Distinct keywords of `title`, at most MAX_KEYWORDS: hashtags in order, then words in order."""
    # YouTube's search answers escape HTML.
    cleaned = _LINK.sub(" ", _normalize(html.unescape(title)))
    hashtags = [tag.strip("_") for tag in _HASHTAG.findall(cleaned)]
    words = _WORD.findall(_HASHTAG.sub(" ", cleaned))
    kept: dict[str, Keyword] = {}
    for tag in hashtags:
        if _says_something(tag):
            kept.setdefault(tag, Keyword(tag, HASHTAG_RELEVANCE, "hashtag"))
    step = (FIRST_WORD_RELEVANCE - LAST_WORD_RELEVANCE) / max(len(words) - 1, 1)
    for position, word in enumerate(words):
        if _says_something(word):
            kept.setdefault(word, Keyword(word, round(FIRST_WORD_RELEVANCE - position * step, 3), "title"))
    return list(kept.values())[:MAX_KEYWORDS]


def _normalize(words: str) -> str:
    """NFKC and without case; folding may undo NFKC, so it is made again."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", words).casefold())


def _says_something(word: str) -> bool:
    return (
        2 <= len(word) <= MAX_LENGTH
        and len(set(word)) > 1  # www, ㅠㅠ
        and not word.replace("_", "").isnumeric()
        and _LONE_JAMO.search(word) is None
        and word not in stop_words()
    )


@cache
def stop_words() -> frozenset[str]:
    """The words of `stopwords.txt`; `#` begins a comment."""
    lines = files(__package__).joinpath("stopwords.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(_normalize(word) for line in lines for word in line.partition("#")[0].split())
