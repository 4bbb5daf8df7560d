-- Promises that old searches leave the hot table without being lost, and that no old row keeps a month from going.

create function private.archive_search_sessions(
    at timestamptz default now(),
    batch_size integer default 10000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    with moved as (
        delete from public.search_sessions as stored
        where
            stored.session_started_at < archive_search_sessions.at - interval '90 days'
            and (stored.id, stored.session_started_at) in (
                select
                    old.id,
                    old.session_started_at
                from public.search_sessions as old
                where old.session_started_at < archive_search_sessions.at - interval '90 days'
                limit archive_search_sessions.batch_size
                for update skip locked
            )
        returning stored.*
    ),

    archived as (
        insert into private.search_sessions_archive (
            id,
            user_id,
            search_query,
            search_type,
            search_intent,
            user_context,
            results_count,
            results_shown,
            results_clicked,
            response_time_ms,
            cache_hit,
            api_cost_units,
            user_satisfaction_rating,
            session_outcome,
            session_started_at,
            session_ended_at,
            created_at,
            session_id,
            conversation_context
        )
        select
            moved.id,
            moved.user_id,
            moved.search_query,
            moved.search_type,
            moved.search_intent,
            moved.user_context,
            moved.results_count,
            moved.results_shown,
            moved.results_clicked,
            moved.response_time_ms,
            moved.cache_hit,
            moved.api_cost_units,
            moved.user_satisfaction_rating,
            moved.session_outcome,
            moved.session_started_at,
            moved.session_ended_at,
            moved.created_at,
            moved.session_id,
            moved.conversation_context
        from moved
        where moved.session_started_at >= archive_search_sessions.at - interval '12 months'
        returning id
    ),

    purged as (
        delete from private.search_sessions_archive as stored
        where
            (stored.id, stored.session_started_at) in (
                select
                    old.id,
                    old.session_started_at
                from private.search_sessions_archive as old
                where old.session_started_at < archive_search_sessions.at - interval '12 months'
                order by old.session_started_at
                limit archive_search_sessions.batch_size
            )
        returning stored.id
    )

    select
        jsonb_build_object(
            'archived', (select count(*) from archived),
            'purged', (select count(*) from purged) + (select count(*) from moved) - (select count(*) from archived)
        )
$$;
comment on function private.archive_search_sessions(timestamptz, integer) is
'Moves searches older than 90 days to private.search_sessions_archive, and forgets what is there for more than 12 '
'months. What was watched stays, without its search. One statement: no search is in both places.';

create function private.prune_watch_events(
    at timestamptz default now(),
    batch_size integer default 100000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '2s'
language plpgsql
as $$
declare
    expires_before timestamptz;
    expired regclass;
    emptied integer := 0;
    pruned bigint := 0;
begin
    -- The newest bound of the months of interactions that are about to be dropped; on most days there is none.
    select max(month.upper_bound)
    into expires_before
    from ops.partition_policies as policy
    cross join private.partitions_of('public.video_interactions') as month
    where
        policy.parent_schema = 'public'
        and policy.parent_table = 'video_interactions'
        and month.upper_bound <= prune_watch_events.at - policy.retention;
    if expires_before is null then
        return jsonb_build_object('emptied', 0, 'pruned', 0);
    end if;

    -- Months of events that go the same night, but after those of interactions, whose rows they refer to.
    for expired in
        select month.child
        from ops.partition_policies as policy
        cross join private.partitions_of('public.watch_events') as month
        where
            policy.parent_schema = 'public'
            and policy.parent_table = 'watch_events'
            and month.upper_bound <= prune_watch_events.at - policy.retention
    loop
        execute format('truncate %s', expired);
        emptied := emptied + 1;
    end loop;

    -- Of an interaction's last minutes some happened in the next month: at most a day, as its constraint says.
    delete from public.watch_events as stored
    where
        stored.event_timestamp < expires_before + interval '24 hours'
        and (stored.id, stored.event_timestamp) in (
            select
                event.id,
                event.event_timestamp
            from public.watch_events as event
            where
                event.interaction_created_at < expires_before
                and event.event_timestamp <= expires_before + interval '24 hours'
            limit prune_watch_events.batch_size
        );
    get diagnostics pruned = row_count;
    return jsonb_build_object('emptied', emptied, 'pruned', pruned);
end
$$;
comment on function private.prune_watch_events(timestamptz, integer) is
'Removes the events of interactions whose month is about to be dropped: a foreign key would else keep that month. '
'Returns how many months of events were emptied, and how many younger events were deleted.';
