-- Sample data: nothing in it is real. Five people, one of each tier, and a store to try every screen and policy on.
--
-- People are called sample-<tier>@example.com and all sign in with the password below, so this is for a stack on your
-- own machine: config.toml keeps [db.seed] off, since a push must not plant them in a hosted project. To load it:
--
--     ./scripts/dev psql -v ON_ERROR_STOP=1 --single-transaction < supabase/seed.sql
--
-- Every row follows from its number and from the moment of loading, by which times are counted. What is there already
-- stays as it is, so that it may be loaded again. Video ids begin with "sample_", channels say "(표본)".

-- Two weeks back may lie in a month that has no partition yet.
select count(*) as partitions
from ops.create_monthly_partitions(now() - interval '14 days');

-- People. Auth reads some of these columns as text that is never null; the address is confirmed.
insert into auth.users (
    instance_id,
    id,
    aud,
    role,
    email,
    encrypted_password,
    email_confirmed_at,
    confirmation_token,
    recovery_token,
    email_change_token_new,
    email_change,
    raw_app_meta_data,
    raw_user_meta_data,
    created_at,
    updated_at
)
select
    '00000000-0000-0000-0000-000000000000',
    md5('sample person ' || person.tier)::uuid,
    'authenticated',
    'authenticated',
    'sample-' || person.tier || '@example.com',
    extensions.crypt('sample-password', extensions.gen_salt('bf', 10)),
    now() - interval '30 days',
    '',
    '',
    '',
    '',
    '{"provider": "email", "providers": ["email"]}',
    jsonb_build_object('name', '표본 ' || person.tier),
    now() - interval '30 days',
    now() - interval '30 days'
from unnest(enum_range(null::public.tier_enum)) as person (tier)
on conflict do nothing;

insert into auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
select
    person.id::text,
    person.id,
    jsonb_build_object('sub', person.id, 'email', person.email, 'email_verified', true, 'phone_verified', false),
    'email',
    person.created_at,
    person.created_at,
    person.created_at
from auth.users as person
where
    person.id in (
        select md5('sample person ' || known.tier)::uuid
        from unnest(enum_range(null::public.tier_enum)) as known (tier)
    )
on conflict do nothing;

-- 50 channels and 1,000 videos of them. They outlive the week after which a real video is collected again.
insert into public.cached_channels (
    channel_id,
    channel_title,
    subscriber_count,
    video_count,
    total_view_count,
    primary_category,
    content_language,
    trust_score
)
select
    'UCsample' || lpad(item.number::text, 16, '0'),
    (array['오늘의 부엌', '동네 고양이', '출근길 운동', '주말 여행자', '책상 위 과학'])[1 + item.number % 5]
    || ' ' || item.number || ' (표본)',
    1000 + item.number * 7919,
    20,
    item.number * 1000003,
    (array['food', 'pets', 'sports', 'travel', 'education'])[1 + item.number % 5],
    'ko',
    round(0.3 + (item.number * 7 % 60) / 100.0, 2)
from generate_series(1, 50) as item (number)
on conflict do nothing;

insert into public.cached_videos (
    video_id,
    title,
    description,
    channel_id,
    channel_name,
    duration,
    view_count,
    like_count,
    comment_count,
    is_embeddable,
    privacy_status,
    upload_status,
    is_age_restricted,
    thumbnail_url,
    category_id,
    category_name,
    tags,
    expires_at,
    ai_analysis,
    published_at,
    quality_score
)
select
    'sample_' || lpad(item.number::text, 4, '0'),
    format(
        (array['%s 하나만 보고 가세요', '요즘 %s 근황', '%s 30초 요약', '처음 해 보는 %s', '%s 이렇게 하면 됩니다'])[1 + item.number % 5],
        topic.name
    ) || ' #' || item.number,
    topic.name || ' 표본 동영상입니다. 실제 동영상이 아닙니다.',
    channel.channel_id,
    channel.channel_title,
    15 + item.number * 11 % 46,
    500 + item.number::bigint * item.number * 13 % 5000000,
    item.number * 31 % 20000,
    item.number * 17 % 900,
    item.number % 20 <> 0,
    'public',
    'processed',
    false,
    'https://example.com/sample/' || item.number || '.jpg',
    (array[22, 15, 17, 19, 27])[1 + item.number % 5],
    (array['food', 'pets', 'sports', 'travel', 'education'])[1 + item.number % 5],
    array[topic.name, '표본'],
    now() + interval '1 year',
    jsonb_build_object(
        'categories', jsonb_build_array((array['food', 'pets', 'sports', 'travel', 'music'])[1 + item.number % 5]),
        'keywords', jsonb_build_array(topic.name),
        'emotions', jsonb_build_object('joy', item.number % 10 / 10.0)
    ),
    now() - item.number * interval '23 minutes',
    round(0.2 + item.number * 37 % 80 / 100.0, 2)
from generate_series(0, 999) as item (number)
cross join lateral (
    select
        (array[
            '김치찌개', '떡볶이', '고양이', '강아지', '홈트레이닝', '제주도', '서울 산책', '과학 실험', '한국사', '영어 회화',
            '케이팝 댄스', '캠핑', '자전거', '수제비', '도시락', '뜨개질', '식물 키우기', '야구', '축구', '별자리'
        ])[1 + item.number % 20] as name
) as topic
inner join public.cached_channels as channel
    on channel.channel_id = 'UCsample' || lpad((1 + item.number % 50)::text, 16, '0')
on conflict do nothing;

insert into public.video_quality_scores (
    video_id,
    content_quality_score,
    thumbnail_attractiveness,
    title_effectiveness,
    engagement_rate,
    retention_rate,
    viral_potential,
    channel_trust_score,
    creator_consistency,
    overall_quality_score,
    confidence_level,
    audio_quality,
    video_quality,
    relevance_score,
    trend_alignment,
    freshness_score
)
select
    video.video_id,
    item.number * 37 % 100 / 100.0,
    item.number * 41 % 100 / 100.0,
    item.number * 43 % 100 / 100.0,
    item.number * 47 % 30 / 100.0,
    item.number * 53 % 100 / 100.0,
    item.number * 59 % 100 / 100.0,
    item.number * 61 % 100 / 100.0,
    item.number * 67 % 100 / 100.0,
    video.quality_score,
    0.5,
    item.number * 71 % 100 / 100.0,
    item.number * 73 % 100 / 100.0,
    item.number * 79 % 100 / 100.0,
    item.number * 83 % 100 / 100.0,
    item.number * 89 % 100 / 100.0
from generate_series(0, 999) as item (number)
inner join public.cached_videos as video
    on video.video_id = 'sample_' || lpad(item.number::text, 4, '0')
on conflict do nothing;

-- 200 keywords: a topic and what one wants of it. Each leads to 15 videos of its topic.
create temporary table sample_keywords as
select
    topic.ordinality::integer - 1 as topic,
    topic.name || ' ' || kind.name as keyword,
    (topic.ordinality::integer - 1) * 10 + kind.ordinality::integer - 1 as number
from
    unnest(
        array[
            '김치찌개', '떡볶이', '고양이', '강아지', '홈트레이닝', '제주도', '서울 산책', '과학 실험', '한국사', '영어 회화',
            '케이팝 댄스', '캠핑', '자전거', '수제비', '도시락', '뜨개질', '식물 키우기', '야구', '축구', '별자리'
        ]
    ) with ordinality as topic (name, ordinality)
cross join
    unnest(
        array['추천', '모음', '브이로그', '챌린지', '후기', '꿀팁', '초보', '비교', '도전', '근황']
    ) with ordinality as kind (name, ordinality);

insert into public.keyword_video_mappings (
    keyword, video_id, relevance_score, search_rank, mapping_source, confidence_level, click_through_rate
)
select
    known.keyword,
    'sample_' || lpad((known.topic + 20 * ((known.number * 7 + place.rank * 3) % 50))::text, 4, '0'),
    round(1 - place.rank / 20.0, 2),
    place.rank,
    (array['youtube_api', 'ai_analysis'])[1 + place.rank % 2],
    0.8,
    round(0.3 / place.rank, 3)
from sample_keywords as known
cross join generate_series(1, 15) as place (rank)
on conflict do nothing;

-- No webhook, broadcast or notification tells of them.
alter table public.trending_keywords disable trigger trending_keyword_notification;
insert into public.trending_keywords (
    keyword,
    region_code,
    data_source,
    trend_score,
    search_volume,
    growth_rate,
    velocity,
    category,
    related_keywords,
    source_confidence,
    regional_popularity,
    hourly_trend_data,
    detected_at,
    expires_at,
    z_score,
    model_version
)
select
    known.keyword,
    'KR',
    'internal',
    round(0.30 + known.number * 7 % 50 / 100.0, 2),
    10 + known.number,
    50 + known.number * 13 % 400,
    0.01,
    (array['food', 'pets', 'sports', 'travel', 'education'])[1 + known.topic % 5],
    array['표본'],
    0.5,
    '{"KR": 1.0, "US": 0.0, "JP": 0.0, "global": 0.1}',
    (
        select jsonb_agg(known.number % 5 + hour.number)
        from generate_series(1, 24) as hour (number)
    ),
    now() - interval '1 hour',
    now() + interval '30 days',
    3.5,
    'sample'
from sample_keywords as known
where known.number % 10 = 0
on conflict do nothing;
alter table public.trending_keywords enable trigger trending_keyword_notification;

insert into public.trend_predictions (
    id,
    keyword,
    prediction_date,
    predicted_for_date,
    predicted_score,
    confidence_interval,
    confidence_level,
    model_version,
    features_used,
    actual_score
)
select
    md5(format('sample prediction %s %s', known.number, day.number))::uuid,
    known.keyword,
    current_date - day.number - 1,
    current_date - day.number + 1,
    0.5,
    numrange(0.3, 0.7, '[]'),
    0.90,
    'sample',
    '["mentions", "hour"]',
    case when day.number > 1 then 0.4 + known.number % 20 / 100.0 end
from sample_keywords as known
cross join generate_series(0, 6) as day (number)
where known.number % 5 = 0
on conflict do nothing;

-- Days are counted back from the first loading: another day adds nothing.
insert into public.keyword_effectiveness (
    keyword, date, search_count, click_count, total_watch_time, avg_completion_rate, like_rate, skip_rate
)
select
    known.keyword,
    current_date - day.number,
    10 + known.number % 90,
    5 + known.number * 7 % 50,
    300 + known.number * 11,
    0.6,
    0.1,
    0.2
from sample_keywords as known
cross join generate_series(1, 7) as day (number)
where
    not exists (
        select
        from public.keyword_effectiveness as stored
        where stored.keyword = known.keyword
    )
on conflict do nothing;

insert into public.keyword_performance_cache (keyword, date, total_views, avg_completion_rate, total_likes)
select
    known.keyword,
    current_date - day.number,
    100 + known.number * 3,
    0.6,
    known.number % 40
from sample_keywords as known
cross join generate_series(1, 7) as day (number)
where
    not exists (
        select
        from public.keyword_performance_cache as stored
        where stored.keyword = known.keyword
    )
on conflict do nothing;

-- 2,000 searches, one every ten minutes for two weeks: four of them by who is on trial, the others even.
create temporary table sample_searches as
select
    item.number,
    md5('sample search ' || item.number)::uuid as id,
    md5('sample visit ' || item.number / 20)::uuid as visit,
    md5(
        'sample person ' || case
            when item.number % 500 = 1 then 'trial'
            else (array['free', 'premium', 'pro', 'enterprise'])[1 + item.number % 4]
        end
    )::uuid as person,
    now() - (item.number + 1) * interval '10 minutes' as started_at
from generate_series(0, 1999) as item (number);

insert into public.search_sessions (
    id,
    user_id,
    search_query,
    search_type,
    search_intent,
    user_context,
    results_count,
    results_shown,
    results_clicked,
    response_time_ms,
    cache_hit,
    api_cost_units,
    user_satisfaction_rating,
    session_outcome,
    session_started_at,
    session_ended_at,
    created_at,
    session_id
)
select
    search.id,
    search.person,
    known.keyword,
    case
        when search.number % 7 = 0 and search.number % 4 > 0 and search.number % 500 <> 1 then 'ai_chat'
        else 'keyword'
    end,
    (array['entertainment', 'education', 'mood_boost', 'trend_following', 'discovery'])[1 + search.number % 5],
    jsonb_build_object(
        'device_type', (array['mobile', 'desktop'])[1 + search.number % 2],
        'browser', 'sample',
        'location', 'KR',
        'time_of_day', 'evening',
        'weather', 'clear'
    ),
    15,
    10,
    search.number % 4,
    80 + search.number % 300,
    search.number % 3 = 0,
    case when search.number % 3 = 0 then 0 else 100 end,
    1 + search.number % 5,
    (array['satisfied', 'partial', 'abandoned'])[1 + search.number % 3],
    search.started_at,
    search.started_at + interval '6 minutes',
    search.started_at,
    search.visit
from sample_searches as search
inner join sample_keywords as known on known.number = search.number % 200
where
    not exists (
        select
        from public.search_sessions as stored
        where stored.id = search.id
    )
on conflict do nothing;

insert into public.user_session_details (
    id,
    user_id,
    session_id,
    device_type,
    device_os,
    app_version,
    connection_type,
    session_start,
    session_end,
    total_videos_watched,
    total_watch_time,
    avg_load_time_ms
)
select
    md5(format('sample visit %s %s', search.visit, search.person))::uuid,
    search.person,
    search.visit,
    'mobile',
    'sample',
    '1.0.0',
    'wifi',
    min(search.started_at),
    max(search.started_at) + interval '6 minutes',
    6 * count(*),
    180 * count(*),
    420
from sample_searches as search
group by
    search.visit,
    search.person
on conflict do nothing;

-- Else what follows is planned for tables without a row.
analyze sample_searches, public.cached_videos, public.search_sessions;

-- 20,000 interactions, ten to a search: six views, a like, a save, a share and a skip.
insert into public.video_interactions (
    id,
    user_id,
    video_id,
    session_id,
    session_started_at,
    interaction_type,
    watch_duration,
    watch_percentage,
    watched_to_end,
    clicked_thumbnail,
    total_duration,
    interaction_context,
    interaction_timestamp,
    created_at,
    updated_at
)
select
    wanted.id,
    session.user_id,
    video.video_id,
    session.id,
    session.session_started_at,
    (array['view', 'view', 'view', 'view', 'view', 'view', 'like', 'save', 'share', 'skip'])[wanted.place],
    watched.seconds,
    round(watched.seconds::numeric / video.duration, 2),
    watched.seconds = video.duration,
    true,
    video.duration,
    jsonb_build_object('source', 'search_results', 'position', wanted.place, 'recommendation_score', 0.5),
    session.session_started_at + wanted.place * interval '30 seconds',
    session.session_started_at + wanted.place * interval '30 seconds' + interval '2 seconds',
    session.session_started_at + wanted.place * interval '30 seconds' + interval '2 seconds'
from (
    select
        search.number,
        search.id as search_id,
        place.number as place,
        md5(format('sample interaction %s %s', search.number, place.number))::uuid as id
    from sample_searches as search
    cross join generate_series(1, 10) as place (number)
) as wanted
inner join public.search_sessions as session on session.id = wanted.search_id
inner join public.cached_videos as video
    on video.video_id = 'sample_' || lpad(((wanted.number * 37 + wanted.place * 101) % 1000)::text, 4, '0')
cross join lateral (
    select
        case
            when wanted.place = 10 then 2
            when wanted.place > 6 then 0
            else 1 + (wanted.number * 13 + wanted.place * 7) % video.duration
        end as seconds
) as watched
where
    not exists (
        select
        from public.video_interactions as stored
        where stored.id = wanted.id
    )
on conflict do nothing;

analyze public.video_interactions;

insert into public.watch_events (
    id,
    interaction_id,
    interaction_created_at,
    event_type,
    event_timestamp,
    video_timestamp
)
select
    wanted.id,
    interaction.id,
    interaction.created_at,
    wanted.event_type,
    interaction.interaction_timestamp,
    case when wanted.event_type = 'play' then 0 else interaction.watch_duration end
from (
    select
        md5(format('sample interaction %s 1', search.number))::uuid as interaction_id,
        event.event_type,
        md5(format('sample event %s %s', search.number, event.event_type))::uuid as id
    from sample_searches as search
    cross join unnest(array['play', 'end']) as event (event_type)
    where search.number % 4 = 0
) as wanted
inner join public.video_interactions as interaction on interaction.id = wanted.interaction_id
where
    not exists (
        select
        from public.watch_events as stored
        where stored.id = wanted.id
    )
on conflict do nothing;

insert into public.user_feedback (
    id,
    user_id,
    video_id,
    feedback_type,
    reason,
    source_keyword,
    position_in_list,
    created_at
)
select
    md5('sample feedback ' || item.number)::uuid,
    md5('sample person ' || (array['free', 'trial', 'premium', 'pro', 'enterprise'])[1 + item.number % 5])::uuid,
    'sample_' || lpad((item.number * 13 % 1000)::text, 4, '0'),
    (array['like', 'dislike', 'not_interested', 'report'])[1 + item.number % 4],
    (array[null, 'irrelevant', 'seen_too_many', 'quality'])[1 + item.number % 4],
    known.keyword,
    item.number % 10,
    now() - item.number * interval '1 hour'
from generate_series(0, 199) as item (number)
inner join sample_keywords as known on known.number = item.number
on conflict do nothing;

-- Last, so that what is loaded uses up nothing of the trial's day.
insert into public.user_tiers (user_id, tier, expires_at, source)
select
    md5('sample person ' || held.tier)::uuid,
    held.tier,
    now() + case when held.tier = 'trial' then interval '14 days' else interval '1 year' end,
    case when held.tier = 'trial' then 'trial' else 'purchase' end
from unnest(enum_range('trial'::public.tier_enum, null)) as held (tier)
on conflict do nothing;

drop table sample_searches, sample_keywords;
