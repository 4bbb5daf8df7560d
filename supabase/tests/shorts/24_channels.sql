-- Channels come in like videos do; their statistics follow their videos, and what scores need of them says when it moved.
begin;
select plan(25);
\ir ../outcome.psql

-- An empty house: nothing of the running stack is seen in here.
delete from public.video_interactions;
delete from public.cached_videos;
delete from public.cached_channels;

-- One batch, and the same again.
create temporary table batch as
select
    $$[
        {
            "channel_id": "UC1", "title": " 하나 ", "collected_at": "2026-01-02T00:00:00Z", "subscriber_count": 1000,
            "video_count": 520, "total_view_count": 90000, "content_language": "ko",
            "thumbnail_url": "https://example.com/1.jpg", "published_at": "2016-01-01T00:00:00Z"
        },
        {"channel_id": "UC2", "title": "only what is needed", "collected_at": "2026-01-02T00:00:00Z"},
        {"channel_id": "UC3", "title": "older", "collected_at": "2026-01-01T00:00:00Z", "video_count": 1},
        {"channel_id": "UC3", "title": "newer", "collected_at": "2026-01-02T00:00:00Z"}
    ]$$::jsonb as channels;
select is(
    (select public.ingest_channels(channels) from batch),
    '{"received": 4, "inserted": 3, "updated": 0, "unchanged": 1, "rejected": []}'::jsonb,
    'S-013: the first time all channels are new, one row was old news of another'
);
select results_eq(
    $$
        select
            channel_title::text, subscriber_count, video_count, total_view_count, content_language::text, thumbnail_url,
            published_at, collected_at, last_updated, trust_score, verified
        from public.cached_channels
        where channel_id = 'UC1'
    $$,
    $$
        values (
            '하나', 1000::bigint, 520, 90000::bigint, 'ko', 'https://example.com/1.jpg',
            '2016-01-01 00:00+00'::timestamptz, '2026-01-02 00:00+00'::timestamptz,
            '2026-01-02 00:00+00'::timestamptz, 0.50, false
        )
    $$,
    'S-051: a channel is stored with what the source said; nobody trusts it yet'
);
create temporary table places as
select
    channel.channel_id,
    channel.ctid::text as place
from public.cached_channels as channel;
select is(
    (select public.ingest_channels(channels) from batch),
    '{"received": 4, "inserted": 0, "updated": 0, "unchanged": 4, "rejected": []}'::jsonb,
    'a batch may be repeated'
);
select results_eq(
    'select channel_id::text, ctid::text from public.cached_channels order by channel_id',
    'select channel_id::text, place from places order by channel_id',
    'and writes nothing then'
);
select is(
    public.ingest_channels(
        '[{"channel_id": "UC1", "title": "past", "collected_at": "2026-01-01T00:00:00Z", "video_count": 1}]'
    ) - 'rejected',
    '{"received": 1, "inserted": 0, "updated": 0, "unchanged": 1}'::jsonb,
    'older news never overwrites newer'
);
select is(
    public.ingest_channels(
        '[{"channel_id": "UC1", "title": "둘", "collected_at": "2026-01-03T00:00:00Z", "subscriber_count": 1100}]'
    ) - 'rejected',
    '{"received": 1, "inserted": 0, "updated": 1, "unchanged": 0}'::jsonb,
    'newer news does'
);
select results_eq(
    $$
        select channel_title::text, subscriber_count, video_count, content_language::text
        from public.cached_channels
        where channel_id = 'UC1'
    $$,
    $$values ('둘', 1100::bigint, 520, 'ko')$$,
    'and what it leaves out keeps what is known'
);

-- A video names its channel before anything else is known of it.
select public.ingest_videos(
    '[{
        "video_id": "c4", "title": "t", "channel_id": "UC4", "channel_name": "from a video",
        "collected_at": "2026-02-02T00:00:00Z"
    }]'
);
select public.ingest_channels(
    '[{"channel_id": "UC4", "title": "before it", "collected_at": "2026-02-01T00:00:00Z", "video_count": 7}]'
);
select results_eq(
    $$
        select channel_title::text, video_count, collected_at, last_updated
        from public.cached_channels
        where channel_id = 'UC4'
    $$,
    $$
        values (
            'from a video', 7, '2026-02-01 00:00+00'::timestamptz, '2026-02-02 00:00+00'::timestamptz
        )
    $$,
    'S-013: what a video said of its channel does not hide what the channel says of itself; the newer name stays'
);

-- What is refused, each with its first problem.
select results_eq(
    $$
        select (refused ->> 'index')::integer, refused ->> 'code'
        from jsonb_array_elements(
            public.ingest_channels(
                '[
                    7,
                    {"channel_id": 5, "title": "t", "collected_at": "2026-01-01T00:00:00Z"},
                    {"channel_id": "no id!", "title": "t", "collected_at": "2026-01-01T00:00:00Z"},
                    {"channel_id": "UC9", "title": "  ", "collected_at": "2026-01-01T00:00:00Z"},
                    {"channel_id": "UC9", "title": "t"},
                    {"channel_id": "UC9", "title": "t", "collected_at": "yesterday"},
                    {"channel_id": "UC9", "title": "t", "collected_at": "2999-01-01T00:00:00Z"},
                    {"channel_id": "UC9", "title": "t", "collected_at": "2026-01-01T00:00:00Z", "published_at": "1999"},
                    {
                        "channel_id": "UC9", "title": "t", "collected_at": "2026-01-01T00:00:00Z",
                        "published_at": "1999-01-01T00:00:00Z"
                    },
                    {
                        "channel_id": "UC9", "title": "t", "collected_at": "2026-01-01T00:00:00Z",
                        "subscriber_count": -1
                    },
                    {"channel_id": "UC9", "title": "t", "collected_at": "2026-01-01T00:00:00Z", "video_count": 1.5},
                    {
                        "channel_id": "UC9", "title": "t", "collected_at": "2026-01-01T00:00:00Z",
                        "total_view_count": 1e40
                    },
                    {
                        "channel_id": "UC9", "title": "t", "collected_at": "2026-01-01T00:00:00Z",
                        "content_language": "한국어"
                    }
                ]'
            ) -> 'rejected'
        ) as refused
    $$,
    $$
        values
        (0, 'ON001'), (1, 'ON003'), (2, 'ON002'), (3, 'ON003'), (4, 'ON005'), (5, 'ON005'), (6, 'ON006'), (7, 'ON005'),
        (8, 'ON006'), (9, 'ON007'), (10, 'ON007'), (11, 'ON007'), (12, 'ON009')
    $$,
    'S-013: bad rows are named, each with its first problem'
);
select is(
    (
        select array_agg(refused ->> 'code')
        from jsonb_array_elements(
            public.ingest_channels(
                jsonb_build_array(
                    jsonb_build_object('channel_id', 'UC9', 'title', repeat('t', 201), 'collected_at', now()),
                    jsonb_build_object(
                        'channel_id', 'UC9', 'title', 't', 'collected_at', now(), 'thumbnail_url', repeat('u', 2001)
                    )
                )
            ) -> 'rejected'
        ) as refused
    ),
    array['ON004', 'ON004'],
    'S-013: so are texts that are too long'
);
select is(
    array[
        pg_temp.outcome('service_role', null, $$select public.ingest_channels('{}')$$),
        pg_temp.outcome(
            'service_role',
            null,
            'select public.ingest_channels(to_jsonb(array_fill(1, array[5001])))'
        )
    ],
    array['PT400 The batch is no JSON array.', 'PT413 The batch has more than 5000 rows.'],
    'S-013: no batch, and too much of one'
);
select is(
    array[
        pg_temp.outcome('anon', null, $$select public.ingest_channels('[]')$$),
        pg_temp.outcome('authenticated', '{}', $$select public.ingest_channels('[]')$$),
        pg_temp.outcome('service_role', null, $$select public.ingest_channels('[]')$$),
        pg_temp.outcome('service_role', null, 'select private.score_channels()'),
        pg_temp.outcome('authenticated', '{}', 'select from private.channel_statistics')
    ],
    array[
        '42501 permission denied for function ingest_channels',
        '42501 permission denied for function ingest_channels',
        '1 row',
        '42501 permission denied for function score_channels',
        '42501 permission denied for table channel_statistics'
    ],
    'S-013: channels are the service''s, the scoring is the job''s alone'
);

-- Statistics. UC5 has four videos that are known, one of them taken out once.
insert into public.cached_channels (channel_id, channel_title, video_count, published_at, subscriber_count)
values
('UC5', 'five', 1040, now() - interval '3652.5 days', 999999),
('UC6', 'six', null, null, null);
insert into public.cached_videos (
    video_id, title, channel_id, is_embeddable, privacy_status, view_count, like_count, comment_count, category_id,
    category_name, published_at, quality_score, times_taken_out
)
values
('d1', 't', 'UC5', true, 'public', 1000, 80, 20, 24, null, now() - interval '1 day', 0.4, 0),
('d2', 't', 'UC5', true, 'public', 1000, 80, 20, 24, null, now() - interval '2 days', 0.6, 0),
('d3', 't', 'UC5', true, 'public', 1000, 80, 20, 10, 'Music', now() - interval '200 days', null, 0),
('d4', 't', 'UC5', true, 'public', 1000, null, null, null, null, null, null, 1),
('d5', 't', 'UC6', null, null, null, null, null, null, null, now() - interval '1 day', null, 0);
select is(private.score_channels(1), '{"scored": 1, "changed": 1}'::jsonb, 'S-051: a batch is as large as is said');
select is(private.score_channels(5), '{"scored": 5, "changed": 2}'::jsonb, 'S-051: those that wait come next');
select results_eq(
    $$
        select
            channel_id::text, upload_frequency, avg_video_quality, primary_category::text, trust_score
        from public.cached_channels
        where channel_id in ('UC5', 'UC6')
        order by channel_id
    $$,
    $$
        values
        (
            'UC5', 1.99, 0.50, '24',
            private.channel_trust('3652.5 days', 999999, 3, 4, 1.0, 4)
        ),
        ('UC6', 0.08, null, null, 0.50)
    $$,
    'S-051: frequency, mean quality, most frequent category, trust; of a channel without figures nothing is invented'
);
select results_eq(
    $$
        select usual_engagement, evenness, scored_at, changed_at
        from private.channel_statistics
        where channel_id in ('UC5', 'UC6')
        order by channel_id
    $$,
    $$values (0.0825, 1.00, now(), now()), (0.0300, null, now(), now())$$,
    'S-124: what the scores of its videos need: hidden likes count nowhere'
);
select is(
    private.score_channels(),
    '{"scored": 6, "changed": 0}'::jsonb,
    'S-051: what changed within a minute is looked at once more, and nothing is written'
);
update private.channel_statistics
set
    scored_at = now() + interval '2 minutes',
    changed_at = now() - interval '1 day';
select is(
    private.score_channels(),
    '{"scored": 0, "changed": 0}'::jsonb,
    'S-051: channels whose videos did not change are left alone'
);
update private.channel_statistics
set scored_at = now() - interval '5 minutes'
where channel_id = 'UC5';
update public.cached_videos
set quality_score = 0.9
where video_id = 'd1';
select is(
    private.score_channels(),
    '{"scored": 1, "changed": 1}'::jsonb,
    'S-051: a video that changed brings its channel'
);
select results_eq(
    $$
        select statistic.changed_at < now(), channel.avg_video_quality
        from private.channel_statistics as statistic
        inner join public.cached_channels as channel on statistic.channel_id = channel.channel_id
        where statistic.channel_id = 'UC5'
    $$,
    $$values (true, 0.75)$$,
    'S-124: quality is no part of what its videos are scored by: scores never chase each other'
);
update public.cached_videos
set like_count = 880
where video_id = 'd1';
select private.score_channels();
select results_eq(
    $$select usual_engagement, changed_at from private.channel_statistics where channel_id = 'UC5'$$,
    $$values (0.2825, now())$$,
    'S-124: engagement is, and says when it moved'
);
update private.channel_statistics
set scored_at = now() - interval '8 days'
where channel_id = 'UC6';
update public.cached_videos
set updated_at = updated_at;
update private.channel_statistics
set scored_at = now() + interval '2 minutes'
where channel_id <> 'UC6';
select is(private.score_channels() -> 'scored', '1'::jsonb, 'S-051: once a week each is looked at: channels age');
update public.cached_channels
set published_at = now() - interval '10 days', video_count = 2147483647
where channel_id = 'UC6';
select private.score_channels();
select is(
    (select upload_frequency from public.cached_channels where channel_id = 'UC6'),
    99.99,
    'S-051: no channel uploads more often than the column holds'
);
delete from public.cached_videos
where channel_id = 'UC5';
delete from public.cached_channels
where channel_id = 'UC5';
select is_empty(
    $$select from private.channel_statistics where channel_id = 'UC5'$$,
    'S-051: statistics go with their channel'
);
select is(
    (
        select count(*)
        from pg_indexes
        where indexname in ('idx_channel_trust', 'idx_channel_category')
    ),
    2::bigint,
    'S-051: the trusted ones and those of a category are found by index'
);

select finish();
rollback;
