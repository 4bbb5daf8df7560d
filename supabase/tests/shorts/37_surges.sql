-- The ranking of tomorrow's surges: what is near to doubling comes first, and what is no count is refused.
begin;
select plan(7);
\ir ../outcome.psql

select is(
    round(private.surge_score(2, 1, 2)::numeric, 4),
    -- 4.02 · 2/3 - 2.17 · ln 3 + 1.36 · ln 2 + 0.3 · ln 3 + 1.28 · ln 3
    round((4.02 * 2 / 3 + 1.36 * ln(2) + (0.3 + 1.28 - 2.17) * ln(3))::numeric, 4),
    'a keyword with two mentions needs three'
);
select ok(
    private.surge_score(2, 0.5, 2) > private.surge_score(0, 0.5, 0),
    'what begins today is nearer to a surge than what is silent'
);
select ok(
    private.surge_score(3, 1.5, 3) > private.surge_score(40, 40, 3),
    'what is always much mentioned must double, and seldom does'
);
select ok(
    private.surge_score(2, 1, 2) > private.surge_score(2, 1, 0),
    'new videos say more than those of yesterday'
);
select is(
    public.backtest_surges(array[2, 0], array[1, 0.5], array[2, 0]),
    array[private.surge_score(2, 1, 2), private.surge_score(0, 0.5, 0)],
    'the service gets a score per keyword, in their order'
);
select is(
    array(
        select pg_temp.outcome('service_role', '{"role": "service_role"}', 'select public.backtest_surges(' || refused || ')')
        from unnest(array[
            'array[1], array[1], array[]::float8[]',
            'array[-1], array[1], array[1]',
            'array[1], array[''NaN'']::float8[], array[1]',
            'array[1], array[1], array[null]::float8[]',
            'null, null, null',
            'array_fill(1::float8, array[100001]), array_fill(1::float8, array[100001]), array_fill(1::float8, array[100001])'
        ]) as refused
    ),
    array_fill('PT400 The counts cannot be ranked.'::text, array[6]),
    'what is no count is refused'
);
select is(
    pg_temp.outcome('authenticated', '{"role": "authenticated"}', 'select public.backtest_surges(array[1], array[1], array[1])'),
    '42501 permission denied for function backtest_surges',
    'people cannot ask'
);

select finish();
rollback;
