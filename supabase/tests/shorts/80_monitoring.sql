-- The room's figures: seven in one row, and not for people.
begin;
select plan(6);
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
