-- Promises that whoever commits a trend has told of it: a webhook event above 0.8, a broadcast for everybody.

create function private.trend_dedupe_key(
    keyword text,
    region_code text,
    detected_at timestamptz
)
returns text
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select region_code || ':' || to_char(detected_at at time zone 'UTC', 'YYYY-MM-DD') || ':' || keyword
$$;
comment on function private.trend_dedupe_key(text, text, timestamptz) is
'One webhook event per keyword, region and UTC day, whichever sources saw it and however often it is detected.';

create function private.notify_trending_keyword()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    news uuid[];
    strong uuid[];
    events jsonb;
begin
    if tg_op = 'INSERT' then
        select
            array_agg(new_trend.id),
            array_agg(new_trend.id) filter (where new_trend.trend_score > 0.8)
        into
            news,
            strong
        from new_trends as new_trend;
    else
        select
            array_agg(new_trend.id) filter (
                where new_trend.trend_score <> old_trend.trend_score or new_trend.detected_at <> old_trend.detected_at
            ),
            array_agg(new_trend.id) filter (where new_trend.trend_score > 0.8 and old_trend.trend_score <= 0.8)
        into
            news,
            strong
        from new_trends as new_trend
        inner join old_trends as old_trend on new_trend.id = old_trend.id;
    end if;

    select
        jsonb_agg(
            jsonb_build_object(
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
    into events
    from public.trending_keywords as trend
    where trend.id = any(strong);
    if events is not null then
        perform ops.enqueue('trend.detected', events);
    end if;

    begin
        perform
            realtime.send(
                jsonb_build_object(
                    'keyword', trend.keyword,
                    'region_code', trend.region_code,
                    'trend_score', trend.trend_score,
                    'growth_rate', trend.growth_rate,
                    'detected_at', trend.detected_at
                ),
                'trend',
                'trends',
                -- On a public topic any client could send, and its trends would look like ours.
                true
            )
        from public.trending_keywords as trend
        where trend.id = any(news);
    exception
        when others then
            raise warning 'trends were not broadcast: %', sqlerrm;
    end;
    return null;
end
$$;
comment on function private.notify_trending_keyword() is
'Tells of new and of risen trends, a statement at a time. Neither Realtime nor the outbox can fail the write.';

create trigger trending_keyword_notification
after insert on public.trending_keywords
referencing new table as new_trends
for each statement
execute function private.notify_trending_keyword();

create trigger trend_rise_notification
after update on public.trending_keywords
referencing old table as old_trends new table as new_trends
for each statement
execute function private.notify_trending_keyword();

create function public.receive_trend_event(
    webhook_id text,
    event jsonb
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if coalesce(length(receive_trend_event.webhook_id) not between 1 and 255, true) then
        raise exception using
            errcode = 'PT400',
            message = 'The webhook has no id of 1 to 255 characters.';
    end if;
    if event ->> 'type' is distinct from 'trend.detected' or event #>> '{data,keyword}' is null then
        raise exception using
            errcode = 'PT400',
            message = 'The event is no trend.detected event with a keyword.',
            hint = 'Send the body of the webhook unchanged.';
    end if;
    insert into ops.webhook_receipts (webhook_id, event)
    values (receive_trend_event.webhook_id, receive_trend_event.event)
    on conflict on constraint webhook_receipts_pkey do nothing;
    return jsonb_build_object('duplicate', not found);
end
$$;
comment on function public.receive_trend_event(text, jsonb) is
'Takes a verified webhook: the receipt and what it leads to are one transaction, so it happens once.';

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
