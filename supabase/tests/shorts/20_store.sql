-- A batch may be repeated and come in any order; nothing is doubled.
begin;
select plan(45);

-- An empty house: nothing of the running stack is seen in here.
delete from public.cached_videos;
delete from public.cached_channels;
delete from private.keyword_signals;

-- One batch with good rows, with what the source left out, and with the same video twice.
create temporary table batch as
select
    $$[
        {
            "video_id": "v1", "title": " 먹방 ASMR ", "description": "d", "channel_id": "UC1", "channel_name": "하나",
            "published_at": "2026-01-01T00:00:00Z", "duration_seconds": 59, "category_id": 24, "view_count": 5000,
            "like_count": 10, "comment_count": 2, "region": "KR", "is_playable": true,
            "collected_at": "2026-01-02T00:00:00Z",
            "keywords": [
                {"keyword": "먹방", "relevance": 0.9, "source": "youtube_api"},
                {"keyword": "  ＡＳＭＲ\tLive ", "relevance": 0.5}
            ]
        },
        {"video_id": "v2", "title": "only what is needed", "collected_at": "2026-01-02T00:00:00Z"},
        {"video_id": "v3", "title": "older", "collected_at": "2026-01-01T00:00:00Z"},
        {"video_id": "v3", "title": "newer", "collected_at": "2026-01-02T00:00:00Z"}
    ]$$::jsonb as videos;
select is(
    (select public.ingest_videos(videos) from batch),
    '{"received": 4, "inserted": 3, "updated": 0, "unchanged": 1, "rejected": []}'::jsonb,
    'the first time all videos are new, one row was old news of another'
);
select results_eq(
    $$
        select
            video_id::text, title, channel_id::text, channel_name::text, duration, category_id, view_count, like_count,
            comment_count, is_playable, is_shorts, published_at, collected_at, expires_at
        from public.cached_videos
        where video_id = 'v1'
    $$,
    $$
        values (
            'v1', '먹방 ASMR', 'UC1', '하나', 59, 24, 5000::bigint, 10, 2, true, true, '2026-01-01 00:00+00'::timestamptz,
            '2026-01-02 00:00+00'::timestamptz, '2026-01-09 00:00+00'::timestamptz
        )
    $$,
    'S-004: a video is stored with what the source said'
);
select is((select title from public.cached_videos where video_id = 'v3'), 'newer', 'the newest news wins');
select is((select is_playable from public.cached_videos where video_id = 'v2'), false, 'without flags nothing plays');
select results_eq(
    $$select channel_id::text, channel_title::text from public.cached_channels$$,
    $$values ('UC1', '하나')$$,
    'S-013: its channel is stored'
);
select results_eq(
    $$
        select keyword::text, video_id::text, relevance_score, mapping_source::text
        from public.keyword_video_mappings
        order by relevance_score
    $$,
    $$
        values
        ('asmr live', 'v1', 0.5::double precision, 'youtube_api'),
        ('먹방', 'v1', 0.9, 'youtube_api')
    $$,
    'S-006: its keywords are stored in one spelling'
);

-- Repeating. The places of the row versions show that nothing was written.
create temporary view places as
select 'video ' || ctid as place
from public.cached_videos
union all
select 'mapping ' || ctid
from public.keyword_video_mappings
union all
select 'channel ' || ctid
from public.cached_channels;
create temporary table places_before as
select place
from places;
select is(
    (select public.ingest_videos(videos) from batch),
    '{"received": 4, "inserted": 0, "updated": 0, "unchanged": 4, "rejected": []}'::jsonb,
    'the second time all is unchanged'
);
select set_eq(
    $$select place from places$$,
    $$select place from places_before$$,
    'and no row was written again'
);

-- Order of arrival.
select is(
    public.ingest_videos(
        '[{"video_id": "v1", "title": "late", "collected_at": "2026-01-01T23:59:59Z", "view_count": 1,
           "keywords": [{"keyword": "late", "relevance": 1}]}]'
    ),
    '{"received": 1, "inserted": 0, "updated": 0, "unchanged": 1, "rejected": []}'::jsonb,
    'older news never overwrites newer'
);
select is_empty(
    $$select from public.keyword_video_mappings where keyword = 'late'$$,
    'nor does it map keywords'
);
select is(
    public.ingest_videos('[{"video_id": "v1", "title": "new title", "collected_at": "2026-01-03T00:00:00Z"}]'),
    '{"received": 1, "inserted": 0, "updated": 1, "unchanged": 0, "rejected": []}'::jsonb,
    'newer news does overwrite'
);
select results_eq(
    $$select title, view_count, is_playable, expires_at from public.cached_videos where video_id = 'v1'$$,
    $$values ('new title', 5000::bigint, true, '2026-01-10 00:00+00'::timestamptz)$$,
    'what it left out keeps what is known'
);
select is(
    public.ingest_videos(
        '[{"video_id": "v1", "title": "new title", "collected_at": "2026-01-03T00:00:00Z",
           "keywords": [{"keyword": "먹방", "relevance": 0.1, "source": "ai_analysis"}]}]'
    ),
    '{"received": 1, "inserted": 0, "updated": 1, "unchanged": 0, "rejected": []}'::jsonb,
    'a changed mapping counts as an update of its video'
);
select is(
    public.ingest_videos(
        '[{"video_id": "v1", "title": "new title", "collected_at": "2026-01-03T00:00:00Z", "is_embeddable": false}]'
    ) -> 'updated',
    '1'::jsonb,
    'a flag alone is news too'
);
select is((select is_playable from public.cached_videos where video_id = 'v1'), false, 'and takes the video off');

-- What a source says beside the counts, and what an empty value means.
create function pg_temp.say(fields jsonb, video_id text default 'said')
returns text
language sql
as $$
    select
        case
            when answer -> 'inserted' = '1' then 'new'
            when answer -> 'updated' = '1' then 'changed'
            when answer -> 'unchanged' = '1' then 'same'
            else answer ->> 'rejected'
        end
    from public.ingest_videos(
        jsonb_build_array(
            jsonb_build_object('video_id', video_id, 'title', 'said', 'collected_at', '2026-01-01T00:00:00Z') || fields
        )
    ) as answer
$$;
select is(
    pg_temp.say(
        '{"live_broadcast": "live", "tags": ["먹방", "asmr"], "thumbnail_url": "https://i.ytimg.com/a.jpg",
          "region_restrictions": {"blocked": ["KR"]}, "description": "d", "is_embeddable": true,
          "privacy_status": "public", "upload_status": "processed",
          "keywords": [{"keyword": "k", "relevance": 0.5, "rank": 3}, {"keyword": "tiny", "relevance": 1e-400}]}'
    ),
    'new',
    'all the new keys are taken'
);
select results_eq(
    $$
        select live_broadcast::text, tags, thumbnail_url, region_restrictions, is_playable
        from public.cached_videos
        where video_id = 'said'
    $$,
    $$values ('live', array['먹방', 'asmr'], 'https://i.ytimg.com/a.jpg', '{"blocked": ["KR"]}'::jsonb, true)$$,
    'and stored'
);
select results_eq(
    $$
        select keyword::text, search_rank, rank_position
        from public.keyword_video_mappings
        where video_id = 'said'
        order by keyword
    $$,
    $$values ('k', 3, 3), ('tiny', null, null)$$,
    'a keyword with its place in the source''s answer'
);
select is(pg_temp.say('{}'), 'same', 'what is left out is no news');
select is(
    pg_temp.say('{"keywords": [{"keyword": "k", "relevance": 0.5}]}'),
    'same',
    'nor is a mention without a place'
);
select is(pg_temp.say('{"keywords": [{"keyword": "k", "relevance": 0.7}]}'), 'changed', 'another relevance is');
select is(
    (select search_rank from public.keyword_video_mappings where video_id = 'said' and keyword = 'k'),
    3,
    'which leaves the place as it was'
);
select is(
    pg_temp.say('{"keywords": [{"keyword": "k", "relevance": 0.7, "rank": 1}]}'),
    'changed',
    'a new place is news too'
);
select is(
    pg_temp.say('{"collected_at": "2026-01-02T00:00:00Z"}'),
    'changed',
    'newer news that says nothing of regions, tags, description'
);
select results_eq(
    $$select region_restrictions, tags, description from public.cached_videos where video_id = 'said'$$,
    $$values ('{"blocked": ["KR"]}'::jsonb, array['먹방', 'asmr'], 'd')$$,
    'keeps them'
);
select is(
    pg_temp.say('{"collected_at": "2026-01-02T00:00:00Z", "region_restrictions": {}, "tags": [], "description": ""}'),
    'changed',
    'the same moment, but said to be empty'
);
select results_eq(
    $$select region_restrictions, tags, description from public.cached_videos where video_id = 'said'$$,
    $$values ('{}'::jsonb, array[]::text[], '')$$,
    'clears them'
);
select is(
    pg_temp.say('{"collected_at": "2026-01-02T00:00:00Z", "region_restrictions": {}, "tags": [], "description": ""}'),
    'same',
    'once'
);

-- What the terms had deleted and a source says again.
update public.cached_videos
set
    title = 'purged',
    description = null,
    purged_at = now()
where video_id = 'said';
select is(
    pg_temp.say('{"collected_at": "2026-01-01T00:00:00Z"}'),
    'same',
    'a purged video does not come back by older news'
);
select is(pg_temp.say('{"collected_at": "2026-01-03T00:00:00Z"}'), 'changed', 'but by newer');
select results_eq(
    $$select title, purged_at from public.cached_videos where video_id = 'said'$$,
    $$values ('said', null::timestamptz)$$,
    'and is whole again'
);

-- Signals.
create temporary table signals as
select
    $$[
        {"keyword": "먹방", "region": "KR", "bucket": "2026-01-02T03:45:06Z", "source": "youtube_api", "mentions": 3},
        {"keyword": " 먹방 ", "region": "KR", "bucket": "2026-01-02T03:00:00Z", "source": "youtube_api", "mentions": 4, "views": 9},
        {"keyword": "먹방", "region": "US", "bucket": "2026-01-02T12:45:00+09:00", "source": "youtube_api", "mentions": 0},
        {"keyword": "k", "region": "KR", "bucket": "2026-01-02T03:00:00Z", "source": "hearsay", "mentions": 1},
        {"keyword": "k", "region": "KR", "bucket": "2026-01-02T03:00:00Z", "source": "internal", "mentions": -1},
        {"keyword": "k", "region": "XX", "bucket": "2026-01-02T03:00:00Z", "source": "internal", "mentions": 1},
        {"keyword": "", "region": "KR", "bucket": "2026-01-02T03:00:00Z", "source": "internal", "mentions": 1},
        {"keyword": "k", "region": "KR", "bucket": "now", "source": "internal", "mentions": 1},
        "k"
    ]$$::jsonb as signals;
select is(
    (select public.ingest_keyword_signals(signals) - 'rejected' from signals),
    '{"received": 9, "inserted": 2, "updated": 0, "unchanged": 1}'::jsonb,
    'signals: counted'
);
select is(
    (
        select
            jsonb_path_query_array(public.ingest_keyword_signals(signals), '$.rejected[*].code')
            || jsonb_path_query_array(public.ingest_keyword_signals(signals), '$.rejected[*].index')
        from signals
    ),
    '["ON009", "ON007", "ON008", "ON003", "ON005", "ON001", 3, 4, 5, 6, 7, 8]'::jsonb,
    'signals: each bad one is named by code and index'
);
select results_eq(
    $$
        select keyword::text, region_code::text, bucket, mentions, views
        from private.keyword_signals
        order by region_code
    $$,
    $$
        values
        ('먹방', 'KR', '2026-01-02 03:00+00'::timestamptz, 4, 9::bigint),
        ('먹방', 'US', '2026-01-02 03:00+00', 0, null)
    $$,
    'signals: an hour''s count is set, in UTC, by the last one of the batch'
);
select is(
    (select public.ingest_keyword_signals(signals) - 'rejected' from signals),
    '{"received": 9, "inserted": 0, "updated": 0, "unchanged": 3}'::jsonb,
    'signals: repeating changes nothing'
);
select is(
    public.ingest_keyword_signals(
        '[{"keyword": "먹방", "region": "KR", "bucket": "2026-01-02T03:00:00Z", "source": "youtube_api", "mentions": 5}]'
    ) - 'rejected',
    '{"received": 1, "inserted": 0, "updated": 1, "unchanged": 0}'::jsonb,
    'signals: a later count replaces, it does not add'
);
select is((select mentions from private.keyword_signals where region_code = 'KR'), 5, 'signals: it is 5, not 9');

-- Many counts of an hour in one element.
create temporary table many as
select
    $$[
        {"region": "JP", "bucket": "2026-01-02T03:00:00Z", "source": "youtube_api",
         "keywords": ["a", " B ", "", "c", "a", "d"], "mentions": [1, 2, 3, -4, 5, 6], "views": [10, null, 30, 40, 50, 60]},
        {"region": "JP", "bucket": "2026-01-02T04:00:00Z", "source": "youtube_api", "keywords": ["a"], "mentions": [7]},
        {"region": "JP", "bucket": "2026-01-02T04:00:00Z", "source": "youtube_api", "keywords": ["a", "b"], "mentions": [7]},
        {"region": "JP", "bucket": "2026-01-02T04:00:00Z", "source": "youtube_api", "keywords": "a", "mentions": [7]},
        {"region": "JP", "bucket": "2026-01-02T04:00:00Z", "source": "youtube_api", "keywords": [7], "mentions": [7]},
        {"region": "XX", "bucket": "2026-01-02T04:00:00Z", "source": "youtube_api", "keywords": ["a"], "mentions": [7]},
        {"region": "JP", "bucket": "2026-01-02T05:00:00Z", "source": "youtube_api", "keyword": "a", "mentions": 7}
    ]$$::jsonb as signals;
select is(
    (select public.ingest_keyword_signals(signals) #- '{rejected}' from many),
    '{"received": 12, "inserted": 5, "updated": 0, "unchanged": 1}'::jsonb,
    'many: each is counted'
);
select is(
    (
        select
            jsonb_path_query_array(answer, '$.rejected[*].index')
            || jsonb_path_query_array(answer, '$.rejected[*].item')
            || jsonb_path_query_array(answer, '$.rejected[*].code')
        from many
        cross join public.ingest_keyword_signals(many.signals) as answer
    ),
    '[0, 0, 2, 3, 4, 5, 2, 3, "ON003", "ON007", "ON010", "ON010", "ON010", "ON008"]'::jsonb,
    'many: a bad one is named by its place in the element, a bad element by itself'
);
select results_eq(
    $$
        select keyword::text, extract(hour from bucket at time zone 'UTC')::integer, mentions, views
        from private.keyword_signals
        where region_code = 'JP'
        order by bucket, keyword
    $$,
    $$values ('a', 3, 5, 50::bigint), ('b', 3, 2, null), ('d', 3, 6, 60), ('a', 4, 7, null), ('a', 5, 7, null)$$,
    'many: stored as if each had come alone, the last of a keyword wins'
);
select is(
    (select public.ingest_keyword_signals(signals) #- '{rejected}' from many),
    '{"received": 12, "inserted": 0, "updated": 0, "unchanged": 6}'::jsonb,
    'many: repeating changes nothing'
);
select is(
    public.ingest_keyword_signals(
        '[{"region": "JP", "bucket": "2026-01-02T03:59:00Z", "source": "youtube_api", "keywords": ["a", "e", "d"],
           "mentions": [5, 1, 9]}]'
    ),
    '{"received": 3, "inserted": 1, "updated": 1, "unchanged": 1, "rejected": []}'::jsonb,
    'many: new, changed and known ones in one element'
);
select results_eq(
    $$
        select keyword::text, mentions, views
        from private.keyword_signals
        where region_code = 'JP' and bucket = '2026-01-02 03:00+00'
        order by keyword
    $$,
    $$values ('a', 5, 50::bigint), ('b', 2, null), ('d', 9, 60), ('e', 1, null)$$,
    'many: views that are not said are kept'
);
select is(
    public.ingest_keyword_signals('[{"keywords": {"a": 1}}, {"keywords": [], "mentions": []}, {"keywords": null}]')
    #> '{rejected}' @? '$[2] ? (@.index == 2)',
    true,
    'many: what is none is refused, never an error'
);
select throws_ok(
    $$
        select public.ingest_keyword_signals(
            jsonb_build_array(
                jsonb_build_object('keywords', (select jsonb_agg('k'::text) from generate_series(1, 50001)))
            )
        )
    $$,
    'PT413',
    'The batch has more than 50000 counts.',
    'many: too many'
);

select finish();
rollback;
