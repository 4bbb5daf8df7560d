from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.shorts.keywords import MAX_KEYWORDS, MAX_LENGTH, keywords_of, stop_words


def words(title: str) -> list[str]:
    return [keyword.keyword for keyword in keywords_of(title)]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("손흥민 결승골 모음 #손흥민 #shorts", ["손흥민", "결승골"]),
        ("BTS's Dynamite | Official MV", ["bts", "dynamite"]),
        ("ＢＴＳ 컴백 ２０２６", ["bts", "컴백"]),  # full width
        ("아이유IU 신곡", ["아이유", "iu", "신곡"]),
        ("【ホロライブ】大空スバル", ["ホロライブ", "大空", "スバル"]),
        ("ㅋㅋㅋ ㅠㅠ www 12345 1위 아 a", []),
        ("Tom &amp; Jerry &#39;classic&#39;", ["tom", "jerry", "classic"]),
        ("#케이팝_댄스 연습", ["케이팝_댄스", "연습"]),
        ("보러가기 https://youtu.be/abc?x=딸기 @someone", ["보러가기"]),
        ("राम की कहानी", ["राम", "कहानी"]),
        ("Việt Nam vô địch", ["việt", "nam", "vô", "địch"]),
        ("김치 김치 김치", ["김치"]),
        ("", []),
        ("#", []),
    ],
)
def test_keywords_of_real_kinds_of_titles(title: str, expected: list[str]) -> None:
    assert words(title) == expected


def test_a_decomposed_title_gives_the_same_keywords() -> None:
    title = "두바이 초콜릿 #두바이쫀득쿠키"
    assert words(unicodedata.normalize("NFD", title)) == words(title)


def test_hashtags_are_more_relevant_than_words_and_early_words_than_late_ones() -> None:
    found = keywords_of("김치 된장 고추장 #고추장 #비빔밥")
    assert [(keyword.keyword, keyword.source) for keyword in found] == [
        ("고추장", "hashtag"),
        ("비빔밥", "hashtag"),
        ("김치", "title"),
        ("된장", "title"),
    ]
    relevance = [keyword.relevance for keyword in found]
    assert relevance == sorted(relevance, reverse=True)
    assert relevance[0] == 1.0


def test_no_more_keywords_than_agreed() -> None:
    many = " ".join(f"낱말{unicodedata.normalize('NFC', chr(0xAC00 + 600 * n))}" for n in range(15))
    assert len(keywords_of(many)) == MAX_KEYWORDS


def test_stop_words_are_data_in_the_keywords_spelling() -> None:
    assert {"shorts", "쇼츠", "the", "그리고", "動画"} <= stop_words()
    assert all(word == unicodedata.normalize("NFKC", word).casefold() for word in stop_words())
    assert not any("#" in word for word in stop_words())


@given(st.text(max_size=300))
@example("ﷺ" * 100)
@example("#" * 100 + "İ" * 60)
@example("ŉ &#x110f; &#0; &#xd800; ǰǰ")
def test_any_title_gives_clean_distinct_keywords(title: str) -> None:
    found = keywords_of(title)
    assert len(found) <= MAX_KEYWORDS
    assert len({keyword.keyword for keyword in found}) == len(found)
    for keyword in found:
        assert 2 <= len(keyword.keyword) <= MAX_LENGTH
        assert 0 <= keyword.relevance <= 1
        assert not any(character.isspace() or character in "#\0" for character in keyword.keyword)
        assert keyword.keyword == unicodedata.normalize("NFKC", keyword.keyword)
        assert not keyword.keyword.isdigit()
        assert keyword.keyword not in stop_words()
        keyword.keyword.encode()
