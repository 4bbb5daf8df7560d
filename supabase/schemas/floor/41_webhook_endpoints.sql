-- Promises that an endpoint is a public address whose owner may have it, and that nobody reads a secret twice.

create table public.webhook_endpoints (
    id uuid primary key default gen_random_uuid(),
    user_id uuid references auth.users (id) on delete cascade,
    url text not null,
    description text,
    event_types text[] not null,
    allow_private boolean not null default false,
    entitled_until timestamptz,
    disabled_at timestamptz,
    disabled_reason text,
    failing_since timestamptz,
    last_success_at timestamptz,
    previous_secret_until timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint an_owner_has_an_address_once unique nulls not distinct (user_id, url),
    constraint url_is_http check (url ~* '^https?://[^[:space:]]+$' and length(url) <= 2000),
    constraint description_is_short check (length(description) <= 500),
    constraint event_types_are_named check (cardinality(event_types) between 1 and 50),
    constraint reason_is_known check (disabled_reason in ('gone', 'failing', 'switched_off')),
    constraint what_is_disabled_has_a_reason check ((disabled_at is null) = (disabled_reason is null)),
    constraint only_the_operator_posts_to_private_addresses check (not (allow_private and user_id is not null))
);
alter table public.webhook_endpoints enable row level security;
comment on table public.webhook_endpoints is
'Who wants which events. The signing secrets are in Vault: webhook_endpoint_<id> and webhook_endpoint_<id>_previous.';
comment on column public.webhook_endpoints.id is 'What the functions of webhooks take.';
comment on column public.webhook_endpoints.user_id is 'Whose endpoint; null is the operator''s.';
comment on column public.webhook_endpoints.url is 'Where events are posted.';
comment on column public.webhook_endpoints.description is 'What its owner calls it.';
comment on column public.webhook_endpoints.event_types is 'Which events it wants.';
comment on column public.webhook_endpoints.allow_private is
'Whether it may be an address that is not public, for a handler beside the database. The operator''s alone.';
comment on column public.webhook_endpoints.entitled_until is 'Until when its owner may have events; null has no end.';
comment on column public.webhook_endpoints.disabled_at is 'Since when nothing is sent to it; null while it is in use.';
comment on column public.webhook_endpoints.disabled_reason is
'gone: it answered 410. failing: nothing arrived for five days. switched_off: by its owner.';
comment on column public.webhook_endpoints.failing_since is 'The first failure after the last success.';
comment on column public.webhook_endpoints.last_success_at is 'When a delivery last arrived, to the minute.';
comment on column public.webhook_endpoints.previous_secret_until is
'Until when messages are signed with the secret before this one too.';
comment on column public.webhook_endpoints.created_at is 'When it was registered.';
comment on column public.webhook_endpoints.updated_at is 'When its row last changed.';

create policy "people read their own webhook endpoints" on public.webhook_endpoints
for select to authenticated
using (user_id = (select auth.uid()));

create trigger set_updated_at
before update on public.webhook_endpoints
for each row
execute function private.touch_updated_at();

-- An address may hold a token: only its host is told.
create function private.endpoint_label(endpoint public.webhook_endpoints)
returns text
immutable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        format(
            '%s (%s)',
            coalesce(substring(endpoint.url from '(?i)^https?://(?:[^/?#]*@)?([^/?#@]+)'), 'unreadable address'),
            endpoint.id
        )
$$;
comment on function private.endpoint_label(public.webhook_endpoints) is
'What an alert calls an endpoint: its host and id, never what else is in the address.';

create function private.webhook_url_problem(
    url text,
    allow_private boolean default false
)
returns text
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    authority text := substring(lower(url) from '^https?://([^/?#]*)');
    host text;
    port text;
begin
    if url is null or length(url) > 2000 then
        return 'It is not 1 to 2000 characters long.';
    end if;
    -- Parsers differ over a backslash: the sender must not find another host than was judged here.
    if url !~ '^[!-~]+$' or url ~ '\\' then
        return 'It holds a character that does not belong in an address; write a name in punycode.';
    end if;
    if authority is null then
        return 'It is no https address.';
    end if;
    if lower(url) ~ '^http:' and not coalesce(allow_private, false) then
        return 'It is not https.';
    end if;
    if authority ~ '[@%]' then
        return 'It holds a user name, a password or an escaped character before the path.';
    end if;
    host := regexp_replace(authority, ':[0-9]*$', '');
    port := substring(authority from ':([0-9]*)$');
    if authority ~ ':[0-9]*$' and (port !~ '^[0-9]{1,5}$' or port::integer not between 1 and 65535) then
        return 'Its port is not 1 to 65535.';
    end if;
    if coalesce(allow_private, false) and host ~ '^([a-z0-9_.-]+|\[[0-9a-f:.]+\])$' then
        return null;
    end if;
    -- Every spelling of an IP address ends in a digit, in a bracket or in 0x…; a name ends in a word.
    if
        host !~ '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'
        or length(host) > 253
    then
        return 'Its host is no full domain name.';
    end if;
    if
        host
        ~ '(^|\.)(localhost|local|localdomain|internal|intranet|private|lan|home|corp|arpa|onion|alt|invalid)$'
    then
        return 'Its host is a name of a private network.';
    end if;
    return null;
end
$$;
comment on function private.webhook_url_problem(text, boolean) is
'Why an address cannot be an endpoint, or null. What the name resolves to is judged when it is posted to.';

create function private.checked_event_types(
    event_types text[],
    is_subscriber boolean
)
returns text[]
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    usable constant text[] := (
        select array_agg(known.event_type order by known.event_type)
        from ops.event_types as known
        where
            known.event_type <> 'webhook.test'
            and (known.for_subscribers or not is_subscriber)
    );
    unusable text;
begin
    if coalesce(cardinality(checked_event_types.event_types), 0) = 0 then
        raise exception using
            errcode = 'PT400',
            message = 'The endpoint names no event types.',
            hint = 'Send at least one, such as trend.detected.';
    end if;
    select coalesce(asked.event_type, 'null')
    into unusable
    from unnest(checked_event_types.event_types) as asked (event_type)
    where (asked.event_type = any(usable)) is not true
    limit 1;
    if found then
        raise exception using
            errcode = 'PT400',
            message = 'There is no such event type.',
            detail = format('event_types names %s.', left(unusable, 100)),
            hint = format('Known are: %s.', array_to_string(usable, ', '));
    end if;
    return array(
        select distinct asked.event_type
        from unnest(checked_event_types.event_types) as asked (event_type)
        order by asked.event_type
    );
end
$$;
comment on function private.checked_event_types(text[], boolean) is
'The types without doubles, or PT400 for one that does not exist or that people may not ask for.';

create function private.checked_webhook_secret(secret text)
returns text
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if secret is null then
        return 'whsec_' || encode(extensions.gen_random_bytes(32), 'base64');
    end if;
    if secret !~ '^whsec_[A-Za-z0-9+/]{32,86}={0,2}$' then
        raise exception using
            errcode = 'PT400',
            message = 'The secret is no Standard Webhooks secret.',
            hint = 'Send whsec_ followed by 24 to 64 random bytes in base64.';
    end if;
    return secret;
end
$$;
comment on function private.checked_webhook_secret(text) is
'The secret, or a new one for null; PT400 for what is none.';

create function private.checked_webhook_url(
    url text,
    allow_private boolean
)
returns text
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    problem text := private.webhook_url_problem(url, allow_private);
begin
    if problem is not null then
        raise exception using
            errcode = 'PT400',
            message = 'The url cannot be an endpoint.',
            detail = problem,
            hint = 'Send an https address with a public domain name, without user name and password.';
    end if;
    return url;
end
$$;
comment on function private.checked_webhook_url(text, boolean) is
'The address, or PT400 that says what is wrong with it.';

create function private.keep_secret(
    secret_name text,
    secret text
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    known constant uuid := (
        select stored.id
        from vault.secrets as stored
        where stored.name = secret_name
    );
begin
    if known is null then
        perform vault.create_secret(secret, secret_name);
    else
        perform vault.update_secret(known, secret);
    end if;
end
$$;
comment on function private.keep_secret(text, text) is 'Puts a secret into Vault, or in place of the one of that name.';

create function private.forget_webhook_secrets()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    delete from vault.secrets as stored
    where stored.name in ('webhook_endpoint_' || old.id, 'webhook_endpoint_' || old.id || '_previous');
    return null;
end
$$;
comment on function private.forget_webhook_secrets() is 'Whatever removes an endpoint, its secrets go with it.';

create trigger forget_webhook_secrets
after delete on public.webhook_endpoints
for each row
execute function private.forget_webhook_secrets();

create function private.locked_webhook_endpoint(endpoint_id uuid)
returns public.webhook_endpoints
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    endpoint public.webhook_endpoints;
begin
    select *
    into endpoint
    from public.webhook_endpoints as stored
    where stored.id = locked_webhook_endpoint.endpoint_id
    for no key update;
    if not found then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such webhook endpoint.',
            hint = 'Send the id that the registration returned.';
    end if;
    return endpoint;
end
$$;
comment on function private.locked_webhook_endpoint(uuid) is
'The endpoint, held until the transaction ends; PT404 without.';

create function private.add_webhook_endpoint(
    owner uuid,
    url text,
    event_types text[],
    description text default null,
    secret text default null,
    allow_private boolean default false,
    entitled_until timestamptz default null
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    signing constant text := private.checked_webhook_secret(add_webhook_endpoint.secret);
    made uuid;
begin
    if length(add_webhook_endpoint.description) > 500 then
        raise exception using
            errcode = 'PT400',
            message = 'The description is longer than 500 characters.';
    end if;
    if owner is not null then
        -- Two requests at once must not make the eleventh.
        perform pg_advisory_xact_lock(hashtextextended('webhook endpoints of ' || owner, 0));
        if (
            select count(*)
            from public.webhook_endpoints as stored
            where stored.user_id = owner
        ) >= 10 then
            raise exception using
                errcode = 'PT409',
                message = 'There are ten webhook endpoints already.',
                hint = 'Remove one first.';
        end if;
    end if;

    insert into public.webhook_endpoints (user_id, url, event_types, description, allow_private, entitled_until)
    values (
        owner,
        private.checked_webhook_url(add_webhook_endpoint.url, add_webhook_endpoint.allow_private and owner is null),
        private.checked_event_types(add_webhook_endpoint.event_types, owner is not null),
        add_webhook_endpoint.description,
        coalesce(add_webhook_endpoint.allow_private and owner is null, false),
        add_webhook_endpoint.entitled_until
    )
    on conflict on constraint an_owner_has_an_address_once do nothing
    returning webhook_endpoints.id into made;
    if made is null then
        raise exception using
            errcode = 'PT409',
            message = 'This address is registered already.',
            hint = 'Rotate its secret, or remove it first.';
    end if;
    perform private.keep_secret('webhook_endpoint_' || made, signing);
    return jsonb_build_object('id', made, 'secret', signing);
end
$$;
comment on function private.add_webhook_endpoint(uuid, text, text[], text, text, boolean, timestamptz) is
'Registers an endpoint of a person, ten at most, or with null of the operator. The only answer that holds the secret.';

create function public.register_webhook_endpoint(
    url text,
    secret text,
    event_types text[] default '{trend.detected}',
    allow_private boolean default false
)
returns uuid
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    endpoint public.webhook_endpoints;
begin
    if register_webhook_endpoint.secret is null then
        raise exception using
            errcode = 'PT400',
            message = 'The secret is no Standard Webhooks secret.',
            hint = 'Send whsec_ followed by 24 to 64 random bytes in base64.';
    end if;
    insert into public.webhook_endpoints as stored (url, event_types, allow_private)
    values (
        private.checked_webhook_url(register_webhook_endpoint.url, register_webhook_endpoint.allow_private),
        private.checked_event_types(register_webhook_endpoint.event_types, false),
        coalesce(register_webhook_endpoint.allow_private, false)
    )
    on conflict on constraint an_owner_has_an_address_once do update
        set
            event_types = excluded.event_types,
            allow_private = excluded.allow_private
    returning stored.* into endpoint;
    perform
        private.keep_secret(
            'webhook_endpoint_' || endpoint.id,
            private.checked_webhook_secret(register_webhook_endpoint.secret)
        );
    perform private.set_webhook_endpoint(endpoint.id, true, null);
    return endpoint.id;
end
$$;
comment on function public.register_webhook_endpoint(text, text, text[], boolean) is
'Adds an endpoint of the operator, or gives the one with this url a new secret and new types and switches it on.';

create function private.rotate_webhook_secret(
    endpoint_id uuid,
    secret text default null,
    overlap_seconds integer default 86400
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    endpoint constant public.webhook_endpoints := private.locked_webhook_endpoint(rotate_webhook_secret.endpoint_id);
    secret_name constant text := 'webhook_endpoint_' || endpoint.id;
    signing constant text := private.checked_webhook_secret(rotate_webhook_secret.secret);
    before constant text := private.vault_secret(secret_name);
    until timestamptz;
begin
    if coalesce(overlap_seconds not between 0 and 604800, true) then
        raise exception using
            errcode = 'PT400',
            message = 'The overlap is not 0 to 604800 seconds.',
            hint = 'Send how long receivers may still know only the old secret.';
    end if;
    if before is not null and before <> signing and overlap_seconds > 0 then
        until := now() + make_interval(secs => overlap_seconds);
        perform private.keep_secret(secret_name || '_previous', before);
    else
        delete from vault.secrets as stored
        where stored.name = secret_name || '_previous';
    end if;
    perform private.keep_secret(secret_name, signing);
    update public.webhook_endpoints as stored
    set previous_secret_until = until
    where stored.id = endpoint.id;
    return jsonb_build_object('id', endpoint.id, 'secret', signing, 'previous_until', until);
end
$$;
comment on function private.rotate_webhook_secret(uuid, text, integer) is
'Gives an endpoint a new secret. Until the overlap ends, messages carry the signatures of both.';

create function private.forget_previous_secrets()
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    forgotten integer;
begin
    with over as (
        update public.webhook_endpoints as stored
        set previous_secret_until = null
        where stored.previous_secret_until <= now()
        returning stored.id
    )

    delete from vault.secrets as stored
    using over
    where stored.name = 'webhook_endpoint_' || over.id || '_previous';
    get diagnostics forgotten = row_count;
    return forgotten;
end
$$;
comment on function private.forget_previous_secrets() is 'Removes old secrets whose overlap is over; returns how many.';

create function private.set_webhook_endpoint(
    endpoint_id uuid,
    is_enabled boolean,
    description text default null
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    endpoint public.webhook_endpoints := private.locked_webhook_endpoint(set_webhook_endpoint.endpoint_id);
begin
    if set_webhook_endpoint.is_enabled is null or length(set_webhook_endpoint.description) > 500 then
        raise exception using
            errcode = 'PT400',
            message = 'is_enabled is missing, or the description longer than 500 characters.';
    end if;
    if set_webhook_endpoint.is_enabled and endpoint.disabled_at is not null then
        update public.webhook_endpoints as stored
        set
            disabled_at = null,
            disabled_reason = null,
            failing_since = null
        where stored.id = endpoint.id;
        perform ops.resolve_alert('webhook_endpoint_disabled', private.endpoint_label(endpoint));
    elsif not set_webhook_endpoint.is_enabled then
        perform private.disable_webhook_endpoint(endpoint.id, 'switched_off');
    end if;
    update public.webhook_endpoints as stored
    set description = coalesce(set_webhook_endpoint.description, stored.description)
    where stored.id = endpoint.id
    returning stored.* into endpoint;
    return to_jsonb(endpoint);
end
$$;
comment on function private.set_webhook_endpoint(uuid, boolean, text) is
'Switches an endpoint on or off and answers its row. What died meanwhile waits for a replay. '
'Null keeps the description.';

create function private.remove_webhook_endpoint(endpoint_id uuid)
returns boolean
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    endpoint public.webhook_endpoints;
begin
    -- A sender reports deliveries first and endpoints then: the same order cannot deadlock.
    perform
    from ops.webhook_deliveries as delivery
    where delivery.endpoint_id = remove_webhook_endpoint.endpoint_id
    order by delivery.id
    for update;
    delete from public.webhook_endpoints as stored
    where stored.id = remove_webhook_endpoint.endpoint_id
    returning stored.* into endpoint;
    if endpoint.id is null then
        return false;
    end if;
    perform
        ops.resolve_alert('webhook_endpoint_disabled', private.endpoint_label(endpoint)),
        ops.resolve_alert('dead_letters', private.endpoint_label(endpoint));
    return true;
end
$$;
comment on function private.remove_webhook_endpoint(uuid) is
'Removes an endpoint with its deliveries and secrets; returns whether it was there.';

create function public.list_webhook_endpoints()
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        coalesce(
            jsonb_agg(to_jsonb(endpoint) order by endpoint.user_id nulls first, endpoint.created_at, endpoint.id),
            '[]'
        )
    from public.webhook_endpoints as endpoint
$$;
comment on function public.list_webhook_endpoints() is 'Every endpoint, the operator''s first. No secrets.';

create function public.rotate_webhook_secret(
    endpoint_id uuid,
    secret text default null,
    overlap_seconds integer default 86400
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.rotate_webhook_secret(endpoint_id, secret, overlap_seconds)
$$;
comment on function public.rotate_webhook_secret(uuid, text, integer) is
'A new secret for an endpoint; both sign until the overlap ends. The only answer that holds it.';

create function public.set_webhook_endpoint(
    endpoint_id uuid,
    is_enabled boolean,
    description text default null
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.set_webhook_endpoint(endpoint_id, is_enabled, description)
$$;
comment on function public.set_webhook_endpoint(uuid, boolean, text) is 'Switches an endpoint on or off.';

create function public.remove_webhook_endpoint(endpoint_id uuid)
returns boolean
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.remove_webhook_endpoint(endpoint_id)
$$;
comment on function public.remove_webhook_endpoint(uuid) is
'Removes an endpoint with its deliveries; returns whether it was there.';

grant select on public.webhook_endpoints to app_authenticated, app_service;
grant execute on function public.register_webhook_endpoint(text, text, text[], boolean) to app_service;
grant execute on function public.list_webhook_endpoints() to app_service;
grant execute on function public.rotate_webhook_secret(uuid, text, integer) to app_service;
grant execute on function public.set_webhook_endpoint(uuid, boolean, text) to app_service;
grant execute on function public.remove_webhook_endpoint(uuid) to app_service;
