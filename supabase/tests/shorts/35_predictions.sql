-- What is foretold of keywords, when nobody is told twice, and how it is held against what came.
begin;
select plan(28);
\ir ../outcome.psql

delete from public.trend_predictions;
delete from public.trending_keywords;
delete from private.keyword_signals;
delete from private.signal_marks;
delete from private.observed_bins;
delete from private.keyword_states;
delete from private.state_positions;
delete from ops.outbox;
\set at '''2026-07-10 06:00:00+00'''

-- 캠핑 burst three hours ago and falls, 등산 is steady, 낚시 is one person's, 빈날 was observed by nobody for a day.
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
select
    'KR',
    'internal',
    :at::timestamptz - hour.ago * interval '1 hour',
    seen.keyword,
    seen.mentions
from generate_series(0, 335) as hour (ago)
cross join lateral (
    values
    ('등산', 20 + (10 * sin(hour.ago * pi() / 12))::integer),
    ('캠핑', case when hour.ago <= 3 then (50 * power(2, hour.ago))::integer else 2 end),
    ('낚시', case when hour.ago < 3 then 2 else 0 end)
) as seen (keyword, mentions)
where
    hour.ago not between 100 and 123
    and seen.mentions > 0;
insert into public.trending_keywords (
    keyword, region_code, data_source, trend_score, z_score, detected_at, expires_at, created_at
)
values ('캠핑', 'KR', 'internal', 0.9, 7, :at, :at::timestamptz + interval '4 hours', :at);
delete from ops.outbox;
do $$ begin perform private.fold_keyword_states('2026-07-10 06:30:00+00'); end $$;
create temporary table before as
select
    trend_score,
    detected_at,
    expires_at
from public.trending_keywords;

select results_eq(
    $$
        select
            series.keyword,
            cardinality(series.series),
            (select count(*) from unnest(series.series) as hour (value) where hour.value is null),
            series.series[336],
            series.newest
        from private.tracked_series('2026-07-10 06:30:00+00', 5000) as series
        order by series.keyword
    $$,
    $$
        values
        ('등산', 336, 24::bigint, 20::double precision, '2026-07-10 06:00:00+00'::timestamptz),
        ('캠핑', 336, 24::bigint, 50::double precision, '2026-07-10 06:00:00+00'::timestamptz)
    $$,
    'S-219: tracked are open trends and what three or more mention; hours without any signal are unknown, not 0'
);
select is(
    (select array_agg(series.keyword::text) from private.tracked_series('2026-07-10 06:30:00+00', 1) as series),
    array['캠핑'],
    'S-219: at most so many, open trends first'
);
create temporary table read_whole as
select * from private.tracked_series('2026-07-10 06:30:00+00', 5000);
update private.observed_bins
set keywords = 1000000
where region_code = 'KR';
select set_eq(
    $$select * from private.tracked_series('2026-07-10 06:30:00+00', 5000)$$,
    'select * from read_whole',
    'S-219: the same where most signals are of others, so that each hour is looked up'
);
select is(
    private.forecast_trends('2026-07-10 06:30:00+00'),
    '{"series": 2, "trends": 1, "predictions": 2}'::jsonb,
    'S-219, S-061: one run foretells them all'
);
select is(
    (select predicted_peak_time from public.trending_keywords),
    '2026-07-10 03:00:00+00'::timestamptz,
    'S-061: a burst that falls has had its peak'
);
select ok(
    -- 400 over a deviation of 1.4 takes 8 halvings of an hour.
    (select predicted_duration between interval '6 hours' and interval '12 hours' from public.trending_keywords),
    'S-062: and lasts until chance explains what is left'
);
select is(
    (select count(*) from ops.outbox),
    0::bigint,
    'S-061, S-062: nobody is told of it again'
);
select results_eq(
    'select trend_score, detected_at, expires_at from public.trending_keywords',
    'select * from before',
    'S-061: the rest of the trend stays as it is'
);
select set_eq(
    $$
        select
            keyword::text,
            region_code::text,
            prediction_date,
            predicted_for_date,
            confidence_level,
            model_version::text,
            confidence_interval @> predicted_score as holds,
            confidence_interval <@ '[0,1]' as is_score
        from public.trend_predictions
    $$,
    $$
        values
        ('캠핑', 'KR', date '2026-07-10', date '2026-07-11', 0.80, 'best-3-of-17-v2', true, true),
        ('등산', 'KR', date '2026-07-10', date '2026-07-11', 0.80, 'best-3-of-17-v2', true, true)
    $$,
    'S-016, S-219: tomorrow in Korea, with an interval that holds the forecast'
);
select results_eq(
    $$
        select
            keyword::text,
            features_used ->> 'data_source',
            (features_used ->> 'score_today')::numeric,
            jsonb_array_length(features_used -> 'methods')
        from public.trend_predictions
        order by keyword
    $$,
    $$values ('등산', 'internal', 0, 3), ('캠핑', 'internal', 0.9, 3)$$,
    'S-219: what it went by is kept'
);
select is(
    (select predicted_score from public.trend_predictions where keyword = '등산'),
    0.0000,
    'S-219: a steady keyword will not burst'
);

-- Both were seen in the hour before the newest, up to which the states go.
select results_eq(
    $$
        select
            keyword::text,
            (features_used ->> 'usual')::numeric,
            (features_used ->> 'deviation')::numeric
        from public.trend_predictions
        order by keyword
    $$,
    $$
        select
            stored.keyword::text,
            round(avg(expected.usual)::numeric, 3),
            round(avg(sqrt(private.usual_variance(stored.state, expected.usual)))::numeric, 3)
        from private.keyword_states as stored
        cross join generate_series(0, 23) as hour (slot)
        cross join lateral (select private.usual_mentions(stored.state, hour.slot) as usual) as expected
        where stored.keyword in ('등산', '캠핑')
        group by stored.keyword
        order by stored.keyword
    $$,
    'S-219: usual is what detection takes for usual, hour by hour'
);
select is(
    array[private.score_of_z(5.9, 6), round(private.score_of_z(6, 6)::numeric, 4)::double precision],
    array[0, 0.8647]::double precision[],
    'S-219: what detection would not tell is no score'
);
create temporary table states as
select * from private.keyword_states;
delete from private.keyword_states;
do $$ begin perform private.forecast_trends('2026-07-10 06:30:00+00'); end $$;
select is(
    (select (features_used ->> 'usual')::numeric from public.trend_predictions where keyword = '캠핑'),
    2.000,
    'S-219: without a state the week before the last day tells'
);
insert into private.keyword_states
select * from states;
do $$ begin perform private.forecast_trends('2026-07-10 06:30:00+00'); end $$;

-- Again on the same day, and on the next.
create temporary table first_said as
select id, created_at from public.trend_predictions;
select lives_ok(
    $$select private.forecast_trends('2026-07-10 07:10:00+00')$$,
    'S-219: an hour later'
);
select results_eq(
    'select id, created_at from public.trend_predictions order by id',
    'select id, created_at from first_said order by id',
    'S-219: what is said again replaces what was said, never doubles it'
);
-- 15:00 UTC is midnight in Korea.
select is(
    array[private.forecast_trends('2026-07-10 14:50:00+00'), private.forecast_trends('2026-07-10 15:10:00+00')],
    array_fill('{"series": 2, "trends": 0, "predictions": 2}'::jsonb, array[2]),
    'S-219: an expired trend is told no more'
);
select set_eq(
    'select prediction_date, count(*) from public.trend_predictions group by prediction_date',
    $$values (date '2026-07-10', 2::bigint), (date '2026-07-11', 2::bigint)$$,
    'S-219: after midnight in Korea it is another day''s forecast'
);

-- What came.
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
values ('KR', 'internal', '2026-07-11 03:00:00+00', '등산', 20);
insert into public.trending_keywords (
    keyword, region_code, data_source, trend_score, detected_at, expires_at, created_at, closed_at
)
values
-- Of two the stronger; of the day before and the day after none; of another region none.
('캠핑', 'KR', 'youtube_api', 0.6, '2026-07-11 02:00+00', '2026-07-11 06:00+00', '2026-07-11 02:00+00', '2026-07-11 06:00+00'),
('캠핑', 'KR', 'youtube_api', 0.7, '2026-07-11 08:00+00', '2026-07-11 12:00+00', '2026-07-11 08:00+00', '2026-07-11 12:00+00'),
('캠핑', 'KR', 'youtube_api', 0.99, '2026-07-11 16:00+00', '2026-07-11 20:00+00', '2026-07-11 16:00+00', '2026-07-11 20:00+00'),
('등산', 'US', 'youtube_api', 0.8, '2026-07-11 08:00+00', '2026-07-11 12:00+00', '2026-07-11 08:00+00', '2026-07-11 12:00+00');
delete from public.trend_predictions where prediction_date = '2026-07-11';
select is(
    private.score_predictions('2026-07-10'),
    '{"scored": 0}'::jsonb,
    'S-190: a forecast is not held against an earlier day'
);
select is(
    private.score_predictions('2026-07-11'),
    '{"scored": 2}'::jsonb,
    'S-190: a day that is over is scored'
);
select results_eq(
    $$
        select keyword::text, actual_score, prediction_error = abs(predicted_score - actual_score)
        from public.trend_predictions
        order by keyword
    $$,
    $$values ('등산', 0.0000, true), ('캠핑', 0.7000, true)$$,
    'S-190, S-016: with the highest score that detection saw, 0 where it saw none'
);
select is(
    private.score_predictions('2026-07-11'),
    '{"scored": 0}'::jsonb,
    'S-190: once'
);
insert into public.trend_predictions (
    keyword, region_code, prediction_date, predicted_for_date, predicted_score, confidence_interval
)
values
('캠핑', 'IS', '2026-07-10', '2026-07-11', 0.5, '[0,1]'),
('캠핑', 'KR', private.korean_day() - 1, private.korean_day(), 0.5, '[0,1]');
select is(
    array[private.score_predictions('2026-07-11'), private.score_predictions('infinity')],
    array['{"scored": 0}', '{"scored": 0}']::jsonb[],
    'S-190: neither a day in which nobody looked nor today'
);
delete from public.trend_predictions
where actual_score is null;

-- How good they were.
select results_eq(
    $$
        select
            predicted_for_date,
            region_code::text,
            model_version::text,
            days_ahead,
            predictions,
            mean_error = (select round(avg(prediction_error), 4) from public.trend_predictions),
            mase = round((select sum(prediction_error) from public.trend_predictions) / 0.2, 4),
            coverage between 0 and 1,
            confidence_level
        from public.forecast_accuracy
    $$,
    $$values (date '2026-07-11', 'KR', 'best-3-of-17-v2', 1, 2::bigint, true, true, true, 0.80)$$,
    'S-190: error, coverage and MASE against "tomorrow as today" by day and model'
);
insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'one@example.com'),
('22222222-2222-4222-8222-222222222222', 'two@example.com');
insert into public.user_tiers (user_id, tier, source)
values ('11111111-1111-4111-8111-111111111111', 'premium', 'operator');
select is(
    array[
        pg_temp.outcome(
            'authenticated',
            '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}',
            'select * from public.forecast_accuracy'
        ),
        pg_temp.outcome(
            'authenticated',
            '{"sub": "22222222-2222-4222-8222-222222222222", "role": "authenticated"}',
            'select * from public.forecast_accuracy'
        ),
        pg_temp.outcome('anon', '{"role": "anon"}', 'select * from public.forecast_accuracy')
    ],
    array['1 row', '0 rows', '42501 permission denied for view forecast_accuracy'],
    'S-190: for premium and up, as the forecasts are'
);

-- Fifty days' worth of errors: the model has always been 0.3 too low.
insert into public.trend_predictions (
    keyword,
    prediction_date,
    predicted_for_date,
    predicted_score,
    confidence_interval,
    model_version,
    features_used,
    actual_score
)
select
    'past ' || number,
    '2026-07-08',
    '2026-07-09',
    0.1,
    '[0,1]',
    'best-3-of-17-v2',
    '{"raw_score": 0.0}',
    0.3 + number / 1000.0
from generate_series(0, 100) as number;
do $$ begin perform private.forecast_trends('2026-07-10 08:00:00+00'); end $$;
select is(
    (select count(*) from public.trend_predictions where keyword = '등산' and actual_score is null),
    0::bigint,
    'S-190: what has been scored is not said again'
);
update public.trend_predictions
set actual_score = null
where keyword = '등산';
do $$ begin perform private.forecast_trends('2026-07-10 08:00:00+00'); end $$;
select results_eq(
    $$
        select predicted_score, confidence_interval, features_used -> 'corrected'
        from public.trend_predictions
        where keyword = '등산'
    $$,
    $$values (0.3500, numrange(0.31, 0.39, '[]'), 'true'::jsonb)$$,
    'S-219, S-190: the scored forecasts of 28 days correct the next: by their median, between their tenths'
);
select is(
    (
        select count(*)
        from public.trend_predictions
        where not (lower(confidence_interval) <= predicted_score and predicted_score <= upper(confidence_interval))
    ),
    0::bigint,
    'S-219: lower ≤ predicted ≤ upper in every row'
);

select finish();
rollback;
