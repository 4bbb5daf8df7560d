-- Promises that a trend is a burst that chance does not explain, told once, and that asking again changes nothing.

create function private.test_bursts(
    at timestamptz,
    region text
)
returns table (
    keyword text,
    region_code text,
    data_source text,
    detector text,
    bucket timestamptz,
    mentions integer,
    usual_mentions double precision,
    z_score double precision,
    p_value double precision,
    q_value double precision
)
stable
security invoker
set search_path = pg_catalog, pg_temp
-- The plan counts months that are skipped when it runs: compiling for their sake takes longer than the whole run.
set jit = off
language sql
as $$
    with tested_bucket as (
        select
            signal.region_code,
            signal.data_source,
            max(signal.bucket) as bucket
        from private.keyword_signals as signal
        where
            signal.bucket <= test_bursts.at
            and signal.bucket > test_bursts.at - interval '2 hours'
            and (test_bursts.region is null or signal.region_code = test_bursts.region)
        group by
            signal.region_code,
            signal.data_source
    ),

    -- An hour in which the source saw anything was observed: what is absent from it was seen 0 times.
    observed as materialized (
        select
            tested_bucket.region_code,
            tested_bucket.data_source,
            signal.bucket,
            -- Yesterday counts half as much as today: charts drift with the day's subjects.
            exp(
                -ln(2.0::double precision)
                * extract(epoch from tested_bucket.bucket - signal.bucket)::double precision / 172800
            ) as weight
        from tested_bucket
        inner join private.keyword_signals as signal
            on
                tested_bucket.region_code = signal.region_code
                and tested_bucket.data_source = signal.data_source
                and signal.bucket < tested_bucket.bucket
                and signal.bucket >= tested_bucket.bucket - interval '7 days'
                -- The same again for the planner, which skips whole months only by what it knows beforehand.
                and signal.bucket >= test_bursts.at - interval '8 days'
                and signal.bucket < test_bursts.at
        group by
            tested_bucket.region_code,
            tested_bucket.data_source,
            tested_bucket.bucket,
            signal.bucket
    ),

    total as (
        select
            observed.region_code,
            observed.data_source,
            sum(observed.weight) as weight
        from observed
        group by
            observed.region_code,
            observed.data_source
        having count(*) >= 8
    ),

    tested as materialized (
        select
            signal.keyword,
            signal.region_code,
            signal.data_source,
            signal.bucket,
            signal.mentions,
            total.weight
        from tested_bucket
        inner join total
            on
                tested_bucket.region_code = total.region_code
                and tested_bucket.data_source = total.data_source
        inner join private.keyword_signals as signal
            on
                tested_bucket.region_code = signal.region_code
                and tested_bucket.data_source = signal.data_source
                and tested_bucket.bucket = signal.bucket
                and signal.bucket > test_bursts.at - interval '2 hours'
                and signal.bucket <= test_bursts.at
        where signal.mentions > 0
    ),

    history as (
        select
            signal.region_code,
            signal.data_source,
            signal.keyword,
            sum(observed.weight * signal.mentions) as weighted_sum,
            sum(observed.weight * signal.mentions * signal.mentions) as weighted_squares
        from observed
        -- "offset" makes it one look-up an hour in that hour's partition; a merge would read all hours for each.
        cross join lateral (
            select stored.*
            from private.keyword_signals as stored
            where
                observed.region_code = stored.region_code
                and observed.data_source = stored.data_source
                and observed.bucket = stored.bucket
            offset 0
        ) as signal
        group by
            signal.region_code,
            signal.data_source,
            signal.keyword
    ),

    baseline as (
        select
            tested.*,
            coalesce(history.weighted_sum / tested.weight, 0) as mean,
            coalesce(history.weighted_squares / tested.weight, 0) as mean_square
        from tested
        left join history
            on
                tested.region_code = history.region_code
                and tested.data_source = history.data_source
                and tested.keyword = history.keyword
    ),

    scored as (
        select
            baseline.*,
            (baseline.mentions - baseline.mean) / sqrt(
                -- Never less than a count's own chance variation. And a silent past is not a certain one: what was
                -- absent from ten observed hours may well come at 0.3 an hour (the rule of three).
                greatest(baseline.mean_square - baseline.mean * baseline.mean, baseline.mean, 0.3)
            ) as z_score
        from baseline
    ),

    ranked as (
        select
            scored.*,
            0.5 * erfc(scored.z_score / sqrt(2.0::double precision)) as p_value,
            row_number() over (
                partition by scored.region_code, scored.data_source
                order by scored.z_score desc
            ) as place,
            count(*) over (partition by scored.region_code, scored.data_source) as tests
        from scored
    )

    select
        ranked.keyword,
        ranked.region_code,
        ranked.data_source,
        'burst' as detector,
        ranked.bucket,
        ranked.mentions,
        ranked.mean as usual_mentions,
        ranked.z_score,
        ranked.p_value,
        -- Benjamini and Hochberg: the share of false alarms if everything down to this place were called a trend.
        least(
            min(ranked.p_value * ranked.tests / ranked.place) over (
                partition by ranked.region_code, ranked.data_source
                order by ranked.place desc
            ),
            1.0
        ) as q_value
    from ranked
$$;
comment on function private.test_bursts(timestamptz, text) is
'Every keyword of the newest hour, tested against its last 7 days of observed hours in the same region and source.';

create function public.detect_trends(
    at timestamptz default now(),
    region text default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
-- The hours of a week are guessed large: to compile the statement takes longer than to run it.
set jit = off
language plpgsql
as $$
declare
    tested_count integer;
    found_count integer;
    notified_count integer;
    written_keys text[];
begin
    if not isfinite(detect_trends.at) then
        raise exception using
            errcode = 'PT400',
            message = 'The time to detect for is infinite.',
            hint = 'Send a moment, or nothing for now.';
    end if;
    if detect_trends.region <> all(private.region_codes()) then
        raise exception using
            errcode = 'PT400',
            message = 'The region is unknown.',
            detail = format('region is %s.', left(detect_trends.region, 100)),
            hint = 'Send an ISO 3166 code of two capital letters, or nothing for all regions.';
    end if;

    -- An expired trend is over: what bursts after it is a new one.
    update public.trending_keywords as stored
    set closed_at = stored.expires_at
    where
        stored.closed_at is null
        and stored.expires_at <= detect_trends.at
        and (detect_trends.region is null or stored.region_code = detect_trends.region);

    with tested as materialized (
        select *
        from private.test_bursts(detect_trends.at, detect_trends.region)
    ),

    -- For a day only a new record is news: a burst that lasts is told once.
    found as materialized (
        select tested.*
        from tested
        where
            tested.q_value <= 0.05
            and tested.mentions >= 3
            and not exists (
                select
                from public.trending_keywords as earlier
                where
                    earlier.keyword = tested.keyword
                    and earlier.region_code = tested.region_code
                    and earlier.data_source = tested.data_source
                    and earlier.detected_at < detect_trends.at
                    and earlier.detected_at > detect_trends.at - interval '24 hours'
                    and earlier.z_score >= tested.z_score
            )
    ),

    -- Each hour of the 7 days in Korea that end with the tested hour, and whether anybody looked in it.
    last_week as materialized (
        select
            newest.region_code,
            newest.data_source,
            hour.bucket,
            extract(epoch from newest.bucket - hour.bucket) / 3600 as hours_back,
            private.korean_day(newest.bucket) - private.korean_day(hour.bucket) as days_back,
            exists (
                select
                from private.keyword_signals as signal
                where
                    newest.region_code = signal.region_code
                    and newest.data_source = signal.data_source
                    and hour.bucket = signal.bucket
                    and signal.bucket between detect_trends.at - interval '9 days' and detect_trends.at
            ) as is_observed
        from (
            select distinct
                found.region_code,
                found.data_source,
                found.bucket
            from found
        ) as newest
        cross join lateral generate_series(
            date_trunc('day', newest.bucket, 'Asia/Seoul') - interval '144 hours',
            newest.bucket,
            interval '1 hour'
        ) as hour (bucket)
    ),

    -- What is absent from an hour that was observed was seen 0 times; of the others nobody knows.
    observations as materialized (
        select
            found.keyword,
            found.region_code,
            found.data_source,
            last_week.hours_back,
            last_week.days_back,
            case when last_week.is_observed then coalesce(seen.mentions, 0) end as mentions
        from found
        inner join last_week
            on
                found.region_code = last_week.region_code
                and found.data_source = last_week.data_source
        -- "offset" makes it one look-up an hour; a join would read all other keywords of the week too.
        left join lateral (
            select signal.mentions
            from private.keyword_signals as signal
            where
                found.region_code = signal.region_code
                and found.data_source = signal.data_source
                and last_week.bucket = signal.bucket
                and found.keyword = signal.keyword
                and signal.bucket between detect_trends.at - interval '9 days' and detect_trends.at
            offset 0
        ) as seen on last_week.is_observed
    ),

    daily_series as (
        select
            day.keyword,
            day.region_code,
            day.data_source,
            jsonb_agg(day.mentions order by day.days_back desc) as daily
        from (
            select
                observations.keyword,
                observations.region_code,
                observations.data_source,
                observations.days_back,
                sum(observations.mentions) as mentions
            from observations
            group by
                observations.keyword,
                observations.region_code,
                observations.data_source,
                observations.days_back
        ) as day
        group by
            day.keyword,
            day.region_code,
            day.data_source
    ),

    hourly_series as (
        select
            observations.keyword,
            observations.region_code,
            observations.data_source,
            jsonb_agg(observations.mentions order by observations.hours_back desc) as hourly
        from observations
        where observations.hours_back < 24
        group by
            observations.keyword,
            observations.region_code,
            observations.data_source
    ),

    written as (
        insert into public.trending_keywords as stored (
            keyword,
            region_code,
            data_source,
            trend_score,
            z_score,
            p_value,
            q_value,
            search_volume,
            growth_rate,
            hourly_trend_data,
            daily_trend_data,
            detection_window,
            model_version,
            detected_at,
            expires_at
        )
        select
            found.keyword,
            found.region_code,
            found.data_source,
            1 - exp(-found.z_score / 3),
            found.z_score,
            found.p_value,
            found.q_value,
            found.mentions,
            100 * (found.mentions - found.usual_mentions) / greatest(found.usual_mentions, 1),
            hourly_series.hourly,
            daily_series.daily,
            interval '7 days',
            'skeleton-1',
            detect_trends.at,
            detect_trends.at + interval '4 hours'
        from found
        inner join hourly_series
            on
                found.keyword = hourly_series.keyword
                and found.region_code = hourly_series.region_code
                and found.data_source = hourly_series.data_source
        inner join daily_series
            on
                found.keyword = daily_series.keyword
                and found.region_code = daily_series.region_code
                and found.data_source = daily_series.data_source
        -- Time only moves forward: a replay of the past finds its trends already told.
        where
            not exists (
                select
                from public.trending_keywords as later
                where
                    later.keyword = found.keyword
                    and later.region_code = found.region_code
                    and later.data_source = found.data_source
                    and later.detected_at >= detect_trends.at
            )
        order by
            found.keyword,
            found.region_code,
            found.data_source
        on conflict (keyword, region_code, data_source) where closed_at is null do update
            set
                trend_score = excluded.trend_score,
                z_score = excluded.z_score,
                p_value = excluded.p_value,
                q_value = excluded.q_value,
                search_volume = excluded.search_volume,
                growth_rate = excluded.growth_rate,
                hourly_trend_data = excluded.hourly_trend_data,
                daily_trend_data = excluded.daily_trend_data,
                detection_window = excluded.detection_window,
                model_version = excluded.model_version,
                detected_at = excluded.detected_at,
                expires_at = excluded.expires_at
            where stored.detected_at < excluded.detected_at
        returning private.trend_dedupe_key(stored.keyword, stored.region_code, stored.detected_at) as dedupe_key
    )

    select
        (select count(*) from tested),
        (select count(*) from found),
        (select array_agg(written.dedupe_key) from written)
    into
        tested_count,
        found_count,
        written_keys;

    -- The triggers on the table have written the outbox by now, in this same transaction.
    select count(*)
    into notified_count
    from ops.outbox as event
    where
        event.event_type = 'trend.detected'
        and event.dedupe_key = any(written_keys)
        and event.created_at = now();

    return jsonb_build_object(
        'at', detect_trends.at,
        'region', detect_trends.region,
        'tested', tested_count,
        'found', found_count,
        'notified', notified_count
    );
end
$$;
comment on function public.detect_trends(timestamptz, text) is
'Tests the newest hour before the given time and writes what bursts as open trends. Returns how many keywords were '
'tested, found and told to webhooks.';
