set local lock_timeout = '5s';
set local statement_timeout = '10min';

-- supabase/schemas/floor/00_privileges.sql

-- Promises that nobody holds a right that was not written down: defaults are taken back, group roles carry the grants.

create schema private;
comment on schema private is 'Helpers and internal tables. Not exposed: no request names it.';

create schema ops;
comment on schema ops is 'Outbox and operations, for the service role and operators only.';

-- Without `in schema`: a default for one schema can only add to the global one, never take from it.
alter default privileges for role postgres revoke all on tables from public, anon, authenticated, service_role;
alter default privileges for role postgres revoke all on sequences from public, anon, authenticated, service_role;
alter default privileges for role postgres revoke all on functions from public, anon, authenticated, service_role;
alter default privileges for role postgres in schema public revoke all on tables from anon, authenticated, service_role;
alter default privileges for role postgres in schema public
revoke all on sequences from anon, authenticated, service_role;
alter default privileges for role postgres in schema public
revoke all on functions from anon, authenticated, service_role;

-- Roles belong to the whole cluster, so another database may have made them already.
do $$
declare
    group_role text;
begin
    foreach group_role in array array[
        'app_anonymous',
        'app_authenticated',
        'app_premium',
        'app_admin',
        'app_service'
    ] loop
        if not exists (
            select
            from pg_catalog.pg_roles
            where rolname = group_role
        ) then
            execute pg_catalog.format('create role %I nologin', group_role);
        end if;
    end loop;
end
$$;

grant app_anonymous to app_authenticated;
grant app_authenticated to app_premium;
grant app_premium to app_admin;

-- Supabase's request roles do not inherit by themselves. sqlfluff does not know this clause yet.
grant app_anonymous to anon with inherit true; -- noqa: PRS
grant app_authenticated to authenticated with inherit true; -- noqa: PRS
grant app_service to service_role with inherit true; -- noqa: PRS

grant usage on schema private to app_anonymous, app_service;
grant usage on schema ops to app_service;

create function private.own_schemas()
returns setof oid
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select schema.oid
    from pg_namespace as schema
    where
        schema.nspname = 'public'
        or (
            pg_get_userbyid(schema.nspowner) = 'postgres'
            and schema.nspname not in ('extensions', 'supabase_migrations')
            and schema.nspname !~ '^pg_'
        )
$$;
comment on function private.own_schemas() is 'The schemas of the floor and the rooms, and not those of Supabase.';

grant execute on function private.own_schemas() to app_service;

-- Some are there already on a hosted project, in the same schemas.
create extension if not exists pgcrypto with schema extensions;
create extension if not exists citext with schema extensions;
create extension if not exists supabase_vault with schema vault;
create extension if not exists pg_net with schema extensions;
create extension if not exists pg_cron with schema pg_catalog;

-- supabase/schemas/floor/10_claims.sql

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

-- supabase/schemas/floor/12_limits.sql

-- Promises that no request runs for ever, and that nobody's writes crowd out everybody else's.

-- What a request may cost, by who asks. Supabase's own values for people; the service ingests whole batches.
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role service_role set statement_timeout = '120s';

create table private.rate_limits (
    role_name text primary key,
    per_minute integer not null,
    constraint a_limit_lets_something_through check (per_minute > 0)
);
alter table private.rate_limits enable row level security;
comment on table private.rate_limits is
'How many writes and calls by POST a person, or an address without a person, may make in a minute. No row: no limit.';
comment on column private.rate_limits.role_name is 'The database role of the request.';
comment on column private.rate_limits.per_minute is 'Counted over the last 60 seconds, not by the clock''s minutes.';

insert into private.rate_limits (role_name, per_minute)
values
('anon', 300),
('authenticated', 600);

-- A row a request and not a counter: who counts up one row waits for everybody else who does.
create unlogged table private.counted_requests (
    identity bytea not null,
    counted_at timestamptz not null
);
alter table private.counted_requests enable row level security;
create index counted_requests_by_identity on private.counted_requests (identity, counted_at);
create index counted_requests_by_time on private.counted_requests (counted_at);
comment on table private.counted_requests is
'The writes of the last minutes. Lost in a crash, which only forgives.';
comment on column private.counted_requests.identity is
'Digest of the person''s id or the address: not for reading, and gone in minutes.';

create function private.before_request()
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    minute constant interval := interval '1 minute';
    request_id text := private.request_id();
    asks text;
    allowed integer;
    digest bytea;
    counted bigint;
    oldest timestamptz;
    wait integer;
begin
    if request_id is null then
        request_id := gen_random_uuid()::text;
    end if;
    perform set_config('ondol.request_id', request_id, true);
    perform set_config(
        'response.headers',
        jsonb_build_array(jsonb_build_object('x-request-id', request_id))::text,
        true
    );

    -- An estimate is made of everybody's rows: the planner's statistics know no policies.
    if
        current_setting('role') in ('anon', 'authenticated')
        and private.request_headers() ->> 'prefer' ~* 'count *= *"?(planned|estimated)'
    then
        raise exception using
            errcode = 'PT400',
            message = 'Rows are counted exactly or not at all.',
            detail = 'An estimate would tell of rows that are not yours.',
            hint = 'Send Prefer: count=exact, or none.';
    end if;

    -- A GET or HEAD runs in a transaction that only reads: it cannot be counted and is not.
    if current_setting('transaction_read_only')::boolean then
        return;
    end if;
    begin
        select rate.per_minute
        into allowed
        from private.rate_limits as rate
        where rate.role_name = current_setting('role');
        -- On a hosted project Cloudflare writes the first header; the other one's first hop is what is left elsewhere.
        asks := coalesce(
            'person:' || private.user_id(),
            private.request_headers() ->> 'cf-connecting-ip',
            trim(split_part(private.request_headers() ->> 'x-forwarded-for', ',', 1))
        );
        if allowed is null or asks is null or asks = '' then
            return;
        end if;

        digest := sha256(convert_to(asks, 'UTF8'));
        select
            count(*),
            min(latest.counted_at)
        into counted, oldest
        from (
            select one.counted_at
            from private.counted_requests as one
            where
                one.identity = digest
                and one.counted_at > clock_timestamp() - minute
            order by one.counted_at desc
            limit allowed
        ) as latest;
        if counted < allowed then
            insert into private.counted_requests (identity, counted_at)
            values (digest, clock_timestamp());
        else
            wait := greatest(ceil(extract(epoch from oldest + minute - clock_timestamp())), 1);
        end if;
    exception
        when others then
            -- Whatever is wrong with counting is no reason to refuse anybody.
            raise warning 'the request was not counted: %', sqlerrm;
    end;
    if wait is not null then
        raise sqlstate 'PGRST'
        using
            message = jsonb_build_object(
                'code', 'PT429',
                'message', 'Too many writes in a minute.',
                'details', format('%s a minute are allowed.', allowed),
                'hint', format('Try again in %s seconds.', wait)
            ),
            detail = jsonb_build_object('status', 429, 'headers', jsonb_build_object('Retry-After', wait::text));
    end if;
end
$$;
comment on function private.before_request() is
'Called by the Data API before each request: gives it an id and refuses who writes too often with 429 and Retry-After.';

create function private.purge_counted_requests()
returns bigint
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    with purged as (
        delete from private.counted_requests
        where counted_at < clock_timestamp() - interval '2 minutes'
        returning 1
    )

    select count(*)
    from purged
$$;
comment on function private.purge_counted_requests() is
'Forgets the requests that no limit counts any more; returns how many.';

grant execute on function private.before_request() to app_anonymous, app_service;

-- sqlfluff does not know a setting with a dot.
alter role authenticator set pgrst.db_pre_request = 'private.before_request'; -- noqa: PRS
notify pgrst, 'reload config';

-- supabase/schemas/floor/14_documents.sql

-- Promises that a JSON document from a client is known to be small before it is written out or stored.

-- Written out, 1e131071 is 131,072 characters: a few kilobytes sent would be gigabytes of text.
create function private.has_plain_numbers(document jsonb)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select not exists (
        select
        from jsonb_path_query(document, 'strict $.** ? (@.type() == "number")') as item (number)
        where
            scale(item.number::numeric) > 500
            or abs(item.number::numeric) >= 1e500
    )
$$;
comment on function private.has_plain_numbers(jsonb) is 'Whether no number in it has more than 500 digits.';

create function private.is_small(
    document jsonb,
    kind text,
    most_characters integer
)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        case
            when jsonb_typeof(document) <> kind or pg_column_size(document) > 8 * most_characters then false
            when not private.has_plain_numbers(document) then false
            else length(document::text) <= most_characters
        end
$$;
comment on function private.is_small(jsonb, text, integer) is
'Whether it is JSON of this kind, object or array, that nobody uses as a store for something else.';

-- Checks of tables run with the rights of who writes.
grant execute on function private.has_plain_numbers(jsonb) to app_authenticated, app_service;
grant execute on function private.is_small(jsonb, text, integer) to app_authenticated, app_service;

-- supabase/schemas/floor/15_alerts.sql

-- Promises that what needs a person is said once, counted while it lasts, and closed when it is over.

create table ops.alerts (
    id bigint generated always as identity primary key,
    kind text not null,
    subject text not null,
    severity text not null default 'warning',
    message text not null,
    times_seen integer not null default 1,
    first_seen_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    resolved_at timestamptz,
    constraint severity_is_known check (severity in ('info', 'warning', 'critical')),
    constraint kind_is_one_word check (kind ~ '^[a-z_]+$')
);
alter table ops.alerts enable row level security;
create unique index alerts_that_are_open on ops.alerts (kind, subject)
where resolved_at is null;
comment on table ops.alerts is 'What an operator should know. One open row per kind and subject.';
comment on column ops.alerts.kind is 'What is wrong, one word: failing_job, tables_to_archive, …';
comment on column ops.alerts.subject is 'With what: the name of a job, a table, a key.';
comment on column ops.alerts.times_seen is 'How often it was found while open.';
comment on column ops.alerts.resolved_at is 'When it was found to be over; null while it lasts.';

create function ops.raise_alert(
    kind text,
    subject text,
    message text,
    severity text default 'warning',
    at timestamptz default now()
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
#variable_conflict use_column
declare
    alert record;
begin
    insert into ops.alerts as stored (kind, subject, message, severity, first_seen_at, last_seen_at)
    values (
        raise_alert.kind,
        raise_alert.subject,
        raise_alert.message,
        raise_alert.severity,
        raise_alert.at,
        raise_alert.at
    )
    on conflict (kind, subject) where resolved_at is null do update
        set
            message = excluded.message,
            severity = excluded.severity,
            times_seen = stored.times_seen + 1,
            last_seen_at = greatest(stored.last_seen_at, excluded.last_seen_at)
    returning
        stored.id,
        stored.times_seen
    into alert;
    -- An event, too, for who wants to be told. Without the message: it may quote what a statement was given.
    if alert.times_seen = 1 then
        perform ops.enqueue(
            'alert.opened',
            jsonb_build_array(
                jsonb_build_object(
                    'dedupe_key', alert.id::text,
                    'data', jsonb_build_object(
                        'alert_id', alert.id,
                        'kind', raise_alert.kind,
                        'subject', raise_alert.subject,
                        'severity', raise_alert.severity,
                        'opened_at', raise_alert.at
                    )
                )
            )
        );
    end if;
end
$$;
comment on function ops.raise_alert(text, text, text, text, timestamptz) is
'Opens an alert and enqueues alert.opened, or counts the open one of the same kind and subject.';

create function ops.resolve_alert(
    kind text,
    subject text,
    at timestamptz default now()
)
returns boolean
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    with resolved as (
        update ops.alerts as stored
        set resolved_at = resolve_alert.at
        where
            stored.kind = resolve_alert.kind
            and stored.subject = resolve_alert.subject
            and stored.resolved_at is null
        returning stored.id
    )

    select exists (select from resolved)
$$;
comment on function ops.resolve_alert(text, text, timestamptz) is
'Closes the open alert of the kind and subject; returns whether there was one.';

grant select on ops.alerts to app_service;

-- supabase/schemas/floor/20_privacy.sql

-- Promises that what names a person is ciphertext bound to its row, under keys that change, and can be erased.

-- Keys.
create table private.encryption_keys (
    id integer generated always as identity primary key,
    key_name text not null,
    version integer not null,
    purpose text not null,
    vault_secret_id uuid,
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    rotated_at timestamptz,
    retired_at timestamptz,
    constraint a_version_is_made_once unique (key_name, version),
    constraint key_name_is_one_word check (key_name ~ '^[a-z][a-z_]{0,39}$'),
    constraint purpose_is_known check (purpose in ('encrypt', 'index')),
    constraint only_the_active_are_not_rotated check (is_active = (rotated_at is null)),
    constraint only_the_retired_have_no_secret check ((retired_at is null) = (vault_secret_id is not null))
);
alter table private.encryption_keys enable row level security;
create unique index encryption_keys_that_are_active on private.encryption_keys (key_name)
where is_active;
comment on table private.encryption_keys is
'The versions of each key. What they are is in Vault, as ondol_key_<name>_v<version>; nothing here opens anything.';
comment on column private.encryption_keys.id is 'What a ciphertext carries to say which key opens it.';
comment on column private.encryption_keys.is_active is 'Whether new writes use it: one version of each name.';
comment on column private.encryption_keys.rotated_at is 'When a newer version took over.';
comment on column private.encryption_keys.retired_at is 'When no row was left under it and its secret was deleted.';

create table private.encrypted_columns (
    label text primary key,
    relation regclass not null,
    column_name name not null,
    id_column name not null,
    created_at timestamptz not null default now(),
    constraint a_column_has_one_label unique (relation, column_name),
    constraint label_has_no_colon check (label !~ ':')
);
alter table private.encrypted_columns enable row level security;
comment on table private.encrypted_columns is
'Every column that holds ciphertext: rooms add theirs, rotation and its counters go by this list.';
comment on column private.encrypted_columns.label is
'How a ciphertext''s context begins, before ":" and the row''s id. Stays when the table is renamed.';

create function private.register_encrypted_column(
    relation regclass,
    p_column_name name,
    p_id_column name default 'id'
)
returns text
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    column_label constant text := (
        select format('%s.%s.%s', schema.nspname, class.relname, p_column_name)
        from pg_class as class
        inner join pg_namespace as schema on class.relnamespace = schema.oid
        where class.oid = relation
    );
begin
    if not exists (
        select
        from pg_attribute
        where
            attrelid = relation
            and attname = p_column_name
            and atttypid = 'bytea'::regtype
    ) then
        raise exception using
            errcode = '42804',
            message = format('%s is no column of type bytea', column_label),
            hint = 'Create the column as bytea, then register it.';
    end if;
    if not exists (
        select
        from pg_index
        inner join pg_attribute
            on
                pg_index.indrelid = pg_attribute.attrelid
                and pg_index.indkey[0] = pg_attribute.attnum
        where
            pg_index.indrelid = relation
            and pg_index.indisunique
            and pg_index.indpred is null
            and pg_attribute.attname = p_id_column
            and pg_attribute.attnotnull
    ) then
        raise exception using
            errcode = '42830',
            message = format('%s.%s does not tell rows apart', relation, p_id_column),
            hint = 'Name the primary key: a ciphertext is bound to it.';
    end if;
    insert into private.encrypted_columns (label, relation, column_name, id_column)
    values (column_label, relation, p_column_name, p_id_column)
    on conflict do nothing;
    return column_label;
end
$$;
comment on function private.register_encrypted_column(regclass, name, name) is
'Puts a bytea column on the list of encrypted ones and returns its label. For migrations.';

create function private.new_encryption_key(
    p_key_name text,
    p_purpose text
)
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    next_version constant integer := (
        select coalesce(max(stored.version), 0) + 1
        from private.encryption_keys as stored
        where stored.key_name = p_key_name
    );
    made integer;
begin
    insert into private.encryption_keys (key_name, version, purpose, vault_secret_id)
    values (
        p_key_name,
        next_version,
        p_purpose,
        vault.create_secret(
            encode(extensions.gen_random_bytes(32), 'hex'),
            format('ondol_key_%s_v%s', p_key_name, next_version),
            'An encryption key of private.encryption_keys'
        )
    )
    returning id into made;
    return made;
end
$$;
comment on function private.new_encryption_key(text, text) is
'Makes the next version of a key from 256 random bits. Granted to nobody.';

create function private.ensure_encryption_key(
    p_key_name text,
    p_purpose text default 'encrypt'
)
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    known integer;
begin
    perform pg_advisory_xact_lock(hashtextextended('ondol encryption key ' || p_key_name, 0));
    select stored.id
    into known
    from private.encryption_keys as stored
    where
        stored.key_name = p_key_name
        and stored.is_active;
    return coalesce(known, private.new_encryption_key(p_key_name, p_purpose));
end
$$;
comment on function private.ensure_encryption_key(text, text) is
'The id of a key''s active version, made if there is none. For migrations; granted to nobody.';

create function private.key_parts(
    p_key_id integer,
    out encrypting bytea,
    out authenticating bytea
)
returns record
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    material bytea;
begin
    select decode(secret.decrypted_secret, 'hex')
    into material
    from private.encryption_keys as stored
    inner join vault.decrypted_secrets as secret on stored.vault_secret_id = secret.id
    where stored.id = p_key_id;
    if material is null then
        raise exception using
            errcode = 'XX001',
            message = format('key %s is not in Vault', p_key_id),
            hint = 'Restore the secret from the backup that the ciphertext comes from.';
    end if;
    encrypting := extensions.hmac('encrypt', material, 'sha256');
    authenticating := extensions.hmac('authenticate', material, 'sha256');
end
$$;
comment on function private.key_parts(integer) is
'What a key''s version encrypts and authenticates with. Granted to nobody.';

-- Ciphertext: 1, key id (4 bytes), IV (16), AES-256-CBC, HMAC-SHA256 (32) over all of it, the context and its length.
create function private.seal_header(p_key_id integer)
returns bytea
immutable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select '\x01'::bytea || int4send(p_key_id)
$$;
comment on function private.seal_header(integer) is
'The first five bytes of every ciphertext under a key: what an index on substr(…, 1, 5) finds.';

create function private.seal_mac(
    sealed bytea,
    context text,
    authenticating bytea
)
returns bytea
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return extensions.hmac(
        sealed || convert_to(context, 'UTF8') || int4send(octet_length(context)),
        authenticating,
        'sha256'
    );
end
$$;
comment on function private.seal_mac(bytea, text, bytea) is
'What binds a ciphertext to its key and its context. Granted to nobody.';

create function private.seal(
    plain bytea,
    context text,
    p_key_id integer,
    encrypting bytea,
    authenticating bytea
)
returns bytea
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    iv constant bytea := extensions.gen_random_bytes(16);
    sealed constant bytea := private.seal_header(p_key_id)
        || iv
        || extensions.encrypt_iv(plain, encrypting, iv, 'aes-cbc/pad:pkcs');
begin
    return sealed || private.seal_mac(sealed, context, authenticating);
end
$$;
comment on function private.seal(bytea, text, integer, bytea, bytea) is
'Encrypts, then authenticates together with the context. Granted to nobody.';

create function private.is_sealed_for(
    cipher bytea,
    context text,
    authenticating bytea
)
returns boolean
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return
        octet_length(cipher) >= 69
        and private.seal_mac(substr(cipher, 1, octet_length(cipher) - 32), context, authenticating)
        = substr(cipher, octet_length(cipher) - 31);
end
$$;
comment on function private.is_sealed_for(bytea, text, bytea) is
'Whether a ciphertext was made for this context with this key. Granted to nobody.';

create function private.unseal(
    cipher bytea,
    encrypting bytea
)
returns bytea
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return extensions.decrypt_iv(
        substr(cipher, 22, octet_length(cipher) - 53),
        encrypting,
        substr(cipher, 6, 16),
        'aes-cbc/pad:pkcs'
    );
end
$$;
comment on function private.unseal(bytea, bytea) is
'Decrypts what private.is_sealed_for() has found to be true. Granted to nobody.';

create function private.may_read_pii()
returns boolean
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- The role and session_user stay those of the request inside a definer function; current_user would be its owner.
    select coalesce(
        acting.name in ('service_role', 'postgres', 'supabase_admin')
        or (acting.name = 'authenticated' and private.is_admin()),
        false
    )
    from (
        select coalesce(nullif(current_setting('role', true), 'none'), session_user) as name
    ) as acting
$$;
comment on function private.may_read_pii() is
'Whether who asks is an admin, the service or an operator; false when nobody can be told.';

create function private.encrypt_pii(
    plain text,
    context text,
    p_key_name text default 'default'
)
returns bytea
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    key_id integer;
    parts record;
begin
    if plain is null then
        return null;
    end if;
    if context !~ '^[^:]+:.'
        or not exists (
            select
            from private.encrypted_columns as listed
            where listed.label = split_part(context, ':', 1)
        )
    then
        raise exception using
            errcode = 'PT400',
            message = format('%L names no row of an encrypted column', context),
            detail = 'A key is retired once no listed column holds a ciphertext of it.',
            hint = 'The context is the label from private.register_encrypted_column(), ":" and the row''s id.';
    end if;
    -- The lock keeps the key from being retired before this transaction's rows can be seen. A rotation in between
    -- leaves no active version in this statement's view, and one in the next.
    for attempt in 1..3 loop
        select stored.id
        into key_id
        from private.encryption_keys as stored
        where
            stored.key_name = p_key_name
            and stored.purpose = 'encrypt'
            and stored.is_active
        for key share;
        exit when found;
    end loop;
    if key_id is null then
        raise exception using
            errcode = 'PT404',
            message = format('there is no encryption key %L', p_key_name),
            hint = 'Make it in a migration: select private.ensure_encryption_key(''name'').';
    end if;
    parts := private.key_parts(key_id);
    return private.seal(convert_to(plain, 'UTF8'), context, key_id, parts.encrypting, parts.authenticating);
end
$$;
comment on function private.encrypt_pii(text, text, text) is
'Ciphertext of a text for one row of one column, under the key''s active version. Store it in the same transaction.';

create function private.decrypt_pii(
    cipher bytea,
    context text
)
returns text
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    key_id integer;
    parts record;
begin
    if private.may_read_pii() is not true then
        raise exception using
            errcode = '42501',
            message = 'Insufficient privileges',
            hint = 'Personal data is decrypted for admins and the service only.';
    end if;
    if cipher is null then
        return null;
    end if;
    if substr(cipher, 1, 1) = '\x01' and octet_length(cipher) >= 69 then
        key_id := ('x' || encode(substr(cipher, 2, 4), 'hex'))::bit(32)::integer;
        parts := private.key_parts(key_id);
        if private.is_sealed_for(cipher, context, parts.authenticating) then
            return convert_from(private.unseal(cipher, parts.encrypting), 'UTF8');
        end if;
    end if;
    raise exception using
        errcode = 'XX001',
        message = format('the ciphertext was not made for %L', context),
        detail = 'It was changed, or copied from another row, column or database.',
        hint = 'Restore the row from a backup, or write the value again.';
end
$$;
comment on function private.decrypt_pii(bytea, text) is
'The text of a ciphertext, for admins and the service, if it was made for this very row.';

create function private.encrypt_personal_data(
    data jsonb,
    context text,
    p_key_name text default 'default'
)
returns bytea
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.encrypt_pii(data::text, context, p_key_name)
$$;
comment on function private.encrypt_personal_data(jsonb, text, text) is
'private.encrypt_pii() for a JSON value.';

create function private.decrypt_personal_data(
    cipher bytea,
    context text
)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.decrypt_pii(cipher, context)::jsonb
$$;
comment on function private.decrypt_personal_data(bytea, text) is
'private.decrypt_pii() for a JSON value.';

create function private.blind_index(
    value text,
    kind text
)
returns bytea
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    key_id constant integer := (
        select stored.id
        from private.encryption_keys as stored
        where
            stored.key_name = 'blind_index'
            and stored.is_active
    );
    parts record;
begin
    if value is null then
        return null;
    end if;
    if (kind ~ '^[a-z_]+$') is not true then
        raise exception using
            errcode = 'PT400',
            message = 'a kind of value is one word of small letters',
            hint = 'Say what is looked up: email, phone.';
    end if;
    parts := private.key_parts(key_id);
    return extensions.hmac(
        convert_to(
            kind || ':' || lower(btrim(normalize(value, nfc), E' \t\r\n\u3000') collate pg_catalog.pg_c_utf8),
            'UTF8'
        ),
        parts.authenticating,
        'sha256'
    );
end
$$;
comment on function private.blind_index(text, text) is
'What a value is found by without being read: the same for every spelling, of no use without the key.';

create function private.mask_email(email text)
returns text
immutable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- One letter is shown only where more are hidden.
    select
        case
            when email is null then null
            when email !~ '^.+@.+\..+$' then '***'
            else
                coalesce(substring(email from '^(.)..+@'), '') || '***@'
                || coalesce(substring(email from '@(.)[^@.][^@]+\.[^@]+$'), '') || '***.'
                || left(substring(email from '\.([^@.]+)$'), 63)
        end
$$;
comment on function private.mask_email(text) is
'k***@e***.com: enough to recognise one''s own address, not to write to it.';

-- Rotation.
create function private.rows_under_old_keys()
returns table (
    column_label text,
    key_name text,
    version integer,
    row_count bigint
)
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    listed record;
    old_key record;
begin
    for listed in
        select
            encrypted.label,
            encrypted.relation,
            encrypted.column_name
        from private.encrypted_columns as encrypted
        inner join pg_class as class on encrypted.relation = class.oid
        order by encrypted.label
    loop
        for old_key in
            select
                stored.id,
                stored.key_name,
                stored.version
            from private.encryption_keys as stored
            where
                stored.purpose = 'encrypt'
                and not stored.is_active
                and stored.retired_at is null
            order by stored.id
        loop
            execute format(
                'select count(*) from %s as stored where substr(stored.%I, 1, 5) = $1',
                listed.relation,
                listed.column_name
            )
            into row_count
            using private.seal_header(old_key.id);
            continue when row_count = 0;
            column_label := listed.label;
            key_name := old_key.key_name;
            version := old_key.version;
            return next;
        end loop;
    end loop;
end
$$;
comment on function private.rows_under_old_keys() is
'How many rows of each listed column wait to be encrypted again. None, once a rotation is done.';

create function ops.rotate_encryption_key(p_key_name text)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    old_key private.encryption_keys;
    new_id integer;
begin
    perform pg_advisory_xact_lock(hashtextextended('ondol encryption key ' || p_key_name, 0));
    select *
    into old_key
    from private.encryption_keys as stored
    where
        stored.key_name = p_key_name
        and stored.is_active;
    if old_key.id is null then
        raise exception using
            errcode = 'PT404',
            message = format('there is no encryption key %L', p_key_name),
            hint = 'See private.encryption_keys for the names.';
    end if;
    if old_key.purpose <> 'encrypt' then
        raise exception using
            errcode = 'PT409',
            message = format('%L cannot be rotated', p_key_name),
            detail = 'A blind index is compared, never opened: values under two keys would not be found.',
            hint = 'Compute the index columns again from the decrypted values in one migration.';
    end if;
    update private.encryption_keys as stored
    set
        is_active = false,
        rotated_at = now()
    where stored.id = old_key.id;
    new_id := private.new_encryption_key(p_key_name, 'encrypt');
    return jsonb_build_object(
        'key_name', p_key_name,
        'old_version', old_key.version,
        'version', (
            select stored.version
            from private.encryption_keys as stored
            where stored.id = new_id
        )
    );
end
$$;
comment on function ops.rotate_encryption_key(text) is
'Makes a new version of a key for all writes from now on. ops.reencrypt_batch() moves the rows that are there.';

create function private.retire_keys()
returns text[]
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    old_key record;
    listed record;
    is_in_use boolean;
    retired text[] := array[]::text[];
begin
    for old_key in
        select
            stored.id,
            stored.key_name,
            stored.version,
            stored.vault_secret_id
        from private.encryption_keys as stored
        where
            stored.purpose = 'encrypt'
            and not stored.is_active
            and stored.retired_at is null
        order by stored.id
        -- Locked by a writer that has not committed: it is looked at again in the next batch.
        for update skip locked
    loop
        is_in_use := false;
        for listed in
            select
                encrypted.relation,
                encrypted.column_name
            from private.encrypted_columns as encrypted
            inner join pg_class as class on encrypted.relation = class.oid
        loop
            execute format(
                'select exists (select from %s as stored where substr(stored.%I, 1, 5) = $1)',
                listed.relation,
                listed.column_name
            )
            into is_in_use
            using private.seal_header(old_key.id);
            exit when is_in_use;
        end loop;
        continue when is_in_use;
        update private.encryption_keys as stored
        set
            vault_secret_id = null,
            retired_at = now()
        where stored.id = old_key.id;
        delete from vault.secrets as secret
        where secret.id = old_key.vault_secret_id;
        retired := retired || format('%s v%s', old_key.key_name, old_key.version);
    end loop;
    return retired;
end
$$;
comment on function private.retire_keys() is
'Deletes the secrets of old versions that no row and no running writer uses. Granted to nobody.';

create function ops.reencrypt_batch(batch_size integer default 1000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    old_key record;
    new_id integer;
    old_parts record;
    new_parts record;
    listed record;
    moved integer;
    reencrypted integer := 0;
    waiting bigint;
    unreadable bigint;
    unreadable_in_all bigint := 0;
begin
    for old_key in
        select
            stored.id,
            stored.key_name
        from private.encryption_keys as stored
        where
            stored.purpose = 'encrypt'
            and not stored.is_active
            and stored.retired_at is null
        order by stored.id
    loop
        exit when reencrypted >= batch_size;
        select stored.id
        into new_id
        from private.encryption_keys as stored
        where
            stored.key_name = old_key.key_name
            and stored.is_active
        for key share;
        -- Rotated at this very moment: the next batch goes on.
        continue when not found;
        -- In one statement, since another batch may retire it meanwhile and delete its secret.
        select parts.*
        into old_parts
        from private.encryption_keys as stored
        cross join lateral private.key_parts(stored.id) as parts
        where
            stored.id = old_key.id
            and stored.retired_at is null;
        continue when not found;
        new_parts := private.key_parts(new_id);
        for listed in
            select
                encrypted.label,
                encrypted.relation,
                encrypted.column_name,
                encrypted.id_column
            from private.encrypted_columns as encrypted
            inner join pg_class as class on encrypted.relation = class.oid
            order by encrypted.label
        loop
            execute format(
                $query$
                    with picked as (
                        select
                            waiting.%1$I as id,
                            waiting.%2$I as cipher
                        from %3$s as waiting
                        where
                            substr(waiting.%2$I, 1, 5) = $1
                            and private.is_sealed_for(waiting.%2$I, $2 || waiting.%1$I, $3)
                        limit $4
                        for no key update skip locked
                    )

                    update %3$s as stored
                    set
                        %2$I = private.seal(private.unseal(picked.cipher, $5), $2 || picked.id, $6, $7, $8)
                    from picked
                    where stored.%1$I = picked.id
                $query$,
                listed.id_column,
                listed.column_name,
                listed.relation
            )
            using
                private.seal_header(old_key.id),
                listed.label || ':',
                old_parts.authenticating,
                batch_size - reencrypted,
                old_parts.encrypting,
                new_id,
                new_parts.encrypting,
                new_parts.authenticating;
            get diagnostics moved = row_count;
            reencrypted := reencrypted + moved;
            -- Only what was changed or pasted does not open. It keeps its key, and somebody is told.
            if reencrypted < batch_size then
                execute format(
                    $query$
                        select count(*)
                        from %3$s as waiting
                        where
                            substr(waiting.%2$I, 1, 5) = $1
                            and not private.is_sealed_for(waiting.%2$I, $2 || waiting.%1$I, $3)
                    $query$,
                    listed.id_column,
                    listed.column_name,
                    listed.relation
                )
                into unreadable
                using private.seal_header(old_key.id), listed.label || ':', old_parts.authenticating;
                unreadable_in_all := unreadable_in_all + unreadable;
                if unreadable > 0 then
                    perform ops.raise_alert(
                        'unreadable_ciphertext',
                        listed.label,
                        format('%s rows hold a ciphertext that was not made for them', unreadable),
                        'critical'
                    );
                end if;
            end if;
        end loop;
    end loop;
    select coalesce(sum(held.row_count), 0)
    into waiting
    from private.rows_under_old_keys() as held;
    return jsonb_build_object(
        'reencrypted', reencrypted,
        'left', waiting,
        'unreadable', unreadable_in_all,
        'retired', to_jsonb(private.retire_keys())
    );
end
$$;
comment on function ops.reencrypt_batch(integer) is
'Moves up to so many rows to the active versions of their keys and retires what is not used. Safe beside writers.';

-- Erasure. A room takes part by defining private.<room>_on_erase(uuid), which returns {table: rows}.
create function public.erase_user(user_id uuid)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    room record;
    erased_in_room jsonb;
    erased jsonb := '{}'::jsonb;
    people integer;
    entries integer;
begin
    -- Who signs in or changes the address meanwhile waits, and finds nobody.
    perform
    from auth.users as person
    where person.id = erase_user.user_id
    for update;
    people := case when found then 1 else 0 end;
    for room in
        select proc.proname as name
        from pg_catalog.pg_proc as proc
        where
            proc.pronamespace = 'private'::regnamespace
            and proc.proname like '%\_on\_erase'
            and oidvectortypes(proc.proargtypes) = 'uuid'
            and proc.prorettype = 'jsonb'::regtype
        order by proc.proname
    loop
        -- Not caught: what cannot be erased everywhere is erased nowhere, and the caller is told.
        execute format('select private.%I($1)', room.name)
        into erased_in_room
        using erase_user.user_id;
        erased := erased || jsonb_build_object(regexp_replace(room.name, '_on_erase$', ''), erased_in_room);
    end loop;
    delete from auth.audit_log_entries as entry
    where
        entry.payload ->> 'actor_id' = erase_user.user_id::text
        or entry.payload #>> '{traits,user_id}' = erase_user.user_id::text;
    get diagnostics entries = row_count;
    delete from auth.users as person
    where person.id = erase_user.user_id;
    if people = 0
        and entries = 0
        and not jsonb_path_exists(erased, '$.*.* ? (@ > 0)')
    then
        raise exception using
            errcode = 'PT404',
            message = format('there is nobody with the id %L', erase_user.user_id),
            hint = 'Erased already, or never here: nothing is left to do.';
    end if;
    return jsonb_build_object(
        'user_id', erase_user.user_id,
        'erased', erased || jsonb_build_object(
            'auth', jsonb_build_object('users', people, 'audit_log_entries', entries)
        )
    );
end
$$;
comment on function public.erase_user(uuid) is
'Erases a person from every room and from Auth, all or nothing, and counts what was erased. For the service.';

select private.ensure_encryption_key('default');
select private.ensure_encryption_key('blind_index', 'index');

grant execute on function public.erase_user(uuid) to app_service;
grant execute on function ops.rotate_encryption_key(text) to app_service;
grant execute on function ops.reencrypt_batch(integer) to app_service;
grant execute on function private.rows_under_old_keys() to app_service;
grant execute on function private.encrypt_pii(text, text, text) to app_service;
grant execute on function private.encrypt_personal_data(jsonb, text, text) to app_service;
grant execute on function private.decrypt_pii(bytea, text) to app_service;
grant execute on function private.decrypt_personal_data(bytea, text) to app_service;
grant execute on function private.blind_index(text, text) to app_service;
grant execute on function private.mask_email(text) to app_service;
grant execute on function private.may_read_pii() to app_authenticated, app_service;

-- supabase/schemas/floor/30_audit.sql

-- Promises that every change of an audited row is told once, without personal data, and that no record can be changed
-- unseen: nobody may, and seals chained by hash find who did.

create table ops.audit_logs_enhanced (
    id bigint generated always as identity,
    created_at timestamptz not null default clock_timestamp(),
    event_type text not null,
    table_schema text,
    table_name text,
    function_name text,
    row_id text,
    user_id uuid,
    user_role text,
    session_role text not null default session_user,
    request_id text,
    ip_address inet,
    query text,
    old_data jsonb,
    new_data jsonb,
    changed_fields text[],
    duration_ms numeric,
    primary key (id, created_at),
    constraint event_type_is_one_word check (event_type ~ '^[A-Z][A-Z_]{1,49}$')
) partition by range (created_at);
alter table ops.audit_logs_enhanced enable row level security;
create index audit_logs_by_row on ops.audit_logs_enhanced (table_name, row_id);
create index audit_logs_by_user on ops.audit_logs_enhanced (user_id, created_at)
where user_id is not null;
comment on table ops.audit_logs_enhanced is
'Who changed which row when, one record a row. Append-only for everybody; holds no personal data in clear.';
comment on column ops.audit_logs_enhanced.event_type is
'INSERT, UPDATE, DELETE, TRUNCATE, or the word that a function gave its event: DECRYPT, ERASE, …';
comment on column ops.audit_logs_enhanced.row_id is 'The row''s primary key; *** for a part that is not clear.';
comment on column ops.audit_logs_enhanced.user_id is 'Whose token it was; null for jobs and operators.';
comment on column ops.audit_logs_enhanced.user_role is 'The role that the request acted as.';
comment on column ops.audit_logs_enhanced.session_role is 'Who had logged in to the database.';
comment on column ops.audit_logs_enhanced.ip_address is
'The network that the gateway named as the caller''s, /24 or /48: enough to tell networks apart, not people.';
comment on column ops.audit_logs_enhanced.query is
'Method and path of the request. Never its SQL, whose literals may be personal.';
comment on column ops.audit_logs_enhanced.old_data is
'What was there: the whole row, or of an update what changed. *** stands for a value that is not clear.';
comment on column ops.audit_logs_enhanced.new_data is
'What is there now, told like old_data; for an event of a function its details.';
comment on column ops.audit_logs_enhanced.changed_fields is 'Of an update, the columns whose value is another now.';
comment on column ops.audit_logs_enhanced.duration_ms is 'How long the statement had taken when the record was made.';

create table ops.audit_logs_enhanced_default partition of ops.audit_logs_enhanced default;
alter table ops.audit_logs_enhanced_default enable row level security;
comment on table ops.audit_logs_enhanced_default is 'Records of a month that no other partition takes.';

-- Chaining rows as they are written would make all writers wait for each other until they commit.
create table ops.audit_unsealed (
    id bigint primary key,
    created_at timestamptz not null
);
alter table ops.audit_unsealed enable row level security;
comment on table ops.audit_unsealed is
'Records that no seal covers yet. Written with the record, so one that commits late is sealed late, never skipped.';

create table ops.audit_seals (
    seq bigint primary key,
    sealed_at timestamptz not null,
    ids int8multirange not null,
    row_count bigint not null,
    rows_hash bytea not null,
    previous_hash bytea not null,
    hash bytea not null
);
alter table ops.audit_seals enable row level security;
comment on table ops.audit_seals is
'One link a batch of audit records. Seals stay when the records expire, so the chain can be checked to its beginning.';
comment on column ops.audit_seals.ids is 'Which records it covers; ids of writes that were rolled back are in none.';
comment on column ops.audit_seals.rows_hash is 'SHA-256 over the SHA-256 of each record, in the order of their ids.';
comment on column ops.audit_seals.previous_hash is 'The hash of the seal before; empty for the first.';
comment on column ops.audit_seals.hash is 'SHA-256 over all the other columns.';

create function private.refuse_audit_change()
returns trigger
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    raise exception using
        errcode = 'insufficient_privilege',
        message = 'The audit log is append-only.',
        detail = format('%s on %I.%I was refused.', tg_op, tg_table_schema, tg_table_name),
        hint = 'Whole months expire by the policy in ops.partition_policies.';
end
$$;
comment on function private.refuse_audit_change() is 'Refuses a change of audit records to everybody, their owner too.';

create trigger audit_records_do_not_change
before update or delete on ops.audit_logs_enhanced
for each row
execute function private.refuse_audit_change();

create trigger audit_records_are_not_truncated
before truncate on ops.audit_logs_enhanced
for each statement
execute function private.refuse_audit_change();

create trigger audit_records_are_not_truncated
before truncate on ops.audit_logs_enhanced_default
for each statement
execute function private.refuse_audit_change();

create trigger audit_seals_do_not_change
before update or delete on ops.audit_seals
for each row
execute function private.refuse_audit_change();

create trigger audit_seals_are_not_truncated
before truncate on ops.audit_seals
for each statement
execute function private.refuse_audit_change();

create function private.request_network()
returns inet
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        case
            when pg_input_is_valid(caller.address, 'inet')
                then network(
                    set_masklen(caller.address::inet, case family(caller.address::inet) when 4 then 24 else 48 end)
                )
        end
    from (
        select btrim(split_part(private.request_headers() ->> 'x-forwarded-for', ',', 1)) as address
    ) as caller
$$;
comment on function private.request_network() is
'The network of the caller as the gateway tells it, never the address; null when it tells none.';

create function private.audit_context()
returns table (
    user_id uuid,
    user_role text,
    request_id text,
    ip_address inet,
    query text,
    duration_ms numeric
)
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        private.user_id() as user_id,
        coalesce(
            left(private.claims() ->> 'role', 63),
            nullif(current_setting('role'), 'none'),
            session_user
        ) as user_role,
        private.request_id() as request_id,
        private.request_network() as ip_address,
        substring(
            current_setting('request.method', true) || ' ' || current_setting('request.path', true)
            from '^[A-Z]+ [A-Za-z0-9_/.-]{1,200}$'
        ) as query,
        round(extract(epoch from clock_timestamp() - statement_timestamp()) * 1000, 3) as duration_ms
$$;
comment on function private.audit_context() is 'What every audit record of this statement says of its origin.';

-- A digest in place of *** would tell the few possible values of a short column to whoever tries them all.
create function private.audit_change(
    old_row jsonb,
    new_row jsonb,
    key_columns text[],
    clear_columns text[]
)
returns table (
    row_id text,
    old_data jsonb,
    new_data jsonb,
    changed_fields text[]
)
immutable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        (
            select
                string_agg(
                    case
                        when key.name = any(clear_columns) then coalesce(new_row, old_row) ->> key.name
                        else '***'
                    end,
                    ',' order by key.number
                )
            from unnest(key_columns) with ordinality as key (name, number)
        ) as row_id,
        case
            when old_row is not null
                then coalesce(
                    jsonb_object_agg(field.name, field.old_told) filter (where field.is_told),
                    '{}'
                )
        end as old_data,
        case
            when new_row is not null
                then coalesce(
                    jsonb_object_agg(field.name, field.new_told) filter (where field.is_told),
                    '{}'
                )
        end as new_data,
        case
            when old_row is not null and new_row is not null
                then coalesce(array_agg(field.name order by field.name) filter (where field.is_told), '{}')
        end as changed_fields
    from (
        select
            key as name,
            case
                when key = any(clear_columns) or old_row -> key = 'null' then old_row -> key
                else '"***"'
            end as old_told,
            case
                when key = any(clear_columns) or new_row -> key = 'null' then new_row -> key
                else '"***"'
            end as new_told,
            old_row is null or new_row is null or old_row -> key is distinct from new_row -> key as is_told
        from jsonb_object_keys(coalesce(new_row, old_row)) as key
    ) as field
$$;
comment on function private.audit_change(jsonb, jsonb, text[], text[]) is
'What an audit record tells of a row: values of clear columns, *** for the rest, and which columns changed.';

-- The arguments are the columns that may be told in clear. What is not listed, a later column too, is masked.
-- A trigger's tables are guessed large: compiling for them took 30 ms of an update of one row.
create function private.write_audit_log()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    clear_columns text[] := coalesce(tg_argv, '{}');
    key_columns text[];
    rows_before bigint;
begin
    if tg_op = 'TRUNCATE' then
        execute format('select count(*) from %I.%I', tg_table_schema, tg_table_name)
        into rows_before;
        with written as (
            insert into ops.audit_logs_enhanced (
                event_type, table_schema, table_name, user_id, user_role, request_id, ip_address, query, old_data,
                duration_ms
            )
            select
                'TRUNCATE',
                tg_table_schema,
                tg_table_name,
                context.user_id,
                context.user_role,
                context.request_id,
                context.ip_address,
                context.query,
                jsonb_build_object('rows', rows_before),
                context.duration_ms
            from private.audit_context() as context
            returning
                id,
                created_at
        )

        insert into ops.audit_unsealed (id, created_at)
        select
            written.id,
            written.created_at
        from written;
        return null;
    end if;

    select array_agg(attribute.attname::text order by key.number)
    into key_columns
    from pg_index as index
    cross join unnest(index.indkey::int2[]) with ordinality as key (column_number, number)
    inner join pg_attribute as attribute
        on
            index.indrelid = attribute.attrelid
            and key.column_number = attribute.attnum
    where
        index.indrelid = tg_relid
        and index.indisprimary;

    -- A trigger sees only the tables of its own event, so each event needs a statement of its own.
    if tg_op = 'INSERT' then
        with written as (
            insert into ops.audit_logs_enhanced (
                event_type, table_schema, table_name, user_id, user_role, request_id, ip_address, query, row_id,
                new_data, duration_ms
            )
            select
                'INSERT',
                tg_table_schema,
                tg_table_name,
                context.user_id,
                context.user_role,
                context.request_id,
                context.ip_address,
                context.query,
                change.row_id,
                change.new_data,
                context.duration_ms
            from private.audit_context() as context
            cross join new_rows as new_row
            cross join
                lateral private.audit_change(null, to_jsonb(new_row), key_columns, clear_columns) as change
            returning
                id,
                created_at
        )

        insert into ops.audit_unsealed (id, created_at)
        select
            written.id,
            written.created_at
        from written;
    elsif tg_op = 'DELETE' then
        with written as (
            insert into ops.audit_logs_enhanced (
                event_type, table_schema, table_name, user_id, user_role, request_id, ip_address, query, row_id,
                old_data, duration_ms
            )
            select
                'DELETE',
                tg_table_schema,
                tg_table_name,
                context.user_id,
                context.user_role,
                context.request_id,
                context.ip_address,
                context.query,
                change.row_id,
                change.old_data,
                context.duration_ms
            from private.audit_context() as context
            cross join old_rows as old_row
            cross join
                lateral private.audit_change(to_jsonb(old_row), null, key_columns, clear_columns) as change
            returning
                id,
                created_at
        )

        insert into ops.audit_unsealed (id, created_at)
        select
            written.id,
            written.created_at
        from written;
    else
        -- Paired by their place, which is the same in both: the primary key itself may have changed.
        with written as (
            insert into ops.audit_logs_enhanced (
                event_type, table_schema, table_name, user_id, user_role, request_id, ip_address, query, row_id,
                old_data, new_data, changed_fields, duration_ms
            )
            select
                'UPDATE',
                tg_table_schema,
                tg_table_name,
                context.user_id,
                context.user_role,
                context.request_id,
                context.ip_address,
                context.query,
                change.row_id,
                change.old_data,
                change.new_data,
                change.changed_fields,
                context.duration_ms
            from private.audit_context() as context
            cross join (
                select
                    to_jsonb(old_row) as content,
                    row_number() over () as place
                from old_rows as old_row
            ) as before
            inner join (
                select
                    to_jsonb(new_row) as content,
                    row_number() over () as place
                from new_rows as new_row
            ) as after on before.place = after.place
            cross join
                lateral private.audit_change(before.content, after.content, key_columns, clear_columns) as change
            returning
                id,
                created_at
        )

        insert into ops.audit_unsealed (id, created_at)
        select
            written.id,
            written.created_at
        from written;
    end if;
    return null;
end
$$;
comment on function private.write_audit_log() is
'Records each row that a statement changed. A write that cannot be recorded is not made.';

create function ops.audit_table(
    target regclass,
    clear_columns text[] default '{}'
)
returns void
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    unknown text;
    arguments text;
    event record;
begin
    select clear.name
    into unknown
    from unnest(clear_columns) as clear (name)
    where
        not exists (
            select
            from pg_attribute as attribute
            where
                attribute.attrelid = target
                and attribute.attname = clear.name
                and attribute.attnum > 0
                and not attribute.attisdropped
        )
    limit 1;
    if found then
        raise exception using
            errcode = 'undefined_column',
            message = 'A column that is to be told in clear is not there.',
            detail = format('%s has no column %I.', target, unknown),
            hint = 'Name columns of the table.';
    end if;

    select coalesce(string_agg(quote_literal(clear.name), ', ' order by clear.number), '')
    into arguments
    from unnest(clear_columns) with ordinality as clear (name, number);
    for event in
        select
            tables.name,
            tables.referencing
        from (
            values
            ('insert', 'referencing new table as new_rows'),
            ('update', 'referencing old table as old_rows new table as new_rows'),
            ('delete', 'referencing old table as old_rows')
        ) as tables (name, referencing)
    loop
        execute format(
            'create or replace trigger audit_%1$s after %1$s on %2$s %3$s '
            'for each statement execute function private.write_audit_log(%4$s)',
            event.name,
            target,
            event.referencing,
            arguments
        );
    end loop;
    -- Before, since afterwards nobody can tell how many rows there were.
    execute format(
        'create or replace trigger audit_truncate before truncate on %s '
        'for each statement execute function private.write_audit_log()',
        target
    );
end
$$;
comment on function ops.audit_table(regclass, text[]) is
'Puts a table under audit, by triggers named audit_*; only the columns given are recorded in clear.';

create function ops.record_audit_event(
    event_type text,
    function_name text,
    details jsonb default null,
    row_id text default null
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if event_type in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE') then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'The change of a row is recorded by its table only.';
    end if;
    with written as (
        insert into ops.audit_logs_enhanced (
            event_type, function_name, row_id, user_id, user_role, request_id, ip_address, query, new_data, duration_ms
        )
        select
            record_audit_event.event_type,
            record_audit_event.function_name,
            record_audit_event.row_id,
            context.user_id,
            context.user_role,
            context.request_id,
            context.ip_address,
            context.query,
            record_audit_event.details,
            context.duration_ms
        from private.audit_context() as context
        returning
            id,
            created_at
    )

    insert into ops.audit_unsealed (id, created_at)
    select
        written.id,
        written.created_at
    from written;
exception
    when others then
        raise warning 'the event % of % was not audited: %', event_type, function_name, sqlerrm;
end
$$;
comment on function ops.record_audit_event(text, text, jsonb, text) is
'Records what a function did: DECRYPT, ROTATE, ERASE, …. Never raises; the details must hold no personal data.';

-- Written out: a column that is added later must not change the digest of what is sealed.
create function private.audit_digest(entry ops.audit_logs_enhanced)
returns bytea
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        sha256(
            convert_to(
                jsonb_build_array(
                    entry.id,
                    extract(epoch from entry.created_at),
                    entry.event_type,
                    entry.table_schema,
                    entry.table_name,
                    entry.function_name,
                    entry.row_id,
                    entry.user_id,
                    entry.user_role,
                    entry.session_role,
                    entry.request_id,
                    entry.ip_address::text,
                    entry.query,
                    entry.old_data,
                    entry.new_data,
                    entry.changed_fields,
                    entry.duration_ms
                )::text,
                'UTF8'
            )
        )
$$;
comment on function private.audit_digest(ops.audit_logs_enhanced) is
'SHA-256 of a record, the same in every time zone and after a restore.';

create function private.audit_seal_hash(seal ops.audit_seals)
returns bytea
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        sha256(
            convert_to(
                jsonb_build_array(
                    seal.seq,
                    extract(epoch from seal.sealed_at),
                    seal.ids::text,
                    seal.row_count,
                    encode(seal.rows_hash, 'hex'),
                    encode(seal.previous_hash, 'hex')
                )::text,
                'UTF8'
            )
        )
$$;
comment on function private.audit_seal_hash(ops.audit_seals) is 'What the hash of a seal must be.';

create function ops.seal_audit_log(
    batch_size integer default 1000,
    batches integer default 100
)
returns bigint
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    seal ops.audit_seals;
    previous ops.audit_seals;
    sealed bigint := 0;
begin
    -- Whoever comes second leaves the work to the first.
    if not pg_try_advisory_xact_lock(hashtext('ops.seal_audit_log'), 0) then
        return 0;
    end if;
    for batch in 1..batches loop
        with due as (
            select
                entry.id,
                private.audit_digest(entry) as digest
            from (
                select waiting.*
                from ops.audit_unsealed as waiting
                where
                    exists (
                        select
                        from ops.audit_logs_enhanced as stored
                        where
                            stored.id = waiting.id
                            and stored.created_at = waiting.created_at
                    )
                order by waiting.id
                limit batch_size
            ) as waiting
            inner join ops.audit_logs_enhanced as entry
                on
                    waiting.id = entry.id
                    and waiting.created_at = entry.created_at
        ),

        sealed_now as (
            delete from ops.audit_unsealed as waiting
            using due
            where waiting.id = due.id
        )

        select
            range_agg(int8range(due.id, due.id, '[]')),
            count(*),
            sha256(string_agg(due.digest, ''::bytea order by due.id))
        into
            seal.ids,
            seal.row_count,
            seal.rows_hash
        from due;
        exit when seal.row_count = 0;

        select stored.*
        into previous
        from ops.audit_seals as stored
        order by stored.seq desc
        limit 1;
        seal.seq := coalesce(previous.seq, 0) + 1;
        seal.sealed_at := clock_timestamp();
        seal.previous_hash := coalesce(previous.hash, ''::bytea);
        seal.hash := private.audit_seal_hash(seal);
        insert into ops.audit_seals
        select seal.*;
        -- The server's log is out of reach of who owns the tables: a chain rewritten to its end differs from it.
        raise log 'audit seal % of % records: %', seal.seq, seal.row_count, encode(seal.hash, 'hex');
        sealed := sealed + seal.row_count;
    end loop;
    return sealed;
end
$$;
comment on function ops.seal_audit_log(integer, integer) is
'Seals the committed records that no seal covers yet, a batch a seal; returns how many. '
'Until then a record is protected by privileges only.';

create function ops.verify_audit_chain(
    from_seq bigint default 1,
    to_seq bigint default null
)
returns table (
    seq bigint,
    problem text,
    detail text
)
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with seals as (
        select
            seal as stored,
            coalesce(lag(seal.seq) over in_order, 0) as seq_before,
            coalesce(lag(seal.hash) over in_order, ''::bytea) as hash_before
        from ops.audit_seals as seal
        where seal.seq between from_seq - 1 and coalesce(to_seq, 9223372036854775807)
        window in_order as (order by seal.seq)
    ),

    found as (
        select
            seals.stored,
            seals.seq_before,
            seals.hash_before,
            count(entry.id) as row_count,
            coalesce(range_agg(int8range(entry.id, entry.id, '[]')) filter (where entry.id is not null), '{}') as ids,
            sha256(
                coalesce(
                    string_agg(
                        private.audit_digest(entry), ''::bytea
                        order by
                            entry.id,
                            entry.created_at
                    ) filter (where entry.id is not null),
                    ''::bytea
                )
            ) as rows_hash
        from seals
        left join lateral unnest((seals.stored).ids) as span (ids) on true
        left join ops.audit_logs_enhanced as entry
            on
                entry.id >= lower(span.ids)
                and entry.id < upper(span.ids)
        where (seals.stored).seq >= from_seq
        group by
            seals.stored,
            seals.seq_before,
            seals.hash_before
    ),

    judged as (
        select
            (found.stored).seq,
            case
                when found.seq_before <> (found.stored).seq - 1 then 'seal_missing'
                when (found.stored).hash <> private.audit_seal_hash(found.stored) then 'seal_changed'
                when (found.stored).previous_hash <> found.hash_before then 'chain_broken'
                when found.ids <> (found.stored).ids then 'rows_missing'
                when found.row_count > (found.stored).row_count then 'rows_added'
                when
                    found.row_count <> (found.stored).row_count
                    or found.rows_hash <> (found.stored).rows_hash
                    then 'rows_changed'
            end as problem,
            case
                when found.seq_before <> (found.stored).seq - 1 then 'the seal before it'
                else format(
                    'sealed %s, found %s records; ids that are gone: %s',
                    (found.stored).row_count,
                    found.row_count,
                    (found.stored).ids - found.ids
                )
            end as detail
        from found
    )

    select
        judged.seq,
        judged.problem,
        judged.detail
    from judged
    where judged.problem is not null
    union all
    select
        null,
        'rows_never_sealed',
        'ids: ' || range_agg(int8range(entry.id, entry.id, '[]'))
    from ops.audit_logs_enhanced as entry
    where
        to_seq is null
        and (from_seq <= 1 or entry.id >= (select min(lower((seals.stored).ids)) from seals))
        and not entry.id <@ coalesce((select range_agg(seal.ids) from ops.audit_seals as seal), '{}')
        and not exists (
            select
            from ops.audit_unsealed as waiting
            where waiting.id = entry.id
        )
    having count(*) > 0
    union all
    select
        null,
        'rows_lost_before_sealing',
        'ids: ' || range_agg(int8range(waiting.id, waiting.id, '[]'))
    from ops.audit_unsealed as waiting
    where
        to_seq is null
        and not exists (
            select
            from ops.audit_logs_enhanced as entry
            where
                entry.id = waiting.id
                and entry.created_at = waiting.created_at
        )
    having count(*) > 0
$$;
comment on function ops.verify_audit_chain(bigint, bigint) is
'One row for each seal that no longer fits its records or its neighbours, and for records that escaped; none when '
'intact. Where early months have expired, start at the first seal whose records are kept.';

create function ops.check_audit_chain(at timestamptz default now())
returns bigint
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    finding record;
    findings bigint := 0;
    first_seal bigint;
begin
    -- A week, checked every night, stays affordable; the whole chain is an operator's call.
    select min(seal.seq)
    into first_seal
    from ops.audit_seals as seal
    where seal.sealed_at > at - interval '8 days';
    for finding in
        select
            found.seq,
            found.problem,
            found.detail
        from ops.verify_audit_chain(coalesce(first_seal, 1)) as found
    loop
        findings := findings + 1;
        perform ops.raise_alert(
            'audit_tampered',
            coalesce('seal ' || finding.seq, finding.problem),
            finding.problem || ': ' || finding.detail,
            'critical',
            at
        );
    end loop;
    return findings;
end
$$;
comment on function ops.check_audit_chain(timestamptz) is
'Verifies the seals of the last eight days and raises a critical alert for each finding; returns how many. '
'Such an alert is resolved by a person.';

-- The arguments are the columns whose update is worth a notice. A statement gives one notice, however many its rows.
create function private.notify_sensitive_operation()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    watched_columns text[] := coalesce(tg_argv, '{}');
    affected bigint;
    notice jsonb;
begin
    if tg_op = 'DELETE' then
        select count(*)
        into affected
        from old_rows;
    elsif tg_op = 'UPDATE' then
        select count(*)
        into affected
        from (
            select
                to_jsonb(old_row) as content,
                row_number() over () as place
            from old_rows as old_row
        ) as before
        inner join (
            select
                to_jsonb(new_row) as content,
                row_number() over () as place
            from new_rows as new_row
        ) as after on before.place = after.place
        where
            exists (
                select
                from unnest(watched_columns) as watched (name)
                where before.content -> watched.name is distinct from after.content -> watched.name
            );
    end if;
    if affected = 0 then
        return null;
    end if;

    begin
        select
            jsonb_build_object(
                'operation', tg_op,
                'schema', tg_table_schema,
                'table', tg_table_name,
                'rows', affected,
                'user', context.user_id,
                'role', context.user_role,
                'request_id', context.request_id,
                'time', clock_timestamp()
            )
        into notice
        from private.audit_context() as context;
        perform pg_notify('sensitive_operation', notice::text);
        perform realtime.send(notice, 'sensitive_operation', 'admin:security', true);
    exception
        when others then
            raise warning '% on %.% was not told: %', tg_op, tg_table_schema, tg_table_name, sqlerrm;
    end;
    return null;
end
$$;
comment on function private.notify_sensitive_operation() is
'Rings for who listens: who did what to which table, without the rows. What must not be lost is in the audit log.';

create function ops.watch_table(
    target regclass,
    updated_columns text[] default '{}'
)
returns void
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    execute format(
        'create or replace trigger sensitive_operation_delete after delete on %s referencing old table as old_rows '
        'for each statement execute function private.notify_sensitive_operation()',
        target
    );
    execute format(
        'create or replace trigger sensitive_operation_truncate after truncate on %s '
        'for each statement execute function private.notify_sensitive_operation()',
        target
    );
    if cardinality(updated_columns) > 0 then
        execute format(
            'create or replace trigger sensitive_operation_update after update on %s '
            'referencing old table as old_rows new table as new_rows '
            'for each statement execute function private.notify_sensitive_operation(%s)',
            target,
            (
                select string_agg(quote_literal(watched.name), ', ' order by watched.number)
                from unnest(updated_columns) with ordinality as watched (name, number)
            )
        );
    end if;
end
$$;
comment on function ops.watch_table(regclass, text[]) is
'Gives notice of deletes and truncates of a table, and of updates of the columns given, by triggers named '
'sensitive_operation_*.';

-- The service reads and verifies. Nobody writes: records come from triggers and from record_audit_event only.
grant select on ops.audit_logs_enhanced to app_service;
grant select on ops.audit_seals to app_service;
grant execute on function ops.verify_audit_chain(bigint, bigint) to app_service;
grant execute on function ops.record_audit_event(text, text, jsonb, text) to app_service;

-- Which keys there are and which one is in force; what they are is in Vault.
select ops.audit_table(
    'private.encryption_keys',
    array['id', 'key_name', 'version', 'purpose', 'is_active', 'created_at', 'rotated_at', 'retired_at']
);
select ops.watch_table('private.encryption_keys', array['is_active', 'retired_at']);

-- supabase/schemas/floor/40_outbox.sql

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

-- supabase/schemas/floor/41_webhook_endpoints.sql

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

-- supabase/schemas/floor/42_webhook_delivery.sql

-- Promises that every delivery is tried until it arrives or is given up, that each attempt is told, and none is lost.

create table ops.webhook_deliveries (
    id uuid primary key default gen_random_uuid(),
    outbox_id uuid not null references ops.outbox (id) on delete cascade,
    endpoint_id uuid not null references public.webhook_endpoints (id) on delete cascade,
    event_type text not null,
    state text not null default 'scheduled',
    attempt integer not null default 0,
    replays integer not null default 0,
    next_attempt_at timestamptz default now(),
    last_status integer,
    last_error text,
    created_at timestamptz not null default clock_timestamp(),
    changed_at timestamptz not null default now(),
    webhook_id text generated always as ('msg_' || replace(id::text, '-', '')) stored,
    constraint an_endpoint_gets_an_event_once unique (outbox_id, endpoint_id),
    constraint state_is_known check (state in ('scheduled', 'delivered', 'dead')),
    constraint attempt_is_within_the_schedule check (attempt between 0 and 10),
    constraint only_the_scheduled_have_a_next_attempt check ((state = 'scheduled') = (next_attempt_at is not null))
)
-- Every claim and every report leaves an old version behind: they must go while a backlog is drained.
with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);
alter table ops.webhook_deliveries enable row level security;
create index webhook_deliveries_by_endpoint on ops.webhook_deliveries (endpoint_id, created_at);
create index webhook_deliveries_that_are_due on ops.webhook_deliveries (event_type, next_attempt_at)
where state = 'scheduled';
create index webhook_deliveries_that_are_dead on ops.webhook_deliveries (changed_at)
where state = 'dead';
comment on table ops.webhook_deliveries is 'One event on its way to one endpoint.';
comment on column ops.webhook_deliveries.event_type is
'The event''s type again: a claim finds what is due of its types.';
comment on column ops.webhook_deliveries.webhook_id is
'What the receiver knows it by, the same in every attempt.';
comment on column ops.webhook_deliveries.next_attempt_at is
'When it is due. A claim moves it to the end of its lease, so a sender that dies only delays it.';
comment on column ops.webhook_deliveries.replays is 'How often its attempts began anew.';
comment on column ops.webhook_deliveries.created_at is
'By the clock and not by the transaction: a page of the log ends between two of them.';

create table ops.webhook_attempts (
    delivery_id uuid not null references ops.webhook_deliveries (id) on delete cascade,
    replay integer not null,
    attempt integer not null,
    status integer,
    error text,
    duration_ms integer,
    ended_at timestamptz not null default now(),
    constraint webhook_attempts_pkey primary key (delivery_id, replay, attempt)
);
alter table ops.webhook_attempts enable row level security;
comment on table ops.webhook_attempts is 'What became of each attempt that its sender could report.';
comment on column ops.webhook_attempts.replay is 'Which run of ten attempts it belongs to; 0 is the first.';
comment on column ops.webhook_attempts.status is 'The HTTP status; null when there was no answer.';
comment on column ops.webhook_attempts.ended_at is 'When it was reported.';

create function private.wake_after_scheduling()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.wake_delivery(
        variadic array(
            select distinct known.edge_function
            from ops.event_types as known
            where known.event_type in (select scheduled.event_type from scheduled)
        )
    );
    return null;
end
$$;
comment on function private.wake_after_scheduling() is
'One wake-up for each edge function that a statement has given something to deliver, however much it is.';

create trigger wake_delivery
after insert on ops.webhook_deliveries
referencing new table as scheduled
for each statement
execute function private.wake_after_scheduling();

create function private.sweep_outbox()
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.wake_delivery(
        variadic array(
            select distinct known.edge_function
            from ops.event_types as known
            where
                exists (
                    select
                    from ops.webhook_deliveries as delivery
                    where
                        delivery.event_type = known.event_type
                        and delivery.state = 'scheduled'
                        and delivery.next_attempt_at <= now()
                )
        )
    );
end
$$;
comment on function private.sweep_outbox() is
'Wakes again each edge function that has something due that no wake-up reached.';

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

create function private.tell_of_dead_letters(
    endpoint_id uuid,
    last_status integer
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform ops.raise_alert(
        'dead_letters',
        private.endpoint_label(endpoint),
        format('Deliveries are dead after 10 attempts; the last status was %s.', coalesce(last_status, 0))
    )
    from public.webhook_endpoints as endpoint
    where endpoint.id = tell_of_dead_letters.endpoint_id;
exception
    when others then
        raise warning 'no alert was raised for the dead deliveries of %: %', endpoint_id, sqlerrm;
end
$$;
comment on function private.tell_of_dead_letters(uuid, integer) is
'One alert for an endpoint, whoever gave its deliveries up. Never raises: the report of an attempt must be kept.';

create function private.disable_webhook_endpoint(
    endpoint_id uuid,
    reason text
)
returns boolean
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    endpoint public.webhook_endpoints;
begin
    update public.webhook_endpoints as stored
    set
        disabled_at = now(),
        disabled_reason = disable_webhook_endpoint.reason
    where
        stored.id = disable_webhook_endpoint.endpoint_id
        and stored.disabled_at is null
    returning stored.* into endpoint;
    if endpoint.id is null then
        return false;
    end if;

    -- A bounded part now, and never what a sender is reporting: a claim gives up the rest.
    with chosen as (
        select delivery.id
        from ops.webhook_deliveries as delivery
        where
            delivery.endpoint_id = endpoint.id
            and delivery.state = 'scheduled'
        limit 5000
        for update skip locked
    )

    update ops.webhook_deliveries as delivery
    set
        state = 'dead',
        next_attempt_at = null,
        last_error = 'the endpoint is disabled: ' || endpoint.disabled_reason,
        changed_at = now()
    from chosen
    where delivery.id = chosen.id;

    if endpoint.disabled_reason = 'switched_off' then
        return true;
    end if;
    begin
        perform ops.raise_alert(
            'webhook_endpoint_disabled',
            private.endpoint_label(endpoint),
            case endpoint.disabled_reason
                when 'gone' then 'It answered 410: nothing is sent to it any more.'
                else 'Nothing has arrived for five days: nothing is sent to it any more.'
            end
        );
        if endpoint.user_id is not null then
            perform realtime.send(
                jsonb_build_object(
                    'endpoint_id', endpoint.id,
                    'reason', endpoint.disabled_reason,
                    'disabled_at', endpoint.disabled_at
                ),
                'webhook_disabled',
                'user:' || endpoint.user_id,
                true
            );
        end if;
    exception
        when others then
            raise warning 'nobody was told that the endpoint % is disabled: %', endpoint.id, sqlerrm;
    end;
    return true;
end
$$;
comment on function private.disable_webhook_endpoint(uuid, text) is
'Stops an endpoint, gives up what was on its way and tells the operator and its owner; whether it was in use.';

create function private.claim_webhook_deliveries(
    event_types text[],
    most integer,
    lease_seconds integer
)
returns table (
    delivery_id uuid,
    webhook_id text,
    attempt integer,
    url text,
    secrets text[],
    body text,
    allow_private boolean
)
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
#variable_conflict use_column
declare
    at_most constant integer := least(greatest(coalesce(claim_webhook_deliveries.most, 20), 0), 500);
    lease constant interval := make_interval(secs => least(greatest(coalesce(lease_seconds, 60), 1), 3600));
    types constant text[] := (
        select array_agg(known.event_type)
        from ops.event_types as known
        where
            claim_webhook_deliveries.event_types is null
            or known.event_type = any(claim_webhook_deliveries.event_types)
    );
    taken integer;
    claimed uuid[];
begin
    -- Again only when everything found was given up: else a sender would think that nothing is due.
    for round in 1..20 loop
        with due as materialized (
            select
                delivery.id,
                delivery.attempt,
                delivery.endpoint_id
            from unnest(types) as wanted (event_type)
            cross join lateral (
                select
                    candidate.id,
                    candidate.attempt,
                    candidate.endpoint_id,
                    candidate.next_attempt_at
                from ops.webhook_deliveries as candidate
                where
                    candidate.event_type = wanted.event_type
                    and candidate.state = 'scheduled'
                    and candidate.next_attempt_at <= now()
                order by candidate.next_attempt_at
                limit at_most
                for update skip locked
            ) as delivery
            order by delivery.next_attempt_at
            limit at_most
        ),

        judged as (
            select
                due.id,
                case
                    -- A sender that died ten times over one delivery will not do better the next time.
                    when due.attempt >= 10 then 'every sender vanished before it could report'
                    when endpoint.disabled_at is not null
                        then 'the endpoint is disabled: ' || endpoint.disabled_reason
                    when endpoint.entitled_until <= now() then 'not entitled'
                end as verdict,
                exists (
                    select
                    from vault.secrets as stored
                    where stored.name = 'webhook_endpoint_' || endpoint.id
                ) as has_secret
            from due
            inner join public.webhook_endpoints as endpoint on due.endpoint_id = endpoint.id
        ),

        moved as (
            update ops.webhook_deliveries as delivery
            set
                state = case when judged.verdict is null then 'scheduled' else 'dead' end,
                attempt = delivery.attempt + case when judged.verdict is null then 1 else 0 end,
                next_attempt_at = case when judged.verdict is null then now() + lease end,
                last_error = case
                    when delivery.attempt >= 10 then coalesce(delivery.last_error, judged.verdict)
                    when judged.verdict is not null then judged.verdict
                    when not judged.has_secret then 'the endpoint has no secret in Vault'
                end,
                changed_at = now()
            from judged
            where delivery.id = judged.id
            returning
                delivery.id,
                delivery.endpoint_id,
                delivery.attempt,
                delivery.last_status,
                judged.verdict,
                judged.has_secret
        ),

        told as (
            select private.tell_of_dead_letters(spent.endpoint_id, max(spent.last_status))
            from moved as spent
            where
                spent.verdict is not null
                and spent.attempt >= 10
            group by spent.endpoint_id
        )

        select
            count(*),
            array_agg(moved.id) filter (where moved.verdict is null and moved.has_secret)
        into
            taken,
            claimed
        from moved
        where (select count(*) from told) >= 0;
        exit when taken = 0 or claimed is not null;
    end loop;

    return query
    with signing as materialized (
        -- Once for an endpoint: decrypting costs more than all the rest of a claim.
        select
            endpoint.id,
            endpoint.url,
            endpoint.allow_private,
            array_remove(
                array[
                    private.vault_secret('webhook_endpoint_' || endpoint.id),
                    case
                        when endpoint.previous_secret_until > now()
                            then private.vault_secret('webhook_endpoint_' || endpoint.id || '_previous')
                    end
                ],
                null
            ) as secrets
        from public.webhook_endpoints as endpoint
        where
            endpoint.id in (
                select delivery.endpoint_id
                from ops.webhook_deliveries as delivery
                where delivery.id = any(claimed)
            )
    )

    select
        delivery.id,
        delivery.webhook_id,
        delivery.attempt,
        signing.url,
        signing.secrets,
        jsonb_build_object(
            'type', event.event_type,
            'timestamp', to_char(event.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'data', event.data
        )::text,
        signing.allow_private
    from ops.webhook_deliveries as delivery
    inner join ops.outbox as event on delivery.outbox_id = event.id
    inner join signing on delivery.endpoint_id = signing.id
    where delivery.id = any(claimed);
end
$$;
comment on function private.claim_webhook_deliveries(text[], integer, integer) is
'What public.claim_webhook_deliveries does. Granted to nobody.';

create function public.claim_webhook_deliveries(
    event_types text[] default null,
    "limit" integer default 20,
    lease_seconds integer default 60
)
returns table (
    delivery_id uuid,
    webhook_id text,
    attempt integer,
    url text,
    secrets text[],
    body text,
    allow_private boolean
)
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select * from private.claim_webhook_deliveries(event_types, "limit", lease_seconds)
$$;
comment on function public.claim_webhook_deliveries(text[], integer, integer) is
'Leases what is due of the types (null: all) to one sender, at most 500 at a time: where to post, what to sign, and '
'with which secrets, the newest first. What may not be sent any more is given up on the way.';

create function public.record_webhook_deliveries(reports jsonb)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
    endpoints jsonb;
    finding record;
begin
    if jsonb_typeof(reports) is distinct from 'array' then
        raise exception using
            errcode = 'PT400',
            message = 'The reports are no JSON array.',
            hint = 'Send an array of {delivery_id, attempt, status, error, retry_after_seconds, duration_ms}.';
    end if;
    if jsonb_array_length(reports) > 1000 then
        raise exception using
            errcode = 'PT413',
            message = 'These are more than 1000 reports.',
            hint = 'Send them in parts.';
    end if;

    with told as materialized (
        select
            judged.*,
            -- As a column of its own: of "problem is null" the planner expects one row, and compares all with all.
            judged.problem is null as is_sound
        from (
            select
                item.number - 1 as index,
                item.value,
                case
                    when jsonb_typeof(item.value) <> 'object' then 'It is no object.'
                    when coalesce(not pg_input_is_valid(item.value ->> 'delivery_id', 'uuid'), true)
                        then 'delivery_id is no uuid.'
                    when
                        jsonb_typeof(item.value -> 'attempt') is distinct from 'number'
                        or item.value ->> 'attempt' !~ '^([1-9]|10)$'
                        then 'attempt is not 1 to 10.'
                    when
                        jsonb_typeof(item.value -> 'status') not in ('number', 'null')
                        or item.value ->> 'status' !~ '^[1-9][0-9]{2}$'
                        then 'status is not 100 to 999.'
                    when jsonb_typeof(item.value -> 'error') not in ('string', 'null') then 'error is no text.'
                    when
                        jsonb_typeof(item.value -> 'retry_after_seconds') not in ('number', 'null')
                        or (item.value ->> 'retry_after_seconds')::numeric not between 0 and 1e12
                        then 'retry_after_seconds is not 0 or more.'
                    when
                        jsonb_typeof(item.value -> 'duration_ms') not in ('number', 'null')
                        or item.value ->> 'duration_ms' !~ '^[0-9]{1,9}$'
                        then 'duration_ms is no whole number of milliseconds.'
                end as problem
            from jsonb_array_elements(reports) with ordinality as item (value, number)
        ) as judged
    ),

    report as materialized (
        select distinct on (said.delivery_id, said.attempt)
            said.*,
            coalesce(said.status between 200 and 299, false) as is_accepted
        from (
            select
                (told.value ->> 'delivery_id')::uuid as delivery_id,
                (told.value ->> 'attempt')::integer as attempt,
                (told.value ->> 'status')::integer as status,
                left(told.value ->> 'error', 2000) as error,
                (told.value ->> 'retry_after_seconds')::double precision as retry_after_seconds,
                (told.value ->> 'duration_ms')::integer as duration_ms,
                told.index
            from told
            where told.is_sound
        ) as said
        order by
            said.delivery_id,
            said.attempt,
            said.index
    ),

    stored as materialized (
        select
            delivery.id,
            delivery.endpoint_id,
            delivery.state,
            delivery.attempt,
            delivery.replays
        from ops.webhook_deliveries as delivery
        where delivery.id in (select report.delivery_id from report)
        order by delivery.id
        for update
    ),

    logged as (
        insert into ops.webhook_attempts (delivery_id, replay, attempt, status, error, duration_ms)
        select
            stored.id,
            stored.replays,
            report.attempt,
            report.status,
            report.error,
            report.duration_ms
        from report
        inner join stored on report.delivery_id = stored.id
        where
            report.is_accepted
            -- An attempt of before a replay has no place among those that are still to come.
            or report.attempt <= stored.attempt
        on conflict on constraint webhook_attempts_pkey do nothing
        returning
            webhook_attempts.delivery_id,
            webhook_attempts.attempt
    ),

    counted as (
        select
            report.*,
            stored.endpoint_id,
            stored.state,
            stored.attempt as newest_attempt
        from logged
        inner join report on logged.delivery_id = report.delivery_id and logged.attempt = report.attempt
        inner join stored on logged.delivery_id = stored.id
    ),

    -- A late report of an earlier attempt may tell of success, but not undo what came after it.
    decisive as (
        select distinct on (counted.delivery_id)
            counted.*,
            case when not counted.is_accepted then private.retry_delay(counted.attempt) end as wait
        from counted
        where
            (counted.is_accepted and counted.state <> 'delivered')
            or (counted.state = 'scheduled' and counted.attempt = counted.newest_attempt)
        order by
            counted.delivery_id,
            counted.is_accepted desc
    ),

    changed as (
        update ops.webhook_deliveries as delivery
        set
            state = case
                when decisive.is_accepted then 'delivered'
                when decisive.wait is null or decisive.status = 410 then 'dead'
                else 'scheduled'
            end,
            next_attempt_at = case
                when not decisive.is_accepted and decisive.status is distinct from 410 and decisive.wait is not null
                    then now() + greatest(
                        decisive.wait * (0.9 + 0.2 * random()),
                        make_interval(secs => least(coalesce(decisive.retry_after_seconds, 0), 86400))
                    )
            end,
            last_status = decisive.status,
            last_error = decisive.error,
            changed_at = now()
        from decisive
        where delivery.id = decisive.delivery_id
        returning
            delivery.id,
            delivery.endpoint_id,
            delivery.state,
            delivery.last_status
    ),

    judged as (
        select
            counted.endpoint_id,
            bool_or(counted.is_accepted) as has_success,
            bool_or(coalesce(counted.status, 0) = 410) as is_gone,
            bool_or(not counted.is_accepted) as has_failure
        from counted
        group by counted.endpoint_id
    ),

    -- Few batches have anything to change here, so that senders do not wait for each other.
    held as (
        select endpoint.id
        from public.webhook_endpoints as endpoint
        inner join judged on endpoint.id = judged.endpoint_id
        where
            (judged.has_success and endpoint.failing_since is not null)
            or (judged.has_success and coalesce(endpoint.last_success_at < now() - interval '1 minute', true))
            or (not judged.has_success and endpoint.failing_since is null)
        order by endpoint.id
        for no key update of endpoint
    ),

    marked as (
        update public.webhook_endpoints as endpoint
        set
            last_success_at = case when judged.has_success then now() else endpoint.last_success_at end,
            failing_since = case when not judged.has_success then coalesce(endpoint.failing_since, now()) end
        from held
        inner join judged on held.id = judged.endpoint_id
        where endpoint.id = held.id
    )

    select
        jsonb_build_object(
            'recorded', (select count(*) from logged),
            'delivered', (select count(*) from changed where changed.state = 'delivered'),
            'scheduled', (select count(*) from changed where changed.state = 'scheduled'),
            'dead', (select count(*) from changed where changed.state = 'dead'),
            'unknown', (
                select count(*)
                from report
                where report.delivery_id not in (select stored.id from stored)
            ),
            'rejected', coalesce(
                (
                    select jsonb_agg(
                        jsonb_build_object('index', told.index, 'message', told.problem) order by told.index
                    )
                    from told
                    where not told.is_sound
                ),
                '[]'
            )
        ),
        (
            select jsonb_agg(
                jsonb_build_object(
                    'id', judged.endpoint_id,
                    'is_gone', judged.is_gone,
                    'is_failing', not judged.has_success,
                    'has_dead', given_up.endpoint_id is not null,
                    'last_status', given_up.last_status
                )
                order by judged.endpoint_id
            )
            from judged
            left join (
                select
                    changed.endpoint_id,
                    max(changed.last_status) as last_status
                from changed
                where
                    changed.state = 'dead'
                    and changed.last_status is distinct from 410
                group by changed.endpoint_id
            ) as given_up on judged.endpoint_id = given_up.endpoint_id
            where judged.has_failure
        )
    into
        answer,
        endpoints;

    for finding in
        select *
        from jsonb_to_recordset(endpoints)
        as judged (id uuid, is_gone boolean, is_failing boolean, has_dead boolean, last_status integer)
    loop
        if finding.has_dead then
            perform private.tell_of_dead_letters(finding.id, finding.last_status);
        end if;
        if finding.is_gone then
            perform private.disable_webhook_endpoint(finding.id, 'gone');
        elsif finding.is_failing then
            perform private.disable_webhook_endpoint(endpoint.id, 'failing')
            from public.webhook_endpoints as endpoint
            where
                endpoint.id = finding.id
                and endpoint.disabled_at is null
                and endpoint.failing_since <= now() - interval '5 days';
        end if;
    end loop;
    return answer;
end
$$;
comment on function public.record_webhook_deliveries(jsonb) is
'What became of up to 1000 attempts: 2xx delivers, 410 disables the endpoint, anything else waits by the schedule with '
'jitter, at least as long as Retry-After asks for; the tenth failure is final. A repeated report changes nothing.';

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
    delivery.changed_at as died_at,
    delivery.webhook_id
from ops.webhook_deliveries as delivery
inner join ops.outbox as event on delivery.outbox_id = event.id
inner join public.webhook_endpoints as endpoint on delivery.endpoint_id = endpoint.id
where delivery.state = 'dead';
comment on view ops.dead_letters is
'Deliveries that were given up, and why. public.replay_webhook_deliveries sends them again.';

create function public.replay_webhook_deliveries(
    delivery_ids uuid[] default null,
    endpoint_id uuid default null,
    since timestamptz default null,
    batch_size integer default 1000,
    until timestamptz default null
)
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    replayed jsonb;
begin
    -- The id stays: a receiver that did the work before its answer was lost recognises it.
    with chosen as (
        select delivery.id
        from ops.webhook_deliveries as delivery
        inner join public.webhook_endpoints as endpoint on delivery.endpoint_id = endpoint.id
        where
            delivery.state = 'dead'
            and endpoint.disabled_at is null
            and (endpoint.entitled_until is null or endpoint.entitled_until > now())
            and (delivery_ids is null or delivery.id = any(delivery_ids))
            and (
                replay_webhook_deliveries.endpoint_id is null
                or delivery.endpoint_id = replay_webhook_deliveries.endpoint_id
            )
            and (since is null or delivery.changed_at >= since)
            and (until is null or delivery.changed_at < until)
        order by
            delivery.changed_at,
            delivery.id
        limit least(greatest(replay_webhook_deliveries.batch_size, 0), 5000)
        for update of delivery skip locked
    ),

    revived as (
        update ops.webhook_deliveries as delivery
        set
            state = 'scheduled',
            attempt = 0,
            replays = delivery.replays + 1,
            next_attempt_at = now(),
            changed_at = now()
        from chosen
        where delivery.id = chosen.id
        returning
            delivery.endpoint_id,
            delivery.event_type
    )

    select
        jsonb_build_object(
            'count', count(*),
            'endpoints', jsonb_agg(distinct revived.endpoint_id),
            'event_types', jsonb_agg(distinct revived.event_type)
        )
    into replayed
    from revived;

    perform ops.resolve_alert('dead_letters', private.endpoint_label(endpoint))
    from public.webhook_endpoints as endpoint
    where
        replayed -> 'endpoints' ? endpoint.id::text
        and not exists (
            select
            from ops.webhook_deliveries as delivery
            where
                delivery.endpoint_id = endpoint.id
                and delivery.state = 'dead'
        );
    perform private.wake_delivery(
        variadic array(
            select distinct known.edge_function
            from ops.event_types as known
            where replayed -> 'event_types' ? known.event_type
        )
    );
    return (replayed ->> 'count')::integer;
end
$$;
comment on function public.replay_webhook_deliveries(uuid[], uuid, timestamptz, integer, timestamptz) is
'Sends dead deliveries again from the first attempt, oldest first, at most 5000 at a time; no argument means all. '
'since and until are when they died. Returns how many. An endpoint that is disabled or not entitled keeps its dead.';

create function private.test_webhook_endpoint(endpoint_id uuid)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    endpoint constant public.webhook_endpoints := private.locked_webhook_endpoint(test_webhook_endpoint.endpoint_id);
    event_id constant uuid := gen_random_uuid();
    answer jsonb;
begin
    if endpoint.disabled_at is not null or endpoint.entitled_until <= now() then
        raise exception using
            errcode = 'PT409',
            message = 'Nothing is sent to this endpoint.',
            detail = coalesce('It is disabled: ' || endpoint.disabled_reason || '.', 'Its owner is not entitled.'),
            hint = 'Switch it on first.';
    end if;
    if (
        select count(*)
        from ops.webhook_deliveries as delivery
        where
            delivery.endpoint_id = endpoint.id
            and delivery.event_type = 'webhook.test'
            and delivery.created_at > now() - interval '1 minute'
    ) >= 10 then
        raise exception using
            errcode = 'PT429',
            message = 'This endpoint was tried ten times in a minute.',
            hint = 'Wait a minute.';
    end if;
    insert into ops.outbox (id, event_type, dedupe_key, data)
    values (
        event_id,
        'webhook.test',
        endpoint.id || ':' || event_id,
        jsonb_build_object('endpoint_id', endpoint.id, 'requested_at', now())
    );
    insert into ops.webhook_deliveries (outbox_id, endpoint_id, event_type)
    values (event_id, endpoint.id, 'webhook.test')
    returning jsonb_build_object('delivery_id', webhook_deliveries.id, 'webhook_id', webhook_deliveries.webhook_id)
    into answer;
    return answer;
end
$$;
comment on function private.test_webhook_endpoint(uuid) is
'Sends webhook.test to one endpoint, ten times a minute at most.';

create function private.webhook_log(
    endpoint_id uuid,
    most integer default 50,
    before timestamptz default null
)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if coalesce(most not between 1 and 200, true) then
        raise exception using
            errcode = 'PT400',
            message = 'The limit is not 1 to 200.';
    end if;
    if not exists (
        select
        from public.webhook_endpoints as endpoint
        where endpoint.id = webhook_log.endpoint_id
    ) then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such webhook endpoint.',
            hint = 'Send the id that the registration returned.';
    end if;
    return (
        with page as (
            select *
            from ops.webhook_deliveries as delivery
            where
                delivery.endpoint_id = webhook_log.endpoint_id
                and (webhook_log.before is null or delivery.created_at < webhook_log.before)
            order by delivery.created_at desc
            -- A page that ended between two of one moment would lose the second.
            fetch first (webhook_log.most) rows with ties
        )

        select
            jsonb_build_object(
                'deliveries',
                coalesce(
                    jsonb_agg(
                        jsonb_build_object(
                            'delivery_id', page.id,
                            'webhook_id', page.webhook_id,
                            'event_type', page.event_type,
                            'created_at', page.created_at,
                            'state', page.state,
                            'attempt', page.attempt,
                            'next_attempt_at', page.next_attempt_at,
                            'last_status', page.last_status,
                            'last_error', page.last_error,
                            'attempts', coalesce(tried.attempts, '[]')
                        )
                        order by page.created_at desc, page.id
                    ),
                    '[]'
                ),
                'next_before',
                case when count(*) >= webhook_log.most then min(page.created_at) end
            )
        from page
        left join lateral (
            select
                jsonb_agg(
                    jsonb_build_object(
                        'attempt', attempt.attempt,
                        'status', attempt.status,
                        'error', attempt.error,
                        'duration_ms', attempt.duration_ms,
                        'ended_at', attempt.ended_at
                    )
                    order by attempt.replay, attempt.attempt
                ) as attempts
            from ops.webhook_attempts as attempt
            where attempt.delivery_id = page.id
        ) as tried on true
    );
end
$$;
comment on function private.webhook_log(uuid, integer, timestamptz) is
'The deliveries of an endpoint with all their attempts, the newest first; next_before continues, null at the end.';

create function public.test_webhook_endpoint(endpoint_id uuid)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.test_webhook_endpoint(endpoint_id)
$$;
comment on function public.test_webhook_endpoint(uuid) is 'Sends a webhook.test event to one endpoint.';

create function public.webhook_log(
    endpoint_id uuid,
    "limit" integer default 50,
    before timestamptz default null
)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.webhook_log(endpoint_id, "limit", before)
$$;
comment on function public.webhook_log(uuid, integer, timestamptz) is
'What was sent to an endpoint and what it answered, the newest first.';

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
    perform private.forget_previous_secrets();

    -- Whole events with their deliveries: one that is still on its way, or dead and waiting for the operator, keeps all.
    with old as (
        select event.id
        from ops.outbox as event
        where
            event.created_at < cutoff
            and not exists (
                select
                from ops.webhook_deliveries as delivery
                inner join public.webhook_endpoints as endpoint on delivery.endpoint_id = endpoint.id
                where
                    delivery.outbox_id = event.id
                    and (
                        delivery.state = 'scheduled'
                        or (delivery.state = 'dead' and endpoint.user_id is null)
                        or delivery.changed_at >= cutoff
                    )
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
'Removes events whose every delivery ended 30 days ago, and receipts as old, so many at a time; returns how many. '
'The operator''s dead letters stay; secrets whose overlap is over go.';

grant execute on function public.claim_webhook_deliveries(text[], integer, integer) to app_service;
grant execute on function public.record_webhook_deliveries(jsonb) to app_service;
grant execute on function public.replay_webhook_deliveries(uuid[], uuid, timestamptz, integer, timestamptz)
to app_service;
grant execute on function public.test_webhook_endpoint(uuid) to app_service;
grant execute on function public.webhook_log(uuid, integer, timestamptz) to app_service;
grant select on ops.webhook_deliveries, ops.webhook_attempts, ops.dead_letters to app_service;

-- supabase/schemas/floor/50_realtime.sql

-- Promises that a private topic of the floor is heard only by whom it is for.

create policy "admins hear of sensitive operations" on realtime.messages
for select to authenticated
using (topic = 'admin:security' and (select private.is_admin()));

-- Texts are compared, nothing is cast: a policy that raised at a strange topic would silence all others.
create policy "people hear what is for them alone" on realtime.messages
for select to authenticated
using (
    extension = 'broadcast'
    and topic in (
        select 'user:' || private.user_id() || kind.ending
        from (values (''), (':searches')) as kind (ending)
    )
);

-- supabase/schemas/floor/70_partitions.sql

-- Promises that every kept table has its next months ready, loses only the months that its policy lets go, and that no
-- partition can be reached by itself. Months are those of UTC, whoever asks from wherever.

create table ops.partition_policies (
    parent_schema text not null,
    parent_table text not null,
    control_column text not null,
    months_ahead integer not null default 3,
    retention interval,
    primary key (parent_schema, parent_table),
    constraint months_ahead_are_45_days_or_more check (months_ahead between 2 and 24),
    constraint retention_is_a_month_or_more check (retention >= interval '1 month')
);
alter table ops.partition_policies enable row level security;
comment on table ops.partition_policies is
'Which tables are kept in monthly partitions, how far ahead and for how long.';
comment on column ops.partition_policies.control_column is 'The timestamptz column that the table is partitioned by.';
comment on column ops.partition_policies.months_ahead is 'How many months after the current one are ready.';
comment on column ops.partition_policies.retention is
'A partition goes when its newest possible row is this old; null keeps all.';

create function private.partition_column(parent regclass)
returns name
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    control name;
begin
    select attribute.attname
    into control
    from pg_partitioned_table as partitioned
    inner join pg_attribute as attribute
        on
            partitioned.partrelid = attribute.attrelid
            and partitioned.partattrs[0] = attribute.attnum
    where
        partitioned.partrelid = parent
        and partitioned.partstrat = 'r'
        and partitioned.partnatts = 1
        and attribute.atttypid = 'timestamptz'::regtype;
    if not found then
        raise exception using
            errcode = 'wrong_object_type',
            message = 'The table is not partitioned by range of one timestamptz column.',
            detail = format('The table is %s.', coalesce(parent::text, 'null')),
            hint = 'Create it with "partition by range (column)"; a plain table is not converted in place.';
    end if;
    return control;
end
$$;
comment on function private.partition_column(regclass) is
'The column that decides the month of a row; raises for a table that cannot have monthly partitions.';

-- Bounds are read, never names: an ordinary table may be called anything. ISO and UTC make the text unambiguous.
create function private.partitions_of(parent regclass)
returns table (
    child regclass,
    lower_bound timestamptz,
    upper_bound timestamptz,
    is_default boolean
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
language sql
as $$
    select
        relation.oid::regclass as child,
        (regexp_match(bound.expression, '^FOR VALUES FROM \(''([^'']+)''\)'))[1]::timestamptz as lower_bound,
        (regexp_match(bound.expression, ' TO \(''([^'']+)''\)$'))[1]::timestamptz as upper_bound,
        bound.expression = 'DEFAULT' as is_default
    from pg_inherits as inheritance
    inner join pg_class as relation on inheritance.inhrelid = relation.oid
    cross join lateral pg_get_expr(relation.relpartbound, relation.oid) as bound (expression)
    where inheritance.inhparent = partitions_of.parent
$$;
comment on function private.partitions_of(regclass) is
'The partitions of a table and their bounds; a bound without end is null.';

create function private.parent_of_policy(policy ops.partition_policies)
returns regclass
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    parent regclass := to_regclass(format('%I.%I', policy.parent_schema, policy.parent_table));
begin
    if parent is null then
        raise exception using
            errcode = 'undefined_table',
            message = 'A partition policy names a table that is not there.',
            detail = format('The policy is for %I.%I.', policy.parent_schema, policy.parent_table),
            hint = 'Delete the policy, or create the table.';
    end if;
    if private.partition_column(parent) <> policy.control_column then
        raise exception using
            errcode = 'undefined_column',
            message = 'A partition policy names another column than the table is partitioned by.',
            detail = format('%s is partitioned by %s.', parent, private.partition_column(parent)),
            hint = 'Correct control_column in ops.partition_policies.';
    end if;
    return parent;
end
$$;
comment on function private.parent_of_policy(ops.partition_policies) is
'The table of a policy; raises when the policy and the table do not agree.';

create function private.move_strays(
    source regclass,
    target regclass,
    control name,
    begins timestamptz,
    ends timestamptz
)
returns bigint
volatile
security invoker
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
language plpgsql
as $$
declare
    has_strays boolean;
    columns text;
    silence text[];
    restore text[];
    statement text;
    moved bigint;
begin
    execute format('select exists (select from only %s where %I >= $1 and %2$I < $2)', source, control)
    into has_strays
    using begins, ends;
    if not has_strays then
        return 0;
    end if;
    if exists (
        select
        from pg_constraint as foreign_key
        where
            foreign_key.contype = 'f'
            and foreign_key.confrelid = source
            and foreign_key.confdeltype in ('c', 'n', 'd')
    ) then
        raise exception using
            errcode = 'dependent_objects_still_exist',
            message = 'Rows cannot leave the default partition while a foreign key acts on their deletion.',
            detail = format('Rows from %s to %s are in %s.', begins, ends, source),
            hint = 'In one transaction drop the foreign key, create the partition and add the key again.';
    end if;

    select string_agg(format('%I', attribute.attname), ', ' order by attribute.attnum)
    into columns
    from pg_attribute as attribute
    where
        attribute.attrelid = source
        and attribute.attnum > 0
        and not attribute.attisdropped
        and attribute.attgenerated = '';

    -- To move a row is not to delete it: an append-only table must not refuse, nor an audit record it.
    select
        coalesce(array_agg(format('alter table %s disable trigger %I', source, row_trigger.tgname)), '{}'),
        coalesce(
            array_agg(
                format(
                    'alter table %s enable %s trigger %I',
                    source,
                    case row_trigger.tgenabled when 'A' then 'always' when 'R' then 'replica' else '' end,
                    row_trigger.tgname
                )
            ),
            '{}'
        )
    into
        silence,
        restore
    from pg_trigger as row_trigger
    where
        row_trigger.tgrelid = source
        and not row_trigger.tgisinternal
        and row_trigger.tgenabled <> 'D';

    foreach statement in array silence loop
        execute statement;
    end loop;
    execute format(
        'with moved as (delete from only %1$s where %2$I >= $1 and %2$I < $2 returning %3$s) '
        'insert into %4$s (%3$s) select %3$s from moved',
        source,
        control,
        columns,
        target
    )
    using begins, ends;
    get diagnostics moved = row_count;
    foreach statement in array restore loop
        execute statement;
    end loop;
    return moved;
end
$$;
comment on function private.move_strays(regclass, regclass, name, timestamptz, timestamptz) is
'Moves the rows of a span from a default partition to a table that becomes their partition; returns how many.';

create function ops.create_monthly_partition(
    parent regclass,
    month date
)
returns table (
    child regclass,
    is_new boolean,
    moved_rows bigint
)
volatile
security invoker
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
set lock_timeout = '2s'
language plpgsql
as $$
declare
    control name := private.partition_column(parent);
    begins timestamptz := date_trunc('month', month::timestamptz, 'UTC');
    ends timestamptz := begins + interval '1 month';
    child_schema name;
    child_name name;
    stray_partition regclass;
begin
    if not coalesce(isfinite(month), false) then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'The month is no date.',
            hint = 'Pass any day of the month.';
    end if;
    is_new := false;
    moved_rows := 0;

    -- Twice: on most days there is nothing to do and nothing is locked; behind the lock nobody else can make it.
    for attempt in 1..2 loop
        select existing.child
        into child
        from private.partitions_of(parent) as existing
        where
            not existing.is_default
            and coalesce(existing.lower_bound, '-infinity') <= begins
            and coalesce(existing.upper_bound, 'infinity') >= ends;
        if child is not null then
            return next;
            return;
        end if;
        -- Keeps other makers out; readers and writers of the table go on.
        execute format('lock table only %s in share update exclusive mode', parent);
    end loop;

    select
        case when schema.nspname = 'ops' then 'ops' else 'private' end,
        left(relation.relname, 55) || to_char(begins, '_YYYY_MM')
    into
        child_schema,
        child_name
    from pg_class as relation
    inner join pg_namespace as schema on relation.relnamespace = schema.oid
    where relation.oid = parent;
    if to_regclass(format('%I.%I', child_schema, child_name)) is not null then
        raise exception using
            errcode = 'duplicate_table',
            message = 'Something else has the name of the partition.',
            detail = format('%I.%I is no partition of %s for that month.', child_schema, child_name, parent),
            hint = 'Rename it; rows wait in the default partition until then.';
    end if;

    -- An attached table, unlike one created as a partition, locks nobody out of the parent. Identity comes with attach.
    execute format(
        'create table %I.%I (like %s including all excluding identity)', child_schema, child_name, parent
    );
    child := format('%I.%I', child_schema, child_name)::regclass;
    execute format('alter table %s enable row level security', child);
    execute format(
        'revoke all on table %s from public, anon, authenticated, service_role, '
        'app_anonymous, app_authenticated, app_premium, app_admin, app_service',
        child
    );
    execute format(
        'comment on table %s is %L', child, format('Rows of %s from %s until before %s.', parent, begins, ends)
    );

    select existing.child
    into stray_partition
    from private.partitions_of(parent) as existing
    where existing.is_default;
    if stray_partition is not null then
        -- A row that came in between moving and attaching would make the attaching fail.
        execute format('lock table %s in access exclusive mode', stray_partition);
        moved_rows := private.move_strays(stray_partition, child, control, begins, ends);
    end if;
    execute format('alter table %s attach partition %s for values from (%L) to (%L)', parent, child, begins, ends);
    is_new := true;
    return next;
end
$$;
comment on function ops.create_monthly_partition(regclass, date) is
'Makes sure that the UTC month of the date has a partition, and moves into it what had strayed into the default one. '
'Gives up after 2 s rather than making writers wait.';

create function private.months_to_create(
    parent regclass,
    at timestamptz,
    months_ahead integer
)
returns date[]
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
language plpgsql
as $$
declare
    this_month timestamptz := date_trunc('month', at, 'UTC');
    months date[];
    stray_partition regclass;
    stray_months date[];
begin
    select array_agg((this_month + make_interval(months => ahead))::date order by ahead)
    into months
    from generate_series(0, months_ahead) as ahead;

    select existing.child
    into stray_partition
    from private.partitions_of(parent) as existing
    where existing.is_default;
    if stray_partition is not null then
        -- Old strays too: in a month of their own they are found by time, and expire with it. A few years at a time.
        execute format(
            'select array_agg(month) from ('
            'select distinct date_trunc(''month'', %1$I, ''UTC'')::date as month from only %2$s '
            'where isfinite(%1$I) and %1$I < $1 order by month limit 36) as stray',
            private.partition_column(parent),
            stray_partition
        )
        into stray_months
        using this_month;
    end if;
    return months || coalesce(stray_months, '{}');
end
$$;
comment on function private.months_to_create(regclass, timestamptz, integer) is
'First days of the months that need a partition: the current one, those ahead, and earlier ones that have strays.';

create function ops.create_monthly_partitions(at timestamptz default now())
returns table (
    parent text,
    month date,
    child text,
    state text,
    moved_rows bigint,
    message text
)
volatile
security invoker
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
language plpgsql
as $$
declare
    policy ops.partition_policies;
    parent_table regclass;
    months date[];
begin
    if not coalesce(isfinite(at), false) then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'The time is no moment.',
            hint = 'Pass a timestamptz, or nothing for now.';
    end if;
    for policy in
        select stored.*
        from ops.partition_policies as stored
        order by
            stored.parent_schema,
            stored.parent_table
    loop
        parent := format('%I.%I', policy.parent_schema, policy.parent_table);
        -- What is wrong with one table, or with one month of it, is nothing to the others.
        begin
            month := null;
            child := null;
            months := '{}';
            parent_table := private.parent_of_policy(policy);
            -- Before the default partition is read: of two makers that had read it, neither could lock it.
            execute format('lock table only %s in share update exclusive mode', parent_table);
            months := private.months_to_create(parent_table, at, policy.months_ahead);
        exception
            when others then
                raise warning 'no partitions were made for %: %', parent, sqlerrm;
                state := 'failed';
                moved_rows := 0;
                message := sqlerrm;
                return next;
        end;
        foreach month in array months loop
            begin
                message := null;
                select
                    made.child::text,
                    case when made.is_new then 'created' else 'present' end,
                    made.moved_rows
                into
                    child,
                    state,
                    moved_rows
                from ops.create_monthly_partition(parent_table, month) as made;
            exception
                when others then
                    raise warning 'no partition was made for % in %: %', parent, month, sqlerrm;
                    child := null;
                    state := 'failed';
                    moved_rows := 0;
                    message := sqlerrm;
            end;
            return next;
        end loop;
    end loop;
end
$$;
comment on function ops.create_monthly_partitions(timestamptz) is
'Makes what is missing for every policy. One row a month: created, present, or failed with the reason.';

create function ops.drop_expired_partitions(
    at timestamptz default now(),
    dry_run boolean default false
)
returns table (
    parent text,
    child text,
    upper_bound timestamptz,
    state text,
    message text
)
volatile
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '2s'
language plpgsql
as $$
declare
    policy ops.partition_policies;
    parent_table regclass;
    expired record;
begin
    if not coalesce(isfinite(at), false) or dry_run is null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'The time is no moment, or dry_run is neither true nor false.',
            hint = 'Pass a timestamptz, or nothing for now.';
    end if;
    for policy in
        select stored.*
        from ops.partition_policies as stored
        where stored.retention is not null
        order by
            stored.parent_schema,
            stored.parent_table
    loop
        parent := format('%I.%I', policy.parent_schema, policy.parent_table);
        begin
            parent_table := private.parent_of_policy(policy);
        exception
            when others then
                raise warning 'no partitions of % were dropped: %', parent, sqlerrm;
                child := null;
                upper_bound := null;
                state := 'failed';
                message := sqlerrm;
                return next;
                continue;
        end;
        for expired in
            select
                existing.child,
                existing.upper_bound
            from private.partitions_of(parent_table) as existing
            where
                not existing.is_default
                and existing.upper_bound <= at - policy.retention
            order by existing.upper_bound
        loop
            child := expired.child::text;
            upper_bound := expired.upper_bound;
            state := 'expired';
            message := null;
            if not dry_run then
                begin
                    -- Detached first: rows that others still refer to stop it here, and the partition stays as it was.
                    execute format('alter table %s detach partition %s', parent_table, expired.child);
                    execute format('drop table %s', expired.child);
                    state := 'dropped';
                exception
                    when others then
                        raise warning 'the partition % was not dropped: %', child, sqlerrm;
                        state := 'failed';
                        message := sqlerrm;
                end;
            end if;
            return next;
        end loop;
    end loop;
end
$$;
comment on function ops.drop_expired_partitions(timestamptz, boolean) is
'Drops the partitions whose upper bound is past their policy''s retention; a dry run only tells them. '
'One row a partition: expired, dropped, or failed with the reason.';

create function ops.partition_health(at timestamptz default now())
returns table (
    parent text,
    newest_bound timestamptz,
    days_ahead integer,
    stray_rows bigint,
    is_healthy boolean,
    problem text
)
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    policy ops.partition_policies;
    parent_table regclass;
    stray_partition regclass;
    covered_until timestamptz;
    next_bound timestamptz;
begin
    for policy in
        select stored.*
        from ops.partition_policies as stored
        order by
            stored.parent_schema,
            stored.parent_table
    loop
        parent := format('%I.%I', policy.parent_schema, policy.parent_table);
        newest_bound := null;
        days_ahead := 0;
        stray_rows := null;
        begin
            parent_table := private.parent_of_policy(policy);
            select max(existing.upper_bound)
            into newest_bound
            from private.partitions_of(parent_table) as existing;

            -- A month that is missing ends what is ahead, whatever comes after it.
            covered_until := at;
            loop
                select max(coalesce(existing.upper_bound, 'infinity'))
                into next_bound
                from private.partitions_of(parent_table) as existing
                where
                    not existing.is_default
                    and coalesce(existing.lower_bound, '-infinity') <= covered_until
                    and coalesce(existing.upper_bound, 'infinity') > covered_until;
                exit when next_bound is null;
                covered_until := next_bound;
                exit when not isfinite(covered_until);
            end loop;
            days_ahead := case
                when isfinite(covered_until) then floor(extract(epoch from covered_until - at) / 86400)::integer
                else 2147483647
            end;

            select existing.child
            into stray_partition
            from private.partitions_of(parent_table) as existing
            where existing.is_default;
            stray_rows := 0;
            if stray_partition is not null then
                execute format('select count(*) from %s', stray_partition)
                into stray_rows;
            end if;

            problem := nullif(
                concat_ws(
                    ' ',
                    case when days_ahead < 45 then 'Partitions end in less than 45 days.' end,
                    case when stray_partition is null then 'There is no default partition.' end,
                    case when stray_rows > 0 then 'Rows are in the default partition.' end
                ),
                ''
            );
        exception
            when others then
                problem := sqlerrm;
        end;
        is_healthy := problem is null;
        return next;
    end loop;
end
$$;
comment on function ops.partition_health(timestamptz) is
'One row a policy: the newest bound, for how many days from now on no month is missing, and rows that strayed.';

grant select on ops.partition_policies to app_service;
grant execute on function ops.partition_health(timestamptz) to app_service;

-- The audit log is kept whole: its chain is proof only of what is there, and it holds no personal data that must go.
insert into ops.partition_policies (parent_schema, parent_table, control_column, retention)
values ('ops', 'audit_logs_enhanced', 'created_at', null);
select ops.create_monthly_partitions();

-- supabase/schemas/floor/75_archive.sql

-- Promises that what grows stays bounded: a big plain table becomes monthly partitions whole or not at all, and what
-- only tells of the past goes in small batches.

create table ops.archive_policies (
    parent_schema text not null,
    parent_table text not null,
    control_column text not null,
    created_at timestamptz not null default now(),
    primary key (parent_schema, parent_table)
);
alter table ops.archive_policies enable row level security;
comment on table ops.archive_policies is
'Which plain tables may be partitioned without asking again, once they are big. All others are only reported.';
comment on column ops.archive_policies.control_column is 'The timestamptz column that decides the month of a row.';

create function private.obstacles_to_partitioning(
    source regclass,
    control_column name
)
returns table (
    problem text,
    hint text
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        obstacle.problem,
        obstacle.hint
    from pg_class as relation
    left join pg_attribute as control
        on
            relation.oid = control.attrelid
            and control.attname = control_column
            and control.attnum > 0
            and not control.attisdropped
    cross join lateral (
        values
        (
            1,
            relation.relkind = 'p',
            'The table is partitioned already.',
            'Give it a row in ops.partition_policies.'
        ),
        (
            2,
            relation.relkind not in ('r', 'p') or relation.relpersistence <> 'p' or relation.reloftype <> 0,
            'It is no plain, permanent table.',
            'Only those can be converted.'
        ),
        (
            3,
            relation.relnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
            or exists (
                select
                from pg_depend as dependency
                where
                    dependency.classid = 'pg_class'::regclass
                    and dependency.objid = relation.oid
                    and dependency.deptype = 'e'
            ),
            'The table belongs to Postgres or to an extension.',
            'Leave it to its owner.'
        ),
        (
            4,
            relation.relispartition
            or exists (select from pg_inherits as link where relation.oid in (link.inhrelid, link.inhparent)),
            'The table has parents or children.',
            'Partition its parent instead.'
        ),
        (
            5,
            control.attname is null
            or control.atttypid <> 'timestamptz'::regtype
            or not control.attnotnull
            or control.attgenerated <> '',
            'The control column is no timestamptz column that is never null.',
            'Name one; a generated column cannot decide the month.'
        ),
        (
            6,
            exists (
                select
                from pg_constraint as inbound
                where
                    inbound.contype = 'f'
                    and inbound.confrelid = relation.oid
            ),
            'Foreign keys refer to the table.',
            'They would have to name the control column too: let them go, or delete by age instead.'
        ),
        (
            7,
            exists (
                select
                from pg_index as index
                where
                    index.indrelid = relation.oid
                    and (
                        index.indisexclusion
                        or index.indisunique
                        and not coalesce(control.attnum = any((index.indkey::int2[])[0:index.indnkeyatts - 1]), false)
                    )
            ),
            'A primary key, unique or exclusion constraint does not hold the control column.',
            'Partitions can only keep rows apart within a month: add the column to the key.'
        ),
        (
            8,
            relation.relhasrules,
            'The table has rules.',
            'Replace them with triggers.'
        ),
        (
            9,
            exists (
                select
                from pg_depend as dependency
                left join pg_policy as policy
                    on
                        dependency.classid = 'pg_policy'::regclass
                        and dependency.objid = policy.oid
                where
                    dependency.deptype = 'n'
                    and (
                        dependency.refclassid = 'pg_class'::regclass
                        and dependency.refobjid = relation.oid
                        or dependency.refclassid = 'pg_type'::regclass
                        and dependency.refobjid in (
                            select type.oid
                            from pg_type as type
                            where relation.reltype in (type.oid, type.typelem)
                        )
                    )
                    and (
                        dependency.classid in ('pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass)
                        or dependency.classid = 'pg_class'::regclass
                        and dependency.objid <> relation.oid
                        and not exists (
                            select
                            from pg_index as own
                            where
                                own.indexrelid = dependency.objid
                                and own.indrelid = relation.oid
                        )
                        or policy.polrelid <> relation.oid
                    )
            ),
            'Views, functions or policies of other tables are bound to the table.',
            'Drop them, convert, and create them again, in one migration.'
        ),
        (
            10,
            exists (
                select
                from pg_constraint as own
                where
                    own.conrelid = relation.oid
                    and (not own.convalidated or own.contype = 'c' and own.connoinherit)
            ),
            'A constraint is not validated, or not inherited.',
            'Validate it, or let partitions inherit it.'
        ),
        (
            11,
            exists (
                select
                from pg_trigger as own
                where
                    own.tgrelid = relation.oid
                    and own.tgtype & 1 = 1
                    and (own.tgoldtable is not null or own.tgnewtable is not null)
            ),
            'A row trigger has a transition table.',
            'Partitioned tables know those only for statements.'
        ),
        (
            12,
            relation.relreplident <> 'd' or relation.reloptions is not null,
            'The table has a replica identity or storage parameters of its own.',
            'Reset them: the partitions to come would not have them.'
        ),
        (
            13,
            exists (
                select
                from pg_publication_rel as published
                inner join pg_publication as publication on published.prpubid = publication.oid
                where
                    published.prrelid = relation.oid
                    and (
                        not publication.pubviaroot
                        or published.prqual is not null
                        or published.prattrs is not null
                    )
            ),
            'A publication would tell of the partitions instead of the table, or filters it.',
            'Set publish_via_partition_root on the publication, or take the table out of it.'
        ),
        (
            14,
            pg_table_size(relation.oid) > 10::bigint * 1024 * 1024 * 1024,
            'The table is larger than 10 GB: its writers would wait for too long.',
            'Create a partitioned table beside it, let the writers change over, and move the past in parts.'
        )
    ) as obstacle (number, is_there, problem, hint)
    where
        relation.oid = source
        and obstacle.is_there
    order by obstacle.number
$$;
comment on function private.obstacles_to_partitioning(regclass, name) is
'What a table has that monthly partitions could not keep; no row when it can be converted.';

create function private.copy_grants(
    source regclass,
    target regclass
)
returns void
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    kind text;
    statement text;
begin
    select case when relation.relkind = 'S' then 'sequence' else 'table' end
    into kind
    from pg_class as relation
    where relation.oid = target;

    -- Default privileges may have given the new one what the old one never had.
    for statement in
        select distinct
            format(
                'revoke all on %s %s from %s',
                kind,
                target,
                case when entry.grantee = 0 then 'public' else format('%I', pg_get_userbyid(entry.grantee)) end
            )
        from pg_class as relation
        cross join lateral aclexplode(relation.relacl) as entry
        where
            relation.oid = target
            and entry.grantee <> relation.relowner
    loop
        execute statement;
    end loop;

    for statement in
        with held as (
            select
                relation.relowner,
                relation.relacl as entries,
                null::name as column_name
            from pg_class as relation
            where relation.oid = source
            union all
            select
                relation.relowner,
                attribute.attacl,
                attribute.attname
            from pg_class as relation
            inner join pg_attribute as attribute on relation.oid = attribute.attrelid
            where
                relation.oid = source
                and attribute.attacl is not null
                and not attribute.attisdropped
        )

        select
            format(
                'grant %s%s on %s %s to %s%s',
                entry.privilege_type,
                ' (' || quote_ident(held.column_name) || ')',
                kind,
                target,
                case when entry.grantee = 0 then 'public' else format('%I', pg_get_userbyid(entry.grantee)) end,
                case when entry.is_grantable then ' with grant option' else '' end
            )
        from held
        cross join lateral aclexplode(held.entries) as entry
        where entry.grantee <> held.relowner
    loop
        execute statement;
    end loop;
end
$$;
comment on function private.copy_grants(regclass, regclass) is
'Gives one table or sequence the grants of another, on columns too, and no others.';

create function private.checksum_of(
    source regclass,
    out row_count bigint,
    out checksum numeric
)
returns record
stable
security invoker
set search_path = pg_catalog, pg_temp
set row_security = off
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
set extra_float_digits = 1
language plpgsql
as $$
declare
    columns text;
begin
    select string_agg(format('%I', attribute.attname), ', ' order by attribute.attnum)
    into columns
    from pg_attribute as attribute
    where
        attribute.attrelid = source
        and attribute.attnum > 0
        and not attribute.attisdropped;
    execute format(
        'select count(*), coalesce(sum(hashtextextended(row(%s)::text, 0)::numeric), 0) from %s', columns, source
    )
    into
        row_count,
        checksum;
end
$$;
comment on function private.checksum_of(regclass) is
'How many rows a table has, and a sum over all of them that is the same in any order.';

create function private.what_follows_the_swap(
    source regclass,
    target regclass
)
returns text[]
stable
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
language sql
as $$
    with source_name as (
        select
            relation.oid,
            relation.relname,
            format('%I.%I', schema.nspname, relation.relname) as qualified
        from pg_class as relation
        inner join pg_namespace as schema on relation.relnamespace = schema.oid
        where relation.oid = source
    ),

    steps (number, name, statement) as (
        select
            1,
            own.tgname,
            pg_get_triggerdef(own.oid)
        from pg_trigger as own
        where
            own.tgrelid = source
            and not own.tgisinternal
        union all
        select
            2,
            own.tgname,
            format(
                'alter table %s %s trigger %I',
                source_name.qualified,
                case own.tgenabled when 'D' then 'disable' when 'A' then 'enable always' else 'enable replica' end,
                own.tgname
            )
        from pg_trigger as own
        cross join source_name
        where
            own.tgrelid = source
            and not own.tgisinternal
            and own.tgenabled <> 'O'
        union all
        select
            3,
            own.tgname,
            format('comment on trigger %I on %s is %L', own.tgname, source_name.qualified, remark.text)
        from pg_trigger as own
        cross join source_name
        cross join lateral obj_description(own.oid, 'pg_trigger') as remark (text)
        where
            own.tgrelid = source
            and remark.text is not null
        union all
        select
            4,
            own.polname,
            format(
                'create policy %I on %s as %s for %s to %s%s%s',
                own.polname,
                source_name.qualified,
                case when own.polpermissive then 'permissive' else 'restrictive' end,
                case own.polcmd
                    when 'r' then 'select'
                    when 'a' then 'insert'
                    when 'w' then 'update'
                    when 'd' then 'delete'
                    else 'all'
                end,
                (
                    select
                        string_agg(
                            case when role.id = 0 then 'public' else format('%I', pg_get_userbyid(role.id)) end, ', '
                        )
                    from unnest(own.polroles) as role (id)
                ),
                ' using (' || pg_get_expr(own.polqual, own.polrelid) || ')',
                ' with check (' || pg_get_expr(own.polwithcheck, own.polrelid) || ')'
            )
        from pg_policy as own
        cross join source_name
        where own.polrelid = source
        union all
        select
            5,
            own.polname,
            format('comment on policy %I on %s is %L', own.polname, source_name.qualified, remark.text)
        from pg_policy as own
        cross join source_name
        cross join lateral obj_description(own.oid, 'pg_policy') as remark (text)
        where
            own.polrelid = source
            and remark.text is not null
        union all
        select
            6,
            publication.pubname,
            format('alter publication %I add table %s', publication.pubname, source_name.qualified)
        from pg_publication_rel as published
        inner join pg_publication as publication on published.prpubid = publication.oid
        cross join source_name
        where published.prrelid = source
        union all
        -- The sequence of an identity column is made anew; whoever knows it by name finds it again.
        select
            7,
            attribute.attname,
            format(
                'alter sequence %s rename to %I',
                pg_get_serial_sequence(target::text, attribute.attname),
                old_sequence.relname
            )
        from pg_attribute as attribute
        cross join source_name
        inner join pg_class as old_sequence
            on pg_get_serial_sequence(source_name.qualified, attribute.attname)::regclass = old_sequence.oid
        where
            attribute.attrelid = source
            and attribute.attidentity <> ''
            and not attribute.attisdropped
    )

    select coalesce(array_agg(steps.statement order by steps.number, steps.name), '{}')
    from steps
$$;
comment on function private.what_follows_the_swap(regclass, regclass) is
'Statements that give the new table, once it has the name, the triggers, policies and publications of the old one.';

create function ops.partition_large_table(
    source regclass,
    control_column name,
    dry_run boolean default false
)
returns table (
    parent text,
    months integer,
    row_count bigint,
    checksum numeric,
    is_converted boolean
)
volatile
security invoker
set search_path = pg_catalog, pg_temp
set row_security = off
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
set quote_all_identifiers = off
set lock_timeout = '2s'
language plpgsql
as $$
declare
    relation record;
    obstacle record;
    part record;
    copy_name name;
    target regclass;
    child_schema name;
    child_name name;
    child regclass;
    begins timestamptz;
    month_starts timestamptz[];
    columns text;
    prefix text;
    statement text;
    afterwards text[];
    copied record;
begin
    select
        class.oid,
        class.relname,
        class.relowner,
        class.relrowsecurity,
        class.relforcerowsecurity,
        schema.nspname,
        format('%I.%I', schema.nspname, class.relname) as qualified,
        obj_description(class.oid, 'pg_class') as remark
    into relation
    from pg_class as class
    inner join pg_namespace as schema on class.relnamespace = schema.oid
    where class.oid = source;
    if not found or control_column is null or dry_run is null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'There is no such table, or no control column is named.',
            hint = 'Pass a table, its timestamptz column, and whether it is only a rehearsal.';
    end if;
    parent := relation.qualified;
    is_converted := false;
    -- An older snapshot would not see the last rows, and the table with them is dropped.
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception using
            errcode = 'active_sql_transaction',
            message = 'The transaction looks at the past.',
            hint = 'Call it in a transaction of isolation level read committed.';
    end if;

    -- Twice: what cannot be converted is not locked, and behind the lock nothing changes any more.
    for attempt in 1..2 loop
        select found_one.*
        into obstacle
        from private.obstacles_to_partitioning(source, control_column) as found_one
        limit 1;
        if found then
            raise exception using
                errcode = 'object_not_in_prerequisite_state',
                message = obstacle.problem,
                detail = format('The table is %s.', parent),
                hint = obstacle.hint;
        end if;
        exit when dry_run;
        -- Readers go on. Writers wait until the copy has the name: a row can be neither missed nor copied twice.
        execute format('lock table only %s in share row exclusive mode', source);
    end loop;

    execute format(
        'select array_agg(distinct month order by month) from ('
        'select date_trunc(''month'', %1$I, ''UTC'') as month from only %2$s '
        'where isfinite(%1$I) and %1$I < date_trunc(''month'', now(), ''UTC'') '
        'union all '
        'select date_trunc(''month'', now(), ''UTC'') + make_interval(months => ahead) from generate_series(0, 3) as ahead'
        ') as needed',
        control_column,
        source
    )
    into month_starts;
    months := cardinality(month_starts);
    if months > 600 then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'The rows are of more than 600 months.',
            detail = format('The earliest month is %s.', month_starts[1]),
            hint = 'Correct the times that cannot be true.';
    end if;
    if dry_run then
        execute format('select count(*) from only %s', source)
        into row_count;
        return next;
        return;
    end if;

    -- The copy and its months, under the old owner.
    copy_name := left(relation.relname, 50) || '__partitioned';
    if to_regclass(format('%I.%I', relation.nspname, copy_name)) is not null then
        raise exception using
            errcode = 'duplicate_table',
            message = 'Something else has the name of the copy.',
            detail = format('%I.%I is there.', relation.nspname, copy_name),
            hint = 'Rename it.';
    end if;
    execute format(
        'create table %I.%I (like %s including all excluding indexes) partition by range (%I)',
        relation.nspname,
        copy_name,
        source,
        control_column
    );
    target := format('%I.%I', relation.nspname, copy_name)::regclass;
    if relation.relowner <> current_user::regrole then
        execute format('alter table %s owner to %I', target, pg_get_userbyid(relation.relowner));
    end if;
    child_schema := case when relation.nspname = 'ops' then 'ops' else 'private' end;
    foreach begins in array array[null::timestamptz] || month_starts loop
        child_name := left(relation.relname, 55) || coalesce(to_char(begins, '_YYYY_MM'), '_default');
        if to_regclass(format('%I.%I', child_schema, child_name)) is not null then
            raise exception using
                errcode = 'duplicate_table',
                message = 'Something else has the name of a partition.',
                detail = format('%I.%I is there.', child_schema, child_name),
                hint = 'Rename it.';
        end if;
        execute format(
            'create table %I.%I partition of %s %s',
            child_schema,
            child_name,
            target,
            case
                when begins is null then 'default'
                else format('for values from (%L) to (%L)', begins, begins + interval '1 month')
            end
        );
        child := format('%I.%I', child_schema, child_name)::regclass;
        execute format('alter table %s enable row level security', child);
        execute format(
            'revoke all on table %s from public, anon, authenticated, service_role, '
            'app_anonymous, app_authenticated, app_premium, app_admin, app_service',
            child
        );
        execute format(
            'comment on table %s is %L',
            child,
            case
                when begins is null then format('Rows of %s that have no month of their own.', parent)
                else format('Rows of %s from %s until before %s.', parent, begins, begins + interval '1 month')
            end
        );
    end loop;

    -- The rows. No trigger is there yet: to move a row is not to write it.
    select string_agg(format('%I', attribute.attname), ', ' order by attribute.attnum)
    into columns
    from pg_attribute as attribute
    where
        attribute.attrelid = source
        and attribute.attnum > 0
        and not attribute.attisdropped
        and attribute.attgenerated = '';
    execute format(
        'insert into %s (%s) overriding system value select %2$s from only %3$s', target, columns, source
    );

    -- Keys and indexes, under their own names: functions know constraints by them.
    for part in
        select
            index.indexrelid::regclass as old_index,
            index.indisunique as is_unique,
            class.relname as name,
            pg_get_indexdef(index.indexrelid) as definition,
            own.conname as constraint_name,
            pg_get_constraintdef(own.oid) as constraint_definition,
            obj_description(index.indexrelid, 'pg_class') as remark,
            obj_description(own.oid, 'pg_constraint') as constraint_remark
        from pg_index as index
        inner join pg_class as class on index.indexrelid = class.oid
        left join pg_constraint as own
            on
                index.indexrelid = own.conindid
                and own.conrelid = index.indrelid
                and own.contype in ('p', 'u')
        where index.indrelid = source
        order by
            index.indisprimary desc,
            index.indexrelid
    loop
        prefix := format(
            'CREATE %sINDEX %I ON %s USING ', case when part.is_unique then 'UNIQUE ' else '' end, part.name, parent
        );
        if part.constraint_name is null and not starts_with(part.definition, prefix) then
            raise exception using
                errcode = 'feature_not_supported',
                message = 'An index is described in words that are not understood.',
                detail = part.definition,
                hint = 'Drop it, convert, and create it again.';
        end if;
        execute format('alter index %s rename to %I', part.old_index, '__before_' || part.old_index::oid);
        if part.constraint_name is null then
            execute format(
                'create %sindex %I on %s using %s',
                case when part.is_unique then 'unique ' else '' end,
                part.name,
                target,
                substr(part.definition, length(prefix) + 1)
            );
        else
            execute format(
                'alter table %s add constraint %I %s', target, part.constraint_name, part.constraint_definition
            );
            if part.constraint_remark is not null then
                execute format(
                    'comment on constraint %I on %s is %L', part.constraint_name, target, part.constraint_remark
                );
            end if;
        end if;
        if part.remark is not null then
            execute format('comment on index %I.%I is %L', relation.nspname, part.name, part.remark);
        end if;
    end loop;
    for part in
        select
            own.conname as name,
            pg_get_constraintdef(own.oid) as definition,
            obj_description(own.oid, 'pg_constraint') as remark
        from pg_constraint as own
        where
            own.conrelid = source
            and own.contype = 'f'
        order by own.oid
    loop
        execute format('alter table %s add constraint %I %s', target, part.name, part.definition);
        if part.remark is not null then
            execute format('comment on constraint %I on %s is %L', part.name, target, part.remark);
        end if;
    end loop;

    -- Who may what.
    if relation.relrowsecurity then
        execute format('alter table %s enable row level security', target);
    end if;
    if relation.relforcerowsecurity then
        execute format('alter table %s force row level security', target);
    end if;
    execute format('comment on table %s is %L', target, relation.remark);
    perform private.copy_grants(source, target);

    -- Sequences go on where they are.
    for part in
        select
            attribute.attname as column_name,
            attribute.attidentity <> '' as is_identity,
            sequence.name::regclass as old_sequence
        from pg_attribute as attribute
        cross join lateral pg_get_serial_sequence(parent, attribute.attname) as sequence (name)
        where
            attribute.attrelid = source
            and attribute.attnum > 0
            and not attribute.attisdropped
            and sequence.name is not null
    loop
        if part.is_identity then
            statement := pg_get_serial_sequence(target::text, part.column_name);
            execute format(
                'select setval(%L, counter.last_value, counter.is_called) from %s as counter',
                statement,
                part.old_sequence
            );
            perform private.copy_grants(part.old_sequence, statement::regclass);
        else
            execute format('alter sequence %s owned by %s.%I', part.old_sequence, target, part.column_name);
        end if;
    end loop;

    -- Equal, or nothing has happened.
    select counted.*
    into copied
    from private.checksum_of(target) as counted;
    select
        counted.row_count,
        counted.checksum
    into
        row_count,
        checksum
    from private.checksum_of(source) as counted;
    if (copied.row_count, copied.checksum) is distinct from (row_count, checksum) then
        raise exception using
            errcode = 'data_corrupted',
            message = 'The copy is not equal to the table.',
            detail = format('%s rows were copied of %s in %s.', copied.row_count, row_count, parent),
            hint = 'Nothing was changed. Look for a column whose value depends on when it is computed.';
    end if;
    execute format('analyze %s', target);

    -- The swap. Only from here on readers wait, for milliseconds; without `cascade`, what was overlooked stops it.
    afterwards := private.what_follows_the_swap(source, target);
    execute format('lock table only %s in access exclusive mode', source);
    execute format('drop table %s', source);
    execute format('alter table %s rename to %I', target, relation.relname);
    foreach statement in array afterwards loop
        execute statement;
    end loop;

    insert into ops.partition_policies (parent_schema, parent_table, control_column)
    values (relation.nspname, relation.relname, partition_large_table.control_column)
    on conflict do nothing;
    perform ops.raise_alert(
        'table_partitioned',
        parent,
        format('%s rows were moved into %s months, checksum %s.', row_count, months, checksum),
        'info'
    );
    perform ops.resolve_alert('table_partitioned', parent);
    is_converted := true;
    return next;
end
$$;
comment on function ops.partition_large_table(regclass, name, boolean) is
'Turns a plain table into monthly partitions of UTC in one transaction: rows, keys, grants, policies and triggers are '
'kept, or nothing changes. Readers go on, writers wait. A rehearsal only tells what would be done.';

create function ops.auto_archive_policy(
    threshold_bytes bigint default 1073741824,
    at timestamptz default now()
)
returns table (
    parent text,
    bytes bigint,
    state text,
    message text
)
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    large record;
    alert record;
    chosen record;
    reported text[] := array[]::text[];
begin
    if not coalesce(threshold_bytes >= 0, false) or not coalesce(isfinite(at), false) then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'The threshold is no number of bytes, or the time is no moment.',
            hint = 'Pass a bigint of 0 or more and a timestamptz, or nothing.';
    end if;
    for large in
        select
            relation.oid,
            format('%I.%I', schema.nspname, relation.relname) as name,
            pg_total_relation_size(relation.oid) as bytes,
            policy.control_column::name as control_column
        from pg_class as relation
        inner join pg_namespace as schema on relation.relnamespace = schema.oid
        left join ops.archive_policies as policy
            on
                schema.nspname = policy.parent_schema
                and relation.relname = policy.parent_table
        where
            relation.relkind = 'r'
            and relation.relpersistence = 'p'
            and not relation.relispartition
            and pg_total_relation_size(relation.oid) >= threshold_bytes
            and relation.relnamespace in (
                select own.schema
                from private.own_schemas() as own (schema)
            )
            and not exists (
                select
                from pg_depend as dependency
                where
                    dependency.classid = 'pg_class'::regclass
                    and dependency.objid = relation.oid
                    and dependency.deptype = 'e'
            )
        order by
            bytes desc,
            name
    loop
        parent := large.name;
        bytes := large.bytes;
        message := null;
        if large.control_column is null then
            state := 'candidate';
            message := 'The table is large and no row of ops.archive_policies says that it may be partitioned.';
        else
            select found_one.problem
            into message
            from private.obstacles_to_partitioning(large.oid, large.control_column) as found_one
            limit 1;
            state := case when message is null then 'candidate' else 'refused' end;
            if message is null and chosen is null then
                chosen := large;
                continue;
            end if;
            -- Each conversion holds its table until commit, so one is enough.
            message := coalesce(message, 'The table waits for the next run: one is converted at a time.');
        end if;
        reported := reported || large.name;
        perform ops.raise_alert('large_table', large.name, message, at => auto_archive_policy.at);
        return next;
    end loop;

    if chosen is not null then
        parent := chosen.name;
        bytes := chosen.bytes;
        begin
            select format('%s rows are in %s months.', made.row_count, made.months)
            into message
            from ops.partition_large_table(chosen.oid, chosen.control_column) as made;
            state := 'converted';
        exception
            when others then
                raise warning '% was not partitioned: %', parent, sqlerrm;
                state := 'refused';
                message := sqlerrm;
                reported := reported || parent;
                perform ops.raise_alert('large_table', parent, message, at => auto_archive_policy.at);
        end;
        return next;
    end if;

    for alert in
        select stored.subject
        from ops.alerts as stored
        where
            stored.kind = 'large_table'
            and stored.resolved_at is null
            and stored.subject <> all(reported)
    loop
        perform ops.resolve_alert('large_table', alert.subject, auto_archive_policy.at);
    end loop;
end
$$;
comment on function ops.auto_archive_policy(bigint, timestamptz) is
'Looks for plain tables over a size: the largest that a policy names is partitioned, all others raise an alert. '
'One row a table: converted, refused with the reason, or candidate.';

create function ops.purge_cron_history(
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
    purged bigint;
begin
    with old as (
        select run.runid
        from cron.job_run_details as run
        where coalesce(run.end_time, run.start_time) < at - interval '7 days'
        order by run.runid
        limit least(greatest(purge_cron_history.batch_size, 0), 50000)
        for update skip locked
    )

    delete from cron.job_run_details as run
    using old
    where run.runid = old.runid;
    get diagnostics purged = row_count;
    return purged;
end
$$;
comment on function ops.purge_cron_history(timestamptz, integer) is
'Removes runs of pg_cron that ended seven days ago, so many at a time; returns how many. pg_cron never does.';

grant select on ops.archive_policies to app_service;

-- supabase/schemas/floor/80_monitoring.sql

-- Promises that what goes wrong is seen: sizes, figures and checks to read, and a watchdog that speaks first.
-- Views give numbers and names of our own objects, never the text of a query (D78).

create view ops.table_size_monitoring
with (security_invoker = true)
as
with parts as (
    select
        relation.relnamespace,
        relation.relname,
        relation.oid as root,
        coalesce(tree.relid::oid, relation.oid) as part
    from pg_class as relation
    left join lateral pg_partition_tree(relation.oid) as tree on true
    where
        relation.relnamespace in (
            select own.schema
            from private.own_schemas() as own (schema)
        )
        and relation.relkind in ('r', 'p', 'm')
        and not relation.relispartition
),

-- A table that is dropped meanwhile has no size.
measured as (
    select
        parts.relnamespace,
        parts.relname,
        count(*) filter (where parts.part <> parts.root) as partitions,
        sum(greatest(relation.reltuples::bigint, pg_stat_get_live_tuples(relation.oid), 0))::bigint as row_estimate,
        coalesce(sum(pg_relation_size(relation.oid)), 0)::bigint as table_bytes,
        coalesce(sum(pg_indexes_size(relation.oid)), 0)::bigint as index_bytes,
        coalesce(sum(pg_total_relation_size(relation.oid)), 0)::bigint as size_bytes
    from parts
    inner join pg_class as relation on parts.part = relation.oid
    group by
        parts.relnamespace,
        parts.relname
)

select
    schema.nspname as schemaname,
    measured.relname as tablename,
    measured.partitions,
    measured.row_estimate,
    measured.table_bytes,
    measured.index_bytes,
    measured.size_bytes,
    greatest(measured.size_bytes - measured.table_bytes - measured.index_bytes, 0) as toast_bytes,
    pg_size_pretty(measured.size_bytes) as size
from measured
inner join pg_namespace as schema on measured.relnamespace = schema.oid;
comment on view ops.table_size_monitoring is
'How large each table of ours is; a partitioned one with all its partitions. Rows are the planner''s estimate.';
comment on column ops.table_size_monitoring.toast_bytes is 'Long values kept apart, and the maps of free space.';

create table ops.table_size_history (
    day date not null,
    schemaname text not null,
    tablename text not null,
    row_estimate bigint not null,
    table_bytes bigint not null,
    index_bytes bigint not null,
    toast_bytes bigint not null,
    size_bytes bigint not null,
    primary key (schemaname, tablename, day)
);
alter table ops.table_size_history enable row level security;
comment on table ops.table_size_history is
'One row a day and table, for growth. Kept 400 days: a year and its comparison.';
comment on column ops.table_size_history.day is 'The day in UTC.';

create function ops.snapshot_table_sizes(at timestamptz default now())
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    today date := (at at time zone 'UTC')::date;
    kept integer;
begin
    insert into ops.table_size_history as stored
    select
        today as day,
        measured.schemaname,
        measured.tablename,
        measured.row_estimate,
        measured.table_bytes,
        measured.index_bytes,
        measured.toast_bytes,
        measured.size_bytes
    from ops.table_size_monitoring as measured
    on conflict (schemaname, tablename, day) do update
        set
            row_estimate = excluded.row_estimate,
            table_bytes = excluded.table_bytes,
            index_bytes = excluded.index_bytes,
            toast_bytes = excluded.toast_bytes,
            size_bytes = excluded.size_bytes;
    get diagnostics kept = row_count;
    delete from ops.table_size_history as stored
    where stored.day < today - 400;
    return kept;
end
$$;
comment on function ops.snapshot_table_sizes(timestamptz) is
'Keeps the sizes of the day, the latest if called again, and lets go what is older than 400 days; returns how many.';

create function ops.table_growth(at timestamptz default now())
returns table (
    schemaname text,
    tablename text,
    size_bytes bigint,
    bytes_per_day_in_7_days bigint,
    bytes_per_day_in_30_days bigint
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    with newest as (
        select distinct on (history.schemaname, history.tablename) history.*
        from ops.table_size_history as history
        where history.day <= (table_growth.at at time zone 'UTC')::date
        order by
            history.schemaname asc,
            history.tablename asc,
            history.day desc
    )

    select
        newest.schemaname,
        newest.tablename,
        newest.size_bytes,
        week.bytes_per_day as bytes_per_day_in_7_days,
        month.bytes_per_day as bytes_per_day_in_30_days
    from newest
    left join lateral (
        select (newest.size_bytes - oldest.size_bytes) / (newest.day - oldest.day) as bytes_per_day
        from ops.table_size_history as oldest
        where
            oldest.schemaname = newest.schemaname
            and oldest.tablename = newest.tablename
            and oldest.day between newest.day - 7 and newest.day - 1
        order by oldest.day
        limit 1
    ) as week on true
    left join lateral (
        select (newest.size_bytes - oldest.size_bytes) / (newest.day - oldest.day) as bytes_per_day
        from ops.table_size_history as oldest
        where
            oldest.schemaname = newest.schemaname
            and oldest.tablename = newest.tablename
            and oldest.day between newest.day - 30 and newest.day - 1
        order by oldest.day
        limit 1
    ) as month on true
    order by
        month.bytes_per_day desc nulls last,
        newest.size_bytes desc
$$;
comment on function ops.table_growth(timestamptz) is
'The fastest growing tables first, by the snapshots of the last 7 and 30 days; null before there are two.';

create function private.slow_statements(above_ms double precision)
returns bigint
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    counted bigint;
begin
    if to_regclass('extensions.pg_stat_statements') is null then
        return null;
    end if;
    -- A name that only some databases have. Five calls: a migration or a look around is no slow query.
    execute
        'select count(*) from extensions.pg_stat_statements as statement '
        'inner join pg_database as own on statement.dbid = own.oid '
        'where own.datname = current_database() and statement.calls >= 5 and statement.mean_exec_time > $1'
    into counted
    using above_ms;
    return counted;
exception
    when others then
        raise log 'slow statements were not counted: %', sqlerrm;
        return null;
end
$$;
comment on function private.slow_statements(double precision) is
'How many statements that ran five times or more take longer on average; null where nobody measures it.';

create view ops.database_health_metrics
with (security_invoker = true)
as
with activity as (
    select
        sum(database.numbackends) as connections,
        sum(database.blks_hit) filter (where database.datname = current_database()) as hits,
        sum(database.blks_hit + database.blks_read) filter (where database.datname = current_database()) as looks,
        sum(database.xact_rollback) filter (where database.datname = current_database()) as rollbacks,
        sum(database.xact_rollback + database.xact_commit) filter (where database.datname = current_database())
            as transactions
    from pg_stat_database as database
),

figures as (
    select
        'connection_count' as metric,
        activity.connections::numeric as value,
        'connections' as unit,
        round(current_setting('max_connections')::numeric * 0.8) as threshold,
        true as smaller_is_better
    from activity
    union all
    select
        'cache_hit_ratio' as metric,
        round(100.0 * activity.hits / nullif(activity.looks, 0), 2) as value,
        'percent' as unit,
        90 as threshold,
        false as smaller_is_better
    from activity
    union all
    select
        'transaction_rollback_ratio' as metric,
        round(100.0 * activity.rollbacks / nullif(activity.transactions, 0), 2) as value,
        'percent' as unit,
        10 as threshold,
        true as smaller_is_better
    from activity
    union all
    select
        'slow_queries' as metric,
        private.slow_statements(100)::numeric as value,
        'statements over 100 ms' as unit,
        0 as threshold,
        true as smaller_is_better
)

select
    metric,
    value,
    unit,
    threshold,
    case when smaller_is_better then value <= threshold else value >= threshold end as is_healthy
from figures;
comment on view ops.database_health_metrics is
'Four figures since the statistics were last reset. Value and is_healthy are null while nothing was measured.';

create function ops.recommend_indexes(
    min_scans bigint default 100,
    min_rows bigint default 1000,
    min_index_bytes bigint default 1048576
)
returns table (
    kind text,
    relation text,
    index_name text,
    seq_scans bigint,
    index_scans bigint,
    row_estimate bigint,
    index_bytes bigint,
    advice text
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    with parts as (
        select
            coalesce(pg_partition_root(stat.relid), stat.relid)::oid as root,
            stat.seq_scan,
            coalesce(stat.idx_scan, 0) as idx_scan,
            stat.n_live_tup
        from pg_stat_all_tables as stat
        where
            stat.relid in (
                select own.oid
                from pg_class as own
                where own.relnamespace in (
                    select own_schema.schema
                    from private.own_schemas() as own_schema (schema)
                )
            )
    ),

    -- One statement reads many partitions: its scans are those of the most read one.
    tables as (
        select
            root,
            max(seq_scan) as seq_scans,
            max(idx_scan) as index_scans,
            sum(n_live_tup)::bigint as row_estimate
        from parts
        group by root
    ),

    indexes as (
        select
            coalesce(pg_partition_root(stat.indexrelid), stat.indexrelid)::oid as root,
            sum(stat.idx_scan)::bigint as index_scans,
            sum(coalesce(pg_relation_size(stat.indexrelid), 0))::bigint as index_bytes
        from pg_stat_all_indexes as stat
        group by coalesce(pg_partition_root(stat.indexrelid), stat.indexrelid)::oid
    )

    select
        'missing_index' as kind,
        format('%I.%I', schema.nspname, relation.relname) as relation,
        null as index_name,
        tables.seq_scans,
        tables.index_scans,
        tables.row_estimate,
        null::bigint as index_bytes,
        format(
            'Read from end to end %s times, %s rows each, and %s times through an index. Index the columns that the '
            'most called statements on it compare; index_advisor proposes them.',
            tables.seq_scans, tables.row_estimate, tables.index_scans
        ) as advice
    from tables
    inner join pg_class as relation on tables.root = relation.oid
    inner join pg_namespace as schema on relation.relnamespace = schema.oid
    where
        tables.seq_scans > recommend_indexes.min_scans
        and tables.row_estimate > recommend_indexes.min_rows
        and tables.seq_scans > tables.index_scans
    union all
    select
        'unused_index' as kind,
        format('%I.%I', schema.nspname, relation.relname) as relation,
        format('%I.%I', schema.nspname, index_relation.relname) as index_name,
        null as seq_scans,
        indexes.index_scans,
        null as row_estimate,
        indexes.index_bytes,
        format(
            'Not used once since the statistics began, and %s large. Drop it if the replicas do not use it either.',
            pg_size_pretty(indexes.index_bytes)
        ) as advice
    from indexes
    inner join pg_index as definition on indexes.root = definition.indexrelid
    inner join pg_class as index_relation on definition.indexrelid = index_relation.oid
    inner join pg_class as relation on definition.indrelid = relation.oid
    inner join pg_namespace as schema on relation.relnamespace = schema.oid
    where
        relation.relnamespace in (
            select own.schema
            from private.own_schemas() as own (schema)
        )
        and indexes.index_scans = 0
        and indexes.index_bytes > recommend_indexes.min_index_bytes
        and not definition.indisunique
        and not definition.indisexclusion
        -- The index of a foreign key serves deletions, which may be rare and must not lock for long.
        and not exists (
            select
            from pg_constraint as foreign_key
            where
                foreign_key.contype = 'f'
                and foreign_key.conrelid = definition.indrelid
                and definition.indkey[0] = any(foreign_key.conkey)
        )
$$;
comment on function ops.recommend_indexes(bigint, bigint, bigint) is
'Tables that are read from end to end more often than through an index, and indexes that nobody uses.';

create view ops.index_recommendations
with (security_invoker = true)
as
select
    recommended.kind,
    recommended.relation,
    recommended.index_name,
    recommended.seq_scans,
    recommended.index_scans,
    recommended.row_estimate,
    recommended.index_bytes,
    recommended.advice
from ops.recommend_indexes() as recommended;
comment on view ops.index_recommendations is
'What ops.recommend_indexes finds: more than 100 scans of more than 1,000 rows, unused indexes of more than 1 MB.';

-- The watchdog. What it has seen it keeps, since pg_cron's history is purged after a week.

create table ops.job_expectations (
    job_name text primary key,
    max_silence interval,
    max_runtime interval not null default '1 hour',
    first_seen_at timestamptz not null default now(),
    last_checked_at timestamptz,
    last_success_at timestamptz,
    constraint max_silence_is_positive check (max_silence > interval '0'),
    constraint max_runtime_is_positive check (max_runtime > interval '0')
);
alter table ops.job_expectations enable row level security;
comment on table ops.job_expectations is
'The jobs that must be there and succeed. The watchdog adds each that it sees; delete the row of one given up.';
comment on column ops.job_expectations.job_name is 'The job in cron.job.';
comment on column ops.job_expectations.max_silence is
'How long it may go without success; null takes what its schedule says.';
comment on column ops.job_expectations.max_runtime is 'How long one run may take.';
comment on column ops.job_expectations.first_seen_at is 'From when on success is expected.';
comment on column ops.job_expectations.last_checked_at is 'When the watchdog last looked.';
comment on column ops.job_expectations.last_success_at is 'Its newest success, kept longer than pg_cron''s history.';

create function private.silence_allowed(schedule text)
returns interval
immutable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        case
            when schedule ~* '^\s*[0-9]+\s+seconds?\s*$' then interval '1 hour'
            when lower(trim(schedule)) in ('@yearly', '@annually') then interval '367 days'
            when lower(trim(schedule)) = '@monthly' then interval '32 days'
            when lower(trim(schedule)) = '@weekly' then interval '8 days'
            when lower(trim(schedule)) in ('@daily', '@midnight') then interval '26 hours'
            when lower(trim(schedule)) = '@hourly' then interval '2 hours'
            when lower(trim(schedule)) = '@reboot' then interval '1000 years'
            when field.parts[4] <> '*' then interval '367 days'
            when field.parts[3] <> '*' then interval '32 days'
            when field.parts[5] <> '*' then interval '8 days'
            when field.parts[2] <> '*' then interval '26 hours'
            when field.parts[1] ~ '^[0-9]+$' then interval '2 hours'
            else interval '1 hour'
        end
    from regexp_split_to_array(trim(schedule), '\s+') as field (parts)
$$;
comment on function private.silence_allowed(text) is
'How long after its last success a job of this schedule is overdue: 26 hours for a daily one, 1 for one of minutes.';

create function private.job_states(at timestamptz)
returns table (
    job_name text,
    state text,
    is_overdue boolean,
    last_run_at timestamptz,
    last_success_at timestamptz,
    message text
)
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    with runs as (
        select
            run.jobid,
            run.runid,
            run.status,
            run.start_time,
            run.end_time,
            split_part(run.return_message, e'\n', 1) as said
        from cron.job_run_details as run
        where run.start_time <= job_states.at
    ),

    finished as (
        select distinct on (runs.jobid) runs.*
        from runs
        where runs.status in ('succeeded', 'failed')
        order by
            runs.jobid asc,
            runs.start_time desc,
            runs.runid desc
    ),

    started as (
        select distinct on (runs.jobid) runs.*
        from runs
        order by
            runs.jobid asc,
            runs.start_time desc,
            runs.runid desc
    ),

    totals as (
        select
            runs.jobid,
            max(runs.start_time) filter (where runs.status = 'succeeded') as last_success_at,
            count(*) filter (where runs.status = 'failed' and runs.start_time > job_states.at - interval '1 hour')
                as failed_lately
        from runs
        group by runs.jobid
    ),

    -- Only the owner's jobs: of others pg_cron shows nothing on a hosted project.
    jobs as (
        select
            job.jobid,
            job.schedule,
            job.active,
            coalesce(job.jobname, 'job ' || job.jobid) as job_name
        from cron.job as job
        where job.username = current_user
    ),

    facts as (
        select
            jobs.jobid,
            jobs.active,
            jobs.schedule,
            finished.status,
            finished.said,
            started.start_time as last_run_at,
            started.status as last_status,
            coalesce(totals.failed_lately, 0) as failed_lately,
            coalesce(jobs.job_name, expected.job_name) as job_name,
            greatest(totals.last_success_at, expected.last_success_at) as last_success_at,
            coalesce(expected.first_seen_at, job_states.at) as first_seen_at,
            coalesce(expected.max_silence, private.silence_allowed(jobs.schedule)) as max_silence,
            coalesce(expected.max_runtime, interval '1 hour') as max_runtime
        from jobs
        full join ops.job_expectations as expected on jobs.job_name = expected.job_name
        left join finished on jobs.jobid = finished.jobid
        left join started on jobs.jobid = started.jobid
        left join totals on jobs.jobid = totals.jobid
    ),

    judged as (
        select
            facts.*,
            coalesce(
                coalesce(facts.last_success_at, facts.first_seen_at) < job_states.at - facts.max_silence, true
            ) as is_overdue
        from facts
    )

    select
        judged.job_name,
        case
            when judged.jobid is null then 'missing'
            when not judged.active then 'inactive'
            when
                judged.last_status not in ('succeeded', 'failed')
                and judged.last_run_at < job_states.at - judged.max_runtime
                then 'hanging'
            when judged.status = 'failed' or judged.failed_lately >= 3 then 'failing'
            when judged.is_overdue then 'silent'
            else 'healthy'
        end as state,
        judged.is_overdue,
        judged.last_run_at,
        judged.last_success_at,
        case
            when judged.jobid is null then 'The job is not scheduled any more.'
            when not judged.active then 'The job is switched off.'
            when
                judged.last_status not in ('succeeded', 'failed')
                and judged.last_run_at < job_states.at - judged.max_runtime
                then format('A run has not ended for more than %s.', judged.max_runtime)
            when judged.status = 'failed'
                then 'The last run failed: ' || coalesce(nullif(left(judged.said, 300), ''), 'it said nothing')
            when judged.failed_lately >= 3
                then format('%s runs failed in the last hour.', judged.failed_lately)
            when judged.is_overdue then format('No success for more than %s.', judged.max_silence)
        end as message
    from judged
$$;
comment on function private.job_states(timestamptz) is
'How each job of cron.job and each expected one is: healthy, failing, silent, hanging, inactive or missing.';

create function ops.watch_jobs(at timestamptz default now())
returns table (
    job_name text,
    state text,
    last_run_at timestamptz,
    last_success_at timestamptz,
    message text
)
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    job record;
begin
    if not coalesce(isfinite(at), false) then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'The time is no moment.',
            hint = 'Pass a timestamptz, or nothing for now.';
    end if;
    for job in
        select found.*
        from private.job_states(at) as found
        order by found.job_name
    loop
        insert into ops.job_expectations as stored (job_name, first_seen_at, last_checked_at, last_success_at)
        values (job.job_name, at, at, job.last_success_at)
        on conflict on constraint job_expectations_pkey do update
            set
                last_checked_at = excluded.last_checked_at,
                last_success_at = excluded.last_success_at;
        if job.state = 'healthy' then
            perform ops.resolve_alert('failing_job', job.job_name, at);
        else
            perform ops.raise_alert(
                'failing_job',
                job.job_name,
                job.message,
                case
                    when job.state = 'missing' or (job.is_overdue and job.state <> 'inactive') then 'critical'
                    else 'warning'
                end,
                at
            );
        end if;
        job_name := job.job_name;
        state := job.state;
        last_run_at := job.last_run_at;
        last_success_at := job.last_success_at;
        message := job.message;
        return next;
    end loop;

    -- Given up: neither scheduled nor expected.
    perform ops.resolve_alert('failing_job', alert.subject, at)
    from ops.alerts as alert
    where
        alert.kind = 'failing_job'
        and alert.resolved_at is null
        and not exists (
            select
            from ops.job_expectations as expected
            where expected.job_name = alert.subject
        );
end
$$;
comment on function ops.watch_jobs(timestamptz) is
'Opens an alert for every job that fails, hangs, is silent, switched off or gone, and closes it when the job succeeds.';

-- The checks. A room adds its own by defining private.<room>_<what>_health(timestamptz): nothing here names a room.

create type private.health_result as (
    is_healthy boolean,
    detail text,
    hint text,
    measured jsonb
);
comment on type private.health_result is 'What a check found; null where there is nothing to check.';

create function private.row_level_security_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        count(*) = 0 as is_healthy,
        coalesce(
            'Without RLS: ' || string_agg(relation.oid::regclass::text, ', ' order by relation.oid) || '.',
            'Every table and partition has row level security.'
        ) as detail,
        'alter table … enable row level security; then find out who made it without.' as hint,
        jsonb_build_object('tables', count(*)) as measured
    from pg_class as relation
    where
        relation.relkind in ('r', 'p')
        and not relation.relrowsecurity
        and relation.relnamespace in (
            select own.schema
            from private.own_schemas() as own (schema)
        )
        and not exists (
            select
            from pg_depend as dependency
            where
                dependency.classid = 'pg_class'::regclass
                and dependency.objid = relation.oid
                and dependency.deptype = 'e'
        )
$$;
comment on function private.row_level_security_health(timestamptz) is 'Every table of ours, children too, has RLS.';

create function private.partitions_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        coalesce(bool_and(health.is_healthy), true) as is_healthy,
        coalesce(
            string_agg(health.parent || ': ' || health.problem, ' ' order by health.parent),
            'Months are ready for 45 days and more, and nothing strayed.'
        ) as detail,
        'select * from ops.create_monthly_partitions(); and read what it says.' as hint,
        jsonb_build_object(
            'days_ahead', min(health.days_ahead),
            'stray_rows', coalesce(sum(health.stray_rows), 0)
        ) as measured
    from ops.partition_health(at) as health
$$;
comment on function private.partitions_health(timestamptz) is 'No default partition has rows; 45 days ahead are ready.';

create function private.scheduled_jobs_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        count(*) filter (where job.state <> 'healthy') = 0 as is_healthy,
        coalesce(
            string_agg(job.job_name || ': ' || job.message, ' ' order by job.job_name)
            filter (where job.state <> 'healthy'),
            'Every job succeeds in its time.'
        ) as detail,
        'select * from cron.job_run_details order by start_time desc; tells what the runs said.' as hint,
        jsonb_build_object(
            'jobs', count(*),
            'unhealthy', count(*) filter (where job.state <> 'healthy')
        ) as measured
    from private.job_states(at) as job
$$;
comment on function private.scheduled_jobs_health(timestamptz) is 'Every job of pg_cron is there and succeeds in time.';

create function private.watchdog_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        coalesce(max(expected.last_checked_at) > watchdog_health.at - interval '30 minutes', false) as is_healthy,
        coalesce(
            'The watchdog last looked at ' || max(expected.last_checked_at) || '.', 'The watchdog has not looked yet.'
        ) as detail,
        'It runs every 10 minutes: is pg_cron running, and the job floor-watch-jobs active?' as hint,
        jsonb_build_object(
            'seconds_ago', floor(extract(epoch from watchdog_health.at - max(expected.last_checked_at)))
        ) as measured
    from ops.job_expectations as expected
$$;
comment on function private.watchdog_health(timestamptz) is 'Who watches has looked in the last half hour.';

create function private.outbox_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    with waiting as (
        select
            outbox_health.at - min(delivery.next_attempt_at) filter (
                where delivery.state = 'scheduled' and endpoint.disabled_at is null
            ) as oldest,
            count(*) filter (
                where
                    delivery.state = 'dead'
                    and delivery.changed_at > outbox_health.at - interval '7 days'
                    -- A person's own server is theirs to mend; a disabled endpoint has its own alert.
                    and endpoint.user_id is null
                    and endpoint.disabled_at is null
            ) as dead
        from ops.webhook_deliveries as delivery
        inner join public.webhook_endpoints as endpoint on delivery.endpoint_id = endpoint.id
        where delivery.state <> 'delivered'
    )

    select
        waiting.dead = 0 and coalesce(waiting.oldest < interval '15 minutes', true) as is_healthy,
        concat_ws(
            ' ',
            case
                when waiting.oldest >= interval '15 minutes'
                    then format('The oldest delivery has been due for %s.', date_trunc('second', waiting.oldest))
                else 'No delivery has been due for 15 minutes.'
            end,
            case
                when waiting.dead > 0 then format('%s were given up in the last 7 days.', waiting.dead)
                else 'None was given up in the last 7 days.'
            end
        ) as detail,
        'Due: do the edge functions of ops.event_types answer, and are their secrets in Vault? Given up: last_error in '
        'ops.webhook_deliveries tells why.' as hint,
        jsonb_build_object(
            'oldest_due_seconds', greatest(floor(extract(epoch from waiting.oldest)), 0),
            'dead', waiting.dead
        ) as measured
    from waiting
$$;
comment on function private.outbox_health(timestamptz) is 'Deliveries leave when they are due, and none was given up.';

create function private.open_alerts_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        count(*) = 0 as is_healthy,
        coalesce(
            'Open: ' || string_agg(alert.kind || ' ' || alert.subject, ', ' order by alert.kind, alert.subject) || '.',
            'No critical alert is open.'
        ) as detail,
        'select * from ops.alerts where resolved_at is null; tells what each found.' as hint,
        jsonb_build_object('critical', count(*)) as measured
    from ops.alerts as alert
    where
        alert.resolved_at is null
        and alert.severity = 'critical'
        -- Those come from these checks: they would keep themselves open.
        and alert.kind <> 'health'
        and alert.first_seen_at <= open_alerts_health.at
$$;
comment on function private.open_alerts_health(timestamptz) is 'No critical alert is open.';

create function private.constraints_and_indexes_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    with found as (
        select format('%s of %s', stored.conname, stored.conrelid::regclass) as what
        from pg_constraint as stored
        where
            not stored.convalidated
            and stored.connamespace in (
                select own.schema
                from private.own_schemas() as own (schema)
            )
        union all
        select definition.indexrelid::regclass::text as what
        from pg_index as definition
        inner join pg_class as relation on definition.indrelid = relation.oid
        where
            not (definition.indisvalid and definition.indisready)
            and relation.relnamespace in (
                select own.schema
                from private.own_schemas() as own (schema)
            )
    )

    select
        count(*) = 0 as is_healthy,
        coalesce(
            'Not valid: ' || string_agg(found.what, ', ' order by found.what) || '.',
            'Every constraint and index is valid.'
        ) as detail,
        'alter table … validate constraint …; or reindex index concurrently ….' as hint,
        jsonb_build_object('not_valid', count(*)) as measured
    from found
$$;
comment on function private.constraints_and_indexes_health(timestamptz) is
'No constraint waits for validation and no index was left half built.';

create function private.foreign_keys_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    foreign_key record;
    orphans bigint;
    all_orphans bigint := 0;
    judged integer := 0;
    found text[] := array[]::text[];
begin
    -- A valid key whose triggers run cannot have orphans: only what Postgres does not vouch for is counted.
    for foreign_key in
        select
            stored.conname,
            stored.conrelid::regclass as child,
            stored.confrelid::regclass as parent,
            string_agg(
                format('child.%I = parent.%I', own.attname, other.attname), ' and ' order by pair.position
            ) as matches,
            string_agg(format('child.%I is not null', own.attname), ' and ' order by pair.position) as is_given
        from pg_constraint as stored
        cross join lateral unnest(stored.conkey, stored.confkey) with ordinality
            as pair (own_column, other_column, position)
        inner join pg_attribute as own on stored.conrelid = own.attrelid and pair.own_column = own.attnum
        inner join pg_attribute as other on stored.confrelid = other.attrelid and pair.other_column = other.attnum
        where
            stored.contype = 'f'
            and stored.connamespace in (
                select own_schema.schema
                from private.own_schemas() as own_schema (schema)
            )
            and (
                not stored.convalidated
                or exists (
                    select
                    from pg_trigger as checking
                    where
                        checking.tgconstraint = stored.oid
                        and checking.tgenabled = 'D'
                )
            )
        group by
            stored.conname,
            stored.conrelid,
            stored.confrelid
    loop
        execute format(
            'select count(*) from %s as child where %s and not exists (select from %s as parent where %s)',
            foreign_key.child, foreign_key.is_given, foreign_key.parent, foreign_key.matches
        )
        into orphans;
        judged := judged + 1;
        all_orphans := all_orphans + orphans;
        if orphans > 0 then
            found := found || format('%s of %s has %s', foreign_key.conname, foreign_key.child, orphans);
        end if;
    end loop;
    return row(
        all_orphans = 0,
        case
            when all_orphans = 0 then 'No row refers to one that is not there.'
            else 'Rows that refer to nothing: ' || array_to_string(found, ', ') || '.'
        end,
        'Delete or mend the rows, then alter table … validate constraint … and enable its triggers.',
        jsonb_build_object('keys_counted', judged, 'orphans', all_orphans, 'at', at)
    )::private.health_result;
end
$$;
comment on function private.foreign_keys_health(timestamptz) is
'No row refers to one that is not there, by keys that are not validated or whose triggers are off.';

create function private.secrets_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        count(*) = 0 as is_healthy,
        coalesce(
            'Not in Vault: ' || string_agg(needed.name, ', ' order by needed.name) || '.',
            'The secrets that delivery needs are in Vault.'
        ) as detail,
        'select vault.create_secret(value, name); see docs/webhooks.md for what each holds.' as hint,
        jsonb_build_object('missing', count(*)) as measured
    from unnest(array['project_url', 'wake_secret']) as needed (name)
    where
        not exists (
            select
            from vault.secrets as stored
            where stored.name = needed.name
        )
$$;
comment on function private.secrets_health(timestamptz) is 'Vault has the names that delivery needs; nothing is read.';

create function private.extensions_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        count(*) = 0 as is_healthy,
        coalesce(
            'Missing: ' || string_agg(needed.name, ', ' order by needed.name) || '.', 'Every extension is there.'
        ) as detail,
        'create extension …; pg_stat_statements and pg_cron must be preloaded, too.' as hint,
        jsonb_build_object('missing', count(*)) as measured
    from unnest(
        array['citext', 'pg_cron', 'pg_net', 'pg_stat_statements', 'pgcrypto', 'supabase_vault']
    ) as needed (name)
    where
        not exists (
            select
            from pg_extension as installed
            where installed.extname = needed.name
        )
$$;
comment on function private.extensions_health(timestamptz) is 'The extensions that the floor stands on are installed.';

create function private.connections_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        metric.is_healthy,
        format('%s connections; %s are too many.', metric.value, metric.threshold + 1) as detail,
        'select usename, application_name, state, count(*) from pg_stat_activity group by 1, 2, 3;' as hint,
        jsonb_build_object('connections', metric.value) as measured
    from ops.database_health_metrics as metric
    where metric.metric = 'connection_count'
$$;
comment on function private.connections_health(timestamptz) is 'Less than four in five connections are taken.';

create function private.transaction_ids_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        max(ages.age) < 500000000 as is_healthy,
        format('The oldest transaction id is %s old; Postgres stops near 2,100,000,000.', max(ages.age)) as detail,
        'What keeps vacuum from its work? A long transaction, a prepared one, or a replication slot.' as hint,
        jsonb_build_object('age', max(ages.age)) as measured
    from (
        select greatest(age(database.datfrozenxid), mxid_age(database.datminmxid)) as age
        from pg_database as database
    ) as ages
$$;
comment on function private.transaction_ids_health(timestamptz) is
'Vacuum keeps the age of transaction ids far from the end.';

create function private.long_transactions_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    with long as (
        select session.xact_start as began
        from pg_stat_activity as session
        where session.backend_type = 'client backend'
        union all
        select prepared.prepared as began
        from pg_prepared_xacts as prepared
    )

    select
        count(*) = 0 as is_healthy,
        case
            when count(*) = 0 then 'No transaction has been open for 15 minutes.'
            else format(
                '%s open for more than 15 minutes, the oldest since %s.',
                case when count(*) = 1 then '1 transaction is' else count(*) || ' transactions are' end,
                min(long.began)
            )
        end as detail,
        'select pid, usename, state, xact_start from pg_stat_activity order by xact_start; tells whose.' as hint,
        jsonb_build_object('transactions', count(*)) as measured
    from long
    where long.began < long_transactions_health.at - interval '15 minutes'
$$;
comment on function private.long_transactions_health(timestamptz) is
'No transaction holds back vacuum and locks for 15 minutes.';

create function private.encryption_keys_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        waiting.rows = 0 as is_healthy,
        case
            when waiting.rows = 0 then 'No row waits for a new key.'
            else format('%s rows are still under a key that was replaced.', waiting.rows)
        end as detail,
        'A rotation is under way, or broke off: start it again, it goes on where it was.' as hint,
        jsonb_build_object('rows', waiting.rows, 'at', at) as measured
    from (
        select coalesce(sum(found.row_count), 0) as rows
        from private.rows_under_old_keys() as found
    ) as waiting
$$;
comment on function private.encryption_keys_health(timestamptz) is
'No personal data is left under a key that was replaced.';

create function private.audit_chain_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- The newest ten: the nightly run verifies a week, and raises an alert of its own.
    with newest as (
        select coalesce(max(seal.seq), 0) as seq
        from ops.audit_seals as seal
    ),

    findings as (
        select string_agg(concat_ws(' ', found.seq, found.problem), ', ' order by found.seq) as told
        from newest
        cross join lateral ops.verify_audit_chain(greatest(newest.seq - 9, 1), newest.seq) as found
    )

    select
        findings.told is null as is_healthy,
        coalesce(
            'The audit log does not fit its seals: ' || findings.told || '.', 'The newest seals fit the audit log.'
        ) as detail,
        'Somebody with the rights of the owner changed the log. Keep the backups and find out who.' as hint,
        jsonb_build_object('newest_seal', newest.seq, 'at', at) as measured
    from newest
    cross join findings
$$;
comment on function private.audit_chain_health(timestamptz) is 'The newest seals of the audit log fit its records.';

create function private.health_checks(at timestamptz)
returns table (
    check_name text,
    is_healthy boolean,
    detail text,
    hint text,
    measured jsonb
)
volatile
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
language plpgsql
as $$
declare
    joined record;
    answer jsonb;
begin
    for joined in
        select
            proc.proname as name,
            left(proc.proname, -length('_health')) as subject
        from pg_proc as proc
        where
            proc.pronamespace = 'private'::regnamespace
            and proc.proname like '%\_health'
            and oidvectortypes(proc.proargtypes) = 'timestamp with time zone'
            and proc.prorettype = 'private.health_result'::regtype
        order by proc.proname
    loop
        begin
            execute format('select to_jsonb(private.%I($1))', joined.name)
            into answer
            using at;
        exception
            when others then
                -- What cannot be checked is not known to be well.
                answer := jsonb_build_object(
                    'is_healthy', false,
                    'detail', 'The check itself failed: ' || sqlerrm,
                    'hint', format('select private.%I(now()); as postgres tells more.', joined.name),
                    'measured', jsonb_build_object('code', sqlstate)
                );
        end;
        continue when coalesce(answer ->> 'is_healthy', answer ->> 'detail') is null;
        check_name := joined.subject;
        is_healthy := coalesce((answer ->> 'is_healthy')::boolean, false);
        detail := answer ->> 'detail';
        hint := case when not is_healthy then answer ->> 'hint' end;
        measured := nullif(answer -> 'measured', 'null');
        return next;
    end loop;
end
$$;
comment on function private.health_checks(timestamptz) is
'Every private.<what>_health(timestamptz), each by itself: one that raises is an unhealthy row, never an error.';

create function public.health_check()
returns table (
    check_name text,
    is_healthy boolean,
    detail text,
    hint text,
    measured jsonb
)
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        checked.check_name,
        checked.is_healthy,
        checked.detail,
        checked.hint,
        checked.measured
    from private.health_checks(now()) as checked
    order by
        checked.is_healthy asc,
        checked.check_name asc
$$;
comment on function public.health_check() is
'One row a check, unhealthy ones first, with what to do about them. All is well when every row is healthy.';

create function ops.watch_health(at timestamptz default now())
returns table (
    check_name text,
    is_healthy boolean,
    detail text
)
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    checked record;
    seen text[] := array[]::text[];
begin
    for checked in
        select result.*
        from private.health_checks(at) as result
    loop
        -- Those two are alerts already.
        continue when checked.check_name in ('open_alerts', 'scheduled_jobs');
        seen := seen || checked.check_name;
        if checked.is_healthy then
            perform ops.resolve_alert('health', checked.check_name, at);
        else
            perform ops.raise_alert('health', checked.check_name, checked.detail, 'warning', at);
        end if;
        check_name := checked.check_name;
        is_healthy := checked.is_healthy;
        detail := checked.detail;
        return next;
    end loop;

    -- A check that is gone, or has nothing to check any more, cannot recover.
    perform ops.resolve_alert('health', alert.subject, at)
    from ops.alerts as alert
    where
        alert.kind = 'health'
        and alert.resolved_at is null
        and alert.subject <> all(seen);
end
$$;
comment on function ops.watch_health(timestamptz) is
'Opens an alert for every check that is unhealthy and closes it when it is well again.';

grant execute on function public.health_check() to app_service;
grant execute on function
private.slow_statements(double precision),
ops.recommend_indexes(bigint, bigint, bigint),
ops.table_growth(timestamptz)
to app_service;
grant select on
ops.table_size_monitoring,
ops.table_size_history,
ops.database_health_metrics,
ops.index_recommendations,
ops.job_expectations
to app_service;

-- supabase/schemas/floor/85_job_runs.sql

-- Promises that every batch of a job leaves its counts, and that a run that did nothing leaves no row.

create table ops.job_runs (
    id bigint generated always as identity primary key,
    job_name text not null,
    counts jsonb not null,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    constraint counts_are_an_object check (jsonb_typeof(counts) = 'object'),
    constraint it_ended_after_it_began check (finished_at >= started_at)
);
alter table ops.job_runs enable row level security;
create index job_runs_by_name on ops.job_runs (job_name, started_at desc);
create index job_runs_by_time on ops.job_runs (started_at);
comment on table ops.job_runs is 'What each batch of a scheduled job did. Kept 90 days.';
comment on column ops.job_runs.job_name is 'The job in cron.job.';
comment on column ops.job_runs.counts is 'What was done, by kind: {"created": 2, "failed": 1}. Zeros are left out.';

create function ops.log_job_run(
    job_name text,
    counts jsonb
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    told jsonb;
begin
    select coalesce(jsonb_object_agg(count.key, count.value), '{}'::jsonb)
    into told
    from jsonb_each(counts) as count
    where count.value not in ('0', 'null', 'false', '""', '[]', '{}');
    if told <> '{}' then
        insert into ops.job_runs (job_name, counts, started_at, finished_at)
        values (log_job_run.job_name, told, now(), clock_timestamp());
    end if;
    return told;
exception
    when others then
        -- The work is done and must not be undone for the sake of its record.
        raise warning 'the counts of % were not logged: %', job_name, sqlerrm;
        return '{}'::jsonb;
end
$$;
comment on function ops.log_job_run(text, jsonb) is
'Keeps the counts of one run, unless all are zero; returns what it kept. Never raises.';

create function ops.purge_job_runs(
    at timestamptz default now(),
    batch_size integer default 5000
)
returns bigint
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    with purged as (
        delete from ops.job_runs as run
        where
            run.id in (
                select old.id
                from ops.job_runs as old
                where old.started_at < purge_job_runs.at - interval '90 days'
                order by old.started_at
                limit purge_job_runs.batch_size
            )
        returning run.id
    )

    select count(*)
    from purged
$$;
comment on function ops.purge_job_runs(timestamptz, integer) is
'Deletes counts older than 90 days, the oldest first; returns how many.';

grant select on ops.job_runs to app_service;

-- supabase/schemas/floor/90_schedule.sql

-- Promises that the floor looks after itself: all of its jobs, each one transaction and one bounded batch that leaves
-- its counts in ops.job_runs. pg_cron counts in GMT; Korea is nine hours ahead, so the night's work is written as
-- 17:00 on.

-- Every 10 seconds: what no wake-up reached is due again.
select cron.schedule('floor-sweep-outbox', '10 seconds', 'select private.sweep_outbox()');

-- Every minute: until a record of the audit log is sealed, only privileges protect it.
select cron.schedule(
    'floor-seal-audit-log',
    '* * * * *',
    $$select ops.log_job_run('floor-seal-audit-log', jsonb_build_object('sealed', ops.seal_audit_log()))$$
);

-- Every minute, and nothing to do but after a rotation of keys.
select cron.schedule(
    'floor-reencrypt',
    '* * * * *',
    $$select ops.log_job_run('floor-reencrypt', ops.reencrypt_batch(5000))$$
);

-- Every 10 minutes: the jobs first, then everything else, which asks after this very watchdog too.
select cron.schedule('floor-watch-jobs', '*/10 * * * *', 'select count(*) from ops.watch_jobs()');
select cron.schedule('floor-watch-health', '5-59/10 * * * *', 'select count(*) from ops.watch_health()');

-- Every 5 minutes: a request counts for one.
select cron.schedule('floor-purge-counted-requests', '*/5 * * * *', 'select private.purge_counted_requests()');

-- Every 15 minutes: the figures of the house, for the operator's curves.
select cron.schedule('floor-record-figures', '3-59/15 * * * *', 'select ops.record_figures()');

-- Every hour: the sweep alone leaves 8,640 runs a day, and pg_cron never tidies its own history.
select cron.schedule(
    'floor-purge-cron-history',
    '15 * * * *',
    $$select ops.log_job_run('floor-purge-cron-history', jsonb_build_object('purged', ops.purge_cron_history()))$$
);
select cron.schedule(
    'floor-purge-outbox',
    '20 * * * *',
    $$select ops.log_job_run('floor-purge-outbox', jsonb_build_object('purged', ops.purge_outbox()))$$
);

-- 02:20 in Korea: counts of jobs are kept 90 days.
select cron.schedule(
    'floor-purge-job-runs',
    '20 17 * * *',
    $$select ops.log_job_run('floor-purge-job-runs', jsonb_build_object('purged', ops.purge_job_runs()))$$
);

-- 02:30 in Korea: one day in a month there is something to make.
select cron.schedule(
    'floor-create-partitions',
    '30 17 * * *',
    $$
    select ops.log_job_run('floor-create-partitions', jsonb_object_agg(made.state, made.months))
    from (
        select
            state,
            count(*) as months
        from ops.create_monthly_partitions()
        where state <> 'present'
        group by state
    ) as made
    $$
);

-- 02:45 in Korea: after the making, which gives old strays a month to expire with.
select cron.schedule(
    'floor-drop-expired-partitions',
    '45 17 * * *',
    $$
    select ops.log_job_run('floor-drop-expired-partitions', jsonb_object_agg(expired.state, expired.months))
    from (
        select
            state,
            count(*) as months
        from ops.drop_expired_partitions()
        group by state
    ) as expired
    $$
);

-- 03:00 in Korea: sizes once a day, for growth.
select cron.schedule(
    'floor-snapshot-table-sizes',
    '0 18 * * *',
    $$select ops.log_job_run('floor-snapshot-table-sizes', jsonb_build_object('tables', ops.snapshot_table_sizes()))$$
);

-- 03:10 in Korea: the last eight days of the audit log's chain.
select cron.schedule(
    'floor-check-audit-chain',
    '10 18 * * *',
    $$select ops.log_job_run('floor-check-audit-chain', jsonb_build_object('findings', ops.check_audit_chain()))$$
);

-- Mondays, 04:00 in Korea (Sundays, 19:00 GMT): the writers of a table that is converted wait.
select cron.schedule(
    'floor-auto-archive',
    '0 19 * * 0',
    $$
    select ops.log_job_run('floor-auto-archive', jsonb_object_agg(judged.state, judged.tables))
    from (
        select
            state,
            count(*) as tables
        from ops.auto_archive_policy()
        group by state
    ) as judged
    $$
);

-- Once now: else a house that is minutes old would ring that nobody has looked yet.
select count(*) from ops.watch_jobs();

-- supabase/schemas/floor/95_operator.sql

-- Promises that an admin who is signed in sees how the house is and sends the dead again without the service's key, and
-- that nobody else does. Numbers and names of our own objects are told, never the text of a query (D78).

create table ops.figure_history (
    taken_at timestamptz primary key,
    figures jsonb not null,
    constraint figures_are_an_object check (jsonb_typeof(figures) = 'object')
);
alter table ops.figure_history enable row level security;
comment on table ops.figure_history is 'The figures of the house every quarter of an hour, for curves. Kept 90 days.';
comment on column ops.figure_history.figures is
'Numbers by name: {"connection_count": 12, "dead_letters": 0}. What was not measured is not there.';

create function private.database_figures(at timestamptz)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        jsonb_object_agg(metrics.metric, metrics.value) || jsonb_build_object(
            'database_bytes', pg_database_size(current_database()),
            'deliveries_due', (
                select count(*)
                from ops.webhook_deliveries as delivery
                where
                    delivery.state = 'scheduled'
                    and delivery.next_attempt_at <= database_figures.at
            ),
            'dead_letters', (
                select count(*)
                from ops.webhook_deliveries as delivery
                where delivery.state = 'dead'
            )
        )
    from ops.database_health_metrics as metrics
$$;
comment on function private.database_figures(timestamptz) is
'What the floor measures of itself: the database''s health metrics, its size, and deliveries due and dead.';

-- A room adds its own by defining private.<room>_figures(timestamptz): nothing here names a room.
create function ops.record_figures(at timestamptz default now())
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    source record;
    answer jsonb;
    taken jsonb := '{}'::jsonb;
begin
    for source in
        select proc.proname as name
        from pg_proc as proc
        where
            proc.pronamespace = 'private'::regnamespace
            and proc.proname like '%\_figures'
            and oidvectortypes(proc.proargtypes) = 'timestamp with time zone'
            and proc.prorettype = 'jsonb'::regtype
        order by proc.proname
    loop
        begin
            execute format('select private.%I($1)', source.name)
            into answer
            using at;
            taken := taken || coalesce(
                (
                    select jsonb_object_agg(figure.key, figure.value)
                    from jsonb_each(answer) as figure
                    where jsonb_typeof(figure.value) = 'number'
                ),
                '{}'::jsonb
            );
        exception
            when others then
                -- One source that fails leaves a gap in its own curves only.
                raise warning '% failed: %', source.name, sqlerrm;
        end;
    end loop;
    insert into ops.figure_history as stored (taken_at, figures)
    values (at, taken)
    on conflict (taken_at) do update
        set figures = excluded.figures;
    delete from ops.figure_history as stored
    where stored.taken_at < at - interval '90 days';
    return (
        select count(*)
        from jsonb_object_keys(taken)
    );
end
$$;
comment on function ops.record_figures(timestamptz) is
'Keeps what every private.<what>_figures(timestamptz) measures; lets go what is older than 90 days. Returns how many.';

-- The sections of the report. None is granted to anybody: the report asks first who is there.

create function private.operator_alerts()
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'kind', newest.kind,
                    'subject', newest.subject,
                    'severity', newest.severity,
                    'message', newest.message,
                    'times_seen', newest.times_seen,
                    'first_seen_at', newest.first_seen_at,
                    'last_seen_at', newest.last_seen_at
                )
                order by newest.severity = 'critical' desc, newest.first_seen_at desc, newest.id
            ),
            '[]'
        )
    from (
        select alert.*
        from ops.alerts as alert
        where alert.resolved_at is null
        order by
            alert.severity = 'critical' desc,
            alert.first_seen_at desc,
            alert.id asc
        limit 200
    ) as newest
$$;
comment on function private.operator_alerts() is 'The alerts that are open, critical ones first; 200 at most.';

create function private.operator_health()
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        coalesce(
            jsonb_agg(to_jsonb(checked) order by checked.is_healthy, checked.check_name),
            '[]'
        )
    from private.health_checks(now()) as checked
$$;
comment on function private.operator_health() is 'What public.health_check answers, as one document.';

create function private.operator_figures(days integer)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- As many points as a chart has room for, however long the time.
    with means as (
        select
            date_bin(
                make_interval(secs => 86400.0 * operator_figures.days / 168), history.taken_at, timestamptz '2020-01-01'
            ) as at,
            figure.key,
            round(avg(figure.value::numeric), 4) as mean
        from ops.figure_history as history
        cross join lateral jsonb_each_text(history.figures) as figure (key, value)
        where history.taken_at > now() - make_interval(days => operator_figures.days)
        group by
            1,
            figure.key
    ),

    points as (
        select
            means.at,
            jsonb_object_agg(means.key, means.mean) as figures
        from means
        group by means.at
    )

    select
        coalesce(
            jsonb_agg(jsonb_build_object('at', points.at, 'figures', points.figures) order by points.at),
            '[]'
        )
    from points
$$;
comment on function private.operator_figures(integer) is
'The figures of the last days as the means of some 168 spans of one length, the oldest first.';

create function private.operator_statements()
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    told jsonb;
begin
    if to_regclass('extensions.pg_stat_statements') is null then
        return null;
    end if;
    -- A name that only some databases have. Of the text only names of our own objects are told.
    execute $statement$
        with slowest as (
            select
                statement.queryid,
                min(statement.query) as query,
                sum(statement.calls) as calls,
                sum(statement.total_exec_time) as total_ms,
                max(statement.max_exec_time) as max_ms,
                sum(statement.rows) as row_count
            from extensions.pg_stat_statements as statement
            inner join pg_catalog.pg_database as own on statement.dbid = own.oid
            where own.datname = current_database()
            group by statement.queryid
            having sum(statement.calls) >= 5
            order by sum(statement.total_exec_time) / sum(statement.calls) desc
            limit 20
        ),

        own_names as (
            select
                schema.nspname,
                relation.relname as name
            from pg_catalog.pg_class as relation
            inner join pg_catalog.pg_namespace as schema on relation.relnamespace = schema.oid
            where relation.relkind in ('r', 'p', 'v', 'm')
            union
            select
                schema.nspname,
                proc.proname as name
            from pg_catalog.pg_proc as proc
            inner join pg_catalog.pg_namespace as schema on proc.pronamespace = schema.oid
        )

        select
            jsonb_agg(
                jsonb_build_object(
                    'query_id', slowest.queryid::text,
                    'kind', coalesce(
                        substring(
                            lower(slowest.query)
                            from '^\s*(select|insert|update|delete|merge|with|call|copy|refresh|do|vacuum|analyze)\M'
                        ),
                        'other'
                    ),
                    'names', coalesce(named.names, '[]'),
                    'calls', slowest.calls,
                    'mean_ms', round((slowest.total_ms / slowest.calls)::numeric, 2),
                    'max_ms', round(slowest.max_ms::numeric, 2),
                    'total_ms', round(slowest.total_ms::numeric),
                    'rows', slowest.row_count,
                    'is_slow', slowest.total_ms / slowest.calls > 100
                )
                order by slowest.total_ms / slowest.calls desc, slowest.queryid
            )
        from slowest
        left join lateral (
            select jsonb_agg(distinct own_names.nspname || '.' || own_names.name) as names
            from regexp_matches(slowest.query, '"?\m([a-z_]+)"?\."?([a-z0-9_]+)"?', 'g') as found (parts)
            inner join own_names
                on
                    found.parts[1] = own_names.nspname
                    and found.parts[2] = own_names.name
            where
                found.parts[1] in (
                    select own_schema.nspname
                    from private.own_schemas() as own (oid)
                    inner join pg_catalog.pg_namespace as own_schema on own.oid = own_schema.oid
                )
        ) as named on true
    $statement$
    into told;
    return coalesce(told, '[]');
exception
    when others then
        raise log 'slow statements were not told: %', sqlerrm;
        return null;
end
$$;
comment on function private.operator_statements() is
'The 20 statements that take longest on average, of those that ran five times; null where nobody measures it.';

create function private.operator_dead_letters()
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    with newest as (
        select delivery.*
        from ops.webhook_deliveries as delivery
        where delivery.state = 'dead'
        order by
            delivery.changed_at desc,
            delivery.id asc
        limit 200
    )

    select
        jsonb_build_object(
            'count', (
                select count(*)
                from ops.webhook_deliveries as delivery
                where delivery.state = 'dead'
            ),
            'letters', coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'delivery_id', newest.id,
                        'webhook_id', newest.webhook_id,
                        'event_type', newest.event_type,
                        'endpoint_id', newest.endpoint_id,
                        'endpoint', private.endpoint_label(endpoint),
                        'is_a_persons', endpoint.user_id is not null,
                        'can_replay', (
                            endpoint.disabled_at is null
                            and coalesce(endpoint.entitled_until > now(), true)
                        ),
                        'attempt', newest.attempt,
                        'last_status', newest.last_status,
                        'last_error', newest.last_error,
                        'created_at', newest.created_at,
                        'died_at', newest.changed_at
                    )
                    order by newest.changed_at desc, newest.id
                ),
                '[]'
            )
        )
    from newest
    inner join public.webhook_endpoints as endpoint on newest.endpoint_id = endpoint.id
$$;
comment on function private.operator_dead_letters() is
'How many deliveries are dead, and the 200 that died last; of an address only its host is told.';

create function private.operator_partitions()
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        coalesce(
            jsonb_agg(
                to_jsonb(health) || jsonb_build_object(
                    'retention', extract(epoch from policy.retention) / 86400,
                    'partitions', coalesce(parts.partitions, '[]')
                )
                order by health.is_healthy, health.parent
            ),
            '[]'
        )
    from ops.partition_health() as health
    inner join ops.partition_policies as policy
        on health.parent = format('%I.%I', policy.parent_schema, policy.parent_table)
    left join lateral (
        select
            jsonb_agg(
                jsonb_build_object(
                    'name', relation.relname,
                    'from', part.lower_bound,
                    'to', part.upper_bound,
                    'is_default', part.is_default,
                    'row_estimate', greatest(relation.reltuples::bigint, pg_stat_get_live_tuples(relation.oid), 0),
                    'bytes', pg_total_relation_size(relation.oid)
                )
                order by part.is_default, part.lower_bound desc
            ) as partitions
        from private.partitions_of(to_regclass(health.parent)) as part
        inner join pg_class as relation on part.child = relation.oid
    ) as parts on true
$$;
comment on function private.operator_partitions() is
'How each partitioned table is, with its partitions, the newest first; retention in days, null keeps all.';

create function private.operator_jobs()
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    with runs as (
        select
            run.jobid,
            count(*) as runs,
            count(*) filter (where run.status = 'failed') as failures,
            round((extract(epoch from avg(run.end_time - run.start_time)) * 1000)::numeric, 1) as mean_ms
        from cron.job_run_details as run
        where run.start_time > now() - interval '1 day'
        group by run.jobid
    )

    select
        coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'job_name', found.job_name,
                    'schedule', job.schedule,
                    'state', found.state,
                    'is_overdue', found.is_overdue,
                    'message', found.message,
                    'last_run_at', found.last_run_at,
                    'last_success_at', found.last_success_at,
                    'runs_in_a_day', coalesce(runs.runs, 0),
                    'failures_in_a_day', coalesce(runs.failures, 0),
                    'mean_ms', runs.mean_ms,
                    'last_counts', last_run.counts
                )
                order by found.state = 'healthy', found.job_name
            ),
            '[]'
        )
    from private.job_states(now()) as found
    left join cron.job as job
        on
            found.job_name = coalesce(job.jobname, 'job ' || job.jobid)
            and job.username = current_user
    left join runs on job.jobid = runs.jobid
    left join lateral (
        select run.counts
        from ops.job_runs as run
        where run.job_name = found.job_name
        order by run.started_at desc
        limit 1
    ) as last_run on true
$$;
comment on function private.operator_jobs() is
'Every job with its state, its last day and what its last run did; what is not well comes first.';

create function private.require_admin()
returns void
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if not private.is_admin() then
        raise exception using
            errcode = 'PT403',
            message = 'This is for operators.',
            hint = 'Sign in as an admin. A role that was given since is in the token after the next sign-in.';
    end if;
end
$$;
comment on function private.require_admin() is 'PT403 for whoever''s token does not carry the admin role.';

create function private.report_to_operator(
    section text,
    days integer
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
    perform private.require_admin();
    if coalesce(days not between 1 and 90, true) then
        raise exception using
            errcode = 'PT400',
            message = 'The days are not 1 to 90.',
            hint = 'Figures are kept 90 days.';
    end if;
    case section
        when 'alerts' then
            answer := private.operator_alerts();
        when 'health' then
            answer := private.operator_health();
        when 'figures' then
            answer := private.operator_figures(days);
        when 'statements' then
            answer := private.operator_statements();
        when 'dead_letters' then
            answer := private.operator_dead_letters();
        when 'partitions' then
            answer := private.operator_partitions();
        when 'jobs' then
            answer := private.operator_jobs();
        else
            raise exception using
                errcode = 'PT400',
                message = 'The report has no such section.',
                hint = 'Ask for alerts, health, figures, statements, dead_letters, partitions or jobs.';
    end case;
    return answer;
end
$$;
comment on function private.report_to_operator(text, integer) is 'What public.operator_report does, for an admin.';

create function private.replay_for_operator(
    delivery_ids uuid[],
    endpoint_id uuid
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
    perform private.require_admin();
    replayed := public.replay_webhook_deliveries(
        delivery_ids => replay_for_operator.delivery_ids,
        endpoint_id => replay_for_operator.endpoint_id,
        batch_size => 5000
    );
    perform ops.record_audit_event(
        'REPLAY',
        'operator_replay',
        jsonb_build_object('replayed', replayed, 'asked_for', cardinality(delivery_ids)),
        endpoint_id::text
    );
    return replayed;
end
$$;
comment on function private.replay_for_operator(uuid[], uuid) is
'What public.operator_replay does, for an admin; the audit log says who it was.';

create function public.operator_report(
    section text,
    days integer default 7
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.report_to_operator(section, days)
$$;
comment on function public.operator_report(text, integer) is
'For admins: one section of how the house is: alerts, health, figures of the last days, statements, dead_letters, '
'partitions or jobs.';

create function public.operator_replay(
    delivery_ids uuid[] default null,
    endpoint_id uuid default null
)
returns integer
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.replay_for_operator(delivery_ids, endpoint_id)
$$;
comment on function public.operator_replay(uuid[], uuid) is
'For admins: sends what was given up again, under the same webhook-id: these, those of an endpoint, or all; 5,000 at '
'most. Endpoints that are disabled are passed over. Returns how many.';

grant select on ops.figure_history to app_service;
grant execute on function public.operator_report(text, integer) to app_authenticated;
grant execute on function public.operator_replay(uuid[], uuid) to app_authenticated;
grant execute on function private.report_to_operator(text, integer) to app_authenticated;
grant execute on function private.replay_for_operator(uuid[], uuid) to app_authenticated;
