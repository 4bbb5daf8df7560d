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
