from __future__ import annotations

import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.shorts import keywords as module
from app.shorts import korean
from app.shorts.api import VideoInput
from app.shorts.keywords import (
    BATCH,
    MAX_KEYWORDS,
    MAX_LENGTH,
    MAX_STORED,
    MAX_TAGS,
    Keyword,
    add_keywords,
    keywords_of,
    keywords_of_many,
    stop_words,
)
from app.shorts.korean import BATCH as KOREAN_BATCH
from app.shorts.korean import WORKERS, names, nouns_of_many

KOREAN = "아이유가손흥민을먹방챌린지의두바이쫀득쿠키리센느 월드컵[]'|#x,·ㅋㅠ"


def words(title: str) -> list[str]:
    return [keyword.keyword for keyword in keywords_of(title)]


def spelled_by_the_database(keyword: str) -> str:
    """As private.normalize_keyword does: NFKC, lower case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", keyword).lower().split())


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
        ("노래 https://youtu.be/abc?x=딸기 @someone", ["노래"]),
        ("राम की कहानी", ["राम", "कहानी"]),
        ("Việt Nam vô địch", ["việt", "nam", "vô", "địch"]),
        ("김치 김치 김치", ["김치"]),
        ("", []),
        ("#", []),
    ],
)
def test_keywords_of_real_kinds_of_titles(title: str, expected: list[str]) -> None:
    assert words(title) == expected


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        # particles and endings are cut
        ("아이유가 먹방을", ["아이유", "먹방"]),
        ("장원영이랑 안유진까지", ["장원영", "안유진"]),
        ("할머니께서 김치를 담그셨습니다", ["할머니", "김치"]),
        ("엄만 김치를", ["엄마", "김치"]),
        # what is written as one stays one
        ("먹방챌린지를", ["먹방챌린지"]),
        ("버스기사가 음주운전을", ["버스기사", "음주운전"]),
        ("두바이쫀득쿠키 만들기", ["두바이쫀득쿠키"]),
        ("배달의민족에서", ["배달의민족"]),
        ("팬들이 선생님을", ["선생님"]),
        # names that no dictionary knows, and names that a tokenizer takes apart
        ("리센느의 왁뿌볼을", ["리센느", "왁뿌볼"]),
        ("박영진이 송하영을, 김건희와의 강훈식은", ["박영진", "송하영", "김건희", "강훈식"]),
        ("김하영", ["김하영"]),
        ("김건희와의 관계가", ["김건희", "관계"]),
        ("영파씨, 설기현씨가 말하는", ["영파씨", "설기현"]),
        ("유재석X이효리X비룡", ["유재석", "이효리", "비룡"]),
        # names that read like sentences: names.txt
        ("놀면 뭐하니, 박명수", ["놀면 뭐하니", "박명수"]),
        ("놀면뭐하니에서 박명수가", ["놀면뭐하니", "박명수"]),
        # phrases: two words by themselves
        ("먹방 챌린지", ["먹방 챌린지", "먹방", "챌린지"]),
        ("[오픈 월드] 게임을", ["오픈 월드", "오픈", "월드", "게임"]),
        ("V8 테슬라", ["v8 테슬라", "v8", "테슬라"]),
        ("태국 달걀 볶음밥", ["태국", "달걀", "볶음밥"]),
        ("먹방 챌린지ㅋㅋㅋ", ["먹방 챌린지", "먹방", "챌린지"]),
        ("먹방 #김치 챌린지", ["김치", "먹방", "챌린지"]),
        ("김치가 냉장고", ["김치", "냉장고"]),
        ("엄만 김치", ["엄마", "김치"]),
        ("김치 엄만", ["김치", "엄마"]),
        ("김치 김치", ["김치"]),
        ("쇼츠 김치 #쇼츠", ["김치"]),
        # of a verb or an adjective nothing stays
        ("예쁘고 깔끔한 노래를 부르다", ["노래"]),
        ("어른다운 침착함이", ["어른"]),
    ],
)
def test_korean_gives_nouns_and_noun_phrases(title: str, expected: list[str]) -> None:
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
    assert len(keywords_of(" ".join(f"word{n}" for n in range(15)))) == MAX_KEYWORDS
    assert len(keywords_of("#하나둘 " * 3 + " ".join(f"#태그{n}" for n in range(15)))) == MAX_KEYWORDS


def test_tags_stand_between_hashtags_and_words() -> None:
    found = keywords_of(
        "김치 담그기 #김장", ["Kimchi  RECIPE", "#김장", "쇼츠", "the best", "2026", "🔥🔥", "김치\n찌개"]
    )
    assert found == [
        Keyword("김장", 1.0, "hashtag"),
        Keyword("kimchi recipe", 0.95, "tag"),
        Keyword("김치 찌개", 0.95, "tag"),
        Keyword("김치", 0.9, "title"),
    ]


def test_many_tags_leave_room_for_the_title() -> None:
    found = keywords_of("손흥민 결승골", [f"태그{n}번" for n in range(40)])
    assert [keyword.source for keyword in found].count("tag") == MAX_TAGS
    assert "손흥민" in [keyword.keyword for keyword in found]


def test_many_give_what_each_gives_and_in_order() -> None:
    titles = [("아이유가 부른 노래", ["iu"]), ("BTS Dynamite", []), ("", []), ("먹방 챌린지", ["먹방"])]
    items = [(f"{title} {n}", tags) for n in range(300) for title, tags in titles]
    assert list(keywords_of_many(items)) == [keywords_of(title, tags) for title, tags in items]


def test_of_a_stream_one_batch_is_read_at_a_time() -> None:
    read = 0

    def endless() -> Iterator[tuple[str, list[str]]]:
        nonlocal read
        while True:
            read += 1
            yield f"리센느의 노래{read}", []

    stream = keywords_of_many(endless())
    for _ in range(BATCH):
        next(stream)
    assert read == BATCH
    next(stream)
    assert read == 2 * BATCH
    assert BATCH == KOREAN_BATCH


def test_only_korean_titles_reach_the_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def spy(texts: Iterator[str]) -> Iterator[list[object]]:
        for text in texts:
            seen.append(text)
            yield []

    monkeypatch.setattr(module, "nouns_of_many", spy)
    list(
        keywords_of_many([("BTS Dynamite", []), ("【ホロライブ】大空", []), ("노래", []), ("#노래 only a hashtag", [])])
    )
    assert seen == ["노래"]


def test_threads_share_one_tokenizer_and_agree() -> None:
    titles = [f"박영진이 부른 두바이쫀득쿠키 노래 {n}" for n in range(50)]
    alone = [keywords_of(title) for title in titles]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(keywords_of, titles)) == alone


LOADED = "print(sorted(sys.modules.keys() & {'kiwipiepy', 'kiwipiepy_model', 'numpy'}))"


@pytest.mark.parametrize(
    "used",
    [
        "import app.cli",
        "import app.shorts.keywords, app.shorts.korean",
        "from app.shorts import keywords_of; keywords_of('BTS Dynamite #노래')",
    ],
)
def test_the_tokenizer_is_loaded_by_the_first_korean_title_only(used: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"import sys; {used}; {LOADED}"], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_tokenizer_takes_no_more_threads_than_agreed() -> None:
    code = """
import os
import time
import numpy  # has threads of its own
from concurrent.futures import ThreadPoolExecutor
from app.shorts.keywords import keywords_of
before = len(os.listdir("/proc/self/task"))
with ThreadPoolExecutor(6) as pool:
    list(pool.map(keywords_of, ["아이유가 부른 노래"] * 60))
time.sleep(0.5)  # those of the pool are leaving
print(len(os.listdir("/proc/self/task")) - before)
"""
    if not Path("/proc/self/task").is_dir():
        pytest.skip("threads are counted through /proc")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= WORKERS


def test_what_the_tokenizer_cannot_read_takes_nothing_else_along() -> None:
    assert [
        [noun.word for noun in nouns] for nouns in nouns_of_many(["박영진이 \ud83d버스기사가", "🔥김치\0국수", ""])
    ] == [
        ["박영진", "버스기사"],
        ["김치", "국수"],
        [],
    ]
    for before in ("🔥🔥", "\ud83d\ude00"):
        (noun,) = next(nouns_of_many([f"{before} 버스기사가"]))
        assert noun == (3, 7, "버스기사", False)


def test_threads_that_come_at_once_build_one_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[object] = []

    class SlowKiwi:
        def __init__(self, **_: object) -> None:
            time.sleep(0.05)
            built.append(self)

        def add_user_word(self, *_: object) -> None: ...

        def tokenize(self, texts: list[str]) -> list[list[object]]:
            return [[] for _ in texts]

    monkeypatch.setattr(korean, "import_module", lambda name: SimpleNamespace(Kiwi=SlowKiwi))
    monkeypatch.setattr(korean, "_tokenizer", cache(korean._tokenizer.__wrapped__))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(keywords_of, ["노래"] * 8)) == [[]] * 8
    assert len(built) == 1


def video(title: str, **given: object) -> VideoInput:
    made: VideoInput = {"video_id": "video000001", "title": title, "collected_at": "2026-11-21T00:00Z", "keywords": []}
    made.update(given)  # type: ignore[typeddict-item]
    return made


def test_keywords_are_added_to_videos() -> None:
    videos = [
        video("아이유의 노래", tags=["IU"]),
        video(
            "아이유의 노래", keywords=[{"keyword": "아이유", "relevance": 0.2, "source": "user_feedback", "rank": 3}]
        ),
        video("the"),
    ]
    before = deepcopy(videos)
    first, second, third = add_keywords(videos)
    assert videos == before
    assert first["keywords"] == [
        {"keyword": "iu", "relevance": 0.95, "source": "youtube_api"},
        {"keyword": "아이유", "relevance": 0.9, "source": "youtube_api"},
        {"keyword": "노래", "relevance": 0.5, "source": "youtube_api"},
    ]
    assert second["keywords"] == [
        {"keyword": "아이유", "relevance": 0.2, "source": "user_feedback", "rank": 3},
        {"keyword": "노래", "relevance": 0.5, "source": "youtube_api"},
    ]
    assert third["keywords"] == []
    assert add_keywords([first]) == [first]
    assert add_keywords([]) == []


def test_a_video_gets_no_more_keywords_than_the_database_takes() -> None:
    full = [{"keyword": f"given{n}", "relevance": 1, "source": "ai_analysis"} for n in range(MAX_STORED - 1)]
    (filled,) = add_keywords([video("아이유의 노래", keywords=full)])
    assert len(filled["keywords"]) == MAX_STORED


@pytest.mark.parametrize("name", names())
def test_a_name_of_the_list_is_found_whole_beside_others_and_before_a_particle(name: str) -> None:
    assert name == " ".join(name.split())
    assert spelled_by_the_database(name) in words(f"김치: {name}, 국수")
    assert name.replace(" ", "") in words(f"어제 {name.replace(' ', '')}에서")


def test_no_name_is_listed_twice() -> None:
    spellings = [name.replace(" ", "") for name in names()]
    assert len(set(spellings)) == len(spellings) > 0


def test_stop_words_are_data_in_the_keywords_spelling() -> None:
    assert {"shorts", "쇼츠", "the", "그리고", "動画"} <= stop_words()
    assert all(word == unicodedata.normalize("NFKC", word).casefold() for word in stop_words())
    assert not any("#" in word for word in stop_words())


@given(st.text(max_size=300) | st.text(alphabet=KOREAN, max_size=120), st.lists(st.text(max_size=70), max_size=20))
@example("ﷺ" * 100, ["ﷺ" * 20])
@example("#" * 100 + "İ" * 60, ["İİ", "#", "# #"])
@example("ŉ &#x110f; &#0; &#xd800; ǰǰ", ["&#0;가나", "a\0b", "\ud800 김치"])
@example("ᏣᎳᎩ ꮳꮃꭹ ᏣᎳᎩ", ["ᏣᎳᎩ"])
@example("👩‍👩‍👧‍👦김치를👩🏽‍🍳 \u202eשלום\u202c عربي\u200f 김치\u200d찌개", ["שלום  עולם"])
@example("\ud83d김치\ude00를 \U0010ffff", [])
@example("가" * 300, ["가" * 51])
@example("뷁쉙" * 150, [])
def test_any_title_and_tags_give_clean_distinct_keywords(title: str, tags: list[str]) -> None:
    found = keywords_of(title, tags)
    assert len(found) <= MAX_KEYWORDS
    assert len({keyword.keyword for keyword in found}) == len(found)
    relevance = [keyword.relevance for keyword in found]
    assert relevance == sorted(relevance, reverse=True)
    for keyword in found:
        assert 2 <= len(keyword.keyword) <= MAX_LENGTH
        assert 0 <= keyword.relevance <= 1
        assert not any(character in "#\0" for character in keyword.keyword)
        assert keyword.keyword == spelled_by_the_database(keyword.keyword)
        assert not keyword.keyword.replace(" ", "").isdigit()
        assert keyword.keyword not in stop_words()
        assert not set(keyword.keyword.split()) <= stop_words()
        keyword.keyword.encode()
    assert keywords_of(title, tags) == found
