-- Promises that the floor looks after itself. pg_cron counts in GMT; Korea is nine hours ahead.

-- Every 10 seconds: what no wake-up reached is due again.
select cron.schedule('floor-sweep-outbox', '10 seconds', 'select private.sweep_outbox()');

-- 02:15 in Korea: pg_cron never tidies its own history.
select cron.schedule(
    'floor-purge-cron-history',
    '15 17 * * *',
    $$delete from cron.job_run_details where end_time < now() - interval '7 days'$$
);
