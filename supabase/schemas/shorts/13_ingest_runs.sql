-- Promises that an ingest that was interrupted goes on where it was, and that what it paid for is kept.

create table private.ingest_runs (
    id uuid primary key default gen_random_uuid(),
    source text not null,
    request jsonb not null,
    state jsonb not null default '{}',
    outcome text,
    counts jsonb not null default '{}',
    started_at timestamptz not null default now(),
    saved_at timestamptz not null default now(),
    ended_at timestamptz,
    constraint source_is_known check (source in ('youtube', 'bright_data', 'dataset', 'refresh')),
    constraint outcome_is_known check (outcome in ('done', 'failed', 'interrupted')),
    constraint an_outcome_has_a_time check ((outcome is null) = (ended_at is null)),
    constraint documents_are_objects check (
        jsonb_typeof(request) = 'object' and jsonb_typeof(state) = 'object' and jsonb_typeof(counts) = 'object'
    )
);
alter table private.ingest_runs enable row level security;
create index ingest_runs_by_time on private.ingest_runs (started_at desc);
create index ingest_runs_by_last_sign on private.ingest_runs (saved_at);
comment on table private.ingest_runs is
'What was asked of which source, how far it got, what came of it. Kept 90 days.';
comment on column private.ingest_runs.state is 'How far it got: what the program needs to go on.';
comment on column private.ingest_runs.outcome is
'done, failed or interrupted; null while it runs, or when nobody was left to say.';
comment on column private.ingest_runs.saved_at is 'The last sign of life.';

create function private.check_object(
    name text,
    value jsonb
)
returns void
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if jsonb_typeof(check_object.value) is distinct from 'object' then
        raise exception using
            errcode = 'PT400',
            message = format('%s is no JSON object.', check_object.name),
            detail = format('It is %s.', coalesce(jsonb_typeof(check_object.value), 'missing')),
            hint = 'Send an object, {} for nothing.';
    end if;
    -- Not by its length alone: a few bytes such as 1e131071 become a hundred thousand characters.
    if private.is_small(check_object.value, 'object', 1000000) is not true then
        raise exception using
            errcode = 'PT413',
            message = format('%s is longer than 1000000 characters.', check_object.name),
            detail = format('It has %s bytes, or a number that is written in many digits.', pg_column_size(check_object.value)),
            hint = 'Keep what is needed to go on, and not what was read.';
    end if;
end
$$;
comment on function private.check_object(text, jsonb) is 'Refuses what is no object, or a very long one.';

create function private.no_such_run(id uuid)
returns void
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    raise exception using
        errcode = 'PT404',
        message = 'There is no such run.',
        detail = format('It is %s.', coalesce(no_such_run.id::text, 'missing')),
        hint = 'Send the id that begin_ingest_run returned.';
end
$$;
comment on function private.no_such_run(uuid) is 'Says that a run is not known.';

create function public.begin_ingest_run(
    source text,
    request jsonb
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    if coalesce(begin_ingest_run.source not in ('youtube', 'bright_data', 'dataset', 'refresh'), true) then
        raise exception using
            errcode = 'PT400',
            message = 'The source of a run is none of the known ones.',
            detail = format('It is %s.', coalesce(quote_literal(left(begin_ingest_run.source, 100)), 'missing')),
            hint = 'Send youtube, bright_data, dataset or refresh.';
    end if;
    perform private.check_object('request', begin_ingest_run.request);

    -- Two that begin the same at once find one run.
    perform pg_advisory_xact_lock(
        hashtextextended('shorts-ingest-run ' || begin_ingest_run.source || begin_ingest_run.request::text, 0)
    );
    update private.ingest_runs as run
    set
        outcome = null,
        ended_at = null,
        saved_at = now()
    where
        run.id = (
            select unfinished.id
            from private.ingest_runs as unfinished
            where
                unfinished.source = begin_ingest_run.source
                and unfinished.request = begin_ingest_run.request
                and unfinished.outcome is distinct from 'done'
                and unfinished.started_at > now() - interval '24 hours'
            order by
                unfinished.started_at desc,
                unfinished.id asc
            limit 1
        )
    returning
        jsonb_build_object('id', run.id, 'state', run.state, 'resumed', true, 'started_at', run.started_at)
    into answer;
    if not found then
        insert into private.ingest_runs as run (source, request)
        values (begin_ingest_run.source, begin_ingest_run.request)
        returning
            jsonb_build_object('id', run.id, 'state', run.state, 'resumed', false, 'started_at', run.started_at)
        into answer;
    end if;
    return answer;
end
$$;
comment on function public.begin_ingest_run(text, jsonb) is
'The run of the last 24 hours that asked the same of the same source and was not done, with its state; or a new one.';

create function public.save_ingest_run(
    id uuid,
    state jsonb,
    videos jsonb default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.check_object('state', save_ingest_run.state);
    -- A run that has ended is saved all the same: what was paid for must not be lost.
    update private.ingest_runs as run
    set
        state = save_ingest_run.state,
        saved_at = now()
    where run.id = save_ingest_run.id;
    if not found then
        perform private.no_such_run(save_ingest_run.id);
    end if;
    return public.queue_videos(coalesce(save_ingest_run.videos, '[]'));
end
$$;
comment on function public.save_ingest_run(uuid, jsonb, jsonb) is
'Stores how far a run got and queues the videos it found, both or neither; answers as queue_videos does.';

create function public.end_ingest_run(
    id uuid,
    outcome text,
    counts jsonb
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    if coalesce(end_ingest_run.outcome not in ('done', 'failed', 'interrupted'), true) then
        raise exception using
            errcode = 'PT400',
            message = 'The outcome of a run is none of the known ones.',
            detail = format('It is %s.', coalesce(quote_literal(end_ingest_run.outcome), 'missing')),
            hint = 'Send done, failed or interrupted.';
    end if;
    perform private.check_object('counts', end_ingest_run.counts);
    update private.ingest_runs as run
    set
        outcome = end_ingest_run.outcome,
        counts = end_ingest_run.counts,
        saved_at = now(),
        ended_at = now()
    where run.id = end_ingest_run.id
    returning jsonb_build_object('id', run.id, 'outcome', run.outcome, 'ended_at', run.ended_at)
    into answer;
    if not found then
        perform private.no_such_run(end_ingest_run.id);
    end if;
    return answer;
end
$$;
comment on function public.end_ingest_run(uuid, text, jsonb) is
'Notes what came of a run. One that failed or was interrupted can be begun again for 24 hours after its start.';

create function private.forget_ingest_history(batch_size integer default 5000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    runs integer;
    days integer;
begin
    delete from private.ingest_runs as run
    where
        run.id in (
            select old.id
            from private.ingest_runs as old
            where old.saved_at < now() - interval '90 days'
            order by old.saved_at
            limit batch_size
            for update skip locked
        );
    get diagnostics runs = row_count;
    delete from private.quota_days as counted
    where
        (counted.bucket, counted.day) in (
            select
                old.bucket,
                old.day
            from private.quota_days as old
            where old.day < private.pacific_day() - 90
            order by old.day
            limit batch_size
            for update skip locked
        );
    get diagnostics days = row_count;
    return jsonb_build_object('runs_forgotten', runs, 'quota_days_forgotten', days);
end
$$;
comment on function private.forget_ingest_history(integer) is
'Deletes runs without a sign of life for 90 days, and days of quotas as old.';

create function public.ingest_status()
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    select
        jsonb_build_object(
            'quotas', (
                select coalesce(jsonb_agg(private.quota_state(allowed.bucket) order by allowed.bucket), '[]')
                from private.quota_limits as allowed
            ),
            'queue', (
                select
                    jsonb_build_object(
                        'due', coalesce(sum(queued.due), 0),
                        'leased', coalesce(sum(queued.leased), 0),
                        'waiting', coalesce(sum(queued.waiting), 0),
                        'by_reason', coalesce(jsonb_object_agg(queued.reason, queued.amount), '{}'),
                        'oldest_due_at', min(queued.oldest_due_at)
                    )
                from (
                    select
                        entry.reason,
                        count(*) as amount,
                        count(*) filter (where entry.is_free and entry.due_at <= now()) as due,
                        count(*) filter (where not entry.is_free) as leased,
                        count(*) filter (where entry.is_free and entry.due_at > now()) as waiting,
                        min(entry.due_at) filter (where entry.is_free and entry.due_at <= now()) as oldest_due_at
                    from (
                        select
                            queue.reason,
                            queue.due_at,
                            coalesce(queue.leased_until <= now(), true) as is_free
                        from private.refresh_queue as queue
                    ) as entry
                    group by entry.reason
                ) as queued
            ),
            'cache', (
                select
                    jsonb_build_object(
                        'videos', (select count(*) from public.cached_videos),
                        'playable', kept.playable,
                        'shorts', kept.shorts,
                        'expire_in_24h', kept.expire_in_24h,
                        'expired', kept.expired,
                        'unknown', (
                            select count(*)
                            from public.cached_videos as video
                            where
                                video.purged_at is null
                                and (video.is_embeddable is null or video.privacy_status is null)
                        ),
                        'taken_out', (
                            select count(*)
                            from public.cached_videos as video
                            where video.player_error_code is not null
                        ),
                        'deleted', deleted.amount,
                        'purge_due', kept.purge_due + deleted.purge_due
                    )
                from (
                    select
                        count(*) filter (where video.is_playable) as playable,
                        count(*) filter (where video.is_playable and video.is_shorts) as shorts,
                        count(*) filter (
                            where video.expires_at > now() and video.expires_at <= now() + interval '24 hours'
                        ) as expire_in_24h,
                        count(*) filter (where video.expires_at <= now()) as expired,
                        count(*) filter (where video.collected_at < now() - interval '30 days') as purge_due
                    from public.cached_videos as video
                    where
                        video.purged_at is null
                        and video.upload_status is distinct from 'deleted'
                ) as kept
                cross join (
                    select
                        count(*) as amount,
                        count(*) filter (where video.collected_at < now() - interval '30 days') as purge_due
                    from public.cached_videos as video
                    where
                        video.purged_at is null
                        and video.upload_status = 'deleted'
                ) as deleted
            ),
            'runs', (
                select
                    coalesce(
                        jsonb_agg(
                            jsonb_build_object(
                                'id', run.id,
                                'source', run.source,
                                'request', run.request,
                                'outcome', run.outcome,
                                'counts', run.counts,
                                'started_at', run.started_at,
                                'saved_at', run.saved_at,
                                'ended_at', run.ended_at
                            )
                            order by
                                run.started_at desc,
                                run.id asc
                        ),
                        '[]'
                    )
                from (
                    select last_run.*
                    from private.ingest_runs as last_run
                    order by
                        last_run.started_at desc,
                        last_run.id asc
                    limit 10
                ) as run
            )
        )
$$;
comment on function public.ingest_status() is
'How ingest is doing: quotas of today, the queue, how true the cache is, the last ten runs.';
