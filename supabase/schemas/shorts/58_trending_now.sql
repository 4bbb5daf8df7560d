-- Promises that everybody can read what trends now, and no more of it than that.

create function private.limited_trends(
    region text,
    at_most integer
)
returns table (
    keyword text,
    region_code text,
    trend_score double precision,
    growth_rate double precision,
    detected_at timestamptz,
    expires_at timestamptz
)
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        strongest.keyword::text,
        strongest.region_code::text,
        strongest.trend_score,
        strongest.growth_rate,
        strongest.detected_at,
        strongest.expires_at
    from (
        select distinct on (trend.keyword) trend.*
        from public.trending_keywords as trend
        where
            trend.region_code = limited_trends.region
            and trend.closed_at is null
            and trend.expires_at > now()
        order by
            trend.keyword asc,
            trend.trend_score desc
    ) as strongest
    order by
        strongest.trend_score desc,
        strongest.keyword asc
    limit at_most
$$;
comment on function private.limited_trends(text, integer) is
'The columns of a trend that are for everybody. Reads past the policy, which keeps full rows for premium and up.';

create function public.trending_now(
    region text default 'KR',
    "limit" integer default 10
)
returns table (
    keyword text,
    region_code text,
    trend_score double precision,
    growth_rate double precision,
    detected_at timestamptz,
    expires_at timestamptz
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        trend.keyword,
        trend.region_code,
        trend.trend_score,
        trend.growth_rate,
        trend.detected_at,
        trend.expires_at
    from private.limited_trends(
        coalesce(trending_now.region, 'KR'),
        least(greatest(coalesce(trending_now."limit", 10), 0), 50)
    ) as trend
$$;
comment on function public.trending_now(text, integer) is
'What trends in a region, strongest first: at most 50, and only what has not expired. For everybody.';
