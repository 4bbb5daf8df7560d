-- Every delivery is tried until it arrives or is given up; each attempt is told, and none is lost.
begin;
select plan(125);

-- An empty house: nothing of the running stack is seen in here.
delete from ops.outbox;
delete from public.webhook_endpoints;
delete from ops.webhook_receipts;
delete from ops.alerts;
delete from vault.secrets
where name in ('project_url', 'wake_secret');
select vault.create_secret('http://127.0.0.1:1', 'project_url');
select vault.create_secret('wake secret of the tests', 'wake_secret');
insert into ops.event_types (event_type, edge_function, for_subscribers, description)
values
('trend.detected', 'notify-trend', true, 'planted'),
('planted.other', 'planted-function', true, 'planted')
on conflict do nothing;
insert into auth.users (id, email)
values ('00000000-0000-4000-8000-0000000000a1', 'one@webhooks.example');

create function pg_temp.enqueue(first_key integer, last_key integer, event_type text default 'trend.detected')
returns integer
language sql
as $$
    select
        ops.enqueue(
            event_type, jsonb_agg(jsonb_build_object('dedupe_key', number, 'data', jsonb_build_object('n', number)))
        )
    from generate_series(first_key, last_key) as number
$$;
create function pg_temp.report(
    delivery uuid,
    attempt integer,
    status integer,
    error text default null,
    retry_after double precision default null
)
returns jsonb
language sql
as $$
    select
        public.record_webhook_deliveries(
            jsonb_build_array(
                jsonb_build_object(
                    'delivery_id', delivery,
                    'attempt', attempt,
                    'status', status,
                    'error', error,
                    'retry_after_seconds', retry_after,
                    'duration_ms', 12
                )
            )
        )
$$;
create function pg_temp.state(delivery uuid)
returns text
language sql
as $$
    select concat_ws(' ', state, attempt, last_status, last_error)
    from ops.webhook_deliveries
    where id = delivery
$$;
create function pg_temp.wait(delivery uuid)
returns interval
language sql
as $$
    select next_attempt_at - now()
    from ops.webhook_deliveries
    where id = delivery
$$;

create temporary table registered as
select public.register_webhook_endpoint(
    'https://hooks.example:8443/in/s3cret?token=s3cret',
    'whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoyMzQ1Njc=',
    '{trend.detected,planted.other}'
) as id;

-- Claiming. The service does it.
select is(pg_temp.enqueue(1, 4), 4, 'four events');
grant select on registered to service_role;
set local role service_role;
create temporary table claimed as
select *
from public.claim_webhook_deliveries('{trend.detected}', 3, 60);
grant select on claimed to postgres;
reset role;
select is((select count(*) from claimed), 3::bigint, 'a claim takes at most what was asked for');
select is(
    (select count(*) from public.claim_webhook_deliveries(null, 20, 60)),
    1::bigint,
    'what is leased is not claimed again'
);
select is((select count(*) from public.claim_webhook_deliveries(null, -5, 60)), 0::bigint, 'a negative limit claims nothing');
select is(
    (select array_agg(distinct attempt) from claimed),
    array[1],
    'it is the first attempt'
);
select results_eq(
    $$
        select distinct
            url,
            secrets,
            allow_private
        from claimed
    $$,
    $$
        values (
            'https://hooks.example:8443/in/s3cret?token=s3cret',
            '{whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoyMzQ1Njc=}'::text[],
            false
        )
    $$,
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

-- Types: a sender of one sees nothing of the other's.
select pg_temp.enqueue(1, 2, 'planted.other');
select is((select count(*) from public.claim_webhook_deliveries('{trend.detected}')), 0::bigint, 'another type is another sender''s');
select is((select count(*) from public.claim_webhook_deliveries('{}')), 0::bigint, 'no type is nothing');
select is((select count(*) from public.claim_webhook_deliveries('{planted.unknown}')), 0::bigint, 'nor is an unknown one');
select is(
    (select count(*) from public.claim_webhook_deliveries('{trend.detected,planted.other}')),
    2::bigint,
    'who sends both gets both'
);

-- A sender that vanishes: the lease runs out.
update ops.webhook_deliveries
set next_attempt_at = now() - interval '1 second'
where id in (select delivery_id from claimed);
create temporary table claimed_again as
select *
from public.claim_webhook_deliveries(null, 20, 60);
select results_eq(
    $$select delivery_id, webhook_id, body, 2 from claimed order by delivery_id$$,
    $$select delivery_id, webhook_id, body, attempt from claimed_again order by delivery_id$$,
    'after the lease it is claimed again: same id, same body, next attempt'
);
select is(
    (select count(*) from ops.webhook_deliveries where next_attempt_at = now() + interval '1 minute'),
    6::bigint,
    'all are leased for a minute'
);

-- Recording.
create temporary table three as
select
    delivery_id as id,
    row_number() over (order by delivery_id) as number
from claimed;
create function pg_temp.id(n bigint)
returns uuid
language sql
as $$select id from three where number = n$$;
select is(
    pg_temp.report(pg_temp.id(1), 2, 204),
    '{"recorded": 1, "delivered": 1, "scheduled": 0, "dead": 0, "unknown": 0, "rejected": []}',
    'any 2xx delivers'
);
select is(
    (select last_success_at from public.webhook_endpoints),
    now(),
    'and the endpoint shows when'
);
select is(
    pg_temp.report(pg_temp.id(1), 2, 500) || jsonb_build_object('state', pg_temp.state(pg_temp.id(1))),
    '{"recorded": 0, "delivered": 0, "scheduled": 0, "dead": 0, "unknown": 0, "rejected": [], "state": "delivered 2 204"}',
    'a repeated report changes nothing, not even with another word'
);
select pg_temp.report(pg_temp.id(2), 1, 500, 'late');
select is(pg_temp.state(pg_temp.id(2)), 'scheduled 2', 'a late failure of an earlier attempt changes nothing');
select is(
    pg_temp.report(pg_temp.id(2), 2, 302) ->> 'scheduled',
    '1',
    'a redirect is a failure'
);
select ok(
    pg_temp.wait(pg_temp.id(2)) between '4.5 min' and '5.5 min',
    'the second failure waits five minutes, give or take a tenth'
);
select pg_temp.report(pg_temp.id(2), 2, 302);
select ok(
    pg_temp.report(pg_temp.id(2), 2, 302) ->> 'recorded' = '0',
    'told again it does not count again'
);
select is(
    (select array_agg(attempt || ' ' || status order by attempt) from ops.webhook_attempts where delivery_id = pg_temp.id(2)),
    array['1 500', '2 302'],
    'every attempt is a row of its own, the late one too'
);
select pg_temp.report(pg_temp.id(2), 1, 200);
select is(
    pg_temp.state(pg_temp.id(2)),
    'scheduled 2 302',
    'an attempt has one outcome'
);
update ops.webhook_deliveries
set next_attempt_at = now()
where id = pg_temp.id(2);
select is((select attempt from public.claim_webhook_deliveries()), 3, 'the third attempt begins');
delete from ops.webhook_attempts
where
    delivery_id = pg_temp.id(2)
    and attempt = 1;
select is(pg_temp.report(pg_temp.id(2), 1, 200) ->> 'delivered', '1', 'a late success counts');
select is(
    pg_temp.report('00000000-0000-4000-8000-000000000000', 1, 200),
    '{"recorded": 0, "delivered": 0, "scheduled": 0, "dead": 0, "unknown": 1, "rejected": []}',
    'an unknown delivery is counted'
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

-- A batch: bad elements are told, good ones kept.
select is(
    public.record_webhook_deliveries(
        jsonb_build_array(
            7,
            '{}'::jsonb,
            '{"delivery_id": "no", "attempt": 1}'::jsonb,
            jsonb_build_object('delivery_id', gen_random_uuid(), 'attempt', 0),
            jsonb_build_object('delivery_id', gen_random_uuid(), 'attempt', 11),
            jsonb_build_object('delivery_id', gen_random_uuid(), 'attempt', '1'),
            jsonb_build_object('delivery_id', gen_random_uuid(), 'attempt', 1.5),
            jsonb_build_object('delivery_id', gen_random_uuid(), 'attempt', 1, 'status', 99),
            jsonb_build_object('delivery_id', gen_random_uuid(), 'attempt', 1, 'status', '200'),
            jsonb_build_object('delivery_id', gen_random_uuid(), 'attempt', 1, 'error', 7),
            jsonb_build_object('delivery_id', gen_random_uuid(), 'attempt', 1, 'retry_after_seconds', -1),
            jsonb_build_object('delivery_id', gen_random_uuid(), 'attempt', 1, 'retry_after_seconds', 'soon'),
            jsonb_build_object('delivery_id', gen_random_uuid(), 'attempt', 1, 'retry_after_seconds', 1e300),
            jsonb_build_object('delivery_id', gen_random_uuid(), 'attempt', 1, 'duration_ms', -1),
            jsonb_build_object('delivery_id', gen_random_uuid(), 'attempt', 1, 'duration_ms', 1e12),
            null,
            jsonb_build_object('delivery_id', pg_temp.id(3), 'attempt', 2, 'status', 200),
            jsonb_build_object('delivery_id', pg_temp.id(3), 'attempt', 2, 'status', 200)
        )
    ),
    '{
        "recorded": 1, "delivered": 1, "scheduled": 0, "dead": 0, "unknown": 0,
        "rejected": [
            {"index": 0, "message": "It is no object."},
            {"index": 1, "message": "delivery_id is no uuid."},
            {"index": 2, "message": "delivery_id is no uuid."},
            {"index": 3, "message": "attempt is not 1 to 10."},
            {"index": 4, "message": "attempt is not 1 to 10."},
            {"index": 5, "message": "attempt is not 1 to 10."},
            {"index": 6, "message": "attempt is not 1 to 10."},
            {"index": 7, "message": "status is not 100 to 999."},
            {"index": 8, "message": "status is not 100 to 999."},
            {"index": 9, "message": "error is no text."},
            {"index": 10, "message": "retry_after_seconds is not 0 or more."},
            {"index": 11, "message": "retry_after_seconds is not 0 or more."},
            {"index": 12, "message": "retry_after_seconds is not 0 or more."},
            {"index": 13, "message": "duration_ms is no whole number of milliseconds."},
            {"index": 14, "message": "duration_ms is no whole number of milliseconds."},
            {"index": 15, "message": "It is no object."}
        ]
    }',
    'what is wrong with a report is told, and the good ones are kept, each once'
);
select is(
    public.record_webhook_deliveries('[]'),
    '{"recorded": 0, "delivered": 0, "scheduled": 0, "dead": 0, "unknown": 0, "rejected": []}',
    'an empty batch is one'
);
select throws_ok(
    format('select public.record_webhook_deliveries(%L)', batch),
    'PT400',
    'The reports are no JSON array.',
    'no array: ' || coalesce(batch, 'nothing')
)
from unnest(array['{}', '7', 'null', null]) as batch;
select throws_ok(
    $$select public.record_webhook_deliveries((select jsonb_agg(n) from generate_series(1, 1001) as n))$$,
    'PT413',
    'These are more than 1000 reports.',
    'a batch of 1001 is refused'
);

-- Jitter, at every step of the schedule.
delete from ops.outbox;
select pg_temp.enqueue(1, 4);
truncate three;
insert into three
select
    id,
    row_number() over (order by id)
from ops.webhook_deliveries;
create function pg_temp.wait_after(failed_attempt integer, retry_after double precision default null)
returns interval
language plpgsql
as $$
begin
    delete from ops.webhook_attempts;
    update ops.webhook_deliveries
    set attempt = failed_attempt
    where id = pg_temp.id(1);
    perform pg_temp.report(pg_temp.id(1), failed_attempt, 500, retry_after => retry_after);
    return pg_temp.wait(pg_temp.id(1));
end
$$;
create temporary table waited as
select
    attempt,
    private.retry_delay(attempt) as planned,
    pg_temp.wait_after(attempt) as wait
from generate_series(1, 9) as attempt
cross join generate_series(1, 40) as try;
select ok(
    bool_and(wait between planned * 0.9 and planned * 1.1) and count(distinct wait) > 30,
    'D44: after failure ' || attempt || ' the wait is ' || planned || ', give or take a tenth, and varies'
)
from waited
group by
    attempt,
    planned
order by attempt;

-- Retry-After.
select is(pg_temp.wait_after(1, 120), interval '2 minutes', 'Retry-After is waited for');
select is(pg_temp.wait_after(1, 1e9), interval '24 hours', 'for a day at most');
select ok(pg_temp.wait_after(3, 1) between '27 min' and '33 min', 'and never shortens a wait');
select is(
    pg_temp.report(pg_temp.id(2), 1, 503, retry_after => 60) ->> 'recorded',
    '0',
    'an attempt that nobody began is not told'
);

-- Giving up after ten.
delete from ops.webhook_attempts;
update ops.webhook_deliveries
set
    attempt = 10,
    next_attempt_at = now();
select is(
    pg_temp.report(pg_temp.id(1), 10, 503, 'the body of an answer', 60) ->> 'dead',
    '1',
    'the tenth failure is final, whatever Retry-After says'
);
select is(pg_temp.state(pg_temp.id(1)), 'dead 10 503 the body of an answer', 'and says why');
select is((select count(*) from public.claim_webhook_deliveries()), 0::bigint, 'ten attempts without a report are not tried again');
select is(
    (select array_agg(distinct pg_temp.state(id)) from three where number > 1),
    array['dead 10 every sender vanished before it could report'],
    'they are dead too'
);
select results_eq(
    $$
        select
            subject = 'hooks.example:8443 (' || (select id from registered) || ')',
            times_seen,
            resolved_at
        from ops.alerts
        where kind = 'dead_letters'
    $$,
    $$values (true, 2, null::timestamptz)$$,
    'D44: dead deliveries are one alert for their endpoint, by report or by silence'
);
select is_empty(
    $$
        select
        from ops.alerts as alert
        where alert::text ~ 's3cret|body of an answer'
    $$,
    'which tells no secret'
);
grant select on three to service_role;
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
delete from ops.webhook_attempts;
update ops.webhook_deliveries
set
    state = 'scheduled',
    next_attempt_at = now();
alter table ops.alerts rename to planted_elsewhere;
select is(
    pg_temp.report(pg_temp.id(1), 10, 503) ->> 'dead',
    '1',
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
    public.replay_webhook_deliveries(until => now()),
    0,
    'nor a time before'
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
        where id = pg_temp.id(1)
    $$,
    $$values ('scheduled', 0, true)$$,
    'and is due from the first attempt on'
);
select results_eq(
    $$select url from net.http_request_queue$$,
    $$values ('http://127.0.0.1:1/functions/v1/notify-trend')$$,
    'a replay wakes its type''s edge function once'
);
select is(
    (select count(*) from ops.alerts where kind = 'dead_letters' and resolved_at is null),
    1::bigint,
    'the alert lasts while others are dead'
);
update public.webhook_endpoints
set
    disabled_at = now(),
    disabled_reason = 'switched_off';
select is(public.replay_webhook_deliveries(), 0, 'a disabled endpoint keeps its dead');
update public.webhook_endpoints
set
    disabled_at = null,
    disabled_reason = null,
    entitled_until = now();
select is(public.replay_webhook_deliveries(), 0, 'so does one that is not entitled');
update public.webhook_endpoints
set entitled_until = null;
select is(
    public.replay_webhook_deliveries(
        endpoint_id => (select id from registered),
        since => now() - interval '1 minute',
        until => now() + interval '1 minute'
    ),
    3,
    'all others are replayed together'
);
select is(
    (select count(*) from ops.alerts where kind = 'dead_letters' and resolved_at is null),
    0::bigint,
    'and the alert is over'
);
select set_eq(
    $$select webhook_id, attempt from public.claim_webhook_deliveries('{trend.detected}')$$,
    $$select 'msg_' || replace(id::text, '-', '') as webhook_id, 1 as attempt from three$$,
    'under the same webhook ids, so that receivers recognise them'
);
select is(pg_temp.report(pg_temp.id(1), 7, 500, 'from before the replay') ->> 'recorded', '0', 'an old failure does not fill a place that is to come');
select pg_temp.report(pg_temp.id(1), 1, 500, 'again');
select is(
    (
        select
            jsonb_path_query_array(log, '$.deliveries[*] ? (@.delivery_id == $id).attempts[*].error', jsonb_build_object('id', pg_temp.id(1)))
        from public.webhook_log((select id from registered)) as log
    ),
    '["the body of an answer", "again"]',
    'the attempts of before and after a replay stand in order'
);

-- A dead delivery whose sender was only slow.
update ops.webhook_deliveries
set
    state = 'dead',
    attempt = 2,
    next_attempt_at = null
where id = pg_temp.id(2);
select is(pg_temp.report(pg_temp.id(2), 2, 200) ->> 'delivered', '1', 'what arrived after all is not dead');

-- Two secrets during a rotation, the newest first.
create temporary table rotated as
select public.rotate_webhook_secret((select id from registered), overlap_seconds => 600) ->> 'secret' as secret;
update ops.webhook_deliveries
set next_attempt_at = now()
where state = 'scheduled';
select results_eq(
    $$select distinct secrets from public.claim_webhook_deliveries()$$,
    $$select array[secret, 'whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoyMzQ1Njc='] from rotated$$,
    'during a rotation a claim holds both secrets, the newest first'
);
update public.webhook_endpoints
set previous_secret_until = now();
update ops.webhook_deliveries
set next_attempt_at = now()
where state = 'scheduled';
select results_eq(
    $$select distinct secrets from public.claim_webhook_deliveries()$$,
    $$select array[secret] from rotated$$,
    'and only the new one afterwards'
);
select ops.purge_outbox();
select is_empty(
    $$select from vault.secrets where name = 'webhook_endpoint_' || (select id from registered) || '_previous'$$,
    'the hourly purge takes the old one out of Vault'
);

-- An endpoint whose secret is gone cannot be signed for.
savepoint without_secret;
delete from ops.outbox;
select pg_temp.enqueue(1, 1);
delete from vault.secrets
where name like 'webhook_endpoint_%';
select is((select count(*) from public.claim_webhook_deliveries()), 0::bigint, 'without a secret nothing is sent');
select is(
    (select last_error from ops.webhook_deliveries where state = 'scheduled'),
    'the endpoint has no secret in Vault',
    'and the delivery says so'
);
rollback to savepoint without_secret;

-- Entitlement that ends while events are on their way.
delete from ops.outbox;
select pg_temp.enqueue(1, 30);
update public.webhook_endpoints
set entitled_until = now();
create temporary table entitled as
select
    (
        private.add_webhook_endpoint(
            '00000000-0000-4000-8000-0000000000a1', 'https://own.example/', '{planted.other,trend.detected}',
            entitled_until => now() + interval '1 hour'
        ) ->> 'id'
    )::uuid as id;
select pg_temp.enqueue(31, 31);
update ops.webhook_deliveries
set next_attempt_at = now() - case when endpoint_id = (select id from entitled) then interval '1 s' else '2 s' end;
select is(
    (select array_agg(distinct body::jsonb #> '{data,n}') from public.claim_webhook_deliveries(null, 2)),
    array['31'::jsonb],
    'a claim goes past what nobody may have any more to what is due'
);
select is(
    (select array_agg(distinct pg_temp.state(id)) from ops.webhook_deliveries where endpoint_id = (select id from registered)),
    array['dead 0 not entitled'],
    'and gives that up'
);
select is(
    (select count(*) from ops.alerts where kind = 'dead_letters' and resolved_at is null),
    0::bigint,
    'which alerts nobody'
);
update public.webhook_endpoints
set entitled_until = null
where id = (select id from registered);
select is(public.replay_webhook_deliveries(), 30, 'who may have them again can have them sent');

-- 410 disables at once.
delete from ops.alerts;
delete from ops.outbox;
delete from realtime.messages
where topic like 'user:%';
select pg_temp.enqueue(1, 3);
truncate three;
insert into three
select
    delivery_id,
    row_number() over (order by delivery_id)
from public.claim_webhook_deliveries(null, 50)
where url = 'https://own.example/';
select is(pg_temp.report(pg_temp.id(1), 1, 410) ->> 'dead', '1', 'S-214: 410 is final for its delivery');
select results_eq(
    $$
        select
            disabled_at,
            disabled_reason
        from public.webhook_endpoints
        where id = (select id from entitled)
    $$,
    $$values (now(), 'gone')$$,
    'S-214: and disables the endpoint at once'
);
select is(pg_temp.state(pg_temp.id(1)), 'dead 1 410', 'it says what it died of');
select is(pg_temp.state(pg_temp.id(2)), 'dead 1 the endpoint is disabled: gone', 'what was on its way is given up and says why');
select results_eq(
    $$
        select
            kind,
            subject
        from ops.alerts
        where resolved_at is null
    $$,
    $$select 'webhook_endpoint_disabled', 'own.example (' || id || ')' from entitled$$,
    'S-214: the operator is told once, and of nothing else'
);
select results_eq(
    $$
        select
            topic,
            event,
            payload ->> 'endpoint_id',
            payload ->> 'reason',
            private
        from realtime.messages
        where topic like 'user:%'
    $$,
    $$
        select
            'user:00000000-0000-4000-8000-0000000000a1',
            'webhook_disabled',
            id::text,
            'gone',
            true
        from entitled
    $$,
    'and its owner by the own private topic'
);
select is(pg_temp.report(pg_temp.id(2), 1, 200) ->> 'delivered', '1', 'what was sent before and arrived counts');
select is(
    (select count(*) from ops.webhook_deliveries where endpoint_id = (select id from registered) and state = 'scheduled'),
    3::bigint,
    'other endpoints go on'
);
select pg_temp.enqueue(4, 4);
select is(
    (select count(*) from ops.webhook_deliveries where endpoint_id = (select id from entitled)),
    3::bigint,
    'and new events pass it by'
);
insert into ops.webhook_deliveries (outbox_id, endpoint_id, event_type)
select
    event.id,
    entitled.id,
    event.event_type
from ops.outbox as event
cross join entitled
where
    event.event_type = 'trend.detected'
    and event.dedupe_key = '4';
select is_empty(
    $$select from public.claim_webhook_deliveries() where url = 'https://own.example/'$$,
    'an event that came while it was disabled is not sent'
);
select is(
    (select count(*) from ops.webhook_deliveries where last_error = 'the endpoint is disabled: gone' and state = 'dead'),
    2::bigint,
    'but given up by the claim that finds it'
);
select is(
    public.set_webhook_endpoint((select id from entitled), true) -> 'disabled_at',
    'null'::jsonb,
    'it can be switched on again'
);
select is(
    (select count(*) from ops.alerts where kind = 'webhook_endpoint_disabled' and resolved_at is null),
    0::bigint,
    'which ends the alert'
);
select is(
    public.replay_webhook_deliveries(endpoint_id => (select id from entitled)),
    3,
    'and what died can be sent'
);

-- Five days of failure.
delete from ops.outbox;
select pg_temp.enqueue(1, 6);
truncate three;
insert into three
select
    delivery_id,
    row_number() over (order by delivery_id)
from public.claim_webhook_deliveries(null, 50)
where url = 'https://own.example/';
update public.webhook_endpoints
set failing_since = null;
create function pg_temp.failing()
returns text
language sql
as $$
    select concat_ws(' ', now() - failing_since, disabled_reason)
    from public.webhook_endpoints
    where id = (select id from entitled)
$$;
select pg_temp.report(pg_temp.id(1), 1, null, 'connection refused');
select is(pg_temp.failing(), '00:00:00', 'the first failure is remembered');
update public.webhook_endpoints
set failing_since = now() - interval '4 days 23:59:59'
where id = (select id from entitled);
select pg_temp.report(pg_temp.id(2), 1, 500);
select is(pg_temp.failing(), '4 days 23:59:59', 'and not the later ones');
select pg_temp.report(pg_temp.id(3), 1, 200);
select is(pg_temp.failing(), '', 'a success forgets it');
update public.webhook_endpoints
set failing_since = now() - interval '5 days'
where id = (select id from entitled);
select public.record_webhook_deliveries(
    jsonb_build_array(
        jsonb_build_object('delivery_id', pg_temp.id(4), 'attempt', 1, 'status', 500),
        jsonb_build_object('delivery_id', pg_temp.id(5), 'attempt', 1, 'status', 200)
    )
);
select is(pg_temp.failing(), '', 'also when it comes together with a failure');
update public.webhook_endpoints
set failing_since = now() - interval '5 days'
where id = (select id from entitled);
select is(pg_temp.report(pg_temp.id(6), 1, 500) ->> 'scheduled', '1', 'one more failure after five days');
select is(pg_temp.failing(), '5 days failing', 'S-214: disables the endpoint');
select is(
    (select message from ops.alerts where kind = 'webhook_endpoint_disabled' and resolved_at is null),
    'Nothing has arrived for five days: nothing is sent to it any more.',
    'and the operator is told'
);
select is(pg_temp.state(pg_temp.id(6)), 'dead 1 500 the endpoint is disabled: failing', 'with what was on its way');
savepoint nobody_hears;
select public.set_webhook_endpoint((select id from entitled), true);
set local client_min_messages = error;
alter table ops.alerts rename to planted_elsewhere;
select is(
    private.disable_webhook_endpoint((select id from entitled), 'gone'),
    true,
    'it is disabled even when nobody can be told'
);
rollback to savepoint nobody_hears;
select is(private.disable_webhook_endpoint((select id from entitled), 'gone'), false, 'once');

-- The test button.
delete from ops.outbox;
delete from net.http_request_queue;
select public.set_webhook_endpoint((select id from entitled), true);
update public.webhook_endpoints
set event_types = event_types || '{webhook.test}';
create temporary table tried as
select public.test_webhook_endpoint((select id from entitled)) as answer;
select results_eq(
    $$
        select
            delivery.id::text,
            delivery.webhook_id,
            delivery.endpoint_id,
            delivery.event_type
        from ops.webhook_deliveries as delivery
    $$,
    $$
        select
            answer ->> 'delivery_id',
            answer ->> 'webhook_id',
            entitled.id,
            'webhook.test'
        from tried
        cross join entitled
    $$,
    'a test goes to one endpoint and to no other'
);
select is((select count(*) from net.http_request_queue), 1::bigint, 'and at once');
select is(
    (select body::jsonb #>> '{data,endpoint_id}' from public.claim_webhook_deliveries('{webhook.test}')),
    (select id::text from entitled),
    'it says which endpoint is tried'
);
select count(public.test_webhook_endpoint((select id from entitled)))
from generate_series(2, 10);
select throws_ok(
    $$select public.test_webhook_endpoint((select id from entitled))$$,
    'PT429',
    'This endpoint was tried ten times in a minute.',
    'ten times a minute at most'
);
select public.set_webhook_endpoint((select id from entitled), false);
select throws_ok(
    $$select public.test_webhook_endpoint((select id from entitled))$$,
    'PT409',
    'Nothing is sent to this endpoint.',
    'not while it is switched off'
);
select is(
    (select count(*) from ops.webhook_deliveries where state = 'scheduled'),
    0::bigint,
    'switching off gives up what is on its way'
);
select public.set_webhook_endpoint((select id from entitled), true);
update public.webhook_endpoints
set entitled_until = now()
where id = (select id from entitled);
select throws_ok(
    $$select public.test_webhook_endpoint((select id from entitled))$$,
    'PT409',
    'Nothing is sent to this endpoint.',
    'nor when its owner may not have events'
);

-- The log.
delete from ops.outbox;
select pg_temp.enqueue(1, 25);
create temporary table pages as
with recursive page (log, number) as (
    select
        public.webhook_log((select id from registered), 10),
        1
    union all
    select
        public.webhook_log((select id from registered), 10, (page.log ->> 'next_before')::timestamptz),
        page.number + 1
    from page
    where
        page.log ->> 'next_before' is not null
        and page.number < 9
)

select
    page.number,
    entry.value
from page
cross join jsonb_array_elements(page.log -> 'deliveries') as entry (value);
select results_eq(
    $$select count(*), count(distinct value ->> 'delivery_id') from pages$$,
    $$values (25::bigint, 25::bigint)$$,
    'the pages of the log hold everything once'
);
select is_empty(
    $$
        select
        from (
            select
                value ->> 'created_at' as at,
                lag(value ->> 'created_at') over (order by number) as before
            from pages
        ) as pair
        where (pair.at)::timestamptz > (pair.before)::timestamptz
    $$,
    'the newest first'
);
update ops.webhook_deliveries
set created_at = '2026-01-01';
select is(
    jsonb_array_length(public.webhook_log((select id from registered), 10) -> 'deliveries'),
    25,
    'a page does not end between two of one moment'
);
select is(
    (select array_agg(key order by key) from pages cross join jsonb_object_keys(value) as key where value = (select max(value::text)::jsonb from pages)),
    array[
        'attempt', 'attempts', 'created_at', 'delivery_id', 'event_type', 'last_error', 'last_status',
        'next_attempt_at', 'state', 'webhook_id'
    ],
    'a delivery is told with its attempts'
);
select throws_ok(
    format('select public.webhook_log(%L, %s)', (select id from registered), most),
    'PT400',
    'The limit is not 1 to 200.',
    'no page of ' || most
)
from unnest(array['0', '201', 'null']) as most;

-- Retention: 1 and 2 arrived, 3 is dead, 4 on its way; the person's 5 is dead too.
delete from ops.outbox;
delete from ops.webhook_receipts;
select pg_temp.enqueue(1, 4);
truncate three;
insert into three
select
    id,
    row_number() over (order by id)
from ops.webhook_deliveries;
update public.webhook_endpoints
set entitled_until = null
where id = (select id from entitled);
insert into ops.outbox (id, event_type, dedupe_key, data)
values ('00000000-0000-4000-8000-000000000005', 'planted.other', 'own', '{}');
insert into ops.webhook_deliveries (outbox_id, endpoint_id, event_type, state, next_attempt_at)
select
    '00000000-0000-4000-8000-000000000005',
    id,
    'planted.other',
    'dead',
    null
from entitled;
update ops.outbox
set created_at = now() - interval '31 days';
update ops.webhook_deliveries
set changed_at = now() - interval '31 days';
update ops.webhook_deliveries
set
    state = case when three.number <= 2 then 'delivered' when three.number = 3 then 'dead' else 'scheduled' end,
    next_attempt_at = case when three.number = 4 then now() end
from three
where three.id = webhook_deliveries.id;
insert into ops.webhook_receipts (webhook_id, event, received_at)
select
    'msg_' || replace(id::text, '-', ''),
    '{}'::jsonb,
    now() - interval '31 days'
from three
union all
select
    'msg_young',
    '{}'::jsonb,
    now() - interval '29 days';
select is(ops.purge_outbox(now() - interval '2 days'), 0::bigint, 'nothing goes before it is 30 days old');
select is(ops.purge_outbox(batch_size => 1), 2::bigint, 'D70: one event and one receipt at a time, counted');
select is(ops.purge_outbox(), 3::bigint, 'D70: the next run takes the rest');
select set_eq(
    $$select id from ops.webhook_deliveries$$,
    $$select id from three where number > 2$$,
    'never what is on its way, nor the operator''s dead; a person''s dead go after 30 days'
);
select set_eq(
    $$select webhook_id from ops.webhook_receipts$$,
    $$
        select 'msg_young' as webhook_id
        union all
        select 'msg_' || replace(id::text, '-', '') from three where number > 2
    $$,
    'and the receipts of those stay, so that a replay is recognised'
);

-- A backlog: what a claim and a report read does not grow with it.
select is_empty(
    $$
        select
        from pg_class
        where
            oid = 'ops.webhook_deliveries'::regclass
            and not reloptions @> '{autovacuum_vacuum_scale_factor=0.02}'
    $$,
    'old versions of deliveries are taken away while a backlog is drained'
);
select has_index(
    'ops', 'webhook_deliveries', 'webhook_deliveries_that_are_due', array['event_type', 'next_attempt_at'],
    'what is due of a type is found by an index'
);

select finish();
rollback;
