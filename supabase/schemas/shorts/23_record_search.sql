-- Promises that a search is opened and closed by whose it is, and that no call writes half of what it was given.

create table private.answered_queries (
    digest bytea primary key,
    answered_at timestamptz not null default now(),
    expires_at timestamptz not null default now() + interval '10 minutes'
);
alter table private.answered_queries enable row level security;
create index answered_queries_by_expiry on private.answered_queries (expires_at);
comment on table private.answered_queries is
'Questions of a person that found something in the last 10 minutes: asked again, the cache answers.';
comment on column private.answered_queries.digest is
'SHA-256 of person, kind and normalised question: not for reading.';
comment on column private.answered_queries.expires_at is 'From when on the question is new again.';

create function private.query_digest(
    person uuid,
    query text,
    search_type text
)
returns bytea
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- The person is a part of it: else everybody could ask whether somebody had asked this.
    select
        case
            when search_type <> 'ai_chat'
                then sha256(convert_to(person || ':' || search_type || ':' || private.normalize_keyword(query), 'UTF8'))
        end
$$;
comment on function private.query_digest(uuid, text, text) is
'What a person''s question is known again by; null for a conversation, whose answers are never the same.';

create function private.may_talk_to_the_ai()
returns boolean
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.has_tier('premium') or private.is_admin()
$$;
comment on function private.may_talk_to_the_ai() is 'Whether who asks may search by conversation.';

create function private.open_search(
    query text,
    search_type text,
    user_context jsonb,
    search_intent text,
    session_id uuid,
    session_token text
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person uuid := private.require_person();
    kind text := coalesce(open_search.search_type, 'keyword');
    problem record;
    opened public.search_sessions;
begin
    select
        rule.message,
        rule.hint
    into problem
    from (
        values
        (
            coalesce(length(query) > 500 or private.normalize_keyword(query) = '', true),
            'query is missing, empty, or longer than 500 characters',
            'Send what the person typed.'
        ),
        (
            kind not in ('keyword', 'ai_chat', 'trending'),
            'search_type is none of the known ones',
            'Send keyword, ai_chat or trending.'
        ),
        (
            open_search.search_intent
            not in ('entertainment', 'education', 'mood_boost', 'trend_following', 'discovery'),
            'search_intent is none of the known ones',
            'Send entertainment, education, mood_boost, trend_following, discovery or nothing.'
        ),
        (
            not private.is_small(open_search.user_context, 'object', 4096),
            'user_context is not an object of at most 4096 characters',
            'Send device_type, browser, location, time_of_day and weather, as far as they are known.'
        ),
        (
            length(open_search.session_token) not between 1 and 4096,
            'session_token is empty or longer than 4096 characters',
            'Send the app''s own token, or none.'
        )
    ) as rule (is_broken, message, hint)
    where rule.is_broken
    limit 1;
    if found then
        raise exception using
            errcode = 'PT400',
            message = problem.message,
            detail = 'No search was stored.',
            hint = problem.hint;
    end if;
    if kind = 'ai_chat' and not private.may_talk_to_the_ai() then
        raise exception using
            errcode = 'PT403',
            message = 'A conversation with the AI needs premium.',
            detail = 'No search was stored.',
            hint = 'Subscribe, or search by keyword.';
    end if;

    insert into public.search_sessions (
        user_id,
        search_query,
        search_type,
        search_intent,
        user_context,
        session_id,
        session_token,
        response_time_ms,
        cache_hit
    )
    values (
        person,
        query,
        kind,
        open_search.search_intent,
        coalesce(
            open_search.user_context,
            '{
                "device_type": "unknown",
                "browser": "unknown",
                "location": "unknown",
                "time_of_day": "unknown",
                "weather": "unknown"
            }'
        ),
        coalesce(open_search.session_id, gen_random_uuid()),
        encode(sha256(convert_to(open_search.session_token, 'UTF8')), 'hex'),
        null,
        exists (
            select
            from private.answered_queries as answered
            where
                answered.digest = private.query_digest(person, query, kind)
                and answered.expires_at > now()
        )
    )
    returning *
    into opened;
    return jsonb_build_object(
        'id', opened.id,
        'session_started_at', opened.session_started_at,
        'session_id', opened.session_id,
        'cache_hit', opened.cache_hit
    );
end
$$;
comment on function private.open_search(text, text, jsonb, text, uuid, text) is
'Stores a search of who asks. The token is kept as a digest only.';

create function public.start_search(
    query text,
    search_type text default 'keyword',
    user_context jsonb default null,
    search_intent text default null,
    session_id uuid default null,
    session_token text default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.open_search(query, search_type, user_context, search_intent, session_id, session_token)
$$;
comment on function public.start_search(text, text, jsonb, text, uuid, text) is
'Opens a search: {"id", "session_started_at", "session_id", "cache_hit"}. ai_chat is for premium and up.';

create function private.close_search(
    session uuid,
    outcome text,
    rating integer,
    results_count integer,
    results_shown integer,
    results_clicked integer,
    response_time_ms integer,
    conversation jsonb
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    longest constant integer := 86400000;
    person uuid := private.require_person();
    problem record;
    closed public.search_sessions;
    answered bytea;
begin
    select
        rule.message,
        rule.hint
    into problem
    from (
        values
        (
            close_search.session is null,
            'session is missing',
            'Send the id that start_search returned.'
        ),
        (
            close_search.outcome not in ('satisfied', 'partial', 'abandoned'),
            'outcome is none of the known ones',
            'Send satisfied, partial, abandoned or nothing.'
        ),
        (
            close_search.rating not between 1 and 5,
            'rating is not from 1 to 5',
            'Send a whole number from 1 to 5, or nothing.'
        ),
        (
            close_search.results_count not between 0 and 1000000
            or close_search.results_shown not between 0 and 100000
            or close_search.results_clicked not between 0 and 100000,
            'a number of results is negative or beyond what is possible',
            'Send results_count up to 1000000, results_shown and results_clicked up to 100000.'
        ),
        (
            close_search.response_time_ms not between 1 and longest,
            'response_time_ms is not from 1 to 86400000',
            'Send the milliseconds until the results came, or nothing: they are counted then.'
        ),
        (
            not private.is_small(close_search.conversation, 'array', 65536),
            'conversation is not an array of at most 65536 characters',
            'Send the turns, oldest first; leave out the oldest when there are too many.'
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

    select stored.*
    into closed
    from public.search_sessions as stored
    where
        stored.id = close_search.session
        and stored.user_id = person
    for no key update;
    if not found then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such search of yours.',
            detail = 'Searches older than 90 days are archived.',
            hint = 'Send the id that start_search returned.';
    end if;
    if closed.search_type <> 'ai_chat' and close_search.conversation <> '[]' then
        raise exception using
            errcode = 'PT400',
            message = 'Only a search of the type ai_chat has a conversation.',
            detail = 'Nothing was changed.',
            hint = 'Leave conversation out.';
    end if;
    if closed.search_type = 'ai_chat' and not private.may_talk_to_the_ai() then
        raise exception using
            errcode = 'PT403',
            message = 'A conversation with the AI needs premium.',
            detail = 'Nothing was changed.',
            hint = 'Subscribe, or search by keyword.';
    end if;

    update public.search_sessions as stored
    set
        session_outcome = coalesce(close_search.outcome, stored.session_outcome),
        user_satisfaction_rating = coalesce(close_search.rating, stored.user_satisfaction_rating),
        results_count = coalesce(close_search.results_count, stored.results_count),
        results_shown = coalesce(close_search.results_shown, stored.results_shown),
        results_clicked = coalesce(close_search.results_clicked, stored.results_clicked),
        conversation_context = coalesce(close_search.conversation, stored.conversation_context),
        response_time_ms = coalesce(
            close_search.response_time_ms,
            nullif(stored.response_time_ms, 0),
            least(
                greatest(extract(epoch from clock_timestamp() - stored.session_started_at) * 1000, 1),
                longest
            )::integer
        ),
        session_ended_at = coalesce(stored.session_ended_at, now())
    where
        stored.id = closed.id
        and stored.session_started_at = closed.session_started_at
    returning stored.*
    into closed;

    if close_search.results_count > 0 then
        answered := private.query_digest(person, closed.search_query, closed.search_type);
    end if;
    if answered is not null then
        insert into private.answered_queries as known (digest)
        values (answered)
        on conflict (digest) do update
            set
                answered_at = excluded.answered_at,
                expires_at = excluded.expires_at
            where known.expires_at <= now();
    end if;
    return jsonb_build_object(
        'id', closed.id,
        'session_ended_at', closed.session_ended_at,
        'response_time_ms', closed.response_time_ms
    );
end
$$;
comment on function private.close_search(uuid, text, integer, integer, integer, integer, integer, jsonb) is
'Adds to a search of who asks how it ended. What is not said stays as it is.';

create function public.end_search(
    session uuid,
    outcome text default null,
    rating integer default null,
    results_count integer default null,
    results_shown integer default null,
    results_clicked integer default null,
    response_time_ms integer default null,
    conversation jsonb default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.close_search(
        session, outcome, rating, results_count, results_shown, results_clicked, response_time_ms, conversation
    )
$$;
comment on function public.end_search(uuid, text, integer, integer, integer, integer, integer, jsonb) is
'Closes a search of one''s own: {"id", "session_ended_at", "response_time_ms"}. Repeat it to add what came later.';
