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
