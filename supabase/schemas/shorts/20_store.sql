-- Promises that a batch may be repeated and come in any order: good rows are kept, bad ones named, nothing doubled.

create function public.ingest_videos(videos jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform private.check_batch(videos);

    with read as materialized (
        select *
        from private.read_videos(videos)
    ),

    -- The newest news of each video that is not older than what is stored; sorted, so that two batches never deadlock.
    newest as materialized (
        select distinct on (read.video_id) read.*
        from read
        where
            read.code is null
            and not exists (
                select
                from public.cached_videos as stored
                where
                    stored.video_id = read.video_id
                    and stored.collected_at > read.collected_at
            )
        order by
            read.video_id asc,
            read.collected_at desc,
            read.index desc
    ),

    -- An empty object is news, "plays everywhere", but looks in an insert like the default of a row that says nothing.
    freed as materialized (
        select jsonb_object_agg(newest.video_id, true) as videos
        from newest
        where newest.region_restrictions = '{}'
    ),

    channels as (
        insert into public.cached_channels as stored (channel_id, channel_title, last_updated)
        select distinct on (newest.channel_id)
            newest.channel_id,
            coalesce(newest.channel_name, newest.channel_id),
            newest.collected_at
        from newest
        where newest.channel_id is not null
        order by
            newest.channel_id asc,
            newest.channel_name is null asc,
            newest.collected_at desc
        on conflict (channel_id) do update
            set
                channel_title = excluded.channel_title,
                last_updated = excluded.last_updated
            where
                stored.last_updated <= excluded.last_updated
                and stored.channel_title <> excluded.channel_title
                and excluded.channel_title <> excluded.channel_id
    ),

    stored_videos as (
        insert into public.cached_videos as stored (
            video_id,
            title,
            description,
            channel_id,
            channel_name,
            published_at,
            duration,
            category_id,
            view_count,
            like_count,
            comment_count,
            is_embeddable,
            privacy_status,
            upload_status,
            live_broadcast,
            is_age_restricted,
            region_restrictions,
            thumbnail_url,
            tags,
            collected_at,
            expires_at
        )
        select
            newest.video_id,
            newest.title,
            newest.description,
            newest.channel_id,
            newest.channel_name,
            newest.published_at,
            newest.duration,
            newest.category_id,
            newest.view_count,
            newest.like_count,
            newest.comment_count,
            newest.is_embeddable,
            newest.privacy_status,
            newest.upload_status,
            newest.live_broadcast,
            newest.is_age_restricted,
            coalesce(newest.region_restrictions, '{}'),
            newest.thumbnail_url,
            newest.tags,
            newest.collected_at,
            newest.collected_at + interval '7 days'
        from newest
        on conflict (video_id) do update
            set
                -- What the source left out keeps what is known.
                title = excluded.title,
                description = coalesce(excluded.description, stored.description),
                channel_id = coalesce(excluded.channel_id, stored.channel_id),
                channel_name = coalesce(excluded.channel_name, stored.channel_name),
                published_at = coalesce(excluded.published_at, stored.published_at),
                duration = coalesce(excluded.duration, stored.duration),
                category_id = coalesce(excluded.category_id, stored.category_id),
                view_count = coalesce(excluded.view_count, stored.view_count),
                like_count = coalesce(excluded.like_count, stored.like_count),
                comment_count = coalesce(excluded.comment_count, stored.comment_count),
                is_embeddable = coalesce(excluded.is_embeddable, stored.is_embeddable),
                privacy_status = coalesce(excluded.privacy_status, stored.privacy_status),
                upload_status = coalesce(excluded.upload_status, stored.upload_status),
                live_broadcast = coalesce(excluded.live_broadcast, stored.live_broadcast),
                is_age_restricted = coalesce(excluded.is_age_restricted, stored.is_age_restricted),
                region_restrictions = case
                    when
                        excluded.region_restrictions = '{}'
                        and (select freed.videos ? excluded.video_id from freed) is not true
                        then stored.region_restrictions
                    else excluded.region_restrictions
                end,
                thumbnail_url = coalesce(excluded.thumbnail_url, stored.thumbnail_url),
                tags = coalesce(excluded.tags, stored.tags),
                collected_at = excluded.collected_at,
                expires_at = excluded.expires_at,
                cached_at = now(),
                purged_at = null
            where
                stored.collected_at < excluded.collected_at
                or (
                    stored.collected_at = excluded.collected_at
                    and (
                        stored.title,
                        stored.description,
                        stored.channel_id,
                        stored.channel_name,
                        stored.published_at,
                        stored.duration,
                        stored.category_id,
                        stored.view_count,
                        stored.like_count,
                        stored.comment_count,
                        stored.is_embeddable,
                        stored.privacy_status,
                        stored.upload_status,
                        stored.live_broadcast,
                        stored.is_age_restricted,
                        stored.region_restrictions,
                        stored.thumbnail_url,
                        stored.tags,
                        stored.purged_at
                    ) is distinct from (
                        excluded.title,
                        coalesce(excluded.description, stored.description),
                        coalesce(excluded.channel_id, stored.channel_id),
                        coalesce(excluded.channel_name, stored.channel_name),
                        coalesce(excluded.published_at, stored.published_at),
                        coalesce(excluded.duration, stored.duration),
                        coalesce(excluded.category_id, stored.category_id),
                        coalesce(excluded.view_count, stored.view_count),
                        coalesce(excluded.like_count, stored.like_count),
                        coalesce(excluded.comment_count, stored.comment_count),
                        coalesce(excluded.is_embeddable, stored.is_embeddable),
                        coalesce(excluded.privacy_status, stored.privacy_status),
                        coalesce(excluded.upload_status, stored.upload_status),
                        coalesce(excluded.live_broadcast, stored.live_broadcast),
                        coalesce(excluded.is_age_restricted, stored.is_age_restricted),
                        case
                            when
                                excluded.region_restrictions = '{}'
                                and (select freed.videos ? excluded.video_id from freed) is not true
                                then stored.region_restrictions
                            else excluded.region_restrictions
                        end,
                        coalesce(excluded.thumbnail_url, stored.thumbnail_url),
                        coalesce(excluded.tags, stored.tags),
                        null
                    )
                )
        returning
            stored.video_id,
            stored.xmax = 0 as is_new
    ),

    mapped as (
        insert into public.keyword_video_mappings as stored (
            keyword,
            video_id,
            relevance_score,
            mapping_source,
            search_rank
        )
        select distinct on (item.word, newest.video_id)
            item.word,
            newest.video_id,
            coalesce(round((item.keyword -> 'relevance')::numeric, 15)::double precision, 0.0) as relevance_score,
            coalesce(item.keyword ->> 'source', 'youtube_api') as mapping_source,
            (item.keyword -> 'rank')::integer as search_rank
        from newest
        cross join lateral rows from (
            unnest(newest.words),
            jsonb_array_elements(newest.keywords)
        ) as item (word, keyword)
        order by
            item.word asc,
            newest.video_id asc,
            relevance_score desc,
            mapping_source asc,
            search_rank asc
        on conflict on constraint a_keyword_maps_to_a_video_once do update
            set
                relevance_score = excluded.relevance_score,
                mapping_source = excluded.mapping_source,
                -- A mention outside a search says nothing of the place in it.
                search_rank = coalesce(excluded.search_rank, stored.search_rank)
            where
                stored.relevance_score <> excluded.relevance_score
                or stored.mapping_source <> excluded.mapping_source
                or stored.search_rank is distinct from coalesce(excluded.search_rank, stored.search_rank)
        returning stored.video_id
    ),

    tally as (
        select
            (select count(*) from read) as received,
            (select count(*) from read where read.code is not null) as rejected,
            (select count(*) from stored_videos where stored_videos.is_new) as inserted,
            (
                select count(*)
                from (
                    select stored_videos.video_id
                    from stored_videos
                    union
                    select mapped.video_id
                    from mapped
                ) as changed
            ) as changed
    )

    select
        jsonb_build_object(
            'received', tally.received,
            'inserted', tally.inserted,
            'updated', tally.changed - tally.inserted,
            'unchanged', tally.received - tally.rejected - tally.changed,
            'rejected', (
                select
                    coalesce(
                        jsonb_agg(
                            jsonb_build_object('index', read.index, 'code', read.code, 'message', read.message)
                            order by read.index
                        ),
                        '[]'
                    )
                from read
                where read.code is not null
            )
        )
    into answer
    from tally;
    return answer;
end
$$;
comment on function public.ingest_videos(jsonb) is
'Stores at most 5000 videos with their channels and keywords. Repeating a batch changes nothing; older news never '
'overwrites newer; bad rows come back as {index, code, message}, see docs/errors.md.';

create function public.ingest_keyword_signals(signals jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    answer jsonb;
    known bigint;
    updated bigint := 0;
begin
    perform private.check_counts(signals);

    with read as materialized (
        select *
        from private.read_keyword_signals(signals)
    ),

    -- The last of each key; sorted, so that two batches never deadlock.
    newest as materialized (
        select distinct on (read.bucket, read.region_code, read.data_source, read.keyword collate "C")
            read.region_code,
            read.data_source,
            read.bucket,
            read.keyword,
            read.mentions,
            read.views
        from read
        where read.code is null
        order by
            read.bucket asc,
            read.region_code asc,
            read.data_source asc,
            read.keyword collate "C" asc,
            read.index desc,
            read.item desc
    ),

    stored_signals as (
        insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions, views)
        select
            newest.region_code,
            newest.data_source,
            newest.bucket,
            newest.keyword,
            newest.mentions,
            newest.views
        from newest
        on conflict (region_code, data_source, bucket, keyword) do nothing
        returning 1
    ),

    tally as (
        select
            (select count(*) from read) as received,
            (select count(*) from newest) as distinct_keys,
            (select count(*) from stored_signals) as inserted,
            (
                select
                    coalesce(
                        jsonb_agg(
                            jsonb_strip_nulls(
                                jsonb_build_object(
                                    'index', read.index,
                                    'item', read.item,
                                    'code', read.code,
                                    'message', read.message
                                )
                            )
                            order by read.index, read.item
                        ),
                        '[]'
                    )
                from read
                where read.code is not null
            ) as rejected
    )

    select
        jsonb_build_object('received', tally.received, 'inserted', tally.inserted, 'rejected', tally.rejected),
        tally.distinct_keys - tally.inserted
    into answer, known
    from tally;

    -- Most batches are all new: only for those that are not is it worth to read the stored rows.
    if known > 0 then
        insert into private.keyword_signals as stored (region_code, data_source, bucket, keyword, mentions, views)
        select
            newest.region_code,
            newest.data_source,
            newest.bucket,
            newest.keyword,
            newest.mentions,
            newest.views
        from (
            select distinct on (read.bucket, read.region_code, read.data_source, read.keyword collate "C") read.*
            from private.read_keyword_signals(signals) as read
            where read.code is null
            order by
                read.bucket asc,
                read.region_code asc,
                read.data_source asc,
                read.keyword collate "C" asc,
                read.index desc,
                read.item desc
        ) as newest
        inner join private.keyword_signals as present
            on
                newest.region_code = present.region_code
                and newest.data_source = present.data_source
                and newest.bucket = present.bucket
                and newest.keyword = present.keyword
        where
            present.mentions <> newest.mentions
            or present.views is distinct from coalesce(newest.views, present.views)
        order by
            newest.bucket asc,
            newest.region_code asc,
            newest.data_source asc,
            newest.keyword collate "C" asc
        on conflict (region_code, data_source, bucket, keyword) do update
            set
                mentions = excluded.mentions,
                views = coalesce(excluded.views, stored.views);
        get diagnostics updated = row_count;
    end if;

    return answer || jsonb_build_object(
        'updated', updated,
        'unchanged',
        (answer ->> 'received')::bigint - jsonb_array_length(answer -> 'rejected')
        - (answer ->> 'inserted')::bigint - updated
    );
end
$$;
comment on function public.ingest_keyword_signals(jsonb) is
'Sets hourly counts of keywords: at most 5000 elements, each one count or many of one hour in arrays, at most 50000 '
'counts. Repeating a batch changes nothing; bad rows come back as {index, item, code, message}, see docs/errors.md.';
