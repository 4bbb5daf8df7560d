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
        -- 0 is what a search has that nobody timed.
        round(avg(session.response_time_ms) filter (where session.response_time_ms > 0), 2) as avg_response_time,
        count(*) filter (where session.cache_hit) as cache_hit_count,
        count(distinct session.user_id) as active_users,
        round(avg(session.user_satisfaction_rating), 2) as avg_satisfaction
    from public.search_sessions as session
    where session.session_started_at > now() - interval '1 hour'
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
comment on view ops.performance_dashboard is 'Seven figures of the room in one row.';
comment on column ops.performance_dashboard.active_cache_count is 'Videos that were asked for in the last hour.';
comment on column ops.performance_dashboard.avg_cache_hits is 'Mean hits of a video that has any; null while none has.';
comment on column ops.performance_dashboard.avg_response_time is
'Mean milliseconds until the results of a search of the last hour; null while none was timed.';
comment on column ops.performance_dashboard.cache_hit_count is
'Searches of the last hour whose question had been answered a little before.';
comment on column ops.performance_dashboard.active_users is 'People who searched in the last hour.';
comment on column ops.performance_dashboard.avg_satisfaction is
'Mean rating of the last hour''s searches, 1 to 5; null while none is rated.';
comment on column ops.performance_dashboard.last_updated is 'When it was asked.';

grant select on ops.performance_dashboard to app_service;

create function private.shorts_figures(at timestamptz)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select to_jsonb(dashboard) - 'last_updated'
    from ops.performance_dashboard as dashboard
$$;
comment on function private.shorts_figures(timestamptz) is
'The room''s dashboard, for the history of figures that the floor keeps.';
