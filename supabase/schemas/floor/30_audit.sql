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
