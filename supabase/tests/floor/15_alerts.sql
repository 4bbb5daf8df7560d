-- An alert is open once per kind and subject, counts while it lasts, and can come again after it is resolved.
begin;
\ir ../outcome.psql
select plan(8);

-- An empty house: nothing of the running stack is seen in here.
delete from ops.alerts;

select lives_ok(
    $$
        select ops.raise_alert('failing_job', 'floor-x', 'failed once', 'warning', '2026-01-01')
        union all
        select ops.raise_alert('failing_job', 'floor-x', 'failed twice', 'critical', '2026-01-02')
        union all
        select ops.raise_alert('failing_job', 'floor-y', 'failed', at => '2026-01-02')
    $$,
    'alerts are raised'
);
select results_eq(
    $$select subject, message, severity, times_seen, first_seen_at, last_seen_at from ops.alerts order by subject$$,
    $$
        values
        ('floor-x', 'failed twice', 'critical', 2, '2026-01-01'::timestamptz, '2026-01-02'::timestamptz),
        ('floor-y', 'failed', 'warning', 1, '2026-01-02'::timestamptz, '2026-01-02'::timestamptz)
    $$,
    'the same again is counted, with its newest words'
);
select ok(ops.resolve_alert('failing_job', 'floor-x', '2026-01-03'), 'an open alert is resolved');
select ok(not ops.resolve_alert('failing_job', 'floor-x', '2026-01-04'), 'once');
select lives_ok($$select ops.raise_alert('failing_job', 'floor-x', 'again')$$, 'it may come again');
select results_eq(
    $$select count(*) from ops.alerts where subject = 'floor-x'$$,
    array[2::bigint],
    'as a new alert, the old one stays told'
);
select throws_ok(
    $$select ops.raise_alert('failing_job', 'z', 'm', 'dreadful')$$,
    '23514',
    null,
    'an unknown severity is refused'
);
select is(
    pg_temp.outcome('authenticated', '{}', 'select from ops.alerts'),
    '42501 permission denied for schema ops',
    'people do not read alerts'
);

select finish();
rollback;
