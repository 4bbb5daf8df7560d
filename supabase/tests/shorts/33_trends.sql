-- A trend is a burst that chance does not explain, told once; asking again changes nothing.
begin;
select plan(31);

-- An empty house: nothing of the running stack is seen in here.
delete from ops.outbox;
delete from public.trending_keywords;
delete from private.keyword_signals;
delete from private.signal_marks;
delete from private.observed_bins;
delete from private.keyword_states;
delete from private.state_positions;

-- Five days of snapshots every six hours: a steady chart, one keyword that is always big, one that swings.
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
select
    'KR',
    'youtube_api',
    moment,
    word.keyword,
    word.mentions
from generate_series(
    '2026-01-01 00:00+00'::timestamptz,
    '2026-01-05 18:00+00'::timestamptz,
    interval '6 hours'
) as moment
cross join lateral (
    values
    ('steady ' || 1, 1),
    ('steady ' || 2, 1),
    ('steady ' || 3, 2),
    ('always big', 9 + (extract(hour from moment) / 6)::integer % 2),
    ('swings', case when extract(hour from moment) = 12 then 8 end)
) as word (keyword, mentions)
where word.mentions is not null;

\set now '''2026-01-06 00:20+00'''
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
values
('KR', 'youtube_api', '2026-01-06 00:00+00', 'steady 1', 1),
('KR', 'youtube_api', '2026-01-06 00:00+00', 'steady 2', 2),
('KR', 'youtube_api', '2026-01-06 00:00+00', 'always big', 10),
('KR', 'youtube_api', '2026-01-06 00:00+00', 'swings', 8),
('KR', 'youtube_api', '2026-01-06 00:00+00', 'one video', 1),
('KR', 'youtube_api', '2026-01-06 00:00+00', 'two videos', 2),
('KR', 'youtube_api', '2026-01-06 00:00+00', '둠스데이', 8),
('KR', 'youtube_api', '2026-01-06 00:00+00', '태풍', 4),
('US', 'youtube_api', '2026-01-06 00:00+00', 'no history', 50);

select is(
    public.detect_trends(:now),
    jsonb_build_object('at', :now::timestamptz, 'region', null, 'tested', 8, 'found', 2, 'notified', 2, 'cut', 0),
    'two keywords burst'
);
select results_eq(
    $$
        select keyword::text, region_code::text, data_source::text, search_volume, model_version::text
        from public.trending_keywords
        order by trend_score desc
    $$,
    $$
        values
        ('둠스데이', 'KR', 'youtube_api', 8, 'burst-1'),
        ('태풍', 'KR', 'youtube_api', 4, 'burst-1')
    $$,
    'S-007: they are written as trends, one or two videos are not'
);
select ok(
    (
        select bool_and(trend_score between 0.8 and 1 and abs(trend_score - (1 - exp(-z_score / 3))) < 1e-12)
        from public.trending_keywords
    ),
    'the score follows from z'
);
select is(
    (select growth_rate from public.trending_keywords where keyword = '둠스데이'),
    800::double precision,
    'growth in per cent'
);
select ok(
    (
        select
            jsonb_array_length(hourly_trend_data) = 24
            and hourly_trend_data -> 23 = '8'
            and hourly_trend_data -> 22 = 'null'
            and hourly_trend_data -> 17 = '0'
        from public.trending_keywords
        where keyword = '둠스데이'
    ),
    'S-059: 24 hours, 0 where it was absent, null where nobody looked'
);
select ok(
    (
        select bool_and(detected_at = :now and expires_at = :now::timestamptz + interval '4 hours')
        from public.trending_keywords
    ),
    'S-208: detected for the given time, good for 4 hours'
);
select is(
    (select count(*) from ops.outbox where event_type = 'trend.detected'),
    2::bigint,
    'both are told to webhooks'
);

-- Again.
create temporary table before as
select
    trend.ctid::text as place,
    trend.id
from public.trending_keywords as trend;
select is(
    public.detect_trends(:now) -> 'notified',
    '0'::jsonb,
    'asking again notifies nobody'
);
select results_eq(
    $$select ctid::text, id from public.trending_keywords order by id$$,
    $$select place, id from before order by id$$,
    'and writes nothing'
);
select is(public.detect_trends('2026-01-06 00:50+00', 'KR') -> 'found', '0'::jsonb, 'half an hour later it is no news');
select is(
    public.detect_trends('2026-01-06 03:00+00', 'KR') -> 'tested',
    '0'::jsonb,
    'an hour that is past is not tested again'
);
select is(
    public.detect_trends('2025-12-31 00:00+00', 'KR') -> 'tested',
    '0'::jsonb,
    'before all history there is nothing'
);
select is(public.detect_trends('2026-01-01 06:00+00', 'KR') -> 'tested', '0'::jsonb, 'one observed hour is no history');

-- Two hours on, within the four: only a record is news, and it changes the open row.
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
values
('KR', 'youtube_api', '2026-01-06 02:00+00', '둠스데이', 4),
('KR', 'youtube_api', '2026-01-06 02:00+00', '태풍', 20);
select is(
    public.detect_trends('2026-01-06 02:20+00') -> 'found',
    '1'::jsonb,
    'a burst that lasts is told once, a record again'
);
select results_eq(
    $$
        select count(*), max(search_volume), max(detected_at)
        from public.trending_keywords
        where keyword = '태풍'
    $$,
    $$values (1::bigint, 20, '2026-01-06 02:20+00'::timestamptz)$$,
    'the record changes the open row'
);
select is(
    (select count(*) from ops.outbox where event_type = 'trend.detected'),
    2::bigint,
    'which was already told today'
);

-- The next day the old ones are closed, and the same keyword may trend again.
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
values
('KR', 'youtube_api', '2026-01-07 06:00+00', '둠스데이', 30),
('KR', 'youtube_api', '2026-01-07 06:00+00', 'steady 1', 1);
select is(
    public.detect_trends('2026-01-07 06:10+00', 'KR') -> 'notified',
    '1'::jsonb,
    'a day later it may trend again'
);
select results_eq(
    $$
        select
            closed_at is null,
            closed_at = expires_at
        from public.trending_keywords
        where keyword = '둠스데이'
        order by detected_at
    $$,
    $$values (false, true), (true, null)$$,
    'the one before is closed when it expired'
);

-- A replay from the beginning.
create temporary table settled as
select
    trend.ctid::text as place,
    trend.id
from public.trending_keywords as trend;
select is(
    (
        select sum((public.detect_trends(moment, 'KR') -> 'notified')::integer)
        from unnest(array['2026-01-06 00:20+00', '2026-01-06 02:20+00', '2026-01-07 06:10+00']::timestamptz[]) as moment
    ),
    0::bigint,
    'a replay of the past notifies nobody'
);
select results_eq(
    $$select ctid::text, id from public.trending_keywords order by id$$,
    $$select place, id from settled order by id$$,
    'and writes nothing'
);

-- The series: after 30 hours the last 24, after 9 days in Korea the last 7.
delete from public.trending_keywords;
delete from private.keyword_signals;
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
select
    'KR',
    'internal',
    moment,
    'steady',
    1
from generate_series('2026-03-01 00:00+00'::timestamptz, '2026-03-02 05:00+00', interval '1 hour') as moment
union all
select
    'KR',
    'internal',
    moment,
    'burst',
    2
from generate_series('2026-03-01 00:00+00'::timestamptz, '2026-03-02 05:00+00', interval '3 hours') as moment
union all
values ('KR', 'internal', '2026-03-02 05:00+00'::timestamptz, 'burst', 40);
create temporary table thirty_hours as
select public.detect_trends('2026-03-02 05:20+00') as run;
select is(
    (select hourly_trend_data from public.trending_keywords where keyword = 'burst'),
    '[2, 0, 0, 2, 0, 0, 2, 0, 0, 2, 0, 0, 2, 0, 0, 2, 0, 0, 2, 0, 0, 2, 0, 40]'::jsonb,
    'S-059: after 30 hours the series has the last 24, oldest first'
);
select is(
    (select daily_trend_data from public.trending_keywords where keyword = 'burst'),
    '[null, null, null, null, null, 10, 50]'::jsonb,
    'S-060: a day begins at midnight in Korea; null is a day that nobody observed'
);
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
select
    'KR',
    'internal',
    moment,
    'steady',
    1
from generate_series('2026-03-02 06:00+00'::timestamptz, '2026-03-10 05:00+00', interval '1 hour') as moment
where private.korean_day(moment) <> '2026-03-07'
union all
values
('KR', 'internal', '2026-03-05 14:00+00'::timestamptz, 'burst', 3),
('KR', 'internal', '2026-03-05 15:00+00', 'burst', 4),
('KR', 'internal', '2026-03-10 05:00+00', 'burst', 50),
('KR', 'internal', '2026-03-10 06:00+00', 'burst', 1000);
create temporary table nine_days as
select public.detect_trends('2026-03-10 05:20+00') as run;
select is(
    (select daily_trend_data from public.trending_keywords where keyword = 'burst' and closed_at is null),
    '[0, 3, 4, null, 0, 0, 50]'::jsonb,
    'S-060: after 9 days the series has the last 7, which end with the tested hour'
);
select is(
    (
        select jsonb_array_length(daily_trend_data)
        from public.trending_keywords
        where
            keyword = 'burst'
            and closed_at is null
    ),
    7,
    'S-060: seven days'
);
select is(
    (
        select jsonb_array_length(hourly_trend_data)
        from public.trending_keywords
        where
            keyword = 'burst'
            and closed_at is null
    ),
    24,
    'S-059: 24 hours'
);
create temporary table an_hour_on as
select public.detect_trends('2026-03-10 06:20+00') as run;
select is(
    (select daily_trend_data from public.trending_keywords where keyword = 'burst' and closed_at is null),
    '[0, 3, 4, null, 0, 0, 1050]'::jsonb,
    'S-060: a record changes the open row''s days too'
);

-- Chance: 400 quiet keywords do not become trends.
select setseed(0.42);
delete from public.trending_keywords;
delete from private.keyword_signals;
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
select
    'JP',
    'internal',
    moment,
    'quiet ' || word,
    quiet.mentions
from generate_series(
    '2026-02-01 00:00+00'::timestamptz,
    '2026-02-05 23:00+00'::timestamptz,
    interval '1 hour'
) as moment
cross join generate_series(1, 400) as word
cross join lateral (
    -- About Poisson with mean 2: the sum of 20 tosses that succeed one time in ten.
    select count(*) filter (where random() < 0.1) as mentions
    from generate_series(1, 20)
    where word > 0 and moment is not null
) as quiet
where quiet.mentions > 0;
create temporary table quiet_runs as
select public.detect_trends(moment, 'JP') as run
from generate_series(
    '2026-02-03 00:30+00'::timestamptz,
    '2026-02-05 23:30+00'::timestamptz,
    interval '3 hours'
) as moment;
select cmp_ok((select sum((run -> 'tested')::integer) from quiet_runs), '>', 5000::bigint, 'noise: thousands of tests');
select cmp_ok(
    (select sum((run -> 'found')::integer)::double precision / sum((run -> 'tested')::integer) from quiet_runs),
    '<=',
    0.005::double precision,
    'noise: at most one false alarm in 200 tests of quiet keywords'
);

-- Bad questions.
select throws_ok(
    $$select public.detect_trends('infinity')$$,
    'PT400',
    'The time to detect for is infinite.',
    'no end of time'
);
select throws_ok($$select public.detect_trends(now(), 'ZZ')$$, 'PT400', 'The region is unknown.', 'no such region');
select lives_ok($$select public.detect_trends(null, null)$$, 'no time at all finds nothing');

select finish();
rollback;
