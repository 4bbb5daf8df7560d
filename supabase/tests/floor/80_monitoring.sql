-- What goes wrong is seen: every check speaks when its fault is planted, and the watchdog misses no job in 400 days.
begin;
select plan(69);
\ir ../outcome.psql

-- Who may ask.
select is(
    pg_temp.outcome('anon', null, 'select from public.health_check()'),
    '42501 permission denied for function health_check',
    'S-224: visitors do not ask for the health'
);
select is(
    pg_temp.outcome('authenticated', '{"app_metadata": {"role": "admin"}}', 'select from public.health_check()'),
    '42501 permission denied for function health_check',
    'S-224: nor do people, admins included'
);
select is(
    pg_temp.outcome('service_role', null, 'select count(*) from public.health_check() having count(*) >= 13'),
    '1 row',
    'S-224: the service does'
);
select is(
    pg_temp.outcome('authenticated', null, 'select from ops.' || name),
    '42501 permission denied for schema ops',
    'D78: people do not read ops.' || name
)
from unnest(
    array['database_health_metrics', 'index_recommendations', 'table_size_monitoring', 'table_size_history']
) as relation (name);
select is(
    pg_temp.outcome('service_role', null, 'select count(*) from ops.' || name),
    '1 row',
    'the service reads ops.' || name
)
from unnest(
    array[
        'database_health_metrics',
        'index_recommendations',
        'table_size_monitoring',
        'table_size_history',
        'job_expectations',
        'table_growth()'
    ]
) as relation (name);
select is_empty(
    $$
        select view.relname
        from pg_class as view
        inner join pg_attribute as attribute on view.oid = attribute.attrelid
        where
            view.relnamespace = 'ops'::regnamespace
            and view.relkind = 'v'
            and (
                attribute.attname in ('query', 'statement', 'return_message')
                or not 'security_invoker=true' = any(coalesce(view.reloptions, '{}'))
            )
    $$,
    'D22, D78: no view of operations runs with its owner''s rights or shows the text of a query'
);

-- Sizes and growth.
create table public.planted_sizes (at timestamptz not null, filling text) partition by range (at);
alter table public.planted_sizes enable row level security;
create table private.planted_sizes_a partition of public.planted_sizes for values from ('2026-01-01') to ('2026-02-01');
create table private.planted_sizes_default partition of public.planted_sizes default;
alter table private.planted_sizes_a enable row level security;
alter table private.planted_sizes_default enable row level security;
create table public."planted Größe'" (id integer);
alter table public."planted Größe'" enable row level security;
select is_empty(
    $$
        select
            schema.nspname,
            relation.relname
        from pg_class as relation
        inner join pg_namespace as schema on relation.relnamespace = schema.oid
        where
            schema.nspname in ('public', 'private', 'ops')
            and relation.relkind in ('r', 'p')
            and not relation.relispartition
        except
        select
            schemaname,
            tablename
        from ops.table_size_monitoring
    $$,
    'S-138, S-277: a row for every table, one with a quoted name too'
);
select is(
    (
        select array[count(*), min(partitions)]
        from ops.table_size_monitoring
        where tablename ~ '^planted_sizes'
    ),
    array[1, 2]::bigint[],
    'S-138: partitions count with their table'
);
select is(ops.snapshot_table_sizes('2026-01-01') > 10, true, 'S-223: the sizes of a day are kept');
insert into public.planted_sizes
select
    timestamptz '2026-01-01' + make_interval(secs => number),
    repeat('x', 1000)
from generate_series(1, 700) as number;
select is(
    ops.snapshot_table_sizes('2026-01-08 23:59+00'),
    ops.snapshot_table_sizes('2026-01-08 00:00+00'),
    'S-223: twice a day is once'
);
select results_eq(
    $$
        select
            bytes_per_day_in_7_days,
            bytes_per_day_in_30_days
        from ops.table_growth('2026-01-08 12:00+00')
        where tablename = 'planted_sizes'
    $$,
    $$
        select
            (max(size_bytes) - min(size_bytes)) / 7,
            (max(size_bytes) - min(size_bytes)) / 7
        from ops.table_size_history
        where tablename = 'planted_sizes'
    $$,
    'S-223: two snapshots tell the growth of a day'
);
select cmp_ok(
    (select size_bytes from ops.table_size_monitoring where tablename = 'planted_sizes'),
    '>=',
    700000::bigint,
    'S-223: and it is that of the partitions'
);
select is(
    (select count(*) from ops.table_growth('2026-01-01') where bytes_per_day_in_7_days is not null),
    0::bigint,
    'one snapshot tells no growth'
);
do $$begin perform ops.snapshot_table_sizes('2027-02-06'); end$$;
select is(
    (select min(day) from ops.table_size_history),
    date '2026-01-08',
    'what is older than 400 days goes'
);

-- Figures and advice.
select set_eq(
    $$select metric from ops.database_health_metrics$$,
    array['connection_count', 'cache_hit_ratio', 'transaction_rollback_ratio', 'slow_queries'],
    'S-140: the four figures'
);
select is_empty(
    $$select metric from ops.database_health_metrics where (value is null) <> (is_healthy is null)$$,
    'what was not measured is neither well nor unwell'
);
select lives_ok($$select * from ops.index_recommendations$$, 'D59: the recommendations name columns that exist');
select isnt_empty(
    $$select relation from ops.recommend_indexes(-1, -1, 0) where kind = 'missing_index' and seq_scans > index_scans$$,
    'S-141: tables read from end to end are told, by the thresholds that are given'
);
select is_empty(
    $$
        select recommended.index_name
        from ops.recommend_indexes(0, 0, -1) as recommended
        inner join pg_index as definition on recommended.index_name::regclass = definition.indexrelid
        where
            recommended.kind = 'unused_index'
            and (definition.indisunique or recommended.index_name ~ 'webhook_deliveries_by_endpoint')
    $$,
    'no unique index and none of a foreign key is called unused'
);

-- Each check speaks when its fault is planted.
create function pg_temp.said(name text, at timestamptz default now())
returns text
language sql
as $$
    select case when is_healthy then 'well' else detail end
    from private.health_checks(at)
    where check_name = name
$$;

select is(pg_temp.said('row_level_security'), 'well', 'S-224: every table has RLS');
create table public.planted_open (id integer);
select is(pg_temp.said('row_level_security'), 'Without RLS: public.planted_open.', 'S-224: one without is named');
drop table public.planted_open;

insert into ops.partition_policies (parent_schema, parent_table, control_column)
values ('public', 'planted_sizes', 'at');
do $$begin perform ops.create_monthly_partitions(); end$$;
select is(pg_temp.said('partitions'), 'well', 'S-198: default partitions are empty, 45 days are ready');
insert into public.planted_sizes
values (now() + interval '3 years');
select is(
    pg_temp.said('partitions'),
    'public.planted_sizes: Rows are in the default partition.',
    'S-198: a row in a default partition is seen'
);
select matches(
    pg_temp.said('partitions', now() + interval '200 days'),
    'public.planted_sizes: Partitions end in less than 45 days.',
    'months that run out are seen'
);

insert into public.webhook_endpoints (id, url, event_types)
values ('00000000-0000-4000-8000-000000000080', 'http://planted.example/', '{planted.event}');
insert into ops.outbox (id, event_type, dedupe_key, data)
values ('00000000-0000-4000-8000-000000000081', 'planted.event', '1', '{}');
delete from ops.webhook_deliveries;
select is(pg_temp.said('outbox'), 'well', 'an empty outbox is well');
insert into ops.webhook_deliveries (outbox_id, endpoint_id, event_type, next_attempt_at)
values (
    '00000000-0000-4000-8000-000000000081', '00000000-0000-4000-8000-000000000080', 'planted.event',
    now() - interval '14 minutes'
);
select is(pg_temp.said('outbox'), 'well', 'a delivery that is due for 14 minutes is not late yet');
select matches(
    pg_temp.said('outbox', now() + interval '1 minute'),
    'The oldest delivery has been due for 00:15:00.',
    'one that is due for 15 is'
);
update ops.webhook_deliveries
set
    state = 'dead',
    next_attempt_at = null;
select matches(pg_temp.said('outbox'), '1 were given up in the last 7 days.', 'a dead letter is seen');
select is(pg_temp.said('outbox', now() + interval '8 days'), 'well', 'for a week');
insert into auth.users (id, email)
values ('00000000-0000-4000-8000-000000000082', 'planted@webhooks.example');
update public.webhook_endpoints
set user_id = '00000000-0000-4000-8000-000000000082'
where id = '00000000-0000-4000-8000-000000000080';
select is(pg_temp.said('outbox'), 'well', 'a person''s own server is theirs to mend');
update public.webhook_endpoints
set
    user_id = null,
    disabled_at = now(),
    disabled_reason = 'gone'
where id = '00000000-0000-4000-8000-000000000080';
select is(pg_temp.said('outbox'), 'well', 'and a disabled endpoint has an alert of its own');

update ops.alerts
set resolved_at = now()
where resolved_at is null;
select ops.raise_alert('planted', 'a', 'm', 'warning'), ops.raise_alert('health', 'b', 'm', 'critical');
select is(pg_temp.said('open_alerts'), 'well', 'a warning is no reason, nor is what the checks said themselves');
select ops.raise_alert('planted', 'c', 'm', 'critical');
select is(pg_temp.said('open_alerts'), 'Open: planted c.', 'an open critical alert is');
select ops.raise_alert('planted', 'c', 'again', 'critical');
select results_eq(
    $$
        select
            data - 'alert_id' - 'opened_at',
            count(*) over ()
        from ops.outbox
        where
            event_type = 'alert.opened'
            and data @> '{"kind": "planted", "subject": "c"}'
    $$,
    $$values ('{"kind": "planted", "subject": "c", "severity": "critical"}'::jsonb, 1::bigint)$$,
    'an alert is an event once, when it opens, without its message'
);
delete from ops.alerts;

select is(pg_temp.said('constraints_and_indexes'), 'well', 'every constraint is valid');
select is(pg_temp.said('foreign_keys'), 'well', 'S-224, S-279: no orphans');
create table public.planted_parent (id integer primary key);
alter table public.planted_parent enable row level security;
create table public.planted_child (parent_id integer);
alter table public.planted_child enable row level security;
insert into public.planted_child
values (1), (2), (null);
alter table public.planted_child
add constraint planted_key foreign key (parent_id) references public.planted_parent (id) not valid;
select is(
    pg_temp.said('constraints_and_indexes'),
    'Not valid: planted_key of public.planted_child.',
    'a constraint that waits for validation is seen'
);
select is(
    pg_temp.said('foreign_keys'),
    'Rows that refer to nothing: planted_key of public.planted_child has 2.',
    'S-224: orphans are counted, and a null is none'
);
insert into public.planted_parent
values (1), (2);
select is(pg_temp.said('foreign_keys'), 'well', 'S-224: with their parents they are none');

delete from vault.secrets
where name in ('project_url', 'wake_secret');
select is(
    pg_temp.said('secrets'), 'Not in Vault: project_url, wake_secret.', 'secrets that delivery lacks are named'
);
select is(pg_temp.said('extensions'), 'well', 'the extensions are there');
select is(pg_temp.said('connections'), 'well', 'connections are left');
select is(pg_temp.said('transaction_ids'), 'well', 'transaction ids are young');
select matches(
    pg_temp.said('long_transactions', now() + interval '16 minutes'),
    'open for more than 15 minutes, the oldest since ',
    'this test, taken for 16 minutes long, is a long transaction'
);

select is(
    concat_ws(', ', pg_temp.said('encryption_keys'), pg_temp.said('audit_chain')) ~ '^(well(, well)?)?$',
    true,
    'keys and audit are asked where they are there, and are well'
);

-- A room joins by name; what raises is a row.
create function private.planted_room_health(at timestamptz)
returns private.health_result
language sql
as $$select row(false, 'planted', 'water it', '{"plants": 1}')::private.health_result$$;
create function private.planted_fault_health(at timestamptz)
returns private.health_result
language plpgsql
as $$begin perform 1 / 0; end$$;
create function private.planted_nothing_health(at timestamptz)
returns private.health_result
language sql
as $$select null::private.health_result$$;
select results_eq(
    $$select check_name, is_healthy, detail, hint, measured from public.health_check() where check_name ~ '^planted'
    order by check_name$$,
    $$
        values
        (
            'planted_fault',
            false,
            'The check itself failed: division by zero',
            'select private.planted_fault_health(now()); as postgres tells more.',
            '{"code": "22012"}'::jsonb
        ),
        ('planted_room', false, 'planted', 'water it', '{"plants": 1}')
    $$,
    'a room''s check is asked, one that raises is an unhealthy row, one without an answer is none'
);
do $$begin perform ops.watch_health('2026-01-01'), ops.watch_health('2026-01-02'); end$$;
select results_eq(
    $$select subject, message, times_seen, resolved_at is null from ops.alerts where subject ~ '^planted' order by 1$$,
    $$
        values
        ('planted_fault', 'The check itself failed: division by zero', 2, true),
        ('planted_room', 'planted', 2, true)
    $$,
    'an unhealthy check is one alert, counted'
);
create or replace function private.planted_room_health(at timestamptz)
returns private.health_result
language sql
as $$select row(true, 'grown', null, null)::private.health_result$$;
drop function private.planted_fault_health(timestamptz);
do $$begin perform ops.watch_health('2026-01-03'); end$$;
select is(
    (select count(*) from ops.alerts where subject ~ '^planted' and resolved_at = '2026-01-03'),
    2::bigint,
    'which is closed when the check is well again, or gone'
);
delete from ops.alerts;

-- How long a job may be silent.
select results_eq(
    $$
        select private.silence_allowed(schedule)
        from unnest(
            array[
                '10 seconds', '1 second', '*/5 * * * *', '* * * * *', '7 * * * *', '15 17 * * *', '0 */6 * * *',
                '0 3 * * 1', '0 3 1 * *', '0 3 $ * *', '0 3 1 1 *', '@daily', '@hourly', '@weekly', ' 5  4 * * * '
            ]
        ) as job (schedule)
    $$,
    $$
        select allowed::interval
        from unnest(
            array[
                '1 h', '1 h', '1 h', '1 h', '2 h', '26 h', '26 h',
                '8 days', '32 days', '32 days', '367 days', '26 h', '2 h', '8 days', '26 h'
            ]
        ) as silence (allowed)
    $$,
    'D74: every schedule has its silence'
);

-- 400 days: ten jobs with one fault each, and three without.
delete from ops.job_expectations;
delete from cron.job_run_details;
delete from cron.job;
select pg_temp.said('watchdog') as before_it_looked
\gset
create temporary table planted_faults (
    name text primary key,
    schedule text,
    kind text,
    day integer
);
insert into planted_faults
values
('planted-daily-1', '15 17 * * *', 'failed', 30),
('planted-daily-2', '30 17 * * *', 'failed', 60),
('planted-daily-3', '45 17 * * *', 'silent', 90),
('planted-hourly', '0 * * * *', 'failed', 120),
('planted-minutes', '*/5 * * * *', 'failed', 150),
('planted-seconds', '10 seconds', 'silent', 180),
('planted-hanging', '0 18 * * *', 'hanging', 210),
('planted-inactive', '0 18 * * *', 'inactive', 240),
('planted-missing', '0 18 * * *', 'missing', 270),
('planted-weekly', '0 18 * * 0', 'silent', 305),
('planted-well-1', '0 19 * * *', 'none', null),
('planted-well-2', '10 seconds', 'none', null),
('planted-well-3', '0 18 * * 0', 'none', null);
do $$
declare
    began constant timestamptz := '2025-01-01 00:00+00';
    looked timestamptz;
    planted record;
    id bigint;
    since integer;
    is_frequent boolean;
begin
    perform cron.schedule(name, schedule, 'select 1') from planted_faults;
    for day in 0..399 loop
        foreach looked in array array[
            began + make_interval(days => day),
            began + make_interval(days => day, hours => 8),
            began + make_interval(days => day, hours => 16),
            began + make_interval(days => day, hours => 19)
        ] loop
            for planted in select * from planted_faults loop
                select jobid into id from cron.job where jobname = planted.name;
                since := day - coalesce(planted.day, 1000);
                if planted.kind = 'inactive' and since in (0, 1) then
                    perform cron.alter_job(id, active => since <> 0);
                elsif planted.kind = 'missing' and since = 0 and id is not null then
                    perform cron.unschedule(planted.name);
                elsif planted.kind = 'missing' and since = 1 and id is null then
                    id := cron.schedule(planted.name, planted.schedule, 'select 1');
                end if;
                is_frequent := planted.schedule ~ '(seconds|\* \* \* \*)$';
                -- Daily and weekly jobs run at 18:00; a weekly one is silent for a week.
                continue when id is null
                or (planted.kind = 'inactive' and since = 0)
                or (planted.kind = 'silent' and since in (0, 1))
                or (not is_frequent and extract(hour from looked) <> 19)
                or (planted.schedule ~ ' 0$' and extract(isodow from looked) <> 7);
                insert into cron.job_run_details (jobid, runid, command, status, start_time, end_time, return_message)
                values (
                    id,
                    -nextval('cron.runid_seq'),
                    'planted',
                    case
                        when planted.kind = 'failed' and since = 0 then 'failed'
                        when planted.kind = 'hanging' and since = 0 then 'running'
                        else 'succeeded'
                    end,
                    looked - case when is_frequent then interval '1 minute' else interval '1 hour' end,
                    case when planted.kind = 'hanging' and since = 0 then null else looked end,
                    e'ERROR: planted\nDETAIL: somebody''s address'
                );
            end loop;
            perform ops.watch_jobs(looked);
        end loop;
        delete from cron.job_run_details where start_time < looked - interval '7 days';
    end loop;
end
$$;
select is(:'before_it_looked'::text, 'The watchdog has not looked yet.', 'a watchdog that never looked is seen');
select is(pg_temp.said('watchdog', '2026-02-04 19:20+00'), 'well', 'one that looked 20 minutes ago is well');
select matches(
    pg_temp.said('watchdog', '2026-02-04 19:40+00'),
    'The watchdog last looked at 2026-02-04 19:00:00',
    'one that has not for 40 is not'
);
select is(
    (
        select array[
            count(*) filter (where state = 'healthy'),
            count(*)
        ]
        from private.job_states('2026-02-04 19:00+00')
        where job_name ~ '^planted'
    ),
    array[13, 13]::bigint[],
    'R-10: after 400 days every job is well again'
);
select results_eq(
    $$select subject, count(*) from ops.alerts group by subject order by subject$$,
    $$select name, 1::bigint from planted_faults where kind <> 'none' order by name$$,
    'R-10: each of ten faults was one alert, and no healthy job ever was'
);
select is_empty(
    $$
        select
            alert.subject,
            alert.first_seen_at
        from ops.alerts as alert
        inner join planted_faults as planted on alert.subject = planted.name
        cross join lateral (
            -- When the run that failed, or did not come, was due.
            select timestamptz '2025-01-01' + make_interval(
                days => planted.day,
                hours => case
                    when planted.schedule ~ '(seconds|\* \* \* \*)$' or planted.kind in ('inactive', 'missing') then -1
                    else 18
                end
            ) as at
        ) as fault
        where alert.first_seen_at not between fault.at and fault.at + interval '26 hours'
    $$,
    'R-10, D74: each failing job is seen within 26 hours'
);
select is_empty(
    $$
        select alert.subject
        from ops.alerts as alert
        inner join planted_faults as planted on alert.subject = planted.name
        where
            alert.resolved_at is null
            or alert.resolved_at - alert.first_seen_at > case
                when planted.schedule ~ ' 0$' then interval '7 days' else interval '2 days'
            end
    $$,
    'R-10: and its alert is closed when it succeeds again'
);
select is(
    (select array_agg(distinct message) from ops.alerts where subject ~ '^planted-daily-[12]$'),
    array['The last run failed: ERROR: planted'],
    'an alert has the first line of what a run said, without its values'
);
select is(
    (select times_seen > 1 and severity = 'critical' from ops.alerts where subject = 'planted-missing'),
    true,
    'a job that is gone is critical, and counted while it is'
);
do $$
begin
    perform cron.unschedule('planted-well-1');
    perform ops.watch_jobs('2026-02-05');
    delete from ops.job_expectations where job_name = 'planted-well-1';
    perform ops.watch_jobs('2026-02-06');
end
$$;
select is(
    (
        select array[first_seen_at, resolved_at]
        from ops.alerts
        where subject = 'planted-well-1'
    ),
    array['2026-02-05', '2026-02-06']::timestamptz[],
    'the alert of a job that was given up closes when nobody expects it any more'
);
insert into cron.job_run_details (jobid, runid, command, status, start_time, end_time)
select
    job.jobid,
    -nextval('cron.runid_seq'),
    'planted',
    case when number <= 3 then 'failed' else 'succeeded' end,
    timestamptz '2026-02-06' + make_interval(mins => number),
    timestamptz '2026-02-06' + make_interval(mins => number)
from cron.job as job
cross join generate_series(1, 6) as number
where job.jobname = 'planted-seconds';
select is(
    (select message from ops.watch_jobs('2026-02-06 00:10+00') where job_name = 'planted-seconds'),
    '3 runs failed in the last hour.',
    'a job that fails now and then is seen, though its last run succeeded'
);
select throws_ok(
    $$select from ops.watch_jobs('infinity')$$,
    '22023',
    'The time is no moment.',
    'the watchdog needs a clock'
);

select finish();
rollback;
