-- A stand-in for Supabase Vault 0.3: its objects, signatures and hosted grants, with pgcrypto's AES-256.
-- The root key is a file of the server, so a dump of the database holds ciphertext only.

do $$
declare
    key_file constant text := pg_catalog.current_setting('data_directory') || '/vault_root.key';
begin
    if pg_catalog.pg_stat_file(key_file, true) is null then
        execute pg_catalog.format(
            'copy (select pg_catalog.encode(@extschema:pgcrypto@.gen_random_bytes(32), ''hex'')) to %L',
            key_file
        );
    end if;
end
$$;

create table vault.secrets (
    id uuid primary key default gen_random_uuid(),
    name text,
    description text not null default '',
    secret text not null,
    key_id uuid,
    nonce bytea default @extschema:pgcrypto@.gen_random_bytes(16),
    created_at timestamptz not null default current_timestamp,
    updated_at timestamptz not null default current_timestamp
);
comment on table vault.secrets is 'Secrets, encrypted: write them with vault.create_secret and vault.update_secret.';

create unique index secrets_name_idx on vault.secrets (name)
where name is not null;

create function vault._row_key(id uuid, nonce bytea)
returns text
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- A key per row: ciphertext moved to another row cannot be opened.
    select encode(
        @extschema:pgcrypto@.hmac(
            convert_to(_row_key.id::text, 'UTF8') || _row_key.nonce,
            decode(rtrim(pg_read_file('vault_root.key'), E'\n'), 'hex'),
            'sha256'
        ),
        'hex'
    )
$$;
comment on function vault._row_key(uuid, bytea) is 'The key of one row, derived from the root key file.';
revoke execute on function vault._row_key(uuid, bytea) from public;

create function vault._encrypt(message text, id uuid, nonce bytea)
returns text
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- s2k-mode=0: the key is 256 random bits already, there is nothing to stretch.
    select encode(
        @extschema:pgcrypto@.pgp_sym_encrypt(
            _encrypt.message,
            vault._row_key(_encrypt.id, _encrypt.nonce),
            'cipher-algo=aes256, s2k-mode=0, s2k-digest-algo=sha256'
        ),
        'base64'
    )
$$;
comment on function vault._encrypt(text, uuid, bytea) is 'Ciphertext of one secret, bound to its row.';
revoke execute on function vault._encrypt(text, uuid, bytea) from public;

create function vault._decrypt(secret text, id uuid, nonce bytea)
returns text
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select @extschema:pgcrypto@.pgp_sym_decrypt(
        decode(_decrypt.secret, 'base64'),
        vault._row_key(_decrypt.id, _decrypt.nonce)
    )
$$;
comment on function vault._decrypt(text, uuid, bytea) is 'Clear text of one secret; needed by whoever reads vault.decrypted_secrets.';
revoke execute on function vault._decrypt(text, uuid, bytea) from public;

create view vault.decrypted_secrets as
select
    stored.id,
    stored.name,
    stored.description,
    stored.secret,
    vault._decrypt(stored.secret, stored.id, stored.nonce) as decrypted_secret,
    stored.key_id,
    stored.nonce,
    stored.created_at,
    stored.updated_at
from vault.secrets as stored;
comment on view vault.decrypted_secrets is 'Secrets in clear, for postgres and service_role only.';

create function vault.create_secret(
    new_secret text,
    new_name text default null,
    new_description text default '',
    new_key_id uuid default null
)
returns uuid
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    with fresh as (
        select
            gen_random_uuid() as id,
            @extschema:pgcrypto@.gen_random_bytes(16) as nonce
    )
    insert into vault.secrets (id, name, description, secret, nonce)
    select
        fresh.id,
        new_name,
        new_description,
        vault._encrypt(new_secret, fresh.id, fresh.nonce),
        fresh.nonce
    from fresh
    returning id
$$;
comment on function vault.create_secret(text, text, text, uuid)
is 'Stores a secret and returns its id; new_key_id is not used. A name is taken only once (23505).';
revoke execute on function vault.create_secret(text, text, text, uuid) from public;

create function vault.update_secret(
    secret_id uuid,
    new_secret text default null,
    new_name text default null,
    new_description text default null,
    new_key_id uuid default null
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    update vault.secrets as stored
    set
        secret = coalesce(vault._encrypt(new_secret, stored.id, stored.nonce), stored.secret),
        name = coalesce(new_name, stored.name),
        description = coalesce(new_description, stored.description),
        updated_at = now()
    where stored.id = secret_id
$$;
comment on function vault.update_secret(uuid, text, text, text, uuid)
is 'Changes what is given and keeps what is null; new_key_id is not used.';
revoke execute on function vault.update_secret(uuid, text, text, text, uuid) from public;

-- What a hosted project grants once the extension is created.
grant usage on schema vault to postgres with grant option;
grant select, delete, truncate, references on vault.secrets, vault.decrypted_secrets to postgres with grant option;
grant execute on function vault.create_secret, vault.update_secret, vault._decrypt to postgres with grant option;
grant usage on schema vault to service_role;
grant select, delete on vault.secrets, vault.decrypted_secrets to service_role;
grant execute on function vault.create_secret, vault.update_secret, vault._decrypt to service_role;

select pg_catalog.pg_extension_config_dump('vault.secrets', '');
