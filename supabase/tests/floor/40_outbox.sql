-- What is committed with its event is delivered at least once; delivery never fails the writer.
begin;
select plan(49);

-- An empty house: nothing of the running stack is seen in here.
delete from ops.outbox;
delete from ops.webhook_endpoints;
delete from vault.secrets
where name in ('project_url', 'wake_secret');

select lives_ok(
    $$select ops.enqueue('trend.detected', '[{"dedupe_key": "nobody wants it", "data": {}}]')$$,
    'an event without endpoints and without a configured wake-up is recorded'
);
select is((select count(*) from ops.outbox), 1::bigint, 'S-214: it is in the outbox');
select is((select count(*) from ops.webhook_deliveries), 0::bigint, 'and goes nowhere');

-- Registering.
create temporary table registered as
select public.register_webhook_endpoint(
    'http://127.0.0.1:9/hook',
    'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE='
) as id;
select is(
    (
        select decrypted_secret
        from vault.decrypted_secrets
        where name = 'webhook_endpoint_' || (select id from registered)
    ),
    'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=',
    'the secret of an endpoint is in Vault'
);
select is(
    public.register_webhook_endpoint(
        'http://127.0.0.1:9/hook',
        'whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoyMzQ1Njc=',
        '{trend.detected,trend.closed}'
    ),
    (select id from registered),
    'registering an address again changes it'
);
select is(
    (
        select decrypted_secret
        from vault.decrypted_secrets
        where name = 'webhook_endpoint_' || (select id from registered)
    ),
    'whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoyMzQ1Njc=',
    'the secret is replaced'
);
select throws_ok(
    $$select public.register_webhook_endpoint('http://127.0.0.1:9/other', 'short')$$,
    'PT400',
    'The secret is no Standard Webhooks secret.',
    'a weak secret is refused'
);
select throws_ok(
    $$
        select public.register_webhook_endpoint(
            'file:///etc/passwd',
            'whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoyMzQ1Njc='
        )
    $$,
    'PT400',
    'The url is no http or https address of at most 2000 characters.',
    'an address that is not http is refused'
);
select throws_ok(
    $$
        select public.register_webhook_endpoint(
            'http://127.0.0.1:9/other',
            'whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoyMzQ1Njc=',
            '{}'
        )
    $$,
    'PT400',
    'The endpoint names no event types.',
    'an endpoint that wants nothing is refused'
);

-- Enqueueing.
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
select is((select count(*) from ops.webhook_deliveries), 2::bigint, 'each event is on its way to the endpoint');
select is(
    ops.enqueue('trend.other', '[{"dedupe_key": "a", "data": {}}]'),
    1,
    'another type is another event'
);
select is((select count(*) from ops.webhook_deliveries), 2::bigint, 'which this endpoint does not want');
set local client_min_messages = error;
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
    'S-116: one wake-up for a statement that enqueued two events'
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
    'no key is in the queue that every role can read'
);
select ops.enqueue('trend.detected', '[{"dedupe_key": "c", "data": {}}]');
select is((select count(*) from net.http_request_queue), 1::bigint, 'nothing new wakes nobody');
select private.sweep_outbox();
select is((select count(*) from net.http_request_queue), 2::bigint, 'the sweep wakes again for what is due');
update ops.webhook_deliveries
set next_attempt_at = now() + interval '1 minute';
select private.sweep_outbox();
select is((select count(*) from net.http_request_queue), 2::bigint, 'and not for what is not due');
update ops.webhook_deliveries
set next_attempt_at = now();
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
reset client_min_messages;

-- Claiming. The service does it.
set local role service_role;
create temporary table claimed as
select *
from public.claim_webhook_deliveries(3, 60);
grant select on claimed to postgres;
reset role;
select is((select count(*) from claimed), 3::bigint, 'a claim takes at most what was asked for');
select is(
    (select count(*) from public.claim_webhook_deliveries(20, 60)),
    1::bigint,
    'what is leased is not claimed again'
);
select is((select count(*) from public.claim_webhook_deliveries(-5, 60)), 0::bigint, 'a negative limit claims nothing');
select is(
    (select array_agg(distinct attempt) from claimed),
    array[1],
    'it is the first attempt'
);
select is(
    (select array_agg(distinct url || ' ' || secret) from claimed),
    array['http://127.0.0.1:9/hook whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoyMzQ1Njc='],
    'a claim says where to post and with which secret to sign'
);
select is_empty(
    $$
        select
        from claimed
        where
            webhook_id !~ '^msg_[0-9a-f]{32}$'
            or body::jsonb ->> 'type' <> 'trend.detected'
            or not body::jsonb ? 'data'
            or body::jsonb ->> 'timestamp' !~ '^[0-9-]{10}T[0-9:.]{12}Z$'
    $$,
    'a claim holds a webhook id and a body of type, timestamp and data'
);

-- A sender that vanishes: the lease runs out.
update ops.webhook_deliveries
set next_attempt_at = now() - interval '1 second'
where id in (select delivery_id from claimed);
create temporary table claimed_again as
select *
from public.claim_webhook_deliveries(20, 60);
select results_eq(
    $$select delivery_id, webhook_id, body, 2 from claimed order by delivery_id$$,
    $$select delivery_id, webhook_id, body, attempt from claimed_again order by delivery_id$$,
    'after the lease it is claimed again: same id, same body, next attempt'
);

-- Recording.
select is(
    public.record_webhook_delivery((select min(delivery_id::text)::uuid from claimed), 2, 204),
    '{"state": "delivered", "next_attempt_at": null}'::jsonb,
    'any 2xx delivers'
);
select is(
    public.record_webhook_delivery((select min(delivery_id::text)::uuid from claimed), 2, 500) ->> 'state',
    'delivered',
    'what is delivered stays delivered'
);
select is(
    public.record_webhook_delivery((select max(delivery_id::text)::uuid from claimed), 1, 500, 'late')
    ->> 'next_attempt_at',
    (
        select to_jsonb(next_attempt_at) #>> '{}'
        from ops.webhook_deliveries
        where
            id = (select max(delivery_id::text)::uuid from claimed)
            and last_error is null
    ),
    'a late failure of an earlier attempt changes nothing'
);
select is(
    public.record_webhook_delivery((select max(delivery_id::text)::uuid from claimed), 2, 302) ->> 'state',
    'scheduled',
    'a redirect is a failure'
);
select is(
    (
        select next_attempt_at between now() + interval '4.5 min' and now() + interval '5.5 min'
        from ops.webhook_deliveries
        where id = (select max(delivery_id::text)::uuid from claimed)
    ),
    true,
    'the second failure waits five minutes, give or take a tenth'
);
select is(
    public.record_webhook_delivery((select max(delivery_id::text)::uuid from claimed), 1, 200) ->> 'state',
    'delivered',
    'a late success counts'
);
select throws_ok(
    $$select public.record_webhook_delivery('00000000-0000-4000-8000-000000000000', 1, 200)$$,
    'PT404',
    'There is no such delivery.',
    'an unknown delivery is refused'
);
select results_eq(
    $$select private.retry_delay(attempt) from generate_series(1, 10) as attempt$$,
    $$
        values
        ('5 s'::interval),
        ('5 min'),
        ('30 min'),
        ('2 h'),
        ('5 h'),
        ('10 h'),
        ('14 h'),
        ('20 h'),
        ('24 h'),
        (null)
    $$,
    'the waits are those of Standard Webhooks'
);

-- The tenth failure, by report and by silence.
update ops.webhook_deliveries
set
    attempt = 10,
    next_attempt_at = now()
where state = 'scheduled';
create temporary table last_one as
select id
from ops.webhook_deliveries
where state = 'scheduled'
order by id
limit 1;
select is(
    public.record_webhook_delivery((select id from last_one), 10, null, 'connection refused'),
    '{"state": "dead", "next_attempt_at": null}'::jsonb,
    'the tenth failure is final'
);
select is(
    (select last_error from ops.webhook_deliveries where id = (select id from last_one)),
    'connection refused',
    'and says why'
);
select isnt_empty(
    $$select from ops.webhook_deliveries where state = 'scheduled' and attempt = 10$$,
    'one more delivery has had ten attempts and no report'
);
select is((select count(*) from public.claim_webhook_deliveries()), 0::bigint, 'it is not tried again');
select is_empty(
    $$select from ops.webhook_deliveries where state = 'scheduled'$$,
    'it is dead too'
);

-- An endpoint whose secret is gone cannot be signed for.
select ops.enqueue('trend.detected', '[{"dedupe_key": "f", "data": {}}]');
delete from vault.secrets
where name like 'webhook_endpoint_%';
select is((select count(*) from public.claim_webhook_deliveries()), 0::bigint, 'without a secret nothing is sent');
select is(
    (select last_error from ops.webhook_deliveries where state = 'scheduled'),
    'the endpoint has no secret in Vault',
    'and the delivery says so'
);

select finish();
rollback;
