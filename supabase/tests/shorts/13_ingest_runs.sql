-- A run goes on where it was, what it paid for is kept, and one call tells how ingest is doing.
begin;
\ir ../served.psql
select plan(41);

delete from private.ingest_runs;
delete from private.refresh_queue;
delete from private.quota_days;
delete from public.cached_videos;

create function pg_temp.begin_run(source text, request jsonb)
returns jsonb
language sql
as $$
    select pg_temp.served(format('select public.begin_ingest_run(%L, %L)', source, request))
$$;
create function pg_temp.run()
returns uuid
language sql
as $$
    select id from private.ingest_runs where request = '{"q": "cat"}' and source = 'youtube'
$$;
create function pg_temp.save_run(state jsonb, videos jsonb default null)
returns jsonb
language sql
as $$
    select pg_temp.served(format('select public.save_ingest_run(%L, %L, %L)', pg_temp.run(), state, videos))
$$;
create function pg_temp.end_run(outcome text, counts jsonb default '{}')
returns jsonb
language sql
as $$
    select pg_temp.served(format('select public.end_ingest_run(%L, %L, %L)', pg_temp.run(), outcome, counts))
$$;

-- Begun, saved, begun again.
select is(
    pg_temp.begin_run('youtube', '{"q": "cat"}') - 'id' - 'started_at',
    '{"state": {}, "resumed": false}',
    'a run begins with nothing'
);
select is(
    pg_temp.save_run(
        '{"page": 2}',
        '[{"video_id": "found", "reason": "discovered", "keyword": "cat", "rank": 1}, {"video_id": "a b"}]'
    ) #- '{rejected, 0, message}',
    '{"received": 2, "queued": 1, "merged": 0, "fresh": 0, "rejected": [{"index": 1, "code": "ON002"}]}',
    'what it found is queued with how far it got'
);
select is(
    pg_temp.begin_run('youtube', '{"q": "cat"}') - 'started_at',
    jsonb_build_object('id', pg_temp.run(), 'state', '{"page": 2}'::jsonb, 'resumed', true),
    'begun again it goes on from there'
);
select is(
    (pg_temp.begin_run('youtube', '{"q": "cat"}') ->> 'started_at')::timestamptz, now(), 'and began when it did'
);
select is(
    pg_temp.begin_run('youtube', '{"q": "dog"}') -> 'resumed', 'false', 'another request is another run'
);
select is(pg_temp.begin_run('refresh', '{"q": "cat"}') -> 'resumed', 'false', 'so is another source');
select is((select count(*) from private.ingest_runs), 3::bigint, 'three in all');
select is(
    pg_temp.save_run('{"page": 3}'),
    '{"received": 0, "queued": 0, "merged": 0, "fresh": 0, "rejected": []}',
    'a state without videos'
);
select is((select state from private.ingest_runs where id = pg_temp.run()), '{"page": 3}', 'is stored');
select is(
    pg_temp.save_run('{"page": 4}', '{"no": "array"}'),
    '"PT400 The batch is no JSON array."',
    'videos that are no array'
);
select is(
    (select state from private.ingest_runs where id = pg_temp.run()), '{"page": 3}', 'leave the state as it was'
);

-- How it ended.
select is(
    pg_temp.end_run('interrupted', '{"units": 1}'),
    jsonb_build_object('id', pg_temp.run(), 'outcome', 'interrupted', 'ended_at', now()),
    'a run is interrupted'
);
select is(
    (select counts from private.ingest_runs where id = pg_temp.run()), '{"units": 1}', 'what it did until then is kept'
);
select is(pg_temp.save_run('{"page": 5}') -> 'received', '0', 'a page that was paid for is stored even then');
select is(
    pg_temp.begin_run('youtube', '{"q": "cat"}') - 'id' - 'started_at',
    '{"state": {"page": 5}, "resumed": true}',
    'and the run goes on'
);
select is(
    (select ended_at is null and outcome is null from private.ingest_runs where id = pg_temp.run()),
    true,
    'so it has not ended'
);
select is(pg_temp.end_run('failed') -> 'outcome', '"failed"', 'it fails');
select is(pg_temp.begin_run('youtube', '{"q": "cat"}') -> 'resumed', 'true', 'and goes on');
update private.ingest_runs
set started_at = now() - interval '24 hours' + interval '1 second'
where id = pg_temp.run();
select is(pg_temp.begin_run('youtube', '{"q": "cat"}') -> 'resumed', 'true', 'within 24 hours');
update private.ingest_runs
set started_at = now() - interval '24 hours'
where id = pg_temp.run();
create temporary table old_run as
select pg_temp.run() as id;
select is(
    pg_temp.begin_run('youtube', '{"q": "cat"}') - 'id' - 'started_at',
    '{"state": {}, "resumed": false}',
    'after that a new one begins'
);
delete from private.ingest_runs
where id = (select id from old_run);
select is(pg_temp.end_run('done', '{"stored": 1}') -> 'outcome', '"done"', 'it is done');
select is(pg_temp.begin_run('youtube', '{"q": "cat"}') -> 'resumed', 'false', 'and what is done is not gone on with');

-- What cannot be true.
select is(
    pg_temp.begin_run('tiktok', '{}'), '"PT400 The source of a run is none of the known ones."', 'PT400: no source'
);
select is(pg_temp.begin_run('youtube', '[]'), '"PT400 request is no JSON object."', 'PT400: no request');
select is(
    pg_temp.served('select public.begin_ingest_run(null, null)'),
    '"PT400 The source of a run is none of the known ones."',
    'PT400: nothing at all'
);
select is(
    pg_temp.begin_run('youtube', jsonb_build_object('q', repeat('x', 1000000))),
    '"PT413 request is longer than 1000000 characters."',
    'PT413: a request without end'
);
select is(
    pg_temp.served(
        $$select public.begin_ingest_run('youtube', ('{"q": [' || repeat('1e131071,', 9000) || '1]}')::jsonb)$$
    ),
    '"PT413 request is longer than 1000000 characters."',
    'PT413: a request whose few bytes would be written out in a gigabyte'
);
select is(
    pg_temp.served($$select public.save_ingest_run(gen_random_uuid(), '{}')$$),
    '"PT404 There is no such run."',
    'PT404: no run to save'
);
select is(
    pg_temp.served($$select public.save_ingest_run(gen_random_uuid(), '7')$$),
    '"PT400 state is no JSON object."',
    'PT400: no state'
);
select is(
    pg_temp.served($$select public.end_ingest_run(gen_random_uuid(), 'done', '{}')$$),
    '"PT404 There is no such run."',
    'PT404: no run to end'
);
select is(
    pg_temp.served($$select public.end_ingest_run(gen_random_uuid(), 'bored', '{}')$$),
    '"PT400 The outcome of a run is none of the known ones."',
    'PT400: no outcome'
);
select is(
    pg_temp.served($$select public.end_ingest_run(gen_random_uuid(), 'done', null)$$),
    '"PT400 counts is no JSON object."',
    'PT400: no counts'
);

-- What is old goes.
delete from private.ingest_runs;
insert into private.ingest_runs (source, request, saved_at)
select 'youtube', jsonb_build_object('n', n), now() - interval '90 days' - n * interval '1 second'
from generate_series(0, 3) as n;
insert into private.quota_days (bucket, day, used)
values
('youtube_units', private.pacific_day() - 90, 1),
('youtube_units', private.pacific_day() - 91, 1);
select is(
    private.forget_ingest_history(2),
    '{"runs_forgotten": 2, "quota_days_forgotten": 1}',
    'runs and days of more than 90 days go, a batch at a time'
);
select is(
    private.forget_ingest_history(),
    '{"runs_forgotten": 1, "quota_days_forgotten": 0}',
    'then the rest'
);
select is(
    private.forget_ingest_history(), '{"runs_forgotten": 0, "quota_days_forgotten": 0}', 'and nothing younger'
);

-- How it is doing.
delete from private.ingest_runs;
delete from private.refresh_queue;
delete from private.quota_days;
select is(
    pg_temp.served('select public.ingest_status()') - 'quotas',
    '{
        "queue": {"due": 0, "leased": 0, "waiting": 0, "by_reason": {}, "oldest_due_at": null},
        "cache": {
            "videos": 0, "playable": 0, "shorts": 0, "expire_in_24h": 0, "expired": 0, "unknown": 0, "taken_out": 0,
            "deleted": 0, "purge_due": 0
        },
        "runs": []
    }',
    'an empty house'
);
insert into private.quota_days (bucket, day, used)
values
('youtube_search', private.pacific_day() - 1, 100),
('youtube_units', private.pacific_day(), 7);
insert into private.refresh_queue (video_id, reason, due_at, lease, leased_until)
values
('due', 'requested', now() - interval '1 hour', null, null),
('ran-out', 'expiring', now() - interval '2 hours', gen_random_uuid(), now()),
('leased', 'expiring', now() - interval '3 hours', gen_random_uuid(), now() + interval '1 second'),
('waiting', 'unknown', now() + interval '1 second', null, null);
insert into public.cached_videos (
    video_id,
    title,
    duration,
    is_embeddable,
    privacy_status,
    upload_status,
    collected_at,
    expires_at,
    player_error_code,
    purged_at
)
values
('short', 'a', 60, true, 'public', null, now(), now() + interval '24 hours', null, null),
('long', 'a', 600, true, 'public', null, now(), now() + interval '25 hours', null, null),
('unplayable', 'a', 60, false, 'public', null, now(), now(), null, null),
('unknown', 'a', 60, null, 'public', null, now() - interval '31 days', now() - interval '24 days', null, null),
('error', 'a', 60, true, 'public', null, now(), now() + interval '7 days', 150, null),
('deleted', 'a', 60, true, 'private', 'deleted', now() - interval '31 days', now(), null, null),
('purged', 'a', null, null, null, null, now() - interval '40 days', now(), null, now());
select is(
    pg_temp.served('select public.ingest_status()') -> 'cache',
    '{
        "videos": 7, "playable": 2, "shorts": 1, "expire_in_24h": 1, "expired": 2, "unknown": 1, "taken_out": 1,
        "deleted": 1, "purge_due": 2
    }',
    'the cache, counted'
);
select is(
    pg_temp.served('select public.ingest_status()') #- '{queue, oldest_due_at}' -> 'queue',
    '{"due": 2, "leased": 1, "waiting": 1, "by_reason": {"requested": 1, "expiring": 2, "unknown": 1}}',
    'the queue, counted'
);
select is(
    (pg_temp.served('select public.ingest_status()') #>> '{queue, oldest_due_at}')::timestamptz,
    now() - interval '2 hours',
    'and how long the first one waits'
);
select is(
    pg_temp.served('select public.ingest_status()') #- '{quotas, 0, resets_at}' #- '{quotas, 1, resets_at}' -> 'quotas',
    '[
        {"bucket": "youtube_search", "used": 0, "daily_limit": 100},
        {"bucket": "youtube_units", "used": 7, "daily_limit": 10000}
    ]',
    'today''s quotas'
);
insert into private.ingest_runs (source, request, started_at)
select 'dataset', jsonb_build_object('n', n), now() - n * interval '1 minute'
from generate_series(1, 11) as n;
select results_eq(
    $$
        select (run -> 'request' -> 'n')::integer
        from jsonb_array_elements(pg_temp.served('select public.ingest_status()') -> 'runs') as run
    $$,
    'select generate_series(1, 10)',
    'and the last ten runs, the newest first'
);

select finish();
rollback;
