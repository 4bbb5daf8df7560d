-- A person talks as often as their tier allows, in conversations of their own, and nobody gets a turn back.
begin;
\ir ../outcome.psql
\ir ../asked.psql
select plan(64);

insert into auth.users (id, email)
select
    overlay(overlay(repeat(digit, 32) placing '4' from 13) placing '8' from 17)::uuid,
    digit || '@example.com'
from unnest(array['1', '2', '3', '4', '5', '6']) as digit;
insert into public.user_tiers (user_id, tier, expires_at, source) values
('22222222-2222-4222-8222-222222222222', 'premium', null, 'purchase'),
('33333333-3333-4333-8333-333333333333', 'premium', now(), 'purchase'),
('44444444-4444-4444-8444-444444444444', 'pro', now() + interval '1 day', 'purchase'),
('55555555-5555-4555-8555-555555555555', 'trial', null, 'trial'),
('66666666-6666-4666-8666-666666666666', 'enterprise', null, 'purchase');
\set free '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}'
\set premium '{"sub": "22222222-2222-4222-8222-222222222222", "role": "authenticated"}'
\set expired '{"sub": "33333333-3333-4333-8333-333333333333", "role": "authenticated"}'
\set pro '{"sub": "44444444-4444-4444-8444-444444444444", "role": "authenticated"}'
\set trial '{"sub": "55555555-5555-4555-8555-555555555555", "role": "authenticated"}'
\set enterprise '{"sub": "66666666-6666-4666-8666-666666666666", "role": "authenticated"}'
\set nobody '{"sub": "99999999-9999-4999-8999-999999999999", "role": "authenticated"}'
\set admin '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated", "app_metadata": {"role": "admin"}}'

create function pg_temp.used(person text)
returns bigint
language sql
as $$
    select coalesce(sum(used), 0)
    from private.ai_turn_days
    where user_id = person::uuid
$$;

create function pg_temp.told(conversation uuid)
returns jsonb
language sql
as $$
    select conversation_context
    from public.search_sessions
    where id = conversation
$$;

-- As shipped.
select results_eq(
    'select tier::text, daily_limit from private.ai_turn_limits order by daily_limit',
    $$values ('premium', 50), ('pro', 200), ('enterprise', 1000)$$,
    'S-255: turns a day by tier'
);

-- Who may not.
select is(
    pg_temp.asked(:'free', $$select public.open_ai_turn('hi')$$),
    'PT403 A conversation with the AI needs premium. / Subscribe, or search by keyword.',
    'S-255: a free user is refused'
);
select alike(pg_temp.asked(:'expired', $$select public.open_ai_turn('hi')$$), 'PT403 A conv%', 'S-255: expired premium');
select alike(pg_temp.asked(:'trial', $$select public.open_ai_turn('hi')$$), 'PT403 A conv%', 'S-255: on trial');
select alike(pg_temp.asked(:'nobody', $$select public.open_ai_turn('hi')$$), 'PT403 Only a person%', 'nobody''s token');
select alike(
    pg_temp.outcome('anon', null, $$select public.open_ai_turn('hi')$$), '42501 permission denied%', 'S-255: nobody signed in'
);
select alike(
    pg_temp.outcome('service_role', null, $$select public.open_ai_turn('hi')$$), '42501 permission denied%', 'nor the service'
);
select alike(
    pg_temp.asked(:'free', $$select public.close_ai_turn(gen_random_uuid(), gen_random_uuid(), 'a', 'search')$$),
    'PT403 A conv%',
    'a free user answers nothing'
);
select is((select count(*) from private.ai_turn_days), 0::bigint, 'nothing was counted');
select is_empty(
    $$select from public.search_sessions where user_id = '11111111-1111-4111-8111-111111111111'$$, 'nor stored'
);

-- What is no message.
select is(
    pg_temp.asked(:'premium', 'select public.open_ai_turn(null)'),
    'PT400 The message is missing, empty, or longer than 1000 characters. / Send what the person typed.',
    'PT400: no message'
);
select alike(pg_temp.asked(:'premium', $$select public.open_ai_turn(E' \t\n')$$), 'PT400 The message%', 'PT400: blank');
select alike(
    pg_temp.asked(:'premium', $$select public.open_ai_turn(repeat('가', 1001))$$), 'PT400 The message%', 'PT400: too long'
);
select is(pg_temp.used('22222222-2222-4222-8222-222222222222'), 0::bigint, 'and none of them was counted');

-- A conversation begins.
select pg_temp.asked(:'premium', $$select public.open_ai_turn('매운 떡볶이 찾아줘')$$)::jsonb as opened \gset
select is(
    :'opened'::jsonb - array['session', 'turn', 'resets_at', 'retry_after_seconds'],
    '{"granted": true, "turns_left": 49, "conversation": []}',
    'S-255: a turn is granted and counted'
);
select :'opened'::jsonb ->> 'session' as talk, :'opened'::jsonb ->> 'turn' as turn \gset
select results_eq(
    format(
        $$select user_id, search_type::text, search_query, cache_hit from public.search_sessions where id = %L$$, :'talk'
    ),
    $$values ('22222222-2222-4222-8222-222222222222'::uuid, 'ai_chat', '매운 떡볶이 찾아줘', false)$$,
    'S-042: a session of the type ai_chat is opened'
);
select is(
    pg_temp.told(:'talk') #- '{0,at}',
    jsonb_build_array(jsonb_build_object('turn', :'turn', 'role', 'user', 'text', '매운 떡볶이 찾아줘')),
    'S-042: what was asked is stored before anything answers'
);
select is(
    (:'opened'::jsonb ->> 'resets_at')::timestamptz,
    (private.korean_day() + 1)::timestamp at time zone 'Asia/Seoul',
    'the day ends at midnight in Korea'
);
select ok(
    (:'opened'::jsonb ->> 'retry_after_seconds')::integer between 1 and 86400, 'which is within a day'
);

-- Its answer.
select pg_temp.asked(
    :'premium',
    format(
        $$select public.close_ai_turn(
            %L, %L, '두 개 찾았어요.', 'model', 'a-model', false, array['v1', 'v2'], 1200
        )$$,
        :'talk', :'turn'
    )
) as closed \gset
select is(:'closed'::jsonb, jsonb_build_object('session', :'talk', 'stored', true), 'the answer is stored');
select is(
    pg_temp.told(:'talk') #- '{0,at}' #- '{1,at}' -> 1,
    jsonb_build_object(
        'turn', :'turn', 'role', 'assistant', 'text', '두 개 찾았어요.', 'source', 'model', 'model', 'a-model',
        'fallback', false, 'videos', '["v1", "v2"]'::jsonb
    ),
    'S-042: with its source, its model and its videos'
);
select results_eq(
    format(
        'select results_count, results_shown, response_time_ms, session_ended_at is not null '
        'from public.search_sessions where id = %L',
        :'talk'
    ),
    'values (2, 2, 1200, true)',
    'the session knows its results'
);
select is(
    pg_temp.asked(:'premium', format($$select public.close_ai_turn(%L, %L, 'another', 'search')$$, :'talk', :'turn'))::jsonb,
    jsonb_build_object('session', :'talk', 'stored', false),
    'said again, it is no error'
);
select is(jsonb_array_length(pg_temp.told(:'talk')), 2, 'and changes nothing');
select is(
    pg_temp.asked(
        :'premium', format($$select public.close_ai_turn(%L, gen_random_uuid(), 'a', 'search')$$, :'talk')
    ),
    'PT404 There is no such turn of yours. / Send session and turn as open_ai_turn returned them.',
    'PT404: a turn that nobody began'
);
select alike(
    pg_temp.asked(:'premium', format($$select public.close_ai_turn(null, %L, 'a', 'search')$$, :'turn')),
    'PT404 There is no such turn%',
    'PT404: no conversation'
);
select alike(
    pg_temp.asked(:'premium', format('select public.close_ai_turn(%L, %L, %s)', :'talk', :'turn', wrong)),
    'PT400 ' || message || '%',
    'PT400: ' || message
)
from (
    values
    ($$null, 'search'$$, 'The answer is missing'),
    ($$'', 'search'$$, 'The answer is missing'),
    ($$repeat('x', 4001), 'search'$$, 'The answer is missing'),
    ($$'a', 'oracle'$$, 'The source is neither'),
    ($$'a', null$$, 'The source is neither'),
    ($$'a', 'model', ''$$, 'The model has no name'),
    ($$'a', 'model', null, false, array_fill('v'::text, array[51])$$, 'The videos are not'),
    ($$'a', 'model', null, false, array[null::text]$$, 'The videos are not'),
    ($$'a', 'model', null, false, '{}', 0$$, 'response_time_ms')
) as bad (wrong, message);

-- It goes on.
select pg_temp.asked(:'premium', format($$select public.open_ai_turn('더', %L)$$, :'talk'))::jsonb as next \gset
select is(:'next'::jsonb ->> 'session', :'talk', 'S-042: the next turn is of the same conversation');
select is(:'next'::jsonb -> 'turns_left', '48', 'and is counted');
select is(
    jsonb_path_query_array(:'next'::jsonb -> 'conversation', '$[*].text'),
    '["매운 떡볶이 찾아줘", "두 개 찾았어요."]',
    'what was said before is told'
);
select is(
    pg_temp.asked(:'pro', format($$select public.open_ai_turn('더', %L)$$, :'talk')),
    'PT404 There is no such conversation of yours. / '
    'Send the session of an earlier answer, or none to begin a new conversation.',
    'PT404: another''s conversation is nobody''s'
);
select alike(
    pg_temp.asked(:'pro', format($$select public.close_ai_turn(%L, %L, 'a', 'search')$$, :'talk', :'turn')),
    'PT404 There is no such conversation%',
    'PT404: nor is it answered by another'
);
select pg_temp.asked(:'premium', $$select public.start_search('떡볶이')$$)::jsonb ->> 'id' as keyword_search \gset
select alike(
    pg_temp.asked(:'premium', format($$select public.open_ai_turn('더', %L)$$, :'keyword_search')),
    'PT404 There is no such conversation%',
    'PT404: a search by keyword is none'
);
select is(pg_temp.used('44444444-4444-4444-8444-444444444444'), 0::bigint, 'no refusal was counted');
select is(pg_temp.used('22222222-2222-4222-8222-222222222222'), 2::bigint, 'two turns were');
select is(
    pg_temp.asked(
        :'premium', format($$select jsonb_array_length(public.open_ai_turn('더', %L) -> 'conversation')$$, :'talk')
    ),
    '3',
    'a turn without an answer yet is a part of it'
);

-- Only as long as can be stored: the oldest goes.
select private.with_turns(
    (select jsonb_agg(jsonb_build_object('n', n, 'text', repeat('가', 1000)) order by n) from generate_series(1, 63) as n),
    '{"n": 64, "text": "new"}'
) as long \gset
select ok(private.is_small(:'long'::jsonb, 'array', 65536), 'S-042: a conversation stays within 65,536 characters');
select is(:'long'::jsonb -> -1 -> 'n', '64', 'the newest is kept');
select is(
    jsonb_array_length(:'long'::jsonb),
    (:'long'::jsonb -> -1 ->> 'n')::integer - (:'long'::jsonb -> 0 ->> 'n')::integer + 1,
    'without a gap'
);
select is(
    length(private.with_turns(jsonb_build_array(repeat('x', 65527)), '"y"')::text), 65536, 'one that just fits is whole'
);
select is(
    private.with_turns(jsonb_build_array(repeat('x', 65528)), '"y"'), '["y"]', 'with a character more it loses the oldest'
);
select is(private.with_turns('[]', jsonb_build_array(repeat('x', 65533))), '[]', 'what never fits is left out');
update public.search_sessions
set conversation_context = :'long'
where id = :'talk';
select is(
    pg_temp.asked(:'premium', format($$select (public.open_ai_turn(repeat('한', 1000), %L)) -> 'granted'$$, :'talk')),
    'true',
    'a full conversation goes on'
);
update public.search_sessions
set conversation_context = '[7, "text", null, [1], {"role": {"a": 1}, "turn": 5}]'
where id = :'talk';
select is(
    pg_temp.asked(:'premium', format($$select (public.open_ai_turn('?', %L)) -> 'conversation'$$, :'talk')),
    '[7, "text", null, [1], {"role": {"a": 1}, "turn": 5}]',
    'one that the app wrote in its own form does too'
);

-- To the turn.
update private.ai_turn_limits
set daily_limit = 6
where tier = 'premium';
select is(
    pg_temp.asked(:'premium', $$select public.open_ai_turn('the sixth')$$)::jsonb -> 'turns_left',
    '0',
    'an operator''s limit counts at once: the sixth of six is granted'
);
select is(
    pg_temp.asked(:'premium', format($$select public.open_ai_turn('the seventh', %L)$$, :'talk'))::jsonb
    - array['resets_at', 'retry_after_seconds'],
    jsonb_build_object('granted', false, 'turns_left', 0, 'session', :'talk'),
    'S-255: the seventh is not'
);
select is(pg_temp.used('22222222-2222-4222-8222-222222222222'), 6::bigint, 'nor counted');
delete from public.search_sessions
where user_id = '22222222-2222-4222-8222-222222222222';
select is(
    pg_temp.asked(:'premium', $$select public.open_ai_turn('again')$$)::jsonb -> 'granted',
    'false',
    'conversations that are gone give no turn back'
);
select is(
    (
        select array_agg(pg_temp.outcome('authenticated', :'premium', statement) like '42501 permission denied%')
        from unnest(array[
            'delete from private.ai_turn_days', 'update private.ai_turn_days set used = 1',
            'update private.ai_turn_limits set daily_limit = 9', 'select from private.ai_turn_days',
            $$select private.take_ai_turn('22222222-2222-4222-8222-222222222222')$$
        ]) as statement
    ),
    array[true, true, true, true, true],
    'S-255: nobody reaches the count itself'
);
update private.ai_turn_days
set day = day - 1;
select is(
    pg_temp.asked(:'premium', $$select public.open_ai_turn('a new day')$$)::jsonb -> 'turns_left',
    '5',
    'the next day is another'
);
select is(
    (select array_agg(day) from private.ai_turn_days where user_id = '22222222-2222-4222-8222-222222222222'),
    array[private.korean_day()],
    'and forgets the one before'
);

-- The other tiers.
select is(pg_temp.asked(:'pro', $$select public.open_ai_turn('hi')$$)::jsonb -> 'turns_left', '199', 'pro');
select is(pg_temp.asked(:'enterprise', $$select public.open_ai_turn('hi')$$)::jsonb -> 'turns_left', '999', 'enterprise');
select is(pg_temp.asked(:'admin', $$select public.open_ai_turn('hi')$$)::jsonb -> 'turns_left', '999', 'an admin: the most');
delete from private.ai_turn_limits
where tier = 'pro';
select is(
    pg_temp.asked(:'pro', $$select public.open_ai_turn('hi')$$)::jsonb -> 'granted', 'false', 'a tier without a row: none'
);

-- A conversation is one search by AI, however many turns it has.
select private.analyze_search_patterns() as analyzed \gset
select is(
    (select ai_searches_used from public.user_search_patterns where user_id = '44444444-4444-4444-8444-444444444444'),
    1,
    'S-255: ai_searches_used counts it'
);

select * from finish();
rollback;
