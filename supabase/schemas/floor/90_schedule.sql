-- Promises that the floor looks after itself. pg_cron counts in GMT; Korea is nine hours ahead.

-- Every 10 seconds: what no wake-up reached is due again.
select cron.schedule('floor-sweep-outbox', '10 seconds', 'select private.sweep_outbox()');

-- 02:15 in Korea: pg_cron never tidies its own history.
select cron.schedule(
    'floor-purge-cron-history',
    '15 17 * * *',
    $$delete from cron.job_run_details where end_time < now() - interval '7 days'$$
);

-- 02:30 in Korea: one day in a month there is something to make.
select cron.schedule('floor-create-partitions', '30 17 * * *', 'select ops.create_monthly_partitions()');

-- 02:45 in Korea: after the making, which gives old strays a month to expire with.
select cron.schedule('floor-drop-expired-partitions', '45 17 * * *', 'select ops.drop_expired_partitions()');
