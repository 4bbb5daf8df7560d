-- Promises that what is usual for a keyword is known without reading its past: a state each, carried from hour to hour,
-- the same in whatever order and however often its signals came.

create type private.burst_state as (
    profile real [],
    level double precision,
    variance double precision,
    bins integer
);
comment on type private.burst_state is
'What is usual for a series: a value for each hour of the day in Korea (null: never observed), the level and variance '
'of what is left of a count without it, and how many bins were observed.';

create function private.empty_state()
returns private.burst_state
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select row(array_fill(null::real, array[24]), 0, 0, 0)::private.burst_state
$$;
comment on function private.empty_state() is 'The state of a series that nobody has looked at yet.';

create function private.seasonal_base(state private.burst_state, slot integer)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if state.profile[slot + 1] is not null then
        return state.profile[slot + 1];
    end if;
    -- An hour of the day that was never observed is taken for an average one.
    return coalesce((select avg(seen.value::double precision) from unnest(state.profile) as seen (value)), 0);
end
$$;
comment on function private.seasonal_base(private.burst_state, integer) is
'What the hour of the day (0 to 23 in Korea) makes one expect.';

create function private.usual_mentions(state private.burst_state, slot integer)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return greatest(private.seasonal_base(state, slot) + state.level, 0);
end
$$;
comment on function private.usual_mentions(private.burst_state, integer) is
'How many mentions the state expects in an hour of the day (0 to 23 in Korea).';

create function private.usual_variance(state private.burst_state, usual double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Never less than a count's own chance variation. And a silent past is not a certain one: what was absent from ten
    -- observed hours may well come at 0.3 an hour (the rule of three).
    select greatest(state.variance, usual, 0.3)
$$;
comment on function private.usual_variance(private.burst_state, double precision) is
'How far a count may lie from the usual one by chance, squared.';

create function private.burst_z(state private.burst_state, slot integer, count double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    usual double precision;
begin
    if state.bins = 0 then
        return 0;
    end if;
    usual := private.usual_mentions(state, slot);
    return (count - usual) / sqrt(greatest(state.variance, usual, 0.3));
end
$$;
comment on function private.burst_z(private.burst_state, integer, double precision) is
'Standard deviations of a count above what the state before it expects; 0 while nothing is known.';

create function private.next_state(
    state private.burst_state,
    slot integer,
    count double precision,
    bins_per_slot integer,
    span_bins integer
)
returns private.burst_state
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    base double precision;
    residual double precision;
    weight double precision;
    clipped double precision;
begin
    base := case when state.bins = 0 then count else private.seasonal_base(state, slot) end;
    residual := count - base - state.level;
    -- What has faded away is nothing: Postgres refuses numbers that get too small to hold.
    residual := case when abs(residual) < 1e-12 then 0 else residual end;
    -- One burst must not become the rhythm of the day: what lies far above enters the profile as three deviations.
    clipped := least(count, base + 3 * sqrt(greatest(state.variance, base + state.level, 0.3)));
    -- A source that looks four times a day fills a span of days with fewer bins; at first every bin counts the same.
    weight := greatest(
        2 / (span_bins * greatest(coalesce(cardinality(array_remove(state.profile, null)), 0), 1) / 24.0::float8 + 1),
        1 / (state.bins + 1.0::float8)
    );
    state.level := state.level + weight * residual;
    state.variance := (1 - weight) * (state.variance + weight * residual * residual);
    state.variance := case when state.variance < 1e-12 then 0 else state.variance end;
    base := coalesce(state.profile[slot + 1], clipped);
    base := base + 0.25::float8 / bins_per_slot * (clipped - base);
    state.profile[slot + 1] := case when abs(base) < 1e-12 then 0 else base end;
    state.bins := state.bins + 1;
    return state;
end
$$;
comment on function private.next_state(private.burst_state, integer, double precision, integer, integer) is
'The state after one more bin: the hour of the day (0 to 23 in Korea) and what was counted in it.';

create function private.state_after_silence(
    state private.burst_state,
    silent_bins integer,
    bins_per_slot integer,
    span_bins integer
)
returns private.burst_state
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    seen integer := greatest(coalesce(cardinality(array_remove(state.profile, null)), 0), 1);
    weight double precision := 2 / (span_bins * seen / 24.0::float8 + 1);
    -- So many of the bins still count the same.
    warm integer := greatest(0, least(silent_bins, floor(1 / weight)::integer - state.bins));
    faded double precision;
    kept double precision;
    silence double precision := 0;
    -- A variable is changed in its place; a field of the state would be copied for each hour.
    profile real [] := state.profile;
    value double precision;
begin
    if silent_bins <= 0 then
        return state;
    end if;
    faded := power(1 - 0.25::float8 / bins_per_slot, silent_bins / seen::float8);
    for place in 1..24 loop
        value := profile[place];
        if value <> 0 then
            silence := silence - value;
            profile[place] := case when abs(value) * faded < 1e-12 then 0 else value * faded end;
        end if;
    end loop;
    silence := silence / seen;
    kept := state.bins / greatest(state.bins + warm, 1)::float8 * power(1 - weight, silent_bins - warm);
    state.profile := profile;
    state.variance := kept * (state.variance + (1 - kept) * (state.level - silence) ^ 2);
    state.level := state.level * kept + silence * (1 - kept);
    state.bins := state.bins + silent_bins;
    return state;
end
$$;
comment on function private.state_after_silence(private.burst_state, integer, integer, integer) is
'The state after so many bins that were observed without a mention, at once: as if each hour of the day were an '
'average one. Exact in its weights; see docs/detect.md for how far it is from counting the bins one by one.';

create function private.silent_state(slots integer[], bins integer)
returns private.burst_state
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        row(
            array(
                select case when hour.slot = any(silent_state.slots) then 0 end::real
                from generate_series(0, 23) as hour (slot)
                order by hour.slot
            ),
            0,
            0,
            silent_state.bins
        )::private.burst_state
$$;
comment on function private.silent_state(integer[], integer) is
'The state of what was absent from so many bins, observed in these hours of the day (0 to 23 in Korea).';

create function private.replay_states(
    state private.burst_state,
    last_ordinal integer,
    ordinals integer[],
    slots integer[],
    counts double precision[],
    bins_per_slot integer,
    span_bins integer
)
returns private.burst_state
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    for place in 1..cardinality(counts) loop
        if ordinals[place] > last_ordinal + 1 then
            state := private.state_after_silence(
                state, ordinals[place] - last_ordinal - 1, bins_per_slot, span_bins
            );
        end if;
        state := private.next_state(state, slots[place], counts[place], bins_per_slot, span_bins);
        last_ordinal := ordinals[place];
    end loop;
    return state;
end
$$;
comment on function private.replay_states(
    private.burst_state, integer, integer[], integer[], double precision[], integer, integer
) is
'The state after several bins in the order of time, which are numbered; the state is that after bin last_ordinal. '
'What lies between was observed and silent.';

-- Only these can become trends: an hour with many keywords that are seen once is not read for them.
create index keyword_signals_that_can_ring
on private.keyword_signals (region_code, data_source, bucket, mentions)
where mentions >= 3;

create table private.signal_marks (
    id bigint generated always as identity primary key,
    region_code varchar(2) not null,
    data_source varchar(50) not null,
    bucket timestamptz not null,
    keywords text[] not null
);
alter table private.signal_marks enable row level security;
create index signal_marks_by_time on private.signal_marks (bucket);
comment on table private.signal_marks is
'Which hours and keywords changed since the states were last carried on: written with the signals themselves, taken '
'away by private.fold_keyword_states().';

create table private.observed_bins (
    region_code varchar(2) not null,
    data_source varchar(50) not null,
    bin_seconds integer not null,
    bucket timestamptz not null,
    keywords integer not null,
    mentions bigint not null,
    is_cut boolean not null default false,
    primary key (region_code, data_source, bin_seconds, bucket)
);
alter table private.observed_bins enable row level security;
comment on table private.observed_bins is
'The hours in which a region''s source saw anything. Derived from keyword_signals, which would have to be read whole '
'to know it.';
create index observed_bins_by_time on private.observed_bins (bucket);
comment on column private.observed_bins.keywords is 'How many keywords were seen at least once.';
comment on column private.observed_bins.is_cut is
'Whether keywords of the hour got no state, because it held too many: to have none proves nothing then.';

create table private.keyword_states (
    region_code varchar(2) not null,
    data_source varchar(50) not null,
    bin_seconds integer not null,
    keyword varchar(255) not null,
    last_bucket timestamptz not null,
    state private.burst_state not null,
    primary key (region_code, data_source, bin_seconds, keyword)
)
-- Carried on every hour: room on the page keeps that off the indexes.
with (fillfactor = 70);
alter table private.keyword_states enable row level security;
-- Detection looks for thousands of states at once: hashes are compared several times quicker than letters.
create index keyword_states_by_hash
on private.keyword_states using hash ((region_code || ' ' || data_source || ' ' || keyword));
comment on table private.keyword_states is
'What is usual for a keyword in a region and source, without the newest hour: that one may still be corrected. '
'Derived from keyword_signals.';
comment on column private.keyword_states.last_bucket is
'The last hour in it. Hours after that were silent, and are counted when they matter.';

create table private.state_positions (
    region_code varchar(2) not null,
    data_source varchar(50) not null,
    bin_seconds integer not null,
    newest_bucket timestamptz not null,
    tested_bucket timestamptz,
    primary key (region_code, data_source, bin_seconds)
);
alter table private.state_positions enable row level security;
comment on table private.state_positions is 'The newest observed hour, up to which the states are carried on.';
comment on column private.state_positions.tested_bucket is
'The hour that detection has tested since a signal last came; null when there is something new.';

create function private.mark_signals()
returns trigger
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    insert into private.signal_marks (region_code, data_source, bucket, keywords)
    select
        changed.region_code,
        changed.data_source,
        changed.bucket,
        array_agg(changed.keyword::text)
    from changed
    group by
        changed.region_code,
        changed.data_source,
        changed.bucket;
    return null;
end
$$;
comment on function private.mark_signals() is
'Notes what a statement changed in keyword_signals, so that nobody has to look for it.';

create trigger mark_inserted
after insert on private.keyword_signals
referencing new table as changed
for each statement
execute function private.mark_signals();
create trigger mark_updated
after update on private.keyword_signals
referencing new table as changed
for each statement
execute function private.mark_signals();
create trigger mark_deleted
after delete on private.keyword_signals
referencing old table as changed
for each statement
execute function private.mark_signals();

create function private.replay_keywords(
    region_code text,
    data_source text,
    keywords text[],
    before timestamptz
)
returns table (
    keyword text,
    last_bucket timestamptz,
    state private.burst_state
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with bins as materialized (
        select
            observed.bucket,
            extract(hour from observed.bucket at time zone 'Asia/Seoul')::integer as slot,
            row_number() over (order by observed.bucket)::integer as ordinal
        from private.observed_bins as observed
        where
            observed.region_code = replay_keywords.region_code
            and observed.data_source = replay_keywords.data_source
            and observed.bin_seconds = 3600
            and observed.bucket < replay_keywords.before
            and observed.bucket >= replay_keywords.before - interval '28 days'
    ),

    event as (
        select
            wanted.keyword,
            bins.bucket,
            bins.slot,
            bins.ordinal,
            signal.mentions
        from unnest(replay_keywords.keywords) as wanted (keyword)
        cross join bins
        -- "offset" makes it one look-up an hour; a join would read all other keywords of the month too.
        cross join lateral (
            select stored.mentions
            from private.keyword_signals as stored
            where
                stored.region_code = replay_keywords.region_code
                and stored.data_source = replay_keywords.data_source
                and stored.bucket = bins.bucket
                and stored.keyword = wanted.keyword
                and stored.mentions > 0
                and stored.bucket < replay_keywords.before
                and stored.bucket >= replay_keywords.before - interval '28 days'
            offset 0
        ) as signal
    ),

    series as (
        select
            event.keyword,
            max(event.bucket) as last_bucket,
            min(event.ordinal) as first_ordinal,
            array_agg(event.ordinal order by event.ordinal) as ordinals,
            array_agg(event.slot order by event.ordinal) as slots,
            array_agg(event.mentions::float8 order by event.ordinal) as counts
        from event
        group by event.keyword
    ),

    -- Who is seen for the first time was silent in every hour before.
    silence as materialized (
        select
            start.first_ordinal,
            private.silent_state(
                array(
                    select distinct bins.slot
                    from bins
                    where bins.ordinal < start.first_ordinal
                ),
                start.first_ordinal - 1
            ) as state
        from (
            select distinct series.first_ordinal
            from series
        ) as start
    )

    select
        series.keyword,
        series.last_bucket,
        private.replay_states(
            silence.state,
            series.first_ordinal - 1,
            series.ordinals,
            series.slots,
            series.counts,
            1,
            336
        ) as state
    from series
    inner join silence on series.first_ordinal = silence.first_ordinal
$$;
comment on function private.replay_keywords(text, text, text[], timestamptz) is
'The states of these keywords before an hour, computed anew from the signals of the 28 days before it.';

create function private.fold_keyword_states(at timestamptz default now(), region text default null)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
-- Tens of thousands of states are sorted in memory, not on disk.
set work_mem = '32MB'
-- A flood comes before its statistics: what was guessed to be few rows must not be compared one by one.
set enable_nestloop = off
language plpgsql
as $$
declare
    -- For each region and source. Of what is late the rest waits for the next run; of what is new it gets no state.
    most_replayed constant integer := 1000;
    most_late constant integer := 50000;
    -- An hour that is carried on.
    most_new constant integer := 50000;
    pair record;
    changed timestamptz[];
    late text[];
    shifted timestamptz;
    newest timestamptz;
    one_count integer;
    one_cut integer;
    folded_count integer := 0;
    replayed_count integer := 0;
    left_count integer := 0;
    cut_count integer := 0;
begin
    if not exists (
        select
        from private.signal_marks as mark
        where
            mark.bucket <= fold_keyword_states.at
            and (fold_keyword_states.region is null or mark.region_code = fold_keyword_states.region)
    ) then
        return jsonb_build_object('folded', 0, 'replayed', 0, 'left', 0, 'cut', 0);
    end if;
    perform pg_advisory_xact_lock(hashtextextended('shorts-fold-keyword-states', 0));

    for pair in
        select
            mark.region_code,
            mark.data_source,
            min(position.newest_bucket) as newest
        from private.signal_marks as mark
        left join private.state_positions as position
            on
                mark.region_code = position.region_code
                and mark.data_source = position.data_source
                and position.bin_seconds = 3600
        where
            mark.bucket <= fold_keyword_states.at
            and (fold_keyword_states.region is null or mark.region_code = fold_keyword_states.region)
        group by
            mark.region_code,
            mark.data_source
        order by
            mark.region_code,
            mark.data_source
    loop
        -- What is taken here was committed with its signals; what comes from now on has a mark of its own.
        with taken as (
            delete from private.signal_marks as mark
            where
                mark.region_code = pair.region_code
                and mark.data_source = pair.data_source
                and mark.bucket <= fold_keyword_states.at
            returning
                mark.bucket,
                mark.keywords
        )

        select
            array_agg(distinct taken.bucket),
            array_agg(distinct told.keyword) filter (where told.keyword is not null)
        into
            changed,
            late
        from taken
        left join lateral unnest(case when taken.bucket < pair.newest then taken.keywords end) as told (keyword) on true;
        continue when changed is null;

        -- Hours that appear in the past, or go from it, are silent ones of every keyword that was carried over them.
        with counted as materialized (
            select
                hour.bucket,
                seen.keywords,
                seen.mentions,
                seen.is_observed,
                known.bucket is not null as is_known
            from unnest(changed) as hour (bucket)
            cross join lateral (
                select
                    count(*) filter (where signal.mentions > 0)::integer as keywords,
                    coalesce(sum(signal.mentions), 0)::bigint as mentions,
                    count(*) > 0 as is_observed
                from private.keyword_signals as signal
                where
                    signal.region_code = pair.region_code
                    and signal.data_source = pair.data_source
                    and signal.bucket = hour.bucket
            ) as seen
            left join private.observed_bins as known
                on
                    known.region_code = pair.region_code
                    and known.data_source = pair.data_source
                    and known.bin_seconds = 3600
                    and hour.bucket = known.bucket
        ),

        stored as (
            insert into private.observed_bins (region_code, data_source, bin_seconds, bucket, keywords, mentions)
            select
                pair.region_code,
                pair.data_source,
                3600,
                counted.bucket,
                counted.keywords,
                counted.mentions
            from counted
            where counted.is_observed
            on conflict on constraint observed_bins_pkey do update
                set
                    keywords = excluded.keywords,
                    mentions = excluded.mentions
        ),

        gone as (
            delete from private.observed_bins as observed
            using counted
            where
                observed.region_code = pair.region_code
                and observed.data_source = pair.data_source
                and observed.bin_seconds = 3600
                and observed.bucket = counted.bucket
                and not counted.is_observed
        )

        select min(counted.bucket)
        into shifted
        from counted
        where
            counted.is_observed <> counted.is_known
            and counted.bucket < pair.newest;

        select max(observed.bucket)
        into newest
        from private.observed_bins as observed
        where
            observed.region_code = pair.region_code
            and observed.data_source = pair.data_source
            and observed.bin_seconds = 3600;

        if newest is null then
            delete from private.keyword_states as stored
            where
                stored.region_code = pair.region_code
                and stored.data_source = pair.data_source
                and stored.bin_seconds = 3600;
            delete from private.state_positions as position
            where
                position.region_code = pair.region_code
                and position.data_source = pair.data_source
                and position.bin_seconds = 3600;
            continue;
        end if;

        select array_agg(distinct stale.keyword)
        into late
        from (
            select told.keyword
            from unnest(late) as told (keyword)
            union all
            select stored.keyword
            from private.keyword_states as stored
            where
                (shifted is not null or newest < pair.newest)
                and stored.region_code = pair.region_code
                and stored.data_source = pair.data_source
                and stored.bin_seconds = 3600
                and (stored.last_bucket > shifted or stored.last_bucket >= newest)
        ) as stale;

        -- A flood of late keywords: those that have a state come first, and of the others only so many.
        if cardinality(late) > most_late then
            one_cut := cardinality(late);
            select array_agg(kept.keyword)
            into late
            from (
                select told.keyword
                from unnest(late) as told (keyword)
                left join private.keyword_states as stored
                    on
                        stored.region_code = pair.region_code
                        and stored.data_source = pair.data_source
                        and stored.bin_seconds = 3600
                        and told.keyword = stored.keyword
                order by stored.keyword is null
                limit greatest(
                    most_late,
                    (
                        select count(*)
                        from private.keyword_states as stored
                        where
                            stored.region_code = pair.region_code
                            and stored.data_source = pair.data_source
                            and stored.bin_seconds = 3600
                    )
                )
            ) as kept;
            cut_count := cut_count + one_cut - cardinality(late);
        end if;

        -- Until it is their turn they may have no state, or an old one.
        if cardinality(late) > most_replayed then
            update private.observed_bins as observed
            set is_cut = true
            where
                observed.region_code = pair.region_code
                and observed.data_source = pair.data_source
                and observed.bin_seconds = 3600
                and observed.bucket < newest
                and observed.bucket = any(changed);
        end if;

        -- Bounded work: the rest is marked again, as changed in an hour that is past.
        if cardinality(late) > most_replayed then
            insert into private.signal_marks (region_code, data_source, bucket, keywords)
            values (
                pair.region_code,
                pair.data_source,
                least(changed[1], newest - interval '1 hour'),
                late[most_replayed + 1:]
            );
            left_count := left_count + cardinality(late) - most_replayed;
            late := late[:most_replayed];
        end if;

        if late is not null then
            with replayed as materialized (
                select *
                from private.replay_keywords(pair.region_code, pair.data_source, late, newest)
            ),

            forgotten as (
                delete from private.keyword_states as stored
                where
                    stored.region_code = pair.region_code
                    and stored.data_source = pair.data_source
                    and stored.bin_seconds = 3600
                    and stored.keyword = any(late)
                    and stored.keyword not in (select replayed.keyword from replayed)
            )

            insert into private.keyword_states (
                region_code,
                data_source,
                bin_seconds,
                keyword,
                last_bucket,
                state
            )
            select
                pair.region_code,
                pair.data_source,
                3600,
                replayed.keyword,
                replayed.last_bucket,
                replayed.state
            from replayed
            on conflict on constraint keyword_states_pkey do update
                set
                    last_bucket = excluded.last_bucket,
                    state = excluded.state;
            replayed_count := replayed_count + cardinality(late);
        end if;

        -- The newest hour is left out: it may still be corrected.
        with bins as materialized (
            select
                observed.bucket,
                observed.is_cut,
                extract(hour from observed.bucket at time zone 'Asia/Seoul')::integer as slot,
                row_number() over (order by observed.bucket)::integer as ordinal
            from private.observed_bins as observed
            where
                observed.region_code = pair.region_code
                and observed.data_source = pair.data_source
                and observed.bin_seconds = 3600
                and observed.bucket < newest
                and observed.bucket >= newest - interval '28 days'
        ),

        event as (
            select
                signal.keyword,
                bins.bucket,
                bins.slot,
                bins.ordinal,
                signal.mentions
            from bins
            cross join lateral (
                select
                    seen.keyword,
                    seen.mentions
                from private.keyword_signals as seen
                where
                    seen.region_code = pair.region_code
                    and seen.data_source = pair.data_source
                    and seen.bucket = bins.bucket
                    and seen.mentions > 0
                offset 0
            ) as signal
            where
                (pair.newest is null or bins.bucket >= pair.newest)
                and not exists (
                    select
                    from unnest(late) as done (keyword)
                    where signal.keyword = done.keyword
                )
        ),

        series as (
            select -- noqa: ST06
                -- Sorted by bytes, which is several times quicker than by letters.
                (event.keyword collate "C") collate "default" as keyword,
                max(event.bucket) as last_bucket,
                min(event.ordinal) as first_ordinal,
                max(event.mentions) as most_mentions,
                array_agg(event.ordinal order by event.ordinal) as ordinals,
                array_agg(event.slot order by event.ordinal) as slots,
                array_agg(event.mentions::float8 order by event.ordinal) as counts
            from event
            group by event.keyword collate "C"
        ),

        placed as materialized (
            select
                series.*,
                stored.keyword is not null as is_known,
                case when last_bin.ordinal is not null then stored.state end as state,
                last_bin.ordinal as last_ordinal
            from series
            left join private.keyword_states as stored
                on
                    stored.region_code = pair.region_code
                    and stored.data_source = pair.data_source
                    and stored.bin_seconds = 3600
                    and series.keyword = stored.keyword
            left join bins as last_bin on stored.last_bucket = last_bin.bucket
        ),

        -- Who is seen for the first time was silent in every hour before.
        silence as materialized (
            select
                start.first_ordinal,
                private.silent_state(
                    array(
                        select distinct bins.slot
                        from bins
                        where bins.ordinal < start.first_ordinal
                    ),
                    start.first_ordinal - 1
                ) as state
            from (
                select distinct placed.first_ordinal
                from placed
                where placed.last_ordinal is null
            ) as start
        ),

        carried as (
            update private.keyword_states as stored
            set
                last_bucket = placed.last_bucket,
                state = private.replay_states(
                    coalesce(placed.state, silence.state),
                    coalesce(placed.last_ordinal, placed.first_ordinal - 1),
                    placed.ordinals,
                    placed.slots,
                    placed.counts,
                    1,
                    336
                )
            from placed
            left join silence
                on
                    placed.last_ordinal is null
                    and placed.first_ordinal = silence.first_ordinal
            where
                placed.is_known
                and stored.region_code = pair.region_code
                and stored.data_source = pair.data_source
                and stored.bin_seconds = 3600
                and stored.keyword = placed.keyword
            returning 1
        ),

        -- Of a flood of new keywords those that are mentioned most get a state. Each is looked for in the hours that were
        -- cut, so the more of these there are, the fewer are taken.
        fresh as materialized (
            select placed.*
            from placed
            where not placed.is_known
            order by placed.most_mentions desc
            limit (
                select
                    greatest(
                        1000,
                        most_new * count(*) filter (where pair.newest is null or bins.bucket >= pair.newest)
                        / (1 + count(*) filter (where bins.is_cut))
                    )
                from bins
            )
        ),

        -- To have no state proves no silence where an hour was cut: these are computed from their signals, in later runs.
        doubtful as materialized (
            select fresh.keyword
            from fresh
            where
                exists (
                    select
                    from bins
                    cross join lateral (
                        select
                        from private.keyword_signals as seen
                        where
                            seen.region_code = pair.region_code
                            and seen.data_source = pair.data_source
                            and seen.bucket = bins.bucket
                            and seen.keyword = fresh.keyword
                            and seen.mentions > 0
                        offset 0
                    ) as signal
                    where
                        bins.is_cut
                        and bins.ordinal < fresh.first_ordinal
                )
        ),

        marked as (
            insert into private.signal_marks (region_code, data_source, bucket, keywords)
            select
                pair.region_code,
                pair.data_source,
                newest - interval '1 hour',
                array_agg(doubtful.keyword::text)
            from doubtful
            having count(*) > 0
        ),

        founded as (
            insert into private.keyword_states (
                region_code,
                data_source,
                bin_seconds,
                keyword,
                last_bucket,
                state
            )
            select
                pair.region_code,
                pair.data_source,
                3600,
                fresh.keyword,
                fresh.last_bucket,
                private.replay_states(
                    silence.state,
                    fresh.first_ordinal - 1,
                    fresh.ordinals,
                    fresh.slots,
                    fresh.counts,
                    1,
                    336
                )
            from fresh
            inner join silence on fresh.first_ordinal = silence.first_ordinal
            where fresh.keyword not in (select doubtful.keyword from doubtful)
            on conflict on constraint keyword_states_pkey do nothing
            returning 1
        )

        select
            (select count(*) from carried) + (select count(*) from founded),
            (select count(*) from placed where not placed.is_known) - (select count(*) from fresh)
        into
            one_count,
            one_cut;
        folded_count := folded_count + one_count;
        cut_count := cut_count + one_cut;

        if one_cut > 0 then
            update private.observed_bins as observed
            set is_cut = true
            where
                observed.region_code = pair.region_code
                and observed.data_source = pair.data_source
                and observed.bin_seconds = 3600
                and observed.bucket < newest
                and (pair.newest is null or observed.bucket >= pair.newest);
        end if;

        insert into private.state_positions (region_code, data_source, bin_seconds, newest_bucket)
        values (pair.region_code, pair.data_source, 3600, newest)
        on conflict on constraint state_positions_pkey do update
            set
                newest_bucket = excluded.newest_bucket,
                tested_bucket = null;
    end loop;
    return jsonb_build_object(
        'folded', folded_count, 'replayed', replayed_count, 'left', left_count, 'cut', cut_count
    );
end
$$;
comment on function private.fold_keyword_states(timestamptz, text) is
'Carries the states on to the newest hour up to the given time, and computes anew those whose past was corrected: at '
'most 1,000 keywords a run in each region and source, the rest in the next. Of a flood of new ones at most 50,000 an '
'hour, those that are mentioned most, get a state. Returns how many were carried on, computed anew, left for the next '
'run and cut.';

create function private.forget_keyword_states(most integer default 50000)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    with forgotten as (
        delete from private.keyword_states as stored
        where
            (stored.region_code, stored.data_source, stored.bin_seconds, stored.keyword) in (
                select
                    old.region_code,
                    old.data_source,
                    old.bin_seconds,
                    old.keyword
                from private.keyword_states as old
                inner join private.state_positions as position
                    on
                        old.region_code = position.region_code
                        and old.data_source = position.data_source
                        and old.bin_seconds = position.bin_seconds
                        and old.last_bucket < position.newest_bucket - interval '28 days'
                limit most
            )
        returning 1
    )

    select jsonb_build_object('forgotten', count(*))
    from forgotten
$$;
comment on function private.forget_keyword_states(integer) is
'Deletes states of keywords that were silent for 28 days, at most so many; a silent past needs no row.';
