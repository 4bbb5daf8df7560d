-- Promises that what must be looked up at YouTube is looked up once, the most urgent first, and is never lost.
-- No pgmq: Debian has no package of it, and a table keyed by video_id dedupes by its key and knows priorities.

create function private.refresh_priority(reason text)
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select array_position(array['player_error', 'requested', 'discovered', 'expiring', 'unknown'], reason)
$$;
comment on function private.refresh_priority(text) is
'How urgent the reason is, 1 first: what people see fail, what they ask for, what is new, what was known, the rest.';

create table private.refresh_queue (
    video_id varchar(20) primary key,
    reason text not null,
    priority integer not null generated always as (private.refresh_priority(reason)) stored,
    demand integer not null default 0,
    region varchar(2),
    attempts integer not null default 0,
    last_problem text,
    due_at timestamptz not null default now(),
    queued_at timestamptz not null default now(),
    lease uuid,
    leased_until timestamptz,
    constraint video_id_is_an_id check (video_id ~ '^[A-Za-z0-9_-]+$'),
    constraint reason_is_known check (
        reason in ('player_error', 'requested', 'discovered', 'expiring', 'unknown')
    ),
    constraint queue_counts_are_not_negative check (demand >= 0 and attempts >= 0),
    constraint a_lease_ends check ((lease is null) = (leased_until is null))
);
alter table private.refresh_queue enable row level security;
create index refresh_queue_by_urgency on private.refresh_queue (priority, demand desc, due_at, video_id);
create index refresh_queue_by_lease on private.refresh_queue (lease)
where lease is not null;
comment on table private.refresh_queue is
'Videos to look up at YouTube, each once. Unknown ids are queued too, so nothing refers to cached_videos.';
comment on column private.refresh_queue.demand is
'How often the cache had served it when it was queued: more goes first.';
comment on column private.refresh_queue.attempts is 'How often it was tried in vain: each time it waits longer.';
comment on column private.refresh_queue.due_at is 'Not to be tried before.';
comment on column private.refresh_queue.lease is 'Who has it in hand; up for grabs again once leased_until is over.';

create table private.refresh_keywords (
    video_id varchar(20) not null references private.refresh_queue (video_id) on delete cascade,
    keyword varchar(255) not null,
    search_rank integer,
    primary key (video_id, keyword),
    constraint search_rank_is_positive check (search_rank > 0)
);
alter table private.refresh_keywords enable row level security;
comment on table private.refresh_keywords is
'What was searched for when a queued video was found: becomes a mapping once the video is known.';

-- What the queue is filled from, and what ingest_status counts without reading the videos.
create index cached_videos_to_refresh on public.cached_videos (expires_at)
include (collected_at, is_playable, is_shorts)
where purged_at is null and upload_status is distinct from 'deleted';
create index cached_videos_unknown on public.cached_videos (collected_at)
where purged_at is null and (is_embeddable is null or privacy_status is null);
create index cached_videos_taken_out on public.cached_videos (player_error_at)
where player_error_code is not null;
create index cached_videos_deleted on public.cached_videos (collected_at)
where purged_at is null and upload_status = 'deleted';

create function private.second_chance_wait(times_taken_out integer)
returns interval
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        least(
            interval '1 hour' * power(4, least(greatest(coalesce(times_taken_out, 1), 1), 10) - 1),
            interval '7 days'
        )
$$;
comment on function private.second_chance_wait(integer) is
'How long a video stays out that players could not play: an hour, 4, 16, 64, then 7 days.';

create function private.player_error_after(
    player_error_code integer,
    player_error_at timestamptz,
    times_taken_out integer,
    collected_at timestamptz,
    plays boolean
)
returns integer
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        case
            when
                coalesce(plays, false)
                and collected_at > coalesce(player_error_at, '-infinity')
                and now() >= coalesce(player_error_at, '-infinity') + private.second_chance_wait(times_taken_out)
                then null
            else player_error_code
        end
$$;
comment on function private.player_error_after(integer, timestamptz, integer, timestamptz, boolean) is
'The players'' error that is left after news of a source: none when the news is younger than the error, says that the '
'video plays, and the wait is over.';

create function private.search_relevance(search_rank integer)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select coalesce(1 / (1 + ln(search_rank::double precision)), 1)
$$;
comment on function private.search_relevance(integer) is
'How well the video at this place of a search answers it: 1 for the first or an unknown place, 0.3 for the tenth.';

create function private.read_queued_videos(videos jsonb)
returns table (
    index integer,
    code text,
    message text,
    video_id text,
    reason text,
    keyword text,
    search_rank integer,
    region text
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
            case when jsonb_typeof(item.value) = 'object' then jsonb_strip_nulls(item.value) end as video
        from jsonb_array_elements(videos) with ordinality as item (value, ordinality)
    ),

    typed as materialized (
        select
            given.index,
            given.video,
            given.video ->> 'video_id' as video_id,
            given.video ->> 'reason' as reason,
            given.video ->> 'region' as region,
            private.normalize_keyword(given.video ->> 'keyword') as keyword,
            case
                when pg_input_is_valid(given.video ->> 'rank', 'integer')
                    then (given.video ->> 'rank')::integer
            end as search_rank
        from given
    )

    select
        typed.index,
        problem.code,
        problem.message,
        typed.video_id,
        typed.reason,
        typed.keyword,
        typed.search_rank,
        typed.region
    from typed
    left join lateral (
        select
            rule.code,
            rule.message
        from (
            values
            (typed.video is null, 'ON001', 'the row is not an object'),
            (
                'string' <> any(array[
                    jsonb_typeof(typed.video -> 'video_id'),
                    jsonb_typeof(typed.video -> 'reason'),
                    jsonb_typeof(typed.video -> 'keyword'),
                    jsonb_typeof(typed.video -> 'region')
                ]),
                'ON003',
                'one of video_id, reason, keyword, region is not text'
            ),
            (
                coalesce(typed.video_id !~ '^[A-Za-z0-9_-]{1,20}$', true),
                'ON002',
                'video_id is not an id of at most 20 letters, digits, _ and -'
            ),
            (typed.keyword = '', 'ON003', 'keyword is empty'),
            (length(typed.keyword) > 255, 'ON004', 'keyword is longer than 255 characters'),
            (
                typed.video ? 'rank' and coalesce(typed.search_rank not between 1 and 1000, true),
                'ON007',
                'rank is not a whole number from 1 to 1000'
            ),
            (
                typed.region <> all(private.region_codes()),
                'ON008',
                'region is not an ISO 3166 code of two capital letters'
            ),
            (
                coalesce(typed.reason not in ('discovered', 'requested'), true),
                'ON009',
                'reason is none of discovered, requested'
            )
        ) as rule (is_broken, code, message)
        where rule.is_broken
        limit 1
    ) as problem on true
$$;
comment on function private.read_queued_videos(jsonb) is
'The batch as typed rows, each with its first problem or none. Never raises, whatever an element holds.';

create function private.map_searches(searches jsonb)
returns integer
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    mapped integer;
begin
    insert into public.keyword_video_mappings as stored (
        keyword,
        video_id,
        relevance_score,
        search_rank,
        mapping_source
    )
    select
        search.keyword,
        search.video_id,
        private.search_relevance(search.search_rank),
        search.search_rank,
        'youtube_api'
    from jsonb_to_recordset(searches) as search (keyword text, video_id text, search_rank integer)
    where
        exists (
            select
            from public.cached_videos as video
            where video.video_id = search.video_id
        )
    order by
        search.keyword,
        search.video_id
    on conflict on constraint a_keyword_maps_to_a_video_once do update
        set
            relevance_score = excluded.relevance_score,
            search_rank = excluded.search_rank,
            mapping_source = excluded.mapping_source
        where
            (stored.relevance_score, stored.search_rank, stored.mapping_source)
            is distinct from (excluded.relevance_score, excluded.search_rank, excluded.mapping_source);
    get diagnostics mapped = row_count;
    return mapped;
end
$$;
comment on function private.map_searches(jsonb) is
'Notes which videos a source''s search has answered with: [{keyword, video_id, search_rank}], each pair once.';

create function public.queue_videos(videos jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    rows jsonb;
    good integer;
    queued integer;
    fresh integer;
    refused jsonb;
    searches jsonb;
begin
    perform private.check_batch(videos);

    -- What a source told within the hour, and told whole, need not be asked again.
    select
        coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'index', read.index,
                    'video_id', read.video_id,
                    'reason', read.reason,
                    'keyword', read.keyword,
                    'search_rank', read.search_rank,
                    'region', read.region,
                    'demand', coalesce(video.cache_hit_count, 0),
                    'is_fresh', coalesce(
                        video.collected_at > now() - interval '1 hour'
                        and video.is_embeddable is not null
                        and video.privacy_status is not null,
                        false
                    )
                )
            ) filter (where read.code is null),
            '[]'
        ),
        count(*) filter (where read.code is null),
        coalesce(
            jsonb_agg(
                jsonb_build_object('index', read.index, 'code', read.code, 'message', read.message)
                order by read.index
            ) filter (where read.code is not null),
            '[]'
        )
    into rows, good, refused
    from private.read_queued_videos(videos) as read
    left join public.cached_videos as video on read.video_id = video.video_id;

    -- Sorted, so that two batches never deadlock. A row that is there already is held all the same: who finishes it
    -- waits, and then sees the keywords that follow here.
    with added as (
        insert into private.refresh_queue as stored (video_id, reason, region, demand)
        select distinct on (one.video_id)
            one.video_id,
            one.reason,
            one.region,
            one.demand
        from jsonb_to_recordset(rows) as one (
            index integer, video_id text, reason text, region text, demand integer, is_fresh boolean
        )
        where not one.is_fresh
        order by
            one.video_id asc,
            private.refresh_priority(one.reason) asc,
            one.region is null asc,
            one.index desc
        on conflict on constraint refresh_queue_pkey do update
            set
                reason = case
                    when stored.priority <= private.refresh_priority(excluded.reason) then stored.reason
                    else excluded.reason
                end,
                region = coalesce(excluded.region, stored.region)
            where
                stored.priority > private.refresh_priority(excluded.reason)
                or stored.region is distinct from coalesce(excluded.region, stored.region)
        returning stored.xmax = 0 as is_new
    )

    select count(*) filter (where added.is_new)
    into queued
    from added;

    insert into private.refresh_keywords as stored (video_id, keyword, search_rank)
    select distinct on (one.video_id, one.keyword)
        one.video_id,
        one.keyword,
        one.search_rank
    from jsonb_to_recordset(rows) as one (
        index integer, video_id text, keyword text, search_rank integer, is_fresh boolean
    )
    where
        not one.is_fresh
        and one.keyword is not null
    order by
        one.video_id asc,
        one.keyword asc,
        one.search_rank asc nulls last,
        one.index desc
    on conflict on constraint refresh_keywords_pkey do update
        set search_rank = excluded.search_rank
        where excluded.search_rank <> coalesce(stored.search_rank, 0);

    select
        count(*),
        jsonb_agg(
            jsonb_build_object('keyword', one.keyword, 'video_id', one.video_id, 'search_rank', one.search_rank)
        ) filter (where one.keyword is not null and one.is_best)
    into fresh, searches
    from (
        select
            given.video_id,
            given.keyword,
            given.search_rank,
            row_number() over (
                partition by
                    given.video_id,
                    given.keyword
                order by
                    given.search_rank asc nulls last,
                    given.index desc
            ) = 1 as is_best
        from jsonb_to_recordset(rows) as given (
            index integer, video_id text, keyword text, search_rank integer, is_fresh boolean
        )
        where given.is_fresh
    ) as one;
    if searches is not null then
        -- The queue, videos, mappings: the order in which everybody takes them.
        perform video.video_id
        from public.cached_videos as video
        where
            video.video_id in (
                select search.video_id
                from jsonb_to_recordset(searches) as search (video_id text)
            )
        order by video.video_id
        for no key update;
        perform private.map_searches(searches);
    end if;

    return
        jsonb_build_object(
            'received', good + jsonb_array_length(refused),
            'queued', queued,
            'merged', good - queued - fresh,
            'fresh', fresh,
            'rejected', refused
        );
end
$$;
comment on function public.queue_videos(jsonb) is
'Queues at most 5000 videos to be looked up. One that is queued already gets the new keyword; one that was collected '
'within the hour is fresh and gets it at once; bad rows come back as {index, code, message}, see docs/errors.md.';

create function public.claim_refreshes(
    most integer default 50,
    lease_seconds integer default 300
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    new_lease constant uuid := gen_random_uuid();
    claimed jsonb;
begin
    if
        coalesce(claim_refreshes.most not between 1 and 500, true)
        or coalesce(claim_refreshes.lease_seconds not between 1 and 3600, true)
    then
        raise exception using
            errcode = 'PT400',
            message = 'So many videos or so long a lease cannot be claimed.',
            detail = format(
                'most is %s, lease_seconds is %s.',
                coalesce(claim_refreshes.most::text, 'missing'),
                coalesce(claim_refreshes.lease_seconds::text, 'missing')
            ),
            hint = 'Send most from 1 to 500 and lease_seconds from 1 to 3600.';
    end if;

    with taken as materialized (
        select queued.video_id
        from private.refresh_queue as queued
        where
            queued.due_at <= now()
            and (queued.leased_until is null or queued.leased_until <= now())
        order by
            queued.priority asc,
            queued.demand desc,
            queued.due_at asc,
            queued.video_id asc
        limit claim_refreshes.most
        for no key update skip locked
    ),

    leased as (
        update private.refresh_queue as queued
        set
            lease = new_lease,
            leased_until = now() + make_interval(secs => claim_refreshes.lease_seconds),
            -- A lease that ran out was an attempt in vain as well.
            attempts = queued.attempts + (queued.lease is not null)::integer
        from taken
        where queued.video_id = taken.video_id
        returning
            queued.video_id,
            queued.reason,
            queued.priority,
            queued.demand,
            queued.due_at,
            queued.attempts,
            queued.region
    )

    select
        jsonb_agg(
            jsonb_build_object(
                'video_id', leased.video_id,
                'reason', leased.reason,
                'attempts', leased.attempts,
                'region', leased.region,
                'keywords', (
                    select
                        coalesce(
                            jsonb_agg(
                                jsonb_build_object('keyword', search.keyword, 'rank', search.search_rank)
                                order by search.keyword
                            ),
                            '[]'
                        )
                    from private.refresh_keywords as search
                    where search.video_id = leased.video_id
                )
            )
            order by
                leased.priority asc,
                leased.demand desc,
                leased.due_at asc,
                leased.video_id asc
        )
    into claimed
    from leased;
    return
        jsonb_build_object(
            'lease', case when claimed is not null then new_lease end,
            'videos', coalesce(claimed, '[]')
        );
end
$$;
comment on function public.claim_refreshes(integer, integer) is
'The most urgent videos that are due, in the caller''s hand for so many seconds; without an answer by then they can be '
'claimed again. YouTube answers for 50 ids at once.';

create function private.retry_wait(
    attempts integer,
    retry_after_seconds integer
)
returns interval
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select make_interval(secs => least(retry_after_seconds * power(2, least(attempts, 20)), 6 * 60 * 60))
$$;
comment on function private.retry_wait(integer, integer) is
'How long a video waits after so many earlier attempts: twice as long each time, at most 6 hours.';

create function private.give_back_refreshes(
    lease uuid,
    problem text,
    retry_after_seconds integer
)
returns integer
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    given_back integer;
begin
    -- Sorted, as queue_videos takes them.
    with held as materialized (
        select queued.video_id
        from private.refresh_queue as queued
        where queued.lease = give_back_refreshes.lease
        order by queued.video_id
        for update
    )

    update private.refresh_queue as queued
    set
        lease = null,
        leased_until = null,
        attempts = queued.attempts + 1,
        due_at = now() + private.retry_wait(queued.attempts, give_back_refreshes.retry_after_seconds),
        last_problem = left(give_back_refreshes.problem, 500)
    from held
    where queued.video_id = held.video_id;
    get diagnostics given_back = row_count;
    return given_back;
end
$$;
comment on function private.give_back_refreshes(uuid, text, integer) is
'Puts what a lease still holds back into the queue, for later; returns how many.';

create function private.check_lease(lease uuid)
returns void
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if check_lease.lease is null then
        raise exception using
            errcode = 'PT400',
            message = 'The lease is missing.',
            hint = 'Send the lease that claim_refreshes returned.';
    end if;
end
$$;
comment on function private.check_lease(uuid) is 'Refuses a missing lease, which would hold nothing.';

create function public.release_refreshes(
    lease uuid,
    problem text,
    retry_after_seconds integer default 60
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.check_lease(release_refreshes.lease);
    if coalesce(release_refreshes.retry_after_seconds < 0, true) then
        raise exception using
            errcode = 'PT400',
            message = 'retry_after_seconds is no whole number from 0.',
            detail = format('It is %s.', coalesce(release_refreshes.retry_after_seconds::text, 'missing')),
            hint = 'Send the seconds after which to try again, or nothing for 60.';
    end if;
    return
        jsonb_build_object(
            'released',
            private.give_back_refreshes(
                release_refreshes.lease, release_refreshes.problem, release_refreshes.retry_after_seconds
            )
        );
end
$$;
comment on function public.release_refreshes(uuid, text, integer) is
'Gives back what a lease holds and could not be looked up: due again later, twice as late at each attempt, at most '
'after 6 hours. Nothing is dropped.';

create function private.store_missing_videos(video_ids text[])
returns integer
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    changed integer;
begin
    -- Older news never overwrites newer, and that a video is gone is news like any other.
    update public.cached_videos as video
    set
        privacy_status = 'private',
        upload_status = 'deleted',
        live_broadcast = null,
        collected_at = now(),
        expires_at = now() + interval '7 days',
        cached_at = now()
    where
        video.video_id = any(store_missing_videos.video_ids)
        and video.collected_at <= now();
    get diagnostics changed = row_count;
    return changed;
end
$$;
comment on function private.store_missing_videos(text[]) is
'Videos that their source does not know any more play no more; returns how many the cache knew.';

create function private.give_second_chances(video_ids text[])
returns integer
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    changed integer;
begin
    update public.cached_videos as video
    set
        player_error_code = null,
        player_error_at = null
    where
        video.video_id = any(give_second_chances.video_ids)
        and video.player_error_code is not null
        and private.player_error_after(
            video.player_error_code,
            video.player_error_at,
            video.times_taken_out,
            video.collected_at,
            private.plays_everywhere(
                video.is_embeddable,
                video.privacy_status,
                video.upload_status,
                video.is_age_restricted,
                null,
                video.live_broadcast
            )
        ) is null;
    get diagnostics changed = row_count;
    return changed;
end
$$;
comment on function private.give_second_chances(text[]) is
'Puts videos in again that players could not play, as far as newer news and the wait allow; returns how many.';

create function public.finish_refreshes(
    lease uuid,
    videos jsonb,
    missing jsonb
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    held text[];
    found_ids text[];
    gone_ids text[];
    stored jsonb;
    searches jsonb;
begin
    perform private.check_lease(finish_refreshes.lease);
    perform private.check_batch(finish_refreshes.videos);
    if
        jsonb_typeof(finish_refreshes.missing) is distinct from 'array'
        or jsonb_path_exists(finish_refreshes.missing, 'strict $[*] ? (@.type() != "string")')
    then
        raise exception using
            errcode = 'PT400',
            message = 'missing is no JSON array of ids.',
            hint = 'Send the ids that the source did not answer for, or an empty array.';
    end if;
    perform private.check_batch(finish_refreshes.missing);

    -- What another has claimed since is the other's: only what this lease holds leaves the queue.
    select coalesce(array_agg(mine.video_id), '{}')
    into held
    from (
        select queued.video_id::text
        from private.refresh_queue as queued
        where queued.lease = finish_refreshes.lease
        order by queued.video_id
        for update
    ) as mine;
    select coalesce(array_agg(distinct item.value ->> 'video_id'), '{}')
    into found_ids
    from jsonb_array_elements(finish_refreshes.videos) as item (value)
    where jsonb_typeof(item.value) = 'object';
    select coalesce(array_agg(item.value), '{}')
    into gone_ids
    from jsonb_array_elements_text(finish_refreshes.missing) as item (value)
    where
        item.value = any(held)
        and item.value <> all(found_ids);

    -- Videos, then mappings, each sorted and before anything is written: the order in which everybody takes them.
    perform video.video_id
    from public.cached_videos as video
    where video.video_id = any(found_ids || gone_ids)
    order by video.video_id
    for no key update;
    perform mapping.id
    from public.keyword_video_mappings as mapping
    where mapping.video_id = any(found_ids)
    order by
        mapping.keyword,
        mapping.video_id
    for no key update;

    stored := public.ingest_videos(finish_refreshes.videos);
    perform private.give_second_chances(found_ids);
    perform private.store_missing_videos(gone_ids);

    select
        jsonb_agg(
            jsonb_build_object(
                'keyword', search.keyword, 'video_id', search.video_id, 'search_rank', search.search_rank
            )
        )
    into searches
    from private.refresh_keywords as search
    where
        search.video_id = any(held)
        and search.video_id = any(found_ids);
    if searches is not null then
        perform private.map_searches(searches);
    end if;

    delete from private.refresh_queue as queued
    where
        queued.video_id = any(held)
        and queued.video_id = any(found_ids || gone_ids);
    return
        jsonb_build_object(
            'stored', stored,
            'gone', cardinality(gone_ids),
            'left', private.give_back_refreshes(finish_refreshes.lease, 'The source said nothing of it.', 60)
        );
end
$$;
comment on function public.finish_refreshes(uuid, jsonb, jsonb) is
'What a source answered for a lease, stored in one transaction: videos with the keywords they were queued with, '
'missing ids as deleted; what it said nothing of is given back. Repeating it changes nothing.';

create function private.queue_due_videos(batch_size integer default 5000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    counts jsonb;
begin
    with failing as materialized (
        -- A video that is out is asked about at once, and once more when its wait is over.
        select
            video.video_id,
            video.cache_hit_count
        from public.cached_videos as video
        where
            video.player_error_code is not null
            and video.purged_at is null
            and video.upload_status is distinct from 'deleted'
            and (
                video.collected_at <= video.player_error_at
                or (
                    now() >= video.player_error_at + private.second_chance_wait(video.times_taken_out)
                    and video.collected_at < video.player_error_at + private.second_chance_wait(video.times_taken_out)
                )
            )
        union
        select
            video.video_id,
            video.cache_hit_count
        from private.playback_errors as report
        inner join public.cached_videos as video on report.video_id = video.video_id
        inner join auth.users as person on report.user_id = person.id
        where
            -- Accounts that cost nothing to make shall not spend the quota of everybody.
            not person.is_anonymous
            and report.reported_at > now() - interval '24 hours'
            and report.reported_at > video.collected_at
            and report.used_at is null
            and private.blames_the_video(report.error_code)
            and video.player_error_code is null
            and video.purged_at is null
            and video.upload_status is distinct from 'deleted'
            -- Nor shall who reports more than that in a day.
            and (
                select count(*)
                from private.playback_errors as other
                where
                    other.user_id = report.user_id
                    and other.reported_at > now() - interval '24 hours'
            ) <= private.most_reports()
    ),

    due as materialized (
        select
            failing.video_id,
            failing.cache_hit_count,
            'player_error' as reason
        from failing
        union all
        select
            video.video_id,
            video.cache_hit_count,
            'expiring' as reason
        from public.cached_videos as video
        where
            video.expires_at <= now() + interval '24 hours'
            and video.purged_at is null
            and video.upload_status is distinct from 'deleted'
            and video.is_embeddable is not null
            and video.privacy_status is not null
        union all
        select
            video.video_id,
            video.cache_hit_count,
            'unknown' as reason
        from public.cached_videos as video
        where
            video.purged_at is null
            and (video.is_embeddable is null or video.privacy_status is null)
            and video.upload_status is distinct from 'deleted'
    ),

    chosen as materialized (
        select distinct on (due.video_id)
            due.video_id,
            due.cache_hit_count,
            due.reason,
            private.refresh_priority(due.reason) as priority
        from due
        order by
            due.video_id asc,
            private.refresh_priority(due.reason) asc
    ),

    -- What is queued already as urgently takes no place of the batch.
    batch as materialized (
        select
            chosen.video_id,
            chosen.cache_hit_count,
            chosen.reason
        from chosen
        where
            not exists (
                select
                from private.refresh_queue as queued
                where
                    queued.video_id = chosen.video_id
                    and queued.priority <= chosen.priority
            )
        order by
            chosen.priority asc,
            chosen.cache_hit_count desc,
            chosen.video_id asc
        limit queue_due_videos.batch_size
    ),

    added as (
        insert into private.refresh_queue as stored (video_id, reason, demand)
        select
            batch.video_id,
            batch.reason,
            batch.cache_hit_count
        from batch
        order by batch.video_id
        on conflict on constraint refresh_queue_pkey do update
            set
                reason = excluded.reason,
                demand = excluded.demand
            where stored.priority > private.refresh_priority(excluded.reason)
        returning stored.reason
    )

    select
        jsonb_build_object(
            'player_error', count(*) filter (where added.reason = 'player_error'),
            'expiring', count(*) filter (where added.reason = 'expiring'),
            'unknown', count(*) filter (where added.reason = 'unknown')
        )
    into counts
    from added;
    return counts;
end
$$;
comment on function private.queue_due_videos(integer) is
'Queues the videos that are due: those that players fail at first, then those that expire within a day by how often '
'the cache serves them, then those whose flags nobody knows. Returns how many of each.';
