-- The tables refuse what cannot be true and compute what follows.
begin;
select plan(24);

-- An empty house: nothing of the running stack is seen in here.
delete from public.cached_videos;

select columns_are(
    'public',
    'cached_channels',
    array[
        'id', 'channel_id', 'channel_title', 'subscriber_count', 'video_count', 'total_view_count', 'primary_category',
        'content_language', 'upload_frequency', 'avg_video_quality', 'verified', 'trust_score', 'last_updated'
    ],
    'S-051: cached_channels has the ledger''s columns'
);
select is_empty(
    $$
        select wanted
        from unnest(array[
            'id', 'video_id', 'title', 'description', 'channel_id', 'channel_name', 'duration', 'view_count', 'like_count',
            'comment_count', 'is_playable', 'is_embeddable', 'region_restrictions', 'privacy_status', 'thumbnail_url',
            'channel_thumbnail_url', 'category_id', 'category_name', 'tags', 'cache_hit_count', 'last_accessed_at',
            'cached_at', 'expires_at', 'created_at', 'updated_at', 'ai_analysis', 'published_at', 'is_shorts', 'quality_score'
        ]) as wanted
        except
        select column_name::text
        from information_schema.columns
        where table_schema = 'public' and table_name = 'cached_videos'
    $$,
    'S-030, S-031: cached_videos has the ledger''s columns'
);
select is_empty(
    $$
        select wanted
        from unnest(array[
            'id', 'keyword', 'video_id', 'relevance_score', 'search_rank', 'mapping_source', 'confidence_level',
            'click_through_rate', 'user_satisfaction_score', 'created_at', 'updated_at', 'rank_position', 'source',
            'click_count'
        ]) as wanted
        except
        select column_name::text
        from information_schema.columns
        where table_schema = 'public' and table_name = 'keyword_video_mappings'
    $$,
    'S-036, S-037: keyword_video_mappings has the ledger''s columns'
);
select is_empty(
    $$
        select wanted
        from unnest(array[
            'id', 'keyword', 'trend_score', 'search_volume', 'growth_rate', 'velocity', 'category', 'subcategory',
            'related_keywords', 'data_source', 'source_confidence', 'predicted_peak_time', 'predicted_duration',
            'regional_popularity', 'hourly_trend_data', 'daily_trend_data', 'detected_at', 'expires_at', 'created_at',
            'updated_at', 'time_slot', 'day_of_week', 'valid_from', 'valid_until', 'source'
        ]) as wanted
        except
        select column_name::text
        from information_schema.columns
        where table_schema = 'public' and table_name = 'trending_keywords'
    $$,
    'S-038, S-039: trending_keywords has the ledger''s columns'
);

insert into public.cached_videos (video_id, title, duration)
values
('a45', '45 s', 45),
('a180', '180 s', 180),
('a181', '181 s', 181),
('a0', 'live', 0),
('anull', 'unknown', null);
select set_eq(
    $$select video_id::text from public.cached_videos where is_shorts and video_id like 'a%'$$,
    array['a45', 'a180'],
    'S-031: a Short lasts from 1 to 180 s'
);
select is(
    (select expires_at from public.cached_videos where video_id = 'a45'),
    now() + interval '7 days',
    'S-207: a cached video is good for 7 days'
);
select is(
    (select is_playable from public.cached_videos where video_id = 'a45'),
    false,
    'what is unknown does not play'
);

insert into public.cached_videos (
    video_id, title, is_embeddable, privacy_status, upload_status, is_age_restricted, player_error_code
)
values
('p1', 'plays', true, 'public', null, null, null),
('p2', 'plays', true, 'unlisted', 'processed', false, null),
('n1', 'no embedding', false, 'public', 'processed', false, null),
('n2', 'private', true, 'private', 'processed', false, null),
('n3', 'failed', true, 'public', 'failed', false, null),
('n4', 'adults only', true, 'public', 'processed', true, null),
('n5', 'players say 150', true, 'public', 'processed', false, 150),
('n6', 'unknown', null, null, null, null, null);
select set_eq(
    $$select video_id::text from public.cached_videos where is_playable and video_id ~ '^[pn][0-9]'$$,
    array['p1', 'p2'],
    'is_playable is computed from embedding, privacy, upload, age and the players'' errors'
);
select throws_ok(
    $$update public.cached_videos set is_playable = true$$,
    '428C9',
    null,
    'and cannot be claimed'
);

select throws_ok(
    $$insert into public.cached_videos (video_id, title) values ('a45', 'again')$$,
    '23505',
    null,
    'S-004: a video is cached once'
);
select throws_ok(
    $$insert into public.cached_videos (video_id, title, privacy_status) values ('x', 'x', 'secret')$$,
    '23514',
    null,
    'S-064: an unknown privacy_status is refused'
);
select throws_ok(
    $$insert into public.cached_videos (video_id, title, view_count) values ('x', 'x', -1)$$,
    '23514',
    null,
    'a negative count is refused'
);
select throws_ok(
    $$insert into public.cached_videos (video_id, title) values ('<script>', 'x')$$,
    '23514',
    null,
    'an id that is none is refused'
);
select throws_ok(
    $$insert into public.keyword_video_mappings (keyword, video_id, mapping_source) values ('k', 'a45', 'hearsay')$$,
    '23514',
    null,
    'S-065: an unknown mapping_source is refused'
);
select throws_ok(
    $$insert into public.keyword_video_mappings (keyword, video_id) values ('k', 'nowhere')$$,
    '23503',
    null,
    'a mapping needs its video'
);
insert into public.keyword_video_mappings (keyword, video_id, search_rank)
values ('k', 'a45', 3);
select results_eq(
    $$select rank_position, source::text from public.keyword_video_mappings where keyword = 'k' and video_id = 'a45'$$,
    $$values (3, 'youtube_api')$$,
    'S-037: rank_position and source repeat search_rank and mapping_source'
);
delete from public.cached_videos
where video_id = 'a45';
select is_empty(
    $$select from public.keyword_video_mappings where keyword = 'k' and video_id = 'a45'$$,
    'S-006: a mapping goes with its video'
);

insert into public.trending_keywords (keyword, detected_at, expires_at)
values ('table test', '2025-06-02 08:00+09', '2025-06-02 12:00+09');
select results_eq(
    $$
        select
            time_slot,
            day_of_week,
            valid_from = detected_at and valid_until = expires_at,
            source::text,
            regional_popularity
        from public.trending_keywords
        where keyword = 'table test'
    $$,
    $$
        values
        ('morning', 1::smallint, true, 'internal', '{"KR": 0.0, "US": 0.0, "JP": 0.0, "global": 0.0}'::jsonb)
    $$,
    'S-039, S-040: the aliases, the Korean time slot, and four regions'
);
select throws_ok(
    $$insert into public.trending_keywords (keyword, trend_score) values ('x', 1.01)$$,
    '23514',
    null,
    'a score above 1 is refused'
);
select throws_ok(
    $$insert into public.trending_keywords (keyword, data_source) values ('x', 'hearsay')$$,
    '23514',
    null,
    'S-066: an unknown data_source is refused'
);
select throws_ok(
    $$insert into public.trending_keywords (keyword) values ('table test')$$,
    '23505',
    null,
    'a keyword has one open trend per region and source'
);
update public.trending_keywords
set closed_at = expires_at
where keyword = 'table test';
insert into public.trending_keywords (keyword)
values ('table test');
select is(
    (select expires_at - detected_at from public.trending_keywords where keyword = 'table test' and closed_at is null),
    interval '4 hours',
    'S-208: after it is closed there may be another, good for 4 hours'
);
select throws_ok(
    $$
        insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
        values ('KR', 'internal', '2026-01-01 10:30+00', 'x', 1)
    $$,
    '23514',
    null,
    'a signal is for a full hour'
);
select is(
    (select private.shorts_limit_seconds()),
    180,
    'the limit of a Short is written in one place'
);

select finish();
rollback;
