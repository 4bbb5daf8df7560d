-- The room's jobs are exactly these, and they run.
begin;
select plan(2);

select results_eq(
    $$
        select
            jobname::text,
            schedule::text,
            active
        from cron.job
        where jobname like 'shorts-%'
        order by jobname
    $$,
    $$values ('shorts-detect-trends', '*/5 * * * *', true)$$,
    'the jobs of the room'
);
select lives_ok(
    (select command from cron.job where jobname = 'shorts-detect-trends'),
    'the detection runs'
);

select finish();
rollback;
