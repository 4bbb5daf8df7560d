-- Promises two summaries that cost a look-up instead of a count: one's own month, and the days of each category.

create materialized view private.user_activity_summary as
with searches as (
    select
        session.user_id,
        count(*) as searches,
        sum(session.results_clicked) as clicks,
        max(session.session_started_at) as last_seen,
        round(avg(session.user_satisfaction_rating), 2) as satisfaction
    from public.search_sessions as session
    where
        session.user_id is not null
        and session.session_started_at >= now() - interval '30 days'
    group by session.user_id
),

watched as (
    select
        interaction.user_id,
        sum(interaction.watch_duration) as watch_time,
        max(interaction.created_at) as last_seen
    from public.video_interactions as interaction
    where interaction.created_at >= now() - interval '30 days'
    group by interaction.user_id
)

select -- noqa: ST06
    searches.user_id,
    searches.searches,
    searches.clicks,
    coalesce(watched.watch_time, 0) as watch_time,
    greatest(searches.last_seen, watched.last_seen) as last_seen,
    searches.satisfaction
from searches
left join watched on searches.user_id = watched.user_id;
-- Of a summary that was made just now nobody is kept waiting.
-- squawk-ignore require-concurrent-index-creation
create unique index user_activity_summary_key on private.user_activity_summary (user_id);
comment on materialized view private.user_activity_summary is
'Everybody who searched in the last 30 days, a row each. Refreshed every hour; people ask public.my_activity().';
comment on column private.user_activity_summary.user_id is 'Whose month.';
comment on column private.user_activity_summary.searches is 'Searches.';
comment on column private.user_activity_summary.clicks is 'Results clicked in them.';
comment on column private.user_activity_summary.watch_time is 'Seconds watched.';
comment on column private.user_activity_summary.last_seen is 'The last search or interaction.';
comment on column private.user_activity_summary.satisfaction is
'Mean rating of the searches, 1 to 5; null without any.';

create materialized view private.category_trend_summary as
select
    keyword_day.trend_date,
    keyword_day.category,
    count(*) as trending_keyword_count,
    avg(keyword_day.avg_score) as avg_trend_score,
    coalesce(
        array_agg(keyword_day.keyword order by keyword_day.max_score desc, keyword_day.keyword asc)
        filter (where keyword_day.max_score > 0.5),
        '{}'
    ) as top_keywords
from (
    select -- noqa: ST06
        private.korean_day(trend.valid_from) as trend_date,
        -- YouTube says Music, the AI music.
        lower(coalesce(trend.category, video.ai_analysis -> 'categories' ->> 0, 'unknown')) as category,
        trend.keyword::text as keyword,
        max(trend.trend_score) as max_score,
        avg(trend.trend_score) as avg_score
    from public.trending_keywords as trend
    left join public.keyword_video_mappings as mapping on trend.keyword = mapping.keyword
    left join public.cached_videos as video on mapping.video_id = video.video_id
    where trend.valid_from >= now() - interval '30 days'
    group by
        private.korean_day(trend.valid_from),
        lower(coalesce(trend.category, video.ai_analysis -> 'categories' ->> 0, 'unknown')),
        trend.keyword
) as keyword_day
group by
    keyword_day.trend_date,
    keyword_day.category;
-- squawk-ignore require-concurrent-index-creation
create unique index category_trend_summary_key on private.category_trend_summary (trend_date, category);
-- The latest days of all categories.
-- squawk-ignore require-concurrent-index-creation
create index idx_trend_summary_date on private.category_trend_summary (trend_date desc);
comment on materialized view private.category_trend_summary is
'What trended in the last 30 days, by day in Korea and category. Refreshed every hour; people ask '
'public.category_trends().';
comment on column private.category_trend_summary.trend_date is 'Day in Korea.';
comment on column private.category_trend_summary.category is
'In lower case: of the trend, or else the first that the AI says of its videos; unknown where nobody says.';
comment on column private.category_trend_summary.trending_keyword_count is 'Keywords that trended.';
comment on column private.category_trend_summary.avg_trend_score is 'Mean of their mean scores, 0 to 1.';
comment on column private.category_trend_summary.top_keywords is 'Those with a score above 0.5, strongest first.';

create function private.refresh_summaries()
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    -- Concurrently: who reads meanwhile reads what was there before.
    refresh materialized view concurrently private.user_activity_summary;
    refresh materialized view concurrently private.category_trend_summary;
    select
        jsonb_build_object(
            'people', (select count(*) from private.user_activity_summary),
            'categories', (select count(*) from private.category_trend_summary)
        )
    into answer;
    return answer;
end
$$;
comment on function private.refresh_summaries() is 'Computes both summaries anew; returns how many rows they have.';

create function private.activity_of_caller()
returns table (
    searches bigint,
    clicks bigint,
    watch_time bigint,
    last_seen timestamptz,
    satisfaction numeric
)
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        summary.searches,
        summary.clicks,
        summary.watch_time,
        summary.last_seen,
        summary.satisfaction
    from private.user_activity_summary as summary
    where summary.user_id = (select private.user_id())
$$;
comment on function private.activity_of_caller() is
'The row of who asks. Reads past privileges: a materialized view has no policies, so nobody may read it directly.';

create function public.my_activity()
returns table (
    searches bigint,
    clicks bigint,
    watch_time bigint,
    last_seen timestamptz,
    satisfaction numeric
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        activity.searches,
        activity.clicks,
        activity.watch_time,
        activity.last_seen,
        activity.satisfaction
    from private.activity_of_caller() as activity
$$;
comment on function public.my_activity() is
'One''s own last 30 days as of the last full hour: searches, clicks, seconds watched, last seen, mean rating. No row '
'for who has not searched. For who is signed in.';

create function private.category_trends_for_premium(days integer)
returns table (
    trend_date date,
    category text,
    trending_keyword_count bigint,
    avg_trend_score double precision,
    top_keywords text[]
)
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        summary.trend_date,
        summary.category,
        summary.trending_keyword_count,
        summary.avg_trend_score,
        summary.top_keywords
    from private.category_trend_summary as summary
    where
        (select private.has_tier('premium'))
        and summary.trend_date > private.korean_day() - category_trends_for_premium.days
    order by
        summary.trend_date desc,
        summary.trending_keyword_count desc,
        summary.category asc
$$;
comment on function private.category_trends_for_premium(integer) is
'The last days of all categories, for premium and up. Reads past privileges: a materialized view has no policies.';

create function public.category_trends(days integer default 7)
returns table (
    trend_date date,
    category text,
    trending_keyword_count bigint,
    avg_trend_score double precision,
    top_keywords text[]
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        trend.trend_date,
        trend.category,
        trend.trending_keyword_count,
        trend.avg_trend_score,
        trend.top_keywords
    from private.category_trends_for_premium(least(greatest(coalesce(category_trends.days, 7), 0), 30)) as trend
$$;
comment on function public.category_trends(integer) is
'What trended on each of the last days in Korea, today among them, by category: at most 30. No rows below premium.';
