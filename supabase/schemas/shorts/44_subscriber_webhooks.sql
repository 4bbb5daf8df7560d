-- Promises that premium people have trends posted to servers of their own, as long as they are premium, and that nobody
-- reaches another's endpoint.

create function private.keep_webhook_entitlement()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if tg_op <> 'DELETE' and new.tier >= 'premium' then
        update public.webhook_endpoints as endpoint
        set entitled_until = new.expires_at
        where
            endpoint.user_id = new.user_id
            and endpoint.entitled_until is distinct from new.expires_at;
    else
        update public.webhook_endpoints as endpoint
        set entitled_until = now()
        where
            endpoint.user_id = old.user_id
            and coalesce(endpoint.entitled_until > now(), true);
    end if;
    return null;
end
$$;
comment on function private.keep_webhook_entitlement() is
'Entitles the endpoints of a person as long as the tier does: to its end, and below premium no longer.';

create trigger keep_webhook_entitlement
after insert or update or delete on public.user_tiers
for each row
execute function private.keep_webhook_entitlement();

create function private.require_webhook_tier()
returns timestamptz
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    held public.user_tiers;
begin
    -- Held until the end: a tier that changes at this moment finds the endpoint, and changes it too.
    select *
    into held
    from public.user_tiers as stored
    where stored.user_id = private.user_id()
    for share;
    if held.tier >= 'premium' and coalesce(held.expires_at > now(), true) then
        return held.expires_at;
    end if;
    raise exception using
        errcode = 'PT403',
        message = 'Webhooks need premium.',
        hint = 'Subscribe, or listen to the topic trends. Endpoints that exist can still be switched off and removed.';
end
$$;
comment on function private.require_webhook_tier() is
'Until when who asks may have webhooks, null for no end; PT403 below premium.';

create function private.add_own_webhook(
    url text,
    event_types text[],
    description text
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    entitled_until constant timestamptz := private.require_webhook_tier();
begin
    return private.add_webhook_endpoint(
        owner => private.user_id(),
        url => add_own_webhook.url,
        event_types => add_own_webhook.event_types,
        description => add_own_webhook.description,
        entitled_until => entitled_until
    );
end
$$;
comment on function private.add_own_webhook(text, text[], text) is 'What public.add_my_webhook does, for who asks.';

create function private.manage_own_webhook(
    action text,
    endpoint_id uuid,
    options jsonb
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    -- Another's endpoint and none at all are told in the same words.
    if not exists (
        select
        from public.webhook_endpoints as endpoint
        where
            endpoint.id = manage_own_webhook.endpoint_id
            and endpoint.user_id = private.user_id()
    ) then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such webhook endpoint.',
            hint = 'Send the id that the registration returned.';
    end if;
    if action in ('rotate', 'test', 'replay') or (action = 'set' and options -> 'is_enabled' = 'true') then
        perform private.require_webhook_tier();
    end if;
    case action
        when 'rotate' then
            answer := private.rotate_webhook_secret(
                endpoint_id, overlap_seconds => (options ->> 'overlap_seconds')::integer
            );
        when 'test' then
            answer := private.test_webhook_endpoint(endpoint_id);
        when 'set' then
            answer := private.set_webhook_endpoint(endpoint_id, (options ->> 'is_enabled')::boolean);
        when 'remove' then
            answer := to_jsonb(private.remove_webhook_endpoint(endpoint_id));
        when 'log' then
            answer := private.webhook_log(
                endpoint_id, (options ->> 'limit')::integer, (options ->> 'before')::timestamptz
            );
        when 'replay' then
            answer := to_jsonb(
                public.replay_webhook_deliveries(
                    endpoint_id => manage_own_webhook.endpoint_id,
                    since => (options ->> 'since')::timestamptz,
                    batch_size => 5000
                )
            );
    end case;
    return answer;
end
$$;
comment on function private.manage_own_webhook(text, uuid, jsonb) is
'What people do with endpoints of their own: PT404 for any other, PT403 for what needs premium.';

create function public.add_my_webhook(
    url text,
    event_types text[] default '{trend.detected}',
    description text default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.add_own_webhook(url, event_types, description)
$$;
comment on function public.add_my_webhook(text, text[], text) is
'For premium and up: has events posted to one''s own server. {"id", "secret"}: the secret is told this once.';

create function public.rotate_my_webhook_secret(
    endpoint_id uuid,
    overlap_seconds integer default 86400
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.manage_own_webhook(
        'rotate', endpoint_id, jsonb_build_object('overlap_seconds', overlap_seconds)
    )
$$;
comment on function public.rotate_my_webhook_secret(uuid, integer) is
'A new secret, told this once; until the overlap ends messages carry the signatures of both.';

create function public.test_my_webhook(endpoint_id uuid)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.manage_own_webhook('test', endpoint_id, '{}')
$$;
comment on function public.test_my_webhook(uuid) is
'Sends webhook.test to the endpoint: {"delivery_id", "webhook_id"}.';

create function public.set_my_webhook(
    endpoint_id uuid,
    is_enabled boolean
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.manage_own_webhook('set', endpoint_id, jsonb_build_object('is_enabled', is_enabled))
$$;
comment on function public.set_my_webhook(uuid, boolean) is
'Switches one''s endpoint on or off and answers its row. To switch it on needs premium.';

create function public.remove_my_webhook(endpoint_id uuid)
returns boolean
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.manage_own_webhook('remove', endpoint_id, '{}')::boolean
$$;
comment on function public.remove_my_webhook(uuid) is 'Removes one''s endpoint with its deliveries and secrets.';

create function public.my_webhook_log(
    endpoint_id uuid,
    "limit" integer default 50,
    before timestamptz default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.manage_own_webhook(
        'log', endpoint_id, jsonb_build_object('limit', my_webhook_log."limit", 'before', before)
    )
$$;
comment on function public.my_webhook_log(uuid, integer, timestamptz) is
'The deliveries of one''s endpoint with their attempts, the newest first; next_before continues.';

create function public.replay_my_webhooks(
    endpoint_id uuid,
    since timestamptz default null
)
returns integer
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.manage_own_webhook('replay', endpoint_id, jsonb_build_object('since', since))::integer
$$;
comment on function public.replay_my_webhooks(uuid, timestamptz) is
'Sends again what was given up since then, at most 5,000 at a time, under the same webhook-id. Returns how many.';
