-- What is usual is known without reading the past. Orders and batches: tests/shorts/test_states_at_once.py.
begin;
select plan(16);

delete from private.keyword_signals;
delete from private.signal_marks;
delete from private.observed_bins;
delete from private.keyword_states;
delete from private.state_positions;

-- Pure.
select is(private.burst_z(private.empty_state(), 3, 50), 0::float8, 'of what is not known nothing is unusual');
select is(
    (private.next_state(private.empty_state(), 3, 50, 1, 336)).profile[4],
    50::real,
    'the first count is the usual'
);
select is(
    private.usual_mentions(private.next_state(private.empty_state(), 3, 50, 1, 336), 9),
    50::float8,
    'also for an hour of the day that was never observed'
);
select is(
    private.usual_mentions(private.silent_state(array[0, 6], 20), 6),
    0::float8,
    'silence makes one expect nothing'
);
select ok(
    abs(private.burst_z(private.silent_state(array[0, 6], 20), 6, 6) - 6 / sqrt(0.3::float8)) < 1e-9,
    'a silent past is not a certain one'
);

-- At once against one by one: with a flat day the silence in closed form is exact.
with flat as (
    select private.silent_state(array(select generate_series(0, 23)), 400) as state
),

burst as (
    select private.next_state(flat.state, 5, 1.5, 1, 336) as state
    from flat
),

one_by_one as (
    select
        private.replay_states(
            burst.state,
            0,
            array(select generate_series(1, 48)),
            array(select (5 + n) % 24 from generate_series(1, 48) as n),
            array_fill(0::float8, array[48]),
            1,
            336
        ) as state
    from burst
),

at_once as (
    select private.state_after_silence(burst.state, 48, 1, 336) as state
    from burst
)

select
    abs((one_by_one.state).level - (at_once.state).level) as level_off,
    abs((one_by_one.state).variance - (at_once.state).variance) as variance_off,
    (one_by_one.state).bins = (at_once.state).bins as same_bins
from one_by_one
cross join at_once \gset
select cmp_ok(:level_off::float8, '<', 0.05::float8, 'two silent days at once: the level is within 0.05');
select cmp_ok(:variance_off::float8, '<', 0.05::float8, 'the variance too');
select ok(:'same_bins', 'and as many bins');

-- Marks.
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
select
    'KR',
    'internal',
    moment,
    'word',
    2
from generate_series('2026-01-01 00:00+00'::timestamptz, '2026-01-03 00:00+00', interval '1 hour') as moment;
select is((select count(*) from private.signal_marks), 49::bigint, 'a mark an hour');
select is(
    private.fold_keyword_states('2026-01-02 23:30+00'),
    '{"folded": 1, "replayed": 0, "left": 0, "cut": 0}'::jsonb,
    'up to the time given'
);
select is((select count(*) from private.signal_marks), 1::bigint, 'the marks are taken away');
select is(
    (select (state).bins from private.keyword_states),
    47,
    'the newest hour is left out'
);
select is(
    private.fold_keyword_states('2026-01-02 23:30+00'),
    '{"folded": 0, "replayed": 0, "left": 0, "cut": 0}'::jsonb,
    'again: nothing'
);
update private.keyword_signals
set mentions = 3
where bucket = '2026-01-01 05:00+00';
select is(
    private.fold_keyword_states('2026-01-02 23:30+00'),
    '{"folded": 0, "replayed": 1, "left": 0, "cut": 0}'::jsonb,
    'a correction of the past is computed anew'
);

-- Forgetting.
select is(private.forget_keyword_states(), '{"forgotten": 0}'::jsonb, 'what was seen of late is kept');
update private.state_positions
set newest_bucket = '2026-02-01 00:00+00';
select is(private.forget_keyword_states(), '{"forgotten": 1}'::jsonb, 'what was silent for 28 days is not');

select finish();
rollback;
