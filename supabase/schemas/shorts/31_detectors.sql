-- Promises that a trend is more than chance explains: detectors of one row shape, their false alarms controlled over
-- each run, and no trend made by a single channel.

create table private.detector_settings (
    detector text not null,
    bin_seconds integer not null,
    version text not null,
    least_z double precision not null,
    most_q double precision not null,
    least_mentions integer not null,
    least_usual double precision not null,
    primary key (detector, bin_seconds),
    constraint bin_seconds_is_positive check (bin_seconds > 0),
    constraint most_q_is_a_fraction check (most_q between 0 and 1),
    constraint least_usual_is_positive check (least_usual > 0)
);
alter table private.detector_settings enable row level security;
comment on table private.detector_settings is
'What each detector asks of a trend, by the width of a bin; how it was calibrated is in docs/detect.md.';
comment on column private.detector_settings.version is 'The model_version of its trends: a new one for new settings.';
comment on column private.detector_settings.least_z is 'Standard deviations above the usual count.';
comment on column private.detector_settings.most_q is 'The share of false alarms that a run may promise.';
comment on column private.detector_settings.least_mentions is 'Mentions in the bin itself.';
comment on column private.detector_settings.least_usual is
'What is taken for usual at least: what was never seen is not known to be absent.';
insert into private.detector_settings (detector, bin_seconds, version, least_z, most_q, least_mentions, least_usual)
values
('burst', 3600, 'burst-1', 6, 0.05, 3, 0.4),
('burst', 300, 'burst-1', 9, 0.05, 3, 0.4),
('new', 3600, 'burst-1', 6, 0.05, 3, 0.4),
('spread', 3600, 'burst-1', 3, 0.05, 2, 0.4);

create function private.ln_gamma(x double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    shifted double precision := x;
    product double precision := 1;
begin
    -- Stirling's series is good to 1e-13 from 10 on.
    while shifted < 10 loop
        product := product * shifted;
        shifted := shifted + 1;
    end loop;
    return (shifted - 0.5) * ln(shifted) - shifted + 0.918938533204672742
        + (1 - (1 - (1 - 0.75 / shifted ^ 2) / (3.5 * shifted ^ 2)) / (30 * shifted ^ 2)) / (12 * shifted)
        - ln(product);
end
$$;
comment on function private.ln_gamma(double precision) is 'The logarithm of the gamma function, for x above 0.';

create function private.beta_fraction(a double precision, b double precision, x double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    tiny constant double precision := 1e-300;
    c double precision := 1;
    d double precision := 1 - (a + b) * x / (a + 1);
    result double precision;
    factor double precision;
begin
    d := 1 / case when abs(d) < tiny then tiny else d end;
    result := d;
    for m in 1..2000 loop
        factor := m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d := 1 + factor * d;
        d := 1 / case when abs(d) < tiny then tiny else d end;
        c := 1 + factor / c;
        c := case when abs(c) < tiny then tiny else c end;
        result := result * d * c;
        factor := -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d := 1 + factor * d;
        d := 1 / case when abs(d) < tiny then tiny else d end;
        c := 1 + factor / c;
        c := case when abs(c) < tiny then tiny else c end;
        result := result * d * c;
        exit when abs(d * c - 1) < 1e-10;
    end loop;
    return result;
end
$$;
comment on function private.beta_fraction(double precision, double precision, double precision) is
'The continued fraction of the incomplete beta function (Lentz), for x below (a + 1) / (a + b + 2).';

create function private.count_tail(count double precision, mean double precision, variance double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    -- Nearly no more than its own chance variation: the negative binomial is a Poisson distribution then.
    excess double precision := greatest(variance / mean - 1, 1e-5);
    size double precision := mean / excess;
    x double precision := excess / (1 + excess);
    chance double precision;
begin
    chance := private.ln_gamma(count + size) - private.ln_gamma(size) - private.ln_gamma(count + 1)
        - size * ln(1 + excess) + count * ln(x);
    -- Postgres refuses what a number cannot hold instead of taking it for 0.
    if chance < -700 then
        return case when count > mean then 0 else 1 end;
    end if;
    chance := exp(chance);
    if count = 0 then
        return 1 - chance / 2;
    end if;
    if x < (count + 1) / (count + size + 2) then
        return greatest(chance * (private.beta_fraction(count, size, x) - 0.5), 0);
    end if;
    return 1 - chance * (count / size * private.beta_fraction(size, count, 1 - x) + 0.5);
end
$$;
comment on function private.count_tail(double precision, double precision, double precision) is
'The chance of a count as high as this one or higher (half of the chance of exactly this one: mid-p), when counts are '
'negative binomial with this mean and variance.';

create function private.burst_p(
    count double precision,
    usual double precision,
    variance double precision,
    least_usual double precision
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        private.count_tail(
            burst_p.count,
            greatest(burst_p.usual, burst_p.least_usual),
            greatest(burst_p.variance, burst_p.usual, burst_p.least_usual)
        )
$$;
comment on function private.burst_p(double precision, double precision, double precision, double precision) is
'The chance of a count as high where the usual one is this, or the least that is taken for usual.';

create function private.tested_bins(at timestamptz, region text)
returns table (
    region_code text,
    data_source text,
    bucket timestamptz,
    keywords integer,
    earlier_bins integer,
    slots integer[],
    is_newest boolean
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select -- noqa: ST06
        tested.region_code,
        tested.data_source,
        tested.bucket,
        tested.keywords,
        history.earlier_bins,
        history.slots,
        tested.bucket = position.newest_bucket as is_newest
    from (
        select distinct on (observed.region_code, observed.data_source)
            observed.*
        from private.observed_bins as observed
        where
            observed.bin_seconds = 3600
            and observed.bucket <= tested_bins.at
            and observed.bucket > tested_bins.at - interval '2 hours'
            and (tested_bins.region is null or observed.region_code = tested_bins.region)
        order by
            observed.region_code asc,
            observed.data_source asc,
            observed.bucket desc
    ) as tested
    inner join private.state_positions as position
        on
            tested.region_code = position.region_code
            and tested.data_source = position.data_source
            and tested.bin_seconds = position.bin_seconds
    cross join lateral (
        select
            count(*)::integer as earlier_bins,
            array_agg(distinct extract(hour from earlier.bucket at time zone 'Asia/Seoul')::integer) as slots
        from private.observed_bins as earlier
        where
            tested.region_code = earlier.region_code
            and tested.data_source = earlier.data_source
            and tested.bin_seconds = earlier.bin_seconds
            and earlier.bucket < tested.bucket
            and earlier.bucket >= tested.bucket - interval '28 days'
    ) as history
    -- Less is no history.
    where history.earlier_bins >= 8
$$;
comment on function private.tested_bins(timestamptz, text) is
'The newest hour of each region and source that has a history, if it is no older than two hours.';

create function private.has_untested_bins(at timestamptz, region text)
returns boolean
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        exists (
            select
            from private.tested_bins(has_untested_bins.at, has_untested_bins.region) as tested
            inner join private.state_positions as position
                on
                    tested.region_code = position.region_code
                    and tested.data_source = position.data_source
                    and position.bin_seconds = 3600
            where position.tested_bucket is distinct from tested.bucket
        )
$$;
comment on function private.has_untested_bins(timestamptz, text) is
'Whether a signal came since the newest hours were tested, or the time asked for is past.';

create function private.score_keywords(
    at timestamptz,
    region text,
    is_known boolean,
    keywords text[]
)
returns table (
    keyword text,
    region_code text,
    data_source text,
    bucket timestamptz,
    mentions integer,
    usual_mentions double precision,
    variance double precision,
    z_score double precision,
    earlier_bins integer,
    is_new boolean
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
-- Rows are many and hours few, which the planner cannot know: it would sort all of them.
set enable_mergejoin = off
language sql
as $$
    with bin as materialized (
        select
            tested.*,
            -- By a number rows are joined and sorted several times quicker than by letters.
            row_number() over ()::integer as number,
            extract(hour from tested.bucket at time zone 'Asia/Seoul')::integer as slot,
            -- What has no past was silent in all of it.
            private.silent_state(tested.slots, tested.earlier_bins) as silent_state,
            array(
                select cut.bucket
                from private.observed_bins as cut
                where
                    tested.region_code = cut.region_code
                    and tested.data_source = cut.data_source
                    and cut.bin_seconds = 3600
                    and cut.bucket < tested.bucket
                    and cut.bucket >= tested.bucket - interval '28 days'
                    and cut.is_cut
            ) as cut_buckets
        from private.tested_bins(score_keywords.at, score_keywords.region) as tested
    ),

    candidate as materialized (
        select
            signal.keyword::text as keyword,
            bin.number,
            signal.mentions
        from bin
        cross join lateral (
            select
                stored.keyword,
                stored.mentions
            from private.keyword_signals as stored
            where
                stored.region_code = bin.region_code
                and stored.data_source = bin.data_source
                and stored.bucket = bin.bucket
                and stored.bucket > score_keywords.at - interval '2 hours'
                and stored.bucket <= score_keywords.at
                and stored.mentions >= 3
            -- Of a flood those that are mentioned most; the others only lower the chances of all.
            order by stored.mentions desc
            limit 50000
        ) as signal
        where score_keywords.keywords is null
        union all
        select
            wanted.keyword,
            bin.number,
            signal.mentions
        from unnest(score_keywords.keywords) as wanted (keyword)
        cross join bin
        -- "offset" makes it one look-up each; a join would read all other keywords of the hour too.
        cross join lateral (
            select stored.mentions
            from private.keyword_signals as stored
            where
                stored.region_code = bin.region_code
                and stored.data_source = bin.data_source
                and stored.bucket = bin.bucket
                and stored.keyword = wanted.keyword
                and stored.bucket > score_keywords.at - interval '2 hours'
                and stored.bucket <= score_keywords.at
                and stored.mentions > 0
            offset 0
        ) as signal
    ),

    -- Of an hour that is past the states are gone: they are computed for these few keywords.
    replayed as materialized (
        select
            bin.number,
            replay.keyword,
            replay.last_bucket,
            replay.state
        from bin
        cross join lateral private.replay_keywords(
            bin.region_code,
            bin.data_source,
            (
                select array_agg(candidate.keyword)
                from candidate
                where candidate.number = bin.number
            ),
            bin.bucket
        ) as replay
        where not bin.is_newest
    ),

    known as materialized (
        select
            candidate.keyword,
            candidate.number,
            candidate.mentions,
            bin.cut_buckets,
            -- A state from before all that is looked back on is forgotten.
            case
                when coalesce(stored.last_bucket, replayed.last_bucket) >= bin.bucket - interval '28 days'
                    then coalesce(stored.last_bucket, replayed.last_bucket)
            end as last_bucket,
            coalesce(stored.state, replayed.state) as state
        from candidate
        inner join bin on candidate.number = bin.number
        left join lateral (
            select
                kept.last_bucket,
                kept.state
            from private.keyword_states as kept
            where
                kept.region_code || ' ' || kept.data_source || ' ' || kept.keyword
                = bin.region_code || ' ' || bin.data_source || ' ' || candidate.keyword
                and kept.region_code = bin.region_code
                and kept.data_source = bin.data_source
                and kept.bin_seconds = 3600
                and kept.keyword = candidate.keyword
            offset 0
        ) as stored on bin.is_newest
        left join replayed
            on
                candidate.number = replayed.number
                and candidate.keyword = replayed.keyword
    ),

    -- How many hours were observed since each of the hours that states end with.
    silence as materialized (
        select
            ended.number,
            ended.last_bucket,
            (
                select count(*)::integer
                from private.observed_bins as observed
                where
                    observed.region_code = bin.region_code
                    and observed.data_source = bin.data_source
                    and observed.bin_seconds = 3600
                    and observed.bucket > ended.last_bucket
                    and observed.bucket < bin.bucket
            ) as bins
        from (
            select distinct
                known.number,
                known.last_bucket
            from known
            where known.last_bucket is not null
        ) as ended
        inner join bin on ended.number = bin.number
    ),

    -- Where an hour was cut, who has no state may have been there; the more such hours, the fewer are looked for.
    doubtful as materialized (
        select
            unsure.number,
            unsure.keyword
        from (
            select
                known.number,
                known.keyword,
                known.cut_buckets,
                row_number() over (
                    partition by known.number
                    order by known.mentions desc
                ) as place
            from known
            where
                known.last_bucket is null
                and cardinality(known.cut_buckets) > 0
        ) as unsure
        inner join bin on unsure.number = bin.number
        where
            unsure.place > greatest(1000, 50000 / (1 + cardinality(unsure.cut_buckets)))
            or exists (
                select
                from unnest(unsure.cut_buckets) as cut (bucket)
                cross join lateral (
                    select
                    from private.keyword_signals as seen
                    where
                        seen.region_code = bin.region_code
                        and seen.data_source = bin.data_source
                        and seen.bucket = cut.bucket
                        and seen.keyword = unsure.keyword
                        and seen.mentions > 0
                    offset 0
                ) as signal
            )
    ),

    stated as materialized (
        select
            known.keyword,
            known.number,
            known.mentions,
            known.last_bucket is null as is_new,
            case
                when known.last_bucket is null then bin.silent_state
                when silence.bins = 0 then known.state
                else private.state_after_silence(known.state, silence.bins, 1, 336)
            end as state_before
        from known
        inner join bin on known.number = bin.number
        left join silence
            on
                known.number = silence.number
                and known.last_bucket = silence.last_bucket
        where
            ((known.last_bucket is not null) = score_keywords.is_known or score_keywords.is_known is null)
            and (known.number, known.keyword) not in (
                select
                    doubtful.number,
                    doubtful.keyword
                from doubtful
            )
    ),

    -- The same as private.usual_mentions() and private.usual_variance(): thousands of calls would cost more than all else.
    expected as materialized (
        select
            stated.keyword,
            stated.number,
            stated.mentions,
            stated.is_new,
            (stated.state_before).bins = 0 as is_unknown,
            (stated.state_before).variance as own_variance,
            case
                when (stated.state_before).profile[bin.slot + 1] is not null
                    then
                        greatest(
                            (stated.state_before).profile[bin.slot + 1]::float8 + (stated.state_before).level,
                            0
                        )
                else private.usual_mentions(stated.state_before, bin.slot)
            end as usual_mentions
        from stated
        inner join bin on stated.number = bin.number
    )

    select
        expected.keyword,
        bin.region_code,
        bin.data_source,
        bin.bucket,
        expected.mentions,
        expected.usual_mentions,
        greatest(expected.own_variance, expected.usual_mentions, 0.3) as variance,
        case
            when expected.is_unknown then 0
            else
                (expected.mentions - expected.usual_mentions)
                / sqrt(greatest(expected.own_variance, expected.usual_mentions, 0.3))
        end as z_score,
        bin.earlier_bins,
        expected.is_new
    from expected
    inner join bin on expected.number = bin.number
$$;
comment on function private.score_keywords(timestamptz, text, boolean, text[]) is
'What was counted in the newest hour beside what its past makes usual: of these keywords, or of all that can become '
'trends; with a past (true), without (false) or either (null).';

create function private.detect_alone(at timestamptz, region text)
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
    evidence jsonb
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with scored as materialized (
        select *
        from private.score_keywords(detect_alone.at, detect_alone.region, null, null) as score
        -- The others have larger p-values, and no chance.
        where score.z_score >= 2
    )

    select
        scored.keyword,
        scored.region_code,
        scored.data_source,
        setting.detector,
        scored.bucket,
        scored.mentions,
        scored.usual_mentions,
        scored.z_score,
        private.burst_p(scored.mentions, scored.usual_mentions, scored.variance, setting.least_usual) as p_value,
        case
            when scored.is_new then jsonb_build_object('earlier_bins', scored.earlier_bins)
            else jsonb_build_object('variance', scored.variance, 'earlier_bins', scored.earlier_bins)
        end as evidence
    from scored
    inner join private.detector_settings as setting
        on
            setting.detector = case when scored.is_new then 'new' else 'burst' end
            and setting.bin_seconds = 3600
$$;
comment on function private.detect_alone(timestamptz, text) is
'What the detectors say that look at each region by itself: bursts of keywords with a past, and new ones.';

create function private.detect_bursts(at timestamptz, region text)
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
    evidence jsonb
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select alone.*
    from private.detect_alone(detect_bursts.at, detect_bursts.region) as alone
    where alone.detector = 'burst'
$$;
comment on function private.detect_bursts(timestamptz, text) is
'Keywords with a past that are mentioned more often in the newest hour than it makes usual at that hour of the day.';

create function private.detect_new_keywords(at timestamptz, region text)
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
    evidence jsonb
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select alone.*
    from private.detect_alone(detect_new_keywords.at, detect_new_keywords.region) as alone
    where alone.detector = 'new'
$$;
comment on function private.detect_new_keywords(timestamptz, text) is
'Keywords that rise from nothing: never seen in the 28 days before the newest hour.';

create function private.fisher_tail(sum_of_logs double precision, tests integer)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    -- Below e^-700 a number holds nothing more.
    half double precision := least(-sum_of_logs, 700);
    term double precision := exp(-half);
    total double precision := term;
begin
    for place in 1..tests - 1 loop
        term := term * half / place;
        total := total + term;
    end loop;
    return least(total, 1);
end
$$;
comment on function private.fisher_tail(double precision, integer) is
'Fisher''s chance of p-values whose logarithms have this sum: the tail of chi squared with twice as many degrees of '
'freedom as tests.';

create function private.detect_spread(at timestamptz, region text)
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
    evidence jsonb
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with bin as materialized (
        select *
        from private.tested_bins(detect_spread.at, null)
    ),

    -- Only what many regions mention at all is looked at closer.
    wanted as (
        select array_agg(distinct often.keyword) as keywords
        from (
            select signal.keyword::text as keyword
            from bin
            cross join lateral (
                select stored.keyword
                from private.keyword_signals as stored
                where
                    stored.region_code = bin.region_code
                    and stored.data_source = bin.data_source
                    and stored.bucket = bin.bucket
                    and stored.bucket > detect_spread.at - interval '2 hours'
                    and stored.bucket <= detect_spread.at
                    and stored.mentions >= 3
                offset 0
            ) as signal
            -- In fewer regions than three nothing spreads.
            where
                (
                    select count(*)
                    from bin as watched
                    where watched.data_source = bin.data_source
                ) >= 3
            group by
                bin.data_source,
                signal.keyword
            having count(*) >= 2
        ) as often
    ),

    scored as materialized (
        select
            score.*,
            private.burst_p(score.mentions, score.usual_mentions, score.variance, setting.least_usual) as own_p
        from wanted
        inner join private.detector_settings as setting
            on
                setting.detector = 'spread'
                and setting.bin_seconds = 3600
        cross join lateral private.score_keywords(detect_spread.at, null, null, wanted.keywords) as score
        where wanted.keywords is not null
    ),

    together as (
        select
            scored.keyword,
            scored.data_source,
            count(*) filter (where scored.z_score >= 3) as rising,
            jsonb_object_agg(scored.region_code, round(scored.z_score::numeric, 2)) as z_scores,
            -- Where it was not seen nothing speaks for it: such a region counts as a p-value of 1.
            private.fisher_tail(sum(ln(greatest(scored.own_p, 1e-300))), watched.regions) as p_value
        from scored
        inner join (
            select
                bin.data_source,
                count(*)::integer as regions
            from bin
            group by bin.data_source
        ) as watched on scored.data_source = watched.data_source
        group by
            scored.keyword,
            scored.data_source,
            watched.regions
    )

    select
        scored.keyword,
        scored.region_code,
        scored.data_source,
        'spread' as detector,
        scored.bucket,
        scored.mentions,
        scored.usual_mentions,
        scored.z_score,
        together.p_value,
        jsonb_build_object('regions', together.rising, 'z_scores', together.z_scores) as evidence
    from scored
    inner join together
        on
            scored.keyword = together.keyword
            and scored.data_source = together.data_source
    where
        together.rising >= 3
        and scored.z_score >= 2
        and (detect_spread.region is null or scored.region_code = detect_spread.region)
$$;
comment on function private.detect_spread(timestamptz, text) is
'Keywords that rise in three regions or more at once; the p-value is that of all regions together.';

create function private.made_by_one_channel(keyword text, mentions integer, bucket timestamptz)
returns boolean
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- A name is no channel: without YouTube's id nothing is known of who made a video.
    select
        count(distinct video.channel_id) = 1
        and 2 * count(*) > made_by_one_channel.mentions
    from public.keyword_video_mappings as mapping
    inner join public.cached_videos as video on mapping.video_id = video.video_id
    where
        mapping.keyword = made_by_one_channel.keyword
        and video.channel_id is not null
        and coalesce(video.published_at, '-infinity') < made_by_one_channel.bucket + interval '1 hour'
        -- Whatever was in the charts of that hour was collected then or later.
        and video.collected_at >= made_by_one_channel.bucket
$$;
comment on function private.made_by_one_channel(text, integer, timestamptz) is
'Whether more than half of what was counted is known to be videos of one channel, and no other channel is known.';

create function private.detected(at timestamptz, region text)
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
    evidence jsonb,
    q_value double precision,
    model_version text,
    is_trend boolean
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with row_of as (
        -- Bursts and new keywords.
        select
            alone.*,
            alone.region_code as family
        from private.detect_alone(detected.at, detected.region) as alone
        union all
        -- One test a keyword in all regions together.
        select
            spread.*,
            'all' as family
        from private.detect_spread(detected.at, null) as spread
    ),

    tests as (
        select
            bin.data_source,
            coalesce(bin.region_code, 'all') as family,
            sum(bin.keywords) as tests
        from private.tested_bins(detected.at, null) as bin
        group by grouping sets ((bin.data_source, bin.region_code), (bin.data_source))
    ),

    ranked as (
        select
            row_of.*,
            tests.tests,
            dense_rank() over (
                partition by row_of.data_source, row_of.family
                order by row_of.p_value asc, row_of.keyword asc
            ) as place
        from row_of
        inner join tests
            on
                row_of.data_source = tests.data_source
                and row_of.family = tests.family
    ),

    controlled as (
        select
            ranked.*,
            -- Benjamini and Hochberg: the share of false alarms if everything down to this place were called a trend.
            least(
                min(ranked.p_value * ranked.tests / ranked.place) over (
                    partition by ranked.data_source, ranked.family
                    order by ranked.place desc
                ),
                1.0
            ) as q_value
        from ranked
    ),

    passed as (
        select
            controlled.*,
            setting.version as model_version,
            controlled.q_value <= setting.most_q
            and controlled.z_score >= setting.least_z
            and controlled.mentions >= setting.least_mentions as has_passed
        from controlled
        inner join private.detector_settings as setting
            on
                controlled.detector = setting.detector
                and setting.bin_seconds = 3600
    ),

    surest as (
        select
            passed.*,
            row_number() over (
                partition by passed.region_code, passed.data_source, passed.has_passed
                order by passed.q_value asc, passed.p_value asc, passed.z_score desc, passed.keyword asc
            ) as order_of_surety
        from passed
    )

    select
        surest.keyword,
        surest.region_code,
        surest.data_source,
        surest.detector,
        surest.bucket,
        surest.mentions,
        surest.usual_mentions,
        surest.z_score,
        surest.p_value,
        surest.evidence,
        surest.q_value,
        surest.model_version,
        case
            -- A flood of junk is no flood of news: who is told of 200 trends at once is told of enough.
            when surest.has_passed and surest.order_of_surety <= 200
                -- People are counted once each already; a keyword of many regions is more than its one trailer.
                then
                    surest.data_source = 'internal'
                    or surest.detector = 'spread'
                    or not private.made_by_one_channel(surest.keyword, surest.mentions, surest.bucket)
            else false
        end as is_trend
    from surest
    where detected.region is null or surest.region_code = detected.region
$$;
comment on function private.detected(timestamptz, text) is
'What all detectors say of the newest hour, the false alarms of each controlled over all keywords of the hour.';

create function public.backtest_bursts(
    counts double precision[],
    bin_seconds integer,
    first_at timestamptz
)
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    bins_per_slot integer;
    setting record;
    state private.burst_state := private.empty_state();
    slot integer;
    z double precision;
    z_scores double precision[] := array[]::double precision[];
    alarms integer[] := array[]::integer[];
    record_z double precision;
    record_place integer;
begin
    if
        coalesce(bin_seconds not between 60 and 86400, true)
        or coalesce(not isfinite(first_at), true)
        or coalesce(cardinality(counts) > 100000 or array_ndims(counts) > 1, counts is null)
        or exists (
            select
            from unnest(counts) as bin (count)
            where not bin.count between 0 and 1e12
        )
    then
        raise exception using
            errcode = 'PT400',
            message = 'The series cannot be tested.',
            hint = 'Send at most 100000 counts from 0 to 1e12, bins of 60 to 86400 seconds, and when the first begins.';
    end if;
    bins_per_slot := greatest(3600 / bin_seconds, 1);
    select
        stored.least_z,
        stored.least_mentions
    into setting
    from private.detector_settings as stored
    where stored.detector = 'burst'
    order by abs(ln(stored.bin_seconds::float8 / backtest_bursts.bin_seconds))
    limit 1;

    for place in 1..cardinality(counts) loop
        if counts[place] is null then
            z := null;
        else
            slot := extract(
                hour from (first_at + make_interval(secs => (place - 1) * bin_seconds::float8)) at time zone 'Asia/Seoul'
            );
            z := private.burst_z(state, slot, counts[place]);
            state := private.next_state(state, slot, counts[place], bins_per_slot, 336 * bins_per_slot);
        end if;
        z_scores[place] := z;
        -- For a day only twice the record is news.
        if
            z >= setting.least_z
            and counts[place] >= setting.least_mentions
            and (
                record_place is null
                or (place - record_place) * bin_seconds >= 86400
                or z > 2 * record_z
            )
        then
            alarms := alarms || (place - 1);
            record_z := z;
            record_place := place;
        end if;
    end loop;
    return jsonb_build_object('z', to_jsonb(z_scores), 'alarms', to_jsonb(alarms));
end
$$;
comment on function public.backtest_bursts(double precision[], integer, timestamptz) is
'How the detector of bursts would have judged a series, bin by bin and without looking ahead: z of each, null where '
'nobody looked, and the places of the alarms, from 0. Reads no keyword.';
