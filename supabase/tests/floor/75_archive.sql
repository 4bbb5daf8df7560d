-- A big plain table becomes months whole or not at all, unasked only where a policy says so; history goes in batches.
begin;
select plan(75);
\ir ../outcome.psql
set local client_min_messages = 'error';

select has_function('ops', 'partition_large_table', 'D60, S-120: the conversion that was only called before is there');
select has_function('ops', 'auto_archive_policy', 'S-119: and what looks for large tables');
select matches(
    pg_get_function_arguments('ops.auto_archive_policy'::regproc),
    '^threshold_bytes bigint DEFAULT 1073741824,',
    'S-241: from one gigabyte on'
);

-- A table with everything that a copy could forget, and a name that is hostile to sloppy quoting.
create table public.planted_kinds (id integer primary key);
insert into public.planted_kinds
select generate_series(0, 4);
create sequence public.planted_ticket;
create table public."Big; drop table ""users"" --" (
    id bigint generated always as identity,
    dropped_later text,
    kind integer not null references public.planted_kinds (id),
    happened_at timestamptz not null,
    "Note" text default 'none',
    note_length integer generated always as (length("Note")) stored,
    ticket bigint not null default nextval('public.planted_ticket'),
    constraint a_big_row_is_told_apart primary key (id, happened_at),
    constraint the_note_is_short check (length("Note") < 100),
    constraint a_ticket_is_used_once unique (ticket, happened_at)
);
alter table public."Big; drop table ""users"" --" drop column dropped_later;
alter sequence public.planted_ticket owned by public."Big; drop table ""users"" --".ticket;
create index "Big by Kind" on public."Big; drop table ""users"" --" (kind, lower("Note")) where kind > 1;
create unique index planted_unique on public."Big; drop table ""users"" --" (happened_at desc, id) include (kind);
alter table public."Big; drop table ""users"" --" enable row level security;
alter table public."Big; drop table ""users"" --" force row level security;
revoke all on public."Big; drop table ""users"" --" from public, anon, authenticated, service_role;
grant select on public."Big; drop table ""users"" --" to authenticated;
grant select, insert, delete on public."Big; drop table ""users"" --" to app_service;
grant update ("Note") on public."Big; drop table ""users"" --" to app_authenticated with grant option;
create policy "even kinds are seen" on public."Big; drop table ""users"" --"
for select to authenticated
using (kind % 2 = 0);
create policy "no kind 3" on public."Big; drop table ""users"" --"
as restrictive for update to app_service, authenticated
using (kind <> 3)
with check (kind <> 4);
comment on policy "even kinds are seen" on public."Big; drop table ""users"" --" is 'Half of them.';
comment on table public."Big; drop table ""users"" --" is 'It''s big.';
comment on column public."Big; drop table ""users"" --"."Note" is 'What was said.';
comment on constraint a_big_row_is_told_apart on public."Big; drop table ""users"" --" is 'The key.';
comment on index public."Big by Kind" is 'By kind.';
create function private.planted_stop()
returns trigger
language plpgsql
as $$
begin
    raise exception 'append only';
end
$$;
create function private.planted_count()
returns trigger
language plpgsql
as $$
begin
    perform set_config('planted.rows', (select count(*) from added)::text, true);
    return null;
end
$$;
insert into public."Big; drop table ""users"" --" (kind, happened_at, "Note")
select
    number % 5,
    timestamptz '2025-01-31 23:30+00' + number * interval '2 hours 7 minutes',
    case when number % 10 > 0 then repeat('먹', number % 70) end
from generate_series(1, 997) as number;
insert into public."Big; drop table ""users"" --" (kind, happened_at)
values (0, '-infinity'), (1, 'infinity'), (2, '2999-01-01 00:00+00');
create trigger "stop it" before update or delete on public."Big; drop table ""users"" --"
for each row when (old.kind > 0) execute function private.planted_stop();
create trigger refuse_inserts before insert on public."Big; drop table ""users"" --"
for each row execute function private.planted_stop();
alter table public."Big; drop table ""users"" --" disable trigger refuse_inserts;
create trigger count_them after insert on public."Big; drop table ""users"" --"
referencing new table as added
for each statement execute function private.planted_count();
alter table public."Big; drop table ""users"" --" enable always trigger count_them;
create publication planted_publication for table public."Big; drop table ""users"" --"
with (publish_via_partition_root = true);

-- What Postgres says of a table, without the identity of its objects.
create temporary view described as
select
    class.relrowsecurity,
    class.relforcerowsecurity,
    class.relowner,
    obj_description(class.oid, 'pg_class') as remark,
    (
        select jsonb_agg(to_jsonb(entry) - 'grantor' order by entry.grantee, entry.privilege_type)
        from aclexplode(class.relacl) as entry
    ) as grants,
    (
        select
            jsonb_agg(
                jsonb_build_array(
                    attribute.attname,
                    format_type(attribute.atttypid, attribute.atttypmod),
                    attribute.attnotnull,
                    attribute.attidentity,
                    attribute.attgenerated,
                    attribute.attacl::text,
                    pg_get_expr(value.adbin, value.adrelid),
                    col_description(class.oid, attribute.attnum)
                )
                order by attribute.attnum
            )
        from pg_attribute as attribute
        left join pg_attrdef as value on attribute.attrelid = value.adrelid and attribute.attnum = value.adnum
        where
            attribute.attrelid = class.oid
            and attribute.attnum > 0
            and not attribute.attisdropped
    ) as columns,
    (
        select
            jsonb_agg(
                jsonb_build_array(
                    own.conname,
                    pg_get_constraintdef(own.oid),
                    obj_description(own.oid, 'pg_constraint')
                )
                order by own.conname
            )
        from pg_constraint as own
        where own.conrelid = class.oid
    ) as constraints,
    (
        select
            jsonb_agg(
                jsonb_build_array(
                    replace(pg_get_indexdef(index.indexrelid), ' ON ONLY ', ' ON '),
                    obj_description(index.indexrelid, 'pg_class'),
                    index.indisvalid
                )
                order by index.indexrelid::regclass::text
            )
        from pg_index as index
        where index.indrelid = class.oid
    ) as indexes,
    (
        select
            jsonb_agg(jsonb_build_array(pg_get_triggerdef(own.oid), own.tgenabled) order by own.tgname)
        from pg_trigger as own
        where
            own.tgrelid = class.oid
            and not own.tgisinternal
    ) as triggers,
    (
        select
            jsonb_agg(
                jsonb_build_array(policy.*, obj_description(own.oid, 'pg_policy')) order by policy.policyname
            )
        from pg_policies as policy
        inner join pg_policy as own on policy.policyname = own.polname and own.polrelid = class.oid
        where policy.tablename = class.relname
    ) as policies,
    (
        select jsonb_agg(publication.pubname)
        from pg_publication_rel as published
        inner join pg_publication as publication on published.prpubid = publication.oid
        where published.prrelid = class.oid
    ) as publications
from pg_class as class
where
    class.relname = 'Big; drop table "users" --'
    and class.relnamespace = 'public'::regnamespace;
create temporary table described_before as
select * from described;
create temporary table rows_before as
select * from public."Big; drop table ""users"" --";
create temporary table checksum_before as
select * from private.checksum_of('public."Big; drop table ""users"" --"');
create temporary table sequences_before as
select
    (select last_value from public.planted_ticket) as ticket,
    (select max(id) from rows_before) as id,
    pg_get_serial_sequence('public."Big; drop table ""users"" --"', 'id') as name;
select results_eq(
    $$
        select
            jsonb_array_length(constraints),
            jsonb_array_length(indexes),
            jsonb_array_length(triggers),
            jsonb_array_length(policies),
            jsonb_array_length(publications)
        from described_before
    $$,
    $$values (4, 4, 3, 2, 1)$$,
    'there is something to forget'
);

-- A rehearsal.
select results_eq(
    $$select months > 4, row_count, is_converted from ops.partition_large_table(
        'public."Big; drop table ""users"" --"', 'happened_at', dry_run => true
    )$$,
    $$values (true, 1000::bigint, false)$$,
    'a rehearsal tells what would be done'
);
select set_eq('select * from described', 'select * from described_before', 'and does nothing');

-- Look-alikes of what is about to be made and dropped.
create table public."Big" as
select 1 as kept;
create table private.planted_kinds_2025_01 as
select 1 as kept;
create temporary table look_alikes as
select
    oid,
    relname
from pg_class
where relname in ('Big', 'planted_kinds_2025_01', 'planted_kinds', 'users');

-- A copy that is not equal is none.
savepoint unequal;
create or replace function private.checksum_of(source regclass, out row_count bigint, out checksum numeric)
language sql
as $$select 1000, random()$$;
select throws_ok(
    $$select ops.partition_large_table('public."Big; drop table ""users"" --"', 'happened_at')$$,
    'XX001',
    'The copy is not equal to the table.',
    'S-120: a copy with another checksum is refused'
);
select set_eq('select * from described', 'select * from described_before', 'and nothing has happened');
rollback to savepoint unequal;

-- The conversion.
create temporary table converted as
select *
from ops.partition_large_table('public."Big; drop table ""users"" --"', 'happened_at');
select results_eq(
    $$select parent, row_count, checksum, is_converted from converted$$,
    $$
        select 'public."Big; drop table ""users"" --"', row_count, checksum, true
        from checksum_before
    $$,
    'S-120, D73: a thousand rows of a table with a hostile name were moved, and says so'
);
select is(
    (select relkind from pg_class where oid = 'public."Big; drop table ""users"" --"'::regclass),
    'p'::"char",
    'S-120: it is partitioned'
);
select results_eq(
    $$select * from private.checksum_of('public."Big; drop table ""users"" --"')$$,
    $$select * from checksum_before$$,
    'S-120: same count, same checksum'
);
select set_eq(
    $$select * from public."Big; drop table ""users"" --"$$,
    $$select * from rows_before$$,
    'every row is as it was, identity and generated columns too'
);
select is(current_setting('planted.rows', true), null, 'no trigger took the moving for writing');
select is(
    (select to_jsonb(described) -> fact from described),
    (select to_jsonb(described_before) -> fact from described_before),
    'D57: it has the ' || fact || ' of before'
)
from unnest(array[
    'relrowsecurity', 'relforcerowsecurity', 'relowner', 'remark', 'grants', 'constraints', 'indexes', 'triggers',
    'policies', 'publications'
]) as fact;
select is(
    (select replace(columns::text, '__partitioned', '') from described),
    (select columns::text from described_before),
    'D57: it has the columns of before, with their defaults, grants and comments'
);
select results_eq(
    $$
        select
            count(*) filter (where is_default),
            count(*) filter (where not is_default) >= 7,
            min(lower_bound),
            max(upper_bound) = date_trunc('month', now(), 'UTC') + interval '4 months'
        from private.partitions_of('public."Big; drop table ""users"" --"')
    $$,
    $$values (1::bigint, true, timestamptz '2025-02-01 00:00+00', true)$$,
    'its months are those of the rows, on UTC''s calendar, and three ahead'
);
select is(
    (select count(*) from only private."Big; drop table ""users"" --_default"),
    3::bigint,
    'what has no month is in the default partition'
);
select is_empty(
    $$
        select existing.child
        from private.partitions_of('public."Big; drop table ""users"" --"') as existing
        inner join pg_class as class on existing.child = class.oid
        where
            not class.relrowsecurity
            or class.relnamespace <> 'private'::regnamespace
            or obj_description(class.oid, 'pg_class') is null
            or exists (
                select
                from aclexplode(class.relacl) as entry
                where entry.grantee <> class.relowner
            )
    $$,
    'D25: no partition is within reach'
);
select is(
    pg_temp.outcome('authenticated', null, 'select from public."Big; drop table ""users"" --"'),
    (select count(*) filter (where kind % 2 = 0) from rows_before) || ' rows',
    'the policy shows what it showed'
);
select is(
    pg_temp.outcome('anon', null, 'select from public."Big; drop table ""users"" --"'),
    '42501 permission denied for table Big; drop table "users" --',
    'and who had no grant has none'
);
select throws_ok(
    $$delete from public."Big; drop table ""users"" --" where kind = 1$$,
    'P0001',
    'append only',
    'the trigger stops what it stopped'
);
insert into public."Big; drop table ""users"" --" (kind, happened_at)
values (1, now());
select results_eq(
    $$
        select
            later.id - counter.id,
            later.ticket - counter.ticket,
            later.tableoid = to_regclass(
                format('private.%I', 'Big; drop table "users" --' || to_char(now() at time zone 'UTC', '_YYYY_MM'))
            )
        from public."Big; drop table ""users"" --" as later
        cross join sequences_before as counter
        where later.happened_at = now()
    $$,
    $$values (1::bigint, 1::bigint, true)$$,
    'the sequences go on, and a new row is in its month'
);
select is(current_setting('planted.rows', true), '1', 'the trigger of statements counts');
select is(
    pg_get_serial_sequence('public."Big; drop table ""users"" --"', 'id'),
    (select name from sequences_before),
    'the sequence has its name'
);
select is(
    (
        select count(*)
        from pg_class
        where
            relname like '%\_\_partitioned%'
            or relname like '\_\_before\_%'
    ),
    0::bigint,
    'nothing is left of the moving'
);
select set_eq(
    $$select oid, relname from pg_class where relname in ('Big', 'planted_kinds_2025_01', 'planted_kinds', 'users')$$,
    $$select * from look_alikes$$,
    'D71: tables with similar names are untouched'
);
select results_eq(
    $$
        select control_column, months_ahead, retention
        from ops.partition_policies
        where parent_table = 'Big; drop table "users" --'
    $$,
    $$values ('happened_at', 3, null::interval)$$,
    'it is kept from now on, and loses nothing'
);
select results_eq(
    $$select severity, message like '1000 rows%', resolved_at is not null from ops.alerts where kind = 'table_partitioned'$$,
    $$values ('info', true, true)$$,
    'S-120: and the log tells of it'
);
select is_empty(
    $$
        select
        from ops.create_monthly_partitions()
        where
            parent like '%Big%'
            and state <> 'present'
    $$,
    'the nightly making finds nothing to do'
);

-- What cannot be kept is refused, in words.
create table public.planted_rows (
    id bigint,
    happened_at timestamptz not null,
    day date,
    maybe_at timestamptz
);
insert into public.planted_rows
values (1, '2025-02-03 00:00+00', '2025-02-03', null);
create function pg_temp.refusal(
    preparation text,
    control_column name default 'happened_at'
)
returns text
language plpgsql
as $$
begin
    execute preparation;
    perform ops.partition_large_table('public.planted_rows', control_column);
    return 'it was converted';
exception
    when object_not_in_prerequisite_state or duplicate_table then
        return sqlerrm;
end
$$;
select is(
    pg_temp.refusal(preparation),
    message,
    name
)
from (
    values
    (
        'alter table public.planted_rows add unique (id, happened_at);'
        'create table private.planted_child (id bigint, at timestamptz,'
        ' foreign key (id, at) references public.planted_rows (id, happened_at))',
        'Foreign keys refer to the table.',
        'S-120: a table with inbound foreign keys is refused'
    ),
    (
        'alter table public.planted_rows add primary key (id)',
        'A primary key, unique or exclusion constraint does not hold the control column.',
        'D57: a primary key without the control column is refused'
    ),
    (
        'create unique index on public.planted_rows (id) include (happened_at)',
        'A primary key, unique or exclusion constraint does not hold the control column.',
        'D57: a unique index that only carries it along is refused'
    ),
    (
        'create rule planted as on delete to public.planted_rows do instead nothing',
        'The table has rules.',
        'rules are refused'
    ),
    (
        'create table private.planted_child () inherits (public.planted_rows)',
        'The table has parents or children.',
        'inheritance is refused'
    ),
    (
        'create view private.planted_view as select id from public.planted_rows',
        'Views, functions or policies of other tables are bound to the table.',
        'a view is not left behind'
    ),
    (
        'create function private.planted_row() returns setof public.planted_rows language sql as ''select * from public.planted_rows''',
        'Views, functions or policies of other tables are bound to the table.',
        'nor a function that returns its rows'
    ),
    (
        'create policy planted on public.planted_kinds using (exists (select from public.planted_rows))',
        'Views, functions or policies of other tables are bound to the table.',
        'nor a policy of another table'
    ),
    (
        'alter table public.planted_rows add check (id > 0) not valid',
        'A constraint is not validated, or not inherited.',
        'a constraint that is not validated is refused'
    ),
    (
        'alter table public.planted_rows set (fillfactor = 50)',
        'The table has a replica identity or storage parameters of its own.',
        'storage parameters are refused'
    ),
    (
        'create publication planted_too for table public.planted_rows',
        'A publication would tell of the partitions instead of the table, or filters it.',
        'a publication that would name partitions is refused'
    ),
    (
        'create trigger planted after insert on public.planted_rows'
        ' referencing new table as added for each row execute function private.planted_count()',
        'A row trigger has a transition table.',
        'a row trigger with a transition table is refused'
    ),
    (
        'insert into public.planted_rows select 2, timestamptz ''1800-01-01 00:00+00'''
        ' + make_interval(months => number) from generate_series(1, 700) as number',
        'The rows are of more than 600 months.',
        'times that cannot be true do not make hundreds of tables'
    ),
    (
        'create table private.planted_rows_2025_02 (id bigint)',
        'Something else has the name of a partition.',
        'D71: a table with the name of a partition is left alone'
    ),
    (
        'create table public.planted_rows__partitioned (id bigint)',
        'Something else has the name of the copy.',
        'D71: so is one with the name of the copy'
    ),
    (
        'alter table public.planted_rows rename to planted_renamed;'
        'create table public.planted_rows (happened_at timestamptz not null) partition by range (happened_at)',
        'The table is partitioned already.',
        'a partitioned table is refused'
    ),
    (
        'drop table public.planted_rows; create unlogged table public.planted_rows (happened_at timestamptz not null)',
        'It is no plain, permanent table.',
        'an unlogged table is refused'
    )
) as refused (preparation, message, name);
select is(
    pg_temp.refusal('select 1', column_name),
    'The control column is no timestamptz column that is never null.',
    'control column ' || column_name || ' is refused'
)
from unnest(array['day', 'maybe_at', 'nothing', 'ctid']) as column_name;
select throws_ok(
    $$select ops.partition_large_table(null, 'happened_at')$$,
    '22023',
    'There is no such table, or no control column is named.',
    'no table is refused'
);
select throws_ok(
    $$select ops.partition_large_table('pg_catalog.pg_class', 'relname')$$,
    '55000',
    'The table belongs to Postgres or to an extension.',
    'the catalog is refused'
);
select is(
    (select relkind from pg_class where oid = 'public.planted_rows'::regclass),
    'r'::"char",
    'and the table is as it was'
);

-- Looking for large tables.
create temporary table plain as
select format('%I.%I', schema.nspname, relation.relname) as name
from pg_class as relation
inner join pg_namespace as schema on relation.relnamespace = schema.oid
where
    relation.relkind = 'r'
    and relation.relpersistence = 'p'
    and not relation.relispartition
    and schema.nspname in ('public', 'private', 'ops')
    and not exists (select from pg_depend where objid = relation.oid and deptype = 'e');
create temporary table first_look as
select * from ops.auto_archive_policy(0, '2025-06-01 00:00+00');
select is_empty(
    $$select name from plain except select parent from first_look$$,
    'S-119: with the threshold at 0 every candidate has a row'
);
select is_empty(
    $$
        select name
        from plain
        except
        select subject
        from ops.alerts
        where
            kind = 'large_table'
            and resolved_at is null
    $$,
    'S-119: and an alert, since nobody may act'
);
select set_eq($$select distinct state from first_look$$, array['candidate'], 'without a policy nothing is touched');
insert into ops.archive_policies (parent_schema, parent_table, control_column)
values
('public', 'planted_rows', 'happened_at'),
('public', 'users', 'created_at'),
('public', 'Big', 'happened_at');
select set_eq(
    $$
        select parent || ' ' || state || ' ' || message
        from ops.auto_archive_policy(0, '2025-06-08 00:00+00')
        where parent in ('public.planted_rows', 'public.users', 'public."Big"')
    $$,
    array[
        'public.planted_rows converted 1 rows are in 5 months.',
        'public.users refused Foreign keys refer to the table.',
        'public."Big" refused The control column is no timestamptz column that is never null.'
    ],
    'S-119: what a policy names is converted, or refused with the reason'
);
select is(
    (
        select resolved_at
        from ops.alerts
        where
            kind = 'large_table'
            and subject = 'public.planted_rows'
    ),
    timestamptz '2025-06-08 00:00+00',
    'what was converted is no alert any more'
);
select is_empty($$select parent from ops.auto_archive_policy()$$, 'no table of this house is over 1 GB');
select is_empty(
    $$select subject from ops.alerts where kind = 'large_table' and resolved_at is null$$,
    'what is no longer large is no alert any more'
);
select throws_ok(
    format('select ops.auto_archive_policy(%s)', arguments),
    '22023',
    'The threshold is no number of bytes, or the time is no moment.',
    'refused: ' || arguments
)
from unnest(array['null', '-1', '0, null']) as arguments;

-- pg_cron's history.
insert into cron.job_run_details (jobid, runid, command, status, start_time, end_time)
select
    0,
    -number,
    case when number <= 5 then 'old' else 'young' end,
    'succeeded',
    now() - interval '9 days',
    case when number <= 4 then now() - interval '7 days 1 second' when number > 5 then now() - interval '6 days' end
from generate_series(1, 8) as number;
delete from cron.job_run_details
where jobid <> 0;
select is(ops.purge_cron_history(batch_size => 3), 3::bigint, 'D70: history goes in batches that are counted');
select is(ops.purge_cron_history(), 2::bigint, 'the next run takes the rest, a run that never ended too');
select results_eq(
    $$select distinct command from cron.job_run_details where jobid = 0$$,
    $$values ('young')$$,
    'the purge keeps seven days of history'
);

select finish();
rollback;
