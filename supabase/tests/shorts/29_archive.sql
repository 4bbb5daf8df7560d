-- Old searches leave the hot table without being lost, and no old row keeps a month from going.
begin;
select plan(21);

delete from public.video_interactions;
delete from public.search_sessions;
delete from private.search_sessions_archive;
insert into auth.users (id, email)
values ('11111111-1111-4111-8111-111111111111', 'one@example.com');
insert into public.cached_videos (video_id, title)
values ('planted1', 'one');

-- Searches of 89 and 91 days ago, with what was watched from them.
insert into public.search_sessions (id, user_id, search_query, session_token, ip_address, user_agent, session_started_at)
values
(
    'a0000000-0000-4000-8000-000000000089', '11111111-1111-4111-8111-111111111111', 'young', 'token', '203.0.113.0/24',
    'app', now() - interval '89 days'
),
(
    'a0000000-0000-4000-8000-000000000090', '11111111-1111-4111-8111-111111111111', 'to the day', 'token',
    '203.0.113.0/24', 'app', now() - interval '90 days'
),
(
    'a0000000-0000-4000-8000-000000000091', '11111111-1111-4111-8111-111111111111', 'old', 'token', '203.0.113.0/24',
    'app', now() - interval '91 days'
);
insert into public.video_interactions (
    id, user_id, video_id, session_id, session_started_at, interaction_type, created_at, interaction_timestamp
)
select
    session.id,
    session.user_id,
    'planted1',
    session.id,
    session.session_started_at,
    'view',
    session.session_started_at,
    session.session_started_at
from public.search_sessions as session;

select is(
    private.archive_search_sessions(),
    '{"archived": 1, "purged": 0}'::jsonb,
    'S-243: what is older than 90 days goes'
);
select set_eq(
    $$select search_query from public.search_sessions$$,
    array['young', 'to the day'],
    'S-243: at 91 days it is gone, at 89 it is there'
);
select results_eq(
    $$
        select id, user_id, search_query, session_started_at, archived_at
        from private.search_sessions_archive
    $$,
    $$
        values (
            'a0000000-0000-4000-8000-000000000091'::uuid,
            '11111111-1111-4111-8111-111111111111'::uuid,
            'old',
            now() - interval '91 days',
            now()
        )
    $$,
    'S-019: what is gone is in the archive'
);
select is_empty(
    $$
        select attname
        from pg_attribute
        where
            attrelid = 'private.search_sessions_archive'::regclass
            and attname in ('session_token', 'ip_address', 'user_agent')
    $$,
    'S-019: without token, network and app'
);
select results_eq(
    $$
        select id::text, session_id is null, session_started_at is null
        from public.video_interactions
        order by id
    $$,
    $$
        values
        ('a0000000-0000-4000-8000-000000000089', false, false),
        ('a0000000-0000-4000-8000-000000000090', false, false),
        ('a0000000-0000-4000-8000-000000000091', true, true)
    $$,
    'S-019: what was watched stays, without its search'
);
select is(
    private.archive_search_sessions(),
    '{"archived": 0, "purged": 0}'::jsonb,
    'S-243: again there is nothing to do'
);

-- Every column that both have comes over as it was.
select set_eq(
    $$
        select attname::text
        from pg_attribute
        where
            attrelid = 'private.search_sessions_archive'::regclass
            and attnum > 0
            and not attisdropped
    $$,
    $$
        select attname::text
        from pg_attribute
        where
            attrelid = 'public.search_sessions'::regclass
            and attnum > 0
            and attname not in ('session_token', 'ip_address', 'user_agent', 'updated_at')
        union all
        select 'archived_at'
    $$,
    'S-019: every other column has its place'
);
update public.search_sessions
set
    search_type = 'ai_chat',
    search_intent = 'education',
    user_context = '{"weather": "rain"}',
    results_count = 5,
    results_shown = 4,
    results_clicked = 3,
    response_time_ms = 2,
    cache_hit = true,
    api_cost_units = 1,
    user_satisfaction_rating = 5,
    session_outcome = 'satisfied',
    session_ended_at = now(),
    conversation_context = '[1]'
where search_query = 'young';
create temporary table before as
select to_jsonb(session) - array['session_token', 'ip_address', 'user_agent', 'updated_at'] as content
from public.search_sessions as session
where session.search_query = 'young';
select is(
    private.archive_search_sessions(now() + interval '2 days', 1),
    '{"archived": 1, "purged": 0}'::jsonb,
    'S-243: a batch is no larger than it may be'
);
select is(
    private.archive_search_sessions(now() + interval '2 days', 1),
    '{"archived": 1, "purged": 0}'::jsonb,
    'S-243: the next one goes on'
);
select is(
    (
        select to_jsonb(archived) - 'archived_at'
        from private.search_sessions_archive as archived
        where archived.search_query = 'young'
    ),
    (select content from before),
    'S-019: with what it says'
);

-- The archive forgets after a year; what is older than that already is not taken in.
select is(
    private.archive_search_sessions(now() - interval '91 days' + interval '12 months'),
    '{"archived": 0, "purged": 0}'::jsonb,
    'S-019: at 12 months it is still there'
);
select is(
    private.archive_search_sessions(now() - interval '90 days' + interval '12 months'),
    '{"archived": 0, "purged": 1}'::jsonb,
    'S-019: a day later it is forgotten'
);
insert into public.search_sessions (user_id, search_query, session_started_at)
values ('11111111-1111-4111-8111-111111111111', 'ancient', now() - interval '13 months');
select is(
    private.archive_search_sessions(),
    '{"archived": 0, "purged": 1}'::jsonb,
    'S-019: what is older than a year is forgotten at once'
);
delete from auth.users
where id = '11111111-1111-4111-8111-111111111111';
select is(
    (select count(*) from private.search_sessions_archive),
    0::bigint,
    'S-019: the archive goes with the person'
);

-- A month of interactions expires; what happened in the player just after its end is in the next month.
insert into auth.users (id, email)
values ('11111111-1111-4111-8111-111111111111', 'one@example.com');
create temporary table made as
select made.child
from unnest(array['public.video_interactions', 'public.watch_events']::regclass[]) as parent
cross join unnest(array['2024-02-01', '2024-03-01']::date[]) as month
cross join ops.create_monthly_partition(parent, month) as made;
insert into public.video_interactions (id, user_id, video_id, interaction_type, created_at, interaction_timestamp)
values
(
    'b0000000-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'planted1', 'view',
    '2024-02-29 23:50+00', '2024-02-29 23:50+00'
),
(
    'b0000000-0000-4000-8000-000000000002', '11111111-1111-4111-8111-111111111111', 'planted1', 'view',
    '2024-03-01 00:10+00', '2024-03-01 00:10+00'
);
insert into public.watch_events (interaction_id, interaction_created_at, event_type, event_timestamp)
values
('b0000000-0000-4000-8000-000000000001', '2024-02-29 23:50+00', 'play', '2024-02-29 23:50+00'),
('b0000000-0000-4000-8000-000000000001', '2024-02-29 23:50+00', 'pause', '2024-03-01 00:05+00'),
('b0000000-0000-4000-8000-000000000001', '2024-02-29 23:50+00', 'end', '2024-03-01 23:50+00'),
('b0000000-0000-4000-8000-000000000002', '2024-03-01 00:10+00', 'play', '2024-03-01 00:10+00');
\set expired '''2025-03-01 00:00+00'''

select is(
    private.prune_watch_events('2025-02-28 23:59:59+00'),
    '{"emptied": 0, "pruned": 0}'::jsonb,
    'S-243: a month that is kept keeps its events'
);
savepoint without;
select results_eq(
    format(
        $$
            select parent, state
            from ops.drop_expired_partitions(%L)
            where parent = 'public.video_interactions'
        $$,
        :expired
    ),
    $$values ('public.video_interactions', 'failed')$$,
    'S-243: without the pruning the month of interactions cannot go'
);
rollback to without;
select is(
    private.prune_watch_events(:expired, 1),
    '{"emptied": 1, "pruned": 1}'::jsonb,
    'S-243: a batch is no larger than it may be'
);
select is(
    private.prune_watch_events(:expired),
    '{"emptied": 1, "pruned": 1}'::jsonb,
    'S-243: the next one goes on'
);
select results_eq(
    $$select interaction_id::text, event_type from public.watch_events$$,
    $$values ('b0000000-0000-4000-8000-000000000002', 'play')$$,
    'S-243: what belongs to a younger interaction stays'
);
select results_eq(
    format(
        $$
            select parent, state
            from ops.drop_expired_partitions(%L)
            where parent in ('public.video_interactions', 'public.watch_events')
            order by parent
        $$,
        :expired
    ),
    $$values ('public.video_interactions', 'dropped'), ('public.watch_events', 'dropped')$$,
    'S-243: and then both months go'
);
select results_eq(
    $$select id::text from public.video_interactions where created_at < '2025-01-01'$$,
    $$values ('b0000000-0000-4000-8000-000000000002')$$,
    'S-243: the next month is as it was'
);

select finish();
rollback;
