-- Months are ready ahead of time, strays come home, only expired partitions go, and no partition is reachable.
begin;
select plan(51);
\ir ../outcome.psql

-- As shipped.
select results_eq(
    $$select parent, is_healthy, problem from ops.partition_health()$$,
    $$
        values
        ('ops.audit_logs_enhanced', true, null::text),
        ('private.feed_impressions', true, null),
        ('private.keyword_signals', true, null),
        ('public.search_sessions', true, null),
        ('public.video_interactions', true, null),
        ('public.watch_events', true, null)
    $$,
    'every policy is kept from the first migration on'
);
select cmp_ok(
    (select min(days_ahead) from ops.partition_health()),
    '>=',
    45,
    'S-246: partitions reach at least 45 days ahead'
);
select is_empty(
    $$
        select relation.oid::regclass
        from pg_partitioned_table as partitioned
        inner join pg_class as relation on partitioned.partrelid = relation.oid
        where
            relation.relnamespace in ('public'::regnamespace, 'private'::regnamespace, 'ops'::regnamespace)
            and not exists (
                select
                from ops.partition_policies as policy
                where to_regclass(format('%I.%I', policy.parent_schema, policy.parent_table)) = relation.oid
            )
    $$,
    'every partitioned table has a policy'
);

-- What fails on purpose below warns as well.
set local client_min_messages = 'error';

-- From here on the house has one table, planted, in the care of somebody in Seoul.
delete from ops.partition_policies;
set local timezone = 'Asia/Seoul';
set local datestyle = 'SQL, DMY';
create table public.planted_events (
    id bigint generated always as identity,
    happened_at timestamptz not null,
    note text,
    note_length integer generated always as (length(note)) stored,
    primary key (id, happened_at)
) partition by range (happened_at);
alter table public.planted_events enable row level security;
create index planted_events_by_time on public.planted_events (happened_at);
create table private.planted_events_default partition of public.planted_events default;
alter table private.planted_events_default enable row level security;
grant select, insert on public.planted_events to anon, app_authenticated, app_service;
create policy planted on public.planted_events
for select to anon, authenticated
using (false);
insert into ops.partition_policies (parent_schema, parent_table, control_column, months_ahead, retention)
values ('public', 'planted_events', 'happened_at', 3, '12 months');

-- One month.
select results_eq(
    $$
        select child::text, is_new, moved_rows
        from ops.create_monthly_partition('public.planted_events', '2025-06-15')
    $$,
    $$values ('private.planted_events_2025_06', true, 0::bigint)$$,
    'S-109: a day names its month, and the partition lives where no request reaches'
);
select results_eq(
    $$select * from ops.create_monthly_partition('public.planted_events', '2025-06-30')$$,
    $$values ('private.planted_events_2025_06'::regclass, false, 0::bigint)$$,
    'D72, U-12: a second call makes nothing'
);
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
select is(
    (
        select pg_get_expr(relpartbound, oid)
        from pg_class
        where oid = 'private.planted_events_2025_06'::regclass
    ),
    'FOR VALUES FROM (''2025-06-01 00:00:00+00'') TO (''2025-07-01 00:00:00+00'')',
    'D72: the month is UTC''s, though Seoul asked'
);
set local timezone = 'Asia/Seoul';
set local datestyle = 'SQL, DMY';
select results_eq(
    $$select child, lower_bound, upper_bound from private.partitions_of('public.planted_events') where not is_default$$,
    $$
        values (
            'private.planted_events_2025_06'::regclass,
            timestamptz '2025-06-01 00:00+00',
            timestamptz '2025-07-01 00:00+00'
        )
    $$,
    'and is read back as such in Seoul'
);
select throws_ok(
    $$select ops.create_monthly_partition('public.planted_events', null)$$,
    '22023',
    'The month is no date.',
    'no month is refused'
);
select throws_ok(
    $$select ops.create_monthly_partition('public.planted_events', 'infinity')$$,
    '22023',
    'The month is no date.',
    'and an infinite one'
);
select throws_ok(
    $$select ops.create_monthly_partition('ops.outbox', '2025-06-01')$$,
    '42809',
    'The table is not partitioned by range of one timestamptz column.',
    'D73: a plain table is not converted'
);

-- A child is like its parent, and out of reach.
select results_eq(
    $$
        select relrowsecurity
        from pg_class
        where oid = 'private.planted_events_2025_06'::regclass
    $$,
    $$values (true)$$,
    'D25: a new partition has RLS'
);
select is(
    pg_temp.outcome(role_name, null, statement),
    '42501 permission denied for table planted_events_2025_06',
    'D25: ' || role_name || ' cannot: ' || statement
)
from unnest(array['anon', 'authenticated', 'service_role']) as role_name
cross join unnest(array[
    'select from private.planted_events_2025_06',
    'insert into private.planted_events_2025_06 (happened_at) values (''2025-06-02'')'
]) as statement;
select is(
    pg_temp.outcome('service_role', null, $$insert into public.planted_events (happened_at) values ('2025-06-02')$$),
    '1 row',
    'S-177: who may write to the parent writes into its new month'
);
select ok(
    obj_description('private.planted_events_2025_06'::regclass, 'pg_class') like 'Rows of public.planted_events from%',
    'it says what it is'
);
select results_eq(
    $$
        select count(*)
        from pg_index
        where indrelid = 'private.planted_events_2025_06'::regclass
    $$,
    $$values (2::bigint)$$,
    'S-106: it has each index of its parent, once'
);

-- Strays: rows of a month that had no partition, under triggers that refuse and record deletions.
create table private.planted_record (what text);
create function private.planted_refusal()
returns trigger
language plpgsql
as $$
begin
    raise exception 'append only';
end
$$;
create function private.planted_recording()
returns trigger
language plpgsql
as $$
begin
    insert into private.planted_record values (tg_op);
    return null;
end
$$;
insert into public.planted_events (happened_at, note)
values
('2025-07-01 00:00+00', 'first of July'),
('2025-07-31 23:59:59.999999+00', 'last of July'),
('2025-06-30 23:59:59.999999+00', 'last of June'),
('2025-08-01 00:00+00', 'first of August');
create trigger refuse before update or delete on public.planted_events
for each row execute function private.planted_refusal();
create trigger record after insert or delete on public.planted_events
for each row execute function private.planted_recording();
alter table private.planted_events_default enable always trigger record;
alter table private.planted_events_2025_06 disable trigger refuse;
select results_eq(
    $$select stray_rows, is_healthy from ops.partition_health('2025-06-10')$$,
    $$values (3::bigint, false)$$,
    'S-198: rows in the default partition are reported'
);
create temporary table before_moving as
select * from public.planted_events;
select results_eq(
    $$
        select child::text, is_new, moved_rows
        from ops.create_monthly_partition('public.planted_events', '2025-07-01')
    $$,
    $$values ('private.planted_events_2025_07', true, 2::bigint)$$,
    'a partition takes the strays of its month with it'
);
select set_eq(
    $$select note from only private.planted_events_2025_07$$,
    array['first of July', 'last of July'],
    'exactly those'
);
select set_eq(
    $$select note from only private.planted_events_default$$,
    array['first of August'],
    'and leaves the others'
);
select set_eq(
    $$select * from public.planted_events$$,
    $$select * from before_moving$$,
    'every row is as it was, identity and generated columns too'
);
select is_empty($$select what from private.planted_record$$, 'no trigger took the moving for a deletion');
select set_eq(
    $$
        select tgname || ' ' || tgenabled::text
        from pg_trigger
        where tgrelid = 'private.planted_events_default'::regclass
    $$,
    array['refuse O', 'record A'],
    'and the triggers stand as before'
);
select throws_ok(
    $$delete from public.planted_events where note = 'first of July'$$,
    'P0001',
    'append only',
    'the new partition has its parent''s triggers'
);
create table private.planted_reference (
    id bigint,
    happened_at timestamptz,
    foreign key (id, happened_at) references public.planted_events (id, happened_at) on delete set null
);
select throws_ok(
    $$select ops.create_monthly_partition('public.planted_events', '2025-08-01')$$,
    '2BP01',
    'Rows cannot leave the default partition while a foreign key acts on their deletion.',
    'moving never blanks what refers to the rows'
);
drop table private.planted_reference;

-- All policies: one that fails is nothing to the other.
create table private.planted_events_2025_09 (id bigint);
insert into ops.partition_policies (parent_schema, parent_table, control_column)
values
('private', 'a_table_that_is_gone', 'at'),
('public', 'cached_videos', 'created_at');
create temporary table made as
select * from ops.create_monthly_partitions('2025-06-30 23:30+00');
select set_eq(
    $$select parent || coalesce(to_char(month, ' YYYY-MM '), ' ') || state || ' ' || moved_rows from made$$,
    array[
        'private.a_table_that_is_gone failed 0',
        'public.cached_videos failed 0',
        'public.planted_events 2025-06 present 0',
        'public.planted_events 2025-07 present 0',
        'public.planted_events 2025-08 created 1',
        'public.planted_events 2025-09 failed 0'
    ],
    'S-110: this month and three more, each failure by itself, on UTC''s calendar'
);
select set_eq(
    $$select message from made where state = 'failed'$$,
    array[
        'A partition policy names a table that is not there.',
        'The table is not partitioned by range of one timestamptz column.',
        'Something else has the name of the partition.'
    ],
    'and each says why'
);
select results_eq(
    $$select parent, problem from ops.partition_health('2025-06-30') order by parent collate "C"$$,
    $$
        values
        ('private.a_table_that_is_gone', 'A partition policy names a table that is not there.'),
        ('public.cached_videos', 'The table is not partitioned by range of one timestamptz column.'),
        ('public.planted_events', null)
    $$,
    'health names what cannot be kept'
);
select results_eq(
    $$
        select days_ahead, problem
        from ops.partition_health('2025-07-18 00:01+00')
        where parent = 'public.planted_events'
    $$,
    $$values (44, 'Partitions end in less than 45 days.')$$,
    'and what ends too soon'
);
select ops.create_monthly_partition('public.planted_events', '2025-10-01');
select results_eq(
    $$
        select newest_bound, days_ahead
        from ops.partition_health('2025-07-18 00:00+00')
        where parent = 'public.planted_events'
    $$,
    $$values (timestamptz '2025-11-01 00:00+00', 45)$$,
    'a month beyond a hole does not count'
);
select throws_ok(
    $$select ops.create_monthly_partitions('infinity')$$,
    '22023',
    'The time is no moment.',
    'an infinite time is refused'
);
select throws_ok(
    $$select ops.drop_expired_partitions('infinity')$$,
    '22023',
    'The time is no moment, or dry_run is neither true nor false.',
    'D71: an infinite time does not expire everything'
);
delete from ops.partition_policies
where parent_table <> 'planted_events';
drop table private.planted_events_2025_09;

-- Old strays get a month of their own and expire with it; those far ahead wait.
alter table public.planted_events disable trigger record;
insert into public.planted_events (happened_at, note)
values
('2024-02-29 12:00+00', 'long ago'),
('2099-01-01 00:00+00', 'a clock gone wrong'),
('-infinity', 'never');
select results_eq(
    $$
        select month, state, moved_rows
        from ops.create_monthly_partitions('2025-06-30')
        where state = 'created'
        order by month
    $$,
    $$values (date '2024-02-01', 'created', 1::bigint), (date '2025-09-01', 'created', 0::bigint)$$,
    'an old stray gets its month'
);
select results_eq(
    $$select child, state from ops.drop_expired_partitions('2025-03-01 00:00+00', dry_run => true)$$,
    $$values ('private.planted_events_2024_02', 'expired')$$,
    'a dry run tells what would go, at the very moment'
);
select is_empty(
    $$select child from ops.drop_expired_partitions('2025-02-28 23:59:59+00', dry_run => true)$$,
    'and not a moment before'
);
select has_table('private', 'planted_events_2024_02', 'a dry run drops nothing');
create view private.planted_view as
select note from private.planted_events_2024_02;
select is(
    (select state from ops.drop_expired_partitions('2025-03-01 00:00+00')),
    'failed',
    'what something depends on is not dropped'
);
select is(
    (select relispartition from pg_class where oid = 'private.planted_events_2024_02'::regclass),
    true,
    'and stays attached'
);
drop view private.planted_view;
select is(
    (select state from ops.drop_expired_partitions('2025-03-01 00:00+00')),
    'dropped',
    'the next run finishes the work'
);
select set_eq(
    $$select note from only private.planted_events_default$$,
    array['a clock gone wrong', 'never'],
    'the default partition is never dropped'
);

-- 400 days among look-alikes.
drop table public.planted_events;
create table public.planted_signals (
    happened_at timestamptz primary key
) partition by range (happened_at);
create table private.planted_signals_default partition of public.planted_signals default;
create table private.planted_signals_elsewhere (happened_at timestamptz primary key) partition by range (happened_at);
create table private.planted_signals_2019_01 partition of private.planted_signals_elsewhere
for values from ('2019-01-01 00:00+00') to ('2019-02-01 00:00+00');
update ops.partition_policies
set parent_table = 'planted_signals';
do $$
declare
    name text;
begin
    foreach name in array array[
        'planted_signals_2024_summary', 'planted_signals_1', 'planted_signals_', 'planted_signals', 'plantedXsignals_2020_01',
        'planted_signals_old', 'planted_signals_2020_01_backup', 'planted_signals_2020_13', 'planted_signals_0000_00'
    ] || array(select 'planted_signals_' || to_char(month, 'YYYY_MM') from generate_series(
        timestamp '2020-01-01', '2022-12-01', '1 month'
    ) as month)
    || array(select 'planted_signals_p' || number from generate_series(1, 5) as number) loop
        execute format('create table private.%I as select 1 as kept', name);
    end loop;
end
$$;
create temporary table look_alikes as
select oid
from pg_class
where
    relname ~ '^planted.signals'
    and relkind in ('r', 'p')
    and oid <> 'public.planted_signals'::regclass;
create temporary table days (
    day date,
    days_ahead integer,
    stray_rows bigint,
    failed bigint,
    lost bigint,
    too_old bigint
);
do $$
declare
    today timestamptz;
begin
    for number in 0..399 loop
        today := timestamptz '2024-12-25 17:30+00' + make_interval(days => number);
        perform ops.create_monthly_partitions(today);
        insert into public.planted_signals
        values (today), (date_trunc('month', today, 'UTC') + interval '3 months')
        on conflict do nothing;
        perform ops.drop_expired_partitions(today + interval '15 minutes');
        insert into days
        select
            today::date,
            health.days_ahead,
            health.stray_rows,
            (select count(*) from ops.create_monthly_partitions(today) where state <> 'present'),
            -- Twelve months are kept whole: every day since then that was simulated is there.
            least(number, today::date - (today - interval '12 months')::date) + 1 - (
                select count(*)
                from public.planted_signals
                where happened_at between today - interval '12 months' and today and extract(minute from happened_at) = 30
            ),
            (select count(*) from public.planted_signals where happened_at < today - interval '13 months 1 day')
        from ops.partition_health(today) as health;
    end loop;
end
$$;
select is((select count(*) from days), 400::bigint, 'R-10: 400 days were simulated');
select cmp_ok((select min(days_ahead) from days), '>=', 45, 'R-10: always at least 45 days ahead');
select is(
    (select count(*) from days where stray_rows > 0 or failed > 0 or lost > 0 or too_old > 0),
    0::bigint,
    'no row strayed, was lost, or outlived its retention; no month failed'
);
select is((select count(*) from look_alikes), 53::bigint, 'there are look-alikes, an own and a foreign partition');
select is_empty(
    $$select oid from look_alikes except select oid from pg_class$$,
    'D71: none of them was dropped'
);
select results_eq(
    $$select min(lower_bound), max(upper_bound) from private.partitions_of('public.planted_signals')$$,
    $$values (timestamptz '2025-01-01 00:00+00', timestamptz '2026-05-01 00:00+00')$$,
    'S-244: what is there at the end is 12 months back and 3 ahead'
);

-- The room's own children, and who may ask.
select is_empty(
    $$
        select existing.child
        from private.partitions_of('private.keyword_signals') as existing
        inner join pg_class as relation on existing.child = relation.oid
        where not relation.relrowsecurity
    $$,
    'every partition of the signals has RLS'
);

select finish();
rollback;
