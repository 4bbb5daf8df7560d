-- Promises that a trend says what it goes with, what it is about and where it is popular, that the facts of a run cost
-- milliseconds however much is known, and that premium reads the strongest.

create table private.trend_sources (
    data_source text primary key,
    confidence double precision not null,
    constraint data_source_is_known check (data_source in ('youtube_api', 'bright_data', 'internal')),
    constraint confidence_is_a_fraction check (confidence between 0 and 1)
);
alter table private.trend_sources enable row level security;
comment on table private.trend_sources is
'How far each source is trusted, the one place that says so: the source_confidence of what detection finds. An '
'operator changes it; the next trend has it.';
comment on column private.trend_sources.confidence is
'0 to 1. YouTube counts its own charts; Bright Data scrapes pages; our own searches are few people''s.';
insert into private.trend_sources (data_source, confidence)
values
('youtube_api', 0.9),
('bright_data', 0.7),
('internal', 0.6);

create function private.video_category_names()
returns table (
    category_id integer,
    english text,
    korean text
)
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    values
    (1, 'Film & Animation', '영화/애니메이션'),
    (2, 'Autos & Vehicles', '자동차'),
    (10, 'Music', '음악'),
    (15, 'Pets & Animals', '반려동물/동물'),
    (17, 'Sports', '스포츠'),
    (18, 'Short Movies', '단편 영화'),
    (19, 'Travel & Events', '여행/이벤트'),
    (20, 'Gaming', '게임'),
    (21, 'Videoblogging', '동영상 블로그'),
    (22, 'People & Blogs', '인물/블로그'),
    (23, 'Comedy', '코미디'),
    (24, 'Entertainment', '엔터테인먼트'),
    (25, 'News & Politics', '뉴스/정치'),
    (26, 'Howto & Style', '노하우/스타일'),
    (27, 'Education', '교육'),
    (28, 'Science & Technology', '과학기술'),
    (29, 'Nonprofits & Activism', '비영리/사회운동'),
    (30, 'Movies', '영화'),
    (31, 'Anime/Animation', '만화/애니메이션'),
    (32, 'Action/Adventure', '액션/모험'),
    (33, 'Classics', '고전'),
    (34, 'Comedy', '코미디'),
    (35, 'Documentary', '다큐멘터리'),
    (36, 'Drama', '드라마'),
    (37, 'Family', '가족'),
    (38, 'Foreign', '외국'),
    (39, 'Horror', '공포'),
    (40, 'Sci-Fi/Fantasy', 'SF/판타지'),
    (41, 'Thriller', '스릴러'),
    (42, 'Shorts', '쇼츠'),
    (43, 'Shows', '프로그램'),
    (44, 'Trailers', '예고편')
$$;
comment on function private.video_category_names() is
'YouTube''s categories of videos by number, in English and Korean. One name has one translation.';

create function private.trend_companions(keywords text[])
returns table (
    keyword text,
    related_keywords text[],
    category text
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
-- To sort or read whole what a look-up answers with its first rows is dear; the guesses for a sample are too rough.
set enable_bitmapscan = off
set enable_seqscan = off
language sql
as $$
    -- Ids of videos are random: the first twenty are a fair sample, and cost the same however many there are.
    with sampled as materialized (
        select
            wanted.keyword,
            mapping.video_id
        from unnest(trend_companions.keywords) as wanted (keyword)
        cross join lateral (
            select stored.video_id
            from public.keyword_video_mappings as stored
            where stored.keyword = wanted.keyword
            order by stored.video_id
            limit 20
        ) as mapping
    ),

    sample as (
        select
            sampled.keyword,
            count(*) as videos
        from sampled
        group by sampled.keyword
    ),

    together as (
        select
            sampled.keyword,
            other.keyword::text as companion,
            count(*) as videos
        from sampled
        inner join public.keyword_video_mappings as other
            on
                sampled.video_id = other.video_id
                and sampled.keyword <> other.keyword
        group by
            sampled.keyword,
            other.keyword
        -- What comes together once may do so by chance, and would have the greatest lift of all.
        having count(*) >= 2
    ),

    -- Who is seldom there is not looked at closer.
    supported as materialized (
        select
            together.keyword,
            together.companion,
            together.videos,
            sample.videos as sample_videos,
            row_number() over (
                partition by together.keyword
                order by together.videos desc, together.companion asc
            ) as place
        from together
        inner join sample on together.keyword = sample.keyword
    ),

    -- What the planner knows without counting: of the most common keywords in how many videos, and of how many in all.
    common as materialized (
        select
            value.keyword,
            value.share * mapping.reltuples as videos
        from pg_catalog.pg_stats as known
        inner join pg_catalog.pg_class as mapping on mapping.oid = 'public.keyword_video_mappings'::regclass
        cross join lateral unnest(
            known.most_common_vals::text::text[],
            known.most_common_freqs
        ) as value (keyword, share)
        where
            known.schemaname = 'public'
            and known.tablename = 'keyword_video_mappings'
            and known.attname = 'keyword'
            and mapping.reltuples > 0
    ),

    -- The others are counted, up to where they would be common too.
    companion as materialized (
        select
            wanted.companion,
            coalesce(common.videos, counted.videos) as videos
        from (
            select distinct supported.companion
            from supported
            where supported.place <= 20
        ) as wanted
        left join common on wanted.companion = common.keyword
        cross join lateral (
            select count(*) as videos
            from (
                select
                from public.keyword_video_mappings as stored
                where
                    stored.keyword = wanted.companion
                    and common.keyword is null
                limit 200
            ) as first_ones
        ) as counted
    ),

    lifted as (
        select
            supported.keyword,
            supported.companion,
            -- All videos, and those of the keyword, are the same for all companions: the order is that of the lift.
            row_number() over (
                partition by supported.keyword
                order by
                    supported.videos::double precision / greatest(companion.videos, supported.videos) desc,
                    supported.videos desc,
                    supported.companion asc
            ) as place
        from supported
        inner join companion on supported.companion = companion.companion
        cross join (
            -- Below 1 nobody has counted yet.
            select relation.reltuples as videos
            from pg_catalog.pg_class as relation
            where relation.oid = 'public.cached_videos'::regclass
        ) as known
        where
            supported.place <= 20
            and (
                known.videos < 1
                -- A lift of one is chance. So few videos as the planner remembers cannot have been all.
                or supported.videos * greatest(known.videos, supported.sample_videos, companion.videos)
                > supported.sample_videos * companion.videos
            )
    ),

    related as (
        select
            lifted.keyword,
            array_agg(lifted.companion order by lifted.place) as keywords
        from lifted
        where lifted.place <= 10
        group by lifted.keyword
    ),

    category as (
        select distinct on (sampled.keyword)
            sampled.keyword,
            name.english
        from sampled
        inner join public.cached_videos as video on sampled.video_id = video.video_id
        inner join private.video_category_names() as name on video.category_id = name.category_id
        group by
            sampled.keyword,
            name.english
        order by
            sampled.keyword asc,
            count(*) desc,
            name.english asc
    )

    select
        sample.keyword,
        related.keywords,
        category.english
    from sample
    left join related on sample.keyword = related.keyword
    left join category on sample.keyword = category.keyword
$$;
comment on function private.trend_companions(text[]) is
'Of each keyword that leads to videos: at most ten keywords that lead to the same ones, by lift, and the category of '
'most of them. From a sample of 20 videos, of which a companion is in two at least.';

create function private.regional_popularity(keywords text[], data_sources text[], buckets timestamptz[])
returns table (
    keyword text,
    data_source text,
    bucket timestamptz,
    popularity jsonb
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with wanted as materialized (
        select distinct
            given.keyword,
            given.data_source,
            given.bucket
        from unnest(
            regional_popularity.keywords,
            regional_popularity.data_sources,
            regional_popularity.buckets
        ) as given (keyword, data_source, bucket)
    ),

    region as materialized (
        select
            observed.region_code,
            hour.data_source,
            hour.bucket,
            coalesce(
                (
                    select max(signal.mentions)
                    from private.keyword_signals as signal
                    where
                        signal.region_code = observed.region_code
                        and signal.data_source = hour.data_source
                        and signal.bucket = hour.bucket
                        -- For the index of these.
                        and signal.mentions >= 3
                ),
                (
                    select max(signal.mentions)
                    from private.keyword_signals as signal
                    where
                        signal.region_code = observed.region_code
                        and signal.data_source = hour.data_source
                        and signal.bucket = hour.bucket
                )
            )::double precision as most_mentions
        from (
            select distinct
                wanted.data_source,
                wanted.bucket
            from wanted
        ) as hour
        inner join private.observed_bins as observed
            on
                hour.data_source = observed.data_source
                and hour.bucket = observed.bucket
                and observed.bin_seconds = 3600
    ),

    mentioned as (
        select
            wanted.keyword,
            wanted.data_source,
            wanted.bucket,
            region.region_code,
            region.most_mentions,
            coalesce(seen.mentions, 0) as mentions
        from wanted
        inner join region
            on
                wanted.data_source = region.data_source
                and wanted.bucket = region.bucket
        -- "offset" makes it one look-up a region; a join would read all other keywords of the hour too.
        left join lateral (
            select signal.mentions
            from private.keyword_signals as signal
            where
                signal.region_code = region.region_code
                and signal.data_source = wanted.data_source
                and signal.bucket = wanted.bucket
                and signal.keyword = wanted.keyword
            offset 0
        ) as seen on true
        where region.most_mentions > 0
    ),

    share as (
        select
            mentioned.keyword,
            mentioned.data_source,
            mentioned.bucket,
            coalesce(mentioned.region_code, 'global') as place,
            round((sum(mentioned.mentions) / sum(mentioned.most_mentions))::numeric, 4) as popularity
        from mentioned
        group by
            mentioned.keyword,
            mentioned.data_source,
            mentioned.bucket,
            grouping sets ((mentioned.region_code), ())
    )

    select
        share.keyword,
        share.data_source,
        share.bucket,
        '{"KR": 0.0, "US": 0.0, "JP": 0.0, "global": 0.0}'::jsonb
        || jsonb_object_agg(share.place, share.popularity) as popularity
    from share
    where share.place in ('KR', 'US', 'JP', 'global')
    group by
        share.keyword,
        share.data_source,
        share.bucket
$$;
comment on function private.regional_popularity(text[], text[], timestamptz[]) is
'Mentions of each keyword in an hour as a share of those of the region''s busiest keyword: 1 is the busiest, 0 was not '
'seen. global: of all regions that the source observed in that hour together.';

create function public.top_trends(
    region text default 'KR',
    slot text default null
)
returns table (
    keyword text,
    region_code text,
    data_source text,
    trend_score double precision,
    velocity double precision,
    growth_rate double precision,
    search_volume integer,
    category text,
    category_korean text,
    related_keywords text[],
    regional_popularity jsonb,
    source_confidence double precision,
    time_slot text,
    predicted_peak_time timestamptz,
    predicted_duration interval,
    detected_at timestamptz,
    expires_at timestamptz
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
#variable_conflict use_column
begin
    if top_trends.region <> all(private.region_codes()) then
        raise exception using
            errcode = 'PT400',
            message = 'The region is unknown.',
            detail = format('region is %s.', left(top_trends.region, 100)),
            hint = 'Send an ISO 3166 code of two capital letters, or nothing for Korea.';
    end if;
    if top_trends.slot not in ('night', 'morning', 'afternoon', 'evening') then
        raise exception using
            errcode = 'PT400',
            message = 'The part of the day is unknown.',
            detail = format('slot is %s.', left(top_trends.slot, 100)),
            hint = 'Send night, morning, afternoon or evening, or nothing for the whole day.';
    end if;

    return query
    select
        strongest.keyword::text,
        strongest.region_code::text,
        strongest.data_source::text,
        strongest.trend_score,
        strongest.velocity,
        strongest.growth_rate,
        strongest.search_volume,
        strongest.category::text,
        (
            select min(name.korean)
            from private.video_category_names() as name
            where name.english = strongest.category
        ) as category_korean,
        strongest.related_keywords,
        strongest.regional_popularity,
        strongest.source_confidence,
        strongest.time_slot,
        strongest.predicted_peak_time,
        strongest.predicted_duration,
        strongest.detected_at,
        strongest.expires_at
    from (
        select distinct on (trend.keyword) trend.*
        from public.trending_keywords as trend
        where
            trend.region_code = coalesce(top_trends.region, 'KR')
            and (top_trends.slot is null or trend.time_slot = top_trends.slot)
            and trend.closed_at is null
            and trend.expires_at > now()
        order by
            trend.keyword asc,
            trend.trend_score desc,
            trend.data_source asc
    ) as strongest
    order by
        strongest.trend_score desc,
        strongest.keyword asc
    limit 50;
end
$$;
comment on function public.top_trends(text, text) is
'The strongest trends of a region now, those detected in a part of the day in Korea if one is named: at most 50, '
'whole, what has expired left out. For premium and up; the table''s policy gives others none.';
