-- What names a person is stored as ciphertext that opens only in its row, under keys that change and that nobody reads.
begin;
\ir ../outcome.psql
select plan(85);

-- An empty house: nobody of the running stack is seen in here.
delete from auth.users;

create table public.secrets_of_people (
    id bigint generated always as identity primary key,
    phone bytea,
    profile bytea,
    note text
);
alter table public.secrets_of_people enable row level security;
create table public.no_ids (phone bytea, number text);
\set admin '{"sub": "22222222-2222-4222-8222-222222222222", "app_metadata": {"role": "admin"}}'
\set forged '{"sub": "22222222-2222-4222-8222-222222222222", "role": "admin", "user_metadata": {"role": "admin"}}'
\set here '''public.secrets_of_people.phone:1'''

-- The list of encrypted columns.
select is(
    private.register_encrypted_column('public.secrets_of_people', 'phone'),
    'public.secrets_of_people.phone',
    'a column is listed under its name'
);
select is(
    private.register_encrypted_column('public.secrets_of_people', 'profile'),
    private.register_encrypted_column('public.secrets_of_people', 'profile'),
    'listing it again changes nothing'
);
select throws_ok(
    $$select private.register_encrypted_column('public.secrets_of_people', 'note')$$,
    '42804',
    'public.secrets_of_people.note is no column of type bytea',
    'a column of text is not listed'
);
select throws_ok(
    $$select private.register_encrypted_column('public.no_ids', 'phone', 'number')$$,
    '42830',
    'public.no_ids.number does not tell rows apart',
    'nor one whose rows cannot be told apart'
);
select throws_ok(
    $$select private.encrypt_pii('x', 'public.no_ids.phone:1')$$,
    'PT400',
    null,
    'nothing is encrypted for a column that rotation would not find'
);
select throws_ok(
    $$select private.encrypt_pii('x', 'public.secrets_of_people.phone')$$,
    'PT400',
    null,
    'nor for no row'
);

-- There and back.
select is(
    private.decrypt_pii(private.encrypt_pii(sample.plain, :here), :here),
    sample.plain,
    format('S-113: %s comes back', sample.name)
)
from (
    values
    ('an empty text', ''),
    ('a letter', 'k'),
    ('a text of one block', '0123456789abcdef'),
    ('Korean', '김온돌 010-1234-5678'),
    ('Korean in parts', normalize('온돌', nfd)),
    ('an emoji with its modifiers', '👩🏽‍🚀🇰🇷'),
    ('quotes and backslashes', $sample$'"\x00\\$$ --$sample$),
    ('lines', E'a\r\nb\tc\n'),
    ('10 kB', repeat('온돌!', 1024))
) as sample (name, plain);
select is(
    (
        select count(*)
        from generate_series(0, 400) as sample (size)
        where
            private.decrypt_pii(private.encrypt_pii(repeat('x', sample.size), :here), :here)
            is distinct from repeat('x', sample.size)
    ),
    0::bigint,
    'S-113: so does every length up to 400'
);
select is(private.encrypt_pii(null, :here), null, 'nothing is encrypted as nothing');
select is(private.decrypt_pii(null, :here), null, 'and read as nothing');
select isnt(
    private.encrypt_pii('same', :here),
    private.encrypt_pii('same', :here),
    'one text gives another ciphertext each time'
);
select is(
    private.decrypt_personal_data(private.encrypt_personal_data('{"a":1}', :here), :here),
    '{"a":1}'::jsonb,
    'S-111: JSON comes back'
);
select is(
    pg_typeof(private.encrypt_pii('x', :here))::text || ' ' || pg_typeof(private.encrypt_personal_data('1', :here)),
    'bytea bytea',
    'D32: ciphertext is bytea, and what encrypts has a function that decrypts'
);
insert into public.secrets_of_people (phone)
values (private.encrypt_pii('010-1234-5678', :here));
select is(
    (select private.decrypt_pii(phone, 'public.secrets_of_people.phone:' || id) from public.secrets_of_people),
    '010-1234-5678',
    'D32: also through a table'
);

-- Bound to its row.
select throws_ok(
    format(
        'select private.decrypt_pii(%L, %L)',
        (select phone from public.secrets_of_people),
        pasted.context
    ),
    'XX001',
    format('the ciphertext was not made for %L', pasted.context),
    'D37: pasted into ' || pasted.place || ' it is refused'
)
from (
    values
    ('another row', 'public.secrets_of_people.phone:2'),
    ('another column', 'public.secrets_of_people.profile:1'),
    ('another table', 'public.users.email_encrypted:1'),
    ('a context that ends alike', 'public.secrets_of_people.phone:11')
) as pasted (place, context);
select is(
    (
        select count(*)
        from public.secrets_of_people as stored
        cross join lateral generate_series(0, octet_length(stored.phone) - 1) as changed (at)
        cross join lateral (
            select
                pg_temp.outcome(
                    'service_role',
                    null,
                    format(
                        'select private.decrypt_pii(%L, %L)',
                        set_byte(stored.phone, changed.at, get_byte(stored.phone, changed.at) # 1),
                        :here
                    )
                ) as said
        ) as tried
        where tried.said not like 'XX001 %'
    ),
    0::bigint,
    'D37: whichever byte is changed, it is refused'
);
select throws_ok(
    format($$select private.decrypt_pii(%L, 'public.secrets_of_people.phone:1')$$, cut.cipher),
    'XX001',
    null,
    'D37: so is ' || cut.name
)
from (
    select
        'a part' as name,
        substr(phone, 1, 60) as cipher
    from public.secrets_of_people
    union all
    select
        'an empty one',
        ''
    union all
    select
        'clear text',
        convert_to(repeat('clear text ', 20), 'UTF8')
) as cut
order by cut.name;

-- Who may decrypt.
create function public.reads_for_everybody()
returns text
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$select private.decrypt_pii(phone, 'public.secrets_of_people.phone:1') from public.secrets_of_people$$;
grant execute on function public.reads_for_everybody() to anon, authenticated, service_role;
select is(
    pg_temp.outcome(client.role_name, client.claims::jsonb, asked.statement),
    '42501 permission denied for ' || asked.said,
    format('D28, %s: %s has no grant for it: %s', asked.id, client.role_name, asked.said)
)
from (
    values
    ('anon', null),
    ('authenticated', :'admin')
) as client (role_name, claims)
cross join (
    values
    ('S-112', 'function decrypt_personal_data', $$select private.decrypt_personal_data('', 'a:1')$$),
    ('S-114', 'function decrypt_pii', $$select private.decrypt_pii('', 'a:1')$$),
    ('S-113', 'function encrypt_pii', $$select private.encrypt_pii('', 'a:1')$$),
    ('S-205', 'schema ops', $$select ops.rotate_encryption_key('default')$$)
) as asked (id, said, statement);
select is(
    pg_temp.outcome(client.role_name, client.claims::jsonb, 'select public.reads_for_everybody()'),
    client.outcome,
    'D29, S-114: behind a definer function, ' || client.name
)
from (
    values
    ('nobody without a token is let through', 'anon', null, '42501 Insufficient privileges'),
    ('nor is anon with an admin''s claims', 'anon', :'admin', '42501 Insufficient privileges'),
    ('nor a person without claims', 'authenticated', null, '42501 Insufficient privileges'),
    ('nor one whose role is null', 'authenticated', '{"role": null, "app_metadata": null}', '42501 Insufficient privileges'),
    ('nor one who says so of himself', 'authenticated', :'forged', '42501 Insufficient privileges'),
    ('an admin is', 'authenticated', :'admin', '1 row'),
    ('the service is', 'service_role', null, '1 row')
) as client (name, role_name, claims, outcome);
select is(
    pg_temp.outcome(
        'authenticated',
        :'forged',
        $$
            select public.reads_for_everybody()
            from (
                select
                    set_config('jwt.claims.role', 'admin', true),
                    set_config('request.jwt.claim.role', 'service_role', true),
                    set_config('app.role', 'admin', true)
                offset 0
            ) as forgery
        $$
    ),
    '42501 Insufficient privileges',
    'D30: a setting that anybody can make gives nothing'
);
select is_empty(
    $$
        select oid::regprocedure
        from pg_proc
        where
            pronamespace = 'public'::regnamespace
            and proname ~ 'decrypt'
    $$,
    'D28: no request can name a function that decrypts'
);

-- What an attacker puts in the way.
create temporary table encryption_keys as
select
    stored.*,
    'aaaa' as key_value
from private.encryption_keys as stored
where false;
insert into encryption_keys (id, key_name, version, purpose, is_active, key_value)
values (4242, 'default', 1, 'encrypt', true, 'attacker');
create temporary table encrypted_columns (label text);
create function pg_temp.hmac(bytea, bytea, text)
returns bytea
language sql
as $$select '\x00'::bytea$$;
create function pg_temp.key_parts(integer, out encrypting bytea, out authenticating bytea)
language sql
as $$select '\x00'::bytea, '\x00'::bytea$$;
select is(
    substr(private.encrypt_pii('x', :here), 1, 5),
    (select private.seal_header(id) from private.encryption_keys where key_name = 'default' and is_active),
    'D27: keys in pg_temp are not used'
);
select is(
    private.decrypt_pii((select phone from public.secrets_of_people), :here),
    '010-1234-5678',
    'D27: nor functions'
);
drop table pg_temp.encryption_keys;
drop table pg_temp.encrypted_columns;

select throws_ok(
    $$select private.encrypt_pii('x', 'public.secrets_of_people.phone:1', 'unknown')$$,
    'PT404',
    'there is no encryption key ''unknown''',
    'D31: an unknown key name encrypts nothing'
);
select throws_ok(
    $$select private.encrypt_pii('x', 'public.secrets_of_people.phone:1', 'blind_index')$$,
    'PT404',
    null,
    'nor does the key of the blind index'
);
select throws_ok(
    $$select ops.rotate_encryption_key('unknown')$$,
    'PT404',
    null,
    'D31: nor is it rotated'
);
select throws_ok(
    $$select ops.rotate_encryption_key('blind_index')$$,
    'PT409',
    null,
    'the key of the blind index cannot be rotated by mistake'
);

-- Where the keys are.
set local app.encryption_key = 'attacker';
select is(
    private.decrypt_pii((select phone from public.secrets_of_people), :here),
    '010-1234-5678',
    'D33: app.encryption_key has no say'
);
select is_empty(
    $$select setconfig from pg_db_role_setting where setconfig::text ~* 'encryption|app\.'$$,
    'D33: no setting holds a key'
);
select is(
    pg_temp.outcome(client.role_name, client.claims::jsonb, 'select * from ' || place.name),
    '42501 permission denied for ' || place.said,
    format('D34, S-017, S-169, S-203: %s does not read %s', client.role_name, place.name)
)
from (
    values
    ('anon', null),
    ('authenticated', :'admin')
) as client (role_name, claims)
cross join (
    values
    ('private.encryption_keys', 'table encryption_keys'),
    ('vault.decrypted_secrets', 'schema vault')
) as place (name, said);
select is(
    pg_temp.outcome('service_role', null, 'select * from private.encryption_keys'),
    '42501 permission denied for table encryption_keys',
    'D34, S-169: neither does the service'
);
select is_empty(
    $$
        select stored.id
        from private.encryption_keys as stored
        inner join vault.decrypted_secrets as secret on stored.vault_secret_id = secret.id
        where
            stored::text ~ secret.decrypted_secret
            or secret.decrypted_secret !~ '^[0-9a-f]{64}$'
            or secret.name <> format('ondol_key_%s_v%s', stored.key_name, stored.version)
    $$,
    'D34, S-203: 256 bits in Vault, and nothing of them beside the data'
);
select is(
    (select count(distinct decrypted_secret) from vault.decrypted_secrets where name ~ '^ondol_key_'),
    (select count(*) from private.encryption_keys where retired_at is null),
    'every key is its own'
);
select is(
    (select extnamespace::regnamespace::text from pg_extension where extname = 'pgcrypto'),
    'extensions',
    'D38, S-202: pgcrypto is in extensions'
);

-- The blind index.
select is(
    private.blind_index(E' KIM@Example.com\n', 'email'),
    private.blind_index('kim@example.com', 'email'),
    'D36: another spelling of a value is found'
);
select is(
    private.blind_index(normalize('온돌', nfd), 'name'),
    private.blind_index('온돌', 'name'),
    'D36: in parts or composed'
);
select isnt(
    private.blind_index('kim@example.com', 'email'),
    private.blind_index('kim@example.com', 'name'),
    'of one kind only'
);
select isnt(
    private.blind_index('kim@example.com', 'email'),
    extensions.digest('email:kim@example.com', 'sha256'),
    'D36: nobody computes it without the key'
);

-- Rotation.
insert into public.secrets_of_people (phone)
select private.encrypt_pii('number ' || number, 'public.secrets_of_people.phone:' || number)
from generate_series(2, 30) as row (number);
update public.secrets_of_people
set phone = (select phone from public.secrets_of_people where id = 1)
where id = 30;
create function pg_temp.unreadable()
returns bigint
language sql
as $$
    select count(*)
    from public.secrets_of_people
    where
        id between 2 and 29
        and private.decrypt_pii(phone, 'public.secrets_of_people.phone:' || id) <> 'number ' || id
$$;
select is(
    (
        select (answer ->> 'version')::integer - (answer ->> 'old_version')::integer
        from ops.rotate_encryption_key('default') as rotated (answer)
    ),
    1,
    'S-205: a rotation makes the next version'
);
select is(pg_temp.unreadable(), 0::bigint, 'D35, S-115: what was encrypted before is read after');
select is(
    substr(private.encrypt_pii('x', :here), 1, 5),
    (select private.seal_header(id) from private.encryption_keys where key_name = 'default' and is_active),
    'D35: new writes use it at once'
);
select is(
    (select row_count from private.rows_under_old_keys() where column_label = 'public.secrets_of_people.phone'),
    30::bigint,
    'D35: it is known how many rows wait'
);
select is(
    ops.reencrypt_batch(10) - 'retired',
    '{"left": 20, "reencrypted": 10, "unreadable": 0}',
    'S-115: a batch moves as many as it is told'
);
select is(pg_temp.unreadable(), 0::bigint, 'S-115: half way, every row is read');
select is(
    ops.reencrypt_batch(1000),
    '{"left": 1, "retired": [], "reencrypted": 19, "unreadable": 1}',
    'S-115: the pasted row stays where it is, and keeps its key'
);
select is(
    (
        select severity || ': ' || message
        from ops.alerts
        where
            kind = 'unreadable_ciphertext'
            and resolved_at is null
    ),
    'critical: 1 rows hold a ciphertext that was not made for them',
    'D37: and somebody is told'
);
delete from public.secrets_of_people
where id = 30;
select is(
    (ops.reencrypt_batch() - 'retired'),
    '{"left": 0, "reencrypted": 0, "unreadable": 0}',
    'S-115: then none is left'
);
select is_empty(
    $$
        select stored.id
        from private.encryption_keys as stored
        where
            stored.key_name = 'default'
            and not stored.is_active
            and (stored.vault_secret_id is not null or stored.retired_at is null)
    $$,
    'S-115: an old version is retired'
);
select is(
    (select count(*) from vault.secrets where name ~ '^ondol_key_default_v'),
    1::bigint,
    'S-205: and its secret deleted'
);
select is(pg_temp.unreadable(), 0::bigint, 'S-115: every row is read under the new one');

-- Erasure.
create function private.other_on_erase(user_id uuid)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$begin raise exception 'this room is broken'; end$$;
insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'one@example.com'),
('22222222-2222-4222-8222-222222222222', 'two@example.com');
insert into auth.audit_log_entries (id, payload)
values
(gen_random_uuid(), '{"actor_id": "11111111-1111-4111-8111-111111111111", "actor_username": "one@example.com"}');
select is(
    pg_temp.outcome(
        'service_role',
        null,
        $$select public.erase_user('11111111-1111-4111-8111-111111111111')$$
    ),
    'P0001 this room is broken',
    'a room that cannot erase stops the erasure'
);
select is(
    (select count(*) from auth.users),
    2::bigint,
    'and nothing is half erased'
);
drop function private.other_on_erase(uuid);
select is(
    public.erase_user('11111111-1111-4111-8111-111111111111') -> 'erased' -> 'auth',
    '{"users": 1, "audit_log_entries": 1}',
    'D69: a person is erased from Auth, and from what Auth wrote down'
);
select is(
    (select array_agg(email) from auth.users),
    array['two@example.com']::varchar[],
    'and nobody else'
);
select throws_ok(
    $$select public.erase_user('11111111-1111-4111-8111-111111111111')$$,
    'PT404',
    null,
    'D69: asked again, there is nobody'
);
select is(
    pg_temp.outcome(
        'authenticated',
        :'admin',
        $$select public.erase_user('22222222-2222-4222-8222-222222222222')$$
    ),
    '42501 permission denied for function erase_user',
    'D69: erasing is the service''s'
);

select finish();
rollback;
