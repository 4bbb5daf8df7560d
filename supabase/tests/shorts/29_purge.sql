-- After 30 days what YouTube's API said is gone, unless it was said again. Ids stay, and what people did.
begin;
\ir ../outcome.psql
select plan(31);

delete from public.video_interactions;
delete from public.user_feedback;
delete from public.cached_videos;
delete from public.cached_channels;
update private.keyword_signals
set views = null
where views is not null;
insert into auth.users (id, email)
values ('11111111-1111-4111-8111-111111111111', 'one@example.com');

insert into public.cached_channels (
    channel_id, channel_title, subscriber_count, video_count, total_view_count, upload_frequency, last_updated
)
values
('young', 'young', 1, 1, 1, 1, now() - interval '29 days'),
('oldWithVideo', 'old with a video', 1, 1, 1, 1, now() - interval '31 days'),
('oldAlone', 'old and alone', 1, 1, 1, 1, now() - interval '31 days'),
('oldLastVideo', 'old, its last video goes', null, null, null, null, now() - interval '31 days');
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
    region_restrictions,
    privacy_status,
    thumbnail_url,
    channel_thumbnail_url,
    category_id,
    category_name,
    tags,
    ai_analysis,
    published_at,
    quality_score,
    upload_status,
    is_age_restricted,
    live_broadcast,
    cache_hit_count,
    collected_at,
    cached_at
)
select
    planted.video_id,
    'a title',
    'a description',
    planted.channel_id,
    'a channel',
    30,
    5000,
    6,
    7,
    true,
    '{"blocked": ["DE"]}',
    'public',
    'https://i.ytimg.com/vi/x/default.jpg',
    'https://i.ytimg.com/x.jpg',
    10,
    'Music',
    array['tag'],
    '{"categories": [], "keywords": [], "emotions": {}}',
    now() - interval '1 year',
    0.5,
    'processed',
    false,
    'none',
    9,
    now() - planted.age,
    now() - planted.age
from (
    values
    ('at29days', 'young', interval '29 days'),
    ('atTheDay', 'oldWithVideo', interval '30 days'),
    ('unused', 'oldLastVideo', interval '31 days'),
    ('watched', 'oldLastVideo', interval '31 days'),
    ('judged', 'oldLastVideo', interval '31 days'),
    ('reported', 'oldLastVideo', interval '31 days')
) as planted (video_id, channel_id, age);
insert into public.keyword_video_mappings (keyword, video_id)
select
    'a word',
    video.video_id
from public.cached_videos as video;
insert into public.video_quality_scores (video_id, content_quality_score)
select
    video.video_id,
    0.5
from public.cached_videos as video;
insert into public.video_interactions (user_id, video_id, interaction_type)
values ('11111111-1111-4111-8111-111111111111', 'watched', 'view');
insert into public.user_feedback (user_id, video_id, feedback_type)
values ('11111111-1111-4111-8111-111111111111', 'judged', 'like');
insert into private.playback_errors (video_id, user_id, reported_on, error_code)
values ('reported', '11111111-1111-4111-8111-111111111111', current_date, 150);
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions, views)
values
('KR', 'youtube_api', date_trunc('hour', now() - interval '31 days', 'UTC'), 'purge old', 5, 100),
('KR', 'bright_data', date_trunc('hour', now() - interval '31 days', 'UTC'), 'purge old', 5, 100),
('KR', 'internal', date_trunc('hour', now() - interval '31 days', 'UTC'), 'purge old', 5, 100),
('KR', 'youtube_api', date_trunc('hour', now() - interval '29 days', 'UTC'), 'purge old', 5, 100);

select is(private.longest_api_data(), interval '30 days', 'S-216: the terms give 30 days');
select is(
    (
        select array[is_healthy::text, detail]
        from private.api_data_health(now())
    ),
    array['false', 'Older than 30 days and still there: 4 videos, 0 channels, views of 0 signals.'],
    'S-216: what should have gone a night ago is a warning'
);
select is(
    (
        select detail
        from private.api_data_health(now() + interval '2 hours')
    ),
    'Older than 30 days and still there: 5 videos, 2 channels, views of 2 signals.',
    'S-216: channels and signals too'
);
select is(
    (
        select is_healthy
        from private.health_checks(now())
        where check_name = 'api_data'
    ),
    false,
    'S-216: the watchdog asks'
);

select is(
    (
        select sum(kind.amount::integer)
        from jsonb_each_text(private.purge_videos(now() - interval '30 days', 1)) as kind (name, amount)
    ),
    1::bigint,
    'S-216: a batch of one is one'
);
select is(
    private.purge_api_data(),
    jsonb_build_object(
        'videos_deleted', (
            select count(*)
            from public.cached_videos
            where video_id = 'unused'
        ),
        'videos_emptied', (
            select count(*)
            from public.cached_videos
            where
                video_id in ('watched', 'judged', 'reported')
                and purged_at is null
        ),
        'channels_deleted', 2,
        'channels_emptied', 1,
        'signals_emptied', 2
    ),
    'S-216: the next takes the rest, and tells'
);
select is(
    private.purge_api_data(),
    '{
        "videos_deleted": 0, "videos_emptied": 0, "channels_deleted": 0, "channels_emptied": 0, "signals_emptied": 0
    }',
    'S-216: once more finds nothing'
);
select is(
    (
        select array_agg(video.video_id::text order by video.video_id)
        from public.cached_videos as video
        where video.purged_at is null
    ),
    array['at29days', 'atTheDay'],
    'S-216: 30 days to the moment are not more than 30 days'
);
select is(
    (
        select array_agg(video.video_id::text order by video.video_id)
        from public.cached_videos as video
        where video.purged_at = now()
    ),
    array['judged', 'reported', 'watched'],
    'S-216: what people refer to leaves its id, what nobody does leaves nothing'
);
select is(
    (
        select jsonb_agg(distinct jsonb_strip_nulls(to_jsonb(video.*)) - array['id', 'video_id', 'title'])
        from public.cached_videos as video
        where video.purged_at is not null
    ),
    (
        select
            jsonb_build_array(
                jsonb_build_object(
                    'is_embeddable', false,
                    'region_restrictions', '{}'::jsonb,
                    'privacy_status', 'private',
                    'is_playable', false,
                    'is_shorts', false,
                    'times_taken_out', 0,
                    'cache_hit_count', 9,
                    'last_accessed_at', video.last_accessed_at,
                    'cached_at', video.cached_at,
                    'expires_at', video.expires_at,
                    'created_at', video.created_at,
                    'updated_at', video.updated_at,
                    'collected_at', video.collected_at,
                    'purged_at', now()
                )
            )
        from public.cached_videos as video
        where video.video_id = 'watched'
    ),
    'S-216: and nothing of what the API said'
);
select is(
    (
        select bool_and(video.title = video.video_id)
        from public.cached_videos as video
        where video.purged_at is not null
    ),
    true,
    'S-216: the title is the id, since there has to be one'
);
select results_eq(
    $$select video_id::text from public.keyword_video_mappings where keyword = 'a word' order by video_id$$,
    $$values ('at29days'), ('atTheDay')$$,
    'S-216: keywords of titles go with the titles'
);
select results_eq(
    $$select video_id::text from public.video_quality_scores order by video_id$$,
    $$values ('at29days'), ('atTheDay')$$,
    'S-216: so do scores'
);
select is(
    (select count(*) from public.video_interactions where video_id = 'watched')
    + (select count(*) from public.user_feedback where video_id = 'judged')
    + (select count(*) from private.playback_errors where video_id = 'reported'),
    3::bigint,
    'S-216: what people did stays'
);
select results_eq(
    $$
        select
            channel_id::text,
            subscriber_count,
            video_count,
            total_view_count,
            upload_frequency
        from public.cached_channels
        order by channel_id
    $$,
    $$
        values
        ('oldWithVideo', null::bigint, null::integer, null::bigint, null::numeric),
        ('young', 1, 1, 1, 1)
    $$,
    'S-216: old channels without a video go, with their last video too; others lose their statistics'
);
select results_eq(
    $$
        select
            data_source::text,
            bucket > now() - interval '30 days',
            mentions,
            views
        from private.keyword_signals
        where keyword = 'purge old'
        order by
            1,
            2
    $$,
    $$
        values
        ('bright_data', false, 5, null::bigint),
        ('internal', false, 5, 100),
        ('youtube_api', false, 5, null),
        ('youtube_api', true, 5, 100)
    $$,
    'S-216: views of an API go after 30 days; our own counts stay'
);
select is(
    (
        select array[is_healthy::text, detail, coalesce(hint, 'no hint')]
        from private.health_checks(now())
        where check_name = 'api_data'
    ),
    array['true', 'Nothing of YouTube''s API is older than 30 days.', 'no hint'],
    'S-216: then all is well'
);

-- What is emptied is not shown.
select is(
    pg_temp.outcome(
        'authenticated',
        '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}',
        $$select from public.cached_videos where video_id in ('watched', 'judged', 'reported')$$
    ),
    '0 rows',
    'S-216: people do not see it'
);
select is(
    pg_temp.outcome('anon', null, $$select from public.cached_videos where video_id in ('watched', 'judged')$$),
    '0 rows',
    'S-216: nor do visitors'
);
select is(
    pg_temp.outcome(
        'authenticated',
        '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}',
        $$
            select
            from public.video_interactions as interaction
            left join public.cached_videos as video on interaction.video_id = video.video_id
            where
                interaction.video_id = 'watched'
                and video.title is null
        $$
    ),
    '1 row',
    'S-216: the own history has the id, and no title'
);

-- It becomes whole when a source speaks of it again.
select is(
    public.ingest_videos(
        jsonb_build_array(
            jsonb_build_object(
                'video_id', 'watched', 'title', 'here again', 'channel_id', 'young', 'is_playable', true,
                'view_count', 5001, 'collected_at', now()
            )
        )
    ) -> 'updated',
    '1'::jsonb,
    'S-216: a purged video is ingested'
);
select results_eq(
    $$
        select
            title,
            view_count,
            is_playable,
            purged_at
        from public.cached_videos
        where video_id = 'watched'
    $$,
    $$values ('here again', 5001::bigint, true, null::timestamptz)$$,
    'S-216: and is whole'
);
select is(
    private.purge_api_data() -> 'videos_emptied', '0'::jsonb, 'S-216: it is not purged for what it was'
);
select is(
    public.ingest_videos(
        jsonb_build_array(
            jsonb_build_object(
                'video_id', 'judged', 'title', 'from an old file', 'is_playable', true,
                'collected_at', now() - interval '31 days'
            )
        )
    ) -> 'updated',
    '1'::jsonb,
    'S-216: the same news from a file'
);
select is(
    private.purge_api_data() -> 'videos_emptied', '1'::jsonb, 'S-216: is as old as it says, and goes again'
);
update public.cached_videos
set
    player_error_code = 150,
    collected_at = now()
where video_id = 'judged';
select is(
    (select purged_at is not null from public.cached_videos where video_id = 'judged'),
    true,
    'S-216: that it is still gone is no news of what it was'
);

-- What the night's run is given: the moment of the next night, so that nothing gets older than 30 days in between.
insert into public.cached_videos (video_id, title, collected_at)
values ('turns30', 'before the next night', now() - interval '29 days 12 hours');
select is(
    private.purge_api_data() -> 'videos_deleted', '0'::jsonb, 'S-216: what is younger than 30 days stays'
);
select is(
    private.purge_api_data(at => now() + interval '1 day') -> 'videos_deleted',
    '2'::jsonb,
    'S-216: what would be older before the next night goes with this one'
);
select is(
    (select count(*) from public.cached_videos where video_id in ('turns30', 'atTheDay')),
    0::bigint,
    'S-216: those two'
);
select is(
    (select count(*) from public.cached_videos where video_id = 'at29days'),
    0::bigint + 1,
    'S-216: and not what is 29 days old'
);
select ok(
    not has_function_privilege('authenticated', 'private.purge_api_data(integer, timestamptz)', 'execute')
    and not has_function_privilege('anon', 'private.purge_api_data(integer, timestamptz)', 'execute'),
    'S-216: nobody but the schedule purges'
);

select finish();
rollback;
