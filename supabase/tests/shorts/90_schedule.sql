-- The room's jobs are exactly these, and they run.
begin;
select plan(36);

select results_eq(
    $$
        select
            jobname::text,
            schedule::text,
            active
        from cron.job
        where jobname like 'shorts-%'
        order by jobname
    $$,
    $$
        values
        ('shorts-analyze-patterns', '35 * * * *', true),
        ('shorts-archive-sessions', '* 16 * * *', true),
        ('shorts-count-feed-impressions', '*/5 * * * *', true),
        ('shorts-count-internal-signals', '4-59/5 * * * *', true),
        ('shorts-count-unanswered-searches', '40 * * * *', true),
        ('shorts-detect-trends', '*/5 * * * *', true),
        ('shorts-expire-trends', '*/10 * * * *', true),
        ('shorts-fold-counters', '* * * * *', true),
        ('shorts-fold-video-cards', '* * * * *', true),
        ('shorts-fold-video-heats', '* * * * *', true),
        ('shorts-fold-video-vectors', '3-59/5 * * * *', true),
        ('shorts-forecast-trends', '20 * * * *', true),
        ('shorts-forget-feed-rankings', '40 * * * *', true),
        ('shorts-forget-keyword-states', '45 * * * *', true),
        ('shorts-forget-notifications', '57 * * * *', true),
        ('shorts-forget-search-pages', '3-59/5 * * * *', true),
        ('shorts-forget-trend-news', '55 * * * *', true),
        ('shorts-learn-neighbours', '* 19 * * *', true),
        ('shorts-learn-tastes', '* 20 * * *', true),
        ('shorts-prune-watch-events', '40 17 * * *', true),
        ('shorts-purge-api-data', '* 18 * * *', true),
        ('shorts-queue-due-videos', '*/15 * * * *', true),
        ('shorts-refresh-suggestions', '* * * * *', true),
        ('shorts-refresh-summaries', '50 * * * *', true),
        ('shorts-rollup-keywords', '25 * * * *', true),
        ('shorts-rollup-yesterday', '10 15 * * *', true),
        ('shorts-score-channels', '2-59/10 * * * *', true),
        ('shorts-score-predictions', '30 15 * * *', true),
        ('shorts-score-videos', '5-59/10 * * * *', true)
    $$,
    'S-142, S-184, S-187, S-190, S-192, S-210, S-243: the jobs of the room'
);
select lives_ok(command, jobname || ' runs')
from cron.job
where jobname like 'shorts-%'
order by jobname;

-- What keeps a month from going is removed between the making of months and their dropping.
select ok(
    (
        select
            split_part(prune.schedule, ' ', 2) = split_part(expire.schedule, ' ', 2)
            and split_part(prune.schedule, ' ', 1)::integer > split_part(make.schedule, ' ', 1)::integer
            and split_part(prune.schedule, ' ', 1)::integer < split_part(expire.schedule, ' ', 1)::integer
        from cron.job as prune
        cross join cron.job as make
        cross join cron.job as expire
        where
            prune.jobname = 'shorts-prune-watch-events'
            and make.jobname = 'floor-create-partitions'
            and expire.jobname = 'floor-drop-expired-partitions'
    ),
    'S-243: events are pruned before their months are dropped'
);

-- A job that did something has left its counts.
insert into auth.users (id, email)
values ('11111111-1111-4111-8111-111111111111', 'one@example.com');
insert into public.search_sessions (user_id, search_query, session_started_at)
values
('11111111-1111-4111-8111-111111111111', 'old', now() - interval '91 days'),
('11111111-1111-4111-8111-111111111111', 'young', now());
insert into public.cached_videos (video_id, title, expires_at)
values ('stale', 'expires', now());
insert into public.trending_keywords (keyword, trend_score, category, detected_at, expires_at)
values ('over', 0.9, 'planted', now() - interval '5 hours', now() - interval '1 hour');
delete from ops.job_runs;
do $$
declare
    job text;
begin
    for job in
        select command
        from cron.job
        where
            jobname in (
                'shorts-archive-sessions',
                'shorts-expire-trends',
                'shorts-queue-due-videos',
                'shorts-refresh-summaries',
                'shorts-rollup-keywords'
            )
        order by jobname
    loop
        execute job;
    end loop;
end
$$;
select is(
    (select counts -> 'archived' from ops.job_runs where job_name = 'shorts-archive-sessions'),
    '1'::jsonb,
    'S-243: the counts of a night are logged'
);
select is(
    (select counts -> 'written' from ops.job_runs where job_name = 'shorts-rollup-keywords'),
    '1'::jsonb,
    'S-210: so are those of a roll-up'
);
select ok(
    (select counts -> 'expiring' >= '1' from ops.job_runs where job_name = 'shorts-queue-due-videos'),
    'S-192: and of what was queued to be looked up'
);
select is(
    (select counts -> 'closed' from ops.job_runs where job_name = 'shorts-expire-trends'),
    '1'::jsonb,
    'S-187: an expired trend is closed by its job'
);
select results_eq(
    $$
        select
            (summary.counts -> 'categories')::integer > 0,
            category.top_keywords
        from ops.job_runs as summary
        cross join private.category_trend_summary as category
        where
            summary.job_name = 'shorts-refresh-summaries'
            and category.category = 'planted'
    $$,
    $$values (true, array['over'])$$,
    'S-184: the job of the summaries computes that of the categories anew, every hour'
);

select finish();
rollback;
