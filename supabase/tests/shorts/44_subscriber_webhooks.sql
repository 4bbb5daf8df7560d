-- Premium people have events posted to servers of their own as long as they are premium, and reach no other's endpoint.
begin;
\ir ../outcome.psql
select plan(42);

-- An empty house: nothing of the running stack is seen in here.
delete from auth.users;
delete from ops.outbox;
delete from public.webhook_endpoints;
insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'free@example.com'),
('22222222-2222-4222-8222-222222222222', 'premium@example.com'),
('33333333-3333-4333-8333-333333333333', 'expired@example.com'),
('55555555-5555-4555-8555-555555555555', 'pro@example.com');
insert into public.user_tiers (user_id, tier, expires_at, source)
values
('22222222-2222-4222-8222-222222222222', 'premium', '2100-01-01 00:00+00', 'purchase'),
('33333333-3333-4333-8333-333333333333', 'enterprise', now() - interval '1 second', 'purchase'),
('55555555-5555-4555-8555-555555555555', 'pro', null, 'purchase');
\set free '{"sub": "11111111-1111-4111-8111-111111111111", "app_metadata": {"tier": "enterprise"}}'
\set premium '{"sub": "22222222-2222-4222-8222-222222222222"}'
\set expired '{"sub": "33333333-3333-4333-8333-333333333333", "app_metadata": {"tier": "enterprise"}}'
\set pro '{"sub": "55555555-5555-4555-8555-555555555555"}'
create function pg_temp.asked(claims jsonb, call text)
returns jsonb
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform set_config('request.jwt.claims', claims::text, true);
    perform set_config('role', 'authenticated', true);
    execute 'select to_jsonb(' || call || ')' into answer;
    perform set_config('role', 'none', true);
    return answer;
end
$$;
insert into public.webhook_endpoints (id, url, event_types)
values ('00000000-0000-4000-8000-000000000000', 'https://operator.example/hook', '{trend.detected}');

-- Who may register.
create temporary table made as
select pg_temp.asked(:'premium', $$public.add_my_webhook('https://hooks.example/a')$$) as answer;
create temporary table ids as
select
    (made.answer ->> 'id')::uuid as mine,
    (
        pg_temp.asked(
            :'pro', $$public.add_my_webhook('https://hooks.example/a', '{trend.updated,trend.detected}', 'mine')$$
        ) ->> 'id'
    )::uuid as others
from made;
select results_eq(
    $$
        select user_id, url, event_types, description, allow_private, entitled_until
        from public.webhook_endpoints
        where user_id is not null
        order by user_id
    $$,
    $$
        values
        (
            '22222222-2222-4222-8222-222222222222'::uuid, 'https://hooks.example/a', array['trend.detected'],
            null, false, '2100-01-01 00:00+00'::timestamptz
        ),
        (
            '55555555-5555-4555-8555-555555555555', 'https://hooks.example/a', array['trend.detected', 'trend.updated'],
            'mine', false, null
        )
    $$,
    'S-214: premium and pro register an endpoint each, entitled until their tier ends'
);
select matches(
    (select answer ->> 'secret' from made),
    '^whsec_[A-Za-z0-9+/]{32,}={0,2}$',
    'and are told the secret, once'
);
select is(
    pg_temp.outcome(listed.role_name, listed.claims::jsonb, listed.statement),
    listed.expected,
    format('%s: %s', listed.who, listed.statement)
)
from (
    values
    (
        'free', 'authenticated', :'free', $$select public.add_my_webhook('https://hooks.example/b')$$,
        'PT403 Webhooks need premium.'
    ),
    (
        'expired', 'authenticated', :'expired', $$select public.add_my_webhook('https://hooks.example/b')$$,
        'PT403 Webhooks need premium.'
    ),
    (
        'nobody', 'authenticated', '{}', $$select public.add_my_webhook('https://hooks.example/b')$$,
        'PT403 Webhooks need premium.'
    ),
    (
        'anon', 'anon', '{}', $$select public.add_my_webhook('https://hooks.example/b')$$,
        '42501 permission denied for function add_my_webhook'
    ),
    (
        'premium', 'authenticated', :'premium', $$select public.add_my_webhook('http://hooks.example/b')$$,
        'PT400 The url cannot be an endpoint.'
    ),
    (
        'premium', 'authenticated', :'premium', $$select public.add_my_webhook('https://127.0.0.1/b')$$,
        'PT400 The url cannot be an endpoint.'
    ),
    (
        'premium',
        'authenticated',
        :'premium',
        $$select public.add_my_webhook('https://hooks.example/b', '{webhook.test}')$$,
        'PT400 There is no such event type.'
    )
) as listed (who, role_name, claims, statement, expected);
select is(
    pg_temp.outcome('authenticated', :'premium', 'select from public.webhook_endpoints'),
    '1 row',
    'one lists one''s own, and neither another''s nor the operator''s'
);
select is(
    pg_temp.outcome('authenticated', :'premium', 'update public.webhook_endpoints set entitled_until = null'),
    '42501 permission denied for table webhook_endpoints',
    'and writes none of it by oneself'
);

-- Another's, the operator's and no endpoint: one answer to all of them, for each function.
create temporary table calls as
select *
from (
    values
    ('rotate', 'public.rotate_my_webhook_secret(%L)', true),
    ('test', 'public.test_my_webhook(%L)', true),
    ('switch on', 'public.set_my_webhook(%L, true)', true),
    ('replay', 'public.replay_my_webhooks(%L)', true),
    ('switch off', 'public.set_my_webhook(%L, false)', false),
    ('log', 'public.my_webhook_log(%L)', false),
    ('remove', 'public.remove_my_webhook(%L)', false)
) as listed (name, call, needs_premium);
select is(
    (
        select
            array_agg(
                distinct pg_temp.outcome('authenticated', :'premium', 'select ' || format(call, foreign_id.id))
            )
        from (
            select others from ids
            union all
            select '00000000-0000-4000-8000-000000000000'
            union all
            select '99999999-9999-4999-8999-999999999999'
            union all
            select null
        ) as foreign_id (id)
    ),
    array['PT404 There is no such webhook endpoint.'],
    format('to %s an endpoint that is not one''s own is PT404, whosever it is', name)
)
from calls;
select is(
    (select count(*) from public.webhook_endpoints where disabled_at is null),
    3::bigint,
    'and they are as they were'
);

-- What one's own can.
select results_eq(
    $$
        select
            answer ->> 'id' = mine::text,
            answer ->> 'secret' <> first.secret,
            answer -> 'previous_until' <> 'null'
        from ids
        cross join (select answer ->> 'secret' as secret from made) as first
        cross join lateral pg_temp.asked(
            '{"sub": "22222222-2222-4222-8222-222222222222"}', format('public.rotate_my_webhook_secret(%L)', mine)
        ) as answer
    $$,
    'values (true, true, true)',
    'a new secret, beside which the old one holds for a day'
);
create temporary table tested as
select pg_temp.asked(:'premium', format('public.test_my_webhook(%L)', mine)) as answer
from ids;
select is(
    (select answer ->> 'webhook_id' from tested),
    (select webhook_id from ops.webhook_deliveries where event_type = 'webhook.test'),
    'a test is on its way'
);
select results_eq(
    $$
        select entry ->> 'event_type', entry ->> 'state'
        from ids
        cross join lateral pg_temp.asked(
            '{"sub": "22222222-2222-4222-8222-222222222222"}', format('public.my_webhook_log(%L)', mine)
        ) as answer
        cross join lateral jsonb_array_elements(answer -> 'deliveries') as entry
    $$,
    $$values ('webhook.test', 'scheduled')$$,
    'the log tells of it'
);
update ops.webhook_deliveries
set
    state = 'dead',
    next_attempt_at = null;
select is(
    (select pg_temp.asked(:'premium', format('public.replay_my_webhooks(%L, now() + %L)', mine, '1 s')) from ids),
    '0'::jsonb,
    'what died before is not sent again'
);
select is(
    (select pg_temp.asked(:'premium', format('public.replay_my_webhooks(%L)', mine)) from ids),
    '1'::jsonb,
    'what died is'
);
select is(
    (select pg_temp.asked(:'premium', format('public.set_my_webhook(%L, false)', mine)) ->> 'disabled_reason' from ids),
    'switched_off',
    'one switches it off'
);
select is(
    (select pg_temp.asked(:'premium', format('public.set_my_webhook(%L, true)', mine)) -> 'disabled_reason' from ids),
    'null'::jsonb,
    'and on again'
);

-- As long as one is premium.
insert into public.trending_keywords (keyword, trend_score)
values ('for all of them', 0.9);
select is(
    (select count(*) from ops.webhook_deliveries where event_type = 'trend.detected'),
    3::bigint,
    'premium people get what the operator gets'
);
update public.user_tiers
set expires_at = '2101-01-01 00:00+00'
where user_id = '22222222-2222-4222-8222-222222222222';
create temporary view mine as
select endpoint.*
from public.webhook_endpoints as endpoint
inner join ids on endpoint.id = ids.mine;
select is((select entitled_until from mine), '2101-01-01 00:00+00', 'a longer subscription entitles longer');
update public.user_tiers
set
    tier = 'enterprise',
    expires_at = null
where user_id = '22222222-2222-4222-8222-222222222222';
select is((select entitled_until from mine), null, 'one without end for good');
update public.user_tiers
set tier = 'trial'
where user_id = '22222222-2222-4222-8222-222222222222';
select is((select entitled_until from mine), now(), 'who falls below premium is entitled no longer');
insert into public.trending_keywords (keyword, trend_score)
values ('for the others', 0.9);
select is(
    (
        select count(*)
        from ops.webhook_deliveries as delivery
        inner join ids on delivery.endpoint_id = ids.mine
        where delivery.event_type = 'trend.detected'
    ),
    1::bigint,
    'and gets nothing more'
);
select is(
    (
        select pg_temp.outcome('authenticated', :'premium', 'select ' || format(calls.call, ids.mine))
        from ids
    ),
    case when calls.needs_premium then 'PT403 Webhooks need premium.' else '1 row' end,
    format('below premium, %s %s', calls.name, case when calls.needs_premium then 'is refused' else 'is possible' end)
)
from calls
order by
    calls.name = 'remove',
    calls.name;
select is_empty('select from mine', 'what is removed is gone');
update public.user_tiers
set tier = 'pro'
where user_id = '55555555-5555-4555-8555-555555555555';
delete from public.user_tiers
where user_id = '55555555-5555-4555-8555-555555555555';
select is(
    (select entitled_until from public.webhook_endpoints as endpoint inner join ids on endpoint.id = ids.others),
    now(),
    'without a tier nobody is entitled'
);

-- Erased with the person.
select lives_ok($$select public.erase_user('55555555-5555-4555-8555-555555555555')$$, 'a person is erased');
select is_empty(
    $$
        select id::text from public.webhook_endpoints where user_id is not null
        union all
        select secret.name from vault.secrets as secret inner join ids on secret.name ~ ids.others::text
    $$,
    'D69: with the endpoint and its secrets'
);

select finish();
rollback;
