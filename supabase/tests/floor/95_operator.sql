-- The operator's report and replay: for admins by their token, and for nobody else.
begin;
select plan(40);
\ir ../outcome.psql

\set admin '''{"sub": "11111111-1111-4111-8111-111111111111", "app_metadata": {"role": "admin"}}'''

-- A section of the report, as an admin gets it through the public door.
create function pg_temp.report(
    section text,
    days integer default 7
)
returns jsonb
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform set_config(
        'request.jwt.claims',
        '{"sub": "11111111-1111-4111-8111-111111111111", "app_metadata": {"role": "admin"}}',
        true
    );
    perform set_config('role', 'authenticated', true);
    answer := public.operator_report(section, days);
    perform set_config('role', 'none', true);
    perform set_config('request.jwt.claims', '', true);
    return answer;
end
$$;

-- Who may.
select is(
    pg_temp.outcome('authenticated', claims, format('select public.operator_report(%L)', section)),
    'PT403 This is for operators.',
    format('D20: no %s for the token %s', section, claims)
)
from unnest(array['health', 'dead_letters', 'nonsense']) as section
cross join unnest(
    array[
        '{"sub": "22222222-2222-4222-8222-222222222222"}',
        '{"role": "admin", "user_metadata": {"role": "admin"}}'
    ]::jsonb[]
) as claims;
select is(
    pg_temp.outcome('authenticated', '{"app_metadata": {"tier": "enterprise"}}', 'select public.operator_replay()'),
    'PT403 This is for operators.',
    'no tier makes an operator'
);
select is(
    pg_temp.outcome('anon', :admin, statement),
    '42501 permission denied for function ' || name,
    'a visitor is not asked: ' || name
)
from (
    values
    ('operator_report', 'select public.operator_report(''health'')'),
    ('operator_replay', 'select public.operator_replay()')
) as door (name, statement);
select is_empty(
    $$
        select proc.oid::regprocedure
        from pg_proc as proc
        cross join unnest(array['anon', 'authenticated', 'service_role']) as role (name)
        where
            proc.pronamespace = 'private'::regnamespace
            and proc.proname like 'operator\_%'
            and has_function_privilege(role.name, proc.oid, 'execute')
    $$,
    'the sections are reached through the report alone, which asks first'
);
select is(
    pg_temp.outcome('authenticated', :admin, 'select from ops.figure_history'),
    '42501 permission denied for schema ops',
    'an admin has the report, not the tables'
);
select is(
    pg_temp.outcome('authenticated', :admin, 'select public.operator_report(''nonsense'')'),
    'PT400 The report has no such section.',
    'a section that is not there'
);
select is(
    pg_temp.outcome('authenticated', :admin, format('select public.operator_report(''figures'', %s)', days)),
    'PT400 The days are not 1 to 90.',
    'days: ' || days
)
from unnest(array['0', '91', 'null']) as days;

-- Health and alerts.
select is(
    (
        select array_agg(told ->> 'check_name' order by told ->> 'check_name')
        from jsonb_array_elements(pg_temp.report('health')) as told
    ),
    (
        select array_agg(checked.check_name order by checked.check_name)
        from public.health_check() as checked
    ),
    'health: the same checks as the service gets'
);
delete from ops.alerts;
select is(pg_temp.report('alerts'), '[]'::jsonb, 'no alert is an empty list');
select from ops.raise_alert('planted', 'a warning', 'Look at it.');
select from ops.raise_alert('planted', 'critical', 'Look at it now.', 'critical', now() - interval '1 day');
select from ops.raise_alert('planted', 'over', 'It is over.');
select from ops.resolve_alert('planted', 'over');
select is(
    jsonb_path_query_array(pg_temp.report('alerts'), '$[*].subject'),
    '["critical", "a warning"]'::jsonb,
    'what is open, critical first'
);

-- Figures over time.
delete from ops.figure_history;
select ok(ops.record_figures() >= 7, 'figures of the floor and of the rooms are taken');
select results_eq(
    $$
        select figures ?& array['connection_count', 'database_bytes', 'deliveries_due', 'dead_letters']
        from ops.figure_history
    $$,
    'values (true)',
    'the floor''s are there'
);
create function private.planted_figures(at timestamptz)
returns jsonb
language sql
as $$
    select '{"planted": 4, "planted_text": "secret", "planted_null": null}'::jsonb
$$;
create function private.broken_figures(at timestamptz)
returns jsonb
language sql
as $$
    select to_jsonb(1 / 0)
$$;
set local client_min_messages = error;
select from ops.record_figures(now() - interval '2 days');
reset client_min_messages;
select is(
    (
        select figures - 'planted' = figures
        from ops.figure_history
        where taken_at = now() - interval '2 days'
    ),
    false,
    'a room takes part by a function, and one that fails leaves the others'
);
select is(
    (
        select figures ?| array['planted_text', 'planted_null']
        from ops.figure_history
        where taken_at = now() - interval '2 days'
    ),
    false,
    'only numbers are kept'
);
delete from ops.figure_history;
insert into ops.figure_history (taken_at, figures)
values
(now() - interval '91 days', '{"planted": 9}'),
(now() - interval '3 days', '{"planted": 1}'),
(now() - interval '2 days', '{"planted": 2}'),
(now() - interval '10 hours', '{"planted": 5, "young": 1}');
select is(
    jsonb_path_query_array(pg_temp.report('figures', 7), '$[*].figures.planted'),
    '[1, 2, 5]'::jsonb,
    'the curve of a week, the oldest first'
);
select is(
    jsonb_path_query_array(pg_temp.report('figures', 1), '$[*].figures'),
    '[{"planted": 5, "young": 1}]'::jsonb,
    'and of a day'
);
insert into ops.figure_history (taken_at, figures)
select
    now() - make_interval(mins => 15 * number),
    jsonb_build_object('planted', 2 * (number % 2))
from generate_series(1, 96 * 30) as number
on conflict (taken_at) do nothing;
select cmp_ok(
    jsonb_array_length(pg_temp.report('figures', 30)), '<=', 169, 'a month has no more points than a chart has room for'
);
select ok(
    (
        select bool_and((point #>> '{figures,planted}')::numeric between 0.8 and 1.2)
        from jsonb_array_elements(pg_temp.report('figures', 30) - 0 - -1) as point
        where (point ->> 'at')::timestamptz < now() - interval '4 days'
    ),
    'each is a mean'
);
drop function private.broken_figures(timestamptz);
select from ops.record_figures();
select is_empty(
    $$select from ops.figure_history where taken_at < now() - interval '90 days'$$,
    'what is older than 90 days is let go'
);
select ok(
    (
        select jsonb_agg(point) @> '[{"figures": {"planted": 4}}]'
        from jsonb_array_elements(pg_temp.report('figures', 1)) as point
    ),
    'the newest are in the report'
);

-- Slow statements: never their text.
create table public.planted_statements (secret_column text);
do $$
begin
    for _ in 1..5 loop
        perform count(*) from public.planted_statements where secret_column = 'a secret value';
    end loop;
end
$$;
select ok(
    coalesce(
        (
            select bool_and(
                (told ->> 'kind') ~ '^[a-z]+$'
                and (told ->> 'calls')::integer >= 5
                and jsonb_typeof(told -> 'names') = 'array'
                and (told ->> 'query_id') ~ '^-?[0-9]+$'
            )
            from jsonb_array_elements(nullif(pg_temp.report('statements'), 'null')) as told
        ),
        to_regclass('extensions.pg_stat_statements') is null
    ),
    'statements have a kind, names of ours and figures'
);
select ok(
    coalesce(pg_temp.report('statements')::text !~ 'secret', true),
    'D78: and no text'
);

-- Dead letters.
select public.register_webhook_endpoint(
    'https://hooks.example/path?token=planted', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', '{alert.opened}'
) as endpoint
\gset
delete from ops.webhook_deliveries;
insert into ops.outbox (id, event_type, dedupe_key, data)
select
    gen_random_uuid(),
    'alert.opened',
    'planted-' || number,
    '{}'
from generate_series(1, 3) as number;
delete from ops.webhook_deliveries;
insert into ops.webhook_deliveries (
    outbox_id, endpoint_id, event_type, state, attempt, next_attempt_at, last_status, last_error, changed_at
)
select
    event.id,
    :'endpoint',
    'alert.opened',
    'dead',
    10,
    null,
    500,
    'HTTP 500',
    now() - interval '1 hour' * right(event.dedupe_key, 1)::integer
from ops.outbox as event
where event.dedupe_key like 'planted-%';
select is(pg_temp.report('dead_letters') -> 'count', '3'::jsonb, 'dead letters are counted');
select is(
    (pg_temp.report('dead_letters') #> '{letters,0}')
    - array['delivery_id', 'webhook_id', 'created_at', 'died_at'],
    jsonb_build_object(
        'event_type', 'alert.opened',
        'endpoint_id', :'endpoint', 'endpoint', format('hooks.example (%s)', :'endpoint'),
        'is_a_persons', false, 'can_replay', true, 'attempt', 10, 'last_status', 500, 'last_error', 'HTTP 500'
    ),
    'each with its reason, and of the address the host alone'
);
select is(
    pg_temp.outcome(
        'authenticated',
        :admin,
        format(
            'select where public.operator_replay(array[%L]::uuid[]) = 1',
            pg_temp.report('dead_letters') #>> '{letters,0,delivery_id}'
        )
    ),
    '1 row',
    'one is sent again'
);
select is(pg_temp.report('dead_letters') -> 'count', '2'::jsonb, 'and is dead no more');
select results_eq(
    $$
        select
            event_type,
            user_id,
            new_data
        from ops.audit_logs_enhanced
        where
            function_name = 'operator_replay'
            and created_at >= now()
    $$,
    $$values ('REPLAY', '11111111-1111-4111-8111-111111111111'::uuid, '{"replayed": 1, "asked_for": 1}'::jsonb)$$,
    'the audit log says who did it'
);
select is(
    pg_temp.outcome(
        'authenticated',
        :admin,
        format('select where public.operator_replay(endpoint_id => %L) = 2', :'endpoint')
    ),
    '1 row',
    'all of an endpoint are sent again'
);
update ops.webhook_deliveries
set
    state = 'dead',
    next_attempt_at = null;
select from public.set_webhook_endpoint(:'endpoint', false);
select is(
    jsonb_path_query_array(pg_temp.report('dead_letters'), '$.letters[*].can_replay'),
    '[false, false, false]'::jsonb,
    'to an endpoint that is off nothing can be sent'
);

-- Partitions and jobs.
select is(
    (
        select jsonb_path_query_array(part, '$.partitions[*] ? (@.is_default == true).name')
        from jsonb_array_elements(pg_temp.report('partitions')) as part
        where part ->> 'parent' = 'ops.audit_logs_enhanced'
    ),
    '["audit_logs_enhanced_default"]'::jsonb,
    'a partitioned table with its partitions'
);
select is(
    (
        select array_agg(told ->> 'job_name' order by told ->> 'job_name')
        from jsonb_array_elements(pg_temp.report('jobs')) as told
        where told ->> 'job_name' in ('floor-watch-jobs', 'floor-sweep-outbox')
    ),
    array['floor-sweep-outbox', 'floor-watch-jobs'],
    'jobs'
);
delete from cron.job_run_details;
insert into cron.job_run_details (jobid, runid, status, start_time, end_time, return_message)
select
    jobid,
    number - 100,
    status,
    now() - interval '5 minutes' * number,
    now() - interval '5 minutes' * number + interval '2 seconds',
    'ERROR: planted'
from cron.job
cross join (values (1, 'failed'), (2, 'succeeded')) as run (number, status)
where jobname = 'floor-watch-jobs';
select from ops.log_job_run('floor-watch-jobs', '{"planted": 3}');
select is(
    (pg_temp.report('jobs') -> 0) - array['last_run_at', 'last_success_at', 'is_overdue'],
    '{
        "job_name": "floor-watch-jobs", "schedule": "*/10 * * * *", "state": "failing",
        "message": "The last run failed: ERROR: planted", "runs_in_a_day": 2, "failures_in_a_day": 1,
        "mean_ms": 2000.0, "last_counts": {"planted": 3}
    }'::jsonb,
    'what is not well comes first, with its day and its last counts'
);

select finish();
rollback;
