-- Promises one place for what is known of videos, channels, keywords and trends, refusing what cannot be true.

create function private.shorts_limit_seconds()
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select 180
$$;
comment on function private.shorts_limit_seconds() is
'YouTube''s longest Short since 2024-10-15. A function, since generated columns cannot read a settings table.';

create function private.plays_everywhere(
    is_embeddable boolean,
    privacy_status text,
    upload_status text,
    is_age_restricted boolean,
    player_error_code integer,
    live_broadcast text
)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        coalesce(is_embeddable, false)
        and coalesce(privacy_status, 'private') in ('public', 'unlisted')
        and coalesce(upload_status, 'processed') in ('processed', 'uploaded')
        and not coalesce(is_age_restricted, false)
        and player_error_code is null
        and coalesce(live_broadcast, 'none') <> 'upcoming'
$$;
comment on function private.plays_everywhere(boolean, text, text, boolean, integer, text) is
'Whether an embedded player can show the video, regions aside. What is unknown counts against it.';

create table public.cached_channels (
    id uuid primary key default gen_random_uuid(),
    channel_id varchar(50) not null unique,
    channel_title varchar(200) not null,
    subscriber_count bigint,
    video_count integer,
    total_view_count bigint,
    primary_category varchar(50),
    content_language varchar(10),
    upload_frequency numeric(4, 2),
    avg_video_quality numeric(3, 2),
    verified boolean not null default false,
    trust_score numeric(3, 2) not null default 0.5,
    last_updated timestamptz not null default now(),
    thumbnail_url text,
    published_at timestamptz,
    collected_at timestamptz,
    updated_at timestamptz not null default now(),
    constraint channel_counts_are_not_negative check (
        subscriber_count >= 0 and video_count >= 0 and total_view_count >= 0 and upload_frequency >= 0
    ),
    constraint channel_scores_are_fractions check (
        trust_score between 0 and 1 and avg_video_quality between 0 and 1
    )
);
alter table public.cached_channels enable row level security;
comment on table public.cached_channels is 'What is known of a YouTube channel. Written by the service only.';
comment on column public.cached_channels.id is 'Our own id; everything refers to channel_id.';
comment on column public.cached_channels.channel_id is 'YouTube''s id.';
comment on column public.cached_channels.channel_title is 'Name of the channel.';
comment on column public.cached_channels.subscriber_count is 'Subscribers, rounded by YouTube; null when hidden.';
comment on column public.cached_channels.video_count is 'Public videos.';
comment on column public.cached_channels.total_view_count is 'Views of all its videos.';
comment on column public.cached_channels.primary_category is
'The most frequent category of its videos: the name, or YouTube''s number while that has none.';
comment on column public.cached_channels.content_language is 'Main language, such as ko.';
comment on column public.cached_channels.upload_frequency is
'Videos a week, at most 99.99: over its life, or over 90 days of what was seen, whichever is more.';
comment on column public.cached_channels.avg_video_quality is 'Mean quality score of its videos, 0 to 1.';
comment on column public.cached_channels.verified is 'Whether YouTube has verified it.';
comment on column public.cached_channels.trust_score is 'How far we trust it, 0 to 1; 0.5 while nothing is known.';
comment on column public.cached_channels.last_updated is 'When a source last named it, be it with a video.';
comment on column public.cached_channels.thumbnail_url is 'Address of its picture.';
comment on column public.cached_channels.published_at is 'When it was opened on YouTube.';
comment on column public.cached_channels.collected_at is
'When the source said what the channel is; null while only videos named it. Older news never overwrites newer.';
comment on column public.cached_channels.updated_at is 'When what a source says of it last changed.';

-- To have been scored is no change of the channel.
create trigger set_updated_at
before update on public.cached_channels
for each row
when (
    (
        new.channel_title,
        new.subscriber_count,
        new.video_count,
        new.total_view_count,
        new.content_language,
        new.verified,
        new.thumbnail_url,
        new.published_at
    ) is distinct from (
        old.channel_title,
        old.subscriber_count,
        old.video_count,
        old.total_view_count,
        old.content_language,
        old.verified,
        old.thumbnail_url,
        old.published_at
    )
)
execute function private.touch_updated_at();

create table public.cached_videos (
    id uuid primary key default gen_random_uuid(),
    video_id varchar(20) not null unique,
    title text not null,
    description text,
    channel_id varchar(50) references public.cached_channels (channel_id),
    channel_name varchar(255),
    duration integer,
    view_count bigint,
    like_count integer,
    comment_count integer,
    is_embeddable boolean default false,
    region_restrictions jsonb not null default '{}',
    privacy_status varchar(20) default 'private',
    thumbnail_url text,
    channel_thumbnail_url text,
    category_id integer,
    category_name varchar(100),
    tags text[],
    cache_hit_count integer not null default 0,
    last_accessed_at timestamptz default now(),
    cached_at timestamptz not null default now(),
    expires_at timestamptz not null default now() + interval '7 days',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    ai_analysis jsonb,
    published_at timestamptz,
    quality_score double precision,
    upload_status varchar(20),
    is_age_restricted boolean,
    player_error_code integer,
    collected_at timestamptz not null default now(),
    live_broadcast varchar(10),
    player_error_at timestamptz,
    times_taken_out integer not null default 0,
    purged_at timestamptz,
    is_playable boolean not null generated always as (
        private.plays_everywhere(
            is_embeddable, privacy_status, upload_status, is_age_restricted, player_error_code, live_broadcast
        )
    ) stored,
    is_shorts boolean not null generated always as (
        coalesce(duration between 1 and private.shorts_limit_seconds(), false)
    ) stored,
    constraint video_id_is_an_id check (video_id ~ '^[A-Za-z0-9_-]+$'),
    constraint title_is_text check (length(title) between 1 and 500),
    constraint video_counts_are_not_negative check (
        duration >= 0 and view_count >= 0 and like_count >= 0 and comment_count >= 0 and cache_hit_count >= 0
    ),
    constraint privacy_status_is_known check (privacy_status in ('public', 'unlisted', 'private')),
    constraint live_broadcast_is_known check (live_broadcast in ('none', 'live', 'upcoming')),
    constraint times_taken_out_is_not_negative check (times_taken_out >= 0),
    constraint region_restrictions_is_an_object check (jsonb_typeof(region_restrictions) = 'object'),
    constraint ai_analysis_is_whole check (ai_analysis ?& array['categories', 'keywords', 'emotions']),
    constraint quality_score_is_a_fraction check (quality_score between 0 and 1)
);
alter table public.cached_videos enable row level security;
create index cached_videos_by_channel on public.cached_videos (channel_id);
comment on table public.cached_videos is
'YouTube metadata of videos, kept 7 days after it was collected. Written by the service only.';
comment on column public.cached_videos.id is 'Our own id; everything refers to video_id.';
comment on column public.cached_videos.video_id is 'YouTube''s id.';
comment on column public.cached_videos.title is 'Title.';
comment on column public.cached_videos.description is 'Description.';
comment on column public.cached_videos.channel_id is 'YouTube''s id of the channel; null when the source did not say.';
comment on column public.cached_videos.channel_name is 'Name of the channel when the video was collected.';
comment on column public.cached_videos.duration is 'Seconds; 0 for a live stream.';
comment on column public.cached_videos.view_count is 'Views so far.';
comment on column public.cached_videos.like_count is 'Likes so far.';
comment on column public.cached_videos.comment_count is 'Comments so far.';
comment on column public.cached_videos.is_embeddable is 'Whether other sites may play it; null while unknown.';
comment on column public.cached_videos.region_restrictions is '{"allowed": [...], "blocked": [...]} of region codes.';
comment on column public.cached_videos.privacy_status is 'public, unlisted or private; null while unknown.';
comment on column public.cached_videos.thumbnail_url is 'Address of the picture.';
comment on column public.cached_videos.channel_thumbnail_url is 'Address of the channel''s picture.';
comment on column public.cached_videos.category_id is 'YouTube''s number of the category.';
comment on column public.cached_videos.category_name is 'Name of the category.';
comment on column public.cached_videos.tags is 'The uploader''s tags.';
comment on column public.cached_videos.cache_hit_count is 'How often the cache has served it.';
comment on column public.cached_videos.last_accessed_at is 'When the cache last served it.';
comment on column public.cached_videos.cached_at is 'When this content was stored.';
comment on column public.cached_videos.expires_at is 'When it must have been collected again.';
comment on column public.cached_videos.created_at is 'When the video was first seen.';
comment on column public.cached_videos.updated_at is 'When the row last changed.';
comment on column public.cached_videos.ai_analysis is
'{"categories": [...], "keywords": [...], "emotions": {...}}, replaced whole. Denormalised: three tables would lose '
'the structure of the AI''s answer and need a join each.';
comment on column public.cached_videos.published_at is 'When it was published on YouTube.';
comment on column public.cached_videos.quality_score is 'Overall quality, 0 to 1.';
comment on column public.cached_videos.upload_status is 'YouTube''s upload status, such as processed.';
comment on column public.cached_videos.is_age_restricted is 'Whether YouTube asks for the viewer''s age.';
comment on column public.cached_videos.player_error_code is 'The error that players reported: 100, 101, 150 or 153.';
comment on column public.cached_videos.collected_at is
'When the source said all this. Older news never overwrites newer.';
comment on column public.cached_videos.live_broadcast is 'none, live or upcoming; null while unknown.';
comment on column public.cached_videos.player_error_at is 'When players'' reports took it out; null while it is in.';
comment on column public.cached_videos.times_taken_out is
'How often players'' reports took it out: each time it waits longer before it is believed again.';
comment on column public.cached_videos.purged_at is
'When the terms of its source had everything but the id deleted; null while the rest is there.';
comment on column public.cached_videos.is_playable is
'Whether an embedded player can show it: computed from the flags, the upload and age states and the player''s errors.';
comment on column public.cached_videos.is_shorts is 'Whether it is short enough for a Short.';

-- To have been served is no change of the video.
create trigger set_updated_at
before update on public.cached_videos
for each row
when (
    new.cache_hit_count = old.cache_hit_count
    and new.last_accessed_at is not distinct from old.last_accessed_at
)
execute function private.touch_updated_at();

create table public.keyword_video_mappings (
    id uuid primary key default gen_random_uuid(),
    keyword varchar(255) not null,
    video_id varchar(20) not null references public.cached_videos (video_id) on delete cascade,
    relevance_score double precision not null default 0.0,
    search_rank integer,
    mapping_source varchar(50) not null default 'youtube_api',
    confidence_level double precision not null default 0.0,
    click_through_rate double precision not null default 0.0,
    user_satisfaction_score double precision not null default 0.0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    rank_position integer generated always as (search_rank) stored,
    source varchar(50) generated always as (mapping_source) stored,
    click_count integer not null default 0,
    constraint a_keyword_maps_to_a_video_once unique (keyword, video_id),
    constraint mapping_source_is_known check (mapping_source in ('youtube_api', 'ai_analysis', 'user_feedback')),
    constraint mapping_scores_are_fractions check (
        relevance_score between 0 and 1
        and confidence_level between 0 and 1
        and click_through_rate between 0 and 1
        and user_satisfaction_score between 0 and 1
    ),
    constraint mapping_counts_are_not_negative check (search_rank > 0 and click_count >= 0)
);
alter table public.keyword_video_mappings enable row level security;
create index keyword_video_mappings_by_video on public.keyword_video_mappings (video_id);
comment on table public.keyword_video_mappings is
'Which videos a keyword leads to, and how well. Written by the service only.';
comment on column public.keyword_video_mappings.id is 'Our own id.';
comment on column public.keyword_video_mappings.keyword is 'Normalised: NFKC, lower case, single spaces.';
comment on column public.keyword_video_mappings.video_id is 'YouTube''s id of the video.';
comment on column public.keyword_video_mappings.relevance_score is 'How well the video answers the keyword, 0 to 1.';
comment on column public.keyword_video_mappings.search_rank is 'Its place in the source''s answer, from 1.';
comment on column public.keyword_video_mappings.mapping_source is
'Who says so: youtube_api, ai_analysis or user_feedback.';
comment on column public.keyword_video_mappings.confidence_level is 'How sure the source is, 0 to 1.';
comment on column public.keyword_video_mappings.click_through_rate is 'Clicks per time shown, 0 to 1.';
comment on column public.keyword_video_mappings.user_satisfaction_score is 'What people made of it, 0 to 1.';
comment on column public.keyword_video_mappings.created_at is 'When the mapping was first seen.';
comment on column public.keyword_video_mappings.updated_at is 'When it last changed.';
comment on column public.keyword_video_mappings.rank_position is 'The same as search_rank.';
comment on column public.keyword_video_mappings.source is 'The same as mapping_source.';
comment on column public.keyword_video_mappings.click_count is
'Clicks so far. Denormalised: to count video_interactions at each read would be too slow; added in batches.';

-- To have been clicked is no change of the mapping.
create trigger set_updated_at
before update on public.keyword_video_mappings
for each row
when (new.click_count = old.click_count)
execute function private.touch_updated_at();

create table private.keyword_signals (
    region_code varchar(2) not null,
    data_source varchar(50) not null,
    bucket timestamptz not null,
    keyword varchar(255) not null,
    mentions integer not null,
    views bigint,
    primary key (region_code, data_source, bucket, keyword),
    constraint bucket_is_a_full_hour check (bucket = date_trunc('hour', bucket, 'UTC')),
    constraint signal_counts_are_not_negative check (mentions >= 0 and views >= 0),
    constraint data_source_is_known check (data_source in ('youtube_api', 'bright_data', 'internal'))
) partition by range (bucket);
alter table private.keyword_signals enable row level security;
comment on table private.keyword_signals is
'How often a keyword was seen in an hour, by region and source. '
'An hour with any row was observed: absent keywords count 0.';
comment on column private.keyword_signals.views is 'Views of the videos that mention it, where the source knows.';

create table private.keyword_signals_default partition of private.keyword_signals default;
alter table private.keyword_signals_default enable row level security;
comment on table private.keyword_signals_default is 'Hours that no other partition takes.';

-- Detection looks back 7 days, forecasts compare with the same month of the year before.
insert into ops.partition_policies (parent_schema, parent_table, control_column, retention)
values ('private', 'keyword_signals', 'bucket', '13 months');
select ops.create_monthly_partitions();

create table public.trending_keywords (
    id uuid primary key default gen_random_uuid(),
    keyword varchar(255) not null,
    trend_score double precision not null default 0.0,
    search_volume integer not null default 0,
    growth_rate double precision not null default 0.0,
    velocity double precision not null default 0.0,
    category varchar(100),
    subcategory varchar(100),
    related_keywords text[],
    data_source varchar(50) not null default 'internal',
    source_confidence double precision not null default 0.0,
    predicted_peak_time timestamptz,
    predicted_duration interval,
    regional_popularity jsonb not null default '{"KR": 0.0, "US": 0.0, "JP": 0.0, "global": 0.0}',
    hourly_trend_data jsonb not null default '[]',
    daily_trend_data jsonb not null default '[]',
    detected_at timestamptz not null default now(),
    expires_at timestamptz not null default now() + interval '4 hours',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    source varchar(50) generated always as (data_source) stored,
    valid_from timestamptz generated always as (detected_at) stored,
    valid_until timestamptz generated always as (expires_at) stored,
    time_slot text generated always as (
        case
            when extract(hour from detected_at at time zone 'Asia/Seoul') < 6 then 'night'
            when extract(hour from detected_at at time zone 'Asia/Seoul') < 12 then 'morning'
            when extract(hour from detected_at at time zone 'Asia/Seoul') < 18 then 'afternoon'
            else 'evening'
        end
    ) stored,
    day_of_week smallint generated always as (
        extract(isodow from detected_at at time zone 'Asia/Seoul')::smallint
    ) stored,
    region_code varchar(2) not null default 'KR',
    z_score double precision,
    p_value double precision,
    q_value double precision,
    detection_window interval,
    model_version varchar(20),
    closed_at timestamptz,
    constraint region_code_has_two_letters check (region_code ~ '^[A-Z]{2}$'),
    constraint data_source_is_known check (data_source in ('youtube_api', 'bright_data', 'internal')),
    constraint trend_scores_are_fractions check (trend_score between 0 and 1 and source_confidence between 0 and 1),
    constraint probabilities_are_fractions check (p_value between 0 and 1 and q_value between 0 and 1),
    constraint search_volume_is_not_negative check (search_volume >= 0),
    constraint a_trend_expires_after_it_was_detected check (expires_at > detected_at),
    constraint series_are_arrays check (
        jsonb_typeof(hourly_trend_data) = 'array' and jsonb_typeof(daily_trend_data) = 'array'
    ),
    constraint series_end_after_a_day_and_a_week check (
        case when jsonb_typeof(hourly_trend_data) = 'array' then jsonb_array_length(hourly_trend_data) <= 24 end
        and case when jsonb_typeof(daily_trend_data) = 'array' then jsonb_array_length(daily_trend_data) <= 7 end
    ),
    constraint a_trend_is_expected_to_last check (predicted_duration > interval '0'),
    constraint regional_popularity_is_an_object check (jsonb_typeof(regional_popularity) = 'object')
);
alter table public.trending_keywords enable row level security;
create unique index one_open_trend_per_keyword_region_and_source
on public.trending_keywords (keyword, region_code, data_source)
where closed_at is null;
create index trending_keywords_by_key_and_time
on public.trending_keywords (keyword, region_code, data_source, detected_at);
create index trending_keywords_that_are_open
on public.trending_keywords (region_code, expires_at)
where closed_at is null;
comment on table public.trending_keywords is
'Keywords that burst: one open row per keyword, region and source, and the closed ones before it. '
'Full rows are for premium and up.';
comment on column public.trending_keywords.id is 'Our own id.';
comment on column public.trending_keywords.keyword is 'Normalised: NFKC, lower case, single spaces.';
comment on column public.trending_keywords.trend_score is 'Strength of the burst, 0 to 1: 1 - exp(-z_score / 3).';
comment on column public.trending_keywords.search_volume is 'Mentions in the hour that was tested.';
comment on column public.trending_keywords.growth_rate is
'Per cent over the usual number of mentions, counted as at least one.';
comment on column public.trending_keywords.velocity is 'Change of the score per hour.';
comment on column public.trending_keywords.category is 'What the keyword is about.';
comment on column public.trending_keywords.subcategory is 'The same, finer.';
comment on column public.trending_keywords.related_keywords is 'Keywords that come with it.';
comment on column public.trending_keywords.data_source is 'youtube_api, bright_data or internal.';
comment on column public.trending_keywords.source_confidence is 'How far the source is trusted, 0 to 1.';
comment on column public.trending_keywords.predicted_peak_time is 'When it should be strongest.';
comment on column public.trending_keywords.predicted_duration is 'How long it should last.';
comment on column public.trending_keywords.regional_popularity is 'Popularity by region, 0 to 1.';
comment on column public.trending_keywords.hourly_trend_data is
'Mentions in each of the 24 hours that end with the tested one; null for an hour that nobody observed.';
comment on column public.trending_keywords.daily_trend_data is
'Mentions in each of the 7 days in Korea that end with the tested hour''s; null for a day that nobody observed.';
comment on column public.trending_keywords.detected_at is 'The time the detection ran for.';
comment on column public.trending_keywords.expires_at is 'From when on it is no trend any more, unless detected again.';
comment on column public.trending_keywords.created_at is 'When the row was written.';
comment on column public.trending_keywords.updated_at is 'When it last changed.';
comment on column public.trending_keywords.source is 'The same as data_source.';
comment on column public.trending_keywords.valid_from is 'The same as detected_at.';
comment on column public.trending_keywords.valid_until is 'The same as expires_at.';
comment on column public.trending_keywords.time_slot is
'night, morning, afternoon or evening in Korea when it was detected.';
comment on column public.trending_keywords.day_of_week is 'Day in Korea when it was detected, 1 for Monday to 7.';
comment on column public.trending_keywords.region_code is 'ISO 3166 code of the region it bursts in.';
comment on column public.trending_keywords.z_score is 'Standard deviations above the usual number of mentions.';
comment on column public.trending_keywords.p_value is 'Chance of such a burst in one quiet keyword.';
comment on column public.trending_keywords.q_value is
'Share of false alarms among trends as strong, over all keywords of the run.';
comment on column public.trending_keywords.detection_window is 'How much history it was compared with.';
comment on column public.trending_keywords.model_version is 'Which detector said so.';
comment on column public.trending_keywords.closed_at is 'When it ended; null while it is the open one.';

create trigger set_updated_at
before update on public.trending_keywords
for each row
execute function private.touch_updated_at();
