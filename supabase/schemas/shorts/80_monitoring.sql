-- Promises the room's figures at a glance, for operators: they are about everybody's use.

create view ops.performance_dashboard
with (security_invoker = true)
as
with videos as (
    select
        count(*) filter (where video.last_accessed_at > now() - interval '1 hour') as active_cache_count,
        round(avg(video.cache_hit_count) filter (where video.cache_hit_count > 0), 2) as avg_cache_hits
    from public.cached_videos as video
),

searches as (
    select
        null::numeric as avg_response_time,
        null::bigint as cache_hit_count,
        null::bigint as active_users,
        null::numeric as avg_satisfaction
)

select
    videos.active_cache_count,
    videos.avg_cache_hits,
    searches.avg_response_time,
    searches.cache_hit_count,
    searches.active_users,
    searches.avg_satisfaction,
    now() as last_updated
from videos
cross join searches;
comment on view ops.performance_dashboard is
'Seven figures of the room in one row. What is measured per search is null until searches are recorded.';
comment on column ops.performance_dashboard.active_cache_count is 'Videos that were asked for in the last hour.';
comment on column ops.performance_dashboard.avg_cache_hits is 'Mean hits of a video that has any; null while none has.';
comment on column ops.performance_dashboard.avg_response_time is
'Mean milliseconds of a search in the last hour; null while searches are not recorded.';
comment on column ops.performance_dashboard.cache_hit_count is
'Searches of the last hour that the cache answered; null while searches are not recorded.';
comment on column ops.performance_dashboard.active_users is
'People who searched in the last hour; null while searches are not recorded.';
comment on column ops.performance_dashboard.avg_satisfaction is
'Mean rating of the last hour''s searches; null while searches are not recorded.';
comment on column ops.performance_dashboard.last_updated is 'When it was asked.';

grant select on ops.performance_dashboard to app_service;
