-- A forecast of an hourly series: by the methods that did best, with an interval, for whatever series there is.
begin;
select plan(23);
\ir ../outcome.psql

-- Three weeks: a wave by the hour, on Saturdays and Sundays twice as high.
create function pg_temp.wave(hours integer)
returns double precision[]
language sql
as $$
    select array_agg((50 + 30 * sin(hour * pi() / 12)) * case when hour / 24 % 7 >= 5 then 2 else 1 end order by hour)
    from generate_series(0, hours - 1) as hour
$$;
create function pg_temp.is_sensible(forecast record, horizon integer)
returns boolean
language plpgsql
as $$
begin
    return cardinality(forecast.methods) = 3
        and forecast.methods <@ private.forecast_methods()
        and cardinality(forecast.point) = horizon
        and cardinality(forecast.lower) = horizon
        and cardinality(forecast.upper) = horizon
        and (
            select bool_and(hour.lower >= 0 and hour.lower <= hour.point and hour.point <= hour.upper and hour.upper < 'inf')
            from unnest(forecast.lower, forecast.point, forecast.upper) as hour (lower, point, upper)
        );
end
$$;

select is(
    (
        select max(abs(came.value - foretold.value)) < 1e-6
        from unnest((pg_temp.wave(552))[505:552]) with ordinality as came (value, hour)
        inner join unnest((private.forecast((pg_temp.wave(552))[1:504], 48)).point)
            with ordinality as foretold (value, hour) on came.hour = foretold.hour
    ),
    true,
    'S-219: a series that repeats by the week is foretold'
);
select ok(
    not (private.forecast(pg_temp.wave(504), 48)).methods && array['day', 'days_2', 'days_3', 'last', 'mean', 'burst'],
    'S-219: by the methods that know the week'
);
select is(
    (
        select array_agg(round(foretold.value::numeric, 3))
        from unnest((private.forecast(array_fill(7.0::float8, array[336]), 3)).upper) as foretold (value)
    ),
    array[7.000, 7.000, 7.000],
    'S-219: what never changed is foretold without a doubt'
);
select cmp_ok(
    (
        select (forecast.upper[1] - forecast.lower[1])
        from private.forecast(
            (select array_agg(100 + 20 * sin(hour * hour)) from generate_series(1, 336) as hour), 24
        ) as forecast
    ),
    '>',
    10::double precision,
    'S-219: what never repeats is not'
);
select ok(
    (select forecast.upper[48] - forecast.lower[48] > 1.3 * (forecast.upper[1] - forecast.lower[1])
    from private.forecast(
        (select array_agg(100 + 20 * sin(hour * hour)) from generate_series(1, 336) as hour), 48
    ) as forecast),
    'S-219: and the farther off, the less'
);

-- A burst over 5 an hour that halves every four hours.
create temporary table burst as
select
    array_agg(5 + case when hour > 300 then 400 * exp(-ln(2.0) * (hour - 301) / 4) else 0 end order by hour) as series
from generate_series(1, 324) as hour;
select ok(
    'burst' = any(forecast.methods),
    'S-219: a burst that falls off is foretold by its fall'
)
from burst
cross join private.forecast(burst.series, 24) as forecast;
select ok(
    forecast.point[24] < 60,
    'S-219: it does not come back a day later in full'
)
from burst
cross join private.forecast(burst.series, 24) as forecast;
select results_eq(
    $$
        select round(outlook.usual), outlook.peak_hours_ago, round(outlook.lasts_hours)
        from burst
        cross join private.burst_outlook(burst.series) as outlook
    $$,
    -- 400 above 5 is 178 of its deviations (the root of 5), which takes 7.5 halvings.
    $$values (5::double precision, 23, 30::double precision)$$,
    'S-062: how long it lasts is told from the same'
);

-- Gaps and odd series.
select is(
    private.fill_gaps(array_cat(array_fill(1.0::float8, array[24]), array_fill(null::float8, array[24]))),
    array_fill(1.0::float8, array[48]),
    'S-219: an hour that nobody observed is as the same hour of the day before'
);
select is(
    private.fill_gaps(array[null, 2, 4]),
    array[3, 2, 4]::float8[],
    'S-219: or as all, when no such hour was seen'
);
select is(
    (
        select max(abs(whole.value - gapped.value)) < 3
        from unnest((private.forecast(pg_temp.wave(480), 24)).point) with ordinality as whole (value, hour)
        inner join unnest((
            private.forecast(
                (pg_temp.wave(480))[1:400] || array_fill(null::float8, array[24]) || (pg_temp.wave(480))[425:480], 24
            )
        ).point) with ordinality as gapped (value, hour) on whole.hour = gapped.hour
    ),
    true,
    'S-219: a gap of a day changes little'
);
select is(
    (select forecast.point from private.forecast(array_fill(null::float8, array[50]), 5) as forecast),
    null,
    'S-219: of nothing nothing is foretold'
);
select is(
    (
        select count(*)
        from generate_series(1, 60) as hours
        cross join lateral private.forecast((pg_temp.wave(60))[1:hours], 24) as forecast
        where not pg_temp.is_sensible(forecast, 24)
    ),
    0::bigint,
    'S-219: every length from one hour on gives a forecast within its interval'
);
select is(
    (
        select count(*)
        from generate_series(1, 200) as seed
        cross join lateral (
            select
                array_agg(
                    case
                        when hashint4(seed * 1000 + hour) % 7 = 0 then null
                        when hashint4(seed * 1000 + hour) % 11 = 0 then 1e9
                        when hashint4(seed * 1000 + hour) % 3 = 0 then 0
                        else abs(hashint4(seed * 1000 + hour) % (seed * 10))
                    end::float8
                    order by hour
                ) || 1.0::float8 as series
            from generate_series(1, 2 + seed * 3) as hour
        ) as made
        cross join lateral private.forecast(made.series, 1 + seed % 60) as forecast
        where not pg_temp.is_sensible(forecast, 1 + seed % 60)
    ),
    0::bigint,
    'S-219: lower ≤ predicted ≤ upper in every hour of 200 wild series with zeros, gaps and 1e9'
);
select ok(
    pg_temp.is_sensible(forecast, 168),
    'S-219: zeros, and a week ahead'
)
from private.forecast(array_fill(0.0::float8, array[400]), 168) as forecast;
select is(
    (private.forecast(array_fill(1.0::float8, array[99]) || pg_temp.wave(1344), 24)).point,
    (private.forecast(pg_temp.wave(1344), 24)).point,
    'S-219: only the last 1,344 hours are read'
);

-- The service's door.
select is(
    (select array_agg(key order by key) from jsonb_object_keys(public.backtest_forecast(pg_temp.wave(100), 12)) as key),
    array['lower', 'methods', 'point', 'upper'],
    'S-219: the service may ask for any series'
);
select is(
    pg_temp.outcome('authenticated', '{"role": "authenticated"}', 'select public.backtest_forecast(array[1], 1)'),
    '42501 permission denied for function backtest_forecast',
    'S-219: others may not'
);
select is(
    pg_temp.outcome('service_role', '{"role": "service_role"}', 'select public.backtest_forecast(array[1], 1)'),
    '1 row',
    'S-219: one hour is a series'
);
select results_eq(
    $$
        select pg_temp.outcome('service_role', '{"role": "service_role"}', 'select public.backtest_forecast(' || refused || ')')
        from unnest(array[
            'null, 1', '''{}'', 1', 'array_fill(null::float8, array[9]), 1', '''{{1},{2}}'', 1', '''[0:1]={1,2}'', 1'
        ]) as refused
    $$,
    $$select 'PT400 The series holds no number.' from generate_series(1, 5)$$,
    'S-219: what is no series is refused'
);
select results_eq(
    $$
        select pg_temp.outcome('service_role', '{"role": "service_role"}', 'select public.backtest_forecast(' || refused || ')')
        from unnest(array['''{1,-1}'', 1', '''{NaN}'', 1', '''{Infinity}'', 1', '''{2e15}'', 1']) as refused
    $$,
    $$select 'PT400 The series holds what is no count.' from generate_series(1, 4)$$,
    'S-219: so is what nobody can have counted'
);
select results_eq(
    $$
        select pg_temp.outcome('service_role', '{"role": "service_role"}', 'select public.backtest_forecast(''{1}'', ' || refused || ')')
        from unnest(array['0', '169', 'null', '-5']) as refused
    $$,
    $$select 'PT400 The horizon is out of range.' from generate_series(1, 4)$$,
    'S-219: and a horizon of no hours or more than a week'
);
select is(
    pg_temp.outcome(
        'service_role',
        '{"role": "service_role"}',
        'select public.backtest_forecast(array_fill(1.0::float8, array[100001]), 1)'
    ),
    'PT413 The series is too long.',
    'S-219: and more than 100,000 hours'
);

select finish();
rollback;
