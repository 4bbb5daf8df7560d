-- Promises that what is committed with its event is delivered at least once, and that delivery never fails the writer.

create table ops.outbox (
    id uuid primary key default gen_random_uuid(),
    event_type text not null,
    dedupe_key text not null,
    data jsonb not null,
    created_at timestamptz not null default now(),
    constraint an_event_is_recorded_once unique (event_type, dedupe_key),
    constraint event_type_has_two_words check (event_type ~ '^[a-z_]+\.[a-z_]+$'),
    constraint dedupe_key_is_short check (length(dedupe_key) between 1 and 500)
);
alter table ops.outbox enable row level security;
comment on table ops.outbox is 'Events, each committed together with the change it tells of.';
comment on column ops.outbox.dedupe_key is 'Two events of one type and key are one event.';

create table ops.webhook_endpoints (
    id uuid primary key default gen_random_uuid(),
    url text not null unique,
    event_types text[] not null,
    disabled_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint url_is_http check (url ~ '^https?://[^[:space:]]+$' and length(url) <= 2000),
    constraint event_types_are_named check (cardinality(event_types) > 0)
);
alter table ops.webhook_endpoints enable row level security;
comment on table ops.webhook_endpoints is
'Who wants which events. The signing secret is in Vault, named webhook_endpoint_<id>.';

create trigger set_updated_at
before update on ops.webhook_endpoints
for each row
execute function private.touch_updated_at();

create table ops.webhook_deliveries (
    id uuid primary key default gen_random_uuid(),
    outbox_id uuid not null references ops.outbox (id) on delete cascade,
    endpoint_id uuid not null references ops.webhook_endpoints (id) on delete cascade,
    state text not null default 'scheduled',
    attempt integer not null default 0,
    next_attempt_at timestamptz default now(),
    last_status integer,
    last_error text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    webhook_id text generated always as ('msg_' || replace(id::text, '-', '')) stored,
    constraint an_endpoint_gets_an_event_once unique (outbox_id, endpoint_id),
    constraint state_is_known check (state in ('scheduled', 'delivered', 'dead')),
    constraint attempt_is_within_the_schedule check (attempt between 0 and 10),
    constraint only_the_scheduled_have_a_next_attempt check ((state = 'scheduled') = (next_attempt_at is not null))
);
alter table ops.webhook_deliveries enable row level security;
create index webhook_deliveries_by_endpoint on ops.webhook_deliveries (endpoint_id);
create index webhook_deliveries_that_are_due on ops.webhook_deliveries (next_attempt_at)
where state = 'scheduled';
comment on table ops.webhook_deliveries is 'One event on its way to one endpoint.';
comment on column ops.webhook_deliveries.webhook_id is
'What the receiver knows it by, the same in every attempt.';
comment on column ops.webhook_deliveries.next_attempt_at is
'When it is due. A claim moves it to the end of its lease, so a sender that dies only delays it.';

create trigger set_updated_at
before update on ops.webhook_deliveries
for each row
execute function private.touch_updated_at();

create table ops.webhook_receipts (
    webhook_id text primary key,
    event jsonb not null,
    received_at timestamptz not null default now(),
    constraint webhook_id_is_short check (length(webhook_id) between 1 and 255)
);
alter table ops.webhook_receipts enable row level security;
comment on table ops.webhook_receipts is 'Every webhook that our own handler has taken, once, with what it said.';

create function ops.enqueue(
    event_type text,
    events jsonb
)
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    enqueued integer;
begin
    with recorded as (
        insert into ops.outbox (event_type, dedupe_key, data)
        select
            enqueue.event_type,
            event.value ->> 'dedupe_key',
            event.value -> 'data'
        from jsonb_array_elements(events) as event (value)
        on conflict on constraint an_event_is_recorded_once do nothing
        returning outbox.id
    ),

    scheduled as (
        insert into ops.webhook_deliveries (outbox_id, endpoint_id)
        select
            recorded.id,
            endpoint.id
        from recorded
        cross join ops.webhook_endpoints as endpoint
        where
            endpoint.disabled_at is null
            and enqueue.event_type = any(endpoint.event_types)
    )

    select count(*)
    into enqueued
    from recorded;
    return enqueued;
exception
    when others then
        raise warning 'events of type % were not enqueued: %', event_type, sqlerrm;
        return 0;
end
$$;
comment on function ops.enqueue(text, jsonb) is
'Records [{dedupe_key, data}] for every endpoint that wants the type; returns how many were new. Never raises.';

create function private.vault_secret(secret_name text)
returns text
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select secret.decrypted_secret
    from vault.decrypted_secrets as secret
    where secret.name = secret_name
$$;
comment on function private.vault_secret(text) is 'The clear text of a secret, or null. Granted to nobody.';

create function private.wake_delivery()
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    project_url text;
    wake_secret text;
    sent_at text := floor(extract(epoch from clock_timestamp()))::bigint::text;
    signature text;
begin
    project_url := private.vault_secret('project_url');
    wake_secret := private.vault_secret('wake_secret');
    if project_url is null or wake_secret is null then
        raise log 'nobody was woken: the secrets project_url and wake_secret are not both in Vault';
        return;
    end if;
    -- pg_net's queue is readable by every role: it may carry a proof that expires, never a key.
    signature := encode(extensions.hmac(sent_at || '.notify-trend', wake_secret, 'sha256'), 'hex');
    perform net.http_post(
        url => project_url || '/functions/v1/notify-trend',
        body => '{}'::jsonb,
        headers => jsonb_build_object(
            'content-type', 'application/json',
            'x-ondol-wake', format('t=%s,v1=%s', sent_at, signature)
        ),
        timeout_milliseconds => 10000
    );
exception
    when others then
        raise warning 'nobody was woken: %', sqlerrm;
end
$$;
comment on function private.wake_delivery() is
'Asks the edge function, after commit, to deliver what is due. Never raises: the sweep asks again.';

create function private.wake_after_enqueue()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if exists (select from recorded) then
        perform private.wake_delivery();
    end if;
    return null;
end
$$;
comment on function private.wake_after_enqueue() is 'One wake-up for a statement, however many events it recorded.';

create trigger wake_delivery
after insert on ops.outbox
referencing new table as recorded
for each statement
execute function private.wake_after_enqueue();

create function private.sweep_outbox()
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if exists (
        select
        from ops.webhook_deliveries as delivery
        where
            delivery.state = 'scheduled'
            and delivery.next_attempt_at <= now()
    ) then
        perform private.wake_delivery();
    end if;
end
$$;
comment on function private.sweep_outbox() is 'Wakes the delivery again when something is due that no wake-up reached.';

create function private.retry_delay(attempt integer)
returns interval
immutable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select (
        array[
            '5 s', '5 min', '30 min', '2 h', '5 h', '10 h', '14 h', '20 h', '24 h'
        ]::interval[]
    )[attempt]
$$;
comment on function private.retry_delay(integer) is
'How long to wait after the given failed attempt (Standard Webhooks); null after the tenth, which is the last.';

create function public.claim_webhook_deliveries(
    "limit" integer default 20,
    lease_seconds integer default 60
)
returns table (
    delivery_id uuid,
    webhook_id text,
    attempt integer,
    url text,
    secret text,
    body text
)
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- A sender that died ten times over one delivery will not do better the next time.
    with exhausted as (
        update ops.webhook_deliveries as delivery
        set
            state = 'dead',
            next_attempt_at = null,
            last_error = coalesce(delivery.last_error, 'every sender vanished before it could report')
        where
            delivery.state = 'scheduled'
            and delivery.attempt = 10
            and delivery.next_attempt_at <= now()
    ),

    due as (
        select
            delivery.id,
            secret.decrypted_secret as secret
        from ops.webhook_deliveries as delivery
        inner join ops.webhook_endpoints as endpoint on delivery.endpoint_id = endpoint.id
        left join vault.decrypted_secrets as secret on secret.name = 'webhook_endpoint_' || endpoint.id
        where
            delivery.state = 'scheduled'
            and delivery.attempt < 10
            and delivery.next_attempt_at <= now()
            and endpoint.disabled_at is null
        order by delivery.next_attempt_at
        limit least(greatest(claim_webhook_deliveries."limit", 0), 500)
        for update of delivery skip locked
    ),

    claimed as (
        update ops.webhook_deliveries as delivery
        set
            attempt = delivery.attempt + 1,
            next_attempt_at = now() + make_interval(secs => least(greatest(lease_seconds, 1), 3600)),
            last_error = case when due.secret is null then 'the endpoint has no secret in Vault' end
        from due
        where delivery.id = due.id
        returning
            delivery.id,
            delivery.outbox_id,
            delivery.endpoint_id,
            delivery.attempt,
            delivery.webhook_id,
            due.secret
    )

    select
        claimed.id as delivery_id,
        claimed.webhook_id,
        claimed.attempt,
        endpoint.url,
        claimed.secret,
        jsonb_build_object(
            'type', event.event_type,
            'timestamp', to_char(event.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'data', event.data
        )::text as body
    from claimed
    inner join ops.outbox as event on claimed.outbox_id = event.id
    inner join ops.webhook_endpoints as endpoint on claimed.endpoint_id = endpoint.id
    where claimed.secret is not null
$$;
comment on function public.claim_webhook_deliveries(integer, integer) is
'Leases what is due to one sender, at most 500 at a time: where to post, what to sign and with which secret.';

create function public.record_webhook_delivery(
    delivery_id uuid,
    attempt integer,
    status integer,
    error text default null
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    delivery ops.webhook_deliveries;
    wait interval := private.retry_delay(record_webhook_delivery.attempt);
    is_accepted boolean := coalesce(status between 200 and 299, false);
begin
    select *
    into delivery
    from ops.webhook_deliveries as stored
    where stored.id = record_webhook_delivery.delivery_id
    for update;
    if not found then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such delivery.',
            detail = format('delivery_id is %s.', record_webhook_delivery.delivery_id),
            hint = 'Pass the delivery_id that claim_webhook_deliveries returned.';
    end if;

    -- A late report of an earlier attempt may tell of success, but not undo what came after it.
    if delivery.state = 'scheduled' and (is_accepted or delivery.attempt = record_webhook_delivery.attempt) then
        update ops.webhook_deliveries as stored
        set
            state = case when is_accepted then 'delivered' when wait is null then 'dead' else 'scheduled' end,
            next_attempt_at = case when not is_accepted then now() + wait * (0.9 + 0.2 * random()) end,
            last_status = record_webhook_delivery.status,
            last_error = left(record_webhook_delivery.error, 2000)
        where stored.id = delivery.id
        returning stored.* into delivery;
    end if;
    return jsonb_build_object('state', delivery.state, 'next_attempt_at', delivery.next_attempt_at);
end
$$;
comment on function public.record_webhook_delivery(uuid, integer, integer, text) is
'What became of an attempt: 2xx delivers, anything else waits by the schedule with jitter, the tenth failure is final.';

create function public.register_webhook_endpoint(
    url text,
    secret text,
    event_types text[] default '{trend.detected}'
)
returns uuid
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    endpoint_id uuid;
    secret_id uuid;
begin
    if secret is null or secret !~ '^whsec_[A-Za-z0-9+/]{32,86}={0,2}$' then
        raise exception using
            errcode = 'PT400',
            message = 'The secret is no Standard Webhooks secret.',
            hint = 'Send whsec_ followed by 24 to 64 random bytes in base64.';
    end if;
    if url is null or url !~ '^https?://[^[:space:]]+$' or length(url) > 2000 then
        raise exception using
            errcode = 'PT400',
            message = 'The url is no http or https address of at most 2000 characters.';
    end if;
    if coalesce(cardinality(event_types), 0) = 0 then
        raise exception using
            errcode = 'PT400',
            message = 'The endpoint names no event types.',
            hint = 'Send at least one, such as trend.detected.';
    end if;

    insert into ops.webhook_endpoints as stored (url, event_types)
    values (register_webhook_endpoint.url, register_webhook_endpoint.event_types)
    on conflict on constraint webhook_endpoints_url_key do update
        set
            event_types = excluded.event_types,
            disabled_at = null
    returning stored.id into endpoint_id;

    select stored.id
    into secret_id
    from vault.secrets as stored
    where stored.name = 'webhook_endpoint_' || endpoint_id;
    if secret_id is null then
        perform vault.create_secret(secret, 'webhook_endpoint_' || endpoint_id);
    else
        perform vault.update_secret(secret_id, secret);
    end if;
    return endpoint_id;
end
$$;
comment on function public.register_webhook_endpoint(text, text, text[]) is
'Adds an endpoint, or gives the one with this url a new secret and new types; the secret goes to Vault.';

create index outbox_by_age on ops.outbox (created_at);
create index webhook_receipts_by_age on ops.webhook_receipts (received_at);
create index webhook_deliveries_that_are_dead on ops.webhook_deliveries (updated_at)
where state = 'dead';

create view ops.dead_letters
with (security_invoker = true)
as
select
    delivery.id as delivery_id,
    delivery.outbox_id,
    event.event_type,
    event.dedupe_key,
    delivery.endpoint_id,
    endpoint.url,
    delivery.last_status,
    delivery.last_error,
    event.created_at,
    delivery.updated_at as died_at,
    delivery.webhook_id
from ops.webhook_deliveries as delivery
inner join ops.outbox as event on delivery.outbox_id = event.id
inner join ops.webhook_endpoints as endpoint on delivery.endpoint_id = endpoint.id
where delivery.state = 'dead';
comment on view ops.dead_letters is
'Deliveries that ten attempts did not bring. public.replay_webhook_deliveries sends them again.';

-- An address may hold a password or a token: only its host is told.
create function private.endpoint_label(endpoint ops.webhook_endpoints)
returns text
immutable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        format(
            '%s (%s)',
            coalesce(substring(endpoint.url from '^https?://(?:[^/?#]*@)?([^/?#@]+)'), 'unreadable address'),
            endpoint.id
        )
$$;
comment on function private.endpoint_label(ops.webhook_endpoints) is
'What an alert calls an endpoint: its host and id, never what else is in the address.';

create function private.tell_of_dead_letter()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform ops.raise_alert(
        'dead_letters',
        private.endpoint_label(endpoint),
        format('Deliveries are dead after %s attempts; the last status was %s.', new.attempt, coalesce(new.last_status, 0))
    )
    from ops.webhook_endpoints as endpoint
    where endpoint.id = new.endpoint_id;
    return null;
exception
    when others then
        raise warning 'no alert was raised for the dead delivery %: %', new.id, sqlerrm;
        return null;
end
$$;
comment on function private.tell_of_dead_letter() is
'Alerts once per endpoint, whoever declared the delivery dead. Never raises: the report of an attempt must be kept.';

create trigger tell_of_dead_letter
after update on ops.webhook_deliveries
for each row
when (new.state = 'dead' and old.state <> 'dead')
execute function private.tell_of_dead_letter();

create function public.replay_webhook_deliveries(
    delivery_ids uuid[] default null,
    endpoint_id uuid default null,
    since timestamptz default null,
    batch_size integer default 1000
)
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    replayed integer;
begin
    -- The id stays: a receiver that did the work before its answer was lost recognises it.
    with chosen as (
        select delivery.id
        from ops.webhook_deliveries as delivery
        inner join ops.webhook_endpoints as endpoint on delivery.endpoint_id = endpoint.id
        where
            delivery.state = 'dead'
            and endpoint.disabled_at is null
            and (delivery_ids is null or delivery.id = any(delivery_ids))
            and (
                replay_webhook_deliveries.endpoint_id is null
                or delivery.endpoint_id = replay_webhook_deliveries.endpoint_id
            )
            and (since is null or delivery.updated_at >= since)
        order by
            delivery.updated_at,
            delivery.id
        limit least(greatest(replay_webhook_deliveries.batch_size, 0), 5000)
        for update of delivery skip locked
    )

    update ops.webhook_deliveries as delivery
    set
        state = 'scheduled',
        attempt = 0,
        next_attempt_at = now()
    from chosen
    where delivery.id = chosen.id;
    get diagnostics replayed = row_count;

    if replayed > 0 then
        perform ops.resolve_alert('dead_letters', private.endpoint_label(endpoint))
        from ops.webhook_endpoints as endpoint
        where
            not exists (
                select
                from ops.webhook_deliveries as delivery
                where
                    delivery.endpoint_id = endpoint.id
                    and delivery.state = 'dead'
            );
        perform private.wake_delivery();
    end if;
    return replayed;
end
$$;
comment on function public.replay_webhook_deliveries(uuid[], uuid, timestamptz, integer) is
'Sends dead deliveries again from the first attempt, oldest first, at most 5000 at a time; no argument means all. '
'Returns how many. An endpoint that is disabled keeps its dead.';

create function ops.purge_outbox(
    at timestamptz default now(),
    batch_size integer default 5000
)
returns bigint
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    cutoff timestamptz := at - interval '30 days';
    at_most integer := least(greatest(purge_outbox.batch_size, 0), 50000);
    purged_events bigint;
    purged_receipts bigint;
begin
    -- Whole events with their deliveries: one that is still on its way, or dead and waiting for a person, keeps all.
    with old as (
        select event.id
        from ops.outbox as event
        where
            event.created_at < cutoff
            and not exists (
                select
                from ops.webhook_deliveries as delivery
                where
                    delivery.outbox_id = event.id
                    and (delivery.state <> 'delivered' or delivery.updated_at >= cutoff)
            )
        order by event.created_at
        limit at_most
        for update of event skip locked
    )

    delete from ops.outbox as event
    using old
    where event.id = old.id;
    get diagnostics purged_events = row_count;

    -- What may be sent again must be recognised again.
    with old as (
        select receipt.webhook_id
        from ops.webhook_receipts as receipt
        where
            receipt.received_at < cutoff
            and not exists (
                select
                from ops.webhook_deliveries as delivery
                where
                    delivery.state <> 'delivered'
                    and delivery.webhook_id = receipt.webhook_id
            )
        order by receipt.received_at
        limit at_most
        for update of receipt skip locked
    )

    delete from ops.webhook_receipts as receipt
    using old
    where receipt.webhook_id = old.webhook_id;
    get diagnostics purged_receipts = row_count;
    return purged_events + purged_receipts;
end
$$;
comment on function ops.purge_outbox(timestamptz, integer) is
'Removes events whose every delivery arrived 30 days ago, and receipts as old, so many at a time; returns how many.';

grant execute on function public.claim_webhook_deliveries(integer, integer) to app_service;
grant execute on function public.record_webhook_delivery(uuid, integer, integer, text) to app_service;
grant execute on function public.register_webhook_endpoint(text, text, text[]) to app_service;
grant execute on function public.replay_webhook_deliveries(uuid[], uuid, timestamptz, integer) to app_service;
grant select on ops.outbox, ops.webhook_endpoints, ops.webhook_deliveries, ops.webhook_receipts to app_service;
grant select on ops.dead_letters to app_service;
