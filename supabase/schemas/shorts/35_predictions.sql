-- Promises that what is foretold of a keyword is written down before it comes, and held against what came.

-- Below the weakest burst that detection tells, a day counts as quiet.
create function private.score_of_z(z_score double precision, least_z double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select case when score_of_z.z_score >= score_of_z.least_z then 1 - exp(-least(score_of_z.z_score, 100) / 3) else 0 end
$$;
comment on function private.score_of_z(double precision, double precision) is
'The trend score that a z-score would have, 0 to 1; 0 below the least that detection tells.';

create function private.burst_outlook(
    series double precision[],
    out usual double precision,
    out deviation double precision,
    out peak_hours_ago integer,
    out lasts_hours double precision
)
returns record
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    hours constant integer := coalesce(cardinality(series), 0);
    variance double precision;
    decay double precision;
    peak double precision;
    points integer;
begin
    select
        -- The burst itself is not what is usual.
        coalesce(avg(past.value) filter (where past.place <= hours - 24), min(past.value)),
        coalesce(var_pop(past.value) filter (where past.place <= hours - 24), 0)
    into
        usual,
        variance
    from (
        select
            given.value,
            given.place + greatest(hours - 168, 0) as place
        from unnest(series[hours - 167:]) with ordinality as given (value, place)
    ) as past;
    -- A count's own chance variation, and the rule of three for a silent past: as detection has it.
    deviation := sqrt(greatest(variance, usual, 0.3));

    for place in greatest(hours - 23, 1)..hours loop
        if series[place] > peak or peak is null and series[place] is not null then
            peak := series[place];
            peak_hours_ago := hours - place;
        end if;
    end loop;

    -- A half-life between one hour and three days; six hours where the fall has only begun.
    decay := 0.1155;
    if peak_hours_ago >= 3 then
        select
            least(greatest(-regr_slope(ln(greatest(fall.value - usual, 0.5)), fall.place), 0.0096), 0.69),
            count(*)
        into
            decay,
            points
        from unnest(series[hours - peak_hours_ago:]) with ordinality as fall (value, place)
        where fall.value is not null;
        decay := case when points >= 4 then decay else 0.1155 end;
    end if;
    -- Until what is left of it is no more than chance.
    lasts_hours := greatest(ln(greatest((peak - usual) / deviation, 1)) / decay, 1);
end
$$;
comment on function private.burst_outlook(double precision[]) is
'Of a series of hourly counts: what is usual and by how much it varies (the week before the last day), how long ago '
'the peak of the last day was, and for how many hours from there the burst lasts, by a log-linear fit of its fall.';

create function private.place_counts(
    counts double precision[],
    places integer[],
    mentions integer[]
)
returns double precision[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    for i in 1..coalesce(cardinality(places), 0) loop
        counts[places[i]] := mentions[i];
    end loop;
    return counts;
end
$$;
comment on function private.place_counts(double precision[], integer[], integer[]) is
'A series with the mentions put in their places, from 1.';

create function private.tracked_series(
    at timestamptz,
    most integer
)
returns table (
    keyword text,
    region_code text,
    data_source text,
    newest timestamptz,
    series double precision[]
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
-- How many are tracked no planner knows: a loop over hours for each keyword would take minutes, and to sort a million
-- counts takes longer than to add each to its series in memory.
set enable_nestloop = off
set enable_sort = off
set work_mem = '64MB'
language sql
as $$
    with tracked as materialized (
        select
            named.keyword,
            named.region_code,
            named.data_source,
            row_number() over (
                order by
                    max(named.weight) desc,
                    sum(named.weight) desc,
                    named.keyword,
                    named.region_code,
                    named.data_source
            )::integer as number
        from (
            select
                trend.keyword,
                trend.region_code,
                trend.data_source,
                1e12 as weight
            from public.trending_keywords as trend
            where
                trend.closed_at is null
                and trend.detected_at <= tracked_series.at
                and trend.expires_at > tracked_series.at
            union all
            select
                signal.keyword,
                signal.region_code,
                signal.data_source,
                sum(signal.mentions)
            from private.keyword_signals as signal
            where
                signal.bucket > tracked_series.at - interval '24 hours'
                and signal.bucket <= tracked_series.at
                -- Fewer could not burst, and what one person types is theirs.
                and signal.mentions >= 3
            group by
                signal.keyword,
                signal.region_code,
                signal.data_source
        ) as named
        group by
            named.keyword,
            named.region_code,
            named.data_source
        order by number
        limit tracked_series.most
    ),

    -- Each hour of two weeks, and whether anybody looked in it.
    source as materialized (
        select
            known.region_code,
            known.data_source,
            known.newest,
            hour.counts,
            hour.buckets,
            -- Where most signals are of keywords that nobody tracks, each hour of a keyword is looked up: ten times as slow.
            hour.signals < 10 * known.keywords * cardinality(hour.buckets) as is_read_whole
        from (
            select
                tracked.region_code,
                tracked.data_source,
                count(*) as keywords,
                (
                    select max(observed.bucket)
                    from private.observed_bins as observed
                    where
                        tracked.region_code = observed.region_code
                        and tracked.data_source = observed.data_source
                        and observed.bin_seconds = 3600
                        and observed.bucket between tracked_series.at - interval '24 hours' and tracked_series.at
                ) as newest
            from tracked
            group by
                tracked.region_code,
                tracked.data_source
        ) as known
        cross join lateral (
            select
                array_agg(
                    case when observed.bucket is not null then 0.0::double precision end
                    order by slot.bucket
                ) as counts,
                array_agg(observed.bucket) filter (where observed.bucket is not null) as buckets,
                sum(observed.keywords) as signals
            from generate_series(
                known.newest - interval '335 hours',
                known.newest,
                interval '1 hour'
            ) as slot (bucket)
            left join private.observed_bins as observed
                on
                    known.region_code = observed.region_code
                    and known.data_source = observed.data_source
                    and observed.bin_seconds = 3600
                    and slot.bucket = observed.bucket
        ) as hour
        where known.newest is not null
    ),

    wanted as materialized (
        select
            tracked.number,
            tracked.keyword,
            source.*,
            (date_part('epoch', source.newest) / 3600)::integer as newest_hour
        from tracked
        inner join source
            on
                tracked.region_code = source.region_code
                and tracked.data_source = source.data_source
    ),

    seen as (
        select
            event.number,
            array_agg(336 - event.hours_ago) as places,
            array_agg(event.mentions) as mentions
        from (
            select
                wanted.number,
                signal.mentions,
                wanted.newest_hour - (date_part('epoch', signal.bucket) / 3600)::integer as hours_ago
            from wanted
            inner join private.keyword_signals as signal
                on
                    wanted.region_code = signal.region_code
                    and wanted.data_source = signal.data_source
                    and wanted.keyword = signal.keyword
            where
                wanted.is_read_whole
                and signal.bucket between tracked_series.at - interval '16 days' and tracked_series.at
            union all
            select
                wanted.number,
                signal.mentions,
                wanted.newest_hour - (date_part('epoch', hour.bucket) / 3600)::integer as hours_ago
            from wanted
            cross join lateral unnest(wanted.buckets) as hour (bucket)
            cross join lateral (
                select stored.mentions
                from private.keyword_signals as stored
                where
                    stored.region_code = wanted.region_code
                    and stored.data_source = wanted.data_source
                    and stored.bucket = hour.bucket
                    and stored.keyword = wanted.keyword
                    and stored.bucket between tracked_series.at - interval '16 days' and tracked_series.at
                offset 0
            ) as signal
            where not wanted.is_read_whole
        ) as event
        where event.hours_ago between 0 and 335
        group by event.number
    )

    select
        wanted.keyword,
        wanted.region_code,
        wanted.data_source,
        wanted.newest,
        private.place_counts(wanted.counts, seen.places, seen.mentions)
    from wanted
    left join seen on wanted.number = seen.number
$$;
comment on function private.tracked_series(timestamptz, integer) is
'The last two weeks, hour by hour, of the keywords with an open trend and of those that three or more mentioned in an '
'hour of the last day, most mentions first. Null is an hour that nobody observed, by private.observed_bins.';

create function private.forecast_trends(
    at timestamptz default now(),
    most integer default 5000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    today date := private.korean_day(forecast_trends.at);
    day_starts timestamptz := (today + 1)::timestamp at time zone 'Asia/Seoul';
    version text := 'best-3-of-17-v2';
    least_z double precision := (
        select settings.least_z
        from private.detector_settings as settings
        where
            settings.detector = 'burst'
            and settings.bin_seconds = 3600
    );
    answer jsonb;
begin
    -- Which hours were observed, and what is usual, as detection has it.
    perform private.fold_keyword_states(forecast_trends.at);

    with outlook as materialized (
        select
            tracked.keyword,
            tracked.region_code,
            tracked.data_source,
            tracked.newest,
            tracked.series,
            forecast.*,
            burst.*,
            extract(epoch from day_starts - tracked.newest)::integer / 3600 as first_step
        from private.tracked_series(forecast_trends.at, forecast_trends.most) as tracked
        -- As far as the end of tomorrow in Korea.
        cross join lateral private.forecast(
            tracked.series,
            extract(epoch from day_starts - tracked.newest)::integer / 3600 + 23
        ) as forecast
        cross join lateral private.burst_outlook(tracked.series) as burst
        where forecast.point is not null
    ),

    -- Whichever is higher: the peak that was, or one to come.
    peak as (
        select
            outlook.keyword,
            outlook.region_code,
            outlook.data_source,
            outlook.newest + interval '1 hour' * coalesce(later.step, -outlook.peak_hours_ago) as peak_time,
            interval '1 hour' * least(outlook.lasts_hours, 336) as duration
        from outlook
        left join lateral (
            select to_come.step
            from unnest(outlook.point) with ordinality as to_come (mentions, step)
            where
                to_come.mentions
                > outlook.series[cardinality(outlook.series) - outlook.peak_hours_ago]
            order by
                to_come.mentions desc,
                to_come.step
            limit 1
        ) as later on true
    ),

    -- The trigger tells nobody: neither the score nor the time of detection changes.
    told as (
        update public.trending_keywords as stored
        set
            predicted_peak_time = peak.peak_time,
            predicted_duration = peak.duration
        from peak
        where
            stored.closed_at is null
            and stored.detected_at <= forecast_trends.at
            and stored.expires_at > forecast_trends.at
            and stored.keyword = peak.keyword
            and stored.region_code = peak.region_code
            and stored.data_source = peak.data_source
            and (stored.predicted_peak_time, stored.predicted_duration)
            is distinct from (peak.peak_time, peak.duration)
        returning stored.id
    ),

    -- How far off the same model was of late, for strong and for weak news apart.
    lesson as (
        select
            (past.features_used ->> 'raw_score')::double precision > 0 as is_strong,
            percentile_cont(array[0.1, 0.5, 0.9]) within group (
                order by past.actual_score - (past.features_used ->> 'raw_score')::double precision
            ) as missed
        from public.trend_predictions as past
        where
            past.model_version = version
            and past.predicted_for_date between today - 28 and today - 1
            and past.actual_score is not null
        group by (past.features_used ->> 'raw_score')::double precision > 0
        having count(*) >= 50
    ),

    -- What detection takes for usual, carried over the silent hours since. Where it has no state, the series tells.
    known as materialized (
        select
            outlook.keyword,
            outlook.region_code,
            outlook.data_source,
            case
                when silence.bins = 0 then stored.state
                else private.state_after_silence(stored.state, silence.bins, 1, 336)
            end as state
        from outlook
        inner join private.state_positions as position
            on
                outlook.region_code = position.region_code
                and outlook.data_source = position.data_source
                and position.bin_seconds = 3600
                and outlook.newest = position.newest_bucket
        inner join private.keyword_states as stored
            on
                outlook.region_code = stored.region_code
                and outlook.data_source = stored.data_source
                and stored.bin_seconds = 3600
                and outlook.keyword = stored.keyword
                and stored.last_bucket >= outlook.newest - interval '28 days'
        cross join lateral (
            select count(*)::integer as bins
            from private.observed_bins as observed
            where
                observed.region_code = outlook.region_code
                and observed.data_source = outlook.data_source
                and observed.bin_seconds = 3600
                and observed.bucket > stored.last_bucket
                and observed.bucket < outlook.newest
        ) as silence
        where (stored.state).bins > 0
    ),

    foretold as (
        select
            outlook.keyword,
            outlook.region_code,
            outlook.data_source,
            outlook.newest,
            outlook.series,
            outlook.methods,
            high.usual,
            high.deviation,
            private.score_of_z(high.point, least_z) as raw_score,
            private.score_of_z(high.lower, least_z) as raw_lower,
            private.score_of_z(high.upper, least_z) as raw_upper
        from outlook
        left join known
            on
                outlook.keyword = known.keyword
                and outlook.region_code = known.region_code
                and outlook.data_source = known.data_source
        cross join lateral (
            select
                max((outlook.point[step.number] - step.usual) / step.deviation) as point,
                max((outlook.lower[step.number] - step.usual) / step.deviation) as lower,
                max((outlook.upper[step.number] - step.usual) / step.deviation) as upper,
                avg(step.usual) as usual,
                avg(step.deviation) as deviation
            from (
                select
                    hour.number,
                    expected.usual,
                    case
                        when known.state is null then outlook.deviation
                        else sqrt(private.usual_variance(known.state, expected.usual))
                    end as deviation
                from generate_series(outlook.first_step, cardinality(outlook.point)) as hour (number)
                cross join lateral (
                    select
                        case
                            when known.state is null then outlook.usual
                            -- The first of these hours is midnight in Korea.
                            else private.usual_mentions(known.state, hour.number - outlook.first_step)
                        end as usual
                    offset 0
                ) as expected
            ) as step
        ) as high
    ),

    corrected as (
        select
            foretold.*,
            least(greatest(coalesce(foretold.raw_score + lesson.missed[2], foretold.raw_score), 0), 1) as score,
            least(greatest(coalesce(foretold.raw_score + lesson.missed[1], foretold.raw_lower), 0), 1) as low,
            least(greatest(coalesce(foretold.raw_score + lesson.missed[3], foretold.raw_upper), 0), 1) as high,
            lesson.missed is not null as is_corrected
        from foretold
        left join lesson on (foretold.raw_score > 0) = lesson.is_strong
    ),

    -- Of several sources the one that says most.
    news as (
        select distinct on (corrected.region_code, corrected.keyword)
            corrected.*,
            coalesce(
                (
                    select max(trend.trend_score)
                    from public.trending_keywords as trend
                    where
                        trend.keyword = corrected.keyword
                        and trend.region_code = corrected.region_code
                        and trend.detected_at >= today::timestamp at time zone 'Asia/Seoul'
                        and trend.detected_at <= forecast_trends.at
                ),
                0
            ) as score_today
        from corrected
        order by
            corrected.region_code,
            corrected.keyword,
            corrected.score desc,
            corrected.data_source
    ),

    written as (
        insert into public.trend_predictions as stored (
            keyword,
            region_code,
            prediction_date,
            predicted_for_date,
            predicted_score,
            confidence_interval,
            confidence_level,
            model_version,
            features_used
        )
        select
            news.keyword,
            news.region_code,
            today,
            today + 1,
            news.score::numeric(5, 4),
            numrange(news.low::numeric(5, 4), news.high::numeric(5, 4), '[]'),
            0.80,
            version,
            jsonb_build_object(
                'data_source', news.data_source,
                'newest_hour', news.newest,
                'hours', cardinality(news.series),
                'methods', news.methods,
                'usual', round(news.usual::numeric, 3),
                'deviation', round(news.deviation::numeric, 3),
                'raw_score', round(news.raw_score::numeric, 4),
                'score_today', round(news.score_today::numeric, 4),
                'corrected', news.is_corrected
            )
        from news
        order by
            news.region_code,
            news.keyword
        on conflict on constraint one_prediction_a_day_and_model do update
            set
                predicted_score = excluded.predicted_score,
                confidence_interval = excluded.confidence_interval,
                confidence_level = excluded.confidence_level,
                features_used = excluded.features_used
            where stored.actual_score is null
        returning stored.id
    )

    select
        jsonb_build_object(
            'series', (select count(*) from outlook),
            'trends', (select count(*) from told),
            'predictions', (select count(*) from written)
        )
    into answer;
    return answer;
end
$$;
comment on function private.forecast_trends(timestamptz, integer) is
'Foretells peak and duration of the open trends, and tomorrow''s score in Korea of all tracked keywords. Said again it '
'replaces what it said that day. Returns how many series it read and what it wrote.';

create function private.score_predictions(
    day date default private.korean_day() - 1,
    batch integer default 50000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    scored_count integer;
begin
    with due as materialized (
        select
            prediction.id,
            prediction.keyword,
            prediction.region_code,
            prediction.predicted_for_date
        from public.trend_predictions as prediction
        where
            prediction.actual_score is null
            and prediction.predicted_for_date <= least(score_predictions.day, private.korean_day() - 1)
            and prediction.predicted_for_date > score_predictions.day - 28
        order by
            prediction.predicted_for_date,
            prediction.region_code,
            prediction.keyword
        limit score_predictions.batch
        for update skip locked
    ),

    -- A day in which nobody looked proves nothing.
    watched as materialized (
        select
            span.region_code,
            span.predicted_for_date,
            span.starts_at,
            span.starts_at + interval '24 hours' as ends_at
        from (
            select distinct
                due.region_code,
                due.predicted_for_date,
                due.predicted_for_date::timestamp at time zone 'Asia/Seoul' as starts_at
            from due
        ) as span
        where
            exists (
                select
                from private.keyword_signals as signal
                where
                    signal.region_code = span.region_code
                    and signal.bucket >= span.starts_at
                    and signal.bucket < span.starts_at + interval '24 hours'
            )
    ),

    seen as (
        select
            watched.region_code,
            watched.predicted_for_date,
            trend.keyword,
            max(trend.trend_score) as score
        from watched
        inner join public.trending_keywords as trend
            on
                watched.region_code = trend.region_code
                and trend.detected_at >= watched.starts_at
                -- A trend that was told again after midnight was there before.
                and least(trend.created_at, trend.detected_at) < watched.ends_at
        group by
            watched.region_code,
            watched.predicted_for_date,
            trend.keyword
    ),

    scored as (
        update public.trend_predictions as stored
        set actual_score = coalesce(seen.score, 0)::numeric(5, 4)
        from due
        inner join watched
            on
                due.region_code = watched.region_code
                and due.predicted_for_date = watched.predicted_for_date
        left join seen
            on
                due.region_code = seen.region_code
                and due.predicted_for_date = seen.predicted_for_date
                and due.keyword = seen.keyword
        where stored.id = due.id
        returning stored.id
    )

    select count(*)
    into scored_count
    from scored;
    return jsonb_build_object('scored', scored_count);
end
$$;
comment on function private.score_predictions(date, integer) is
'Writes what came beside what was foretold, for days in Korea that are over, up to the given one and 28 days back: the '
'highest trend score of the day, 0 where detection looked and found none. Days without any signal stay open.';

create view public.forecast_accuracy
with (security_invoker = true)
as
select
    prediction.predicted_for_date,
    prediction.region_code,
    prediction.model_version,
    prediction.predicted_for_date - prediction.prediction_date as days_ahead,
    count(*) as predictions,
    round(avg(prediction.prediction_error), 4) as mean_error,
    round(
        sum(prediction.prediction_error) filter (where prediction.features_used ? 'score_today')
        / nullif(
            sum(abs(prediction.actual_score - (prediction.features_used ->> 'score_today')::numeric)),
            0
        ),
        4
    ) as mase,
    round(avg((prediction.confidence_interval @> prediction.actual_score)::integer), 4) as coverage,
    round(avg(prediction.confidence_level), 2) as confidence_level
from public.trend_predictions as prediction
where prediction.actual_score is not null
group by
    prediction.predicted_for_date,
    prediction.region_code,
    prediction.model_version,
    prediction.predicted_for_date - prediction.prediction_date;
comment on view public.forecast_accuracy is
'How good the forecasts were, by day, region and model: for premium and up, as the forecasts themselves.';
comment on column public.forecast_accuracy.predicted_for_date is 'Day in Korea that was foretold.';
comment on column public.forecast_accuracy.region_code is 'ISO 3166 code of the region.';
comment on column public.forecast_accuracy.model_version is 'Which model said so.';
comment on column public.forecast_accuracy.days_ahead is 'How many days before.';
comment on column public.forecast_accuracy.predictions is 'Forecasts that have been scored.';
comment on column public.forecast_accuracy.mean_error is 'Mean distance between forecast and score, 0 to 1.';
comment on column public.forecast_accuracy.mase is
'The error in units of what "tomorrow as today" would have missed: below 1 is better than that. Null where it missed '
'nothing.';
comment on column public.forecast_accuracy.coverage is 'Share of scores that came to lie in their interval, 0 to 1.';
comment on column public.forecast_accuracy.confidence_level is 'Share that should.';
