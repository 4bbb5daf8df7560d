-- Promises that what is detected is written as a trend once, that asking again changes nothing, and that what expires
-- is closed.

create function private.expire_trends(
    at timestamptz default now(),
    most integer default 10000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    with expired as materialized (
        select trend.id
        from public.trending_keywords as trend
        where
            trend.closed_at is null
            and trend.expires_at <= expire_trends.at
        order by
            trend.keyword,
            trend.region_code,
            trend.data_source
        limit expire_trends.most
        -- What detection writes right now is its own to close.
        for update skip locked
    ),

    closed as (
        update public.trending_keywords as stored
        set closed_at = stored.expires_at
        from expired
        where stored.id = expired.id
        returning stored.id
    )

    select jsonb_build_object('closed', count(*))
    from closed
$$;
comment on function private.expire_trends(timestamptz, integer) is
'Closes trends that have expired, when they did: a batch. Returns how many. Their rows stay, as history.';

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
    cut_count integer;
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

    cut_count := (private.fold_keyword_states(detect_trends.at, detect_trends.region) ->> 'cut')::integer;
    if not private.has_untested_bins(detect_trends.at, detect_trends.region) then
        return jsonb_build_object(
            'at', detect_trends.at,
            'region', detect_trends.region,
            'tested', 0,
            'found', 0,
            'notified', 0,
            'cut', cut_count
        );
    end if;

    with tested as materialized (
        select *
        from private.tested_bins(detect_trends.at, detect_trends.region)
    ),

    -- Several detectors may see the same: the surest one tells it.
    detected as (
        select distinct on (seen.keyword, seen.region_code, seen.data_source)
            seen.*
        from private.detected(detect_trends.at, detect_trends.region) as seen
        where seen.is_trend
        order by
            seen.keyword asc,
            seen.region_code asc,
            seen.data_source asc,
            seen.q_value asc,
            seen.detector asc
    ),

    -- For a day only twice the record is news: a burst that lasts is told once.
    found as materialized (
        select detected.*
        from detected
        where
            not exists (
                select
                from public.trending_keywords as earlier
                where
                    earlier.keyword = detected.keyword
                    and earlier.region_code = detected.region_code
                    and earlier.data_source = detected.data_source
                    and earlier.detected_at < detect_trends.at
                    and earlier.detected_at > detect_trends.at - interval '24 hours'
                    and 2 * earlier.z_score >= detected.z_score
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
                from private.observed_bins as observed
                where
                    newest.region_code = observed.region_code
                    and newest.data_source = observed.data_source
                    and observed.bin_seconds = 3600
                    and hour.bucket = observed.bucket
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

    -- Most runs find nothing, and ask nothing then.
    asked as materialized (
        select
            array_agg(distinct found.keyword) as different_keywords,
            array_agg(found.keyword) as keywords,
            array_agg(found.data_source) as data_sources,
            array_agg(found.bucket) as buckets
        from found
        having count(*) > 0
    ),

    companions as materialized (
        select companion.*
        from asked
        cross join lateral private.trend_companions(asked.different_keywords) as companion
    ),

    popularity as materialized (
        select popular.*
        from asked
        cross join lateral private.regional_popularity(asked.keywords, asked.data_sources, asked.buckets) as popular
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
            category,
            related_keywords,
            regional_popularity,
            source_confidence,
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
            1 - exp(-least(found.z_score / 3, 700)),
            found.z_score,
            found.p_value,
            found.q_value,
            found.mentions,
            100 * (found.mentions - found.usual_mentions) / greatest(found.usual_mentions, 1),
            companions.category,
            companions.related_keywords,
            coalesce(popularity.popularity, '{"KR": 0.0, "US": 0.0, "JP": 0.0, "global": 0.0}'),
            coalesce(source.confidence, 0),
            hourly_series.hourly,
            daily_series.daily,
            interval '28 days',
            found.model_version,
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
        left join companions on found.keyword = companions.keyword
        left join popularity
            on
                found.keyword = popularity.keyword
                and found.data_source = popularity.data_source
                and found.bucket = popularity.bucket
        left join private.trend_sources as source on found.data_source = source.data_source
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
                -- Runs are five minutes apart: of what is closer an hour's change cannot be told.
                velocity = (excluded.trend_score - stored.trend_score)
                / greatest(extract(epoch from excluded.detected_at - stored.detected_at) / 3600, 1 / 12.0),
                category = coalesce(excluded.category, stored.category),
                related_keywords = coalesce(excluded.related_keywords, stored.related_keywords),
                regional_popularity = excluded.regional_popularity,
                source_confidence = excluded.source_confidence,
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
        (select coalesce(sum(tested.keywords), 0) from tested),
        (select count(*) from found),
        (select array_agg(written.dedupe_key) from written)
    into
        tested_count,
        found_count,
        written_keys;

    -- What was tested is not tested again before something new comes.
    update private.state_positions as position
    set tested_bucket = position.newest_bucket
    from private.tested_bins(detect_trends.at, detect_trends.region) as done
    where
        position.region_code = done.region_code
        and position.data_source = done.data_source
        and position.bin_seconds = 3600
        and done.is_newest;

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
        'notified', notified_count,
        'cut', cut_count
    );
end
$$;
comment on function public.detect_trends(timestamptz, text) is
'Tests the newest hour before the given time and writes what bursts as open trends. Returns how many keywords were '
'tested, found and told to webhooks, and how many of a flood of new ones were cut: no state is kept of them.';
