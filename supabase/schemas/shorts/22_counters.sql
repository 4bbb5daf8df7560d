-- Promises that to count is to append: rows that everybody reads are written once a minute, and nothing counts twice.

create table private.pending_counts (
    id bigint generated always as identity primary key,
    counter text not null,
    video_id varchar(20) not null,
    keyword text,
    amount integer not null,
    counted_at timestamptz not null default now(),
    constraint counter_is_known check (counter in ('click', 'cache_hit')),
    constraint a_click_has_a_keyword check ((counter = 'click') = (keyword is not null)),
    constraint amount_is_positive check (amount > 0)
);
alter table private.pending_counts enable row level security;
comment on table private.pending_counts is
'What was counted and not yet added to the rows that show it. Appended only; private.fold_counters empties it.';
comment on column private.pending_counts.counter is
'click goes to keyword_video_mappings.click_count, cache_hit to cached_videos.cache_hit_count.';
comment on column private.pending_counts.video_id is
'YouTube''s id. No foreign key: a count is no reason to wait for anybody, and may come to nothing.';
comment on column private.pending_counts.keyword is 'Normalised; what had been searched for when a video was clicked.';

create function private.bump_click_count()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    insert into private.pending_counts (counter, video_id, keyword, amount)
    select
        'click',
        clicked.video_id,
        clicked.keyword,
        count(distinct clicked.user_id)
    from (
        select
            interaction.video_id,
            interaction.user_id,
            private.normalize_keyword(session.search_query) as keyword
        from new_interactions as interaction
        inner join public.search_sessions as session
            on
                interaction.session_id = session.id
                and interaction.session_started_at = session.session_started_at
        where
            (interaction.clicked_thumbnail or interaction.clicked_title)
            and session.search_type <> 'ai_chat'
    ) as clicked
    -- What leads nowhere would come to nothing, and could keep honest clicks waiting.
    where
        exists (
            select
            from public.keyword_video_mappings as mapping
            where
                mapping.keyword = clicked.keyword
                and mapping.video_id = clicked.video_id
        )
    group by
        clicked.video_id,
        clicked.keyword;
    return null;
end
$$;
comment on function private.bump_click_count() is
'Notes who clicked in a statement, each person once for a video and what had been searched for.';

create trigger click_count_trg
after insert on public.video_interactions
referencing new table as new_interactions
for each statement
execute function private.bump_click_count();

create function private.note_cache_hit(video_id text)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if private.user_id() is null then
        return;
    end if;
    insert into private.pending_counts (counter, video_id, amount)
    select
        'cache_hit',
        video.video_id,
        1
    from public.cached_videos as video
    where
        video.video_id = note_cache_hit.video_id
        and video.is_playable
        and video.expires_at > now();
end
$$;
comment on function private.note_cache_hit(text) is 'Notes that the cache has served a video to who is signed in.';

create function public.touch_cached_video(video_id text)
returns setof public.cached_videos
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return query
    select video.*
    from public.cached_videos as video
    where
        video.video_id = touch_cached_video.video_id
        and video.expires_at > now();
    if found then
        perform private.note_cache_hit(touch_cached_video.video_id);
    end if;
end
$$;
comment on function public.touch_cached_video(text) is
'The video as the cache has it, and counts that it was served; no row when it is unknown, hidden or has expired.';

create table private.playback_errors (
    video_id varchar(20) not null references public.cached_videos (video_id) on delete cascade,
    user_id uuid not null references public.users (id) on delete cascade,
    reported_on date not null,
    error_code integer not null,
    region varchar(2),
    reported_at timestamptz not null default now(),
    used_at timestamptz,
    primary key (video_id, user_id, reported_on),
    constraint error_code_is_the_players check (error_code in (2, 5, 100, 101, 150, 153))
);
alter table private.playback_errors enable row level security;
create index playback_errors_by_user on private.playback_errors (user_id);
create index playback_errors_by_time on private.playback_errors (reported_at);
comment on table private.playback_errors is
'Errors of the embedded player that people reported: one per person, video and day in Korea. Kept 30 days.';
comment on column private.playback_errors.error_code is 'What YouTube''s player said: 2, 5, 100, 101, 150 or 153.';
comment on column private.playback_errors.region is 'Where it was, an ISO 3166 code.';
comment on column private.playback_errors.used_at is
'When it helped to take the video out. It does not do so again, should somebody put the video back.';

create function private.reporters_needed()
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select 3
$$;
comment on function private.reporters_needed() is
'How many people must report within 24 hours that a video does not play: nobody takes a video out alone.';

create function private.blames_the_video(error_code integer)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select error_code in (100, 101, 150, 153)
$$;
comment on function private.blames_the_video(integer) is
'Whether the error lies with the video. 2 and 5 lie with the app or the browser.';

create function private.most_reports()
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select 20
$$;
comment on function private.most_reports() is
'Reports of playback errors in 24 hours up to which a person is believed: a few people shall not empty the catalogue.';

create function private.take_out_unplayable(batch_size integer)
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    taken_out integer;
begin
    with blamed as materialized (
        select
            report.video_id,
            mode() within group (order by report.error_code) as error_code
        from private.playback_errors as report
        inner join auth.users as person on report.user_id = person.id
        where
            private.blames_the_video(report.error_code)
            -- Accounts that cost nothing to make would be as many people as anybody wants to be.
            and not person.is_anonymous
            and report.used_at is null
            and report.reported_at > now() - interval '24 hours'
            -- Who reports more than that in a day says more of the own player than of the videos.
            and (
                select count(*)
                from private.playback_errors as other
                where
                    other.user_id = report.user_id
                    and other.reported_at > now() - interval '24 hours'
            ) <= private.most_reports()
        group by report.video_id
        having count(distinct report.user_id) >= private.reporters_needed()
        limit batch_size
    ),

    -- What is being written just now is left to the next run: to wait here, with rows held, could end in a circle.
    held as materialized (
        select
            video.video_id,
            blamed.error_code
        from public.cached_videos as video
        inner join blamed on video.video_id = blamed.video_id
        where video.player_error_code is null
        order by video.video_id
        for no key update of video skip locked
    ),

    used as (
        update private.playback_errors as report
        set used_at = now()
        from held
        where
            report.video_id = held.video_id
            and report.used_at is null
    ),

    marked as (
        update public.cached_videos as video
        set
            player_error_code = held.error_code,
            player_error_at = now(),
            times_taken_out = video.times_taken_out + 1
        from held
        where video.video_id = held.video_id
        returning video.video_id
    )

    select count(*)
    into taken_out
    from marked;
    return taken_out;
end
$$;
comment on function private.take_out_unplayable(integer) is
'Marks videos that enough people could not play, which makes them unplayable; returns how many.';

create function private.forget_short_lived(batch_size integer)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answers integer;
    quotas integer;
    reports integer;
begin
    delete from private.answered_queries as answered
    where
        answered.digest in (
            select old.digest
            from private.answered_queries as old
            where old.expires_at <= now()
            limit batch_size
            for update skip locked
        );
    get diagnostics answers = row_count;
    delete from private.daily_quotas as quota
    where
        (quota.user_id, quota.day) in (
            select
                old.user_id,
                old.day
            from private.daily_quotas as old
            where old.day < private.korean_day() - 1
            limit batch_size
            for update skip locked
        );
    get diagnostics quotas = row_count;
    delete from private.playback_errors as report
    where
        (report.video_id, report.user_id, report.reported_on) in (
            select
                old.video_id,
                old.user_id,
                old.reported_on
            from private.playback_errors as old
            where old.reported_at < now() - interval '30 days'
            order by old.reported_at
            limit batch_size
            for update skip locked
        );
    get diagnostics reports = row_count;
    return jsonb_build_object('answers_forgotten', answers, 'quotas_forgotten', quotas, 'reports_forgotten', reports);
end
$$;
comment on function private.forget_short_lived(integer) is
'Deletes what is kept for minutes and days: answered queries, days of the trial limit, reports of playback errors.';

create function private.fold_counters(batch_size integer default 10000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    taken jsonb;
    clicks bigint;
    hits bigint;
begin
    -- One fold at a time: two that lock the same videos, which interactions refer to meanwhile, can end in a circle.
    perform pg_advisory_xact_lock(hashtextextended('shorts-fold-counters', 0));
    with taking as (
        delete from private.pending_counts as pending
        where
            pending.id in (
                select oldest.id
                from private.pending_counts as oldest
                order by oldest.id
                limit fold_counters.batch_size
            )
        returning
            pending.counter,
            pending.video_id,
            pending.keyword,
            pending.amount,
            pending.counted_at
    )

    select
        jsonb_agg(
            jsonb_build_object(
                'counter', added.counter,
                'video_id', added.video_id,
                'keyword', added.keyword,
                'amount', added.amount,
                'counted_at', added.counted_at
            )
        ),
        coalesce(sum(added.amount) filter (where added.counter = 'click'), 0),
        coalesce(sum(added.amount) filter (where added.counter = 'cache_hit'), 0)
    into taken, clicks, hits
    from (
        select
            taking.counter,
            taking.video_id,
            taking.keyword,
            sum(taking.amount) as amount,
            max(taking.counted_at) as counted_at
        from taking
        group by
            taking.counter,
            taking.video_id,
            taking.keyword
    ) as added;

    -- Videos first, then mappings, each sorted: the order in which ingest_videos takes them.
    with added as materialized (
        select
            one.video_id,
            one.amount,
            one.counted_at
        from jsonb_to_recordset(taken) as one (counter text, video_id text, amount bigint, counted_at timestamptz)
        where one.counter = 'cache_hit'
    ),

    held as materialized (
        select
            video.video_id,
            added.amount,
            added.counted_at
        from public.cached_videos as video
        inner join added on video.video_id = added.video_id
        order by video.video_id
        for no key update of video
    )

    update public.cached_videos as video
    set
        cache_hit_count = least(video.cache_hit_count + held.amount, 2147483647),
        last_accessed_at = greatest(video.last_accessed_at, held.counted_at)
    from held
    where video.video_id = held.video_id;

    with added as materialized (
        select
            one.video_id,
            one.keyword,
            one.amount
        from jsonb_to_recordset(taken) as one (counter text, video_id text, keyword text, amount bigint)
        where one.counter = 'click'
    ),

    held as materialized (
        select
            mapping.id,
            added.amount
        from public.keyword_video_mappings as mapping
        inner join added
            on
                mapping.keyword = added.keyword
                and mapping.video_id = added.video_id
        order by
            mapping.keyword,
            mapping.video_id
        for no key update of mapping
    )

    update public.keyword_video_mappings as mapping
    set click_count = least(mapping.click_count + held.amount, 2147483647)
    from held
    where mapping.id = held.id;

    return
        jsonb_build_object(
            'clicks', clicks,
            'cache_hits', hits,
            'taken_out', private.take_out_unplayable(fold_counters.batch_size)
        )
        || private.forget_short_lived(fold_counters.batch_size);
end
$$;
comment on function private.fold_counters(integer) is
'Adds what was counted to the rows that show it, once; takes out what does not play; forgets what is short-lived.';
