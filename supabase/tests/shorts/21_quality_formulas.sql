-- Each component's formula gives what its source publishes, and moves only the way that its figures do.
begin;
select plan(27);

-- Wilson's interval.
select is(
    array[
        round(private.wilson_lower_bound(8, 10)::numeric, 4),
        round(private.wilson_lower_bound(1, 1)::numeric, 4),
        round(private.wilson_lower_bound(5, 10)::numeric, 4),
        round(private.wilson_lower_bound(81, 263)::numeric, 4),
        round(private.wilson_lower_bound(15, 148)::numeric, 4),
        round(private.wilson_lower_bound(56, 70, 1.959964)::numeric, 4),
        round(private.wilson_lower_bound(600, 1000, 1.281552)::numeric, 4)
    ],
    array[0.4902, 0.2065, 0.2366, 0.2553, 0.0624, 0.6918, 0.5800],
    'S-124: Wilson''s bounds are the published ones'
);
select is(
    array[
        private.wilson_lower_bound(0, 0),
        private.wilson_lower_bound(0, 10),
        private.wilson_lower_bound(5, 0),
        private.wilson_lower_bound(null, null)
    ],
    array_fill(0::double precision, array[4]),
    'S-124: nothing of nothing is certain of nothing'
);
select ok(
    private.wilson_lower_bound(20, 10) = private.wilson_lower_bound(10, 10),
    'S-124: more successes than trials are all of them'
);
select ok(
    private.wilson_lower_bound(9e15, 1e16) between 0.8999999 and 0.9,
    'S-124: of huge counts the bound is the share'
);
select is_empty(
    $$
        select trials, successes
        from generate_series(1, 60) as trials
        cross join generate_series(0, 60) as successes
        where
            successes < trials
            and private.wilson_lower_bound(successes + 1, trials) <= private.wilson_lower_bound(successes, trials)
    $$,
    'S-124: one success more always raises the bound'
);
select is_empty(
    $$
        select trials
        from generate_series(1, 20) as tens
        cross join lateral (values (tens * 10)) as series (trials)
        where
            private.wilson_lower_bound(trials * 0.8 + 8, trials + 10) <= private.wilson_lower_bound(trials * 0.8, trials)
            or private.wilson_lower_bound(trials * 0.8, trials) >= 0.8
    $$,
    'S-124: the same share of more trials is surer, and never more than the share'
);
select is_empty(
    $$
        select trials, successes
        from generate_series(0, 40) as trials
        cross join generate_series(0, 40) as successes
        where
            successes <= trials
            and (
                private.wilson_towards_half(successes + 1, trials + 1) < private.wilson_towards_half(successes, trials)
                or private.wilson_towards_half(successes, trials + 1) > private.wilson_towards_half(successes, trials)
            )
    $$,
    'S-124: one kept more never lowers, one lost more never raises'
);
select is(
    array[
        private.wilson_towards_half(0, 0),
        private.wilson_towards_half(1, 1),
        private.wilson_towards_half(6, 10),
        private.wilson_towards_half(0, 1)
    ],
    array_fill(0.5::double precision, array[4]),
    'S-124: what may be chance says nothing'
);

-- Rates: exact, and shrunk.
select is(
    array[
        private.engagement_rate(150, 50, 2000),
        private.engagement_rate(5, 5, 0),
        private.engagement_rate(50, 50, 10),
        private.engagement_rate(null, null, 5000),
        private.engagement_rate(2147483647, 2147483647, 4294967294)
    ],
    array[0.1, 0, 1, 0, 1]::double precision[],
    'S-124: (likes + comments) / views is exact, without views 0, at most 1'
);
select is(private.shrunk_rate(0, 0, 0.3, 100), 0.3::double precision, 'S-124: without data the prior');
select is(private.shrunk_rate(30, 100, 0.1, 100), 0.2::double precision, 'S-124: with as much data, half way');
select is(
    array[private.shrunk_rate(0, 0, 0.3, 0), private.shrunk_rate(null, 100, 0.3, 10)],
    array[null, null]::double precision[],
    'S-124: with neither, and of what is unknown, nothing'
);
select is_empty(
    $$
        select step
        from generate_series(0, 12) as step
        cross join lateral (values ((10 ^ step)::double precision)) as size (views)
        where
            abs(private.shrunk_rate(views * 10 * 0.2, views * 10, 0.03, 100) - 0.2)
            >= abs(private.shrunk_rate(views * 0.2, views, 0.03, 100) - 0.2)
    $$,
    'S-124: more evidence moves from the prior to the data'
);
select is_empty(
    $$
        select likes
        from generate_series(0, 500) as likes
        where private.engagement_score(likes + 1, 0, 1000, 0.03) <= private.engagement_score(likes, 0, 1000, 0.03)
    $$,
    'S-124: one like more always raises the score'
);
select is(
    array[
        private.engagement_score(null, 5, 100, 0.03),
        private.engagement_score(5, 5, null, 0.03),
        private.engagement_score(0, 0, 0, 0.03),
        private.engagement_score(60, null, 100, 0.2),
        private.engagement_score(500, 0, 100, 0.5)
    ],
    array[null, null, 0.03, 0.4, 0.75]::double precision[],
    'S-124: hidden likes are unknown, without views the channel speaks, likes are at most views'
);
select is(
    array[private.channel_engagement(0, 0), private.channel_engagement(null, null), private.channel_engagement(0.13, 1)],
    array[0.03, 0.03, 0.08]::double precision[],
    'S-124: a channel begins at what is usual, one video moves it half way'
);
select is(
    array[
        private.like_score(8, 10),
        private.like_score(null, 10),
        private.like_score(8, null),
        private.like_score(8, 0),
        private.like_score(0, 10)
    ],
    array[private.wilson_lower_bound(8, 10), null, null, null, 0]::double precision[],
    'S-124: likes per view that are certain; unknown is null, not 0'
);
select is(
    array[
        private.retention_score(1.0, 0),
        private.retention_score(null, null),
        private.retention_score(1.0, 5),
        private.retention_score(0.0, 5)
    ],
    array[null, null, 0.75, 0.25]::double precision[],
    'S-124: five people weigh as much as one half'
);

-- Age, evenness, trust.
select is(
    array[
        private.freshness('0'),
        private.freshness('14 days'),
        private.freshness('75 days'),
        private.freshness('-1 hour'),
        private.freshness('100 years'),
        private.freshness(null)
    ],
    array[1.00, 0.37, 0.00, 1.00, 0.00, null],
    'S-124: freshness is exp(-age / 14 days); what is unknown is not fresh and not stale'
);
select is_empty(
    $$
        select day
        from generate_series(0, 100) as day
        where
            private.freshness(make_interval(days => day + 1)) > private.freshness(make_interval(days => day))
    $$,
    'S-124: nothing grows fresher'
);
select is(
    array[
        private.evenness(0, 10, 3),
        private.evenness(5, 10, 3),
        private.evenness(30, 10, 3),
        private.evenness(0, 0, 3),
        private.evenness(0, 10, 2),
        private.evenness(null, null, 0)
    ],
    array[1, 0.5, 0, 1, null, null]::double precision[],
    'S-124: even videos have 1; two say nothing'
);
select is(private.channel_trust(null, null, 0, 0, null, null), 0.50, 'S-051: of whom nothing is known the trust is 0.5');
select is(
    private.channel_trust('100 years', 1000000, 1000000, 1000000, 1.0, 1000000),
    1.00,
    'S-051: old, large, even, and everything plays: 1'
);
select is(private.channel_trust('0', 0, 0, 1000000, 0.0, 1000000), 0.00, 'S-051: the contrary: 0');
select is(
    array[
        private.channel_trust(null, 1000000, 0, 0, null, null),
        private.channel_trust(null, 999, 0, 0, null, null),
        private.channel_trust('1095.75 days', null, 0, 0, null, null),
        private.channel_trust(null, null, 98, 100, null, null),
        private.channel_trust(null, null, 0, 0, 1.0, 10)
    ],
    array[0.60, 0.50, 0.53, 0.67, 0.55],
    'S-051: each part alone, and what is unknown changes nothing'
);
select is_empty(
    $$
        select kept
        from generate_series(0, 50) as kept
        where
            private.channel_trust(null, null, kept + 1, 51, null, null) < private.channel_trust(null, null, kept, 51, null, null)
            or private.channel_trust(null, kept * 1000 + 1000, 0, 0, null, null)
            < private.channel_trust(null, kept * 1000, 0, 0, null, null)
            or private.channel_trust(make_interval(years => kept + 1), null, 0, 0, null, null)
            < private.channel_trust(make_interval(years => kept), null, 0, 0, null, null)
    $$,
    'S-051: playing, size and age never lower the trust'
);
select is(
    (
        select count(*)
        from pg_proc as proc
        inner join pg_namespace as namespace on proc.pronamespace = namespace.oid
        cross join unnest(array['anon', 'authenticated']) as person
        where
            (
                namespace.nspname = 'private'
                and proc.proname in (
                    'wilson_lower_bound', 'wilson_towards_half', 'shrunk_rate', 'engagement_rate', 'engagement_score',
                    'channel_engagement', 'like_score', 'retention_score', 'freshness', 'evenness', 'channel_trust',
                    'quality_figures', 'score_videos', 'score_channels', 'read_channels', 'check_ai_analysis'
                )
            )
            and has_function_privilege(person, proc.oid, 'execute')
    ),
    0::bigint,
    'S-124: nobody but the service computes'
);

select finish();
rollback;
