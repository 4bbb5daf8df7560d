-- The room's figures: seven in one row, and not for people.
begin;
select plan(11);
\ir ../outcome.psql

select is(
    (
        select array_agg(attname::text order by attnum)
        from pg_attribute
        where
            attrelid = 'ops.performance_dashboard'::regclass
            and attnum > 0
    ),
    array[
        'active_cache_count', 'avg_cache_hits', 'avg_response_time', 'cache_hit_count',
        'active_users', 'avg_satisfaction', 'last_updated'
    ],
    'S-137: seven figures'
);
delete from public.cached_videos;
select results_eq(
    $$select active_cache_count, avg_cache_hits, last_updated from ops.performance_dashboard$$,
    $$values (0::bigint, null::numeric, now())$$,
    'S-222: one row, of an empty database too'
);
insert into public.cached_videos (video_id, title, cache_hit_count, last_accessed_at)
values
('planted1', 'asked for just now', 3, now()),
('planted2', 'asked for an hour ago', 4, now() - interval '61 minutes'),
('planted3', 'never asked for', 0, null);
select results_eq(
    $$select active_cache_count, avg_cache_hits from ops.performance_dashboard$$,
    $$values (1::bigint, 3.50)$$,
    'S-137: what was asked for in the last hour, and the mean of what was hit'
);
-- What is measured per search.
delete from public.video_interactions;
delete from public.search_sessions;
select results_eq(
    $$select avg_response_time, cache_hit_count, active_users, avg_satisfaction from ops.performance_dashboard$$,
    $$values (null::numeric, 0::bigint, 0::bigint, null::numeric)$$,
    'S-222: an hour without a search has counts of 0 and no means'
);
insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'one@example.com'),
('22222222-2222-4222-8222-222222222222', 'two@example.com');
insert into public.search_sessions (
    user_id, search_query, response_time_ms, cache_hit, user_satisfaction_rating, session_started_at
)
values
('11111111-1111-4111-8111-111111111111', 'timed', 100, true, 5, now()),
('11111111-1111-4111-8111-111111111111', 'timed', 50, true, 4, now() - interval '59 minutes'),
('22222222-2222-4222-8222-222222222222', 'timed', 201, false, null, now() - interval '1 minute'),
('22222222-2222-4222-8222-222222222222', 'not timed', 0, false, null, now() - interval '1 minute'),
(null, 'open', null, false, null, now() - interval '1 minute'),
(null, 'past', 9999, true, 1, now() - interval '61 minutes');
select results_eq(
    $$select avg_response_time, cache_hit_count, active_users, avg_satisfaction from ops.performance_dashboard$$,
    $$values (117.00, 2::bigint, 2::bigint, 4.50)$$,
    'S-137: mean time, cache hits, people and mean rating of the last hour''s searches'
);
select is((select count(*) from ops.performance_dashboard), 1::bigint, 'S-276: one row');
select is(
    private.shorts_figures(now()),
    '{
        "active_cache_count": 1, "avg_cache_hits": 3.50, "avg_response_time": 117.00, "cache_hit_count": 2,
        "active_users": 2, "avg_satisfaction": 4.50
    }'::jsonb,
    'the history of figures gets the same six'
);
select is((select last_updated from ops.performance_dashboard), now(), 'S-222: of this moment');

select is(
    pg_temp.outcome('authenticated', '{"app_metadata": {"role": "admin"}}', 'select from ops.performance_dashboard'),
    '42501 permission denied for schema ops',
    'S-137: people do not read it'
);
select is(
    pg_temp.outcome('anon', null, 'select from ops.performance_dashboard'),
    '42501 permission denied for schema ops',
    'D22: nor do visitors, past the policies of what it counts'
);
select is(
    pg_temp.outcome('service_role', null, 'select from ops.performance_dashboard where active_cache_count = 1'),
    '1 row',
    'the service does, and counts all'
);

select finish();
rollback;
