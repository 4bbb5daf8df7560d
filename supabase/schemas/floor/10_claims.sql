-- Promises that reading who asks never raises, and that no room can stop a sign-up or a sign-in.

create function private.claims()
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        case
            when pg_input_is_valid(current_setting('request.jwt.claims', true), 'jsonb')
                then current_setting('request.jwt.claims', true)::jsonb
            else '{}'::jsonb
        end
$$;
comment on function private.claims() is 'The claims of the request''s token; {} when there is none.';

create function private.user_id()
returns uuid
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        case
            when pg_input_is_valid(private.claims() ->> 'sub', 'uuid')
                then (private.claims() ->> 'sub')::uuid
        end
$$;
comment on function private.user_id() is 'Who asks, or null; unlike auth.uid() it cannot raise on a foreign token.';

create function private.is_admin()
returns boolean
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select coalesce(private.claims() #>> '{app_metadata,role}' = 'admin', false)
$$;
comment on function private.is_admin() is
'Whether the token carries the admin role, which only the service can put into app_metadata.';

create function private.request_headers()
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        case
            when pg_input_is_valid(current_setting('request.headers', true), 'jsonb')
                then current_setting('request.headers', true)::jsonb
            else '{}'::jsonb
        end
$$;
comment on function private.request_headers() is 'The request''s headers, names in lower case; {} outside one.';

create function private.request_id()
returns text
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select coalesce(
        nullif(current_setting('ondol.request_id', true), ''),
        substring(private.request_headers() ->> 'x-request-id' from '^[A-Za-z0-9._-]{1,100}$')
    )
$$;
comment on function private.request_id() is
'What names the request in answers, logs and audit: the caller''s x-request-id or the one given before it; else null.';

create function private.touch_updated_at()
returns trigger
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    new.updated_at := now();
    return new;
end
$$;
comment on function private.touch_updated_at() is 'Keeps updated_at, whoever writes the row.';

-- A room takes part by defining private.<room>_on_sign_up(uuid, text, jsonb): nothing here names a room.
create function private.dispatch_sign_up()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    listener record;
begin
    for listener in
        select proc.proname as name
        from pg_catalog.pg_proc as proc
        where
            proc.pronamespace = 'private'::regnamespace
            and proc.proname like '%\_on\_sign\_up'
            and oidvectortypes(proc.proargtypes) = 'uuid, text, jsonb'
        order by proc.proname
    loop
        begin
            execute format('select private.%I($1, $2, $3)', listener.name)
            using new.id, new.email::text, coalesce(new.raw_user_meta_data, '{}'::jsonb);
        exception
            when others then
                raise warning '% failed for user %: %', listener.name, new.id, sqlerrm;
        end;
    end loop;
    return null;
end
$$;
comment on function private.dispatch_sign_up() is
'Tells every room of a new person or a new address; a failing room only warns.';

create trigger on_auth_user_created
after insert on auth.users
for each row
execute function private.dispatch_sign_up();

create trigger on_auth_user_email_changed
after update of email on auth.users
for each row
when (old.email is distinct from new.email)
execute function private.dispatch_sign_up();

-- A room takes part by defining private.<room>_claims(uuid): what it returns is merged into app_metadata.
create function public.custom_access_token_hook(event jsonb)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    app_metadata jsonb := coalesce(event #> '{claims,app_metadata}', '{}'::jsonb);
    room record;
    room_claims jsonb;
begin
    if not coalesce(pg_input_is_valid(event ->> 'user_id', 'uuid'), false) then
        return event;
    end if;
    for room in
        select proc.proname as name
        from pg_catalog.pg_proc as proc
        where
            proc.pronamespace = 'private'::regnamespace
            and proc.proname like '%\_claims'
            and oidvectortypes(proc.proargtypes) = 'uuid'
            and proc.prorettype = 'jsonb'::regtype
        order by proc.proname
    loop
        begin
            execute format('select private.%I($1)', room.name)
            into room_claims
            using (event ->> 'user_id')::uuid;
            app_metadata := app_metadata || coalesce(room_claims, '{}'::jsonb);
        exception
            when others then
                -- Without its claims a room gives less, never more; the sign-in goes on.
                raise warning '% failed for user %: %', room.name, event ->> 'user_id', sqlerrm;
        end;
    end loop;
    return jsonb_set(event, '{claims,app_metadata}', app_metadata);
end
$$;
comment on function public.custom_access_token_hook(jsonb) is
'Called by Auth before it signs a token: adds what the rooms know of the person to app_metadata.';

grant usage on schema public to supabase_auth_admin;
grant execute on function public.custom_access_token_hook(jsonb) to supabase_auth_admin;
