-- Promises that trends are looked for and figures kept without anybody asking: all of the room's jobs, each one
-- transaction and one bounded batch. pg_cron counts in GMT; Korea is nine hours ahead.

-- Every five minutes: a source that has delivered nothing new costs nothing and finds nothing.
select cron.schedule('shorts-detect-trends', '*/5 * * * *', 'select public.detect_trends()');

-- Every minute: counters lag behind by no more than that.
select cron.schedule(
    'shorts-fold-counters',
    '* * * * *',
    $$select ops.log_job_run('shorts-fold-counters', private.fold_counters())$$
);

-- Every hour, each at its own minute.
select cron.schedule(
    'shorts-rollup-keywords',
    '25 * * * *',
    $$select ops.log_job_run('shorts-rollup-keywords', private.rollup_keyword_metrics(private.korean_day()))$$
);
select cron.schedule(
    'shorts-analyze-patterns',
    '35 * * * *',
    $$select ops.log_job_run('shorts-analyze-patterns', private.analyze_search_patterns())$$
);
select cron.schedule(
    'shorts-refresh-summaries',
    '50 * * * *',
    $$select ops.log_job_run('shorts-refresh-summaries', private.refresh_summaries())$$
);

-- 00:10 in Korea: yesterday whole, with its last half hour.
select cron.schedule(
    'shorts-rollup-yesterday',
    '10 15 * * *',
    $$select ops.log_job_run('shorts-rollup-yesterday', private.rollup_keyword_metrics(private.korean_day() - 1))$$
);

-- 01:00 to 01:59 in Korea, every minute a batch: a night takes 600,000 searches, and an empty batch costs nothing.
select cron.schedule(
    'shorts-archive-sessions',
    '* 16 * * *',
    $$select ops.log_job_run('shorts-archive-sessions', private.archive_search_sessions())$$
);

-- 02:40 in Korea: after months are made, before floor-drop-expired-partitions, which it clears the way for.
select cron.schedule(
    'shorts-prune-watch-events',
    '40 17 * * *',
    $$select ops.log_job_run('shorts-prune-watch-events', private.prune_watch_events())$$
);

-- Every 15 minutes: what is due goes into the queue of the refresh worker, and old records of its work go.
select cron.schedule(
    'shorts-queue-due-videos',
    '*/15 * * * *',
    $$select ops.log_job_run(
        'shorts-queue-due-videos', private.queue_due_videos() || private.forget_ingest_history()
    )$$
);

-- Every ten minutes, channels three minutes before the videos that are scored by them.
select cron.schedule(
    'shorts-score-channels',
    '2-59/10 * * * *',
    $$select ops.log_job_run('shorts-score-channels', private.score_channels())$$
);
select cron.schedule(
    'shorts-score-videos',
    '5-59/10 * * * *',
    $$select ops.log_job_run('shorts-score-videos', private.score_videos())$$
);

-- A minute before trends are looked for, so that what people searched for until now is among it.
select cron.schedule(
    'shorts-count-internal-signals',
    '4-59/5 * * * *',
    $$select ops.log_job_run('shorts-count-internal-signals', private.count_internal_signals())$$
);

-- 03:00 to 03:59 in Korea, every minute a batch: a night takes 120,000 videos. It is told the moment of the next night,
-- so that nothing gets older than 30 days in between.
select cron.schedule(
    'shorts-purge-api-data',
    '* 18 * * *',
    $$
        select ops.log_job_run('shorts-purge-api-data', private.purge_api_data(at => now() + interval '1 day'))
    $$
);

-- What is not mentioned any more is silent without a row too. Each hour, so that a flood goes as fast as it came.
select cron.schedule(
    'shorts-forget-keyword-states',
    '45 * * * *',
    $$select ops.log_job_run('shorts-forget-keyword-states', private.forget_keyword_states())$$
);

-- Every hour, when the hour before has long been ingested; what is foretold late in the day replaces what was early.
select cron.schedule(
    'shorts-forecast-trends',
    '20 * * * *',
    $$select ops.log_job_run('shorts-forecast-trends', private.forecast_trends())$$
);

-- 00:30 in Korea: yesterday is over, its trends are found.
select cron.schedule(
    'shorts-score-predictions',
    '30 15 * * *',
    $$select ops.log_job_run('shorts-score-predictions', private.score_predictions())$$
);

-- Every ten minutes, also where detection finds nothing to do: what has expired is closed.
select cron.schedule(
    'shorts-expire-trends',
    '*/10 * * * *',
    $$select ops.log_job_run('shorts-expire-trends', private.expire_trends())$$
);

-- Every minute: a new keyword is suggested two minutes after its first video came; the rest goes round.
select cron.schedule(
    'shorts-refresh-suggestions',
    '* * * * *',
    $$select ops.log_job_run('shorts-refresh-suggestions', private.refresh_suggestions())$$
);
select cron.schedule(
    'shorts-forget-search-pages',
    '3-59/5 * * * *',
    $$select ops.log_job_run('shorts-forget-search-pages', private.forget_search_pages())$$
);

-- Every hour, the day that it was an hour ago: what nobody could be answered.
select cron.schedule(
    'shorts-count-unanswered-searches',
    '40 * * * *',
    $$select ops.log_job_run('shorts-count-unanswered-searches', private.count_unanswered_searches())$$
);

-- Every five minutes: new videos get their vectors soon, and the round over the others comes forward.
select cron.schedule(
    'shorts-fold-video-vectors',
    '3-59/5 * * * *',
    $$select ops.log_job_run('shorts-fold-video-vectors', private.fold_video_vectors())$$
);

-- 04:00 to 04:59 in Korea, every minute a batch: which videos go together; then, from 05:00, what each person likes.
select cron.schedule(
    'shorts-learn-neighbours',
    '* 19 * * *',
    $$select ops.log_job_run('shorts-learn-neighbours', private.learn_neighbours())$$
);
select cron.schedule(
    'shorts-learn-tastes',
    '* 20 * * *',
    $$select ops.log_job_run('shorts-learn-tastes', private.learn_tastes())$$
);

-- Every minute: search and feed know a video within it. What must not be served is looked up in the cache anyway.
select cron.schedule(
    'shorts-fold-video-cards',
    '* * * * *',
    $$select ops.log_job_run('shorts-fold-video-cards', private.fold_video_cards())$$
);

-- Every minute: what is liked now is popular within two. A minute's likes are one batch, unless there are more.
select cron.schedule(
    'shorts-fold-video-heats',
    '* * * * *',
    $$select ops.log_job_run('shorts-fold-video-heats', private.fold_video_heats())$$
);

-- Every five minutes: what feeds showed an hour ago is counted. Every hour: rankings of yesterday are forgotten.
select cron.schedule(
    'shorts-count-feed-impressions',
    '*/5 * * * *',
    $$select ops.log_job_run('shorts-count-feed-impressions', private.count_feed_impressions())$$
);
select cron.schedule(
    'shorts-forget-feed-rankings',
    '40 * * * *',
    $$select ops.log_job_run('shorts-forget-feed-rankings', private.forget_feed_rankings())$$
);

-- Every hour a batch: who was away for longer than a week begins anew.
select cron.schedule(
    'shorts-forget-trend-news',
    '55 * * * *',
    $$select ops.log_job_run('shorts-forget-trend-news', private.forget_trend_news())$$
);

-- Every hour a batch: notifications are kept for 30 days.
select cron.schedule(
    'shorts-forget-notifications',
    '57 * * * *',
    $$select ops.log_job_run('shorts-forget-notifications', private.forget_notifications())$$
);
