-- Promises that what YouTube's API said is gone after 30 days unless it was said again: ids stay, and what people did.

-- What is left to purge, and nothing else: an empty night reads one page of each.
create index cached_videos_to_purge on public.cached_videos (collected_at)
where purged_at is null;
create index cached_channels_to_purge on public.cached_channels (last_updated);
create index keyword_signals_to_purge on private.keyword_signals (bucket)
where views is not null and data_source <> 'internal';

create function private.longest_api_data()
returns interval
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select interval '720 hours'
$$;
comment on function private.longest_api_data() is
'How long data of YouTube''s API may be kept without asking again: 30 days, by its developer policies, III.E.4.';

create function private.purge_videos(
    before timestamptz,
    batch_size integer
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    held text[];
    busy text[];
    referred text[];
    emptied integer;
    deleted integer;
begin
    -- Waits for nobody: what is being written or referred to just now is left to the next run. Who waits for nobody
    -- is part of no circle, in whatever order ingest, folds, analyses and erasures lock the same rows.
    select array_agg(locked.video_id)
    into held
    from (
        select video.video_id
        from public.cached_videos as video
        where
            video.purged_at is null
            and video.collected_at < purge_videos.before
        order by video.collected_at
        limit purge_videos.batch_size
        for update skip locked
    ) as locked;
    if held is null then
        return jsonb_build_object('videos_deleted', 0, 'videos_emptied', 0);
    end if;

    -- Nobody can add to the held ones. What others hold of their mappings and scores keeps a video for the next run.
    with mappings as materialized (
        select mapping.id
        from public.keyword_video_mappings as mapping
        where mapping.video_id = any(held)
        order by
            mapping.keyword,
            mapping.video_id
        for update skip locked
    ),

    scores as materialized (
        select score.id
        from public.video_quality_scores as score
        where score.video_id = any(held)
        order by score.id
        for update skip locked
    )

    select array_agg(waiting.video_id)
    into busy
    from (
        select mapping.video_id
        from public.keyword_video_mappings as mapping
        where
            mapping.video_id = any(held)
            and mapping.id not in (
                select mappings.id
                from mappings
            )
        union
        select score.video_id
        from public.video_quality_scores as score
        where
            score.video_id = any(held)
            and score.id not in (
                select scores.id
                from scores
            )
    ) as waiting;
    if busy is not null then
        held := array(
            select ready.video_id
            from unnest(held) as ready (video_id)
            where ready.video_id <> all(busy)
        );
    end if;

    -- Asked after they are held: from now on nobody can refer to them.
    select array_agg(used.video_id)
    into referred
    from unnest(held) as used (video_id)
    where
        exists (
            select
            from public.video_interactions as interaction
            where interaction.video_id = used.video_id
        )
        or exists (
            select
            from public.user_feedback as feedback
            where feedback.video_id = used.video_id
        )
        or exists (
            select
            from private.playback_errors as report
            where report.video_id = used.video_id
        );

    delete from public.keyword_video_mappings as mapping
    where mapping.video_id = any(referred);
    delete from public.video_quality_scores as score
    where score.video_id = any(referred);
    update public.cached_videos as video
    set
        title = video.video_id,
        description = null,
        channel_id = null,
        channel_name = null,
        duration = null,
        view_count = null,
        like_count = null,
        comment_count = null,
        is_embeddable = false,
        region_restrictions = '{}',
        privacy_status = 'private',
        thumbnail_url = null,
        channel_thumbnail_url = null,
        category_id = null,
        category_name = null,
        tags = null,
        ai_analysis = null,
        published_at = null,
        quality_score = null,
        upload_status = null,
        is_age_restricted = null,
        live_broadcast = null,
        purged_at = now()
    where video.video_id = any(referred);
    get diagnostics emptied = row_count;

    delete from public.cached_videos as video
    where
        video.video_id = any(held)
        and video.video_id <> all(coalesce(referred, '{}'));
    get diagnostics deleted = row_count;
    return jsonb_build_object('videos_deleted', deleted, 'videos_emptied', emptied);
end
$$;
comment on function private.purge_videos(timestamptz, integer) is
'Deletes videos that no source spoke of since then; of those that people refer to only the id stays.';

create function private.purge_channels(
    before timestamptz,
    batch_size integer
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    unused text[];
    deleted integer;
    emptied integer;
begin
    select array_agg(locked.channel_id)
    into unused
    from (
        select channel.channel_id
        from public.cached_channels as channel
        where
            channel.last_updated < purge_channels.before
            and not exists (
                select
                from public.cached_videos as video
                where video.channel_id = channel.channel_id
            )
        order by channel.last_updated
        limit purge_channels.batch_size
        for update of channel skip locked
    ) as locked;
    -- Asked again now that it is held: a video may have come in between.
    delete from public.cached_channels as channel
    where
        channel.channel_id = any(unused)
        and not exists (
            select
            from public.cached_videos as video
            where video.channel_id = channel.channel_id
        );
    get diagnostics deleted = row_count;

    with outdated as materialized (
        select channel.channel_id
        from public.cached_channels as channel
        where
            channel.last_updated < purge_channels.before
            and (
                channel.subscriber_count is not null
                or channel.video_count is not null
                or channel.total_view_count is not null
                or channel.upload_frequency is not null
            )
        order by channel.last_updated
        limit purge_channels.batch_size
        for no key update skip locked
    )

    update public.cached_channels as channel
    set
        subscriber_count = null,
        video_count = null,
        total_view_count = null,
        upload_frequency = null
    from outdated
    where channel.channel_id = outdated.channel_id;
    get diagnostics emptied = row_count;
    return jsonb_build_object('channels_deleted', deleted, 'channels_emptied', emptied);
end
$$;
comment on function private.purge_channels(timestamptz, integer) is
'Deletes channels that no source spoke of since then and that have no video; of the others the statistics.';

create function private.purge_signals(
    before timestamptz,
    batch_size integer
)
returns bigint
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with held as materialized (
        select
            signal.region_code,
            signal.data_source,
            signal.bucket,
            signal.keyword
        from private.keyword_signals as signal
        where
            signal.bucket < purge_signals.before
            and signal.views is not null
            and signal.data_source <> 'internal'
        limit purge_signals.batch_size
        for no key update skip locked
    ),

    emptied as (
        update private.keyword_signals as signal
        set views = null
        from held
        where
            signal.region_code = held.region_code
            and signal.data_source = held.data_source
            and signal.bucket = held.bucket
            and signal.keyword = held.keyword
        returning 1
    )

    select count(*)
    from emptied
$$;
comment on function private.purge_signals(timestamptz, integer) is
'Empties the views of older signals, which are figures of an API; how often a keyword was seen is our own count.';

create function private.purge_api_data(
    batch_size integer default 2000,
    at timestamptz default now()
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    before constant timestamptz := purge_api_data.at - private.longest_api_data();
    counts jsonb;
begin
    counts := private.purge_videos(before, purge_api_data.batch_size);
    -- Afterwards, since a channel goes with its last video.
    return
        counts
        || private.purge_channels(before, purge_api_data.batch_size)
        || jsonb_build_object('signals_emptied', private.purge_signals(before, purge_api_data.batch_size * 10));
end
$$;
comment on function private.purge_api_data(integer, timestamptz) is
'Deletes a batch of what YouTube''s API said 30 days before the given time and not since. Returns what it did.';

create function private.api_data_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    with before as materialized (
        select api_data_health.at - private.longest_api_data() as moment
    ),

    -- What came in old, from a file, is due the next night.
    overdue as (
        select
            (
                select count(*)
                from public.cached_videos as video
                where
                    video.purged_at is null
                    and video.collected_at < before.moment
                    and video.cached_at < api_data_health.at - interval '25 hours'
            ) as videos,
            (
                select count(*)
                from public.cached_channels as channel
                where
                    channel.last_updated < before.moment - interval '25 hours'
                    and channel.subscriber_count is not null
            ) as channels,
            (
                select count(*)
                from private.keyword_signals as signal
                where
                    signal.bucket < before.moment - interval '25 hours'
                    and signal.views is not null
                    and signal.data_source <> 'internal'
            ) as signals
        from before
    )

    select
        overdue.videos + overdue.channels + overdue.signals = 0 as is_healthy,
        case
            when overdue.videos + overdue.channels + overdue.signals = 0
                then 'Nothing of YouTube''s API is older than 30 days.'
            else format(
                'Older than 30 days and still there: %s videos, %s channels, views of %s signals.',
                overdue.videos, overdue.channels, overdue.signals
            )
        end as detail,
        'Does shorts-purge-api-data run at night? select private.purge_api_data(); by hand takes a batch.' as hint,
        to_jsonb(overdue.*) as measured
    from overdue
$$;
comment on function private.api_data_health(timestamptz) is
'Nothing of YouTube''s API is kept longer than its terms allow.';
