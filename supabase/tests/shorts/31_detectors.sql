-- A trend is more than chance explains: accurate tails, three detectors of one shape, and no trend by one channel.
begin;
select plan(28);

delete from public.trending_keywords;
delete from private.keyword_signals;
delete from private.signal_marks;
delete from private.observed_bins;
delete from private.keyword_states;
delete from private.state_positions;

-- The tail against exact sums.
create temporary table exact as
select
    grid.count,
    grid.mean,
    grid.variance,
    sums.tail
from (
    select
        place.count,
        mean.value as mean,
        mean.value * excess.ratio as variance
    from unnest(array[0.01, 0.1, 0.4, 2, 10, 100, 1000]::float8[]) as mean (value)
    cross join unnest(array[1.01, 1.5, 5, 50]::float8[]) as excess (ratio)
    cross join lateral (
        select distinct 1 + floor(mean.value + deviations * sqrt(mean.value * excess.ratio))::integer as count
        from unnest(array[0, 0.5, 1, 2, 4, 6, 8]::float8[]) as deviations
    ) as place
) as grid
cross join lateral (
    with recursive term as (
        select
            grid.count as k,
            exp(
                private.ln_gamma(grid.count + size.r) - private.ln_gamma(size.r) - private.ln_gamma(grid.count + 1)
                - size.r * ln(grid.variance / grid.mean) + grid.count * ln(1 - grid.mean / grid.variance)
            ) as chance,
            size.r
        from (select grid.mean * grid.mean / (grid.variance - grid.mean) as r) as size
        union all
        select
            term.k + 1,
            term.chance * (1 - grid.mean / grid.variance) * (term.k + term.r) / (term.k + 1),
            term.r
        from term
        where
            term.chance > 1e-16
            and term.k < grid.count + 5000
    )

    select sum(term.chance) - max(term.chance) filter (where term.k = grid.count) / 2 as tail
    from term
) as sums
where sums.tail between 1e-12 and 0.5;
select cmp_ok((select count(*) from exact), '>', 100::bigint, 'a grid of means and dispersions');
select cmp_ok(
    (select max(abs(private.count_tail(count, mean, variance) / tail - 1)) from exact),
    '<',
    0.05::float8,
    'the tail is that of the exact sums, less than 5 per cent off'
);
select is(private.count_tail(0, 1, 1.5) between 0.5 and 1, true, 'nothing at all is no surprise');
select ok(abs(private.ln_gamma(0.5) - 0.5723649429247001) < 1e-12, 'ln gamma of a half');
select ok(abs(private.ln_gamma(11) - ln(3628800::float8)) < 1e-12, 'ln gamma of 11');
-- What a number cannot hold is 0 or 1, and no error that would stop a whole run.
select is(private.count_tail(1e9, 0.4, 0.4), 0::float8, 'a thousand million where none is usual');
select is(private.count_tail(500, 22, 22.1), 0::float8, 'a strong burst');
select is(private.count_tail(3, 1e6, 1e6), 1::float8, 'far less than usual');
select ok(abs(private.fisher_tail(2 * ln(0.05::float8), 2) - 0.017478661) < 1e-8, 'Fisher: two p-values of 0.05');
select ok(
    private.fisher_tail(8 * ln(1e-300::float8), 8) between 0 and 1e-280,
    'Fisher: of eight regions where it cannot be chance'
);

-- Ten days of charts every six hours in four regions.
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
select
    region,
    'youtube_api',
    moment,
    word.keyword,
    word.mentions
from unnest(array['KR', 'JP', 'US', 'GB']) as region
cross join generate_series('2026-01-01 00:00+00'::timestamptz, '2026-01-10 18:00+00', interval '6 hours') as moment
cross join (values ('steady', 3), ('known', 1)) as word (keyword, mentions);
\set now '''2026-01-11 00:20+00'''
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
select
    region,
    'youtube_api',
    '2026-01-11 00:00+00',
    word.keyword,
    word.mentions
from unnest(array['KR', 'JP', 'US', 'GB']) as region
cross join (values ('steady', 3), ('everywhere', 4)) as word (keyword, mentions)
union all
values
('KR', 'youtube_api', '2026-01-11 00:00+00'::timestamptz, 'known', 12),
('KR', 'youtube_api', '2026-01-11 00:00+00', 'fresh', 9),
('KR', 'youtube_api', '2026-01-11 00:00+00', 'two', 2);
create temporary table folded as
select private.fold_keyword_states(:now) as answer;
select is((select answer ->> 'folded' from folded), '8', 'two states in each of four regions');

select results_eq(
    format('select keyword, detector from private.detect_bursts(%L, ''KR'')', :now),
    $$values ('known', 'burst')$$,
    'S-038: a keyword with a past bursts'
);
select results_eq(
    format('select keyword from private.detect_new_keywords(%L, ''KR'') order by keyword', :now),
    $$values ('everywhere'), ('fresh')$$,
    'a keyword without a past rises from nothing'
);
select results_eq(
    format('select region_code, keyword from private.detect_spread(%L, null) order by region_code', :now),
    $$values ('GB', 'everywhere'), ('JP', 'everywhere'), ('KR', 'everywhere'), ('US', 'everywhere')$$,
    'a keyword spreads over regions'
);
select ok(
    (
        select bool_and(spread.p_value < alone.p_value)
        from private.detect_spread(:now, 'KR') as spread
        inner join private.detect_new_keywords(:now, 'KR') as alone on spread.keyword = alone.keyword
    ),
    'together the regions say more than one alone'
);
create temporary table seen as
select *
from private.detected(:now, 'KR');
select ok((select bool_and(q_value between p_value and 1) from seen), 'p <= q <= 1');
select set_eq(
    'select keyword, detector from seen where is_trend',
    $$values ('known', 'burst'), ('fresh', 'new'), ('everywhere', 'new'), ('everywhere', 'spread')$$,
    'these are trends'
);
select is(
    (
        select count(*)
        from seen as one
        inner join seen as two
            on
                one.detector = two.detector
                and one.p_value < two.p_value
                and one.q_value > two.q_value
    ),
    0::bigint,
    'the stronger burst never has the larger q'
);

-- One channel.
insert into public.cached_channels (channel_id, channel_title) values ('UC-one', 'one'), ('UC-two', 'two');
insert into public.cached_videos (video_id, title, channel_id, collected_at)
select 'one-' || number, 'fresh', 'UC-one', '2026-01-11 00:10+00'
from generate_series(1, 5) as number;
insert into public.keyword_video_mappings (keyword, video_id)
select 'fresh', 'one-' || number
from generate_series(1, 5) as number;
select is(
    (select is_trend from private.detected(:now, 'KR') where keyword = 'fresh'),
    false,
    'more than half of it is known to be one channel''s: no trend'
);
insert into public.cached_videos (video_id, title, channel_id, collected_at)
values ('two-1', 'fresh', 'UC-two', '2026-01-11 00:10+00');
insert into public.keyword_video_mappings (keyword, video_id) values ('fresh', 'two-1');
select is(
    (select is_trend from private.detected(:now, 'KR') where keyword = 'fresh'),
    true,
    'a second channel makes it one'
);

-- The past: states have gone on, and the answer is the same.
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
values ('KR', 'youtube_api', '2026-01-11 06:00+00', 'later', 1);
select private.fold_keyword_states('2026-01-11 06:20+00') is not null as went_on \gset
select set_eq(
    format(
        'select keyword, detector, round(z_score::numeric, 9) as z, round(q_value::numeric, 12) as q '
        'from private.detected(%L, ''KR'')',
        :now
    ),
    'select keyword, detector, round(z_score::numeric, 9) as z, round(q_value::numeric, 12) as q from seen',
    'an hour that is past is judged as it was'
);

-- The backtest: one burst, told once a day unless twice as strong.
create temporary table tried as
select public.backtest_bursts(
    array(select 20 + 3 * sin(n) from generate_series(1, 3000) as n)
    || array[400, 400, 5000]::float8[]
    || array(select 20 + 3 * sin(n) from generate_series(1, 20) as n),
    300,
    '2026-01-01 00:00+00'
) as answer;
select is((select answer -> 'alarms' from tried), '[3000, 3002]'::jsonb, 'a burst, and twice the record');
select is((select jsonb_array_length(answer -> 'z') from tried), 3023, 'z of each bin');
select throws_ok(
    $$select public.backtest_bursts(array['NaN']::float8[], 300, now())$$,
    'PT400',
    'The series cannot be tested.',
    'no number is no count'
);
select throws_ok(
    $$select public.backtest_bursts(array_fill(1::float8, array[100001]), 300, now())$$,
    'PT400',
    'The series cannot be tested.',
    'at most 100,000'
);
select is(
    public.backtest_bursts(array[1e6] || array_fill(0::float8, array[99999]), 3600, now()) -> 'alarms',
    '[]'::jsonb,
    'what fades for eleven years fades to nothing'
);
select is(
    public.backtest_bursts(array_fill(0::float8, array[100]) || array[1e12, 0, 0], 3600, now()) -> 'alarms',
    '[100]'::jsonb,
    'the highest count that is taken'
);
select is(public.backtest_bursts('{}', 300, now()), '{"z": [], "alarms": []}'::jsonb, 'nothing of nothing');

select finish();
rollback;
