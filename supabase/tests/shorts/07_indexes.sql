-- Each index of the design answers the question that it was made for, because the planner takes it by itself.
begin;
\ir ../outcome.psql
select plan(36);

-- First of all, since a session reads an index's predicate once, whoever asks: here the visitor has to.
select is(
    pg_temp.outcome(
        'anon', null, 'select video_id from public.cached_videos where is_playable = true and duration <= 60 limit 0'
    ),
    '0 rows',
    'S-079: an anonymous visitor may plan a query beside an index that is made with a function of ours'
);

-- The indexes that a plan reads, with the node that reads them; a partition's index under its parent's name.
create function pg_temp.reads(
    query text,
    role_name text default 'none'
)
returns setof text
language plpgsql
as $$
declare
    plan jsonb;
begin
    perform set_config('role', role_name, true);
    execute 'explain (format json) ' || query
    into plan;
    perform set_config('role', 'none', true);
    return query
    select distinct format('%s %s', node ->> 'Node Type', coalesce(parent.relname, node ->> 'Index Name'))
    from jsonb_path_query(plan, 'strict $.**?(exists(@."Index Name"))') as node
    left join pg_class as child
        on
            node ->> 'Index Name' = child.relname
            and child.relkind = 'i'
    left join pg_inherits as inheritance on child.oid = inheritance.inhrelid
    left join pg_class as parent on inheritance.inhparent = parent.oid;
end
$$;

create function pg_temp.uses_index(
    query text,
    index_name text,
    description text,
    node_type text default '%'
)
returns text
language plpgsql
as $$
declare
    line text;
    step text;
begin
    line := ok(
        exists (
            select
            from pg_temp.reads(query) as used
            where used like replace(node_type || ' ' || index_name, '_', '\_')
        ),
        description
    );
    if line like 'not ok%' then
        for step in execute 'explain ' || query loop
            line := line || E'\n' || diag(step);
        end loop;
    end if;
    return line;
end
$$;

-- A house with guests. What happens at sign-up and what is told of each row is proven elsewhere and slow.
drop function private.shorts_on_sign_up(uuid, text, jsonb);
alter table public.users disable trigger user;
alter table public.trending_keywords disable trigger user;
alter table public.user_profiles disable trigger user;
delete from auth.users;
delete from public.trending_keywords;
delete from public.search_sessions;
delete from public.cached_videos;
delete from public.cached_channels;
insert into auth.users (id, email)
select
    ('00000000-0000-4000-8000-' || lpad(person::text, 12, '0'))::uuid,
    format('person%s@example.com', person)
from generate_series(1, 2000) as person;
insert into public.users (id, settings)
select
    ('00000000-0000-4000-8000-' || lpad(person::text, 12, '0'))::uuid,
    jsonb_build_object('language', (array['ko', 'ko', 'en'])[1 + person % 3], 'theme', 'theme ' || person % 100)
from generate_series(1, 2000) as person;
insert into public.user_profiles (user_id, time_preferences, personality_vector, preference_vector)
select
    ('00000000-0000-4000-8000-' || lpad(person::text, 12, '0'))::uuid,
    jsonb_build_object('morning', jsonb_build_array('taste ' || person % 200, 'taste ' || person % 7)),
    jsonb_build_object('openness', person % 10, 'type', 'type ' || person % 300),
    (
        select array_agg(sin(person * place))
        from generate_series(1, 100) as place
    )
from generate_series(1, 2000) as person;
insert into public.cached_channels (channel_id, channel_title, primary_category, trust_score)
select
    'UC' || channel,
    'channel ' || channel,
    'category ' || channel % 40,
    channel % 101 / 100.0
from generate_series(1, 5000) as channel;
insert into public.cached_videos (
    video_id, title, description, channel_id, duration, view_count, is_embeddable, privacy_status, category_name,
    published_at, quality_score, ai_analysis
)
select
    'v' || video,
    format('제목 %s 이야기%s', video, video % 500),
    'word' || video % 1000,
    'UC' || 1 + video % 500,
    1 + video * 7 % 3600,
    video * 37 % 1000000,
    video % 10 < 8,
    'public',
    'category ' || video % 40,
    now() - video * interval '1 minute',
    video % 100 / 100.0,
    jsonb_build_object(
        'categories', jsonb_build_array(case when video % 20 = 0 then 'music' else 'topic ' || video % 100 end),
        'keywords', jsonb_build_array('keyword ' || video % 400),
        'emotions', jsonb_build_object('joy', video % 10)
    )
from generate_series(1, 20000) as video;
insert into public.video_quality_scores (video_id, content_quality_score, engagement_rate)
select
    'v' || video,
    video % 997 / 1000.0,
    video % 101 / 1000.0
from generate_series(1, 20000) as video;
insert into public.keyword_video_mappings (keyword, video_id, relevance_score, search_rank)
select
    'keyword ' || mapping % 100,
    'v' || 1 + (mapping * 7 + mapping / 100 * 41) % 20000,
    mapping % 991 / 991.0,
    1 + mapping % 50
from generate_series(1, 50000) as mapping
on conflict on constraint a_keyword_maps_to_a_video_once do nothing;
insert into public.trending_keywords (
    keyword, trend_score, detected_at, expires_at, closed_at, category, regional_popularity
)
select
    'keyword ' || trend,
    trend * 31 % 1000 / 1000.0,
    now() - trend * interval '10 minutes',
    now() - trend * interval '10 minutes' + interval '4 hours',
    now(),
    'category ' || trend % 40,
    jsonb_build_object('KR', 0.5) || case when trend % 100 = 0 then '{"BR": 0.7}' else '{}' end::jsonb
from generate_series(1, 10000) as trend;
insert into public.search_sessions (user_id, search_query, session_started_at, user_context)
select
    ('00000000-0000-4000-8000-' || lpad((1 + search % 400)::text, 12, '0'))::uuid,
    'query ' || search,
    now() - search % 10 * interval '1 minute',
    jsonb_build_object('device_type', case when search % 50 = 0 then 'tablet' else 'mobile' end)
from generate_series(1, 10000) as search;
insert into public.video_interactions (user_id, video_id, interaction_type, interaction_timestamp, watch_duration)
select
    ('00000000-0000-4000-8000-' || lpad((1 + interaction % 200)::text, 12, '0'))::uuid,
    'v' || 1 + interaction % 20000,
    (array['view', 'view', 'like', 'skip', 'save'])[1 + interaction * 13 % 5],
    now() - interaction * interval '10 seconds',
    interaction % 60
from generate_series(1, 20000) as interaction;
insert into public.user_session_details (user_id, session_id, session_start)
select
    ('00000000-0000-4000-8000-' || lpad((1 + visit % 400)::text, 12, '0'))::uuid,
    gen_random_uuid(),
    now() - visit * interval '1 minute'
from generate_series(1, 10000) as visit;
insert into public.keyword_effectiveness (keyword, date)
select
    'keyword ' || keyword,
    current_date - day
from generate_series(1, 400) as keyword
cross join generate_series(1, 50) as day;
insert into public.trend_predictions (keyword, prediction_date, predicted_for_date, predicted_score)
select
    'keyword ' || keyword,
    current_date - day,
    current_date - day + 1,
    0.5
from generate_series(1, 400) as keyword
cross join generate_series(1, 50) as day;
analyze
    public.users,
    public.user_profiles,
    public.cached_channels,
    public.cached_videos,
    public.video_quality_scores,
    public.keyword_video_mappings,
    public.trending_keywords,
    public.search_sessions,
    public.video_interactions,
    public.user_session_details,
    public.keyword_effectiveness,
    public.trend_predictions;
-- What vacuum would have done by now: the planner shuns an index of documents that has much left to merge.
do $$
begin
    perform gin_clean_pending_list(relation.oid)
    from pg_class as relation
    inner join pg_am as method on relation.relam = method.oid
    where
        relation.relkind = 'i'
        and relation.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
        and method.amname = 'gin';
end
$$;

-- Videos.
select pg_temp.uses_index(
    format('select video_id from public.cached_videos where is_playable = true and duration <= %s', seconds),
    'idx_cached_videos_playable_duration',
    format('S-079, S-240: Shorts of at most %s s that play', seconds)
)
from unnest(array[60, 180]) as seconds;
select pg_temp.uses_index(
    'select video_id from public.cached_videos where is_playable and duration between 15 and 30',
    'idx_cached_videos_playable_duration',
    'S-079: and those of a length between'
);
select set_has(
    $$
        select pg_temp.reads(
            'select video_id from public.cached_videos where is_playable = true and duration <= 60 limit 20', 'anon'
        )
    $$,
    $$values ('Index Scan idx_cached_videos_playable_duration')$$,
    'S-079, S-240: an anonymous visitor''s query is planned with it too'
);
insert into public.cached_videos (video_id, title, duration, is_embeddable, privacy_status)
select
    'edge' || seconds,
    'edge',
    seconds,
    true,
    'public'
from unnest(array[60, 61, 180, 181]) as seconds;
select results_eq(
    $$
        select
            video_id::text,
            duration <= 60 as in_60_s,
            is_shorts
        from public.cached_videos
        where is_playable = true and duration <= 180 and video_id like 'edge%'
        order by duration
    $$,
    $$values ('edge60', true, true), ('edge61', false, true), ('edge180', false, true)$$,
    'S-240, S-079: 61 s is no Short of 60 s, 181 s is none at all'
);
select results_eq(
    $$select video_id::text from public.cached_videos where is_playable = true and duration <= 60 and title = 'edge'$$,
    array['edge60'],
    'S-240: the row with 61 s is absent from the question for 60 s'
);
select pg_temp.uses_index(
    $$
        select video_id
        from public.cached_videos
        where is_playable and category_name = 'category 7'
        order by view_count desc
        limit 20
    $$,
    'idx_videos_category_quality',
    'S-087: the most viewed videos of a category that play'
);
select pg_temp.uses_index(
    $$
        select video_id, title, view_count
        from public.cached_videos
        where channel_id = 'UC7' and is_shorts and quality_score > 0.6
        order by published_at desc
        limit 20
    $$,
    'idx_channel_recent_videos',
    'S-100, S-249, S-272, U-22: a channel''s newest good Shorts'
);
select pg_temp.uses_index(
    $$
        select video_id
        from public.cached_videos
        where ai_analysis -> 'categories' -> 0 @> '"topic 7"'
    $$,
    'idx_ai_primary_category',
    'S-101: videos whose first category is this'
);
select pg_temp.uses_index(
    $$
        select video_id
        from public.cached_videos
        where ai_analysis @> '{"categories": ["music"]}' and ai_analysis ?| array['joy', 'genre']
    $$,
    'idx_trending_music',
    'S-103: videos about music by what else is said of them'
);
select pg_temp.uses_index(
    $$
        select video_id
        from public.cached_videos
        where ai_analysis @> '{"keywords": ["keyword 7"]}'
    $$,
    'idx_ai_analysis_path',
    'S-104: videos whose analysis contains this'
);
select pg_temp.uses_index(
    $$
        select video_id
        from public.cached_videos
        where
            to_tsvector('public.korean', title || ' ' || coalesce(description, ''))
            @@ to_tsquery('public.korean', '이야기7')
    $$,
    'idx_video_metadata',
    'S-105, U-23: videos with a Korean word in the title or the description'
);
select pg_temp.uses_index(
    $$
        select video_id
        from public.cached_videos
        where
            to_tsvector('public.korean', title || ' ' || coalesce(description, ''))
            @@ to_tsquery('public.korean', 'word7')
            and ai_analysis @> '{"categories": ["topic 7"]}'
    $$,
    'idx_video_metadata',
    'S-105: videos with this word and this analysis'
);
insert into public.cached_videos (video_id, title)
values ('nodesc', '설명없음 영상');
select results_eq(
    $$
        select video_id::text
        from public.cached_videos
        where
            to_tsvector('public.korean', title || ' ' || coalesce(description, ''))
            @@ to_tsquery('public.korean', '설명없음')
    $$,
    array['nodesc'],
    'S-105, U-23: a video without a description is found by its title'
);

-- Keywords. Two indexes answer the same; each is shown without the other.
savepoint rivals;
drop index public.idx_keyword_mappings_relevance;
select pg_temp.uses_index(
    $$
        select video_id, rank_position
        from public.keyword_video_mappings
        where keyword = 'keyword 7' and relevance_score > 0.7
        order by relevance_score desc
        limit 20
    $$,
    'idx_keyword_quality_videos',
    'S-098, S-272, C-35: the best videos of a keyword, from the index alone',
    'Index Only Scan'
);
rollback to savepoint rivals;
drop index public.idx_keyword_quality_videos;
select pg_temp.uses_index(
    $$
        select video_id
        from public.keyword_video_mappings
        where keyword = 'keyword 7' and relevance_score > 0.7
        order by relevance_score desc
        limit 20
    $$,
    'idx_keyword_mappings_relevance',
    'S-080, C-35: the best videos of a keyword'
);
rollback to savepoint rivals;

-- Trends.
select pg_temp.uses_index(
    'select keyword from public.trending_keywords order by trend_score desc, detected_at desc limit 20',
    'idx_trending_keywords_score_time',
    'S-083: the strongest trends, newest first among equals'
);
select pg_temp.uses_index(
    $$select keyword from public.trending_keywords where regional_popularity ? 'BR'$$,
    'idx_trend_regional_gin',
    'S-086, S-269, S-040: trends of a region'
);
select pg_temp.uses_index(
    $$
        select keyword, category
        from public.trending_keywords
        where time_slot = 'morning' and day_of_week = 1 and valid_until > now() - interval '30 days'
        order by trend_score desc
        limit 20
    $$,
    'idx_trend_time_score',
    'S-099, S-272, C-15, U-21: the strongest trends of a Monday morning that have not expired, from the index alone',
    'Index Only Scan'
);

-- People.
select pg_temp.uses_index(
    $$select id from public.users where settings @> '{"theme": "theme 7"}'$$,
    'idx_user_settings_gin',
    'S-084, S-269: people with a setting'
);
select pg_temp.uses_index(
    $$select user_id from public.user_profiles where time_preferences -> 'morning' @> '["taste 77"]'$$,
    'idx_user_morning_prefs',
    'S-102, S-057: people who like this in the morning'
);
select pg_temp.uses_index(
    $$select user_id from public.user_profiles where personality_vector @> '{"type": "type 7"}'$$,
    'idx_user_profiles_personality_gin',
    'S-107: people of this kind'
);
select pg_temp.uses_index(
    $$
        select user_id
        from public.user_profiles
        order by embedding operator(extensions.<=>) (
            select array_agg(cos(place)) from generate_series(1, 100) as place
        )::extensions.vector
        limit 10
    $$,
    'idx_user_profiles_embedding_hnsw',
    'S-108: people with a taste like this one'
);
select pg_temp.uses_index(
    $$
        select session_id
        from public.user_session_details
        where user_id = '00000000-0000-4000-8000-000000000007'
        order by session_start desc
        limit 20
    $$,
    'idx_session_user_time',
    'S-088: a person''s visits, newest first'
);

-- What they did.
select pg_temp.uses_index(
    $$
        select id
        from public.search_sessions
        where user_id = '00000000-0000-4000-8000-000000000007'
        order by session_started_at desc
        limit 20
    $$,
    'idx_search_sessions_user_time',
    'S-081: a person''s searches, newest first'
);
select pg_temp.uses_index(
    $$select id from public.search_sessions where user_context @> '{"device_type": "tablet"}'$$,
    'idx_user_context_gin',
    'S-085, S-269, S-043: searches from a tablet'
);
select pg_temp.uses_index(
    $$
        select video_id
        from public.video_interactions
        where user_id = '00000000-0000-4000-8000-000000000007' and interaction_type = 'view'
        order by interaction_timestamp desc
        limit 20
    $$,
    'idx_video_interactions_user_recent',
    'S-082, C-35: what a person watched last, by when it happened'
);
select pg_temp.uses_index(
    $$
        select video_id, watch_duration, completion_rate
        from public.video_interactions
        where user_id = '00000000-0000-4000-8000-000000000007' and interaction_type = 'view'
        order by created_at desc
        limit 20
    $$,
    'idx_user_recent_watch',
    'S-097, S-272, C-35, U-22: what a person watched last, from the index alone',
    'Index Only Scan'
);

-- Quality, channels, figures.
select pg_temp.uses_index(
    'select video_id from public.video_quality_scores order by overall_score desc limit 20',
    'idx_quality_overall',
    'S-089: the best videos'
);
-- The unique constraint begins with the same column.
savepoint rivals;
alter table public.video_quality_scores drop constraint a_video_is_scored_once_a_version;
select pg_temp.uses_index(
    $$select overall_score from public.video_quality_scores where video_id = 'v7'$$,
    'idx_quality_video',
    'S-090: a video''s scores'
);
rollback to savepoint rivals;
select pg_temp.uses_index(
    'select channel_id from public.cached_channels order by trust_score desc limit 20',
    'idx_channel_trust',
    'S-091: the most trusted channels'
);
select pg_temp.uses_index(
    $$select channel_id from public.cached_channels where primary_category = 'category 7'$$,
    'idx_channel_category',
    'S-092: channels of a category'
);
select pg_temp.uses_index(
    $$select keyword from public.keyword_effectiveness where date >= current_date - 2$$,
    'idx_effectiveness_date',
    'S-093: the latest days of all keywords'
);
select pg_temp.uses_index(
    $$
        select predicted_score
        from public.trend_predictions
        where keyword = 'keyword 7'
        order by predicted_for_date desc
        limit 10
    $$,
    'idx_prediction_keyword_date',
    'S-094: what was foretold of a keyword'
);

-- Those of a partitioned table are in each of its months.
select is_empty(
    $$
        select
            stored.indexrelid::regclass as name,
            partition.inhrelid::regclass as month
        from pg_index as stored
        inner join pg_inherits as partition on stored.indrelid = partition.inhparent
        where
            stored.indexrelid in (
                'public.idx_search_sessions_user_time'::regclass,
                'public.idx_user_context_gin'::regclass,
                'public.idx_video_interactions_user_recent'::regclass,
                'public.idx_user_recent_watch'::regclass
            )
            and not exists (
                select
                from pg_inherits as inheritance
                inner join pg_index as child on inheritance.inhrelid = child.indexrelid
                where
                    inheritance.inhparent = stored.indexrelid
                    and child.indrelid = partition.inhrelid
                    and child.indisvalid
            )
    $$,
    'S-081, S-082, S-085, S-097: an index of a partitioned table is in each of its months'
);

select finish();
rollback;
