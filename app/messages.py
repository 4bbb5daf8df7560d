"""What Ondol says to people, in English and in Korean, side by side so that neither can be forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Language = Literal["en", "ko"]

__all__ = ["Language", "choose_language", "text"]


class Text(NamedTuple):
    """One message in both languages, with the same `{placeholders}`."""

    en: str
    ko: str


def choose_language(environ: Mapping[str, str]) -> Language:
    """Korean when ONDOL_LANG, or else the locale, starts with `ko`; English otherwise."""
    for name in ("ONDOL_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if wanted := environ.get(name):
            return "ko" if wanted.lower().startswith("ko") else "en"
    return "en"


def text(key: str, *, language: Language = "en", **values: object) -> str:
    """The message `key` in `language`, its placeholders filled from `values`."""
    pair = TEXTS[key]
    return (pair.ko if language == "ko" else pair.en).format_map(values)


TEXTS: dict[str, Text] = {
    # errors: `<key>` is the sentence, `<key>.next` the next step
    "setting_missing": Text("The setting {name} is missing.", "설정 {name} 값이 없습니다."),
    "setting_missing.next": Text(
        "Put {name} into the environment or into .env; .env.example says what it means.",
        "환경 변수나 .env 파일에 {name} 값을 넣으십시오. 뜻은 .env.example에 있습니다.",
    ),
    "setting_wrong": Text("The setting {name} is wrong: {problem}.", "설정 {name} 값이 잘못되었습니다: {problem}."),
    "setting_wrong.next": Text(
        "Correct {name} in the environment or in .env; .env.example shows an example.",
        "환경 변수나 .env 파일의 {name} 값을 고치십시오. 보기는 .env.example에 있습니다.",
    ),
    "dataset_missing": Text(
        "There is no {wanted} in the data set {folder}.", "데이터 세트 {folder} 안에 {wanted} 파일이 없습니다."
    ),
    "dataset_missing.next": Text(
        "Give the folder that holds chart.csv[.gz] and videos.csv[.gz]; docs/ingest.md describes them.",
        "chart.csv[.gz]와 videos.csv[.gz]가 들어 있는 폴더를 주십시오. 형식은 docs/ingest.md에 있습니다.",
    ),
    "dataset_ambiguous": Text(
        "The data set {folder} holds both {first} and {second}.",
        "데이터 세트 {folder} 안에 {first} 파일과 {second} 파일이 모두 있습니다.",
    ),
    "dataset_ambiguous.next": Text("Keep the one that is meant.", "쓸 파일 하나만 남기십시오."),
    "dataset_column_missing": Text(
        "{file} has no column {columns}; its header is: {header}.",
        "{file} 파일에 {columns} 열이 없습니다. 머리글: {header}.",
    ),
    "dataset_column_missing.next": Text(
        "Add the column; docs/ingest.md lists the columns of both files.",
        "열을 추가하십시오. 두 파일의 열 목록은 docs/ingest.md에 있습니다.",
    ),
    "dataset_unreadable": Text(
        "{file} cannot be read after line {line}: {problem}.",
        "{file} 파일을 {line}행 다음부터 읽을 수 없습니다: {problem}.",
    ),
    "dataset_unreadable.next": Text(
        "Check that the file is complete and may be read, for instance with `gzip --test`.",
        "파일이 온전하고 읽을 수 있는지 확인하십시오(예: `gzip --test`).",
    ),
    "source_refused": Text(
        "{source} refused {doing}: {problem}", "{source}에서 {doing} 요청을 거절했습니다: {problem}"
    ),
    "source_refused.next": Text(
        "Check the key and what it may do in the source's own console.",
        "해당 서비스의 콘솔에서 키와 그 권한을 확인하십시오.",
    ),
    "source_failed": Text(
        "{source} failed at {doing} for now: {problem}", "{source}에서 {doing} 요청이 지금은 실패했습니다: {problem}"
    ),
    "source_failed.next": Text(
        "Run the same command again later; what was done is kept.",
        "나중에 같은 명령을 다시 실행하십시오. 이미 한 일은 남아 있습니다.",
    ),
    "quota_spent": Text(
        "The quota {bucket} is spent: {used} of {daily_limit} until {resets_at}.",
        "{bucket} 할당량을 다 썼습니다: {daily_limit} 중 {used}, {resets_at}까지.",
    ),
    "quota_spent.next": Text(
        "Run the same command again after that time; what was done is kept.",
        "그 시각이 지난 뒤 같은 명령을 다시 실행하십시오. 이미 한 일은 남아 있습니다.",
    ),
    "youtube_nothing_asked": Text(
        "Give at least one QUERY, --chart or --video.", "QUERY, --chart, --video 가운데 하나는 주어야 합니다."
    ),
    "youtube_empty_query": Text("A QUERY is empty.", "빈 QUERY가 있습니다."),
    "youtube_no_video_id": Text(
        "{video_id!r} is no YouTube video id.", "{video_id!r}: 유튜브 동영상 아이디가 아닙니다."
    ),
    "youtube_step_search": Text(
        "search “{query}” in {region}, at most {pages} pages", "{region}에서 “{query}” 검색, 최대 {pages}쪽"
    ),
    "youtube_step_chart": Text("chart of {region}, at most {pages} pages", "{region} 인기 차트, 최대 {pages}쪽"),
    "youtube_step_videos": Text("the videos that were named", "지정한 동영상"),
    "youtube_cost": Text(
        "At most {searches:,} searches and {units:,} units, and a unit per 50 channels. Nothing was sent.",
        "최대 검색 {searches:,}번, {units:,}단위, 그리고 채널 50개마다 1단위입니다. 아무것도 보내지 않았습니다.",
    ),
    "youtube_found": Text(
        "Read {pages:,} pages with {found:,} videos: {queued:,} are new in the queue, {known:,} were known,"
        " {refused_count:,} refused.",
        "{pages:,}쪽에서 동영상 {found:,}개를 읽었습니다. 대기열에 추가 {queued:,}개, 이미 앎 {known:,}개,"
        " 거절 {refused_count:,}개.",
    ),
    "refresh_done": Text(
        "Asked {calls:,} times about {claimed:,} videos: {refreshed:,} refreshed, {gone:,} gone, {left:,} without an"
        " answer, {released:,} back in the queue, {refused_count:,} refused; {channels:,} channels refreshed.",
        "동영상 {claimed:,}개를 {calls:,}번 물었습니다. 갱신 {refreshed:,}개, 사라짐 {gone:,}개, 답 없음 {left:,}개,"
        " 대기열로 되돌림 {released:,}개, 거절 {refused_count:,}개. 갱신한 채널 {channels:,}개.",
    ),
    "refresh_due": Text(
        "{videos:,} videos are due: {units:,} units of the {units_left:,} that are left today, and a unit per 50"
        " channels. Nothing was sent.",
        "갱신할 동영상 {videos:,}개: 오늘 남은 {units_left:,}단위 가운데 {units:,}단위, 그리고 채널 50개마다"
        " 1단위입니다. 아무것도 보내지 않았습니다.",
    ),
    "status_quotas": Text("Quotas of today", "오늘의 할당량"),
    "status_queue": Text(
        "Queue: {due:,} due, {leased:,} in hand, {waiting:,} waiting.",
        "대기열: 갱신할 것 {due:,}개, 처리 중 {leased:,}개, 기다림 {waiting:,}개.",
    ),
    "status_cache": Text(
        "Cache: {videos:,} videos, {playable:,} play, {shorts:,} of them Shorts; {expire_in_24h:,} expire within a day,"
        " {expired:,} are expired, {unknown:,} unknown, {taken_out:,} taken out, {deleted:,} deleted, {purge_due:,} due"
        " to be purged.",
        "캐시: 동영상 {videos:,}개, 재생 가능 {playable:,}개, 그중 쇼츠 {shorts:,}개. 하루 안에 만료"
        " {expire_in_24h:,}개, 만료됨 {expired:,}개, 알 수 없음 {unknown:,}개, 제외됨 {taken_out:,}개,"
        " 삭제됨 {deleted:,}개, 지울 차례 {purge_due:,}개.",
    ),
    "status_runs": Text("The last runs", "최근 실행"),
    "status_no_runs": Text("No source was ever ingested.", "아직 수집한 적이 없습니다."),
    "column_bucket": Text("quota", "할당량"),
    "column_used": Text("used", "사용"),
    "column_daily_limit": Text("a day", "하루 한도"),
    "column_resets_at": Text("begins anew", "다시 시작"),
    "column_source": Text("source", "출처"),
    "column_started": Text("started", "시작"),
    "column_outcome": Text("outcome", "결과"),
    "column_counts": Text("counts", "건수"),
    "outcome_done": Text("done", "완료"),
    "outcome_failed": Text("failed", "실패"),
    "outcome_interrupted": Text("interrupted", "중단"),
    "outcome_running": Text("running", "실행 중"),
    "stage_discover": Text("reading pages", "쪽 읽는 중"),
    "stage_refresh": Text("refreshing videos", "동영상 갱신 중"),
    "help_ingest_youtube": Text(
        "Search YouTube, or read its chart, and store what plays; an interrupted run goes on where it was.\n\n"
        "A spent quota ends the run with 0: what was done is kept. docs/youtube.md says what it costs.",
        "유튜브를 검색하거나 차트를 읽어 저장합니다. 중단된 실행은 이어서 합니다.\n\n"
        "할당량을 다 쓰면 0으로 끝나고 한 일은 남습니다. 비용은 docs/youtube.md에 있습니다.",
    ),
    "help_ingest_refresh": Text(
        "Ask YouTube about the videos that are due, fifty a unit, until none is due or the quota is spent.",
        "갱신할 동영상을 50개씩 1단위로 유튜브에 묻습니다. 남은 것이 없거나 할당량을 다 쓰면 끝납니다.",
    ),
    "help_ingest_status": Text(
        "Show quotas, the queue, the cache and the last runs.", "할당량, 대기열, 캐시, 최근 실행을 보여 줍니다."
    ),
    "help_option_queries": Text("What to search for.", "검색어."),
    "help_option_youtube_regions": Text(
        "Region to search in; may be repeated. Default: KR.", "검색할 지역; 여러 번 쓸 수 있습니다. 기본값: KR."
    ),
    "help_option_pages": Text(
        "Pages of 50 per search and chart; each page of a search is one of the day's searches.",
        "검색과 차트마다 50개씩 읽을 쪽수. 검색 한 쪽이 하루 검색 한 번입니다.",
    ),
    "help_option_chart": Text("Read the chart mostPopular too.", "인기 차트(mostPopular)도 읽습니다."),
    "help_option_video": Text(
        "Look up this video; may be repeated.", "이 동영상을 조회합니다. 여러 번 쓸 수 있습니다."
    ),
    "help_option_max": Text("Refresh at most this many videos.", "최대 이만큼의 동영상을 갱신합니다."),
    "help_option_watch": Text(
        "Go on for ever, with so many seconds between two rounds.", "이 초 간격으로 끝없이 되풀이합니다."
    ),
    "help_option_no_channels": Text(
        "Leave the videos' channels as they are; else they are refreshed at most once a day.",
        "동영상의 채널은 그대로 둡니다. 그러지 않으면 하루 한 번까지 갱신합니다.",
    ),
    "help_option_dry_run": Text(
        "Say what would be asked and what it would cost; send nothing.",
        "무엇을 묻고 얼마가 드는지만 말하고 보내지 않습니다.",
    ),
    "bright_data_unsure": Text(
        "An earlier search for {keywords} got no answer: Bright Data may have begun it, and charged for it.",
        "앞서 보낸 {keywords} 검색의 응답이 없었습니다. Bright Data에서 이미 시작되어 비용이 들었을 수 있습니다.",
    ),
    "bright_data_unsure.next": Text(
        "Look in Bright Data's console: --snapshot ID takes it up if it is there, --trigger-again searches anew.",
        "Bright Data 콘솔을 확인하십시오. 있으면 --snapshot ID로 이어받고, 없으면 --trigger-again으로 다시 검색합니다.",
    ),
    "bright_data_file": Text("{file} is no snapshot: {problem}", "{file} 파일은 스냅샷이 아닙니다: {problem}"),
    "bright_data_file.next": Text(
        "Give a JSON array or one JSON object a line, gzip or not.",
        "JSON 배열이나 한 줄에 하나씩 JSON 객체가 있는 파일을 주십시오. gzip이어도 됩니다.",
    ),
    "bright_data_one_source": Text(
        "Give keywords, or --snapshot, or --file: one of them.",
        "키워드, --snapshot, --file 가운데 하나만 주십시오.",
    ),
    "bright_data_plan": Text(
        "Would search {words} in {region}, at most {limit} videos a keyword. Nothing was asked for, nothing costs.",
        "{region} 지역에서 {words} 검색, 키워드마다 최대 {limit}개. 아무것도 요청하지 않았고 비용도 없습니다.",
    ),
    "bright_data_title": Text(
        "Ingested snapshot {snapshot} in {seconds:.1f} s", "스냅샷 {snapshot} 수집 완료 ({seconds:.1f}초)"
    ),
    "column_queued": Text("to check", "확인 대기"),
    "column_known": Text("known", "이미 있음"),
    "column_stored": Text("stored", "저장"),
    "column_signals": Text("signals", "신호"),
    "stage_scrape": Text("waiting for the snapshot (s)", "스냅샷 기다리는 중(초)"),
    "stage_scraped_rows": Text("storing scraped videos", "수집한 동영상 저장 중"),
    "help_ingest_brightdata": Text(
        "Search by Bright Data, a scraper, and queue what it finds for a check by YouTube. Costs money; "
        "docs/brightdata.md says what it means for YouTube's terms.",
        "스크레이퍼인 Bright Data로 검색하고, 찾은 동영상을 YouTube 확인 대기열에 넣습니다. 비용이 들며, "
        "YouTube 약관과의 관계는 docs/brightdata.md에 있습니다.",
    ),
    "help_option_keywords": Text("What to search for.", "검색할 키워드."),
    "help_option_scrape_limit": Text("Videos per keyword, at most 1,000.", "키워드마다 동영상 수, 최대 1,000."),
    "help_option_snapshot": Text("Take this snapshot instead of a new one.", "새로 만들지 않고 이 스냅샷을 씁니다."),
    "help_option_scrape_file": Text("Take a downloaded snapshot, JSON or .gz.", "내려받은 스냅샷(JSON, .gz)을 씁니다."),
    "help_option_scrape_dataset": Text("Another data set of Bright Data.", "Bright Data의 다른 데이터 세트."),
    "help_option_scrape_dry_run": Text(
        "Ask for nothing and store nothing; with --file, check its rows.",
        "요청도 저장도 하지 않습니다. --file과 함께 쓰면 행을 검사합니다.",
    ),
    "help_option_trigger_again": Text(
        "Search anew although an earlier search got no answer.", "앞선 검색의 응답이 없었어도 다시 검색합니다."
    ),
    "dataset_absent": Text("There is no {path}.", "{path}이(가) 없습니다."),
    "dataset_absent.next": Text(
        "Give a folder or a file; docs/ingest.md lists the formats.",
        "폴더나 파일을 주십시오. 형식 목록은 docs/ingest.md에 있습니다.",
    ),
    "dataset_time": Text("{value} is no time with a time zone.", "{value}은(는) 시간대가 있는 시각이 아닙니다."),
    "dataset_time.next": Text("Write it as 2026-07-10T00:24:48Z.", "2026-07-10T00:24:48Z처럼 쓰십시오."),
    "dataset_unknown": Text(
        "{path} is of no format that is known: {known}.", "{path}의 형식을 알 수 없습니다. 아는 형식: {known}."
    ),
    "dataset_unknown.next": Text(
        "Compare its names and header with docs/ingest.md.", "파일 이름과 머리글을 docs/ingest.md와 비교하십시오."
    ),
    "refused_bad_date": Text("not a date", "날짜가 아닙니다"),
    "refused_bad_duration": Text("not a duration of ISO 8601", "ISO 8601 길이가 아닙니다"),
    "refused_bad_flag": Text("neither true nor false", "true도 false도 아닙니다"),
    "refused_bad_json": Text("not readable as JSON", "JSON으로 읽을 수 없습니다"),
    "refused_never_read": Text("no time at which it was read", "읽은 시각이 없습니다"),
    "refused_no_video": Text("not a video", "동영상이 아닙니다"),
    "refused_not_an_object": Text("not an object", "객체가 아닙니다"),
    "ingest_counted": Text(
        "Read {folder} in {seconds:.1f} s; nothing was sent",
        "{folder} 확인 완료 ({seconds:.1f}초). 보낸 것은 없습니다",
    ),
    "ingest_formats": Text("Formats: {formats}", "형식: {formats}"),
    "ingest_ignored": Text("Of no known format: {files}", "알 수 없는 형식: {files}"),
    "ingest_resumed": Text(
        "An interrupted run went on: {count:,} batches were stored already",
        "중단된 수집을 이어서 했습니다. 이미 저장된 묶음: {count:,}개",
    ),
    "ingest_untitled": Text(
        "{count:,} videos have no title and cannot be stored", "제목이 없어 저장할 수 없는 동영상: {count:,}개"
    ),
    "help_option_dataset": Text("A folder or file of a known format.", "아는 형식의 폴더 또는 파일."),
    "help_option_dataset_dry_run": Text(
        "Read, check and count; send nothing.", "읽고 확인하고 세기만 하며 보내지 않습니다."
    ),
    "help_option_collected_at": Text(
        "When YouTube's answers were read (ISO 8601); default: when the file was last changed.",
        "유튜브 응답을 읽은 시각(ISO 8601). 기본값: 파일이 마지막으로 바뀐 시각.",
    ),
    "words_no_text": Text(
        "{word} holds characters that cannot be shown or searched for.",
        "{word} 안에 표시하거나 검색할 수 없는 문자가 있습니다.",
    ),
    "backtest_no_season": Text(
        "None of the {count} series can be judged: each is shorter than two days, or always the same.",
        "시계열 {count}개를 하나도 평가할 수 없습니다. 모두 이틀보다 짧거나 값이 늘 같습니다.",
    ),
    "backtest_no_season.next": Text(
        "Give hourly series of at least two days; docs/trends.md shows the form.",
        "이틀 이상의 시간별 시계열을 주십시오. 형식은 docs/trends.md에 있습니다.",
    ),
    "backtest_too_few_days": Text(
        "{days} days of {region} are too few: at least four in a row are needed.",
        "{region} 지역은 {days}일뿐입니다. 이어진 나흘 이상이 필요합니다.",
    ),
    "backtest_too_few_days.next": Text(
        "Choose a region of the data set with --region, or give a longer one.",
        "--region으로 데이터 세트에 있는 지역을 고르거나 더 긴 데이터를 주십시오.",
    ),
    "plots_missing": Text("Pictures need {name}.", "그림을 그리려면 {name} 패키지가 필요합니다."),
    "plots_missing.next": Text(
        "Install it: pip install 'ondol[plots]'; or leave --png out.",
        "pip install 'ondol[plots]'로 설치하거나 --png를 빼십시오.",
    ),
    "picture_unwritable": Text("{file} cannot be written: {problem}.", "{file} 파일을 쓸 수 없습니다: {problem}."),
    "picture_unwritable.next": Text("Give --png another folder.", "--png에 다른 폴더를 주십시오."),
    "backtest_bursts_title": Text("NAB score {score}, standard profile", "NAB 점수 {score} (표준 프로필)"),
    "backtest_forecasts_title": Text(
        "{series:,} series: sMAPE {smape:.2f}, {coverage:.1%} within the interval of 80 %; {flat:,} left out",
        "시계열 {series:,}개: sMAPE {smape:.2f}, 80 % 구간 안 {coverage:.1%}, 제외 {flat:,}개",
    ),
    "backtest_charts_title": Text(
        "Tomorrow's surges in {region} among the first {most}: {days} days, judged from {from_day} on",
        "{region} 내일 급상승, 상위 {most}개: {days}일 가운데 {from_day}부터 평가",
    ),
    "backtest_rings": Text(
        "The detector rang {alarms:,} times on the charts as they were: {rate:.1e} a keyword and day.",
        "있는 그대로의 차트에서 탐지기가 {alarms:,}번 울렸습니다. 키워드·일당 {rate:.1e}번입니다.",
    ),
    "backtest_drawn": Text("Drawn: {file}", "그림: {file}"),
    "column_named_series": Text("series", "시계열"),
    "column_nab": Text("score", "점수"),
    "column_hits": Text("found", "찾음"),
    "column_windows": Text("windows", "구간"),
    "column_false_alarms": Text("false", "오경보"),
    "column_method": Text("method", "방법"),
    "column_mase_mean": Text("MASE mean", "MASE 평균"),
    "column_mase_median": Text("MASE median", "MASE 중앙값"),
    "column_precision": Text("precision", "정밀도"),
    "column_precision_first_half": Text("first half", "전반부"),
    "column_recall": Text("recall", "재현율"),
    "column_lead": Text("lead (h)", "앞섬(시간)"),
    "column_warned": Text("named", "맞힘"),
    "column_false_rate": Text("false rate", "오경보율"),
    "kind_ours": Text("ours", "온돌"),
    "kind_persistence": Text("persistence", "오늘 그대로"),
    "kind_raw_counts": Text("raw counts", "언급 수"),
    "kind_seasonal_naive": Text("seasonal naive", "어제 같은 시각"),
    "stage_backtest": Text("trying", "시험 중"),
    "stage_backtest_shuffled": Text("trying shuffled history", "섞은 과거 시험 중"),
    "help_trends_backtest": Text(
        "Try detection, forecast and ranking on a data set's own clock; writes nothing into the database.\n\n"
        "Labelled series, hourly series with their future, or charts: docs/trends.md says what is measured.",
        "데이터 세트의 시각에 맞추어 탐지, 예측, 순위를 시험합니다. 데이터베이스에는 아무것도 쓰지 않습니다.\n\n"
        "라벨이 있는 시계열, 미래가 딸린 시간별 시계열, 차트: 무엇을 재는지는 docs/trends.md에 있습니다.",
    ),
    "help_option_backtest_data": Text("The data set's folder or file.", "데이터 세트 폴더 또는 파일."),
    "help_option_most": Text("How many keywords a day are named.", "하루에 몇 개의 키워드를 고를지."),
    "help_option_seed": Text("Of the shuffled history.", "섞은 과거의 시드."),
    "help_option_png": Text(
        "Draw the report into this folder (matplotlib).", "보고서를 이 폴더에 그립니다(matplotlib)."
    ),
    "help_search": Text(
        "Find videos for what somebody types: keywords, titles, typing errors.",
        "입력한 말로 동영상을 찾습니다: 키워드, 제목, 오타까지.",
    ),
    "help_option_query": Text("What to search for.", "검색어."),
    "help_option_category": Text("YouTube's number of the category.", "유튜브 카테고리 번호."),
    "help_option_max_duration": Text("No longer than this, in seconds.", "최대 길이(초)."),
    "help_option_min_quality": Text("No worse than this, 0 to 1.", "최저 품질, 0에서 1."),
    "help_option_videos": Text("How many videos, at most 50.", "동영상 수, 최대 50."),
    "help_option_cursor": Text("Where the page before ended.", "앞 페이지가 끝난 곳."),
    "search_title": Text("{query}: {total} videos", "{query}: 동영상 {total}개"),
    "search_corrected": Text("{query} was searched for as {answered}.", "{query} 대신 {answered}(으)로 검색했습니다."),
    "search_synonym": Text(
        "{query} means the same as {answered}, which was searched for.",
        "{query}와(과) 뜻이 같은 {answered}(으)로 검색했습니다.",
    ),
    "search_none": Text("Nothing was found for {query}.", "{query}에 대한 결과가 없습니다."),
    "search_none.next": Text(
        "Take away filters, try fewer words, or fetch videos: ondol ingest youtube.",
        "필터를 빼거나 단어를 줄이거나, ondol ingest youtube로 동영상을 수집하십시오.",
    ),
    "search_more": Text("There are more: --cursor {cursor}", "더 있습니다: --cursor {cursor}"),
    "column_title": Text("title", "제목"),
    "column_channel": Text("channel", "채널"),
    "column_seconds": Text("seconds", "초"),
    "column_views": Text("views", "조회수"),
    "column_video": Text("video", "동영상"),
    "help_feed": Text(
        "Show one's own feed; it counts as shown.\n\nSigns in as a person of the project: docs/feed.md.",
        "나의 피드를 보여 줍니다. 보여 준 것으로 기록됩니다.\n\n프로젝트의 사용자로 로그인합니다: docs/feed.md.",
    ),
    "help_option_email": Text("Whose feed: the address of an account.", "누구의 피드인지: 계정의 이메일 주소."),
    "help_option_feed_limit": Text("How many videos, at most 50.", "영상 수, 최대 50."),
    "help_option_why": Text("Say why each video is there.", "영상마다 이유를 보여 줍니다."),
    "ask_password": Text("Password", "비밀번호"),
    "feed_title": Text("Feed, weights {version}", "피드, 가중치 {version}"),
    "feed_empty": Text("There is nothing to show yet.", "아직 보여 줄 것이 없습니다."),
    "column_why": Text("Why", "이유"),
    "why_liked_similar": Text("like “{detail}”", "“{detail}”와 비슷함"),
    "why_keyword": Text("keyword {detail}", "키워드 {detail}"),
    "why_trending": Text("trending: {detail}", "급상승: {detail}"),
    "why_category": Text("category {detail}", "카테고리 {detail}"),
    "why_mood": Text("suits this hour: {detail}", "이 시간에 어울림: {detail}"),
    "why_popular": Text("popular", "인기"),
    "why_fresh": Text("new", "새 영상"),
    "why_exploration": Text("something new to try", "새로운 발견"),
    "feed_eval_extras_missing": Text("This needs {names}.", "이 명령에는 {names} 패키지가 필요합니다."),
    "feed_eval_extras_missing.next": Text(
        "Install them: pip install 'ondol[eval]'.", "pip install 'ondol[eval]'로 설치하십시오."
    ),
    "feed_eval_occupied": Text(
        "The database holds people, interactions or videos already: nothing is laid over them.",
        "데이터베이스에 이미 사용자, 활동 또는 동영상이 있어 그 위에 올리지 않습니다.",
    ),
    "feed_eval_occupied.next": Text(
        "Give --database-url of an empty project, for instance of a new local stack.",
        "비어 있는 프로젝트(예: 새 로컬 스택)의 --database-url을 주십시오.",
    ),
    "feed_eval_unreachable": Text(
        "The database cannot be reached: {problem}.", "데이터베이스에 연결할 수 없습니다: {problem}."
    ),
    "feed_eval_unreachable.next": Text(
        "Check --database-url, and that the stack is up: ./scripts/dev.",
        "--database-url과 스택이 켜져 있는지(./scripts/dev) 확인하십시오.",
    ),
    "feed_eval_nobody": Text(
        "Nobody can be judged by the part {part}: it holds no long view of a video that is new to its person, or "
        "nothing comes before it.",
        "{part} 부분으로는 아무도 평가할 수 없습니다. 새 동영상을 오래 본 기록이 없거나 그 앞의 기록이 없습니다.",
    ),
    "feed_eval_nobody.next": Text(
        "Check the columns split and long_view of interactions.csv.",
        "interactions.csv의 split 열과 long_view 열을 확인하십시오.",
    ),
    "feed_eval_video_unknown": Text(
        "{file} names the video {video}, which items.csv does not hold.",
        "{file} 파일의 동영상 {video}이(가) items.csv에 없습니다.",
    ),
    "feed_eval_video_unknown.next": Text(
        "Give the items.csv of the same data set.", "같은 데이터 세트의 items.csv를 주십시오."
    ),
    "feed_eval_title": Text(
        "Later long views in the first 10 of {videos:,} videos: {people:,} people; learned from {learned_from:,} "
        "views in {seconds:.0f} s",
        "동영상 {videos:,}개 가운데 상위 10개에 든 이후의 긴 시청: {people:,}명. 학습한 시청 {learned_from:,}건, "
        "{seconds:.0f}초",
    ),
    "kind_feed_ours": Text("ours (SQL)", "온돌(SQL)"),
    "kind_feed_without_category_match": Text("no category", "카테고리 빼고"),
    "kind_feed_without_keyword_relevance": Text("no keyword", "키워드 빼고"),
    "kind_feed_without_temporal_context": Text("no temporal", "시간 빼고"),
    "kind_feed_without_popularity_score": Text("no popularity", "인기 빼고"),
    "kind_feed_without_freshness_factor": Text("no freshness", "최신 빼고"),
    "kind_feed_without_diversity_bonus": Text("no diversity", "다양성 빼고"),
    "kind_feed_six_weights_alone": Text("six weights alone", "여섯 가중치만"),
    "kind_feed_popularity": Text("popularity", "인기"),
    "kind_feed_decayed_popularity": Text("decayed popularity", "감쇠 인기"),
    "kind_feed_item_neighbours": Text("itemKNN", "항목 이웃(itemKNN)"),
    "kind_feed_als": Text("ALS", "행렬 분해(ALS)"),
    "kind_feed_ease": Text("EASE", "선형 모델(EASE)"),
    "column_ndcg": Text("NDCG@10", "순위 점수(NDCG@10)"),
    "column_recall_at_10": Text("recall@10", "재현율@10"),
    "column_coverage": Text("coverage", "커버리지"),
    "column_likeness": Text("likeness", "목록 유사도"),
    "stage_feed_eval_lay": Text("loading", "올리는 중"),
    "stage_feed_eval_neighbours": Text("learning neighbours", "이웃 학습"),
    "stage_feed_eval_tastes": Text("learning tastes", "취향 학습"),
    "stage_feed_eval_rank": Text("ranking", "순위 계산"),
    "stage_feed_eval_baselines": Text("baselines", "기준 방법"),
    "help_eval_feed": Text(
        "Measure the feed on people's later views, against the usual baselines; nothing stays in the database.\n\n"
        "Needs an empty database and the extra eval (psycopg, scipy, implicit); docs/feed-quality.md says how it is "
        "measured.",
        "사람들이 나중에 본 것으로 피드를 기준 방법들과 견줍니다. 데이터베이스에는 아무것도 남지 않습니다.\n\n"
        "빈 데이터베이스와 추가 패키지 묶음 eval(psycopg, scipy, implicit)이 필요합니다. 재는 방법은 "
        "docs/feed-quality.md에 있습니다.",
    ),
    "help_option_feed_eval_data": Text(
        "A folder of the form of KuaiRand-Pure: docs/feed-quality.md.",
        "KuaiRand-Pure 형식의 폴더: docs/feed-quality.md.",
    ),
    "help_option_feed_eval_people": Text("How many people are judged; default: all.", "평가할 사람 수. 기본값: 모두."),
    "help_option_feed_eval_learn_from": Text(
        "How many people are learned from; default: all.", "학습에 쓸 사람 수. 기본값: 모두."
    ),
    "help_option_feed_eval_validation": Text(
        "Judge by the part val instead of test: for tuning.", "test 대신 val 부분으로 평가합니다(조정용)."
    ),
    "help_option_database_url": Text(
        "The database, as its owner: postgresql://postgres:…", "소유자로 접속하는 데이터베이스: postgresql://postgres:…"
    ),
    "webhook_known": Text(
        "{url} is registered already: endpoint {endpoint}.",
        "{url} 주소는 이미 등록되어 있습니다: 엔드포인트 {endpoint}.",
    ),
    "webhook_known.next": Text(
        "Give it a new secret with `ondol webhooks rotate {endpoint}`, or remove it first.",
        "`ondol webhooks rotate {endpoint}` 명령으로 새 비밀 키를 만들거나 먼저 지우십시오.",
    ),
    "webhook_unknown": Text("There is no endpoint {endpoint}.", "엔드포인트 {endpoint}이(가) 없습니다."),
    "webhook_unknown.next": Text("See which there are: ondol webhooks list.", "목록 보기: ondol webhooks list."),
    "webhooks_operators_option": Text(
        "{option}: for the operator only, with the secret key and without --email.",
        "{option}: 비밀 키가 있고 --email이 없을 때, 운영자만 쓸 수 있습니다.",
    ),
    "webhooks_name_one": Text("Name the ENDPOINT.", "ENDPOINT를 지정하십시오."),
    "webhooks_none": Text("There are no endpoints.", "등록된 엔드포인트가 없습니다."),
    "webhooks_title": Text("Webhook endpoints", "웹훅 엔드포인트"),
    "webhooks_replayed": Text("{count:,} deliveries are on their way again.", "전송 {count:,}건을 다시 보냅니다."),
    "webhooks_following": Text(
        "Following new attempts of the newest 1,000 deliveries of each endpoint. Ctrl-C ends.",
        "엔드포인트마다 최근 전송 1,000건의 새 시도를 지켜보는 중입니다. Ctrl-C로 끝냅니다.",
    ),
    "webhook_secret": Text("endpoint {endpoint}\nsecret   {secret}", "엔드포인트 {endpoint}\n비밀 키     {secret}"),
    "webhook_secret_once": Text(
        "The secret is shown only now: keep it where the receiver reads it.",
        "비밀 키는 지금 한 번만 보여 줍니다. 수신 서버에서 읽을 곳에 보관하십시오.",
    ),
    "webhook_secret_overlap": Text(
        "Until {until} messages are signed with the secret before this one too.",
        "{until}까지는 이전 비밀 키의 서명도 함께 보냅니다.",
    ),
    "webhook_test_sent": Text("webhook.test is on its way: {webhook_id}", "webhook.test 전송 중: {webhook_id}"),
    "webhook_test_sent.next": Text(
        "See what it was answered: ondol webhooks log {endpoint}.", "응답 보기: ondol webhooks log {endpoint}."
    ),
    "webhook_removed": Text(
        "Endpoint {endpoint} is removed, with its secret and its log.",
        "엔드포인트 {endpoint}와(과) 그 비밀 키, 기록을 지웠습니다.",
    ),
    "webhook_log_empty": Text("Nothing was sent there.", "보낸 것이 없습니다."),
    "webhook_log_more": Text("There are more: --before {before}", "더 있습니다: --before {before}"),
    "webhook_log_title": Text("Deliveries, newest first", "최근 전송"),
    "webhook_attempt": Text(
        "{ended}  {event_type}  {webhook_id}  attempt {attempt}: {answer}, {milliseconds} ms, {state}",
        "{ended}  {event_type}  {webhook_id}  시도 {attempt}: {answer}, {milliseconds}밀리초, {state}",
    ),
    "webhook_on": Text("on", "켜짐"),
    "webhook_off": Text("off since {since}: {why}", "{since}부터 꺼짐: {why}"),
    "webhook_gone": Text("it answered 410", "410으로 응답"),
    "webhook_given_up": Text("it failed for five days", "닷새 동안 실패"),
    "webhook_switched_off": Text("switched off", "직접 끔"),
    "webhook_failing": Text("on, failing since {since}", "켜짐, {since}부터 실패"),
    "webhook_not_entitled": Text("nothing is sent since {since}: the tier ended", "{since} 등급 만료, 보내지 않음"),
    "webhook_scheduled": Text("scheduled", "예정"),
    "webhook_delivered": Text("delivered", "전달됨"),
    "webhook_dead": Text("dead", "포기"),
    "column_answer": Text("answer", "응답"),
    "column_attempts": Text("attempts", "시도"),
    "column_endpoint": Text("endpoint", "엔드포인트"),
    "column_event": Text("event", "이벤트"),
    "column_events": Text("events", "이벤트"),
    "column_last_success": Text("last success", "마지막 성공"),
    "column_state": Text("state", "상태"),
    "column_url": Text("address", "주소"),
    "column_webhook_id": Text("webhook-id", "웹훅 아이디(webhook-id)"),
    "column_when": Text("when", "시각"),
    "help_webhooks_list": Text("Show the endpoints and how they are doing.", "엔드포인트와 그 상태를 보여 줍니다."),
    "help_webhooks_add": Text(
        "Register an address; its secret goes to stdout, only now.",
        "주소를 등록합니다. 비밀 키는 이때 한 번만 표준 출력으로 나옵니다.",
    ),
    "help_webhooks_test": Text("Send the event webhook.test.", "webhook.test 이벤트를 보냅니다."),
    "help_webhooks_rotate": Text(
        "Make a new secret; the old one signs too until the overlap ends.",
        "새 비밀 키를 만듭니다. 겹침이 끝날 때까지 이전 키로도 서명합니다.",
    ),
    "help_webhooks_replay": Text(
        "Send dead deliveries again, under the same webhook-ids; without options all of them.",
        "포기한 전송을 같은 webhook-id로 다시 보냅니다. 옵션이 없으면 모두 보냅니다.",
    ),
    "help_webhooks_log": Text("Show what was sent, and what became of it.", "보낸 것과 그 결과를 보여 줍니다."),
    "help_webhooks_tail": Text("Print new attempts until Ctrl-C.", "Ctrl-C를 누를 때까지 새 시도를 출력합니다."),
    "help_webhooks_enable": Text("Switch an endpoint on.", "엔드포인트를 켭니다."),
    "help_webhooks_disable": Text(
        "Switch an endpoint off; what was on its way becomes dead.",
        "엔드포인트를 끕니다. 보내던 것은 포기한 전송이 됩니다.",
    ),
    "help_webhooks_remove": Text(
        "Remove an endpoint with its secret and its log.", "엔드포인트를 비밀 키, 기록과 함께 지웁니다."
    ),
    "help_option_webhooks_email": Text(
        "Whose endpoints: the address of an account; without it the operator's view.",
        "누구의 엔드포인트인지: 계정의 이메일 주소. 없으면 운영자로 다룹니다.",
    ),
    "help_option_endpoint": Text("The endpoint's id.", "엔드포인트의 아이디."),
    "help_option_some_endpoint": Text("The endpoint's id; default: each.", "엔드포인트의 아이디. 기본값: 모두."),
    "help_option_webhook_url": Text("An https address with a public name.", "공개 도메인의 https 주소."),
    "help_option_event": Text(
        "Type of event; may be repeated. Default: trend.detected.",
        "이벤트 종류; 여러 번 쓸 수 있습니다. 기본값: trend.detected.",
    ),
    "help_option_description": Text("What it is for.", "용도 설명."),
    "help_option_allow_private": Text(
        "Also take http and addresses of one's own network; the operator's endpoints only.",
        "http와 내부망 주소도 받아들입니다. 운영자의 엔드포인트만.",
    ),
    "help_option_overlap": Text("For how many seconds both secrets sign.", "두 비밀 키로 함께 서명할 시간(초)."),
    "help_option_since": Text("That died at this time or later.", "이 시각 또는 그 뒤에 포기한 것."),
    "help_option_until": Text("That died before this time.", "이 시각 전에 포기한 것."),
    "help_option_delivery": Text("This delivery; may be repeated.", "이 전송만; 여러 번 쓸 수 있습니다."),
    "help_option_deliveries": Text("How many deliveries, at most 100.", "전송 수, 최대 100."),
    "help_option_before": Text("Made before this time.", "이 시각 전에 만든 것."),
    "help_option_every": Text("Seconds between two looks.", "확인 간격(초)."),
    "help_option_attempts": Text("End after this many attempts.", "이만큼 출력하면 끝냅니다."),
    "help_notifications": Text("Show one's own notifications.", "나의 알림을 보여 줍니다."),
    "help_option_notified": Text("Whose: the address of an account.", "누구의 알림인지: 계정의 이메일 주소."),
    "help_option_notifications": Text("How many, at most 200.", "알림 수, 최대 200."),
    "help_option_read": Text("Mark what is shown as read.", "보여 준 알림을 읽음으로 표시합니다."),
    "notifications_none": Text("There are no notifications.", "알림이 없습니다."),
    "notifications_title": Text("Notifications", "알림"),
    "help_option_after_trend": Text(
        "Go on after this trend: the cursor of the last one that --json printed.",
        "이 트렌드 다음부터 이어 받습니다: --json이 마지막으로 출력한 cursor입니다.",
    ),
    "trends_missed": Text(
        "Trends after cursor {cursor} are no longer kept; it goes on with the oldest that is.",
        "cursor {cursor} 이후의 일부 트렌드는 더 이상 보관되어 있지 않아, 남아 있는 가장 오래된 것부터 이어집니다.",
    ),
    # the table of contents of the command line
    "help_ondol": Text(
        "Ondol's command line: what comes in, what trends, who is told, what is served.",
        "온돌 명령줄: 들어오는 것, 뜨는 것, 알리는 곳, 보여 주는 것.",
    ),
    "help_ondol_more": Text(
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some rows were refused, 130 stopped by Ctrl-C. "
        "More in docs/cli.md.",
        "종료 코드: 0 완료, 1 실패, 2 잘못된 사용, 3 완료했으나 일부 행 거절, 130 Ctrl-C로 중단. "
        "자세한 것은 docs/cli.md에 있습니다.",
    ),
    "help_option_version": Text("Print the version.", "버전을 출력합니다."),
    "help_example": Text("Example: {example}", "보기: {example}"),
    "help_commands": Text("Commands", "명령"),
    "stage_ingest": Text("Ingest", "수집"),
    "stage_detect": Text("Detect", "감지"),
    "stage_notify": Text("Notify", "알림"),
    "stage_serve": Text("Serve", "제공"),
    "stage_look_after": Text("Look after", "관리"),
    "help_ingest": Text(
        "Bring raw signals in: brightdata, dataset, youtube, refresh, status.",
        "원시 신호를 수집합니다: brightdata, dataset, youtube, refresh, status.",
    ),
    "help_trends": Text(
        "See, replay, watch and try trends: now, replay, watch, backtest.",
        "트렌드를 보고, 재생하고, 지켜보고, 시험합니다: now, replay, watch, backtest.",
    ),
    "help_webhooks": Text(
        "Look after webhook endpoints: list, add, test, rotate, replay, log, tail, enable, disable, remove.\n\n"
        "With SUPABASE_SECRET_KEY as the operator; with --email, or without that key, one's own endpoints. "
        "docs/webhooks.md has the rest.",
        "웹훅 엔드포인트를 관리합니다: list, add, test, rotate, replay, log, tail, enable, disable, remove.\n\n"
        "SUPABASE_SECRET_KEY가 있으면 운영자로, --email을 주거나 그 키가 없으면 자기 것만 다룹니다. "
        "자세한 것은 docs/webhooks.md에 있습니다.",
    ),
    "help_eval": Text("Measure what the room is worth: feed.", "방의 성능을 잽니다: feed."),
    "region_unknown": Text("There is no region {region}.", "{region} 지역은 없습니다."),
    "region_unknown.next": Text(
        "Use the two letters of ISO 3166, for instance KR.", "ISO 3166의 두 글자를 쓰십시오(예: KR)."
    ),
    "request_refused": Text(
        "The backend refused {doing}: {message}", "백엔드가 {doing} 요청을 거절했습니다: {message}"
    ),
    "answer_unexpected": Text(
        "The backend answered {doing} in a form that this version does not know: {problem}.",
        "{doing} 요청에 대한 백엔드의 답을 이 버전이 이해하지 못합니다: {problem}.",
    ),
    "answer_unexpected.next": Text(
        "Apply this version's migrations with `supabase db push`, or update this client.",
        "`supabase db push`로 이 버전의 마이그레이션을 적용하거나 클라이언트를 갱신하십시오.",
    ),
    "unreachable": Text("{url} cannot be reached: {problem}.", "{url} 주소에 연결할 수 없습니다: {problem}."),
    "unreachable.next": Text(
        "Check SUPABASE_URL; the local stack is started with ./scripts/dev up.",
        "SUPABASE_URL 값을 확인하십시오. 로컬 스택은 ./scripts/dev up 명령으로 시작합니다.",
    ),
    "timed_out": Text(
        "{url} did not answer {doing} within {seconds} s.",
        "{url} 주소가 {doing} 요청에 {seconds}초 안에 답하지 않았습니다.",
    ),
    "timed_out.next": Text(
        "Try again, or raise ONDOL_TIMEOUT_SECONDS.", "다시 시도하거나 ONDOL_TIMEOUT_SECONDS 값을 올리십시오."
    ),
    "subscription_refused": Text(
        "Realtime refused the subscription {topic}: {problem}.", "리얼타임이 {topic} 구독을 거절했습니다: {problem}."
    ),
    "subscription_refused.next": Text(
        "Run `ondol doctor`: it tells the key, the service and the publication apart.",
        "`ondol doctor`를 실행하십시오. 키, 서비스, 게시 중 무엇이 문제인지 알려 줍니다.",
    ),
    "not_allowed.next": Text(
        "Check the key: this call needs SUPABASE_SECRET_KEY, or a signed-in user with the right tier.",
        "키를 확인하십시오. SUPABASE_SECRET_KEY 또는 알맞은 등급의 로그인 사용자가 필요합니다.",
    ),
    "not_found.next": Text(
        "Apply the migrations with `supabase db push`, then try again.",
        "`supabase db push`로 마이그레이션을 적용한 뒤 다시 시도하십시오.",
    ),
    # refusals of single rows
    "refused_bad_time": Text("not a time with a time zone", "시간대가 있는 시각이 아닙니다"),
    "refused_bad_number": Text("not a whole number", "정수가 아닙니다"),
    "refused_negative_count": Text("a count below zero", "0보다 작은 수입니다"),
    "refused_too_large": Text("a number too large to be true", "있을 수 없이 큰 수입니다"),
    "refused_unknown_region": Text("not a region of ISO 3166", "ISO 3166 지역 코드가 아닙니다"),
    "refused_bad_video_id": Text("not a YouTube video id", "유튜브 동영상 아이디가 아닙니다"),
    "refused_bad_channel_id": Text("not a channel's id", "채널 아이디가 아닙니다"),
    "refused_bad_id": Text("an id that is no text", "글이 아닌 아이디입니다"),
    "refused_source_error": Text("what the source itself says went wrong", "출처가 스스로 알린 오류입니다"),
    "refused_missing_value": Text("empty", "비어 있습니다"),
    "refused_too_long": Text("more than 1,000 characters", "1,000자를 넘습니다"),
    "refused_nul_byte": Text("a NUL byte", "NUL 바이트가 있습니다"),
    "refused_bad_encoding": Text("not UTF-8", "UTF-8이 아닙니다"),
    "refused_bad_csv": Text("not readable as CSV", "CSV로 읽을 수 없습니다"),
    "refused_wrong_field_count": Text("the number of fields differs from the header", "칸 수가 머리글과 다릅니다"),
    "refused_duplicate_video": Text("listed before in this file", "이 파일에 이미 나온 동영상입니다"),
    # progress and results
    "stage_read_videos": Text("reading videos", "동영상 읽는 중"),
    "stage_read_chart": Text("reading chart rows", "차트 행 읽는 중"),
    "stage_send_videos": Text("storing videos", "동영상 저장 중"),
    "stage_send_signals": Text("storing hourly signals", "시간별 신호 저장 중"),
    "stage_replay": Text("detecting", "트렌드 탐지 중"),
    "ingest_title": Text("Ingested {folder} in {seconds:.1f} s", "{folder} 수집 완료 ({seconds:.1f}초)"),
    "column_kind": Text("kind", "종류"),
    "column_received": Text("sent", "보냄"),
    "column_inserted": Text("inserted", "추가"),
    "column_updated": Text("updated", "갱신"),
    "column_unchanged": Text("unchanged", "그대로"),
    "column_rejected": Text("refused", "거절"),
    "kind_videos": Text("videos", "동영상"),
    "kind_signals": Text("hourly signals", "시간별 신호"),
    "rows_read": Text(
        "Read {videos:,} videos and {chart:,} chart rows; {untitled:,} chart rows name a video without a usable title.",
        "동영상 {videos:,}개와 차트 {chart:,}행을 읽었습니다. 쓸 수 있는 제목이 없는 차트 행은 {untitled:,}개입니다.",
    ),
    "rows_refused": Text(
        "{count:,} rows were refused; the others are loaded:", "{count:,}행이 거절되었고 나머지는 저장되었습니다:"
    ),
    "rows_refused_more": Text("… and {count:,} more", "… 그리고 {count:,}개 더"),
    "trends_title": Text("Trending now in {region}", "{region} 지금 뜨는 키워드"),
    "trends_none": Text(
        "No trend is open in {region}. Ingest data, then detection runs by itself.",
        "{region} 지역에 열린 트렌드가 없습니다. 데이터를 수집하면 탐지가 자동으로 실행됩니다.",
    ),
    "replay_title": Text(
        "Trends found in {region} over {steps} snapshots", "{region} 스냅샷 {steps}개에서 찾은 트렌드"
    ),
    "replay_none": Text(
        "Nothing was found in {region} over {steps} snapshots ({tested:,} tests). Was the data set ingested?",
        "{region} 스냅샷 {steps}개(검정 {tested:,}번)에서 아무것도 찾지 못했습니다. 데이터 세트를 수집했습니까?",
    ),
    "column_keyword": Text("keyword", "키워드"),
    "column_region": Text("region", "지역"),
    "column_score": Text("score", "점수"),
    "column_growth": Text("growth", "증가율"),
    "column_detected": Text("detected", "탐지 시각"),
    "column_expires": Text("expires", "만료 시각"),
    "column_series": Text("hourly mentions", "시간별 언급"),
    "watching": Text("Watching trends at {url}. Ctrl-C ends.", "{url} 트렌드를 지켜보는 중입니다. Ctrl-C로 끝냅니다."),
    "resubscribing": Text(
        "The subscription ended ({problem}); trying again.", "구독이 끊겼습니다({problem}). 다시 시도합니다."
    ),
    "next_step": Text("Next step: {step}", "다음 단계: {step}"),
    # doctor
    "doctor_ok": Text("ok", "정상"),
    "doctor_failed": Text("failed", "실패"),
    "doctor_skipped": Text("skipped", "건너뜀"),
    "doctor_python": Text("Python", "파이썬"),
    "doctor_python.next": Text("Install Python 3.11 or newer.", "파이썬 3.11 이상을 설치하십시오."),
    "doctor_node": Text("Node.js", "Node.js"),
    "doctor_node.next": Text(
        "Install Node.js 20.19 or newer; only the local stack needs it.",
        "Node.js 20.19 이상을 설치하십시오. 로컬 스택에만 필요합니다.",
    ),
    "doctor_settings": Text("settings", "설정"),
    "doctor_api": Text("Data API", "데이터 API"),
    "doctor_auth": Text("Auth", "인증"),
    "doctor_auth.next": Text(
        "Check that Auth runs: ./scripts/dev status names a part that is down.",
        "인증 서비스를 확인하십시오. 멈춘 부분은 ./scripts/dev status가 알려 줍니다.",
    ),
    "doctor_migrations": Text("migrations", "마이그레이션"),
    "doctor_secret_key": Text("secret key", "비밀 키"),
    "doctor_secret_key_absent": Text(
        "SUPABASE_SECRET_KEY is not set; only ingest and replay need it",
        "SUPABASE_SECRET_KEY가 없습니다. 수집과 재생에만 필요합니다",
    ),
    "doctor_realtime": Text("Realtime", "리얼타임"),
    "doctor_function": Text("edge function", "엣지 함수"),
    "doctor_function.next": Text(
        "Deploy it with `supabase functions deploy notify-trend`; locally see ./scripts/dev logs gateway.",
        "`supabase functions deploy notify-trend`로 배포하십시오. 로컬에서는 ./scripts/dev logs gateway를 보십시오.",
    ),
    # help of the command line
    "help_ingest_dataset": Text(
        "Load a folder with chart.csv[.gz] and videos.csv[.gz]; repeating it changes nothing.",
        "chart.csv[.gz]와 videos.csv[.gz]가 있는 폴더를 저장합니다. 다시 실행해도 결과는 같습니다.",
    ),
    "help_trends_now": Text("List what is trending now.", "지금 뜨는 키워드를 보여 줍니다."),
    "help_trends_replay": Text(
        "Run detection over an ingested data set, on the data set's own clock.",
        "수집한 데이터 세트의 시각에 맞추어 탐지를 다시 실행합니다.",
    ),
    "help_trends_watch": Text("Print trends as they are detected.", "탐지되는 트렌드를 바로 출력합니다."),
    "help_doctor": Text(
        "Check what is installed, running and reachable, and say the next step.",
        "설치, 실행, 연결 상태를 확인하고 다음 단계를 알려 줍니다.",
    ),
    "help_option_folder": Text("The data set's folder.", "데이터 세트 폴더."),
    "help_option_region": Text("Region, for instance KR.", "지역(예: KR)."),
    "help_option_regions": Text(
        "Only this region; may be repeated. Default: all.", "이 지역만; 여러 번 쓸 수 있습니다. 기본값: 모두."
    ),
    "help_option_limit": Text("How many trends, at most 50.", "트렌드 수, 최대 50."),
    "help_option_count": Text("End after this many trends.", "이만큼 받으면 끝냅니다."),
    "help_option_json": Text("Machine-readable output on stdout.", "표준 출력에 JSON으로 출력합니다."),
}
