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
