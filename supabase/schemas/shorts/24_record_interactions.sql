-- Promises that a device may send what was done in batches, again and late: good rows are kept once, bad ones named.

create function private.read_interactions(
    interactions jsonb,
    person uuid
)
returns table (
    index integer,
    code text,
    message text,
    is_known boolean,
    id uuid,
    video_id text,
    session_id uuid,
    session_started_at timestamptz,
    interaction_type text,
    interaction_value integer,
    watch_duration integer,
    total_duration integer,
    watch_percentage double precision,
    watched_to_end boolean,
    clicked_thumbnail boolean,
    clicked_title boolean,
    opened_in_youtube boolean,
    user_rating integer,
    feedback_text text,
    interaction_context jsonb,
    interaction_timestamp timestamptz
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
            item.value -> 'interaction_context' as interaction_context,
            case when jsonb_typeof(item.value) = 'object' then jsonb_strip_nulls(item.value) end as sent
        from jsonb_array_elements(interactions) with ordinality as item (value, ordinality)
    ),

    typed as materialized (
        select
            given.index,
            given.sent,
            given.sent ->> 'video_id' as video_id,
            given.sent ->> 'interaction_type' as interaction_type,
            given.sent ->> 'feedback_text' as feedback_text,
            nullif(given.interaction_context, 'null') as interaction_context,
            case
                when pg_input_is_valid(given.sent ->> 'id', 'uuid')
                    then (given.sent ->> 'id')::uuid
            end as id,
            case
                when pg_input_is_valid(given.sent ->> 'session_id', 'uuid')
                    then (given.sent ->> 'session_id')::uuid
            end as session_id,
            case
                when
                    jsonb_typeof(given.sent -> 'interaction_value') = 'number'
                    and pg_input_is_valid(given.sent ->> 'interaction_value', 'integer')
                    then (given.sent ->> 'interaction_value')::integer
            end as interaction_value,
            case
                when
                    jsonb_typeof(given.sent -> 'watch_duration') = 'number'
                    and pg_input_is_valid(given.sent ->> 'watch_duration', 'integer')
                    then (given.sent ->> 'watch_duration')::integer
            end as watch_duration,
            case
                when
                    jsonb_typeof(given.sent -> 'total_duration') = 'number'
                    and pg_input_is_valid(given.sent ->> 'total_duration', 'integer')
                    then (given.sent ->> 'total_duration')::integer
            end as total_duration,
            case
                when
                    jsonb_typeof(given.sent -> 'watch_percentage') = 'number'
                    and pg_input_is_valid(given.sent ->> 'watch_percentage', 'double precision')
                    then (given.sent ->> 'watch_percentage')::double precision
            end as watch_percentage,
            case
                when jsonb_typeof(given.sent -> 'watched_to_end') = 'boolean'
                    then (given.sent -> 'watched_to_end')::boolean
            end as watched_to_end,
            case
                when jsonb_typeof(given.sent -> 'clicked_thumbnail') = 'boolean'
                    then (given.sent -> 'clicked_thumbnail')::boolean
            end as clicked_thumbnail,
            case
                when jsonb_typeof(given.sent -> 'clicked_title') = 'boolean'
                    then (given.sent -> 'clicked_title')::boolean
            end as clicked_title,
            case
                when jsonb_typeof(given.sent -> 'opened_in_youtube') = 'boolean'
                    then (given.sent -> 'opened_in_youtube')::boolean
            end as opened_in_youtube,
            case
                when
                    jsonb_typeof(given.sent -> 'user_rating') = 'number'
                    and pg_input_is_valid(given.sent ->> 'user_rating', 'integer')
                    then (given.sent ->> 'user_rating')::integer
            end as user_rating,
            case
                when
                    given.sent ->> 'interaction_timestamp' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.sent ->> 'interaction_timestamp', 'timestamptz')
                    then (given.sent ->> 'interaction_timestamp')::timestamptz
            end as interaction_timestamp
        from given
    ),

    known as materialized (
        select
            stored.id,
            bool_or(stored.user_id = read_interactions.person) as is_own
        from public.video_interactions as stored
        where
            stored.created_at > now() - interval '24 hours'
            and stored.id = any(array(select typed.id from typed))
        group by stored.id
    ),

    sessions as materialized (
        select
            session.id,
            max(session.session_started_at) as session_started_at
        from public.search_sessions as session
        where
            session.user_id = read_interactions.person
            and session.id = any(array(select typed.session_id from typed))
        group by session.id
    ),

    videos as materialized (
        select video.video_id
        from public.cached_videos as video
        where video.video_id = any(array(select typed.video_id from typed))
    )

    select
        typed.index,
        problem.code,
        problem.message,
        coalesce(known.is_own, false) as is_known,
        typed.id,
        typed.video_id,
        typed.session_id,
        sessions.session_started_at,
        typed.interaction_type,
        typed.interaction_value,
        typed.watch_duration,
        typed.total_duration,
        typed.watch_percentage,
        typed.watched_to_end,
        typed.clicked_thumbnail,
        typed.clicked_title,
        typed.opened_in_youtube,
        typed.user_rating,
        typed.feedback_text,
        typed.interaction_context,
        typed.interaction_timestamp
    from typed
    left join known on typed.id = known.id
    left join sessions on typed.session_id = sessions.id
    left join videos on typed.video_id = videos.video_id
    left join lateral (
        select
            rule.code,
            rule.message
        from (
            values
            (typed.sent is null, 'ON001', 'the row is not an object'),
            (
                coalesce(jsonb_typeof(typed.sent -> 'video_id') <> 'string', true)
                or typed.video_id !~ '^[A-Za-z0-9_-]{1,20}$',
                'ON002',
                'video_id is not an id of at most 20 letters, digits, _ and -'
            ),
            (
                coalesce(jsonb_typeof(typed.sent -> 'interaction_type') <> 'string', true)
                or typed.interaction_type not in ('view', 'like', 'share', 'save', 'skip'),
                'ON009',
                'interaction_type is none of view, like, share, save, skip'
            ),
            (typed.sent ? 'id' and typed.id is null, 'ON011', 'id is not a UUID'),
            (typed.sent ? 'session_id' and typed.session_id is null, 'ON011', 'session_id is not a UUID'),
            (
                (typed.sent ? 'watched_to_end' and typed.watched_to_end is null)
                or (typed.sent ? 'clicked_thumbnail' and typed.clicked_thumbnail is null)
                or (typed.sent ? 'clicked_title' and typed.clicked_title is null)
                or (typed.sent ? 'opened_in_youtube' and typed.opened_in_youtube is null),
                'ON009',
                'one of watched_to_end, clicked_thumbnail, clicked_title, opened_in_youtube is not true or false'
            ),
            (
                typed.sent ? 'interaction_value' and coalesce(typed.interaction_value not between 0 and 100, true),
                'ON007',
                'interaction_value is not a whole number from 0 to 100'
            ),
            (
                typed.sent ? 'watch_duration' and coalesce(typed.watch_duration not between 0 and 86400, true),
                'ON007',
                'watch_duration is not a whole number from 0 to 86400'
            ),
            (
                typed.sent ? 'total_duration' and coalesce(typed.total_duration not between 0 and 86400, true),
                'ON007',
                'total_duration is not a whole number from 0 to 86400'
            ),
            (
                typed.sent ? 'watch_percentage' and coalesce(typed.watch_percentage not between 0 and 1, true),
                'ON007',
                'watch_percentage is not a number from 0 to 1'
            ),
            (
                typed.sent ? 'user_rating' and coalesce(typed.user_rating not between 1 and 5, true),
                'ON007',
                'user_rating is not a whole number from 1 to 5'
            ),
            (jsonb_typeof(typed.sent -> 'feedback_text') <> 'string', 'ON003', 'feedback_text is not text'),
            (length(typed.feedback_text) > 2000, 'ON004', 'feedback_text is longer than 2000 characters'),
            (
                not private.is_small(typed.interaction_context, 'object', 4096),
                'ON014',
                'interaction_context is not an object of at most 4096 characters'
            ),
            (
                typed.sent ? 'interaction_timestamp' and typed.interaction_timestamp is null,
                'ON005',
                'interaction_timestamp is not an ISO 8601 time'
            ),
            (
                typed.interaction_timestamp
                not between now() - interval '168 hours' and now() + interval '10 minutes',
                'ON006',
                'interaction_timestamp is more than 168 hours ago or in the future'
            ),
            (videos.video_id is null, 'ON012', 'there is no such video'),
            (
                typed.session_id is not null and sessions.id is null,
                'ON013',
                'session_id names no search of yours'
            ),
            (not known.is_own, 'ON015', 'the id is taken')
        ) as rule (is_broken, code, message)
        where rule.is_broken
        limit 1
    ) as problem on known.is_own is not true
$$;
comment on function private.read_interactions(jsonb, uuid) is
'The batch as typed rows, each with its first problem or none, and whether it was stored in the last 24 hours.';

create function private.store_interactions(interactions jsonb)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person uuid := private.require_person();
    room integer;
    answer jsonb;
begin
    perform private.check_own_batch(interactions);
    -- Of two retries of one batch the second sees what the first has stored.
    perform pg_advisory_xact_lock(hashtextextended('shorts-record:' || person, 0));
    if private.is_on_trial(person) then
        insert into private.daily_quotas as quota (user_id, day, used)
        values (person, private.korean_day(), 0)
        on conflict on constraint daily_quotas_pkey do update
            set used = quota.used
        returning private.trial_limit() - quota.used
        into room;
    end if;

    with read as materialized (
        select *
        from private.read_interactions(interactions, person)
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

    -- An id that comes twice in a batch is a repeat of the first; in the order sent, as far as there is room.
    firsts as materialized (
        select
            earliest.new_id,
            earliest.index,
            coalesce(row_number() over (order by earliest.index) <= room, true) as fits
        from (
            select
                fresh.new_id,
                min(fresh.index) as index
            from fresh
            group by fresh.new_id
        ) as earliest
    ),

    stored as (
        insert into public.video_interactions (
            id,
            user_id,
            video_id,
            session_id,
            session_started_at,
            interaction_type,
            interaction_value,
            watch_duration,
            total_duration,
            watch_percentage,
            watched_to_end,
            clicked_thumbnail,
            clicked_title,
            opened_in_youtube,
            user_rating,
            feedback_text,
            interaction_context,
            interaction_timestamp
        )
        select
            fresh.new_id,
            person,
            fresh.video_id,
            fresh.session_id,
            fresh.session_started_at,
            fresh.interaction_type,
            coalesce(fresh.interaction_value, 1),
            coalesce(fresh.watch_duration, 0),
            fresh.total_duration,
            coalesce(fresh.watch_percentage, 0.0),
            coalesce(fresh.watched_to_end, false),
            coalesce(fresh.clicked_thumbnail, false),
            coalesce(fresh.clicked_title, false),
            coalesce(fresh.opened_in_youtube, false),
            fresh.user_rating,
            fresh.feedback_text,
            coalesce(
                fresh.interaction_context,
                '{"source": "search_results", "position": 0, "recommendation_score": 0.0}'
            ),
            coalesce(fresh.interaction_timestamp, now())
        from fresh
        inner join firsts on fresh.index = firsts.index
        where firsts.fits
        order by
            fresh.video_id,
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
        where firsts.fits
    ),

    refused as materialized (
        select
            read.index,
            read.code,
            read.message
        from read
        where read.code is not null
        union all
        select
            fresh.index,
            'ON016',
            format('on trial %s interactions a day are stored', private.trial_limit())
        from fresh
        inner join firsts on fresh.new_id = firsts.new_id
        where not firsts.fits
    )

    select
        jsonb_build_object(
            'received', jsonb_array_length(interactions),
            'stored', (select count(*) from taken where taken.is_new),
            'repeated', (select count(*) from taken where not taken.is_new),
            'interactions', (
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
                                'index', refused.index,
                                'code', refused.code,
                                'message', refused.message,
                                'hint', private.row_hint(refused.code)
                            )
                            order by refused.index
                        ),
                        '[]'
                    )
                from refused
            )
        )
    into answer;
    if answer -> 'interactions' = '[]' then
        perform private.refuse_empty_handed(answer -> 'rejected');
    end if;
    return answer;
end
$$;
comment on function private.store_interactions(jsonb) is
'Stores what who asks did, an id once in 24 hours, and on trial no more than the day has room for.';

create function public.record_interaction(interactions jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.store_interactions(interactions)
$$;
comment on function public.record_interaction(jsonb) is
'Stores 1 to 1000 interactions of one''s own; bad rows come back as {index, code, message, hint}, see docs/errors.md.';
