-- Promises that what people search for and watch becomes hourly counts, exactly once, and that nobody waits for it.

create table private.uncounted_hours (
    id bigint generated always as identity primary key,
    hour timestamptz not null,
    constraint hour_is_a_full_hour check (hour = date_trunc('hour', hour, 'UTC'))
);
alter table private.uncounted_hours enable row level security;
comment on table private.uncounted_hours is
'Hours in which something was written since they were last counted. Appended only, by the writers'' own transactions; '
'private.count_internal_signals empties it.';
comment on column private.uncounted_hours.hour is 'As often as it was written to. Says nothing of who or what.';

create table private.rare_signals_forgotten (
    is_the_row boolean primary key default true,
    done_until timestamptz not null,
    constraint there_is_one_row check (is_the_row)
);
alter table private.rare_signals_forgotten enable row level security;
comment on table private.rare_signals_forgotten is 'Up to when rare keywords of people were deleted: one row.';
comment on column private.rare_signals_forgotten.done_until is 'The first hour that still has them.';
insert into private.rare_signals_forgotten (done_until)
values (date_trunc('hour', now(), 'UTC') - interval '9 days');

-- The hours to count; in time order, so that the blocks of an hour lie together, and a summary of blocks finds them.
create index search_sessions_by_time on public.search_sessions
using brin (session_started_at) with (pages_per_range = 16, autosummarize = on);
create index video_interactions_by_time on public.video_interactions
using brin (created_at) with (pages_per_range = 16, autosummarize = on);

create function private.most_counted_of_a_person()
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select 200
$$;
comment on function private.most_counted_of_a_person() is
'Questions, and videos, of one person in one hour that are counted, the first ones: a robot shall not drown the rest.';

create function private.looks_personal(keyword text)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        -- An e-mail address.
        keyword ~ '[^[:space:]@]+ ?@ ?[^[:space:]@]+[.][^[:space:]@]+'
        -- Nine digits or more, whatever stands between them, spelled in Korean too: phones, accounts, cards.
        or keyword ~ '([[:digit:]영공일이삼사오육륙칠팔구〇零一二三四五六七八九][^[:alnum:]]*){9,}'
        -- An address in words: kim at example dot com.
        or keyword ~ (
            '[[:alnum:]] ?[({[]? ?(@|[^[:alnum:]]at[^[:alnum:]]|골뱅이) ?[])}]? ?[[:alnum:]-]+ ?'
            '[({[]? ?([.]|dot|닷|점) ?[])}]? ?(com|net|org|edu|io|me|(co[.]|ac[.]|go[.])?kr)($|[^[:alnum:]])'
        )
        -- A local number, and the front of a resident registration number.
        or keyword ~ '(^|[^0-9])[0-9]{3,4}[^[:alnum:][:space:]][0-9]{4}($|[^0-9])'
        or keyword ~ '(^|[^0-9])[0-9]{6} ?[^[:alnum:][:space:]] ?[1-8]'
$$;
comment on function private.looks_personal(text) is
'Whether a normalised query looks like an e-mail address, a phone number or a resident registration number.';

create function private.note_uncounted_searches()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    insert into private.uncounted_hours (hour)
    select distinct date_trunc('hour', session.session_started_at, 'UTC')
    from changed_rows as session
    where session.session_started_at > now() - interval '49 hours';
    return null;
end
$$;
comment on function private.note_uncounted_searches() is 'Notes which hours have new searches.';

create trigger note_uncounted
after insert on public.search_sessions
referencing new table as changed_rows
for each statement
execute function private.note_uncounted_searches();

create function private.note_uncounted_interactions()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    insert into private.uncounted_hours (hour)
    select distinct date_trunc('hour', interaction.created_at, 'UTC')
    from changed_rows as interaction
    where
        interaction.created_at > now() - interval '49 hours'
        and interaction.interaction_type <> 'skip';
    return null;
end
$$;
comment on function private.note_uncounted_interactions() is 'Notes which hours have interactions that count.';

create trigger note_uncounted
after insert on public.video_interactions
referencing new table as changed_rows
for each statement
execute function private.note_uncounted_interactions();
create trigger note_uncounted_deletion
after delete on public.video_interactions
referencing old table as changed_rows
for each statement
execute function private.note_uncounted_interactions();

create function private.forget_searches_signals()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    insert into private.uncounted_hours (hour)
    select distinct date_trunc('hour', session.session_started_at, 'UTC')
    from changed_rows as session
    where session.session_started_at > now() - interval '49 hours';

    -- What one or two people typed goes with either of them, in hours too that are not counted again.
    with gone as materialized (
        select distinct
            date_trunc('hour', session.session_started_at, 'UTC') as bucket,
            private.normalize_keyword(session.search_query) as keyword
        from changed_rows as session
        where session.session_started_at > now() - interval '10 days'
    ),

    -- In one order, so that two erasures never wait for each other.
    held as materialized (
        select
            signal.region_code,
            signal.data_source,
            signal.bucket,
            signal.keyword
        from private.keyword_signals as signal
        inner join gone
            on
                signal.bucket = gone.bucket
                and signal.keyword = gone.keyword
        where
            signal.region_code = any(private.region_codes())
            and signal.data_source = 'internal'
            and signal.bucket > now() - interval '10 days'
            and signal.mentions < private.fewest_people()
        order by
            signal.region_code,
            signal.data_source,
            signal.bucket,
            signal.keyword
        for update of signal
    )

    delete from private.keyword_signals as signal
    using held
    where
        signal.region_code = held.region_code
        and signal.data_source = held.data_source
        and signal.bucket = held.bucket
        and signal.keyword = held.keyword;
    return null;
end
$$;
comment on function private.forget_searches_signals() is
'Notes the hours of deleted searches, and deletes at once the counts that only one or two people had made.';

create trigger forget_signals
after delete on public.search_sessions
referencing old table as changed_rows
for each statement
execute function private.forget_searches_signals();

create function private.internal_signals_of(hour timestamptz)
returns table (
    region_code text,
    keyword text,
    mentions integer,
    views bigint
)
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    -- Who has no account that took an address or a number to make could be counted as often as they like.
    with searches as materialized (
        select
            session.user_id,
            session.id,
            session.session_started_at as at,
            private.normalize_keyword(session.search_query) as keyword,
            upper(btrim(session.user_context ->> 'location')) as location
        from public.search_sessions as session
        inner join auth.users as person on session.user_id = person.id
        where
            session.session_started_at >= internal_signals_of.hour
            and session.session_started_at < internal_signals_of.hour + interval '1 hour'
            and session.search_type = 'keyword'
            and not person.is_anonymous
    ),

    -- A person is in one region an hour: the first that a search named.
    regions as materialized (
        select distinct on (searches.user_id)
            searches.user_id,
            searches.location as region_code
        from searches
        where searches.location = any(private.region_codes())
        order by
            searches.user_id asc,
            searches.at asc,
            searches.id asc
    ),

    typed as materialized (
        select
            ranked.user_id,
            ranked.keyword
        from (
            select
                searches.user_id,
                searches.keyword,
                row_number() over (
                    partition by searches.user_id
                    order by min(searches.at) asc, searches.keyword asc
                ) as place
            from searches
            group by
                searches.user_id,
                searches.keyword
        ) as ranked
        where ranked.place <= private.most_counted_of_a_person()
    ),

    watched as materialized (
        select
            ranked.user_id,
            ranked.video_id,
            ranked.is_viewed
        from (
            select
                interaction.user_id,
                interaction.video_id,
                bool_or(interaction.interaction_type = 'view') as is_viewed,
                row_number() over (
                    partition by interaction.user_id
                    order by min(interaction.created_at) asc, interaction.video_id asc
                ) as place
            from public.video_interactions as interaction
            inner join auth.users as person on interaction.user_id = person.id
            where
                interaction.created_at >= internal_signals_of.hour
                and interaction.created_at < internal_signals_of.hour + interval '1 hour'
                and interaction.interaction_type in ('view', 'like', 'share', 'save')
                and not person.is_anonymous
            group by
                interaction.user_id,
                interaction.video_id
        ) as ranked
        where ranked.place <= private.most_counted_of_a_person()
    ),

    about as materialized (
        select
            video.video_id,
            mapped.keyword
        from (
            select distinct watched.video_id
            from watched
        ) as video
        cross join lateral (
            select mapping.keyword
            from public.keyword_video_mappings as mapping
            where mapping.video_id = video.video_id
            order by
                mapping.relevance_score desc,
                mapping.keyword asc
            limit 5
        ) as mapped
    ),

    meant as materialized (
        select
            typed.user_id,
            typed.keyword,
            0 as views
        from typed
        union all
        select
            watched.user_id,
            about.keyword,
            case when watched.is_viewed then 1 else 0 end as views
        from watched
        inner join about on watched.video_id = about.video_id
    ),

    -- Materialized: each keyword is judged once, and not each time that somebody meant it.
    each_once as materialized (
        select distinct meant.keyword
        from meant
    ),

    said as materialized (
        select each_once.keyword
        from each_once
        where
            length(each_once.keyword) <= 255
            and not private.says_nothing(each_once.keyword)
            and not private.looks_personal(each_once.keyword)
    )

    select
        coalesce(regions.region_code, 'KR') as region_code,
        meant.keyword,
        count(distinct meant.user_id)::integer as mentions,
        sum(meant.views) as views
    from meant
    inner join said on meant.keyword = said.keyword
    left join regions on meant.user_id = regions.user_id
    group by
        coalesce(regions.region_code, 'KR'),
        meant.keyword
$$;
comment on function private.internal_signals_of(timestamptz) is
'What people searched for and watched in an hour: how many people per region and keyword, and their views of videos.';

create function private.set_internal_signals(hour timestamptz)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with known as materialized (
        select
            signal.region_code,
            signal.keyword,
            signal.mentions,
            signal.views
        from private.keyword_signals as signal
        where
            signal.region_code = any(private.region_codes())
            and signal.data_source = 'internal'
            and signal.bucket = set_internal_signals.hour
    ),

    changed as materialized (
        select
            coalesce(counted.region_code, known.region_code) as region_code,
            coalesce(counted.keyword, known.keyword) as keyword,
            coalesce(counted.mentions, 0) as mentions,
            counted.views
        from private.internal_signals_of(set_internal_signals.hour) as counted
        full join known
            on
                counted.region_code = known.region_code
                and counted.keyword = known.keyword
        where (counted.mentions, counted.views) is distinct from (known.mentions, known.views)
    ),

    -- What is gone is set to 0 in the same sorted pass as the rest, and deleted when it is held already.
    written as (
        insert into private.keyword_signals as stored (
            region_code,
            data_source,
            bucket,
            keyword,
            mentions,
            views
        )
        select
            changed.region_code,
            'internal',
            set_internal_signals.hour,
            changed.keyword,
            changed.mentions,
            changed.views
        from changed
        order by
            changed.region_code,
            changed.keyword
        on conflict (region_code, data_source, bucket, keyword) do update
            set
                mentions = excluded.mentions,
                views = excluded.views
        returning stored.mentions
    )

    select
        jsonb_build_object(
            'written', count(*) filter (where written.mentions > 0),
            'removed', count(*) filter (where written.mentions = 0)
        )
    from written
$$;
comment on function private.set_internal_signals(timestamptz) is
'Counts an hour whole and sets its internal signals to that; those that are gone are left at 0 for the caller.';

create function private.forget_rare_signals(at timestamptz)
returns bigint
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    begins timestamptz;
    ends timestamptz;
    forgotten bigint;
begin
    select state.done_until
    into begins
    from private.rare_signals_forgotten as state
    for update;
    ends := least(
        date_trunc('hour', forget_rare_signals.at, 'UTC') - interval '8 days',
        begins + interval '48 hours'
    );
    if coalesce(ends <= begins, true) then
        return 0;
    end if;
    delete from private.keyword_signals as signal
    where
        signal.region_code = any(private.region_codes())
        and signal.data_source = 'internal'
        and signal.bucket >= begins
        and signal.bucket < ends
        and signal.mentions < private.fewest_people();
    get diagnostics forgotten = row_count;
    update private.rare_signals_forgotten
    set done_until = ends
    where is_the_row;
    return forgotten;
end
$$;
comment on function private.forget_rare_signals(timestamptz) is
'Deletes what fewer than three people made of an hour, 8 days later, when detection needs it no more; how many rows.';

create function private.count_internal_signals(
    at timestamptz default now(),
    batch_size integer default 1000000
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    hours timestamptz[];
    counted_hour timestamptz;
    marks bigint;
    late bigint;
    answer jsonb;
    written bigint := 0;
    removed bigint := 0;
begin
    -- Whoever counts already will be followed by another run: to wait would only pile up.
    if not pg_try_advisory_xact_lock(hashtextextended('shorts-count-internal-signals', 0)) then
        return jsonb_build_object('busy', 1);
    end if;

    -- What a mark stands for was committed with it, and the counting below sees all that was committed before it.
    with taken as (
        delete from private.uncounted_hours as mark
        where
            mark.id in (
                select oldest.id
                from private.uncounted_hours as oldest
                order by oldest.id
                limit count_internal_signals.batch_size
            )
        returning mark.hour
    ),

    summed as (
        select
            taken.hour,
            count(*) as marks,
            taken.hour between count_internal_signals.at - interval '48 hours' and count_internal_signals.at as is_due
        from taken
        group by taken.hour
    )

    select
        array_agg(summed.hour order by summed.hour) filter (where summed.is_due),
        sum(summed.marks),
        sum(summed.marks) filter (where not summed.is_due)
    into
        hours,
        marks,
        late
    from summed;

    foreach counted_hour in array coalesce(hours, '{}') loop
        answer := private.set_internal_signals(counted_hour);
        written := written + (answer -> 'written')::bigint;
        removed := removed + (answer -> 'removed')::bigint;
        if answer -> 'removed' <> '0' then
            delete from private.keyword_signals as signal
            where
                signal.region_code = any(private.region_codes())
                and signal.data_source = 'internal'
                and signal.bucket = counted_hour
                and signal.mentions = 0;
        end if;
    end loop;
    return jsonb_build_object(
        'hours', coalesce(cardinality(hours), 0),
        'written', written,
        'removed', removed,
        'marks', coalesce(marks, 0),
        'too_late', coalesce(late, 0),
        'rare_forgotten', private.forget_rare_signals(count_internal_signals.at)
    );
end
$$;
comment on function private.count_internal_signals(timestamptz, integer) is
'Counts again, whole, every hour of the last 48 in which something was written since; run twice it changes nothing.';
