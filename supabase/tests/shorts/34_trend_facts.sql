-- A trend says what it goes with, what it is about and where it is popular; premium reads the strongest.
begin;
select plan(34);
\ir ../outcome.psql

-- An empty house: nothing of the running stack is seen in here.
delete from ops.outbox;
delete from public.trending_keywords;
delete from public.cached_videos;
delete from private.keyword_signals;
delete from private.signal_marks;
delete from private.observed_bins;
delete from private.keyword_states;
delete from private.state_positions;

insert into public.cached_videos (video_id, title, category_id)
select
    'facts' || to_char(number, 'FM0000'),
    'a video',
    case when number <= 12 then 24 when number <= 20 then 1 when number <= 60 then 10 end
from generate_series(1, 400) as number;
insert into public.keyword_video_mappings (keyword, video_id)
select
    word.keyword,
    'facts' || to_char(number, 'FM0000')
from (
    values
    ('둠스데이', 1, 20),
    ('marvel', 1, 10),
    ('trailer', 1, 10),
    ('trailer', 101, 190),
    ('once', 1, 1),
    ('twice', 1, 2),
    ('everywhere', 1, 400),
    ('태풍', 21, 60),
    ('seldom', 40, 42),
    ('unnamed', 301, 302)
) as word (keyword, first, last)
cross join generate_series(word.first, word.last) as number;
insert into public.keyword_video_mappings (keyword, video_id)
select
    'wind ' || to_char(word, 'FM00'),
    'facts' || to_char(number, 'FM0000')
from generate_series(1, 12) as word
cross join generate_series(21, 40) as number;
-- How many videos there are is what the planner knows.
analyze public.cached_videos;
analyze public.keyword_video_mappings;

-- What comes with a keyword.
create temporary table companion as
select *
from private.trend_companions(array['둠스데이', '태풍', 'unnamed', 'no video']);
select is(
    (select related_keywords from companion where keyword = '둠스데이'),
    array['marvel', 'twice', 'trailer'],
    'related: by lift, not what comes once, nor what comes with everything'
);
select is(
    (select related_keywords from companion where keyword = '태풍'),
    array(select 'wind ' || to_char(number, 'FM00') from generate_series(1, 10) as number),
    'related: ten at most, in two videos of twenty at least'
);
select results_eq(
    $$select keyword, category from companion order by category nulls last$$,
    $$values ('둠스데이', 'Entertainment'), ('태풍', 'Music'), ('unnamed', null)$$,
    'category: of most of the videos, where YouTube has said it'
);
select is_empty($$select from private.trend_companions(null)$$, 'of nothing there is nothing');
select results_eq(
    $$
        select english, korean
        from private.video_category_names()
        where category_id in (10, 20)
        order by category_id
    $$,
    $$values ('Music', '음악'), ('Gaming', '게임')$$,
    'a category has a name in English and in Korean'
);
select is_empty(
    $$
        select english
        from private.video_category_names()
        group by english
        having count(distinct korean) > 1
    $$,
    'and a name one translation'
);
select results_eq(
    $$select data_source, confidence from private.trend_sources order by confidence desc$$,
    $$values ('youtube_api', 0.9::double precision), ('bright_data', 0.7), ('internal', 0.6)$$,
    'one place says how far each source is trusted'
);

-- Detection writes them.
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
select
    'KR',
    'youtube_api',
    moment,
    'always big',
    10
from generate_series('2026-01-01 00:00+00'::timestamptz, '2026-01-06 00:00+00', interval '6 hours') as moment;
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
values
('KR', 'youtube_api', '2026-01-06 00:00+00', '둠스데이', 8),
('US', 'youtube_api', '2026-01-06 00:00+00', '둠스데이', 10),
('US', 'youtube_api', '2026-01-06 00:00+00', 'movie', 40),
('DE', 'youtube_api', '2026-01-06 00:00+00', 'wetter', 30),
('FR', 'youtube_api', '2026-01-06 00:00+00', 'deux', 2),
('JP', 'internal', '2026-01-06 00:00+00', '둠스데이', 99),
('JP', 'youtube_api', '2026-01-05 23:00+00', '둠스데이', 99);
select is(
    pg_temp.outcome('service_role', '{}', $$select public.detect_trends('2026-01-06 00:20+00')$$),
    '1 row',
    'the service may do all that a run does'
);
select results_eq(
    $$
        select keyword::text, related_keywords, category::text, source_confidence, velocity
        from public.trending_keywords
    $$,
    $$
        values (
            '둠스데이', array['marvel', 'twice', 'trailer'], 'Entertainment', 0.9::double precision,
            0::double precision
        )
    $$,
    'S-038: what it goes with, what it is about, how far its source is trusted; at first it does not rise'
);
select is(
    (select regional_popularity from public.trending_keywords),
    '{"KR": 0.8, "US": 0.25, "JP": 0, "global": 0.2195}'::jsonb,
    'S-040: shares of the busiest keyword of the hour, in each region and in all; 0 where the source did not look'
);
select results_eq(
    $$select time_slot, day_of_week::integer, source::text from public.trending_keywords$$,
    $$values ('morning', 2, 'youtube_api')$$,
    'S-039: twenty past nine in Korea on a Tuesday'
);
select ok(
    (
        select jsonb_array_length(hourly_trend_data) = 24 and jsonb_array_length(daily_trend_data) = 7
        from public.trending_keywords
    ),
    'S-038: with 24 hours and 7 days'
);

-- A record two hours later: it rises.
create temporary table first_run as
select trend_score
from public.trending_keywords;
update private.trend_sources
set confidence = 0.5
where data_source = 'youtube_api';
delete from public.keyword_video_mappings
where keyword = '둠스데이';
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
values ('KR', 'youtube_api', '2026-01-06 02:00+00', '둠스데이', 60);
create temporary table second_run as
select public.detect_trends('2026-01-06 02:20+00') as run;
select ok(
    (
        select
            trend.velocity > 0
            and abs(trend.velocity - (trend.trend_score - first_run.trend_score) / 2) < 1e-12
        from public.trending_keywords as trend
        cross join first_run
    ),
    'S-038: velocity is the change of the score per hour'
);
select is(
    (select source_confidence from public.trending_keywords),
    0.5::double precision,
    'what an operator changes holds from the next trend on'
);
select results_eq(
    $$select related_keywords, category::text, regional_popularity from public.trending_keywords$$,
    $$
        values (
            array['marvel', 'twice', 'trailer'], 'Entertainment',
            '{"KR": 1, "US": 0, "JP": 0, "global": 1}'::jsonb
        )
    $$,
    'what is not known any more stays, what is counted anew does not'
);
select is_empty(
    $$
        select
        from private.regional_popularity('{a}', '{internal}', array['2020-01-01 00:00+00'::timestamptz])
    $$,
    'an hour that nobody observed says nothing'
);
select results_eq(
    $$
        select popularity
        from private.regional_popularity('{deux}', '{youtube_api}', array['2026-01-06 00:00+00'::timestamptz])
    $$,
    $$values ('{"KR": 0, "US": 0, "JP": 0, "global": 0.0244}'::jsonb)$$,
    'S-040: also where the busiest keyword has no more than two'
);

-- Open, expired and closed trends, now.
delete from public.trending_keywords;
insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'one@example.com'),
('22222222-2222-4222-8222-222222222222', 'two@example.com');
insert into public.user_tiers (user_id, tier, source)
values ('11111111-1111-4111-8111-111111111111', 'premium', 'purchase');
\set premium '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}'
\set free '{"sub": "22222222-2222-4222-8222-222222222222", "role": "authenticated"}'
insert into public.trending_keywords (
    keyword, trend_score, region_code, data_source, category, detected_at, expires_at, closed_at
)
select
    trend.keyword,
    trend.score,
    trend.region,
    trend.source,
    trend.category,
    trend.detected_at,
    trend.expires_at,
    trend.closed_at
from (
    values
    -- At three in the morning and at noon in Korea; they live for years.
    ('second', 0.6, 'KR', 'internal', null, '2026-01-01 18:00+00'::timestamptz, 'infinity'::timestamptz, null),
    ('first', 0.9, 'KR', 'internal', 'Music', '2026-01-01 03:00+00', 'infinity', null),
    ('first', 0.7, 'KR', 'youtube_api', 'Music', '2026-01-01 03:00+00', 'infinity', null),
    ('abroad', 0.8, 'US', 'internal', null, '2026-01-01 03:00+00', 'infinity', null),
    ('expired', 0.95, 'KR', 'internal', null, '2026-01-01 03:00+00', now() - interval '1 second', null),
    ('now', 0.95, 'KR', 'internal', null, '2026-01-01 03:00+00', now(), null),
    ('closed', 0.95, 'KR', 'internal', null, '2026-01-01 03:00+00', 'infinity', now())
) as trend (keyword, score, region, source, category, detected_at, expires_at, closed_at);
select results_eq(
    $$select keyword, trend_score, data_source, category, category_korean from public.top_trends()$$,
    $$
        values
        ('first', 0.9::double precision, 'internal', 'Music', '음악'),
        ('second', 0.6, 'internal', null, null)
    $$,
    'S-254: sorted by score, each keyword once, what has expired or ended left out'
);
select results_eq(
    $$select keyword, time_slot from public.top_trends('KR', 'night')$$,
    $$values ('second', 'night')$$,
    'S-254: of a part of the day'
);
select results_eq($$select keyword from public.top_trends('US', null)$$, $$values ('abroad')$$, 'S-254: of a region');
select is_empty($$select from public.top_trends('US', 'night')$$, 'S-254: or none');
select is(
    array[
        pg_temp.outcome('authenticated', :'premium', 'select from public.top_trends()'),
        pg_temp.outcome('authenticated', :'free', 'select from public.top_trends()'),
        pg_temp.outcome('service_role', '{}', 'select from public.top_trends()'),
        pg_temp.outcome('anon', null, 'select from public.top_trends()')
    ],
    array['2 rows', '0 rows', '2 rows', '42501 permission denied for function top_trends'],
    'S-254: for premium only'
);
select throws_ok($$select public.top_trends('XX')$$, 'PT400', 'The region is unknown.', 'S-254: no such region');
select throws_ok(
    $$select public.top_trends('KR', 'noon')$$,
    'PT400',
    'The part of the day is unknown.',
    'S-254: no such part of the day'
);
insert into public.trending_keywords (keyword, trend_score, region_code)
select
    'many ' || number,
    0.1,
    'SE'
from generate_series(1, 60) as number;
select is((select count(*) from public.top_trends('SE')), 50::bigint, 'S-254: fifty at most');

-- What has expired is closed.
select is(private.expire_trends(most => 1), '{"closed": 1}'::jsonb, 'S-187: a batch');
select is(private.expire_trends(), '{"closed": 1}'::jsonb, 'S-187: and the rest');
select is(private.expire_trends(), '{"closed": 0}'::jsonb, 'S-187: once');
select results_eq(
    $$
        select keyword::text
        from public.trending_keywords
        where
            closed_at is null
            and region_code <> 'SE'
        order by keyword, data_source
    $$,
    $$values ('abroad'), ('first'), ('first'), ('second')$$,
    'S-187: what expires is gone from the open trends after a run, also at this very moment'
);
select is_empty(
    $$select keyword from public.trending_keywords where keyword in ('expired', 'now') and closed_at <> expires_at$$,
    'S-187: closed when it expired, whoever runs when'
);
select lives_ok(
    $$insert into public.trending_keywords (keyword, region_code) values ('expired', 'KR')$$,
    'S-007: the same keyword may trend again, a new row'
);
select is(
    (select count(*) from public.trending_keywords where keyword = 'expired'),
    2::bigint,
    'S-007: beside the one before'
);
select is(private.expire_trends('2020-01-01'), '{"closed": 0}'::jsonb, 'S-187: a clock of the past closes nothing');
select is(
    pg_temp.outcome('service_role', '{}', 'select private.expire_trends()'),
    '42501 permission denied for function expire_trends',
    'S-187: it is the job''s'
);

select finish();
rollback;
