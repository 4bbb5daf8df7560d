-- The floor's jobs are exactly these, and they run.
begin;
select plan(6);

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
        ('floor-create-partitions', '30 17 * * *', true),
        ('floor-drop-expired-partitions', '45 17 * * *', true),
        ('floor-purge-cron-history', '15 17 * * *', true),
        ('floor-sweep-outbox', '10 seconds', true)
    $$,
    'the jobs of the floor'
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
select lives_ok(
    (select command from cron.job where jobname = 'floor-sweep-outbox'),
    'the sweep runs'
);
select lives_ok(
    (select command from cron.job where jobname = 'floor-create-partitions'),
    'the making of partitions runs'
);
select lives_ok(
    (select command from cron.job where jobname = 'floor-drop-expired-partitions'),
    'the dropping of partitions runs'
);

select finish();
rollback;
