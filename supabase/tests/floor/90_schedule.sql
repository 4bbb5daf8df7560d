-- The floor's jobs are exactly these, and they run.
begin;
select plan(19);

select results_eq(
    $$
        select
            jobname::text,
            schedule::text,
            active
        from cron.job
        where jobname like 'floor-%'
        order by jobname
    $$,
    $$
        values
        ('floor-auto-archive', '0 19 * * 0', true),
        ('floor-check-audit-chain', '10 18 * * *', true),
        ('floor-create-partitions', '30 17 * * *', true),
        ('floor-drop-expired-partitions', '45 17 * * *', true),
        ('floor-purge-counted-requests', '*/5 * * * *', true),
        ('floor-purge-cron-history', '15 * * * *', true),
        ('floor-purge-job-runs', '20 17 * * *', true),
        ('floor-purge-outbox', '20 * * * *', true),
        ('floor-record-figures', '3-59/15 * * * *', true),
        ('floor-reencrypt', '* * * * *', true),
        ('floor-seal-audit-log', '* * * * *', true),
        ('floor-snapshot-table-sizes', '0 18 * * *', true),
        ('floor-sweep-outbox', '10 seconds', true),
        ('floor-watch-health', '5-59/10 * * * *', true),
        ('floor-watch-jobs', '*/10 * * * *', true)
    $$,
    'S-183, S-191: the jobs of the floor'
);
select is_empty(
    $$select jobname from cron.job where jobname !~ '^[a-z]+-'$$,
    'every job begins with its room'
);

insert into cron.job_run_details (jobid, runid, command, status, start_time, end_time)
values
(0, -1, 'old', 'succeeded', now() - interval '8 days', now() - interval '8 days'),
(0, -2, 'young', 'succeeded', now() - interval '6 days', now() - interval '6 days');
do $$
declare
    job text;
begin
    select command
    into strict job
    from cron.job
    where jobname = 'floor-purge-cron-history';
    execute job;
end
$$;
select results_eq(
    $$select command from cron.job_run_details where jobid = 0$$,
    $$values ('young')$$,
    'the purge keeps seven days of history'
);
select lives_ok(command, jobname || ' runs')
from cron.job
where jobname like 'floor-%'
order by jobname;

-- A job that did something has left its counts.
insert into cron.job_run_details (jobid, runid, command, status, start_time, end_time)
select
    0,
    -2 - number,
    'old',
    'succeeded',
    now() - interval '8 days',
    now() - interval '8 days'
from generate_series(1, 3) as number;
delete from ops.job_runs;
do $$
declare
    job text;
begin
    select command
    into strict job
    from cron.job
    where jobname = 'floor-purge-cron-history';
    execute job;
end
$$;
select is(
    (select counts from ops.job_runs where job_name = 'floor-purge-cron-history'),
    '{"purged": 3}'::jsonb,
    'D74, S-110: the counts of a job are logged'
);

select finish();
rollback;
