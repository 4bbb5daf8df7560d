-- The tables refuse what cannot be true and compute what follows.
begin;
\ir ../model.psql
select plan(51);

-- An empty house: nothing of the running stack is seen in here.
delete from public.video_interactions;
delete from public.user_feedback;
delete from public.cached_videos;
delete from public.trending_keywords;

select results_eq(
    $$
        select pg_temp.columns_of('public.cached_channels', array[
            'id', 'channel_id', 'channel_title', 'subscriber_count', 'video_count', 'total_view_count',
            'primary_category', 'content_language', 'upload_frequency', 'avg_video_quality', 'verified',
            'trust_score', 'last_updated'
        ])
    $$,
    array[
        'id uuid not null default gen_random_uuid()',
        'channel_id varchar(50) not null',
        'channel_title varchar(200) not null',
        'subscriber_count bigint',
        'video_count integer',
        'total_view_count bigint',
        'primary_category varchar(50)',
        'content_language varchar(10)',
        'upload_frequency numeric(4,2)',
        'avg_video_quality numeric(3,2)',
        'verified boolean not null default false',
        'trust_score numeric(3,2) not null default 0.5',
        'last_updated timestamptz not null default now()'
    ],
    'S-051: cached_channels has the ledger''s columns, types and defaults'
);
select results_eq(
    $$
        select pg_temp.columns_of('public.cached_videos', array[
            'id', 'video_id', 'title', 'description', 'channel_id', 'channel_name', 'duration', 'view_count',
            'like_count', 'comment_count', 'is_playable', 'is_embeddable', 'region_restrictions', 'privacy_status',
            'thumbnail_url', 'channel_thumbnail_url', 'category_id', 'category_name', 'tags', 'cache_hit_count',
            'last_accessed_at', 'cached_at', 'expires_at', 'created_at', 'updated_at'
        ])
    $$,
    array[
        'id uuid not null default gen_random_uuid()',
        'video_id varchar(20) not null',
        'title text not null',
        'description text',
        'channel_id varchar(50)',
        'channel_name varchar(255)',
        'duration integer',
        'view_count bigint',
        'like_count integer',
        'comment_count integer',
        'is_playable boolean not null generated private.plays_everywhere(is_embeddable, (privacy_status)::text, '
        || '(upload_status)::text, is_age_restricted, player_error_code, (live_broadcast)::text)',
        'is_embeddable boolean default false',
        'region_restrictions jsonb not null default {}',
        'privacy_status varchar(20) default ''private''::character varying',
        'thumbnail_url text',
        'channel_thumbnail_url text',
        'category_id integer',
        'category_name varchar(100)',
        'tags text[]',
        'cache_hit_count integer not null default 0',
        'last_accessed_at timestamptz default now()',
        'cached_at timestamptz not null default now()',
        'expires_at timestamptz not null default (now() + ''7 days''::interval)',
        'created_at timestamptz not null default now()',
        'updated_at timestamptz not null default now()'
    ],
    'S-030, C-29: cached_videos has the first design''s columns; is_playable is computed, and false by default'
);
select results_eq(
    $$
        select pg_temp.columns_of('public.cached_videos', array[
            'ai_analysis', 'published_at', 'is_shorts', 'quality_score'
        ])
    $$,
    array[
        'ai_analysis jsonb',
        'published_at timestamptz',
        'is_shorts boolean not null generated COALESCE(((duration >= 1) AND (duration <= '
        || 'private.shorts_limit_seconds())), false)',
        'quality_score double precision'
    ],
    'S-031, U-22: and the columns that the second design''s indexes need'
);
select results_eq(
    $$
        select pg_temp.columns_of('public.keyword_video_mappings', array[
            'id', 'keyword', 'video_id', 'relevance_score', 'search_rank', 'mapping_source', 'confidence_level',
            'click_through_rate', 'user_satisfaction_score', 'created_at', 'updated_at'
        ])
    $$,
    array[
        'id uuid not null default gen_random_uuid()',
        'keyword varchar(255) not null',
        'video_id varchar(20) not null',
        'relevance_score double precision not null default 0.0',
        'search_rank integer',
        'mapping_source varchar(50) not null default ''youtube_api''::character varying',
        'confidence_level double precision not null default 0.0',
        'click_through_rate double precision not null default 0.0',
        'user_satisfaction_score double precision not null default 0.0',
        'created_at timestamptz not null default now()',
        'updated_at timestamptz not null default now()'
    ],
    'S-036, C-01: keyword_video_mappings has the first design''s columns and refers to YouTube''s id'
);
select results_eq(
    $$
        select pg_temp.columns_of('public.keyword_video_mappings', array['rank_position', 'source', 'click_count'])
    $$,
    array[
        'rank_position integer generated search_rank',
        'source varchar(50) generated mapping_source',
        'click_count integer not null default 0'
    ],
    'S-037, C-13: and the second design''s names beside them'
);
select results_eq(
    $$
        select pg_temp.columns_of('public.trending_keywords', array[
            'id', 'keyword', 'trend_score', 'search_volume', 'growth_rate', 'velocity', 'category', 'subcategory',
            'related_keywords', 'data_source', 'source_confidence', 'predicted_peak_time', 'predicted_duration',
            'regional_popularity', 'hourly_trend_data', 'daily_trend_data', 'detected_at', 'expires_at',
            'created_at', 'updated_at'
        ])
    $$,
    array[
        'id uuid not null default gen_random_uuid()',
        'keyword varchar(255) not null',
        'trend_score double precision not null default 0.0',
        'search_volume integer not null default 0',
        'growth_rate double precision not null default 0.0',
        'velocity double precision not null default 0.0',
        'category varchar(100)',
        'subcategory varchar(100)',
        'related_keywords text[]',
        'data_source varchar(50) not null default ''internal''::character varying',
        'source_confidence double precision not null default 0.0',
        'predicted_peak_time timestamptz',
        'predicted_duration interval',
        'regional_popularity jsonb not null default {"JP": 0.0, "KR": 0.0, "US": 0.0, "global": 0.0}',
        'hourly_trend_data jsonb not null default []',
        'daily_trend_data jsonb not null default []',
        'detected_at timestamptz not null default now()',
        'expires_at timestamptz not null default (now() + ''04:00:00''::interval)',
        'created_at timestamptz not null default now()',
        'updated_at timestamptz not null default now()'
    ],
    'S-038: trending_keywords has the first design''s columns, types and defaults'
);
select results_eq(
    $$
        select substring(line from '^(\S+ \S+ generated)')
        from pg_temp.columns_of('public.trending_keywords', array[
            'time_slot', 'day_of_week', 'valid_from', 'valid_until', 'source'
        ]) as line
        union all
        select pg_temp.columns_of('public.trending_keywords', array['valid_from', 'valid_until', 'source'])
    $$,
    array[
        'time_slot text generated',
        'day_of_week smallint generated',
        'valid_from timestamptz generated',
        'valid_until timestamptz generated',
        'source varchar(50) generated',
        'valid_from timestamptz generated detected_at',
        'valid_until timestamptz generated expires_at',
        'source varchar(50) generated data_source'
    ],
    'S-039, C-14, C-15: and the second design''s, all of them computed'
);
select set_eq(
    $$
        select relation.relname::text
        from pg_class as relation
        where
            relation.relnamespace = 'public'::regnamespace
            and relation.relrowsecurity
            and relation.relname in (
                'cached_videos', 'cached_channels', 'keyword_video_mappings', 'trending_keywords'
            )
    $$,
    array['cached_videos', 'cached_channels', 'keyword_video_mappings', 'trending_keywords'],
    'S-004, S-006, S-007, S-013: nobody reads a row of these that no policy lets through'
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
    video_id, title, is_embeddable, privacy_status, upload_status, is_age_restricted, player_error_code, live_broadcast
)
values
('p1', 'plays', true, 'public', null, null, null, null),
('p2', 'plays', true, 'unlisted', 'processed', false, null, 'none'),
('p3', 'is on the air', true, 'public', 'processed', false, null, 'live'),
('n1', 'no embedding', false, 'public', 'processed', false, null, 'none'),
('n2', 'private', true, 'private', 'processed', false, null, 'none'),
('n3', 'failed', true, 'public', 'failed', false, null, 'none'),
('n4', 'adults only', true, 'public', 'processed', true, null, 'none'),
('n5', 'players say 150', true, 'public', 'processed', false, 150, 'none'),
('n6', 'unknown', null, null, null, null, null, null),
('n7', 'not on the air yet', true, 'public', 'uploaded', false, null, 'upcoming');
select set_eq(
    $$select video_id::text from public.cached_videos where is_playable and video_id ~ '^[pn][0-9]'$$,
    array['p1', 'p2', 'p3'],
    'C-33: is_playable is computed from embedding, privacy, upload, age, the players'' errors and the broadcast'
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
select is(
    pg_temp.verdicts(
        $$insert into public.cached_videos (video_id, title, privacy_status) values ('x', 'x', %L)$$,
        array['public', 'unlisted', 'private', 'secret', 'Public', '']
    ),
    array['taken', 'taken', 'taken'] || array_fill('23514 privacy_status_is_known'::text, array[3]),
    'S-064, D64: a privacy_status is YouTube''s or refused'
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
select is(
    pg_temp.verdicts(
        $$insert into public.keyword_video_mappings (keyword, video_id, mapping_source) values ('k', 'a45', %L)$$,
        array['youtube_api', 'ai_analysis', 'user_feedback', 'hearsay', '', null]
    ),
    array[
        'taken', 'taken', 'taken', '23514 mapping_source_is_known', '23514 mapping_source_is_known', '23502'
    ],
    'S-065, D64: a mapping_source is known or refused'
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
select is(
    pg_temp.verdicts(
        $$insert into public.trending_keywords (keyword, data_source) values ('x', %L)$$,
        array['bright_data', 'youtube_api', 'internal', 'hearsay', '', null]
    ),
    array['taken', 'taken', 'taken', '23514 data_source_is_known', '23514 data_source_is_known', '23502'],
    'S-066, D64: a data_source is known or refused'
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

-- Every score is a fraction.
insert into public.cached_channels (channel_id, channel_title)
values ('UC1', 'channel');
insert into public.cached_videos (video_id, title, channel_id)
values ('s1', 'scored', 'UC1');
insert into public.keyword_video_mappings (keyword, video_id)
values ('s', 's1');
select set_eq(
    $$select * from pg_temp.fractions_of('public.keyword_video_mappings')$$,
    $$
        values
        ('relevance_score', '23514 mapping_scores_are_fractions'),
        ('confidence_level', '23514 mapping_scores_are_fractions'),
        ('click_through_rate', '23514 mapping_scores_are_fractions'),
        ('user_satisfaction_score', '23514 mapping_scores_are_fractions')
    $$,
    'S-072, D64: the scores of a mapping are 0 to 1'
);
select set_eq(
    $$select * from pg_temp.fractions_of('public.trending_keywords')$$,
    $$
        values
        ('trend_score', '23514 trend_scores_are_fractions'),
        ('source_confidence', '23514 trend_scores_are_fractions'),
        ('p_value', '23514 probabilities_are_fractions'),
        ('q_value', '23514 probabilities_are_fractions')
    $$,
    'S-072, C-02, D64: so are those of a trend'
);
select is(
    pg_temp.verdict($$insert into public.trending_keywords (keyword, trend_score) values ('x', 80)$$),
    '23514 trend_scores_are_fractions',
    'S-072, C-02: 80 of 100 is no score'
);
select set_eq(
    $$select * from pg_temp.fractions_of('public.cached_channels')$$,
    $$
        values
        ('avg_video_quality', '23514 channel_scores_are_fractions'),
        ('trust_score', '23514 channel_scores_are_fractions')
    $$,
    'S-072, S-013, D64: those of a channel'
);
select set_eq(
    $$select * from pg_temp.fractions_of('public.cached_videos')$$,
    $$values ('quality_score', '23514 quality_score_is_a_fraction')$$,
    'S-072, D64: and that of a video'
);

-- Channels.
select is(
    pg_temp.verdicts(
        $$insert into public.cached_videos (video_id, title, channel_id) values ('x', 'x', %L)$$,
        array['UC1', null, 'UC2']
    ),
    array['taken', 'taken', '23503 cached_videos_channel_id_fkey'],
    'S-013: a video may name a channel, and then one that is known'
);
select is(
    pg_temp.verdict($$insert into public.cached_channels (channel_id, channel_title) values ('UC1', 'again')$$),
    '23505 cached_channels_channel_id_key',
    'S-013, S-051: a channel is known once'
);
select results_eq(
    $$select verified, trust_score from public.cached_channels where channel_id = 'UC1'$$,
    $$values (false, 0.50)$$,
    'S-051: of a new channel nothing is known'
);
select is(
    pg_temp.verdict($$update public.cached_channels set upload_frequency = -1$$),
    '23514 channel_counts_are_not_negative',
    'S-051: nobody uploads less than nothing'
);

-- Documents.
select is(
    pg_temp.verdicts(
        $$update public.cached_videos set ai_analysis = %L where video_id = 's1'$$,
        array[
            '{"categories": ["music"], "keywords": [], "emotions": {}}',
            '{"categories": ["music"], "keywords": []}',
            '{"emotions": {"joy": 0.9}}',
            '[]'
        ]
    ),
    array['taken'] || array_fill('23514 ai_analysis_is_whole'::text, array[3]),
    'S-032: an analysis is whole or refused'
);
select is(
    pg_temp.verdicts(
        $$update public.cached_videos set region_restrictions = %L where video_id = 's1'$$,
        array['{"allowed": ["KR"], "blocked": []}', '{}', '[]', '"KR"']
    ),
    array['taken', 'taken'] || array_fill('23514 region_restrictions_is_an_object'::text, array[2]),
    'S-033: region_restrictions is an object'
);
select results_eq(
    $$select key, value from jsonb_each((select regional_popularity from public.trending_keywords limit 1))$$,
    $$values ('JP', '0.0'::jsonb), ('KR', '0.0'), ('US', '0.0'), ('global', '0.0')$$,
    'S-040: a new trend is popular nowhere of the four'
);
select is(
    pg_temp.verdicts(
        $$
            update public.trending_keywords
            set hourly_trend_data = (select jsonb_agg(hour) from generate_series(1, %s) as hour)
        $$,
        array['1', '24', '25', '30']
    ),
    array['taken', 'taken'] || array_fill('23514 series_end_after_a_day_and_a_week'::text, array[2]),
    'S-059: hourly_trend_data cannot be longer than 24 hours'
);
select is(
    pg_temp.verdicts(
        $$
            update public.trending_keywords
            set daily_trend_data = (select jsonb_agg(day) from generate_series(1, %s) as day)
        $$,
        array['1', '7', '8', '9']
    ),
    array['taken', 'taken'] || array_fill('23514 series_end_after_a_day_and_a_week'::text, array[2]),
    'S-060: daily_trend_data cannot be longer than 7 days'
);
select is(
    pg_temp.verdicts(
        $$update public.trending_keywords set hourly_trend_data = %1$L, daily_trend_data = %1$L$$,
        array['[]', '{}', '"x"', '1']
    ),
    array['taken'] || array_fill('23514 series_are_arrays'::text, array[3]),
    'S-059, S-060: a series is an array'
);
select is(
    pg_temp.verdicts(
        $$update public.trending_keywords set predicted_peak_time = %L$$,
        array['2026-01-01 12:00+09', null, 'soon']
    ),
    array['taken', 'taken', '22007'],
    'S-061: a peak is foretold as a moment, or not at all'
);
select is(
    pg_temp.verdicts(
        $$update public.trending_keywords set predicted_duration = %L$$,
        array['3 hours', null, '0', '-1 hour']
    ),
    array['taken', 'taken'] || array_fill('23514 a_trend_is_expected_to_last'::text, array[2]),
    'S-062: what is foretold lasts'
);

select is(
    pg_temp.verdicts(
        'update public.trending_keywords set %s',
        array[
            $$region_code = 'US', regional_popularity = '{"US": 0.9, "BR": 0.1}'$$,
            $$regional_popularity = '[]'$$,
            $$region_code = 'kr'$$,
            'search_volume = -1',
            'expires_at = detected_at'
        ]
    ),
    array[
        'taken',
        '23514 regional_popularity_is_an_object',
        '23514 region_code_has_two_letters',
        '23514 search_volume_is_not_negative',
        '23514 a_trend_expires_after_it_was_detected'
    ],
    'S-038, S-040: a trend is somewhere, of some volume, for some time'
);
select is(
    pg_temp.verdicts(
        'update public.keyword_video_mappings set %s',
        array['search_rank = 1', 'search_rank = 0', 'click_count = -1']
    ),
    array['taken'] || array_fill('23514 mapping_counts_are_not_negative'::text, array[2]),
    'S-036, S-037: a rank begins at 1, and clicks are not taken back'
);
select is(
    pg_temp.verdicts(
        'update public.cached_videos set title = repeat(''x'', %s)',
        array['1', '500', '0', '501']
    ),
    array['taken', 'taken'] || array_fill('23514 title_is_text'::text, array[2]),
    'S-030: a title is text'
);

-- The clock of Korea, at its edges.
update public.trending_keywords
set closed_at = now()
where closed_at is null;
insert into public.trending_keywords (keyword, detected_at, expires_at)
select
    'clock ' || at,
    at::timestamptz,
    at::timestamptz + interval '4 hours'
from unnest(array[
    '2025-06-02 00:00+09', '2025-06-02 05:59+09', '2025-06-02 06:00+09', '2025-06-02 12:00+09', '2025-06-02 17:59+09',
    '2025-06-02 18:00+09', '2025-06-01 23:59+09'
]) as at;
select set_eq(
    $$
        select split_part(keyword, ' 2025-06', 2), time_slot, day_of_week::integer
        from public.trending_keywords
        where keyword like 'clock %'
    $$,
    $$
        values
        ('-02 00:00+09', 'night', 1),
        ('-02 05:59+09', 'night', 1),
        ('-02 06:00+09', 'morning', 1),
        ('-02 12:00+09', 'afternoon', 1),
        ('-02 17:59+09', 'afternoon', 1),
        ('-02 18:00+09', 'evening', 1),
        ('-01 23:59+09', 'evening', 7)
    $$,
    'S-039, C-15: the parts of the day and the days are those of Korea'
);
select results_eq(
    $$
        select pg_temp.columns_of('public.cached_videos', array['expires_at'])
        union all
        select pg_temp.columns_of('public.trending_keywords', array['expires_at'])
    $$,
    array[
        'expires_at timestamptz not null default (now() + ''7 days''::interval)',
        'expires_at timestamptz not null default (now() + ''04:00:00''::interval)'
    ],
    'S-273: videos are cached for 7 days and trends for 4 hours'
);
select is(
    pg_temp.verdict($$insert into public.keyword_video_mappings (keyword, video_id) values ('s', 's1')$$),
    '23505 a_keyword_maps_to_a_video_once',
    'S-006, S-036: a keyword leads to a video once'
);
select is(
    (select click_count from public.keyword_video_mappings where keyword = 's'),
    0,
    'S-037: nobody has clicked a new mapping'
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
