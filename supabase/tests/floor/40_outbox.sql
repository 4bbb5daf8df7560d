-- What is committed with its event is delivered at least once; delivery never fails the writer.
begin;
select plan(96);

-- An empty house: nothing of the running stack is seen in here.
delete from ops.outbox;
delete from ops.webhook_endpoints;
delete from vault.secrets
where name in ('project_url', 'wake_secret');

select lives_ok(
    $$select ops.enqueue('trend.detected', '[{"dedupe_key": "nobody wants it", "data": {}}]')$$,
    'D40: an event without endpoints and without a configured wake-up is recorded'
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

-- D43: the business write, whatever is wrong with the event.
set local client_min_messages = error;
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
select is(
    ops.enqueue('trend.detected', '[{"dedupe_key": "h", "data": {}}]'),
    1,
    'S-204: without any secret an event is recorded all the same'
);
rollback to savepoint without_secrets;
reset client_min_messages;

-- D44, D46: an empty house again, with one endpoint that keeps a password in its address.
delete from ops.outbox;
delete from ops.webhook_endpoints;
delete from ops.webhook_receipts;
delete from ops.alerts;
delete from net.http_request_queue;
create temporary table endpoints as
select public.register_webhook_endpoint(
    'https://user:hunter2@hooks.example:8443/in/s3cret?token=s3cret',
    'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE='
) as id;
select ops.enqueue(
    'trend.detected',
    (select jsonb_agg(jsonb_build_object('dedupe_key', number, 'data', '{}'::jsonb)) from generate_series(1, 4) as number)
);
select is((select count(*) from net.http_request_queue), 1::bigint, 'four events wake once');
update ops.outbox
set data = data || '{"changed": true}';
select is((select count(*) from net.http_request_queue), 1::bigint, 'D46: updating events wakes nobody');
delete from net.http_request_queue;
select is(
    (select count(*) from ops.webhook_deliveries where state = 'scheduled' and next_attempt_at <= now()),
    4::bigint,
    'D44: what pg_net forgets in a crash is still due'
);
select private.sweep_outbox();
select is((select count(*) from net.http_request_queue), 1::bigint, 'D44: and the sweep asks again');

-- Jitter, at every step of the schedule.
create temporary table waits as
select
    attempt,
    try,
    private.retry_delay(attempt) as planned
from generate_series(1, 9) as attempt
cross join generate_series(1, 40) as try;
create function pg_temp.wait_after(failed_attempt integer)
returns interval
language plpgsql
as $$
declare
    tried uuid;
    wait interval;
begin
    update ops.webhook_deliveries
    set attempt = failed_attempt
    where id = (select min(id::text)::uuid from ops.webhook_deliveries)
    returning id into tried;
    perform public.record_webhook_delivery(tried, failed_attempt, 500);
    select next_attempt_at - now()
    into wait
    from ops.webhook_deliveries
    where id = tried;
    return wait;
end
$$;
create temporary table waited as
select
    attempt,
    planned,
    pg_temp.wait_after(attempt) as wait
from waits;
select ok(
    bool_and(wait between planned * 0.9 and planned * 1.1) and count(distinct wait) > 30,
    'D44: after failure ' || attempt || ' the wait is ' || planned || ', give or take a tenth, and varies'
)
from waited
group by
    attempt,
    planned
order by attempt;

-- Dead letters.
update ops.webhook_deliveries
set
    attempt = 10,
    next_attempt_at = now()
where state = 'scheduled';
create temporary table dying as
select
    id,
    row_number() over (order by id) as number
from ops.webhook_deliveries;
select public.record_webhook_delivery(id, 10, 503, 'the body of an answer')
from dying
where number = 1;
select public.claim_webhook_deliveries();
select results_eq(
    $$
        select
            subject = 'hooks.example:8443 (' || (select id from endpoints) || ')',
            times_seen,
            resolved_at
        from ops.alerts
        where kind = 'dead_letters'
    $$,
    $$values (true, 4, null::timestamptz)$$,
    'D44: dead deliveries are one alert for their endpoint, by report or by silence'
);
select is_empty(
    $$
        select
        from ops.alerts as alert
        where alert::text ~ 'hunter2|s3cret|body of an answer'
    $$,
    'which tells no secret'
);
set local role service_role;
create temporary table read_letters as
select * from ops.dead_letters;
grant select on read_letters to postgres;
reset role;
select results_eq(
    $$
        select
            event_type,
            last_status,
            last_error,
            died_at is not null
        from read_letters
        where last_status = 503
    $$,
    $$values ('trend.detected', 503, 'the body of an answer', true)$$,
    'the service reads who died of what'
);
savepoint alerts_are_broken;
set local client_min_messages = error;
update ops.webhook_deliveries
set
    state = 'scheduled',
    next_attempt_at = now();
alter table ops.alerts rename to planted_elsewhere;
select is(
    public.record_webhook_delivery((select id from dying where number = 1), 10, 503) ->> 'state',
    'dead',
    'D43: a broken alert does not undo the report of an attempt'
);
rollback to savepoint alerts_are_broken;

-- Replay.
delete from net.http_request_queue;
select is(public.replay_webhook_deliveries(batch_size => -1), 0, 'a negative limit replays nothing');
select is(
    public.replay_webhook_deliveries(since => now() + interval '1 minute'),
    0,
    'nor does a time after they died'
);
select is(
    public.replay_webhook_deliveries(endpoint_id => '00000000-0000-4000-8000-000000000000'),
    0,
    'nor another endpoint'
);
select is((select count(*) from net.http_request_queue), 0::bigint, 'and nobody is woken for nothing');
set local role service_role;
create temporary table replayed as
select
    public.replay_webhook_deliveries(
        (select array_agg(delivery_id) from ops.dead_letters where last_status = 503)
    ) as number;
grant select on replayed to postgres;
reset role;
select is((select number from replayed), 1, 'D44: the service replays a dead delivery by its id');
select results_eq(
    $$
        select
            state,
            attempt,
            next_attempt_at = now()
        from ops.webhook_deliveries
        where id = (select id from dying where number = 1)
    $$,
    $$values ('scheduled', 0, true)$$,
    'and is due from the first attempt on'
);
select is((select count(*) from net.http_request_queue), 1::bigint, 'a replay wakes once');
select is(
    (select count(*) from ops.alerts where kind = 'dead_letters' and resolved_at is null),
    1::bigint,
    'the alert lasts while others are dead'
);
update ops.webhook_endpoints
set disabled_at = now();
select is(public.replay_webhook_deliveries(), 0, 'a disabled endpoint keeps its dead');
update ops.webhook_endpoints
set disabled_at = null;
select is(
    public.replay_webhook_deliveries(endpoint_id => (select id from endpoints), since => now() - interval '1 minute'),
    3,
    'all others are replayed together'
);
select is(
    (select count(*) from ops.alerts where kind = 'dead_letters' and resolved_at is null),
    0::bigint,
    'and the alert is over'
);
select set_eq(
    $$select webhook_id, attempt from public.claim_webhook_deliveries()$$,
    $$select 'msg_' || replace(id::text, '-', '') as webhook_id, 1 as attempt from dying$$,
    'under the same webhook ids, so that receivers recognise them'
);

-- Retention: 1 and 2 arrived, 3 is dead, 4 on its way.
alter table ops.webhook_deliveries disable trigger set_updated_at;
update ops.outbox
set created_at = now() - interval '31 days';
update ops.webhook_deliveries
set
    state = case when dying.number <= 2 then 'delivered' when dying.number = 3 then 'dead' else 'scheduled' end,
    next_attempt_at = case when dying.number = 4 then now() end,
    updated_at = now() - interval '31 days'
from dying
where dying.id = webhook_deliveries.id;
insert into ops.webhook_receipts (webhook_id, event, received_at)
select
    'msg_' || replace(id::text, '-', ''),
    '{}'::jsonb,
    now() - interval '31 days'
from dying
union all
select
    'msg_young',
    '{}'::jsonb,
    now() - interval '29 days';
select is(ops.purge_outbox(now() - interval '2 days'), 0::bigint, 'nothing goes before it is 30 days old');
select is(ops.purge_outbox(batch_size => 1), 2::bigint, 'D70: one event and one receipt at a time, counted');
-- The third is the alert of the dead letter, an event that nobody asked for.
select is(ops.purge_outbox(), 3::bigint, 'D70: the next run takes the rest');
select set_eq(
    $$select id from ops.webhook_deliveries$$,
    $$select id from dying where number > 2$$,
    'never what is dead or on its way'
);
select set_eq(
    $$select webhook_id from ops.webhook_receipts$$,
    $$
        select 'msg_young' as webhook_id
        union all
        select 'msg_' || replace(id::text, '-', '') from dying where number > 2
    $$,
    'and the receipts of those stay, so that a replay is recognised'
);

select finish();
rollback;
