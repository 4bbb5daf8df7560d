-- Promises a forecast of an hourly series by the methods that would have served it best of late, with an interval made
-- of the errors that they would have made.

create function private.forecast_methods()
returns text[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select array[
        'day', 'days_2', 'days_3', 'days_5', 'week', 'week_added', 'week_half', 'week_scaled', 'weeks', 'weeks_added',
        'weeks_damped', 'day_drift', 'day_decay', 'day_difference', 'last', 'mean', 'burst'
    ]
$$;
comment on function private.forecast_methods() is
'The names of the forecasters, in the order in which private.forecast takes those that no past hour tells apart.';

create function private.fill_gaps(series double precision[])
returns double precision[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    with place as (
        select
            given.value,
            given.hour,
            given.hour % 24 as slot,
            -- Of equal count are an hour with a value and the hours without one that follow it, a day apart each.
            count(given.value) over (partition by given.hour % 24 order by given.hour) as days_seen
        from unnest(fill_gaps.series) with ordinality as given (value, hour)
    )

    select
        array_agg(
            coalesce(
                filled.same_hour_before,
                filled.usual_of_the_hour,
                filled.usual
            )
            order by filled.hour
        )
    from (
        select
            place.hour,
            max(place.value) over (partition by place.slot, place.days_seen) as same_hour_before,
            avg(place.value) over (partition by place.slot) as usual_of_the_hour,
            avg(place.value) over () as usual
        from place
    ) as filled
$$;
comment on function private.fill_gaps(double precision[]) is
'The series with each null (an hour that nobody observed) replaced: by the same hour of the last day that has it, else '
'the mean of that hour of the day, else the mean of all. Nulls stay when there is nothing else.';

create function private.forecast(
    series double precision[],
    horizon integer,
    out methods text[],
    out point double precision[],
    out lower double precision[],
    out upper double precision[]
)
returns record
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
-- Planned once: to plan takes longer than to run.
set plan_cache_mode = force_generic_plan
language plpgsql
as $$
declare
    -- Older hours than these no method reads, nor any fold.
    seen double precision[] := forecast.series[greatest(cardinality(forecast.series) - 1343, 1):];
    y double precision[] := seen;
    hours integer := coalesce(cardinality(seen), 0);
    -- Two thirds of even a short series stay to forecast the rest from.
    fold_steps integer := least(forecast.horizon, greatest(hours / 6, 1));
    folds integer := least(3, (hours - 1) / fold_steps);
    has_weeks boolean;
begin
    if array_position(y, null) is not null then
        y := private.fill_gaps(y);
    end if;
    if hours = 0 or y[1] is null then
        return;
    end if;

    -- In a burst yesterday teaches nothing: only its own last hours tell what serves.
    if (
        select
            max(recent.value) filter (where recent.place > 144)
            > avg(recent.value) filter (where recent.place <= 144) + 6 * sqrt(
                greatest(
                    var_pop(recent.value) filter (where recent.place <= 144),
                    avg(recent.value) filter (where recent.place <= 144),
                    0.3
                )
            )
        from unnest(y[hours - 167:]) with ordinality as recent (value, place)
        where hours >= 168
    ) then
        fold_steps := least(fold_steps, 4);
        folds := least(3, (hours - 1) / fold_steps);
    end if;
    -- What no fold could try is never chosen.
    has_weeks := hours - fold_steps >= 336;

    with cut as (
        select
            fold.number as fold,
            hours - fold.number * fold_steps as n,
            case when fold.number = 0 then forecast.horizon else fold_steps end as steps
        from generate_series(0, folds) as fold (number)
    ),

    -- What a cut has in all its steps.
    known as (
        select
            cut.fold,
            cut.n,
            cut.steps,
            day.last_day,
            day.day_before,
            day.last_error,
            day.last_day - week.same_day as week_change,
            least(greatest(day.last_day / nullif(week.same_day, 0), 0.3), 3.0) as week_ratio,
            -- Each week counts 0.6 of the one after it.
            case when cut.n >= 336 then 1 / (1.6 + case when cut.n >= 504 then 0.36 else 0 end
                + case when cut.n >= 672 then 0.216 else 0 end) end as weight_0,
            case when cut.n >= 504 then 0.36 else 0 end as weight_2,
            case when cut.n >= 672 then 0.216 else 0 end as weight_3,
            burst.base,
            greatest((y[cut.n] + coalesce(y[cut.n - 1], y[cut.n])) / 2 - burst.base, 0) as excess,
            -- A half-life between one hour and three days; six hours where the fall has only begun.
            case
                when decay.points >= 4 then least(greatest(-decay.slope, 0.0096), 0.69)
                else 0.1155
            end as decay
        from cut
        cross join lateral (
            select
                avg(y[cut.n - 24 + step.number]) as last_day,
                avg(y[cut.n - 48 + step.number]) as day_before,
                avg(y[cut.n - 24 + step.number] - y[cut.n - 48 + step.number])
                    filter (where step.number > 21) as last_error
            from generate_series(1, 24) as step (number)
        ) as day
        cross join lateral (
            select avg(y[cut.n - 192 + step.number]) as same_day
            from generate_series(1, 24) as step (number)
            where cut.n >= 192
        ) as week
        cross join lateral (
            select
                coalesce(avg(y[cut.n - 96 + step.number]), min(y[cut.n - 48 + step.number])) as base,
                max(y[cut.n - 48 + step.number]) as top
            from generate_series(1, 48) as step (number)
        ) as burst
        cross join lateral (
            select min(step.number) as number
            from generate_series(greatest(1, 49 - cut.n), 48) as step (number)
            where y[cut.n - 48 + step.number] = burst.top
        ) as peak
        cross join lateral (
            select
                count(*) as points,
                regr_slope(ln(greatest(y[cut.n - 48 + step.number] - burst.base, 0.5)), step.number) as slope
            from generate_series(peak.number, 48) as step (number)
        ) as decay
    ),

    -- The change from the weeks' last day to the last day itself.
    levelled as (
        select
            known.*,
            known_level.weeks_change
        from known
        left join (
            select
                known.fold,
                known.last_day - avg(
                    known.weight_0 * (
                        y[known.n - 24 + step.number]
                        + 0.6 * y[known.n - 192 + step.number]
                        + known.weight_2 * coalesce(y[known.n - 360 + step.number], 0)
                        + known.weight_3 * coalesce(y[known.n - 528 + step.number], 0)
                    )
                ) as weeks_change
            from known
            cross join generate_series(1, 24) as step (number)
            where has_weeks
            group by known.fold, known.last_day
        ) as known_level on known.fold = known_level.fold
    ),

    -- Each hour that is looked back at is looked up once: "offset" keeps the planner from writing it out below.
    lag as (
        select
            place.*,
            y[place.same_hour] as value,
            y[place.same_hour - 24] as value_2,
            y[place.same_hour - 48] as value_3,
            y[place.same_week_hour] as week,
            case
                when has_weeks
                    then
                        place.weight_0 * (
                            y[place.same_week_hour]
                            + 0.6 * y[place.same_week_hour - 168]
                            + place.weight_2 * coalesce(y[place.same_week_hour - 336], 0)
                            + place.weight_3 * coalesce(y[place.same_week_hour - 504], 0)
                        )
            end as weeks,
            case when place.fold > 0 then seen[place.n + place.step] end as actual
        from (
            select
                levelled.*,
                step.number as step,
                levelled.n - 24 + (step.number - 1) % 24 + 1 as same_hour,
                levelled.n - 168 + (step.number - 1) % 168 + 1 as same_week_hour
            from levelled
            cross join lateral generate_series(1, levelled.steps) as step (number)
            offset 0
        ) as place
        offset 0
    ),

    candidate as materialized (
        select
            one.fold,
            one.step,
            one.actual,
            array[
                one.value,
                (one.value + one.value_2) / 2,
                (one.value + one.value_2 + one.value_3) / 3,
                (one.value + one.value_2 + one.value_3 + y[one.same_hour - 72] + y[one.same_hour - 96]) / 5,
                one.week,
                one.week + one.week_change,
                one.week + one.week_change / 2,
                one.week * one.week_ratio,
                one.weeks,
                one.weeks + one.weeks_change,
                case when has_weeks then one.weeks + one.weeks_change * exp(-one.step / 48.0::double precision) end,
                one.value + (one.last_day - one.day_before) * case when one.step <= 24 then 0.5 else 0.75 end,
                one.value + one.last_error * exp(-one.step / 6.0::double precision),
                one.value + one.week - y[one.same_week_hour - 24],
                y[one.n],
                one.last_day,
                one.base + one.excess * exp(-one.decay * one.step)
            ] as forecasts
        from lag as one
    ),

    error as materialized (
        select
            candidate.fold,
            array[
                avg(abs(candidate.forecasts[1] - candidate.actual)),
                avg(abs(candidate.forecasts[2] - candidate.actual)),
                avg(abs(candidate.forecasts[3] - candidate.actual)),
                avg(abs(candidate.forecasts[4] - candidate.actual)),
                avg(abs(candidate.forecasts[5] - candidate.actual)),
                avg(abs(candidate.forecasts[6] - candidate.actual)),
                avg(abs(candidate.forecasts[7] - candidate.actual)),
                avg(abs(candidate.forecasts[8] - candidate.actual)),
                avg(abs(candidate.forecasts[9] - candidate.actual)),
                avg(abs(candidate.forecasts[10] - candidate.actual)),
                avg(abs(candidate.forecasts[11] - candidate.actual)),
                avg(abs(candidate.forecasts[12] - candidate.actual)),
                avg(abs(candidate.forecasts[13] - candidate.actual)),
                avg(abs(candidate.forecasts[14] - candidate.actual)),
                avg(abs(candidate.forecasts[15] - candidate.actual)),
                avg(abs(candidate.forecasts[16] - candidate.actual)),
                avg(abs(candidate.forecasts[17] - candidate.actual))
            ] as errors
        from candidate
        where candidate.actual is not null
        group by candidate.fold
    ),

    -- For each fold the best three by the other folds: an interval of errors that chose their own methods would be
    -- too narrow. Fold 0 is the future, which all folds choose for.
    ranked as (
        select
            method.fold,
            method.place,
            row_number() over (
                partition by method.fold
                order by method.error, method.place
            ) as rank
        from (
            select
                left_out.fold,
                available.place,
                case
                    when count(error.fold) = count(error.errors[available.place])
                        then coalesce(
                            avg(error.errors[available.place]) filter (where error.fold <> left_out.fold),
                            avg(error.errors[available.place])
                        )
                end as error
            from generate_series(0, folds) as left_out (fold)
            cross join (
                select given.place
                from candidate
                cross join lateral unnest(candidate.forecasts) with ordinality as given (forecast, place)
                where
                    candidate.fold = 0
                    and candidate.step = 1
                    and given.forecast is not null
            ) as available
            left join error on true
            group by
                left_out.fold,
                available.place
        ) as method
    ),

    picked as (
        select
            ranked.fold,
            array_agg(ranked.place order by ranked.rank) as places
        from ranked
        where ranked.rank <= 3
        group by ranked.fold
    ),

    ensemble as materialized (
        select
            candidate.fold,
            candidate.step,
            candidate.actual,
            picked.places,
            sqrt(1 + candidate.step / 24.0::double precision) as scale,
            greatest(
                (
                    candidate.forecasts[picked.places[1]]
                    + candidate.forecasts[picked.places[2]]
                    + candidate.forecasts[picked.places[3]]
                ) / 3,
                0
            ) as point
        from candidate
        inner join picked on candidate.fold = picked.fold
    ),

    -- 0.82 of the errors of the past hold 0.80 of those to come: docs/forecast.md has the figures.
    spread as (
        select
            coalesce(
                (array_agg(error.size order by error.size))[
                    least(ceil(0.82 * (count(*) + 1)), count(*))::integer
                ],
                greatest(y[hours], 1)
            ) as width
        from (
            select abs(ensemble.actual - ensemble.point) / ensemble.scale as size
            from ensemble
            where ensemble.actual is not null
        ) as error
    )

    select
        (
            select array_agg((private.forecast_methods())[chosen.place] order by chosen.rank)
            from unnest(min(ensemble.places)) with ordinality as chosen (place, rank)
        ),
        array_agg(ensemble.point order by ensemble.step),
        array_agg(greatest(ensemble.point - spread.width * ensemble.scale, 0) order by ensemble.step),
        array_agg(ensemble.point + spread.width * ensemble.scale order by ensemble.step)
    into
        forecast.methods,
        forecast.point,
        forecast.lower,
        forecast.upper
    from ensemble
    cross join spread
    where ensemble.fold = 0;
end
$$;
comment on function private.forecast(double precision[], integer) is
'The next hours of a series of hourly counts: the mean of the three methods that did best in up to three rolling '
'folds, and an interval that should hold 80 % of what comes. Nulls in the series are hours that nobody observed. All '
'null when nothing was.';

create function public.backtest_forecast(
    series double precision[],
    horizon integer
)
returns jsonb
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    if cardinality(backtest_forecast.series) > 100000 then
        raise exception using
            errcode = 'PT413',
            message = 'The series is too long.',
            detail = format('It has %s hours.', cardinality(backtest_forecast.series)),
            hint = 'Send at most 100,000 hours; the last 1,344 are read.';
    end if;
    if
        array_ndims(backtest_forecast.series) is distinct from 1
        or array_lower(backtest_forecast.series, 1) <> 1
        or array_position(backtest_forecast.series, null) is not null
        and (select count(given.value) = 0 from unnest(backtest_forecast.series) as given (value))
    then
        raise exception using
            errcode = 'PT400',
            message = 'The series holds no number.',
            hint = 'Send a plain array with a count per hour, oldest first, and null for an hour that nobody observed.';
    end if;
    -- NaN is more than any number.
    if exists (
        select
        from unnest(backtest_forecast.series) as given (value)
        where given.value < 0 or given.value > 1e15
    ) then
        raise exception using
            errcode = 'PT400',
            message = 'The series holds what is no count.',
            hint = 'Send numbers from 0 to 1e15.';
    end if;
    if backtest_forecast.horizon is null or backtest_forecast.horizon not between 1 and 168 then
        raise exception using
            errcode = 'PT400',
            message = 'The horizon is out of range.',
            detail = format('horizon is %s.', backtest_forecast.horizon),
            hint = 'Send 1 to 168 hours.';
    end if;

    select
        jsonb_build_object(
            'point', forecast.point,
            'lower', forecast.lower,
            'upper', forecast.upper,
            'methods', forecast.methods
        )
    into answer
    from private.forecast(backtest_forecast.series, backtest_forecast.horizon) as forecast;
    return answer;
end
$$;
comment on function public.backtest_forecast(double precision[], integer) is
'The forecast that the room itself would make of a series of hourly counts: point, lower and upper (80 %) for each '
'hour to come, and the methods that were chosen. Writes nothing. For the service.';
