-- What is committed with its event stays; recording it never fails the writer.
begin;
select plan(46);

-- An empty house: nothing of the running stack is seen in here.
delete from ops.outbox;
delete from public.webhook_endpoints;
delete from vault.secrets
where name in ('project_url', 'wake_secret');
insert into ops.event_types (event_type, edge_function, for_subscribers, description)
values
('trend.detected', 'notify-trend', true, 'planted'),
('planted.other', 'planted-function', false, 'planted')
on conflict do nothing;

-- Registered types.
select results_eq(
    $$
        select
            event_type,
            edge_function,
            for_subscribers
        from ops.event_types
        where event_type in ('webhook.test', 'alert.opened')
        order by event_type
    $$,
    $$values ('alert.opened', 'notify-trend', false), ('webhook.test', 'notify-trend', false)$$,
    'the floor''s own types are the operator''s'
);
select throws_ok(
    $$insert into ops.event_types (event_type, edge_function, description) values ('planted.path', '../auth', 'x')$$,
    '23514',
    null,
    'an edge function is a name and no path'
);

select lives_ok(
    $$select ops.enqueue('trend.detected', '[{"dedupe_key": "nobody wants it", "data": {}}]')$$,
    'D40: an event without endpoints and without a configured wake-up is recorded'
);
select is((select count(*) from ops.outbox), 1::bigint, 'S-214: it is in the outbox');
select is((select count(*) from ops.webhook_deliveries), 0::bigint, 'and goes nowhere');

-- Enqueueing: the operator's endpoint, one that wants another type, one that is off, one whose time is over.
create temporary table endpoints as
with made as (
    insert into public.webhook_endpoints (url, event_types, entitled_until, disabled_at, disabled_reason)
    values
    ('https://one.example/', '{trend.detected}', null, null, null),
    ('https://other.example/', '{planted.other}', null, null, null),
    ('https://off.example/', '{trend.detected}', null, now(), 'switched_off'),
    ('https://lapsed.example/', '{trend.detected}', now(), null, null),
    ('https://entitled.example/', '{trend.detected}', now() + interval '1 minute', null, null)
    returning
        id,
        url
)

select * from made;
select is(
    ops.enqueue(
        'trend.detected',
        '[
            {"dedupe_key": "a", "data": {"keyword": "먹방"}},
            {"dedupe_key": "b", "data": {}},
            {"dedupe_key": "a", "data": {}}
        ]'
    ),
    2,
    'two events of one key are one event'
);
select is(
    ops.enqueue('trend.detected', '[{"dedupe_key": "a", "data": {}}]'),
    0,
    'also when the second comes later'
);
select results_eq(
    $$
        select
            endpoint.url,
            delivery.event_type,
            count(*)
        from ops.webhook_deliveries as delivery
        inner join public.webhook_endpoints as endpoint on delivery.endpoint_id = endpoint.id
        group by
            endpoint.url,
            delivery.event_type
        order by endpoint.url
    $$,
    $$values ('https://entitled.example/', 'trend.detected', 2::bigint), ('https://one.example/', 'trend.detected', 2)$$,
    'S-214: each event is on its way to whoever wants it, is in use and may have it'
);
select is(
    ops.enqueue('planted.other', '[{"dedupe_key": "a", "data": {}}]'),
    1,
    'another type is another event'
);
set local client_min_messages = error;
select is(
    ops.enqueue(
        'planted.other',
        '[{"dedupe_key": "of all", "data": {}}, {"dedupe_key": "own", "data": {}, "event_type": "trend.detected"}]'
    ),
    2,
    'an event may have a type of its own'
);
select results_eq(
    $$
        select event.event_type::text, count(delivery.id)
        from ops.outbox as event
        left join ops.webhook_deliveries as delivery on event.id = delivery.outbox_id
        where event.dedupe_key in ('of all', 'own')
        group by event.event_type
        order by event.event_type
    $$,
    $$
        select
            known.event_type,
            (
                select count(*)
                from public.webhook_endpoints as endpoint
                where
                    known.event_type = any(endpoint.event_types)
                    and endpoint.disabled_at is null
                    and (endpoint.entitled_until is null or endpoint.entitled_until > now())
            )
        from ops.event_types as known
        where known.event_type in ('planted.other', 'trend.detected')
        order by known.event_type
    $$,
    'and goes to those who want that'
);
select is(ops.enqueue('trend.unheard_of', '[{"dedupe_key": "a", "data": {}}]'), 0, 'a type that nobody registered is refused');
select is(ops.enqueue('trend.detected', '{"no": "array"}'), 0, 'enqueue never raises: no array');
select is(ops.enqueue('Not a type', '[{"dedupe_key": "a", "data": {}}]'), 0, 'enqueue never raises: no type');
select is(ops.enqueue('trend.detected', '[{"data": {}}]'), 0, 'enqueue never raises: no key');
select is(ops.enqueue(null, null), 0, 'enqueue never raises: nothing');
reset client_min_messages;

-- Waking.
delete from net.http_request_queue;
select vault.create_secret('http://127.0.0.1:1', 'project_url');
select vault.create_secret('wake secret of the tests', 'wake_secret');
select ops.enqueue('trend.detected', '[{"dedupe_key": "c", "data": {}}, {"dedupe_key": "d", "data": {}}]');
select results_eq(
    $$select method::text, url, timeout_milliseconds from net.http_request_queue$$,
    $$values ('POST', 'http://127.0.0.1:1/functions/v1/notify-trend', 10000)$$,
    'S-116, D41, D42: one wake-up to the project''s own address for a statement that enqueued two events'
);
select matches(
    (select headers ->> 'x-ondol-wake' from net.http_request_queue),
    '^t=[0-9]{10},v1=[0-9a-f]{64}$',
    'the wake-up carries a time and a signature'
);
select is(
    (select split_part(headers ->> 'x-ondol-wake', 'v1=', 2) from net.http_request_queue),
    (
        select
            encode(
                extensions.hmac(
                    substring(headers ->> 'x-ondol-wake' from 't=([0-9]+)') || '.notify-trend',
                    'wake secret of the tests',
                    'sha256'
                ),
                'hex'
            )
        from net.http_request_queue
    ),
    'the signature is the HMAC of the time and the function'
);
select is_empty(
    $$
        select
        from net.http_request_queue
        where
            headers::text || convert_from(body, 'utf8') like '%wake secret%'
            or headers::text like '%sb_secret%'
            or headers ? 'authorization'
    $$,
    'D39: no key is in the queue that every role can read'
);
select ops.enqueue('trend.detected', '[{"dedupe_key": "c", "data": {}}]');
select is((select count(*) from net.http_request_queue), 1::bigint, 'nothing new wakes nobody');
delete from net.http_request_queue;
select ops.enqueue('planted.other', '[{"dedupe_key": "c", "data": {}}]');
select results_eq(
    $$
        select
            url,
            split_part(headers ->> 'x-ondol-wake', 'v1=', 2) = encode(
                extensions.hmac(
                    substring(headers ->> 'x-ondol-wake' from 't=([0-9]+)') || '.planted-function',
                    'wake secret of the tests',
                    'sha256'
                ),
                'hex'
            )
        from net.http_request_queue
    $$,
    $$values ('http://127.0.0.1:1/functions/v1/planted-function', true)$$,
    'each type wakes its own edge function, and the proof opens no other'
);
delete from net.http_request_queue;
select private.sweep_outbox();
select set_eq(
    $$select url from net.http_request_queue$$,
    $$
        values
        ('http://127.0.0.1:1/functions/v1/notify-trend'),
        ('http://127.0.0.1:1/functions/v1/planted-function')
    $$,
    'the sweep wakes again, each function that has something due'
);
select is((select count(*) from net.http_request_queue), 2::bigint, 'once');
update ops.webhook_deliveries
set next_attempt_at = now() + interval '1 minute'
where event_type = 'trend.detected';
delete from net.http_request_queue;
select private.sweep_outbox();
select results_eq(
    $$select url from net.http_request_queue$$,
    $$values ('http://127.0.0.1:1/functions/v1/planted-function')$$,
    'and not for what is not due'
);
delete from net.http_request_queue;
update ops.outbox
set data = data || '{"changed": true}';
update ops.webhook_deliveries
set next_attempt_at = now();
select is((select count(*) from net.http_request_queue), 0::bigint, 'D46: updating events wakes nobody');
select private.sweep_outbox();
select is((select count(*) from net.http_request_queue), 2::bigint, 'D44: what pg_net forgets in a crash is still due');
set local client_min_messages = error;
savepoint without_net;
drop extension pg_net;
select is(
    ops.enqueue('trend.detected', '[{"dedupe_key": "e", "data": {}}]'),
    1,
    'without pg_net an event is recorded all the same'
);
rollback to savepoint without_net;
savepoint without_vault;
create or replace function private.vault_secret(secret_name text)
returns text
language plpgsql
as $$begin raise exception 'Vault is out of order'; end$$;
select is(
    ops.enqueue('trend.detected', '[{"dedupe_key": "e", "data": {}}]'),
    1,
    'without Vault too'
);
rollback to savepoint without_vault;

-- D43: the business write, whatever is wrong with the event.
create temporary table business (what text);
create temporary table bad_input as
select *
from (
    values
    ('null events', 'trend.detected', null),
    ('a number', 'trend.detected', '7'),
    ('a text', 'trend.detected', '"text"'),
    ('numbers in an array', 'trend.detected', '[1, 2]'),
    ('no data', 'trend.detected', '[{"dedupe_key": "bad"}]'),
    ('an empty key', 'trend.detected', '[{"dedupe_key": "", "data": {}}]'),
    ('a key of 501 characters', 'trend.detected', jsonb_build_array(
        jsonb_build_object('dedupe_key', repeat('k', 501), 'data', '{}'::jsonb)
    )::text),
    ('an injection', 'x''; drop table ops.outbox; --', '[{"dedupe_key": "bad", "data": {}}]'),
    ('one bad event among good ones', 'trend.detected', '[{"dedupe_key": "good", "data": {}}, {"data": {}}]')
) as input (name, event_type, events);
select is(
    ops.enqueue(event_type, events::jsonb),
    0,
    'D43: enqueue never raises: ' || name
)
from bad_input;
with written as (
    insert into business
    select 'kept ' || ops.enqueue(event_type, events::jsonb)
    from bad_input
    returning what
)

select is((select count(*) from written), 9::bigint, 'D43: the write that goes with bad events is kept');
select is_empty($$select from ops.outbox where dedupe_key in ('bad', 'good')$$, 'and none of them is half recorded');
savepoint without_tables;
alter table ops.webhook_deliveries rename to planted_elsewhere;
select is(
    ops.enqueue('trend.detected', '[{"dedupe_key": "g", "data": {}}]'),
    0,
    'D43: not even without its own tables'
);
rollback to savepoint without_tables;

-- S-204: no secret, no wake-up, no failure.
savepoint without_secrets;
delete from vault.secrets;
delete from net.http_request_queue;
select is(
    ops.enqueue('trend.detected', '[{"dedupe_key": "h", "data": {}}]'),
    1,
    'S-204: without any secret an event is recorded all the same'
);
select is((select count(*) from net.http_request_queue), 0::bigint, 'S-204: and nobody is woken');
rollback to savepoint without_secrets;
reset client_min_messages;

-- Who may.
select ok(
    not has_table_privilege(role.name, 'ops.event_types', 'insert')
    and has_table_privilege(role.name, 'ops.event_types', 'select') = (role.name = 'service_role'),
    role.name || ' does not register types'
)
from unnest(array['anon', 'authenticated', 'service_role']) as role (name);

select finish();
rollback;
