-- Two summaries cost a look-up instead of a count: one's own month, and the days of each category.
begin;
select plan(25);
\ir ../outcome.psql

delete from public.trending_keywords;
delete from public.keyword_video_mappings;
delete from public.video_interactions;
delete from public.search_sessions;
insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'one@example.com'),
('22222222-2222-4222-8222-222222222222', 'two@example.com'),
('33333333-3333-4333-8333-333333333333', 'three@example.com');
\set one '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}'
\set two '{"sub": "22222222-2222-4222-8222-222222222222", "role": "authenticated"}'
\set three '{"sub": "33333333-3333-4333-8333-333333333333", "role": "authenticated"}'
insert into public.user_tiers (user_id, tier, expires_at, source)
values
('11111111-1111-4111-8111-111111111111', 'premium', null, 'purchase'),
('22222222-2222-4222-8222-222222222222', 'premium', now() - interval '1 minute', 'purchase'),
('33333333-3333-4333-8333-333333333333', 'trial', null, 'trial');
insert into public.cached_videos (video_id, title, ai_analysis)
values
('planted1', 'one', '{"categories": ["music", "dance"], "keywords": [], "emotions": {}}'),
('planted2', 'two', '{"categories": ["music"], "keywords": [], "emotions": {}}'),
('planted3', 'three', '{"categories": [], "keywords": [], "emotions": {}}');

-- One's own month.
insert into public.search_sessions (
    user_id, search_query, results_clicked, user_satisfaction_rating, session_started_at
)
values
('11111111-1111-4111-8111-111111111111', 'words', 2, 4, now() - interval '2 days'),
('11111111-1111-4111-8111-111111111111', 'words', 3, 5, now() - interval '29 days'),
('11111111-1111-4111-8111-111111111111', 'words', 1, null, now() - interval '3 days'),
('11111111-1111-4111-8111-111111111111', 'words', 9, 1, now() - interval '31 days'),
('22222222-2222-4222-8222-222222222222', 'words', 0, null, now() - interval '1 day'),
('33333333-3333-4333-8333-333333333333', 'words', 0, null, now() - interval '31 days'),
(null, 'words', 0, null, now() - interval '1 day');
insert into public.video_interactions (
    user_id, video_id, interaction_type, watch_duration, created_at, interaction_timestamp
)
select
    '11111111-1111-4111-8111-111111111111',
    'planted1',
    'view',
    watched.seconds,
    watched.at,
    watched.at
from (
    values
    (40, now() - interval '1 day'),
    (20, now() - interval '2 days'),
    (99, now() - interval '31 days')
) as watched (seconds, at);

select lives_ok(
    $$refresh materialized view concurrently private.user_activity_summary$$,
    'S-142: it is refreshed while it is read'
);
select lives_ok(
    $$refresh materialized view concurrently private.category_trend_summary$$,
    'S-096: so is the other: it has its unique key'
);
select is(
    private.refresh_summaries(),
    '{"people": 2, "categories": 0}'::jsonb,
    'S-142, S-143: and both by one function'
);
select is(
    (select count(*) from private.user_activity_summary),
    (
        select count(distinct user_id)
        from public.search_sessions
        where session_started_at >= now() - interval '30 days'
    ),
    'S-142: a row for each person who searched in 30 days'
);
select results_eq(
    $$
        select searches, clicks, watch_time, last_seen, satisfaction
        from private.user_activity_summary
        where user_id = '11111111-1111-4111-8111-111111111111'
    $$,
    $$values (3::bigint, 6::bigint, 60::bigint, now() - interval '1 day', 4.50)$$,
    'S-142: searches, clicks, seconds watched, last seen and mean rating of 30 days'
);
select results_eq(
    $$
        select searches, clicks, watch_time, last_seen, satisfaction
        from private.user_activity_summary
        where user_id = '22222222-2222-4222-8222-222222222222'
    $$,
    $$values (1::bigint, 0::bigint, 0::bigint, now() - interval '1 day', null::numeric)$$,
    'S-142: who watched and rated nothing'
);
select throws_ok(
    $$
        insert into private.user_activity_summary (user_id)
        values (null)
    $$,
    '42809',
    null,
    'S-142: nobody writes it'
);
select is(
    pg_temp.outcome('authenticated', :'one', 'select from public.my_activity() where searches = 3 and clicks = 6'),
    '1 row',
    'S-142: people read their own month'
);
select is(
    pg_temp.outcome('authenticated', :'two', 'select from public.my_activity() where searches = 1'),
    '1 row',
    'S-142: each their own'
);
select is(
    pg_temp.outcome('authenticated', :'three', 'select from public.my_activity()'),
    '0 rows',
    'S-142: none who has not searched'
);
select is(
    array[
        pg_temp.outcome('anon', null, 'select from public.my_activity()'),
        pg_temp.outcome('authenticated', :'one', 'select from private.user_activity_summary'),
        pg_temp.outcome('authenticated', :'one', 'select from private.category_trend_summary'),
        pg_temp.outcome('anon', null, 'select from private.category_trend_summary'),
        pg_temp.outcome('anon', null, 'select from public.category_trends()'),
        pg_temp.outcome('authenticated', :'one', 'select private.refresh_summaries()')
    ],
    array[
        '42501 permission denied for function my_activity',
        '42501 permission denied for materialized view user_activity_summary',
        '42501 permission denied for materialized view category_trend_summary',
        '42501 permission denied for materialized view category_trend_summary',
        '42501 permission denied for function category_trends',
        '42501 permission denied for function refresh_summaries'
    ],
    'S-142, S-143: a materialized view has no policies, so nobody reads it directly'
);

-- The days of each category.
insert into public.keyword_video_mappings (keyword, video_id)
values
('a', 'planted1'),
('a', 'planted2'),
('c', 'planted3');
insert into public.trending_keywords (keyword, trend_score, category, region_code, detected_at, expires_at, closed_at)
select
    trend.keyword,
    trend.score,
    trend.category,
    trend.region,
    trend.at,
    trend.at + interval '4 hours',
    trend.at + interval '4 hours'
from (
    values
    ('a', 0.9, null, 'KR', now()),
    ('a', 0.7, null, 'US', now()),
    -- YouTube's spelling of it.
    ('b', 0.6, 'Music', 'KR', now()),
    ('c', 0.2, 'music', 'KR', now()),
    ('half', 0.5, 'news', 'KR', now()),
    ('above', 0.51, 'news', 'KR', now()),
    ('lost', 0.4, null, 'KR', now()),
    ('c', 0.8, null, 'JP', now()),
    ('a', 0.8, null, 'KR', now() - interval '29 days'),
    ('a', 0.8, null, 'KR', now() - interval '31 days'),
    ('late', 0.8, 'night', 'KR', date_trunc('day', now(), 'Asia/Seoul') - interval '1 second'),
    ('early', 0.8, 'night', 'KR', date_trunc('day', now(), 'Asia/Seoul'))
) as trend (keyword, score, category, region, at);
select is(
    private.refresh_summaries() -> 'categories',
    '6'::jsonb,
    'S-143: a row a day and category, 30 days'
);
select is(
    (
        select top_keywords
        from private.category_trend_summary
        where
            category = 'music'
            and trend_date = private.korean_day()
    ),
    array['a', 'b'],
    'S-143, U-19: a .9/.7, b .6, c .2: the top keywords are a and b'
);
select results_eq(
    $$
        select trending_keyword_count, round(avg_trend_score::numeric, 4)
        from private.category_trend_summary
        where
            category = 'music'
            and trend_date = private.korean_day()
    $$,
    $$values (3::bigint, 0.5333)$$,
    'S-143: each keyword once, however many videos it has: the mean of .8, .6 and .2'
);
select is(
    (
        select top_keywords
        from private.category_trend_summary
        where category = 'news'
    ),
    array['above'],
    'S-248: 0.5 is not listed, 0.51 is'
);
select is(
    (
        select top_keywords
        from private.category_trend_summary
        where category = 'unknown'
    ),
    array['c'],
    'S-143: what nobody puts in a category is unknown'
);
select results_eq(
    $$
        select trend_date, top_keywords
        from private.category_trend_summary
        where category = 'night'
        order by trend_date
    $$,
    $$values (private.korean_day() - 1, array['late']), (private.korean_day(), array['early'])$$,
    'S-143: a day begins at midnight in Korea'
);

-- Who reads it.
select is(
    pg_temp.outcome('authenticated', :'one', 'select from public.category_trends()'),
    '5 rows',
    'S-143: premium reads a week'
);
select is(
    pg_temp.outcome('authenticated', :'one', 'select from public.category_trends(1)'),
    '4 rows',
    'S-143: or a day'
);
select is(
    array[
        pg_temp.outcome('authenticated', :'one', 'select from public.category_trends(1000)'),
        pg_temp.outcome('authenticated', :'one', 'select from public.category_trends(null)'),
        pg_temp.outcome('authenticated', :'one', 'select from public.category_trends(-1)')
    ],
    array['6 rows', '5 rows', '0 rows'],
    'S-143: never more than what there is, nor less than nothing'
);
select is(
    array[
        pg_temp.outcome('authenticated', :'two', 'select from public.category_trends()'),
        pg_temp.outcome('authenticated', :'three', 'select from public.category_trends()'),
        pg_temp.outcome('authenticated', '{}', 'select from public.category_trends()')
    ],
    array['0 rows', '0 rows', '0 rows'],
    'S-143: expired premium, trial and free read nothing'
);

-- The index.
select is(
    (
        select indexdef
        from pg_indexes
        where indexname = 'idx_trend_summary_date'
    ),
    'CREATE INDEX idx_trend_summary_date ON private.category_trend_summary USING btree (trend_date DESC)',
    'S-095: the latest days have an index'
);
create function pg_temp.plan_of(query text)
returns text
language plpgsql
as $$
declare
    line text;
    lines text := '';
begin
    for line in execute 'explain (costs off) ' || query loop
        lines := lines || line || e'\n';
    end loop;
    return lines;
end
$$;
insert into public.trending_keywords (keyword, category, detected_at, expires_at, closed_at)
select
    'many',
    'category ' || number,
    now() - make_interval(days => number % 30),
    now() + interval '1 hour',
    now()
from generate_series(1, 3000) as number;
create temporary table refreshed as
select private.refresh_summaries();
analyze private.category_trend_summary;
set local enable_seqscan = off;
select matches(
    pg_temp.plan_of(
        $$
            select *
            from private.category_trend_summary
            where trend_date >= private.korean_day() - 1
            order by trend_date desc
            limit 10
        $$
    ),
    'idx_trend_summary_date',
    'S-095: and they are read from it'
);
set local enable_seqscan = on;

delete from public.trending_keywords;
select is(
    private.refresh_summaries(),
    '{"people": 2, "categories": 0}'::jsonb,
    'S-143: what is gone leaves the summary'
);
select is_empty(
    $$
        select relation.oid::regclass
        from pg_class as relation
        where
            relation.relkind = 'm'
            and relation.relnamespace = 'public'::regnamespace
    $$,
    'S-142: no materialized view is in the API'
);

select finish();
rollback;
