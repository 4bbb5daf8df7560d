-- Promises that what happened in the player may be sent in batches, again and late, for interactions of one's own.

create function private.read_watch_events(
    events jsonb,
    person uuid
)
returns table (
    index integer,
    code text,
    message text,
    is_known boolean,
    id uuid,
    interaction_id uuid,
    interaction_created_at timestamptz,
    event_type text,
    event_timestamp timestamptz,
    video_timestamp integer,
    seek_from integer,
    seek_to integer
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Materialized: the planner would else read each field again for every rule.
    with given as materialized (
        select
            (item.ordinality - 1)::integer as index,
            case when jsonb_typeof(item.value) = 'object' then jsonb_strip_nulls(item.value) end as sent
        from jsonb_array_elements(events) with ordinality as item (value, ordinality)
    ),

    typed as materialized (
        select
            given.index,
            given.sent,
            given.sent ->> 'event_type' as event_type,
            case
                when pg_input_is_valid(given.sent ->> 'id', 'uuid')
                    then (given.sent ->> 'id')::uuid
            end as id,
            case
                when pg_input_is_valid(given.sent ->> 'interaction_id', 'uuid')
                    then (given.sent ->> 'interaction_id')::uuid
            end as interaction_id,
            case
                when not given.sent ? 'event_timestamp' then now()
                when
                    given.sent ->> 'event_timestamp' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.sent ->> 'event_timestamp', 'timestamptz')
                    then (given.sent ->> 'event_timestamp')::timestamptz
            end as event_timestamp,
            case
                when
                    jsonb_typeof(given.sent -> 'video_timestamp') = 'number'
                    and pg_input_is_valid(given.sent ->> 'video_timestamp', 'integer')
                    then (given.sent ->> 'video_timestamp')::integer
            end as video_timestamp,
            case
                when
                    jsonb_typeof(given.sent -> 'seek_from') = 'number'
                    and pg_input_is_valid(given.sent ->> 'seek_from', 'integer')
                    then (given.sent ->> 'seek_from')::integer
            end as seek_from,
            case
                when
                    jsonb_typeof(given.sent -> 'seek_to') = 'number'
                    and pg_input_is_valid(given.sent ->> 'seek_to', 'integer')
                    then (given.sent ->> 'seek_to')::integer
            end as seek_to
        from given
    ),

    known as materialized (
        select
            stored.id,
            bool_or(interaction.user_id = read_watch_events.person) as is_own
        from public.watch_events as stored
        inner join public.video_interactions as interaction
            on
                stored.interaction_id = interaction.id
                and stored.interaction_created_at = interaction.created_at
        where stored.id = any(array(select typed.id from typed))
        group by stored.id
    ),

    interactions as materialized (
        select
            interaction.id,
            max(interaction.created_at) as created_at
        from public.video_interactions as interaction
        where
            interaction.user_id = read_watch_events.person
            and interaction.id = any(array(select typed.interaction_id from typed))
        group by interaction.id
    )

    select
        typed.index,
        problem.code,
        problem.message,
        coalesce(known.is_own, false) as is_known,
        typed.id,
        typed.interaction_id,
        interactions.created_at as interaction_created_at,
        typed.event_type,
        typed.event_timestamp,
        typed.video_timestamp,
        typed.seek_from,
        typed.seek_to
    from typed
    left join known on typed.id = known.id
    left join interactions on typed.interaction_id = interactions.id
    left join lateral (
        select
            rule.code,
            rule.message
        from (
            values
            (typed.sent is null, 'ON001', 'the row is not an object'),
            (typed.interaction_id is null, 'ON011', 'interaction_id is missing or not a UUID'),
            (typed.sent ? 'id' and typed.id is null, 'ON011', 'id is not a UUID'),
            (
                coalesce(jsonb_typeof(typed.sent -> 'event_type') <> 'string', true)
                or typed.event_type not in ('play', 'pause', 'seek', 'end', 'skip', 'replay'),
                'ON009',
                'event_type is none of play, pause, seek, end, skip, replay'
            ),
            (
                typed.sent ? 'video_timestamp' and coalesce(typed.video_timestamp not between 0 and 86400, true),
                'ON007',
                'video_timestamp is not a whole number from 0 to 86400'
            ),
            (
                typed.sent ? 'seek_from' and coalesce(typed.seek_from not between 0 and 86400, true),
                'ON007',
                'seek_from is not a whole number from 0 to 86400'
            ),
            (
                typed.sent ? 'seek_to' and coalesce(typed.seek_to not between 0 and 86400, true),
                'ON007',
                'seek_to is not a whole number from 0 to 86400'
            ),
            (
                typed.event_type <> 'seek' and (typed.sent ? 'seek_from' or typed.sent ? 'seek_to'),
                'ON017',
                'only a seek has seek_from and seek_to'
            ),
            (typed.event_timestamp is null, 'ON005', 'event_timestamp is not an ISO 8601 time'),
            (interactions.id is null, 'ON013', 'interaction_id names no interaction of yours'),
            (
                typed.event_timestamp > now() + interval '10 minutes'
                or typed.event_timestamp
                not between interactions.created_at - interval '168 hours' and interactions.created_at + interval '24 hours',
                'ON006',
                'event_timestamp is in the future, or not within 168 hours before and 24 hours after its interaction'
            ),
            (not known.is_own, 'ON015', 'the id is taken')
        ) as rule (is_broken, code, message)
        where rule.is_broken
        limit 1
    ) as problem on known.is_own is not true
$$;
comment on function private.read_watch_events(jsonb, uuid) is
'The batch as typed rows, each with its first problem or none, and whether it is stored already.';

create function private.store_watch_events(events jsonb)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person uuid := private.require_person();
    answer jsonb;
begin
    perform private.check_own_batch(events);
    -- Of two retries of one batch the second sees what the first has stored.
    perform pg_advisory_xact_lock(hashtextextended('shorts-record:' || person, 0));

    with read as materialized (
        select *
        from private.read_watch_events(events, person)
    ),

    fresh as materialized (
        select
            read.*,
            coalesce(read.id, gen_random_uuid()) as new_id
        from read
        where
            read.code is null
            and not read.is_known
    ),

    -- An id that comes twice in a batch is a repeat of the first.
    firsts as materialized (
        select
            fresh.new_id,
            min(fresh.index) as index
        from fresh
        group by fresh.new_id
    ),

    stored as (
        insert into public.watch_events (
            id,
            interaction_id,
            interaction_created_at,
            event_type,
            event_timestamp,
            video_timestamp,
            seek_from,
            seek_to
        )
        select
            fresh.new_id,
            fresh.interaction_id,
            fresh.interaction_created_at,
            fresh.event_type,
            fresh.event_timestamp,
            fresh.video_timestamp,
            fresh.seek_from,
            fresh.seek_to
        from fresh
        inner join firsts on fresh.index = firsts.index
        order by
            fresh.interaction_id,
            fresh.new_id
    ),

    taken as materialized (
        select
            read.index,
            read.id,
            false as is_new
        from read
        where read.is_known
        union all
        select
            fresh.index,
            fresh.new_id,
            fresh.index = firsts.index
        from fresh
        inner join firsts on fresh.new_id = firsts.new_id
    )

    select
        jsonb_build_object(
            'received', jsonb_array_length(events),
            'stored', (select count(*) from taken where taken.is_new),
            'repeated', (select count(*) from taken where not taken.is_new),
            'events', (
                select
                    coalesce(
                        jsonb_agg(jsonb_build_object('index', taken.index, 'id', taken.id) order by taken.index),
                        '[]'
                    )
                from taken
            ),
            'rejected', (
                select
                    coalesce(
                        jsonb_agg(
                            jsonb_build_object(
                                'index', read.index,
                                'code', read.code,
                                'message', read.message,
                                'hint', private.row_hint(read.code)
                            )
                            order by read.index
                        ),
                        '[]'
                    )
                from read
                where read.code is not null
            )
        )
    into answer;
    if answer -> 'events' = '[]' then
        perform private.refuse_empty_handed(answer -> 'rejected');
    end if;
    return answer;
end
$$;
comment on function private.store_watch_events(jsonb) is
'Stores what happened in the player during interactions of who asks, an id once.';

create function public.record_watch_event(events jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.store_watch_events(events)
$$;
comment on function public.record_watch_event(jsonb) is
'Stores 1 to 1000 events of one''s own interactions; bad rows come back as {index, code, message, hint}.';
