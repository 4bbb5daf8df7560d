-- Promises that whoever commits a trend has told of it: events for webhooks and news for Realtime are in the same
-- transaction, and nothing that goes wrong in telling undoes the trend.

insert into ops.event_types (event_type, edge_function, for_subscribers, description)
values
('trend.detected', 'notify-trend', true, 'A keyword bursts: its score is above 0.8, or has risen through 0.8.'),
('trend.updated', 'trend-update', true, 'A trend is new, or its score, source or keyword has changed.');

create function private.trend_dedupe_key(
    keyword text,
    region_code text,
    detected_at timestamptz
)
returns text
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return region_code || ':' || to_char(detected_at at time zone 'UTC', 'YYYY-MM-DD') || ':' || keyword;
end
$$;
comment on function private.trend_dedupe_key(text, text, timestamptz) is
'One webhook event per keyword, region and UTC day, whichever sources saw it and however often it is detected.';

create function private.strong_trend_events(trend_ids uuid[])
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
language plpgsql
as $$
begin
    return (
        select
            jsonb_agg(
                jsonb_build_object(
                    'event_type', 'trend.detected',
                    'dedupe_key', private.trend_dedupe_key(trend.keyword, trend.region_code, trend.detected_at),
                    'data', jsonb_build_object(
                        'id', trend.id,
                        'keyword', trend.keyword,
                        'region_code', trend.region_code,
                        'data_source', trend.data_source,
                        'trend_score', trend.trend_score,
                        'growth_rate', trend.growth_rate,
                        'search_volume', trend.search_volume,
                        'z_score', trend.z_score,
                        'q_value', trend.q_value,
                        'model_version', trend.model_version,
                        'detected_at', trend.detected_at,
                        'expires_at', trend.expires_at
                    )
                )
                order by trend.trend_score desc
            )
        from public.trending_keywords as trend
        where trend.id = any(trend_ids)
    );
end
$$;
comment on function private.strong_trend_events(uuid[]) is
'The events trend.detected of these trends, as ops.enqueue takes them; null when there are none.';

create function private.changed_trend_events(
    trend_ids uuid[],
    previous_scores double precision[],
    change text
)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
language plpgsql
as $$
begin
    return (
        select
            jsonb_agg(
                jsonb_build_object(
                    'event_type', 'trend.updated',
                    'dedupe_key', concat_ws(':', trend.id, trend.updated_at, trend.trend_score),
                    'data', jsonb_build_object(
                        'id', trend.id,
                        'keyword', trend.keyword,
                        'region_code', trend.region_code,
                        'data_source', trend.data_source,
                        'trend_score', trend.trend_score,
                        'previous_score', changed.previous_score,
                        'growth_rate', trend.growth_rate,
                        'detected_at', trend.detected_at,
                        'expires_at', trend.expires_at,
                        'model_version', trend.model_version,
                        'change', changed_trend_events.change
                    )
                )
                order by trend.id
            )
        from public.trending_keywords as trend
        inner join unnest(trend_ids, previous_scores) as changed (id, previous_score) on trend.id = changed.id
    );
end
$$;
comment on function private.changed_trend_events(uuid[], double precision[], text) is
'The events trend.updated of these trends, each with its score before; null when there are none.';

create function private.notify_trending_keyword()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    written uuid[];
    strong uuid[];
begin
    select
        array_agg(trend.id),
        array_agg(trend.id) filter (where trend.trend_score > 0.8)
    into
        written,
        strong
    from new_trends as trend;
    -- An upsert that only updated fires this too, with nothing.
    if written is not null then
        -- In one call: the secrets that a wake-up needs are read once.
        perform ops.enqueue(
            null,
            coalesce(private.strong_trend_events(strong), '[]')
            || private.changed_trend_events(written, array[]::double precision[], 'inserted')
        );
        perform private.add_trend_news(written, 'inserted');
    end if;
    return null;
exception
    when others then
        raise warning 'new trends were not told: %', sqlerrm;
        return null;
end
$$;
comment on function private.notify_trending_keyword() is
'Tells of new trends, a statement at a time. Neither Realtime nor the outbox can fail the write.';

create trigger trending_keyword_notification
after insert on public.trending_keywords
referencing new table as new_trends
for each statement
execute function private.notify_trending_keyword();

create function private.notify_trend_update()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    changed uuid[];
    previous_scores double precision[];
    risen uuid[];
begin
    select
        array_agg(now_trend.id order by now_trend.id),
        array_agg(old_trend.trend_score order by now_trend.id),
        array_agg(now_trend.id) filter (where now_trend.trend_score > 0.8 and old_trend.trend_score <= 0.8)
    into
        changed,
        previous_scores,
        risen
    from new_trends as now_trend
    inner join old_trends as old_trend on now_trend.id = old_trend.id
    where
        (now_trend.trend_score, now_trend.data_source, now_trend.keyword)
        is distinct from (old_trend.trend_score, old_trend.data_source, old_trend.keyword);
    if changed is not null then
        perform ops.enqueue(
            null,
            coalesce(private.strong_trend_events(risen), '[]')
            || private.changed_trend_events(changed, previous_scores, 'updated')
        );
        perform private.add_trend_news(changed, 'updated');
    end if;
    return null;
exception
    when others then
        raise warning 'changed trends were not told: %', sqlerrm;
        return null;
end
$$;
comment on function private.notify_trend_update() is
'Tells of trends whose score, source or keyword really changed, and anew of those that rose through 0.8.';

create trigger trend_update_notification
after update on public.trending_keywords
referencing old table as old_trends new table as new_trends
for each statement
execute function private.notify_trend_update();

-- A hosted project has this publication; a plain Postgres does not.
do $$
begin
    if exists (
        select
        from pg_catalog.pg_publication
        where pubname = 'supabase_realtime'
    ) then
        alter publication supabase_realtime
        add table public.trending_keywords, public.search_sessions, public.user_feedback;
        -- Else partitions would be published instead, whose names nobody knows.
        alter publication supabase_realtime set (publish_via_partition_root = true);
        -- No policy filters deletes: everybody who listens would learn the ids of everybody's rows.
        alter publication supabase_realtime set (publish = 'insert, update');
    end if;
end
$$;
