"""The shorts room in Python: its API, what people do, ingest of data sets, replay of detection, and live trends."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .activity import (
        ActivityApi,
        EndedSearch,
        Feedback,
        HistoryCursor,
        InteractionInput,
        PlaybackReport,
        Recorded,
        RecordedEvents,
        RejectedRow,
        Search,
        SearchContext,
        StartedSearch,
        StoredRow,
        WatchedVideo,
        WatchEventInput,
    )
    from .api import (
        KeywordInput,
        RegionLists,
        ShortsApi,
        SignalInput,
        SignalsInput,
        Trend,
        TrendRow,
        VideoInput,
    )
    from .backtest import (
        BacktestTarget,
        BurstReport,
        BurstRow,
        ChartReport,
        ForecastReport,
        Rings,
        run_backtest,
    )
    from .backtest_data import BurstSeries, HourlySeries, open_backtest, read_bursts, read_hourly
    from .backtest_metrics import JudgedForecast, judge_forecast
    from .backtest_nab import Labelled, false_alarms, nab_score, series_score, windows_hit
    from .backtest_surges import (
        Candidate,
        Day,
        Question,
        Ranked,
        days_of,
        judge_ranking,
        questions_of,
        shuffled_days,
    )
    from .batches import Ingested, Rejection
    from .bright_data import VIDEOS_DATASET, BrightData, UnansweredError
    from .bright_data_fields import ScrapedVideo, posting_signals, scraped_video
    from .channels import ChannelInput, ChannelsApi
    from .csv_videos import SourcedVideo, parse_csv_video, read_csv_videos
    from .dataset import (
        ChartRow,
        VideoRow,
        check_dataset,
        dataset_files,
        parse_chart_row,
        parse_video_row,
        read_chart,
        read_videos,
    )
    from .detect import BurstBacktest, DetectApi, Detection
    from .discover import (
        Discovery,
        DiscoveryReport,
        DiscoverySource,
        DiscoveryTarget,
        discover_videos,
    )
    from .feed import Feed, FeedApi, FeedReason, FeedVideo, SimilarVideo, SimilarVideos
    from .forecast import ForecastApi, SeriesForecast
    from .formats import Charts, Dataset, Videos, digest, open_dataset
    from .freshness import (
        CacheState,
        ClaimedRefreshes,
        ClaimedVideo,
        EndedRun,
        FinishedRefreshes,
        FreshnessApi,
        IngestRun,
        IngestStatus,
        QueuedKeyword,
        QueuedVideos,
        QueueInput,
        QueueState,
        QuotaState,
        ReleasedRefreshes,
        RunSummary,
        TakenQuota,
    )
    from .ingest import DryRun, IngestTarget, check_regions, ingest_dataset
    from .ingest_bright_data import (
        DiscoveredVideo,
        IngestRunTarget,
        ScrapedRefusal,
        ScrapedRows,
        ScrapeReport,
        ScrapeTarget,
        ingest_bright_data,
        ingest_scraped_file,
        store_scraped_rows,
    )
    from .json_rows import BrokenRowsError, JsonRows
    from .keywords import Keyword, add_keywords, keywords_of, keywords_of_many
    from .notifications import Notification, NotificationsApi
    from .quality import AiAnalysis, AiScores, QualityApi
    from .refresh import (
        RefreshApi,
        RefreshReport,
        RefreshSource,
        RefreshTarget,
        refresh_videos,
    )
    from .regions import REGIONS
    from .replay import ReplayReport, ReplayTarget, replay_trends, snapshots
    from .search import (
        CategoryCount,
        DurationCount,
        Facets,
        FoundVideo,
        FoundVideos,
        SearchApi,
        SuggestedKeyword,
        UnansweredSearch,
    )
    from .sending import IngestReport, IngestRuns, Progress, Totals
    from .signals import HourSignals, hourly_signals
    from .summaries import Activity, CategoryDay, SummariesApi
    from .surges import SurgesApi
    from .tables import Refusal
    from .told_trends import ToldTrend, ToldTrendsApi, UpsertedTrend
    from .trending import TrendingRow, parse_trending_row, read_trending
    from .trends import TimeSlot, TopTrend, TrendsApi
    from .vectors import RejectedEmbedding, StoredEmbeddings, VectorsApi, VideoEmbedding
    from .velocity import parse_pool_row, parse_reading, read_pool, read_readings
    from .watch import watch_trends
    from .webhooks import (
        NewWebhook,
        RotatedWebhook,
        TestedWebhook,
        WebhookAttempt,
        WebhookDelivery,
        WebhookEndpoint,
        WebhookLog,
        WebhooksApi,
        new_webhook_secret,
    )
    from .youtube import (
        ChannelsAnswer,
        QuotaLedger,
        SearchPage,
        Unusable,
        VideosAnswer,
        VideosPage,
        YouTube,
        channel_input,
        duration_seconds,
        video_input,
    )
    from .youtube_dump import read_dump

__all__ = [
    "REGIONS",
    "VIDEOS_DATASET",
    "Activity",
    "ActivityApi",
    "AiAnalysis",
    "AiScores",
    "BacktestTarget",
    "BrightData",
    "BrokenRowsError",
    "BurstBacktest",
    "BurstReport",
    "BurstRow",
    "BurstSeries",
    "CacheState",
    "Candidate",
    "CategoryCount",
    "CategoryDay",
    "ChannelInput",
    "ChannelsAnswer",
    "ChannelsApi",
    "ChartReport",
    "ChartRow",
    "Charts",
    "ClaimedRefreshes",
    "ClaimedVideo",
    "Dataset",
    "Day",
    "DetectApi",
    "Detection",
    "DiscoveredVideo",
    "Discovery",
    "DiscoveryReport",
    "DiscoverySource",
    "DiscoveryTarget",
    "DryRun",
    "DurationCount",
    "EndedRun",
    "EndedSearch",
    "Facets",
    "Feed",
    "FeedApi",
    "FeedReason",
    "FeedVideo",
    "Feedback",
    "FinishedRefreshes",
    "ForecastApi",
    "ForecastReport",
    "FoundVideo",
    "FoundVideos",
    "FreshnessApi",
    "HistoryCursor",
    "HourSignals",
    "HourlySeries",
    "IngestReport",
    "IngestRun",
    "IngestRunTarget",
    "IngestRuns",
    "IngestStatus",
    "IngestTarget",
    "Ingested",
    "InteractionInput",
    "JsonRows",
    "JudgedForecast",
    "Keyword",
    "KeywordInput",
    "Labelled",
    "NewWebhook",
    "Notification",
    "NotificationsApi",
    "PlaybackReport",
    "Progress",
    "QualityApi",
    "Question",
    "QueueInput",
    "QueueState",
    "QueuedKeyword",
    "QueuedVideos",
    "QuotaLedger",
    "QuotaState",
    "Ranked",
    "Recorded",
    "RecordedEvents",
    "RefreshApi",
    "RefreshReport",
    "RefreshSource",
    "RefreshTarget",
    "Refusal",
    "RegionLists",
    "RejectedEmbedding",
    "RejectedRow",
    "Rejection",
    "ReleasedRefreshes",
    "ReplayReport",
    "ReplayTarget",
    "Rings",
    "RotatedWebhook",
    "RunSummary",
    "ScrapeReport",
    "ScrapeTarget",
    "ScrapedRefusal",
    "ScrapedRows",
    "ScrapedVideo",
    "Search",
    "SearchApi",
    "SearchContext",
    "SearchPage",
    "SeriesForecast",
    "ShortsApi",
    "SignalInput",
    "SignalsInput",
    "SimilarVideo",
    "SimilarVideos",
    "SourcedVideo",
    "StartedSearch",
    "StoredEmbeddings",
    "StoredRow",
    "SuggestedKeyword",
    "SummariesApi",
    "SurgesApi",
    "TakenQuota",
    "TestedWebhook",
    "TimeSlot",
    "ToldTrend",
    "ToldTrendsApi",
    "TopTrend",
    "Totals",
    "Trend",
    "TrendRow",
    "TrendingRow",
    "TrendsApi",
    "UnansweredError",
    "UnansweredSearch",
    "Unusable",
    "UpsertedTrend",
    "VectorsApi",
    "VideoEmbedding",
    "VideoInput",
    "VideoRow",
    "Videos",
    "VideosAnswer",
    "VideosPage",
    "WatchEventInput",
    "WatchedVideo",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookLog",
    "WebhooksApi",
    "YouTube",
    "add_keywords",
    "channel_input",
    "check_dataset",
    "check_regions",
    "dataset_files",
    "days_of",
    "digest",
    "discover_videos",
    "duration_seconds",
    "false_alarms",
    "hourly_signals",
    "ingest_bright_data",
    "ingest_dataset",
    "ingest_scraped_file",
    "judge_forecast",
    "judge_ranking",
    "keywords_of",
    "keywords_of_many",
    "nab_score",
    "new_webhook_secret",
    "open_backtest",
    "open_dataset",
    "parse_chart_row",
    "parse_csv_video",
    "parse_pool_row",
    "parse_reading",
    "parse_trending_row",
    "parse_video_row",
    "posting_signals",
    "questions_of",
    "read_bursts",
    "read_chart",
    "read_csv_videos",
    "read_dump",
    "read_hourly",
    "read_pool",
    "read_readings",
    "read_trending",
    "read_videos",
    "refresh_videos",
    "replay_trends",
    "run_backtest",
    "scraped_video",
    "series_score",
    "shuffled_days",
    "snapshots",
    "store_scraped_rows",
    "video_input",
    "watch_trends",
    "windows_hit",
]

_MODULES = (  # the lightest first
    *("regions", "tables", "keywords", "dataset", "json_rows", "velocity", "trending", "csv_videos"),
    *("backtest_metrics", "backtest_nab", "backtest_surges"),
    *("batches", "activity", "channels", "detect", "feed", "forecast", "freshness", "quality", "search"),
    *("notifications", "webhooks"),
    *("summaries", "surges", "told_trends", "trends", "vectors", "api", "youtube"),
    *("bright_data", "bright_data_fields"),
    *("watch", "youtube_dump", "formats", "signals", "sending", "refresh", "discover", "ingest"),
    *("ingest_bright_data", "replay", "backtest_data", "backtest"),
)


def __getattr__(name: str) -> Any:
    # Only what is asked for is imported: reading a file needs no supabase-py.
    if name in __all__:
        for module in map(import_module, (f"{__name__}.{module}" for module in _MODULES)):
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
