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
