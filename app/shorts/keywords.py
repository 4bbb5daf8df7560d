"""Keywords of a video: its hashtags, its tags and the words of its title, in one spelling, without what says nothing.

Korean gives nouns and noun phrases (`korean.py`), any other script its words. docs/keywords.md has the measurements.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple

from .korean import Noun, nouns_of_many

if TYPE_CHECKING:
    from .api import VideoInput

__all__ = ["Keyword", "add_keywords", "keywords_of", "keywords_of_many"]

MAX_KEYWORDS = 12  # of one video, hashtags first
MAX_STORED = 50  # that `ingest_videos` takes of one video
MAX_TAGS = 6  # uploaders add dozens; the title's words need a place too
MAX_LENGTH = 50  # characters; longer runs are decoration, not words
HASHTAG_RELEVANCE = 1.0  # the uploader chose it, for everybody to see
TAG_RELEVANCE = 0.95  # the uploader chose it, unseen
FIRST_WORD_RELEVANCE = 0.9  # titles lead with their subject …
LAST_WORD_RELEVANCE = 0.5  # … and end with decoration
BATCH = 1_000  # videos in memory at a time

# Letters and digits, with the vowel signs that Python does not count among them.
_LETTER = r"(?:[^\W_]|[\u0300-\u036f\u0900-\u0dff\u0e00-\u0eff])"
_LINK = re.compile(r"https?://\S+|www\.\S+|@[\w.]+")
_HASHTAG = re.compile(rf"#((?:{_LETTER}|_)+)")
_HANGUL = "가-힣"
_KATAKANA = "ァ-ヺー"
_HIRAGANA = "ぁ-ゖ"
_HAN = "一-鿿々"
_LONE_JAMO = re.compile(r"[\u1100-\u11ff]")  # ㅋㅋ, ㄷㄷ: laughter and awe, spelled by NFKC in this block
_SOME_HANGUL = re.compile(f"[{_HANGUL}]")
_SOME_WORD = re.compile(_LETTER)
_NO_TEXT = re.compile("[\0-\x1f\x7f#\ud800-\udfff]")
_BETWEEN_NAMES = re.compile(f"(?<=[{_HANGUL}])x(?=[{_HANGUL}])")  # 유재석X이효리
# A change of script ends a word: 아이유IU is two, and Japanese has no other boundary.
_WORD = re.compile(
    rf"[{_KATAKANA}]+|[{_HIRAGANA}]{{3,}}|[{_HAN}]+"
    rf"|(?:(?![{_HANGUL}{_KATAKANA}{_HIRAGANA}{_HAN}]){_LETTER})+"
)


class Keyword(NamedTuple):
    """One keyword of a video; `relevance` is between 0 and 1."""

    keyword: str
    relevance: float
    source: Literal["hashtag", "tag", "title"]


class _Title(NamedTuple):
    hashtags: list[str]
    words: str


def keywords_of(title: str, tags: Sequence[str] = ()) -> list[Keyword]:
    """Distinct keywords, at most MAX_KEYWORDS: the title's hashtags, then `tags`, then the title's words, in order.

    The first Korean title of a process loads the tokenizer (about a second). For many videos: `keywords_of_many`.
    """
    return next(keywords_of_many([(title, tags)]))


def keywords_of_many(items: Iterable[tuple[str, Sequence[str]]]) -> Iterator[list[Keyword]]:
    """`keywords_of` for each (title, tags), in order and streamed: BATCH videos are in memory at a time."""
    remaining = iter(items)
    while batch := list(islice(remaining, BATCH)):
        titles = [_read(title) for title, _ in batch]
        korean = nouns_of_many(title.words for title in titles if _SOME_HANGUL.search(title.words))
        for title, (_, tags) in zip(titles, batch, strict=True):
            nouns = next(korean) if _SOME_HANGUL.search(title.words) else []
            yield _choose(title.hashtags, tags, _words_and_phrases(title.words, nouns))


def add_keywords(videos: Sequence[VideoInput]) -> list[VideoInput]:
    """The videos with keywords from their titles and tags added; those already there stay first, as they are."""
    found = keywords_of_many((video["title"], video.get("tags", ())) for video in videos)
    filled: list[VideoInput] = []
    for video, keywords in zip(videos, found, strict=True):
        given = list(video["keywords"])
        known = {_one_spelling(keyword["keyword"]) for keyword in given}
        for keyword, relevance, _ in keywords:
            if keyword not in known and len(given) < MAX_STORED:
                given.append({"keyword": keyword, "relevance": relevance, "source": "youtube_api"})
        copy = video.copy()
        copy["keywords"] = given
        filled.append(copy)
    return filled


def _read(title: str) -> _Title:
    # YouTube's search answers escape HTML.
    cleaned = _LINK.sub(" ", _normalize(html.unescape(title)))
    hashtags = [tag.strip("_") for tag in _HASHTAG.findall(cleaned)]
    words = _LONE_JAMO.sub(" ", _HASHTAG.sub(" ", cleaned))
    return _Title(hashtags, _BETWEEN_NAMES.sub(",", words))


def _choose(hashtags: Iterable[str], tags: Iterable[str], words: Sequence[str]) -> list[Keyword]:
    kept: dict[str, Keyword] = {}
    for hashtag in hashtags:
        if _says_something(hashtag):
            kept.setdefault(hashtag, Keyword(hashtag, HASHTAG_RELEVANCE, "hashtag"))
    spelled = (_one_spelling(_NO_TEXT.sub(" ", html.unescape(tag))) for tag in tags)
    telling = dict.fromkeys(tag for tag in spelled if _SOME_WORD.search(tag) and _says_something(tag))
    for tag in islice((tag for tag in telling if tag not in kept), MAX_TAGS):
        kept[tag] = Keyword(tag, TAG_RELEVANCE, "tag")
    step = (FIRST_WORD_RELEVANCE - LAST_WORD_RELEVANCE) / max(len(words) - 1, 1)
    for position, word in enumerate(words):
        if _says_something(word):
            kept.setdefault(word, Keyword(word, round(FIRST_WORD_RELEVANCE - position * step, 3), "title"))
    return list(kept.values())[:MAX_KEYWORDS]


def _words_and_phrases(text: str, nouns: Sequence[Noun]) -> list[str]:
    """In the order of the text; a phrase stands before its words."""
    covered = [(noun.start, noun.end) for noun in nouns]
    foreign = [
        Noun(match.start(), match.end(), match[0], is_bare=True)
        for match in _WORD.finditer(text)
        if not any(start <= match.start() < end for start, end in covered)
    ]
    words = sorted([*nouns, *foreign])
    korean = set(nouns)
    found: list[str] = []
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else None
        if following and (word in korean or following in korean) and _is_phrase(text, word, following):
            found.append(f"{word.word} {following.word}")
        found.append(word.word)
    return found


def _is_phrase(text: str, first: Noun, second: Noun) -> bool:
    """Two words that stand by themselves between marks or ends of the title, one space apart: [오픈 월드]."""
    return (
        first.is_bare
        and second.is_bare
        and second.start == first.end + 1
        and text[first.end] == " "
        and not text[: first.start].rstrip()[-1:].isalnum()
        and not text[second.end :].lstrip()[:1].isalnum()
        and first.word != second.word
        and not any(word.isnumeric() or word in stop_words() for word in (first.word, second.word))
    )


def _normalize(words: str) -> str:
    """NFKC and without case; folding may undo NFKC, so it is made again."""
    # Lower case at the end: folding turns Cherokee into capitals, which the database would make small.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", words).casefold().lower())


def _one_spelling(keyword: str) -> str:
    """As `private.normalize_keyword` of the database spells it."""
    return " ".join(_normalize(keyword).split())


def _says_something(keyword: str) -> bool:
    return (
        2 <= len(keyword) <= MAX_LENGTH
        and len(set(keyword)) > 1  # www, ㅠㅠ
        and not keyword.replace("_", "").replace(" ", "").isnumeric()
        and _LONE_JAMO.search(keyword) is None
        and not all(word in stop_words() for word in keyword.split())
    )


@cache
def stop_words() -> frozenset[str]:
    """The words of `stopwords.txt`; `#` begins a comment."""
    lines = files(__package__).joinpath("stopwords.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(_normalize(word) for line in lines for word in line.partition("#")[0].split())
