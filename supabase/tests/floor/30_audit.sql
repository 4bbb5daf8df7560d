-- Every change is told once and masked, nobody changes what was told, and the chain finds who did it all the same.
begin;
select plan(107);
\ir ../outcome.psql

-- An empty log and an empty house: nothing of the running stack is seen in here.
delete from auth.users;
create function pg_temp.guards(state text)
returns void
language plpgsql
as $$
declare
    guarded text;
begin
    foreach guarded in array array[
        'ops.audit_logs_enhanced', 'ops.audit_logs_enhanced_default', 'ops.audit_seals'
    ] loop
        execute format('alter table %s %s trigger user', guarded, state);
    end loop;
end
$$;
create function pg_temp.empty_log()
returns void
language sql
as $$
    select pg_temp.guards('disable');
    truncate ops.audit_logs_enhanced;
    truncate ops.audit_seals;
    truncate ops.audit_unsealed;
    select pg_temp.guards('enable');
$$;
select pg_temp.empty_log();
delete from realtime.messages;
set local client_min_messages = 'error';

insert into auth.users (id, email, raw_user_meta_data)
values
('11111111-1111-4111-8111-111111111111', 'canary.one@example.com', '{"name": "Canary One"}'),
('22222222-2222-4222-8222-222222222222', 'canary.two@example.com', '{"name": "Canary Two"}');
\set one '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}'
\set admin '{"sub": "22222222-2222-4222-8222-222222222222", "app_metadata": {"role": "admin"}}'

-- What is told.
select results_eq(
    $$
        select
            event_type,
            table_schema,
            table_name,
            case table_name when 'user_profiles' then new_data ->> 'user_id' else row_id end as person,
            old_data,
            changed_fields
        from ops.audit_logs_enhanced
        order by table_name, person
    $$,
    $$
        values
        (
            'INSERT', 'public', 'user_profiles',
            '11111111-1111-4111-8111-111111111111', null::jsonb, null::text[]
        ),
        ('INSERT', 'public', 'user_profiles', '22222222-2222-4222-8222-222222222222', null, null),
        ('INSERT', 'public', 'users', '11111111-1111-4111-8111-111111111111', null, null),
        ('INSERT', 'public', 'users', '22222222-2222-4222-8222-222222222222', null, null)
    $$,
    'D76, S-132: the audit table is there, and a sign-up is one record of each row that is under audit'
);
select is(
    (
        select new_data - array['created_at', 'updated_at']
        from ops.audit_logs_enhanced
        where
            table_name = 'users'
            and row_id ~ '^1'
    ),
    '{
        "id": "11111111-1111-4111-8111-111111111111", "auth_id": "11111111-1111-4111-8111-111111111111",
        "email": "***", "email_encrypted": "***", "email_blind_index": "***",
        "name": "***", "avatar_url": null, "username": null, "settings": "***", "preferences": "***",
        "user_tier": "free", "subscription_expires_at": null, "subscription_end": null,
        "daily_api_usage": 0, "monthly_api_usage": 0
    }'::jsonb,
    'D76: what is not declared clear is masked'
);

alter table public.users disable trigger set_updated_at;
update public.users
set updated_at = now() - interval '1 day';
alter table public.users enable trigger set_updated_at;
select pg_temp.empty_log();
select set_config(
    'request.headers',
    '{"x-forwarded-for": "203.0.113.77, 10.0.0.1", "x-request-id": "request-1"}',
    true
);
select set_config('request.method', 'PATCH', true);
select set_config('request.path', '/users', true);
select is(
    pg_temp.outcome(
        'authenticated',
        :'one',
        $$
            update public.users set name = 'Canary Renamed'
            where id = '11111111-1111-4111-8111-111111111111'
        $$
    ),
    '1 row',
    'somebody takes another name'
);
select results_eq(
    $$select event_type, table_name, changed_fields from ops.audit_logs_enhanced$$,
    $$values ('UPDATE', 'users', array['name', 'updated_at'])$$,
    'S-018, S-122: one record with the changed fields'
);
select results_eq(
    $$
        select old_data - 'updated_at', new_data - 'updated_at', new_data ? 'updated_at'
        from ops.audit_logs_enhanced
    $$,
    $$values ('{"name": "***"}'::jsonb, '{"name": "***"}'::jsonb, true)$$,
    'that tells what changed and hides what it was'
);
select results_eq(
    $$
        select user_id, user_role, session_role, request_id, ip_address, query, function_name
        from ops.audit_logs_enhanced
    $$,
    $$
        values (
            '11111111-1111-4111-8111-111111111111'::uuid, 'authenticated', session_user::text collate "default",
            'request-1', '203.0.113.0/24'::inet, 'PATCH /users', null::text
        )
    $$,
    'D76, S-122: who did it, in which request and from which network'
);
select ok((select duration_ms >= 0 from ops.audit_logs_enhanced), 'and how long it took');
select is(
    (select tableoid::regclass::text from ops.audit_logs_enhanced),
    'ops.audit_logs_enhanced' || to_char(now() at time zone 'UTC', '_YYYY_MM'),
    'S-197: a record of today is in the partition of this month'
);

select is_empty(
    $$
        select attribute.attrelid::regclass
        from pg_attribute as attribute
        inner join pg_class as relation on attribute.attrelid = relation.oid
        where
            attribute.attname = 'updated_at'
            and relation.relkind in ('r', 'p')
            and not relation.relispartition
            and relation.relnamespace in ('public'::regnamespace, 'private'::regnamespace, 'ops'::regnamespace)
            and not exists (
                select
                from pg_trigger as keeper
                where
                    keeper.tgrelid = relation.oid
                    and keeper.tgname = 'set_updated_at'
            )
    $$,
    'S-125, S-135: every updated_at is kept by a trigger named set_updated_at'
);

-- Where a request says it comes from.
create function pg_temp.network_of(forwarded text)
returns inet
language sql
as $$
    select set_config('request.headers', jsonb_build_object('x-forwarded-for', forwarded)::text, true);
    select private.request_network();
$$;
select is(pg_temp.network_of('2001:db8:aaaa:bbbb::1'), '2001:db8:aaaa::/48'::inet, 'a network of version 6 is a /48');
select is(pg_temp.network_of('not an address'), null, 'nonsense is no address, and does not raise');
select is(pg_temp.network_of(''), null, 'nor does nothing');
select is(pg_temp.network_of('1.2.3.4/8'), '1.2.3.0/24'::inet, 'nor a network');
select set_config('request.headers', 'no json', true);
select is(private.request_network(), null, 'nor headers that are none');
select set_config('request.headers', '', true);
select set_config('request.method', 'GET', true);
select set_config('request.path', '/users?email=eq.canary', true);
select is((select query from private.audit_context()), null, 'a path with more in it than a name is not kept');
select set_config('request.path', '', true);

-- Every kind of statement. The table is planted: its note is not clear, and its key may change.
create table public.planted_items (
    id integer primary key,
    parent integer references public.planted_items (id) on delete cascade,
    amount integer not null default 0,
    note text
);
alter table public.planted_items enable row level security;
select ops.audit_table('public.planted_items', array['id', 'amount']);
select set_eq(
    $$
        select tgname::text
        from pg_trigger
        where
            tgrelid = 'public.planted_items'::regclass
            and tgname like 'audit\_%'
    $$,
    array['audit_insert', 'audit_update', 'audit_delete', 'audit_truncate'],
    'S-132: the triggers are named audit_*'
);
select throws_ok(
    $$select ops.audit_table('public.planted_items', array['amuont'])$$,
    '42703',
    'A column that is to be told in clear is not there.',
    'a misspelt column is refused'
);
select ops.audit_table('public.planted_items', array['id', 'amount']);
create function pg_temp.told(statement text)
returns table (event_type text, row_id text, old_data jsonb, new_data jsonb, changed_fields text[])
language plpgsql
as $$
begin
    perform pg_temp.empty_log();
    execute statement;
    return query
    select entry.event_type, entry.row_id, entry.old_data, entry.new_data, entry.changed_fields
    from ops.audit_logs_enhanced as entry
    order by entry.id;
end
$$;
select results_eq(
    $$
        select event_type, row_id, new_data
        from pg_temp.told(
            'insert into public.planted_items (id, parent, note) values (1, null, ''a''), (2, 1, ''b''), (3, 2, null)'
        )
    $$,
    $$
        values
        ('INSERT', '1', '{"id": 1, "parent": null, "amount": 0, "note": "***"}'::jsonb),
        ('INSERT', '2', '{"id": 2, "parent": "***", "amount": 0, "note": "***"}'),
        ('INSERT', '3', '{"id": 3, "parent": "***", "amount": 0, "note": null}')
    $$,
    'a bulk insert is a record a row; null is told as null'
);
select results_eq(
    $$
        select event_type, row_id, old_data, new_data, changed_fields
        from pg_temp.told(
            'insert into public.planted_items (id, note) values (3, ''x''), (4, ''y'') '
            'on conflict (id) do update set amount = 7'
        )
    $$,
    $$
        values
        ('UPDATE', '3', '{"amount": 0}'::jsonb, '{"amount": 7}'::jsonb, array['amount']),
        ('INSERT', '4', null, '{"id": 4, "parent": null, "amount": 0, "note": "***"}', null)
    $$,
    'on conflict tells what it inserted and what it updated'
);
select set_eq(
    $$
        select event_type, row_id
        from pg_temp.told(
            'merge into public.planted_items as item '
            'using (values (3), (4), (5)) as source (id) on item.id = source.id '
            'when matched and item.id = 4 then delete when matched then update set amount = 8 '
            'when not matched then insert (id) values (source.id)'
        )
    $$,
    $$values ('INSERT', '5'), ('UPDATE', '3'), ('DELETE', '4')$$,
    'so does merge'
);
update public.planted_items
set parent = null;
select results_eq(
    $$
        select row_id, old_data, new_data, changed_fields
        from pg_temp.told('update public.planted_items set id = id + 10')
        order by row_id
    $$,
    $$
        values
        ('11', '{"id": 1}'::jsonb, '{"id": 11}'::jsonb, array['id']),
        ('12', '{"id": 2}', '{"id": 12}', array['id']),
        ('13', '{"id": 3}', '{"id": 13}', array['id']),
        ('15', '{"id": 5}', '{"id": 15}', array['id'])
    $$,
    'old and new of a row stay together though its key changes'
);
select results_eq(
    $$
        select event_type, changed_fields
        from pg_temp.told('update public.planted_items set amount = amount where id = 11')
    $$,
    $$values ('UPDATE', '{}'::text[])$$,
    'an update that changes nothing is told as such'
);
select is_empty(
    $$select from pg_temp.told('update public.planted_items set amount = 1 where false')$$,
    'no row, no record'
);
update public.planted_items
set parent = 11
where id <> 11;
select results_eq(
    $$
        select event_type, row_id, old_data ->> 'note'
        from pg_temp.told('delete from public.planted_items where id = 11')
        order by row_id
    $$,
    $$values ('DELETE', '11', '***'), ('DELETE', '12', '***'), ('DELETE', '13', null), ('DELETE', '15', null)$$,
    'a cascade is told row by row'
);
insert into public.planted_items (id)
values (1), (2);
select results_eq(
    $$select event_type, row_id, old_data from pg_temp.told('truncate public.planted_items')$$,
    $$values ('TRUNCATE', null::text, '{"rows": 2}'::jsonb)$$,
    'D76: a truncate is told with its number of rows'
);
select ops.audit_table('public.planted_items');
select results_eq(
    $$select row_id, new_data from pg_temp.told('insert into public.planted_items (id) values (1)')$$,
    $$values ('***', '{"id": "***", "parent": null, "amount": "***", "note": null}'::jsonb)$$,
    'without a list nothing is clear, the key neither'
);
select is_empty(
    $$
        select from pg_temp.told(
            'select pg_temp.outcome(''authenticated'', null, ''insert into public.planted_items values (9)'')'
        )
    $$,
    'a refused write is no change'
);

-- Functions.
select pg_temp.empty_log();
select is(
    pg_temp.outcome(
        'service_role',
        null,
        $$select ops.record_audit_event('DECRYPT', 'decrypt_pii', '{"keys": 1}', 'row-1')$$
    ),
    '1 row',
    'the service tells what a function did'
);
select results_eq(
    $$select event_type, function_name, new_data, row_id, user_role from ops.audit_logs_enhanced$$,
    $$values ('DECRYPT', 'decrypt_pii', '{"keys": 1}'::jsonb, 'row-1', 'service_role')$$,
    'S-018: and it is in the log'
);
select lives_ok($$select ops.record_audit_event('no word', 'f')$$, 'what cannot be told does not raise');
select lives_ok($$select ops.record_audit_event('DELETE', 'f')$$, 'nor what must not be told');
select is((select count(*) from ops.audit_logs_enhanced), 1::bigint, 'and is not told');
select is(
    pg_temp.outcome('authenticated', :'admin', $$select ops.record_audit_event('X', 'f')$$),
    '42501 permission denied for schema ops',
    'people tell nothing'
);

-- Nobody changes what was told: every role, every way.
grant app_admin to postgres with set true;
select is(
    pg_temp.outcome(role.name, :'admin', attempt.statement),
    '42501 permission denied for ' || case role.name
        when 'service_role' then 'table ' || attempt.relation
        else 'schema ops'
    end,
    format('D20, D76, S-168: %s may not %s', role.name, attempt.statement)
)
from (values ('anon'), ('authenticated'), ('service_role'), ('app_admin')) as role (name)
cross join (
    values
    ('update ops.audit_logs_enhanced set user_id = null', 'audit_logs_enhanced'),
    ('delete from ops.audit_logs_enhanced', 'audit_logs_enhanced'),
    ('truncate ops.audit_logs_enhanced', 'audit_logs_enhanced'),
    ('insert into ops.audit_logs_enhanced (event_type) values (''FORGED'')', 'audit_logs_enhanced'),
    ('update ops.audit_seals set hash = rows_hash', 'audit_seals'),
    ('delete from ops.audit_unsealed', 'audit_unsealed')
) as attempt (statement, relation);
select ops.seal_audit_log();
select throws_ok(
    attempt.statement,
    '42501',
    'The audit log is append-only.',
    format('D76: nor may its owner %s', attempt.statement)
)
from (
    values
    ('update ops.audit_logs_enhanced set user_id = null'),
    ('delete from ops.audit_logs_enhanced'),
    ('truncate ops.audit_logs_enhanced'),
    ('update ops.audit_seals set hash = rows_hash'),
    ('delete from ops.audit_seals')
) as attempt (statement);
select is(
    pg_temp.outcome('service_role', null, 'select * from ops.audit_logs_enhanced'),
    '1 row',
    'S-168: the service reads it'
);

-- What the owner does with the guards down is found. Each attempt is undone before the next.
create function pg_temp.filled_log()
returns void
language plpgsql
as $$
begin
    perform pg_temp.empty_log();
    for batch in 1..4 loop
        for event in 1..3 loop
            perform ops.record_audit_event('TESTED', 'batch ' || batch);
        end loop;
        perform ops.seal_audit_log();
    end loop;
end
$$;
create function pg_temp.found_after(tampering text)
returns text
language plpgsql
as $$
declare
    found text;
    first_id bigint;
begin
    perform pg_temp.filled_log();
    select min(id) into first_id from ops.audit_logs_enhanced;
    perform pg_temp.guards('disable');
    execute replace(tampering, '$first', first_id::text);
    perform pg_temp.guards('enable');
    select string_agg(concat_ws(' ', seq, problem), ', ' order by seq) into found from ops.verify_audit_chain();
    return coalesce(found, 'nothing');
end
$$;
select is(pg_temp.found_after('select'), 'nothing', 'an intact chain has no findings');
select is(
    pg_temp.found_after('update ops.audit_logs_enhanced set user_role = ''somebody'' where id = $first + 4'),
    '2 rows_changed',
    'D76: a changed record is found'
);
select is(
    pg_temp.found_after('delete from ops.audit_logs_enhanced where id = $first'),
    '1 rows_missing',
    'D76: a deleted record is found'
);
select is(
    pg_temp.found_after('truncate ops.audit_logs_enhanced'),
    '1 rows_missing, 2 rows_missing, 3 rows_missing, 4 rows_missing',
    'D76: a truncated log is found'
);
select is(
    pg_temp.found_after('insert into ops.audit_logs_enhanced (event_type) values (''FORGED'')'),
    'rows_never_sealed',
    'D76: a record that came past the writer is found'
);
select is(
    pg_temp.found_after(
        'insert into ops.audit_logs_enhanced (id, created_at, event_type) overriding system value '
        'values ($first, ''2020-01-01'', ''FORGED'')'
    ),
    '1 rows_added',
    'D76: a record forged under an old id is found'
);
select is(
    pg_temp.found_after('update ops.audit_seals set row_count = 4 where seq = 2'),
    '2 seal_changed',
    'D76: a changed seal is found'
);
select is(
    pg_temp.found_after(
        'update ops.audit_seals as seal set row_count = 4, '
        'hash = private.audit_seal_hash((seal.seq, sealed_at, ids, 4, rows_hash, previous_hash, hash)) where seq = 2'
    ),
    '2 rows_changed, 3 chain_broken',
    'D76: a seal that was made to fit breaks the chain'
);
select is(
    pg_temp.found_after(
        'delete from ops.audit_seals where seq = 2; '
        'delete from ops.audit_logs_enhanced where id between $first + 3 and $first + 5'
    ),
    '3 seal_missing',
    'D76: a batch taken out with its seal is found'
);
select is(
    pg_temp.found_after('delete from ops.audit_seals where seq = 4'),
    'rows_never_sealed',
    'D76: a last seal taken off is found'
);
select is(
    pg_temp.found_after(
        'select ops.record_audit_event(''TESTED'', ''x''); delete from ops.audit_logs_enhanced where id > $first + 11'
    ),
    'rows_lost_before_sealing',
    'D76: a record that is gone before its seal is found'
);
select is(
    pg_temp.found_after(
        'select ops.record_audit_event(''TESTED'', ''x''); delete from ops.audit_unsealed'
    ),
    'rows_never_sealed',
    'D76: a record kept from its seal is found'
);

-- The alarm.
select is(
    pg_temp.found_after('delete from ops.audit_logs_enhanced where id = $first'),
    '1 rows_missing',
    'somebody tampers'
);
select is(ops.check_audit_chain(), 1::bigint, 'is found by the check');
select results_eq(
    $$select subject, severity from ops.alerts where kind = 'audit_tampered' and resolved_at is null$$,
    $$values ('seal 1', 'critical')$$,
    'which raises a critical alert'
);

-- After months have expired the chain still holds, and later records are checked from where they begin.
select is(
    pg_temp.found_after('delete from ops.audit_logs_enhanced where id < $first + 6'),
    '1 rows_missing, 2 rows_missing',
    'early records go'
);
select is_empty($$select from ops.verify_audit_chain(3)$$, 'the later ones are verified by themselves');
select is_empty(
    $$select from ops.verify_audit_chain() where problem not like 'rows\_%'$$,
    'and the chain of seals to its beginning'
);
select is_empty($$select from ops.verify_audit_chain(3, 3)$$, 'one seal can be verified alone');

-- The records survive their own maintenance.
select pg_temp.filled_log();
set local timezone = 'Asia/Seoul';
set local datestyle = 'SQL, DMY';
set local intervalstyle = 'sql_standard';
set local bytea_output = 'escape';
select is_empty($$select from ops.verify_audit_chain()$$, 'who verifies from Seoul finds the same');
set local timezone = 'UTC';
reset datestyle;

alter table ops.audit_logs_enhanced_default disable trigger user;
insert into ops.audit_logs_enhanced (created_at, event_type)
values ('2040-05-06', 'STRAYED');
insert into ops.audit_unsealed (id, created_at)
select
    id,
    created_at
from ops.audit_logs_enhanced
where event_type = 'STRAYED';
alter table ops.audit_logs_enhanced_default enable trigger user;
select is(ops.seal_audit_log(), 1::bigint, 'a record that strayed into the default partition is sealed');
select is(
    (select moved_rows from ops.create_monthly_partition('ops.audit_logs_enhanced', '2040-05-01')),
    1::bigint,
    'and moved when its month is made, though the log is append-only'
);
select is_empty($$select from ops.verify_audit_chain()$$, 'which leaves the chain intact');
select throws_ok(
    attempt.statement,
    '42501',
    'The audit log is append-only.',
    'and the guards stand: ' || attempt.statement
)
from (
    values
    ('delete from ops.audit_logs_enhanced_2040_05'),
    ('update ops.audit_logs_enhanced_2040_05 set user_id = null'),
    ('truncate ops.audit_logs_enhanced_default'),
    ('truncate ops.audit_logs_enhanced')
) as attempt (statement);

-- The bell.
select ok(
    (
        select count(*) >= 8
        from pg_trigger
        where
            tgname like 'sensitive\_operation\_%'
            and not tgisinternal
    ),
    'S-131: the triggers are named sensitive_operation_*'
);
delete from realtime.messages;
update public.users
set daily_api_usage = daily_api_usage + 1;
select is_empty($$select from realtime.messages where topic = 'admin:security'$$, 'a counter rings no bell');
update public.users
set name = 'Canary Again';
select results_eq(
    $$
        select
            payload ->> 'operation',
            payload ->> 'table',
            payload ->> 'rows',
            private
        from realtime.messages
        where topic = 'admin:security'
    $$,
    $$values ('UPDATE', 'users', '2', true)$$,
    'S-121: an update of users is told in private, once a statement'
);
delete from realtime.messages;
select set_config('request.jwt.claims', :'admin', true);
delete from public.users
where id = '11111111-1111-4111-8111-111111111111';
select set_config('request.jwt.claims', '', true);
select is_empty(
    $$select from public.users where id = '11111111-1111-4111-8111-111111111111'$$,
    'D77: a delete that is told still deletes'
);
select results_eq(
    $$
        select
            payload ->> 'operation',
            payload ->> 'table',
            payload ->> 'user',
            (payload ->> 'time')::timestamptz is not null,
            event
        from realtime.messages
        where topic = 'admin:security'
        order by payload ->> 'table'
    $$,
    $$
        values
        ('DELETE', 'user_profiles', '22222222-2222-4222-8222-222222222222', true, 'sensitive_operation'),
        ('DELETE', 'users', '22222222-2222-4222-8222-222222222222', true, 'sensitive_operation')
    $$,
    'D77, S-226: one notice a table that says who, not as which database user'
);
select is_empty(
    $$select from realtime.messages where payload::text ~* 'canary'$$,
    'D77: and nothing personal in it, though any role may listen'
);
delete from realtime.messages;
truncate public.user_tiers;
select is(
    (select payload ->> 'operation' from realtime.messages where topic = 'admin:security'),
    'TRUNCATE',
    'D77, S-121: a truncate is told'
);
delete from realtime.messages;
insert into auth.users (id, email)
select
    gen_random_uuid(),
    'canary.' || number || '@example.com'
from generate_series(1, 300) as number;
delete from auth.users;
select is(
    (select max(length(payload::text)) < 8000 from realtime.messages where topic = 'admin:security'),
    true,
    'D77: a notice of many rows fits'
);
select is_empty(
    $$
        select from ops.audit_logs_enhanced as entry
        where entry::text ~* 'canary'
    $$,
    'D76, S-018: the log has seen people come, change and go, and names none'
);

-- Who hears it.
insert into realtime.messages (topic, extension, private)
values ('admin:security', 'broadcast', true);
select cmp_ok(
    pg_temp.outcome('authenticated', :'admin', $$select from realtime.messages where topic = 'admin:security'$$),
    '<>',
    '0 rows',
    'S-226: admins hear it'
);
select is(
    pg_temp.outcome('authenticated', :'one', $$select from realtime.messages where topic = 'admin:security'$$),
    '0 rows',
    'S-226: nobody else does'
);
select is(
    pg_temp.outcome('anon', null, $$select from realtime.messages where topic = 'admin:security'$$),
    '0 rows',
    'visitors neither'
);

select lives_ok(
    $$
        insert into ops.audit_logs_enhanced (event_type)
        values ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('FUNCTION')
    $$,
    'S-078: an event is a word such as these'
);
select throws_ok(
    format('insert into ops.audit_logs_enhanced (event_type) values (%L)', said),
    '23514',
    null,
    'S-078: and not ' || said
)
from unnest(array['select', 'DROP TABLE', '5', '']) as told (said);

select finish();
rollback;
