-- Promises that what is committed with its event stays, and that recording it never fails the writer.

create table ops.event_types (
    event_type text primary key,
    edge_function text not null,
    for_subscribers boolean not null default false,
    description text not null,
    created_at timestamptz not null default now(),
    constraint event_type_has_two_words check (event_type ~ '^[a-z_]+\.[a-z_]+$'),
    constraint edge_function_is_a_name check (edge_function ~ '^[a-z][a-z0-9-]{0,62}$')
);
alter table ops.event_types enable row level security;
comment on table ops.event_types is 'The events that there are. A room inserts its own in its schema file.';
comment on column ops.event_types.edge_function is 'Which edge function claims and posts deliveries of this type.';
comment on column ops.event_types.for_subscribers is 'Whether people may ask for it; else it is the operator''s alone.';

insert into ops.event_types (event_type, edge_function, for_subscribers, description)
values
('webhook.test', 'notify-trend', false, 'Sent to one endpoint on request, to try it.'),
('alert.opened', 'notify-trend', false, 'Something needs the operator.');

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

create table ops.webhook_receipts (
    webhook_id text primary key,
    event jsonb not null,
    received_at timestamptz not null default now(),
    constraint webhook_id_is_short check (length(webhook_id) between 1 and 255)
);
alter table ops.webhook_receipts enable row level security;
comment on table ops.webhook_receipts is 'Every webhook that our own handler has taken, once, with what it said.';

create index outbox_by_age on ops.outbox (created_at);
create index webhook_receipts_by_age on ops.webhook_receipts (received_at);

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
    if exists (
        select
        from jsonb_array_elements(events) as event (value)
        where
            not exists (
                select
                from ops.event_types as known
                where known.event_type = coalesce(event.value ->> 'event_type', enqueue.event_type)
            )
    ) then
        raise exception using
            message = 'the type is not registered',
            hint = 'Insert it into ops.event_types.';
    end if;

    with recorded as (
        insert into ops.outbox (event_type, dedupe_key, data)
        select
            coalesce(event.value ->> 'event_type', enqueue.event_type),
            event.value ->> 'dedupe_key',
            event.value -> 'data'
        from jsonb_array_elements(events) as event (value)
        on conflict on constraint an_event_is_recorded_once do nothing
        returning
            outbox.id,
            outbox.event_type
    ),

    scheduled as (
        insert into ops.webhook_deliveries (outbox_id, endpoint_id, event_type)
        select
            recorded.id,
            endpoint.id,
            recorded.event_type
        from recorded
        cross join public.webhook_endpoints as endpoint
        where
            recorded.event_type = any(endpoint.event_types)
            and endpoint.disabled_at is null
            and (endpoint.entitled_until is null or endpoint.entitled_until > now())
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
'Records [{dedupe_key, data, event_type}] for every endpoint that wants the type: the event''s own, or the one that is '
'given for all. Returns how many were new. Never raises.';

create function private.vault_secret(secret_name text)
returns text
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return (
        select secret.decrypted_secret
        from vault.decrypted_secrets as secret
        where secret.name = secret_name
    );
end
$$;
comment on function private.vault_secret(text) is 'The clear text of a secret, or null. Granted to nobody.';

create function private.wake_delivery(variadic edge_functions text[])
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
    edge_function text;
    signature text;
begin
    if cardinality(edge_functions) = 0 then
        return;
    end if;
    project_url := private.vault_secret('project_url');
    wake_secret := private.vault_secret('wake_secret');
    if project_url is null or wake_secret is null then
        raise log 'nobody was woken: the secrets project_url and wake_secret are not both in Vault';
        return;
    end if;
    -- pg_net's queue is readable by every role: it may carry a proof that expires, never a key.
    foreach edge_function in array edge_functions
    loop
        signature := encode(extensions.hmac(sent_at || '.' || edge_function, wake_secret, 'sha256'), 'hex');
        perform net.http_post(
            url => project_url || '/functions/v1/' || edge_function,
            body => '{}'::jsonb,
            headers => jsonb_build_object(
                'content-type', 'application/json',
                'x-ondol-wake', format('t=%s,v1=%s', sent_at, signature)
            ),
            timeout_milliseconds => 10000
        );
    end loop;
exception
    when others then
        raise warning 'nobody was woken: %', sqlerrm;
end
$$;
comment on function private.wake_delivery(text[]) is
'Asks edge functions, after commit, to deliver what is due. Never raises: the sweep asks again.';

grant select on ops.event_types, ops.outbox, ops.webhook_receipts to app_service;
