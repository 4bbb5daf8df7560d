-- What happened in the player is kept once, for interactions of one's own.
begin;
\ir ../outcome.psql
\ir ../asked.psql
select plan(42);

insert into auth.users (id, email) values
('11111111-1111-4111-8111-111111111111', 'one@example.com'),
('22222222-2222-4222-8222-222222222222', 'two@example.com');
\set one '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}'
\set two '{"sub": "22222222-2222-4222-8222-222222222222", "role": "authenticated"}'
insert into public.cached_videos (video_id, title) values ('eventVideo1', 'a video');
insert into public.video_interactions (id, user_id, video_id, interaction_type, created_at, interaction_timestamp) values
('aaaaaaaa-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'eventVideo1', 'view', now(), now()),
(
    'aaaaaaaa-0000-4000-8000-000000000002',
    '11111111-1111-4111-8111-111111111111',
    'eventVideo1',
    'view',
    now() - interval '2 days',
    now() - interval '2 days'
),
('bbbbbbbb-0000-4000-8000-000000000001', '22222222-2222-4222-8222-222222222222', 'eventVideo1', 'view', now(), now());

create function pg_temp.send(
    claims jsonb,
    events jsonb
)
returns text
language sql
as $$
    select pg_temp.asked(claims, format('select public.record_watch_event(%L)', events))
$$;
create function pg_temp.rows()
returns bigint
language sql
as $$
    select count(*)
    from public.watch_events
    where interaction_id::text ~ '^(aaaaaaaa|bbbbbbbb)-0000-4000-8000-00000000000'
$$;

-- Kept.
select is(
    pg_temp.send(
        :'one',
        jsonb_build_array(
            '{"interaction_id": "aaaaaaaa-0000-4000-8000-000000000001", "event_type": "play"}'::jsonb,
            jsonb_build_object(
                'id', 'cccccccc-0000-4000-8000-000000000001',
                'interaction_id', 'aaaaaaaa-0000-4000-8000-000000000002',
                'event_type', 'seek',
                'event_timestamp', now() - interval '2 days 1 minute',
                'video_timestamp', 30,
                'seek_from', 30,
                'seek_to', 10
            )
        )
    )::jsonb - 'events',
    '{"received": 2, "stored": 2, "repeated": 0, "rejected": []}',
    'S-261: record_watch_event tells what it did'
);
select results_eq(
    $$select interaction_created_at, event_type, event_timestamp, video_timestamp, seek_from, seek_to
    from public.watch_events where interaction_id::text like 'aaaaaaaa-%' order by event_type$$,
    $$values
    (now(), 'play', now(), null::integer, null::integer, null::integer),
    (now() - interval '2 days', 'seek', now() - interval '2 days 1 minute', 30, 30, 10)$$,
    'S-261: and stores it, the keys of the partition filled in'
);

-- Repeated.
select is(
    pg_temp.send(
        :'one',
        '[{
            "id": "cccccccc-0000-4000-8000-000000000001",
            "interaction_id": "aaaaaaaa-0000-4000-8000-000000000002",
            "event_type": "seek"
        }]'
    )::jsonb,
    '{
        "received": 1, "stored": 0, "repeated": 1, "rejected": [],
        "events": [{"index": 0, "id": "cccccccc-0000-4000-8000-000000000001"}]
    }',
    'what was stored is known again by its id'
);
select is(
    pg_temp.send(
        :'one',
        (
            select
                jsonb_agg(
                    '{
                        "id": "cccccccc-0000-4000-8000-000000000002",
                        "interaction_id": "aaaaaaaa-0000-4000-8000-000000000001",
                        "event_type": "pause"
                    }'::jsonb
                )
            from generate_series(1, 2)
        )
    )::jsonb - 'events',
    '{"received": 2, "stored": 1, "repeated": 1, "rejected": []}',
    'an id that comes twice in a batch is stored once'
);

-- The table itself holds it too.
select alike(
    pg_temp.outcome(
        'authenticated',
        :'one',
        $$insert into public.watch_events (interaction_id, interaction_created_at, event_type, seek_to)
        values ('aaaaaaaa-0000-4000-8000-000000000001', now(), 'play', 5)$$
    ),
    '23514 % violates check constraint "only_a_seek_has_places"',
    'S-261: a play event with seek_to is 23514'
);

-- Each bad row beside a good one: named by index, code and hint, and not stored.
create function pg_temp.refusal(fields jsonb)
returns text
language plpgsql
as $$
declare
    good constant jsonb := '{"interaction_id": "aaaaaaaa-0000-4000-8000-000000000001", "event_type": "seek"}';
    before constant bigint := pg_temp.rows();
    answer jsonb := pg_temp.send(
        '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}',
        jsonb_build_array(good, case when jsonb_typeof(fields) = 'object' then good || fields else fields end)
    );
begin
    if answer ->> 'stored' is distinct from '1' or pg_temp.rows() <> before + 1 then
        return 'not only the good row was stored';
    end if;
    if answer #> '{rejected,0,hint}' is null or answer #>> '{rejected,0,hint}' !~ '^[A-Z].*\.$' then
        return 'no hint';
    end if;
    return concat_ws(' ', answer #>> '{rejected,0,index}', answer #>> '{rejected,0,code}');
end
$$;
select is(pg_temp.refusal('7'), '1 ON001', 'a number is no row');
select is(pg_temp.refusal('[[]]'::jsonb), '1 ON001', 'an array is no row');
select is(pg_temp.refusal('{"interaction_id": null}'), '1 ON011', 'no interaction');
select is(pg_temp.refusal('{"interaction_id": 7}'), '1 ON011', 'an interaction that is a number');
select is(pg_temp.refusal('{"interaction_id": "first"}'), '1 ON011', 'an interaction that is no UUID');
select is(pg_temp.refusal('{"id": "first"}'), '1 ON011', 'an id that is no UUID');
select is(
    pg_temp.refusal(jsonb_build_object('interaction_id', gen_random_uuid())), '1 ON013', 'an unknown interaction'
);
select is(
    pg_temp.refusal('{"interaction_id": "bbbbbbbb-0000-4000-8000-000000000001"}'),
    '1 ON013',
    'another''s interaction, by the same code'
);
select is(pg_temp.refusal('{"event_type": null}'), '1 ON009', 'no type');
select is(pg_temp.refusal('{"event_type": "stop"}'), '1 ON009', 'an unknown type');
select is(pg_temp.refusal('{"event_type": ["play"]}'), '1 ON009', 'a type that is an array');
select is(pg_temp.refusal('{"video_timestamp": -1}'), '1 ON007', 'a negative place');
select is(pg_temp.refusal('{"video_timestamp": 1.5}'), '1 ON007', 'half a second');
select is(pg_temp.refusal('{"video_timestamp": 86401}'), '1 ON007', 'beyond a day');
select is(pg_temp.refusal('{"seek_from": "5"}'), '1 ON007', 'a place that is a text');
select is(pg_temp.refusal('{"seek_to": 1e300}'), '1 ON007', 'an absurd place');
select is(pg_temp.refusal('{"event_type": "play", "seek_to": 5}'), '1 ON017', 'S-261: a play that seeks');
select is(pg_temp.refusal('{"event_type": "end", "seek_from": 5}'), '1 ON017', 'S-261: an end that seeks');
select is(pg_temp.refusal('{"event_timestamp": "now"}'), '1 ON005', 'a time in words');
select is(pg_temp.refusal('{"event_timestamp": 1767225600}'), '1 ON005', 'a time that is a number');
select is(
    pg_temp.refusal(jsonb_build_object('event_timestamp', now() + interval '10 minutes 1 second')),
    '1 ON006',
    'a time to come'
);
select is(
    pg_temp.refusal(jsonb_build_object('event_timestamp', now() - interval '168 hours 1 second')),
    '1 ON006',
    'a week before its interaction'
);
select is(
    pg_temp.refusal(
        jsonb_build_object(
            'interaction_id', 'aaaaaaaa-0000-4000-8000-000000000002',
            'event_timestamp', now() - interval '23 hours 59 minutes'
        )
    ),
    '1 ON006',
    'a day after its interaction'
);
select is(
    pg_temp.refusal('{"interaction_id": "aaaaaaaa-0000-4000-8000-000000000002"}'),
    '1 ON006',
    'now, which is two days after it'
);
select pg_temp.send(
    :'two',
    '[{
        "id": "cccccccc-0000-4000-8000-000000000003",
        "interaction_id": "bbbbbbbb-0000-4000-8000-000000000001",
        "event_type": "play"
    }]'
) as answer \gset
select is(pg_temp.refusal('{"id": "cccccccc-0000-4000-8000-000000000003"}'), '1 ON015', 'the id of another''s event');

-- The whole call.
select pg_temp.rows() as stored \gset
select is(
    pg_temp.send(:'one', '[{"interaction_id": "bbbbbbbb-0000-4000-8000-000000000001", "event_type": "play"}, 7]'),
    'PT400 interaction_id names no interaction of yours / Send the id that was returned when it was stored.',
    'PT400: no row can be taken'
);
select is(
    pg_temp.send(:'one', '{}'),
    'PT400 The batch is no JSON array with rows in it. / Send an array of 1 to 1000 objects, even for one row.',
    'PT400: no array'
);
select alike(pg_temp.send(:'one', '[]'), 'PT400 The batch is no%', 'PT400: an empty one');
select alike(
    pg_temp.asked(:'one', 'select public.record_watch_event(null)'), 'PT400 The batch is no%', 'PT400: nothing'
);
select alike(
    pg_temp.send(:'one', (select jsonb_agg(n) from generate_series(1, 1001) as n)), 'PT413 %', 'PT413: too many rows'
);
select alike(
    pg_temp.send(:'one', jsonb_build_array(repeat('x', 10000000))), 'PT413 %', 'PT413: 10 MB'
);
select is(
    pg_temp.send(null, '[{"interaction_id": "aaaaaaaa-0000-4000-8000-000000000001", "event_type": "play"}]'),
    'PT403 Only a person can call this. / Sign in, and send the token of that session.',
    'PT403: nobody'
);
select is(
    pg_temp.outcome('anon', null, $$select public.record_watch_event('[]')$$),
    '42501 permission denied for function record_watch_event',
    'anonymous visitors record nothing'
);
select is(pg_temp.rows(), :stored::bigint, 'nothing of all this was stored');
select is(
    pg_temp.send(
        :'one',
        (
            select
                jsonb_agg(
                    '{"interaction_id": "aaaaaaaa-0000-4000-8000-000000000001", "event_type": "play"}'::jsonb
                )
            from generate_series(1, 1000)
        )
    )::jsonb -> 'stored',
    '1000',
    'S-261: 1000 at once'
);
select is(
    (select count(distinct id) from public.watch_events where interaction_id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    pg_temp.rows() - 2,
    'each with an id of its own'
);
select is(
    pg_temp.send(:'two', '[{"interaction_id": "aaaaaaaa-0000-4000-8000-000000000001", "event_type": "play"}]') ~ '^PT400',
    true,
    'and another adds none'
);

select finish();
rollback;
