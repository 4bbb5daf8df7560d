-- A search is opened and closed by whose it is; a refused call leaves nothing behind.
begin;
\ir ../outcome.psql
\ir ../asked.psql
select plan(61);

insert into auth.users (id, email) values
('11111111-1111-4111-8111-111111111111', 'free@example.com'),
('22222222-2222-4222-8222-222222222222', 'premium@example.com'),
('33333333-3333-4333-8333-333333333333', 'expired@example.com');
insert into public.user_tiers (user_id, tier, expires_at, source) values
('22222222-2222-4222-8222-222222222222', 'premium', null, 'purchase'),
('33333333-3333-4333-8333-333333333333', 'premium', now(), 'purchase');
\set free '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}'
\set premium '{"sub": "22222222-2222-4222-8222-222222222222", "role": "authenticated"}'
\set expired '{"sub": "33333333-3333-4333-8333-333333333333", "role": "authenticated"}'
\set nobody '{"sub": "99999999-9999-4999-8999-999999999999", "role": "authenticated"}'
delete from private.answered_queries;

create function pg_temp.searches()
returns bigint
language sql
as $$
    select count(*)
    from public.search_sessions
    where user_id in (
        '11111111-1111-4111-8111-111111111111',
        '22222222-2222-4222-8222-222222222222',
        '33333333-3333-4333-8333-333333333333'
    )
$$;

-- Opening.
select pg_temp.asked(:'free', $$select public.start_search('  고양이 Dance ')$$)::jsonb as opened \gset
select is(
    (
        select array_agg(key order by key)
        from jsonb_object_keys(:'opened'::jsonb) as key
    ),
    array['cache_hit', 'id', 'session_id', 'session_started_at'],
    'S-258: start_search tells id, clock, visit and cache'
);
select :'opened'::jsonb ->> 'id' as search \gset
select results_eq(
    format(
        $$select
            user_id, search_query, search_type::text, response_time_ms, cache_hit, session_token::text,
            session_outcome::text, conversation_context
        from public.search_sessions where id = %L$$,
        :'search'
    ),
    $$values (
        '11111111-1111-4111-8111-111111111111'::uuid, '  고양이 Dance ', 'keyword', null::integer, false, null::text,
        null::text, '[]'::jsonb
    )$$,
    'S-258: the row is the person''s, with response_time_ms null'
);
insert into public.search_sessions (user_id, search_query)
values ('11111111-1111-4111-8111-111111111111', 'as the table has it');
select is(
    (select user_context from public.search_sessions where id = :'search'),
    (select user_context from public.search_sessions where search_query = 'as the table has it'),
    'S-258: the context is unknown while nobody says it'
);
select is(
    (select (pg_temp.asked(:'free', $$select public.start_search(
        'q', 'trending', '{"weather": "rain"}', 'discovery', 'aaaaaaaa-0000-4000-8000-000000000001', 'secret token'
    )$$)::jsonb) ->> 'session_id'),
    'aaaaaaaa-0000-4000-8000-000000000001',
    'S-258: everything else may be said'
);
select results_eq(
    $$select search_type::text, user_context, search_intent::text, session_token::text
    from public.search_sessions where session_id = 'aaaaaaaa-0000-4000-8000-000000000001'$$,
    $$values (
        'trending', '{"weather": "rain"}'::jsonb, 'discovery',
        encode(sha256('secret token'), 'hex')
    )$$,
    'S-258: and is stored, the token as its digest alone'
);

-- Refused.
select pg_temp.searches() as searches \gset
select is(
    pg_temp.asked(:'free', 'select public.start_search(null)'),
    'PT400 query is missing, empty, or longer than 500 characters / Send what the person typed.',
    'PT400: no query'
);
select alike(pg_temp.asked(:'free', $$select public.start_search(' ')$$), 'PT400 query is%', 'PT400: an empty query');
select alike(
    pg_temp.asked(:'free', $$select public.start_search(repeat('x', 10000000))$$), 'PT400 query is%', 'PT400: 10 MB'
);
select is(
    pg_temp.asked(:'free', $$select public.start_search('q', 'voice')$$),
    'PT400 search_type is none of the known ones / Send keyword, ai_chat or trending.',
    'PT400: an unknown kind'
);
select is(
    pg_temp.asked(:'free', $$select public.start_search('q', search_intent => 'none')$$),
    'PT400 search_intent is none of the known ones / '
    'Send entertainment, education, mood_boost, trend_following, discovery or nothing.',
    'PT400: an unknown intent'
);
select is(
    pg_temp.asked(:'free', $$select public.start_search('q', user_context => '[]')$$),
    'PT400 user_context is not an object of at most 4096 characters / '
    'Send device_type, browser, location, time_of_day and weather, as far as they are known.',
    'PT400: a context that is no object'
);
select alike(
    pg_temp.asked(
        :'free', $$select public.start_search('q', user_context => jsonb_build_object('k', repeat('x', 4096)))$$
    ),
    'PT400 user_context is%',
    'PT400: a context too large'
);
select is(
    pg_temp.asked(:'free', $$select public.start_search('q', session_token => repeat('x', 4097))$$),
    'PT400 session_token is empty or longer than 4096 characters / Send the app''s own token, or none.',
    'PT400: a token too long'
);
select is(
    pg_temp.asked(:'free', $$select public.start_search('q', 'ai_chat')$$),
    'PT403 A conversation with the AI needs premium. / Subscribe, or search by keyword.',
    'S-152: PT403: a conversation without premium'
);
select alike(
    pg_temp.asked(:'expired', $$select public.start_search('q', 'ai_chat')$$),
    'PT403 A conversation%',
    'S-152: PT403: with premium that is over'
);
select is(
    pg_temp.asked(null, $$select public.start_search('q')$$),
    'PT403 Only a person can call this. / Sign in, and send the token of that session.',
    'PT403: nobody'
);
select alike(
    pg_temp.asked(:'nobody', $$select public.start_search('q')$$), 'PT403 Only a person%', 'PT403: who is gone'
);
select is(
    pg_temp.outcome('anon', null, $$select public.start_search('q')$$),
    '42501 permission denied for function start_search',
    'anonymous visitors have no searches'
);
select is(
    pg_temp.outcome('anon', null, $$select private.open_search('q', 'keyword', null, null, null, null)$$),
    '42501 permission denied for function open_search',
    'not by the private half either'
);
select is(pg_temp.searches(), :searches::bigint, 'nothing of all this was stored');

-- Closing.
select is(
    pg_temp.asked(:'free', format('select public.end_search(%L)', :'search'))::jsonb - 'response_time_ms',
    jsonb_build_object('id', :'search', 'session_ended_at', now()),
    'S-259: end_search tells when'
);
select cmp_ok(
    (select response_time_ms from public.search_sessions where id = :'search'), '>', 0, 'S-259: response_time_ms > 0'
);
update public.search_sessions
set
    session_started_at = now() - interval '1 hour',
    session_ended_at = now() - interval '59 minutes'
where id = :'search';
select is(
    pg_temp.asked(
        :'free', format($$select public.end_search(%L, 'satisfied', 5, 100, 20, 2, 321)$$, :'search')
    )::jsonb ->> 'response_time_ms',
    '321',
    'S-259: it may be repeated to add what came later'
);
select pg_temp.asked(:'free', format('select public.end_search(%L, rating => 4)', :'search')) as ended \gset
select results_eq(
    format(
        $$select
            session_outcome::text, user_satisfaction_rating, results_count, results_shown, results_clicked,
            response_time_ms, session_ended_at
        from public.search_sessions where id = %L$$,
        :'search'
    ),
    $$values ('satisfied', 4, 100, 20, 2, 321, now() - interval '59 minutes')$$,
    'S-259: what is not said stays, and it ended when it ended first'
);
select is(
    (pg_temp.asked(:'free', $$select public.start_search('slow')$$)::jsonb) ? 'id', true, 'S-259: another'
);
update public.search_sessions
set session_started_at = clock_timestamp() - interval '40 days'
where search_query = 'slow';
select is(
    (
        select pg_temp.asked(:'free', format('select public.end_search(%L)', id))::jsonb ->> 'response_time_ms'
        from public.search_sessions
        where search_query = 'slow'
    ),
    '86400000',
    'S-259: a search that was left open counts a day at most'
);

-- Refused.
create temporary table kept as
select *
from public.search_sessions
where id = :'search';
select is(
    pg_temp.asked(:'free', 'select public.end_search(null)'),
    'PT400 session is missing / Send the id that start_search returned.',
    'PT400: no session'
);
select is(
    pg_temp.asked(:'free', format($$select public.end_search(%L, 'happy')$$, :'search')),
    'PT400 outcome is none of the known ones / Send satisfied, partial, abandoned or nothing.',
    'PT400: an unknown outcome'
);
select is(
    pg_temp.asked(:'free', format('select public.end_search(%L, rating => 6)', :'search')),
    'PT400 rating is not from 1 to 5 / Send a whole number from 1 to 5, or nothing.',
    'PT400: a rating of 6'
);
select is(
    pg_temp.asked(:'free', format('select public.end_search(%L, results_count => -1)', :'search')),
    'PT400 a number of results is negative or beyond what is possible / '
    'Send results_count up to 1000000, results_shown and results_clicked up to 100000.',
    'PT400: fewer than no results'
);
select alike(
    pg_temp.asked(:'free', format('select public.end_search(%L, results_shown => 100001)', :'search')),
    'PT400 a number of results%',
    'PT400: absurdly many'
);
select alike(
    pg_temp.asked(:'free', format('select public.end_search(%L, results_clicked => 2147483647)', :'search')),
    'PT400 a number of results%',
    'PT400: absurdly many clicks'
);
select is(
    pg_temp.asked(:'free', format('select public.end_search(%L, response_time_ms => 0)', :'search')),
    'PT400 response_time_ms is not from 1 to 86400000 / '
    'Send the milliseconds until the results came, or nothing: they are counted then.',
    'PT400: no time at all'
);
select is(
    pg_temp.asked(:'free', format($$select public.end_search(%L, conversation => '{}')$$, :'search')),
    'PT400 conversation is not an array of at most 65536 characters / '
    'Send the turns, oldest first; leave out the oldest when there are too many.',
    'PT400: a conversation that is none'
);
select alike(
    pg_temp.asked(
        :'free',
        format($$select public.end_search(%L, conversation => jsonb_build_array(repeat('x', 65536)))$$, :'search')
    ),
    'PT400 conversation%',
    'PT400: a conversation too long'
);
select is(
    pg_temp.asked(:'free', format($$select public.end_search(%L, conversation => '[{"role": "user"}]')$$, :'search')),
    'PT400 Only a search of the type ai_chat has a conversation. / Leave conversation out.',
    'S-042: PT400: turns of a search that is no conversation'
);
select is(
    pg_temp.asked(:'premium', format('select public.end_search(%L, rating => 1)', :'search')),
    'PT404 There is no such search of yours. / Send the id that start_search returned.',
    'PT404: another''s search'
);
select is(
    pg_temp.asked(:'premium', format('select public.end_search(%L, rating => 1)', gen_random_uuid())),
    'PT404 There is no such search of yours. / Send the id that start_search returned.',
    'PT404: the same answer as for none'
);
select is(
    pg_temp.asked(null, format('select public.end_search(%L)', :'search')),
    'PT403 Only a person can call this. / Sign in, and send the token of that session.',
    'PT403: nobody'
);
select results_eq(
    format('select * from public.search_sessions where id = %L', :'search'), 'select * from kept', 'nothing was changed'
);

-- Talking to the AI.
select pg_temp.asked(:'premium', $$select public.start_search('Hello?', 'ai_chat')$$)::jsonb ->> 'id' as chat \gset
select pg_temp.asked(
    :'premium',
    format(
        $$select public.end_search(
            %L, results_count => 3,
            conversation => '[{"role": "user", "text": "Hello?"}, {"role": "ai", "text": "안녕하세요"}]'
        )$$,
        :'chat'
    )
) as ended \gset
select is(
    (select conversation_context from public.search_sessions where id = :'chat'),
    '[{"role": "user", "text": "Hello?"}, {"role": "ai", "text": "안녕하세요"}]',
    'S-042: a search by conversation stores its turns'
);
select is_empty(
    $$select from private.answered_queries where digest = sha256('ai_chat:hello?')$$,
    'a conversation serves nobody else'
);
select is(
    pg_temp.asked(:'premium', $$select public.start_search('Hello?', 'ai_chat') -> 'cache_hit'$$),
    'false',
    'not even the person'
);
update public.user_tiers
set expires_at = now()
where user_id = '22222222-2222-4222-8222-222222222222';
select is(
    pg_temp.asked(:'premium', format('select public.end_search(%L, rating => 1)', :'chat')),
    'PT403 A conversation with the AI needs premium. / Subscribe, or search by keyword.',
    'S-152: and when premium is over, so is the conversation'
);

-- The cache.
create function pg_temp.hit(
    claims jsonb,
    query text,
    search_type text default 'keyword'
)
returns text
language sql
as $$
    select pg_temp.asked(
        claims, format($q$select public.start_search(%L, %L) ->> 'cache_hit'$q$, query, search_type)
    )
$$;
create function pg_temp.answer(
    claims jsonb,
    query text,
    results_count integer
)
returns text
language sql
as $$
    select pg_temp.asked(
        claims,
        format(
            $q$select public.end_search((public.start_search(%L) ->> 'id')::uuid, results_count => %L)$q$,
            query, results_count
        )
    )
$$;
delete from private.answered_queries;
select is(pg_temp.hit(:'free', 'Rain song'), 'false', 'S-209: a new question');
select is(pg_temp.hit(:'free', 'Rain song'), 'false', 'S-209: asked, and not yet answered');
select ok(pg_temp.answer(:'free', 'Rain song', null) like '{%', 'S-209: closed without results');
select ok(pg_temp.answer(:'free', 'Rain song', 0) like '{%', 'S-209: closed with none');
select is(pg_temp.hit(:'free', 'Rain song'), 'false', 'S-209: is not answered either');
select ok(pg_temp.answer(:'free', 'Rain song', 5) like '{%', 'S-209: answered');
select is(pg_temp.hit(:'free', 'Rain song'), 'true', 'S-209: the same query again has cache_hit');
select is(
    (
        select count(*)
        from public.search_sessions
        where
            cache_hit
            and search_query = 'Rain song'
    ),
    1::bigint,
    'S-209: in the session too'
);
select is(pg_temp.hit(:'free', '  rain  SONG'), 'true', 'S-209: however it is typed');
select is(pg_temp.hit(:'premium', 'Rain song'), 'false', 'S-209: and nobody learns what another one asked');
select is(pg_temp.hit(:'free', 'Rain song', 'trending'), 'false', 'S-209: another kind is another question');
select is(
    (select expires_at from private.answered_queries),
    now() + interval '10 minutes',
    'S-209: for ten minutes'
);
update private.answered_queries
set expires_at = now() + interval '1 second';
select ok(pg_temp.answer(:'free', 'Rain song', 5) like '{%', 'S-209: answered again from the cache');
select is(
    (select expires_at from private.answered_queries),
    now() + interval '1 second',
    'S-209: which makes it no younger'
);
update private.answered_queries
set expires_at = now();
select is(pg_temp.hit(:'free', 'Rain song'), 'false', 'S-209: not across ten minutes');
select ok(pg_temp.answer(:'free', 'Rain song', 5) like '{%', 'S-209: answered anew');
select is(pg_temp.hit(:'free', 'Rain song'), 'true', 'S-209: and known again');

select finish();
rollback;
