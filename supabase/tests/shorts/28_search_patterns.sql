-- A person's habits follow what they do, a bounded number of people at a time.
begin;
select plan(17);

delete from public.video_interactions;
delete from public.search_sessions;
delete from public.user_search_patterns;
insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'one@example.com'),
('22222222-2222-4222-8222-222222222222', 'two@example.com'),
('33333333-3333-4333-8333-333333333333', 'three@example.com');
update public.user_search_patterns
set last_analyzed_at = now() - interval '2 days';
insert into public.cached_videos (video_id, title)
values ('planted1', 'one');

-- Midnight in Korea of three days ago, and a moment that is past: nothing here is of this very minute.
create temporary table korea as
select
    date_trunc('day', now(), 'Asia/Seoul') - interval '72 hours' as begins,
    now() - interval '1 hour' as written;

select is(
    private.analyze_search_patterns(),
    '{"people": 0}'::jsonb,
    'S-003: nobody has done anything'
);

insert into public.search_sessions (
    user_id, search_query, search_type, search_intent, results_shown, results_clicked, session_started_at, updated_at
)
select
    search.user_id::uuid,
    'words',
    search.type,
    search.intent,
    search.shown,
    search.clicked,
    korea.begins + search.after,
    korea.written
from korea
cross join (
    values
    ('11111111-1111-4111-8111-111111111111', 'keyword', 'education', 10, 2, interval '30 minutes'),
    ('11111111-1111-4111-8111-111111111111', 'keyword', 'discovery', 20, 4, interval '59 minutes'),
    ('11111111-1111-4111-8111-111111111111', 'ai_chat', 'mood_boost', 10, 2, interval '47 hours'),
    ('22222222-2222-4222-8222-222222222222', 'trending', null, 0, 0, interval '9 hours')
) as search (user_id, type, intent, shown, clicked, after);
insert into public.video_interactions (
    user_id, video_id, interaction_type, watch_duration, total_duration, created_at, interaction_timestamp
)
select
    '11111111-1111-4111-8111-111111111111',
    'planted1',
    done.type,
    done.watched,
    40,
    korea.begins,
    korea.begins
from korea
cross join (values ('view', 40), ('view', 20), ('like', 0), ('skip', 40)) as done (type, watched);

-- Two people, one at a time: who waited longest first.
update public.user_search_patterns
set last_analyzed_at = now() - interval '3 days'
where user_id = '22222222-2222-4222-8222-222222222222';
select is(
    private.analyze_search_patterns(1),
    '{"people": 1}'::jsonb,
    'S-003: a batch is no larger than it may be'
);
select is(
    (select array_agg(user_id) from public.user_search_patterns where last_analyzed_at = now()),
    array['22222222-2222-4222-8222-222222222222'::uuid],
    'S-003, S-186: who waited longest comes first, and is known to be analyzed'
);
select is(
    private.analyze_search_patterns(1),
    '{"people": 1}'::jsonb,
    'S-003: the next run goes on with the next'
);
select is(
    private.analyze_search_patterns(),
    '{"people": 0}'::jsonb,
    'S-003: and then nobody is left'
);

select results_eq(
    $$
        select total_searches, ai_searches_used, avg_results_clicked
        from public.user_search_patterns
        where user_id = '11111111-1111-4111-8111-111111111111'
    $$,
    $$values (3, 1, 3)$$,
    'S-003: three searches, one of them to the AI, three results clicked on average'
);
select is(
    (
        select hourly_activity_pattern
        from public.user_search_patterns
        where user_id = '11111111-1111-4111-8111-111111111111'
    ),
    array[2] || array_fill(0, array[22]) || array[1],
    'S-027: by the hour in Korea, from midnight'
);
select is(
    (
        select search_intent_distribution
        from public.user_search_patterns
        where user_id = '11111111-1111-4111-8111-111111111111'
    ),
    '{
        "entertainment": 0.0000,
        "education": 0.3333,
        "mood_boost": 0.3334,
        "trend_following": 0.0000,
        "discovery": 0.3333
    }'::jsonb,
    'S-028: the shares of the intents'
);
select is(
    (
        select sum(share.value::numeric)
        from public.user_search_patterns as pattern
        cross join jsonb_each_text(pattern.search_intent_distribution) as share
        where pattern.user_id = '11111111-1111-4111-8111-111111111111'
    ),
    1::numeric,
    'S-028: they sum to 1'
);
select is(
    (
        select search_intent_distribution -> 'entertainment'
        from public.user_search_patterns
        where user_id = '22222222-2222-4222-8222-222222222222'
    ),
    '0.4'::jsonb,
    'S-028: who named no intent keeps the default'
);
select is(
    (
        select interaction_patterns
        from public.user_search_patterns
        where user_id = '11111111-1111-4111-8111-111111111111'
    ),
    '{
        "click_through_rate": 0.2000,
        "video_completion_rate": 0.7500,
        "like_rate": 0.5000,
        "return_rate": 1.0000
    }'::jsonb,
    'S-029: 8 of 40 clicked, 3/4 of two views, 1 like in 2, and back the next day'
);
select is(
    (
        select interaction_patterns
        from public.user_search_patterns
        where user_id = '22222222-2222-4222-8222-222222222222'
    ),
    '{"click_through_rate": 0, "video_completion_rate": 0, "like_rate": 0, "return_rate": 0}'::jsonb,
    'S-029: zeros where there is nothing to count'
);
select is(
    (
        select total_searches
        from public.user_search_patterns
        where user_id = '33333333-3333-4333-8333-333333333333'
    ),
    0,
    'S-003: who did nothing is left alone'
);

-- Archived searches count in the totals and in nothing else; a day long ago that nobody followed up is no return.
insert into private.search_sessions_archive (
    id, user_id, search_query, search_type, user_context, results_count, results_shown, results_clicked, cache_hit,
    api_cost_units, session_started_at, created_at, session_id, conversation_context
)
values (
    gen_random_uuid(), '11111111-1111-4111-8111-111111111111', 'words', 'ai_chat', '{}', 0, 100, 100, false, 0,
    now() - interval '100 days', now() - interval '100 days', gen_random_uuid(), '[]'
);
insert into public.search_sessions (user_id, search_query, results_shown, session_started_at, updated_at)
select
    '11111111-1111-4111-8111-111111111111',
    'words',
    60,
    korea.begins - interval '30 days',
    korea.written
from korea;
select is(
    private.analyze_search_patterns(),
    '{"people": 0}'::jsonb,
    'S-003: what is older than eight days wakes nobody'
);
update public.user_search_patterns
set last_analyzed_at = null;
select is(
    private.analyze_search_patterns(),
    '{"people": 2}'::jsonb,
    'S-003: who was never looked at is due'
);
select results_eq(
    $$
        select total_searches, ai_searches_used, hourly_activity_pattern[1]
        from public.user_search_patterns
        where user_id = '11111111-1111-4111-8111-111111111111'
    $$,
    $$values (5, 2, 3)$$,
    'S-027: the totals are over all that is kept'
);
select results_eq(
    $$
        select interaction_patterns -> 'click_through_rate', interaction_patterns -> 'return_rate'
        from public.user_search_patterns
        where user_id = '11111111-1111-4111-8111-111111111111'
    $$,
    $$values ('0.0800'::jsonb, '0.5000'::jsonb)$$,
    'S-029: 8 of 100 clicked; one day in two was followed by another'
);

select finish();
rollback;
