"""Korean nouns of a text, by kiwipiepy: compounds whole, names whole, particles and endings cut.

The tokenizer is imported at the first Korean text, built once (about a second, 340 MB) and shared by all threads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from importlib.resources import files
from threading import Lock
from typing import Any, NamedTuple

__all__ = ["Noun", "load_tokenizer", "nouns_of_many"]

WORKERS = 2  # threads of the tokenizer: more bring little, and the machine has other work
BATCH = 1_000  # texts that are in memory at a time
LONGEST_NAME_BEFORE_TITLE = 2  # 영파씨 and 김씨 are names; 설기현씨 is a name and a title

_HANGUL = re.compile("[가-힣]")
_HANGUL_RUN = re.compile("[가-힣]+")
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # the tokenizer would take two of them for one character
_NOUNS = {"NNG", "NNP", "XPN"}  # common, proper, and what is put before: 신기록, 총정리
_NOT_OF_THE_NOUN = {"들", "끼리", "짜리", "쯤", "째", "당", "적"}  # plural, measure, adjective
_NUMERAL, _COUNTED, _AFTER_NOUN, _OF, _MAKES_ADJECTIVE = "NR", "NNB", "XSN", "JKG", "XSA"
_VERBS, _MODIFIES = {"VV", "VA"}, "ETM"

_lock = Lock()


class Noun(NamedTuple):
    """A noun or compound at `start` to `end` of the text; `is_bare`: no particle and no ending follows it."""

    start: int
    end: int
    word: str
    is_bare: bool


def nouns_of_many(texts: Iterable[str]) -> Iterator[list[Noun]]:
    """The nouns of each text, in order; pure, whatever the text holds. Wants NFKC without case, as keywords are."""
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH:
            yield from _nouns_of_batch(batch)
            batch = []
    if batch:
        yield from _nouns_of_batch(batch)


def load_tokenizer() -> None:
    """Load it before the first Korean text asks for it: in a thread, while something else is read."""
    with _lock:
        _tokenizer()


def _nouns_of_batch(texts: Sequence[str]) -> Iterator[list[Noun]]:
    readable = [_HALF_CHARACTER.sub(" ", text) for text in texts]
    with _lock:  # one batch at a time: the threads stay WORKERS, whoever asks
        tokens = list(_tokenizer().tokenize(readable))
    return map(_nouns, readable, tokens)


@cache
def _tokenizer() -> Any:
    # The dictionary of terms of several words costs a second and 190 MB and gains nothing measurable: docs/keywords.md.
    kiwi = import_module("kiwipiepy").Kiwi(num_workers=WORKERS, load_multi_dict=False)
    for name in names():
        kiwi.add_user_word(name, "NNP")
    return kiwi


@cache
def names() -> tuple[str, ...]:
    """The names of `names.txt`, one a line; `#` begins a comment."""
    lines = files(__package__).joinpath("names.txt").read_text(encoding="utf-8").splitlines()
    return tuple(name for line in lines if (name := line.partition("#")[0].strip()))


def _nouns(text: str, tokens: Sequence[Any]) -> list[Noun]:
    """Tokens that touch make one compound: the tokenizer takes unknown names apart (박영 + 진)."""
    found: list[Noun] = []
    group: list[Any] = []
    for index, token in enumerate(tokens):
        touches = bool(group) and token.start == _end(group)
        if _begins(tokens, index) or (touches and _continues(group, tokens, index)):
            if not touches:
                _close(group, None, text, found)
                group = []
            group.append(token)
        elif not (group and _is_verb_in_compound(tokens, index - 1)):  # the verb's own ending
            _close(group, token, text, found)
            group = []
    _close(group, None, text, found)
    return found


def _begins(tokens: Sequence[Any], index: int) -> bool:
    return tokens[index].tag in _NOUNS or _is_verb_in_compound(tokens, index)


def _is_verb_in_compound(tokens: Sequence[Any], index: int) -> bool:
    """A verb of one syllable that holds its ending and touches a noun: 큰손, or 쫀 of 두바이쫀득쿠키."""
    if not 0 <= index < len(tokens) - 2:
        return False
    verb, ending, noun = tokens[index : index + 3]
    return (
        verb.tag in _VERBS
        and verb.len == 1
        and ending.tag == _MODIFIES
        and ending.end == verb.end == noun.start
        and noun.tag in _NOUNS
    )


def _continues(group: Sequence[Any], tokens: Sequence[Any], index: int) -> bool:
    """Whether the token, which is no noun by itself, belongs to the noun before it."""
    token = tokens[index]
    if token.tag == _AFTER_NOUN:
        return token.form not in _NOT_OF_THE_NOUN
    amid = token.len == 1 and any(
        following.tag in _NOUNS and following.start == token.end for following in tokens[index + 1 : index + 2]
    )
    if token.tag == _OF:
        return amid  # 발광의민족, written as one, is a name
    if token.tag == _COUNTED:
        titled = token.form == "씨" and _end(group) - group[0].start <= LONGEST_NAME_BEFORE_TITLE
        return amid or titled or token.form == "식"  # 김건희; 영파씨; 강훈식
    return bool(token.tag == _NUMERAL)  # 송하영


def _close(group: Sequence[Any], following: Any, text: str, found: list[Noun]) -> None:
    """Add the noun that `group` makes; `following` is the token after it, which may begin inside its last syllable."""
    if not group:
        return
    start, end = group[0].start, _end(group)
    attached = following is not None and following.start <= end and following.tag[0] not in "SW"
    if attached and following.tag == _MAKES_ADJECTIVE:
        return
    # 엄만 is 엄마 with a particle in its last syllable; a compound of syllables is a name: 박종훈.
    word = group[0].form if len(group) == 1 and _HANGUL_RUN.fullmatch(group[0].form) else text[start:end]
    if _HANGUL.search(word):
        found.append(Noun(start, end, word, not attached))


def _end(group: Sequence[Any]) -> int:
    return int(group[-1].end)
