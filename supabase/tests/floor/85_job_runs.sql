-- Counts of jobs: kept when something was done, bounded, never in the way of the work.
begin;
select plan(8);

delete from ops.job_runs;
select is(
    ops.log_job_run('floor-x', '{"created": 2, "failed": 0, "note": null, "more": false}'),
    '{"created": 2}'::jsonb,
    'zeros are left out'
);
select is(ops.log_job_run('floor-x', '{"created": 0}'), '{}'::jsonb, 'a run that did nothing');
select is(ops.log_job_run('floor-x', null), '{}'::jsonb, 'or has nothing to say');
select is(ops.log_job_run('floor-x', '[1]'), '{}'::jsonb, 'or is not an object does not raise');
select is(ops.log_job_run(null, '{"created": 1}'), '{}'::jsonb, 'nor does one without a name');
select results_eq(
    $$select job_name, counts, finished_at >= started_at from ops.job_runs$$,
    $$values ('floor-x', '{"created": 2}'::jsonb, true)$$,
    'one row is left'
);

insert into ops.job_runs (job_name, counts, started_at, finished_at)
select
    'floor-x',
    '{"created": 1}',
    now() - make_interval(days => 89 + number),
    now()
from generate_series(0, 4) as number;
select is(ops.purge_job_runs(batch_size => 2), 2::bigint, 'a purge is bounded');
select is(ops.purge_job_runs(), 1::bigint, 'and takes only what is older than 90 days');

select finish();
rollback;
