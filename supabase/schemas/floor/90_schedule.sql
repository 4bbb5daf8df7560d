-- Promises that the floor looks after itself: all of its jobs, each one transaction and one bounded batch that leaves
-- its counts in ops.job_runs. pg_cron counts in GMT; Korea is nine hours ahead, so the night's work is written as
-- 17:00 on.

-- Every 10 seconds: what no wake-up reached is due again.
select cron.schedule('floor-sweep-outbox', '10 seconds', 'select private.sweep_outbox()');

-- Every minute: until a record of the audit log is sealed, only privileges protect it.
select cron.schedule(
    'floor-seal-audit-log',
    '* * * * *',
    $$select ops.log_job_run('floor-seal-audit-log', jsonb_build_object('sealed', ops.seal_audit_log()))$$
);

-- Every minute, and nothing to do but after a rotation of keys.
select cron.schedule(
    'floor-reencrypt',
    '* * * * *',
    $$select ops.log_job_run('floor-reencrypt', ops.reencrypt_batch(5000))$$
);

-- Every 10 minutes: the jobs first, then everything else, which asks after this very watchdog too.
select cron.schedule('floor-watch-jobs', '*/10 * * * *', 'select count(*) from ops.watch_jobs()');
select cron.schedule('floor-watch-health', '5-59/10 * * * *', 'select count(*) from ops.watch_health()');

-- Every 5 minutes: a request counts for one.
select cron.schedule('floor-purge-counted-requests', '*/5 * * * *', 'select private.purge_counted_requests()');

-- Every 15 minutes: the figures of the house, for the operator's curves.
select cron.schedule('floor-record-figures', '3-59/15 * * * *', 'select ops.record_figures()');

-- Every hour: the sweep alone leaves 8,640 runs a day, and pg_cron never tidies its own history.
select cron.schedule(
    'floor-purge-cron-history',
    '15 * * * *',
    $$select ops.log_job_run('floor-purge-cron-history', jsonb_build_object('purged', ops.purge_cron_history()))$$
);
select cron.schedule(
    'floor-purge-outbox',
    '20 * * * *',
    $$select ops.log_job_run('floor-purge-outbox', jsonb_build_object('purged', ops.purge_outbox()))$$
);

-- 02:20 in Korea: counts of jobs are kept 90 days.
select cron.schedule(
    'floor-purge-job-runs',
    '20 17 * * *',
    $$select ops.log_job_run('floor-purge-job-runs', jsonb_build_object('purged', ops.purge_job_runs()))$$
);

-- 02:30 in Korea: one day in a month there is something to make.
select cron.schedule(
    'floor-create-partitions',
    '30 17 * * *',
    $$
    select ops.log_job_run('floor-create-partitions', jsonb_object_agg(made.state, made.months))
    from (
        select
            state,
            count(*) as months
        from ops.create_monthly_partitions()
        where state <> 'present'
        group by state
    ) as made
    $$
);

-- 02:45 in Korea: after the making, which gives old strays a month to expire with.
select cron.schedule(
    'floor-drop-expired-partitions',
    '45 17 * * *',
    $$
    select ops.log_job_run('floor-drop-expired-partitions', jsonb_object_agg(expired.state, expired.months))
    from (
        select
            state,
            count(*) as months
        from ops.drop_expired_partitions()
        group by state
    ) as expired
    $$
);

-- 03:00 in Korea: sizes once a day, for growth.
select cron.schedule(
    'floor-snapshot-table-sizes',
    '0 18 * * *',
    $$select ops.log_job_run('floor-snapshot-table-sizes', jsonb_build_object('tables', ops.snapshot_table_sizes()))$$
);

-- 03:10 in Korea: the last eight days of the audit log's chain.
select cron.schedule(
    'floor-check-audit-chain',
    '10 18 * * *',
    $$select ops.log_job_run('floor-check-audit-chain', jsonb_build_object('findings', ops.check_audit_chain()))$$
);

-- Mondays, 04:00 in Korea (Sundays, 19:00 GMT): the writers of a table that is converted wait.
select cron.schedule(
    'floor-auto-archive',
    '0 19 * * 0',
    $$
    select ops.log_job_run('floor-auto-archive', jsonb_object_agg(judged.state, judged.tables))
    from (
        select
            state,
            count(*) as tables
        from ops.auto_archive_policy()
        group by state
    ) as judged
    $$
);

-- Once now: else a house that is minutes old would ring that nobody has looked yet.
select count(*) from ops.watch_jobs();
