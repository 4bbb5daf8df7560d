-- The figures of a keyword's day are those of its interactions, however often they are counted.
begin;
select plan(17);

-- An empty house, three people, and days of Korea: today begins at :begins.
delete from public.video_interactions;
delete from public.search_sessions;
delete from public.keyword_performance_cache;
delete from public.keyword_effectiveness;
insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'one@example.com'),
('22222222-2222-4222-8222-222222222222', 'two@example.com');
insert into public.cached_videos (video_id, title)
values ('planted1', 'one');
create temporary table korea as
select
    private.korean_day() - 2 as day,
    date_trunc('day', now(), 'Asia/Seoul') - interval '48 hours' as begins;

insert into public.search_sessions (id, user_id, search_query, search_type, results_clicked, session_started_at)
select
    search.id::uuid,
    search.user_id::uuid,
    search.query,
    search.type,
    search.clicked,
    korea.begins + search.after
from korea
cross join (
    values
    ('a0000000-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'Cat  Videos', 'keyword', 2, interval '0'),
    ('a0000000-0000-4000-8000-000000000002', '22222222-2222-4222-8222-222222222222', 'cat videos', 'keyword', 1, interval '23:59:59.999'),
    ('a0000000-0000-4000-8000-000000000003', '11111111-1111-4111-8111-111111111111', '고양이', 'trending', 0, interval '12 hours'),
    ('a0000000-0000-4000-8000-000000000004', '22222222-2222-4222-8222-222222222222', 'what is wrong with me', 'ai_chat', 1, interval '12 hours'),
    ('a0000000-0000-4000-8000-000000000005', '22222222-2222-4222-8222-222222222222', 'yesterday''s', 'keyword', 1, interval '-1 hour'),
    ('a0000000-0000-4000-8000-000000000006', '22222222-2222-4222-8222-222222222222', 'cat videos', 'keyword', 1, interval '24 hours'),
    ('a0000000-0000-4000-8000-000000000007', '22222222-2222-4222-8222-222222222222', '   ', 'keyword', 0, interval '12 hours')
) as search (id, user_id, query, type, clicked, after);

insert into public.video_interactions (
    user_id,
    video_id,
    session_id,
    session_started_at,
    interaction_type,
    watch_duration,
    total_duration,
    created_at,
    interaction_timestamp
)
select
    session.user_id,
    'planted1',
    session.id,
    session.session_started_at,
    done.type,
    done.watched,
    40,
    korea.begins + done.after,
    korea.begins + done.after
from korea
cross join (
    values
    ('a0000000-0000-4000-8000-000000000001', 'view', 40, interval '0'),
    ('a0000000-0000-4000-8000-000000000001', 'view', 20, interval '1 hour'),
    ('a0000000-0000-4000-8000-000000000001', 'like', 0, interval '1 hour'),
    ('a0000000-0000-4000-8000-000000000002', 'view', 0, interval '23:59:59.999'),
    ('a0000000-0000-4000-8000-000000000002', 'skip', 2, interval '23:59:59.999'),
    ('a0000000-0000-4000-8000-000000000002', 'view', 40, interval '24 hours'),
    ('a0000000-0000-4000-8000-000000000003', 'like', 0, interval '13 hours'),
    ('a0000000-0000-4000-8000-000000000004', 'view', 40, interval '13 hours'),
    ('a0000000-0000-4000-8000-000000000005', 'view', 10, interval '1 minute'),
    ('a0000000-0000-4000-8000-000000000005', 'view', 10, interval '-1 microsecond')
) as done (session_id, type, watched, after)
inner join public.search_sessions as session on done.session_id::uuid = session.id;
insert into public.video_interactions (user_id, video_id, interaction_type, created_at, interaction_timestamp)
select
    '11111111-1111-4111-8111-111111111111',
    'planted1',
    'view',
    korea.begins + interval '2 hours',
    korea.begins + interval '2 hours'
from korea;

select is(
    (select private.rollup_keyword_metrics(day) from korea),
    '{"written": 5, "removed": 0}'::jsonb,
    'S-010, S-015, S-185: a day is counted'
);
select results_eq(
    $$
        select keyword::text, total_views, avg_completion_rate, total_likes
        from public.keyword_performance_cache
        order by keyword collate "C"
    $$,
    $$
        values
        ('cat videos', 3, 0.50, 1),
        ('yesterday''s', 1, 0.25, 0)
    $$,
    'S-048: views, completion and likes by keyword, for the day in Korea to its last millisecond'
);
savepoint crowd;
insert into public.search_sessions (user_id, search_query, session_started_at)
select
    person.id,
    'cat videos',
    korea.begins
from korea
cross join public.users as person
where person.email in (private.mask_email('one@example.com'), private.mask_email('two@example.com'));
select private.rollup_keyword_metrics(day) from korea;
select results_eq(
    $$
        select keyword::text, people
        from public.keyword_effectiveness
        order by keyword collate "C"
    $$,
    $$values ('cat videos', 2), ('yesterday''s', 1), ('고양이', 1)$$,
    'S-010, S-015: people are counted and not their searches, by the spelling that most of them used'
);
rollback to savepoint crowd;
select results_eq(
    $$
        select
            keyword::text, search_count, click_count, ctr, total_watch_time, avg_completion_rate, like_rate, skip_rate
        from public.keyword_effectiveness
        order by keyword collate "C"
    $$,
    $$
        values
        ('cat videos', 2, 3, 150.00, 62, 0.50, 0.33, 0.25),
        ('yesterday''s', 0, 0, 0, 10, 0.25, 0.00, 0.00),
        ('고양이', 1, 0, 0.00, 0, null, null, null)
    $$,
    'S-053: searches, clicks, seconds and rates by keyword'
);
select is(
    (
        select sum(total_views)
        from public.keyword_performance_cache, korea
        where
            keyword = 'cat videos'
            and date = korea.day
    ),
    (
        select count(*)
        from public.video_interactions as interaction
        inner join public.search_sessions as session on interaction.session_id = session.id
        cross join korea
        where
            interaction.interaction_type = 'view'
            and private.normalize_keyword(session.search_query) = 'cat videos'
            and private.korean_day(interaction.created_at) = korea.day
    ),
    'S-010: the day''s total_views are its view interactions'
);
select is(
    (select count(*) from public.keyword_performance_cache, korea where date = korea.day),
    (
        select count(distinct private.normalize_keyword(session.search_query))
        from public.video_interactions as interaction
        inner join public.search_sessions as session on interaction.session_id = session.id
        cross join korea
        where
            interaction.interaction_type = 'view'
            and session.search_type <> 'ai_chat'
            and private.korean_day(interaction.created_at) = korea.day
    ),
    'S-210: a row for each keyword that was viewed'
);
select is(
    (select count(*) from public.keyword_effectiveness where keyword like '%wrong%'),
    0::bigint,
    'S-015: what is said to the AI is no keyword'
);

-- Again.
create temporary table before as
select
    keyword,
    ctid::text as place
from public.keyword_performance_cache
union all
select
    keyword,
    ctid::text
from public.keyword_effectiveness;
select is(
    (select private.rollup_keyword_metrics(day) from korea),
    '{"written": 0, "removed": 0}'::jsonb,
    'S-210: the same day again changes nothing'
);
select results_eq(
    $$
        select keyword::text, ctid::text
        from public.keyword_performance_cache
        union all
        select keyword::text, ctid::text
        from public.keyword_effectiveness
    $$,
    $$select keyword::text, place from before$$,
    'S-210: and writes nothing'
);

-- One more view; one person fewer.
insert into public.video_interactions (
    user_id, video_id, session_id, session_started_at, interaction_type, created_at, interaction_timestamp
)
select
    session.user_id,
    'planted1',
    session.id,
    session.session_started_at,
    'view',
    korea.begins + interval '14 hours',
    korea.begins + interval '14 hours'
from korea
inner join public.search_sessions as session on session.id = 'a0000000-0000-4000-8000-000000000003';
select is(
    (select private.rollup_keyword_metrics(day) from korea),
    '{"written": 2, "removed": 0}'::jsonb,
    'S-210: one more view writes the two rows of its keyword'
);
create temporary table effectiveness_ids as
select
    stored.keyword,
    stored.id
from public.keyword_effectiveness as stored;
delete from auth.users
where id = '22222222-2222-4222-8222-222222222222';
select is(
    (select private.rollup_keyword_metrics(day) from korea),
    '{"written": 2, "removed": 2}'::jsonb,
    'S-010, S-015: who was erased takes along what only they had searched'
);
select results_eq(
    $$
        select keyword::text, total_views
        from public.keyword_performance_cache
        order by keyword collate "C"
    $$,
    $$values ('cat videos', 2), ('고양이', 1)$$,
    'S-048: and the rest is counted without them'
);
select is(
    (
        select count(*)
        from public.keyword_effectiveness as stored
        inner join effectiveness_ids on
            stored.keyword = effectiveness_ids.keyword
            and stored.id = effectiveness_ids.id
    ),
    2::bigint,
    'S-053: a row keeps its id'
);

-- Another day is another day.
select is(
    private.rollup_keyword_metrics(private.korean_day()),
    '{"written": 0, "removed": 0}'::jsonb,
    'S-010: a day without anything has no rows'
);
select is(
    (select count(*) from public.keyword_performance_cache),
    2::bigint,
    'S-010: and leaves other days alone'
);

-- Bad questions.
select throws_ok(
    $$select private.rollup_keyword_metrics(private.korean_day() - 91)$$,
    '22023',
    'The day is too long ago to be counted again.',
    'S-210: a day whose searches are archived keeps its figures'
);
select throws_ok(
    $$select private.rollup_keyword_metrics(null)$$,
    '22023',
    'The day is too long ago to be counted again.',
    'no day'
);

select finish();
rollback;
