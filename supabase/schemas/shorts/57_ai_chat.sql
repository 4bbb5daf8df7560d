-- Promises that nobody asks the AI more often in a day than their tier allows, and that what was said is kept.

create table private.ai_turn_limits (
    tier public.tier_enum primary key,
    daily_limit integer not null,
    constraint daily_limit_is_possible check (daily_limit between 0 and 1000000)
);
alter table private.ai_turn_limits enable row level security;
comment on table private.ai_turn_limits is
'How many turns with the AI a day in Korea allows. An operator changes it; it counts at once. No row: none.';
comment on column private.ai_turn_limits.daily_limit is 'Turns a day of each person of this tier.';

insert into private.ai_turn_limits (tier, daily_limit)
values
('premium', 50),
('pro', 200),
('enterprise', 1000);

create table private.ai_turn_days (
    user_id uuid not null references public.users (id) on delete cascade,
    day date not null,
    used integer not null,
    primary key (user_id, day),
    constraint used_is_positive check (used > 0)
);
alter table private.ai_turn_days enable row level security;
comment on table private.ai_turn_days is
'How many turns with the AI a person has begun on a day in Korea. A new day''s first turn forgets the days before.';
comment on column private.ai_turn_days.used is
'Counted before the model is asked; a conversation that is gone gives none back.';

create function private.ai_turns_allowed(person uuid)
returns integer
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        coalesce(
            (
                select allowed.daily_limit
                from public.user_tiers as held
                inner join private.ai_turn_limits as allowed on held.tier = allowed.tier
                where
                    held.user_id = person
                    and (held.expires_at is null or held.expires_at > now())
            ),
            -- An admin without a tier may as much as anybody.
            (
                select max(allowed.daily_limit)
                from private.ai_turn_limits as allowed
                where private.is_admin()
            ),
            0
        )
$$;
comment on function private.ai_turns_allowed(uuid) is 'How many turns with the AI a day allows this person now.';

create function private.take_ai_turn(person uuid)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    allowed constant integer := private.ai_turns_allowed(person);
    today constant date := private.korean_day();
    resets_at constant timestamptz := (today + 1)::timestamp at time zone 'Asia/Seoul';
    used_up integer;
begin
    -- Who takes at the same time waits for this row, and is then asked about what is used by then.
    insert into private.ai_turn_days as counted (user_id, day, used)
    select
        person,
        today,
        1
    where allowed > 0
    on conflict on constraint ai_turn_days_pkey do update
        set used = counted.used + 1
        where counted.used < allowed
    returning counted.used
    into used_up;
    if used_up = 1 then
        delete from private.ai_turn_days as stored
        where
            stored.user_id = person
            and stored.day < today;
    end if;
    return jsonb_build_object(
        'granted', used_up is not null,
        'turns_left', coalesce(allowed - used_up, 0),
        'resets_at', resets_at,
        'retry_after_seconds', ceil(extract(epoch from resets_at - now()))::integer
    );
end
$$;
comment on function private.take_ai_turn(uuid) is
'Counts one turn of the day if one is left; granted says whether. Never beyond the limit, however many ask at once.';

create function private.with_turns(
    conversation jsonb,
    added jsonb
)
returns jsonb
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select coalesce(jsonb_agg(sized.entry order by sized.place), '[]'::jsonb)
    from (
        select
            turn.entry,
            turn.place,
            -- With what stands between two of them, or around all.
            sum(length(turn.entry::text) + 2) over (order by turn.place desc) as characters
        from jsonb_array_elements(conversation || added) with ordinality as turn (entry, place)
    ) as sized
    where sized.characters <= 65536
$$;
comment on function private.with_turns(jsonb, jsonb) is
'A conversation and what is said next; as many of the oldest turns go as make it too long to be stored.';

create function private.require_conversation(
    session uuid,
    person uuid
)
returns public.search_sessions
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    kept public.search_sessions;
begin
    if not private.may_talk_to_the_ai() then
        raise exception using
            errcode = 'PT403',
            message = 'A conversation with the AI needs premium.',
            detail = 'Nothing was stored or counted.',
            hint = 'Subscribe, or search by keyword.';
    end if;
    if require_conversation.session is null then
        return null;
    end if;
    select stored.*
    into kept
    from public.search_sessions as stored
    where
        stored.id = require_conversation.session
        and stored.user_id = person
        and stored.search_type = 'ai_chat'
    for no key update;
    if not found then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such conversation of yours.',
            detail = 'Conversations older than 90 days are archived.',
            hint = 'Send the session of an earlier answer, or none to begin a new conversation.';
    end if;
    return kept;
end
$$;
comment on function private.require_conversation(uuid, uuid) is
'The person''s own conversation, held until the end of the transaction; null for none. Refuses who may not talk.';

create function private.begin_ai_turn(
    message text,
    session uuid
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person constant uuid := private.require_person();
    talk public.search_sessions := private.require_conversation(begin_ai_turn.session, person);
    turn constant uuid := gen_random_uuid();
    taken jsonb;
    opened jsonb;
begin
    if coalesce(length(message) > 1000 or private.normalize_keyword(message) = '', true) then
        raise exception using
            errcode = 'PT400',
            message = 'The message is missing, empty, or longer than 1000 characters.',
            detail = 'Nothing was stored or counted.',
            hint = 'Send what the person typed.';
    end if;
    taken := private.take_ai_turn(person);
    if not (taken -> 'granted')::boolean then
        return taken || jsonb_build_object('session', talk.id);
    end if;
    if talk.id is null then
        opened := private.open_search(left(message, 500), 'ai_chat', null, null, null, null);
        talk.id := (opened ->> 'id')::uuid;
        talk.session_started_at := (opened ->> 'session_started_at')::timestamptz;
        talk.conversation_context := '[]'::jsonb;
    end if;
    update public.search_sessions as stored
    set
        conversation_context = private.with_turns(
            talk.conversation_context,
            jsonb_build_object('turn', turn, 'role', 'user', 'text', message, 'at', now())
        )
    where
        stored.id = talk.id
        and stored.session_started_at = talk.session_started_at;
    return taken || jsonb_build_object(
        'session', talk.id,
        'turn', turn,
        'conversation', jsonb_path_query_array(talk.conversation_context, '$[last - 11 to last]')
    );
end
$$;
comment on function private.begin_ai_turn(text, uuid) is
'Counts a turn of who asks and stores what they said, in a new conversation or in one of their own.';

create function public.open_ai_turn(
    message text,
    session uuid default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.begin_ai_turn(message, session)
$$;
comment on function public.open_ai_turn(text, uuid) is
'Takes one of the day''s turns with the AI: {"granted", "turns_left", "resets_at", "retry_after_seconds", "session", '
'"turn", "conversation"}, the last 12 things said before. Premium and up.';

create function private.end_ai_turn(
    session uuid,
    turn uuid,
    answer text,
    source text,
    model text,
    fallback boolean,
    videos text[],
    response_time_ms integer
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person constant uuid := private.require_person();
    talk constant public.search_sessions := private.require_conversation(end_ai_turn.session, person);
    problem record;
begin
    select
        rule.message,
        rule.hint
    into problem
    from (
        values
        (
            coalesce(length(answer) not between 1 and 4000, true),
            'The answer is missing, empty, or longer than 4000 characters.',
            'Send what was shown.'
        ),
        (
            coalesce(end_ai_turn.source not in ('model', 'search'), true),
            'The source is neither model nor search.',
            'Send who wrote the answer.'
        ),
        (
            length(end_ai_turn.model) not between 1 and 200,
            'The model has no name, or one of more than 200 characters.',
            'Send its name, or nothing when the search wrote the answer.'
        ),
        (
            not private.are_short_texts(videos, 50),
            'The videos are not at most 50 ids.',
            'Send the ids of the cards that were shown.'
        ),
        (
            end_ai_turn.response_time_ms not between 1 and 86400000,
            'response_time_ms is not from 1 to 86400000',
            'Send the milliseconds until the answer was there, or nothing.'
        )
    ) as rule (is_broken, message, hint)
    where rule.is_broken
    limit 1;
    if found then
        raise exception using
            errcode = 'PT400',
            message = problem.message,
            detail = 'Nothing was changed.',
            hint = problem.hint;
    end if;
    if talk.conversation_context @> jsonb_build_array(jsonb_build_object('turn', turn, 'role', 'assistant')) then
        return jsonb_build_object('session', talk.id, 'stored', false);
    end if;
    if not coalesce(
        talk.conversation_context @> jsonb_build_array(jsonb_build_object('turn', turn, 'role', 'user')), false
    ) then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such turn of yours.',
            detail = 'Nothing was changed.',
            hint = 'Send session and turn as open_ai_turn returned them.';
    end if;
    update public.search_sessions as stored
    set
        conversation_context = private.with_turns(
            talk.conversation_context,
            jsonb_build_object(
                'turn', turn,
                'role', 'assistant',
                'text', answer,
                'at', now(),
                'source', end_ai_turn.source,
                'model', end_ai_turn.model,
                'fallback', coalesce(end_ai_turn.fallback, false),
                'videos', coalesce(to_jsonb(videos), '[]')
            )
        ),
        results_count = least(stored.results_count + coalesce(cardinality(videos), 0), 1000000),
        results_shown = least(stored.results_shown + coalesce(cardinality(videos), 0), 100000),
        response_time_ms = coalesce(end_ai_turn.response_time_ms, stored.response_time_ms),
        session_ended_at = now()
    where
        stored.id = talk.id
        and stored.session_started_at = talk.session_started_at;
    return jsonb_build_object('session', talk.id, 'stored', true);
end
$$;
comment on function private.end_ai_turn(uuid, uuid, text, text, text, boolean, text[], integer) is
'Adds the answer to a turn of who asks, once.';

create function public.close_ai_turn(
    session uuid,
    turn uuid,
    answer text,
    source text,
    model text default null,
    fallback boolean default false,
    videos text[] default '{}',
    response_time_ms integer default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.end_ai_turn(session, turn, answer, source, model, fallback, videos, response_time_ms)
$$;
comment on function public.close_ai_turn(uuid, uuid, text, text, text, boolean, text[], integer) is
'Stores what was answered in a turn that open_ai_turn began: {"session", "stored"}. Said again, it changes nothing.';
