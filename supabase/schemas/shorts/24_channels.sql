-- Promises that channels come in like videos do, in any order and again, and that their statistics follow their videos.

create function private.read_channels(channels jsonb)
returns table (
    index integer,
    code text,
    message text,
    channel_id text,
    title text,
    content_language text,
    thumbnail_url text,
    subscriber_count bigint,
    video_count integer,
    total_view_count bigint,
    published_at timestamptz,
    collected_at timestamptz
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Materialized: the planner would else read each field again for every rule.
    with given as materialized (
        select
            (item.ordinality - 1)::integer as index,
            case when jsonb_typeof(item.value) = 'object' then jsonb_strip_nulls(item.value) end as channel
        from jsonb_array_elements(channels) with ordinality as item (value, ordinality)
    ),

    typed as materialized (
        select
            given.index,
            given.channel,
            given.channel ->> 'channel_id' as channel_id,
            btrim(given.channel ->> 'title') as title,
            given.channel ->> 'content_language' as content_language,
            given.channel ->> 'thumbnail_url' as thumbnail_url,
            case
                when pg_input_is_valid(given.channel ->> 'subscriber_count', 'bigint')
                    then (given.channel ->> 'subscriber_count')::bigint
            end as subscriber_count,
            case
                when pg_input_is_valid(given.channel ->> 'video_count', 'integer')
                    then (given.channel ->> 'video_count')::integer
            end as video_count,
            case
                when pg_input_is_valid(given.channel ->> 'total_view_count', 'bigint')
                    then (given.channel ->> 'total_view_count')::bigint
            end as total_view_count,
            case
                when
                    given.channel ->> 'published_at' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.channel ->> 'published_at', 'timestamptz')
                    then (given.channel ->> 'published_at')::timestamptz
            end as published_at,
            case
                when
                    given.channel ->> 'collected_at' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.channel ->> 'collected_at', 'timestamptz')
                    then (given.channel ->> 'collected_at')::timestamptz
            end as collected_at
        from given
    )

    select
        typed.index,
        problem.code,
        problem.message,
        typed.channel_id,
        typed.title,
        typed.content_language,
        typed.thumbnail_url,
        typed.subscriber_count,
        typed.video_count,
        typed.total_view_count,
        typed.published_at,
        typed.collected_at
    from typed
    left join lateral (
        select
            rule.code,
            rule.message
        from (
            values
            (typed.channel is null, 'ON001', 'the row is not an object'),
            (
                'string' <> any(array[
                    jsonb_typeof(typed.channel -> 'channel_id'),
                    jsonb_typeof(typed.channel -> 'title'),
                    jsonb_typeof(typed.channel -> 'content_language'),
                    jsonb_typeof(typed.channel -> 'thumbnail_url')
                ]),
                'ON003',
                'one of channel_id, title, content_language, thumbnail_url is not text'
            ),
            (
                coalesce(typed.channel_id !~ '^[A-Za-z0-9_-]{1,50}$', true),
                'ON002',
                'channel_id is not an id of at most 50 letters, digits, _ and -'
            ),
            (coalesce(typed.title = '', true), 'ON003', 'title is missing or empty'),
            (length(typed.title) > 200, 'ON004', 'title is longer than 200 characters'),
            (length(typed.thumbnail_url) > 2000, 'ON004', 'thumbnail_url is longer than 2000 characters'),
            (typed.collected_at is null, 'ON005', 'collected_at is missing or is not an ISO 8601 time'),
            (
                typed.channel ? 'published_at' and typed.published_at is null,
                'ON005',
                'published_at is not an ISO 8601 time'
            ),
            (
                typed.collected_at not between '2005-01-01 00:00+00' and now() + interval '1 hour',
                'ON006',
                'collected_at is before YouTube or in the future'
            ),
            (
                typed.published_at not between '2005-01-01 00:00+00' and now() + interval '1 hour',
                'ON006',
                'published_at is before YouTube or in the future'
            ),
            (
                typed.channel ? 'subscriber_count'
                and coalesce(typed.subscriber_count not between 0 and 100000000000, true),
                'ON007',
                'subscriber_count is not a whole number from 0 to 100000000000'
            ),
            (
                typed.channel ? 'video_count' and coalesce(typed.video_count < 0, true),
                'ON007',
                'video_count is not a whole number from 0 to 2147483647'
            ),
            (
                typed.channel ? 'total_view_count'
                and coalesce(typed.total_view_count not between 0 and 1000000000000000, true),
                'ON007',
                'total_view_count is not a whole number from 0 to 1000000000000000'
            ),
            (
                length(typed.content_language) > 10
                or typed.content_language !~ '^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$',
                'ON009',
                'content_language is not a language such as ko or zh-Hant'
            )
        ) as rule (is_broken, code, message)
        where rule.is_broken
        limit 1
    ) as problem on true
$$;
comment on function private.read_channels(jsonb) is
'The batch as typed rows, each with its first problem or none. Never raises, whatever an element holds.';

create function public.ingest_channels(channels jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform private.check_batch(channels);

    with read as materialized (
        select *
        from private.read_channels(channels)
    ),

    -- The newest news of each channel; sorted, so that two batches never deadlock.
    newest as materialized (
        select distinct on (read.channel_id) read.*
        from read
        where read.code is null
        order by
            read.channel_id asc,
            read.collected_at desc,
            read.index desc
    ),

    stored_channels as (
        insert into public.cached_channels as stored (
            channel_id,
            channel_title,
            content_language,
            thumbnail_url,
            subscriber_count,
            video_count,
            total_view_count,
            published_at,
            collected_at,
            last_updated
        )
        select
            newest.channel_id,
            newest.title,
            newest.content_language,
            newest.thumbnail_url,
            newest.subscriber_count,
            newest.video_count,
            newest.total_view_count,
            newest.published_at,
            newest.collected_at,
            newest.collected_at
        from newest
        on conflict (channel_id) do update
            set
                -- A video that was collected later knows the newer name.
                channel_title = case
                    when stored.last_updated <= excluded.last_updated or stored.channel_title = stored.channel_id
                        then excluded.channel_title
                    else stored.channel_title
                end,
                -- What the source left out keeps what is known.
                content_language = coalesce(excluded.content_language, stored.content_language),
                thumbnail_url = coalesce(excluded.thumbnail_url, stored.thumbnail_url),
                subscriber_count = coalesce(excluded.subscriber_count, stored.subscriber_count),
                video_count = coalesce(excluded.video_count, stored.video_count),
                total_view_count = coalesce(excluded.total_view_count, stored.total_view_count),
                published_at = coalesce(excluded.published_at, stored.published_at),
                collected_at = excluded.collected_at,
                last_updated = greatest(stored.last_updated, excluded.last_updated)
            where
                stored.collected_at is null
                or stored.collected_at < excluded.collected_at
                or (
                    stored.collected_at = excluded.collected_at
                    and (
                        stored.content_language,
                        stored.thumbnail_url,
                        stored.subscriber_count,
                        stored.video_count,
                        stored.total_view_count,
                        stored.published_at,
                        stored.channel_title
                    ) is distinct from (
                        coalesce(excluded.content_language, stored.content_language),
                        coalesce(excluded.thumbnail_url, stored.thumbnail_url),
                        coalesce(excluded.subscriber_count, stored.subscriber_count),
                        coalesce(excluded.video_count, stored.video_count),
                        coalesce(excluded.total_view_count, stored.total_view_count),
                        coalesce(excluded.published_at, stored.published_at),
                        case
                            when
                                stored.last_updated <= excluded.last_updated
                                or stored.channel_title = stored.channel_id
                                then excluded.channel_title
                            else stored.channel_title
                        end
                    )
                )
        returning stored.xmax = 0 as is_new
    ),

    tally as (
        select
            (select count(*) from read) as received,
            (select count(*) from read where read.code is not null) as rejected,
            (select count(*) from stored_channels where stored_channels.is_new) as inserted,
            (select count(*) from stored_channels where not stored_channels.is_new) as updated
    )

    select
        jsonb_build_object(
            'received', tally.received,
            'inserted', tally.inserted,
            'updated', tally.updated,
            'unchanged', tally.received - tally.rejected - tally.inserted - tally.updated,
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
comment on function public.ingest_channels(jsonb) is
'Stores at most 5000 channels. Repeating a batch changes nothing; older news never overwrites newer; bad rows come '
'back as {index, code, message}, see docs/errors.md. For the service.';

create table private.channel_statistics (
    channel_id varchar(50) primary key references public.cached_channels (channel_id) on delete cascade,
    usual_engagement numeric(6, 4) not null,
    evenness numeric(3, 2),
    scored_at timestamptz not null,
    changed_at timestamptz not null,
    constraint channel_statistics_are_fractions check (usual_engagement between 0 and 1 and evenness between 0 and 1)
);
alter table private.channel_statistics enable row level security;
comment on table private.channel_statistics is
'What the scores of a channel''s videos need of it. Rounded, so that one video more does not score all anew.';
comment on column private.channel_statistics.usual_engagement is 'What engagement its videos usually have, 0 to 1.';
comment on column private.channel_statistics.evenness is 'How even they are, 0 to 1; null below three videos.';
comment on column private.channel_statistics.scored_at is 'When it was last looked at.';
comment on column private.channel_statistics.changed_at is
'When a figure that its videos'' scores are made of last changed: these, or its trust_score.';

create function private.score_channels(batch_size integer default 5000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    scored bigint;
    changed bigint;
begin
    -- One run at a time: a second one would do the same.
    perform pg_advisory_xact_lock(hashtextextended('shorts-score-channels', 0));

    with touched as materialized (
        select
            video.channel_id,
            max(video.updated_at) as touched_at
        from public.cached_videos as video
        where video.channel_id is not null
        group by video.channel_id
    ),

    -- A minute back: what began before the last run and ended after it was not seen by it. Weekly, since channels
    -- age. What is being written just now is left to the next run.
    due as materialized (
        select
            channel.channel_id,
            channel.subscriber_count,
            channel.video_count,
            channel.published_at
        from public.cached_channels as channel
        where
            channel.channel_id in (
                select candidate.channel_id
                from public.cached_channels as candidate
                left join private.channel_statistics as known on candidate.channel_id = known.channel_id
                left join touched on candidate.channel_id = touched.channel_id
                where
                    known.channel_id is null
                    or greatest(candidate.updated_at, touched.touched_at) > known.scored_at - interval '1 minute'
                    or known.scored_at < now() - interval '7 days'
                order by
                    known.scored_at asc nulls first,
                    candidate.channel_id asc
                limit score_channels.batch_size
            )
        order by channel.channel_id
        for no key update skip locked
    ),

    seen as materialized (
        select
            video.channel_id,
            count(*) filter (
                where video.is_embeddable is not null and video.privacy_status is not null
            ) as videos,
            count(*) filter (where video.is_playable and video.times_taken_out = 0) as kept,
            count(*) filter (where video.view_count > 0 and video.like_count is not null) as rated,
            sum(private.engagement_rate(video.like_count, video.comment_count, video.view_count)) filter (
                where video.view_count > 0 and video.like_count is not null
            ) as total_of_rates,
            private.evenness(
                stddev_samp(ln(1 + video.view_count::double precision)),
                avg(ln(1 + video.view_count::double precision)),
                count(video.view_count)
            ) as evenness,
            count(video.view_count) as compared,
            avg(video.quality_score) as quality,
            count(*) filter (where video.published_at > now() - interval '90 days') / (90.0 / 7) as a_week,
            count(video.published_at) as dated,
            mode() within group (
                order by left(coalesce(video.category_name, video.category_id::text), 50)
            ) as category
        from public.cached_videos as video
        where
            video.channel_id in (
                select due.channel_id
                from due
            )
            and video.purged_at is null
        group by video.channel_id
    ),

    figures as materialized (
        select
            due.channel_id,
            round(private.channel_engagement(seen.total_of_rates, seen.rated)::numeric, 4) as usual_engagement,
            round(seen.evenness::numeric, 2) as evenness,
            private.channel_trust(
                now() - due.published_at,
                due.subscriber_count,
                coalesce(seen.kept, 0),
                coalesce(seen.videos, 0),
                seen.evenness,
                seen.compared
            ) as trust_score,
            round(seen.quality::numeric, 2) as avg_video_quality,
            seen.category as primary_category,
            -- What was seen in 90 days is the least that it can be; its own figures know all videos of its life.
            round(
                greatest(
                    case when seen.dated > 0 then least(seen.a_week, 99.99) end,
                    case
                        when due.published_at < now() - interval '7 days' and due.video_count is not null
                            then
                                least(
                                    due.video_count / (extract(epoch from now() - due.published_at) / 604800),
                                    99.99
                                )
                    end
                ),
                2
            ) as upload_frequency
        from due
        left join seen on due.channel_id = seen.channel_id
    ),

    compared as materialized (
        select
            figures.*,
            known.channel_id is null
            or (known.usual_engagement, known.evenness, channel.trust_score)
            is distinct from (figures.usual_engagement, figures.evenness, figures.trust_score) as is_changed
        from figures
        inner join public.cached_channels as channel on figures.channel_id = channel.channel_id
        left join private.channel_statistics as known on figures.channel_id = known.channel_id
    ),

    noted as (
        insert into private.channel_statistics as stored (
            channel_id, usual_engagement, evenness, scored_at, changed_at
        )
        select
            compared.channel_id,
            compared.usual_engagement,
            compared.evenness,
            now(),
            now()
        from compared
        order by compared.channel_id
        on conflict (channel_id) do update
            set
                usual_engagement = excluded.usual_engagement,
                evenness = excluded.evenness,
                scored_at = excluded.scored_at,
                changed_at = case
                    when stored.channel_id in (select compared.channel_id from compared where compared.is_changed)
                        then excluded.changed_at
                    else stored.changed_at
                end
    ),

    written as (
        update public.cached_channels as channel
        set
            trust_score = compared.trust_score,
            avg_video_quality = compared.avg_video_quality,
            primary_category = compared.primary_category,
            upload_frequency = compared.upload_frequency
        from compared
        where
            channel.channel_id = compared.channel_id
            and (
                channel.trust_score,
                channel.avg_video_quality,
                channel.primary_category,
                channel.upload_frequency
            ) is distinct from (
                compared.trust_score,
                compared.avg_video_quality,
                compared.primary_category,
                compared.upload_frequency
            )
        returning channel.channel_id
    )

    select
        (select count(*) from compared),
        (select count(*) from written)
    into scored, changed;
    return jsonb_build_object('scored', scored, 'changed', changed);
end
$$;
comment on function private.score_channels(integer) is
'Computes the statistics and the trust of channels that changed, or whose videos did: at most batch_size of them.';
