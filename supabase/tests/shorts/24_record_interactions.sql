-- Any batch of interactions can be sent: good rows are kept once, bad ones named, and nothing of a refused call stays.
begin;
\ir ../outcome.psql
\ir ../asked.psql
select plan(73);

insert into auth.users (id, email) values
('11111111-1111-4111-8111-111111111111', 'one@example.com'),
('22222222-2222-4222-8222-222222222222', 'two@example.com');
\set one '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}'
\set two '{"sub": "22222222-2222-4222-8222-222222222222", "role": "authenticated"}'
insert into public.cached_videos (video_id, title, is_embeddable, privacy_status) values
('recordVid1', 'plays', true, 'public'),
('recordVid2', 'does not play', false, 'private');
select pg_temp.asked(:'one', $$select public.start_search('q')$$)::jsonb ->> 'id' as own \gset
select pg_temp.asked(:'two', $$select public.start_search('q')$$)::jsonb ->> 'id' as foreign_ \gset

create function pg_temp.send(
    claims jsonb,
    interactions jsonb
)
returns text
language sql
as $$
    select pg_temp.asked(claims, format('select public.record_interaction(%L)', interactions))
$$;
create function pg_temp.rows()
returns bigint
language sql
as $$
    select count(*)
    from public.video_interactions
    where video_id in ('recordVid1', 'recordVid2')
$$;

-- Kept.
select pg_temp.send(
    :'one',
    jsonb_build_array(
        jsonb_build_object('video_id', 'recordVid1', 'interaction_type', 'view', 'session_id', :'own'),
        jsonb_build_object(
            'id', 'aaaaaaaa-0000-4000-8000-000000000001',
            'video_id', 'recordVid2',
            'interaction_type', 'like',
            'interaction_value', 3,
            'watch_duration', 20,
            'total_duration', 40,
            'watch_percentage', 0.5,
            'watched_to_end', true,
            'clicked_thumbnail', true,
            'clicked_title', true,
            'opened_in_youtube', true,
            'user_rating', 4,
            'feedback_text', '좋아요',
            'interaction_context', '{"source": "feed", "position": null}'::jsonb,
            'interaction_timestamp', now() - interval '167 hours',
            'session_id', null
        )
    )
)::jsonb as answer \gset
select is(
    :'answer'::jsonb - 'interactions',
    '{"received": 2, "stored": 2, "repeated": 0, "rejected": []}',
    'S-260: record_interaction tells what it did'
);
select is(
    jsonb_path_query_array(:'answer', '$.interactions[*].index'), '[0, 1]', 'S-260: and the ids, in the order sent'
);
select results_eq(
    format(
        $$select interaction.user_id, session.user_id, interaction.interaction_type::text
        from public.video_interactions as interaction
        inner join public.search_sessions as session
            on interaction.session_id = session.id and interaction.session_started_at = session.session_started_at
        where session.id = %L and interaction.id = %L$$,
        :'own', :'answer'::jsonb #>> '{interactions,0,id}'
    ),
    $$values (
        '11111111-1111-4111-8111-111111111111'::uuid, '11111111-1111-4111-8111-111111111111'::uuid, 'view'
    )$$,
    'S-260: the view is linked to its session, the keys of the partition filled in'
);
insert into public.video_interactions (user_id, video_id, interaction_type, session_id, session_started_at)
select
    user_id,
    'recordVid1',
    'view',
    id,
    session_started_at
from public.search_sessions
where id = :'foreign_';
select results_eq(
    format(
        $$select to_jsonb(interaction) - '{id,user_id,session_id,session_started_at}'::text[]
        from public.video_interactions as interaction where id = %L$$,
        :'answer'::jsonb #>> '{interactions,0,id}'
    ),
    format(
        $$select to_jsonb(interaction) - '{id,user_id,session_id,session_started_at}'::text[]
        from public.video_interactions as interaction where session_id = %L$$,
        :'foreign_'
    ),
    'S-260: what is not said is as the table has it'
);
select results_eq(
    $$select
        interaction_value, watch_duration, total_duration, completion_rate, watch_percentage, watched_to_end,
        clicked_thumbnail, clicked_title, opened_in_youtube, user_rating, feedback_text, interaction_context,
        interaction_timestamp, created_at, session_id
    from public.video_interactions where id = 'aaaaaaaa-0000-4000-8000-000000000001'$$,
    $$values (
        3, 20, 40, 0.50, 0.5::double precision, true, true, true, true, 4, '좋아요',
        '{"source": "feed", "position": null}'::jsonb, now() - interval '167 hours', now(), null::uuid
    )$$,
    'S-260: what is said is stored, of a video that plays no more too'
);

-- Repeated.
select pg_temp.rows() as stored \gset
select is(
    pg_temp.send(
        :'one',
        '[
            {"id": "aaaaaaaa-0000-4000-8000-000000000001", "video_id": "recordVid2", "interaction_type": "like"},
            {"id": "AAAAAAAA-0000-4000-8000-000000000001", "video_id": "gone", "interaction_type": "like"}
        ]'
    )::jsonb,
    '{
        "received": 2, "stored": 0, "repeated": 2, "rejected": [],
        "interactions": [
            {"index": 0, "id": "aaaaaaaa-0000-4000-8000-000000000001"},
            {"index": 1, "id": "aaaaaaaa-0000-4000-8000-000000000001"}
        ]
    }',
    'S-260: what was stored is known again by its id'
);
select is(pg_temp.rows(), :stored::bigint, 'S-260: and not stored twice');
select is(
    pg_temp.send(
        :'one',
        '[
            {"id": "aaaaaaaa-0000-4000-8000-000000000002", "video_id": "gone", "interaction_type": "view"},
            {"id": "aaaaaaaa-0000-4000-8000-000000000002", "video_id": "recordVid1", "interaction_type": "view"},
            {"id": "aaaaaaaa-0000-4000-8000-000000000002", "video_id": "recordVid1", "interaction_type": "skip"}
        ]'
    )::jsonb - 'rejected' - 'interactions',
    '{"received": 3, "stored": 1, "repeated": 1}',
    'an id that comes twice in a batch is stored once, by the first row that is good'
);
select is(
    (
        select interaction_type::text
        from public.video_interactions
        where id = 'aaaaaaaa-0000-4000-8000-000000000002'
    ),
    'view',
    'which is this'
);
update public.video_interactions
set
    created_at = now() - interval '24 hours',
    interaction_timestamp = now() - interval '24 hours'
where id = 'aaaaaaaa-0000-4000-8000-000000000002';
select is(
    pg_temp.send(
        :'one',
        '[{"id": "aaaaaaaa-0000-4000-8000-000000000002", "video_id": "recordVid1", "interaction_type": "view"}]'
    )::jsonb -> 'stored',
    '1',
    'an id is known for 24 hours'
);

-- Each bad row beside a good one: named by index, code and hint, and not stored.
create function pg_temp.refusal(fields jsonb)
returns text
language plpgsql
as $$
declare
    before constant bigint := pg_temp.rows();
    answer jsonb := pg_temp.send(
        '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}',
        jsonb_build_array(
            '{"video_id": "recordVid1", "interaction_type": "save"}'::jsonb,
            case
                when jsonb_typeof(fields) = 'object'
                    then '{"video_id": "recordVid1", "interaction_type": "save"}'::jsonb || fields
                else fields
            end
        )
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
select is(pg_temp.refusal('null'), '1 ON001', 'null is no row');
select is(pg_temp.refusal('"video_id"'), '1 ON001', 'a text is no row');
select is(pg_temp.refusal('[[]]'::jsonb), '1 ON001', 'an array is no row');
select is(pg_temp.refusal('{"video_id": null}'), '1 ON002', 'no video');
select is(pg_temp.refusal('{"video_id": 7}'), '1 ON002', 'a video that is a number');
select is(pg_temp.refusal('{"video_id": ["recordVid1"]}'), '1 ON002', 'a video that is an array');
select is(pg_temp.refusal('{"video_id": "a b"}'), '1 ON002', 'an id with a space');
select is(pg_temp.refusal('{"video_id": "aaaaaaaaaaaaaaaaaaaaa"}'), '1 ON002', 'an id of 21 characters');
select is(pg_temp.refusal('{"video_id": "unknown"}'), '1 ON012', 'an unknown video');
select is(pg_temp.refusal('{"interaction_type": null}'), '1 ON009', 'no type');
select is(pg_temp.refusal('{"interaction_type": "love"}'), '1 ON009', 'an unknown type');
select is(pg_temp.refusal('{"interaction_type": {"a": 1}}'), '1 ON009', 'a type that is an object');
select is(pg_temp.refusal('{"id": "7"}'), '1 ON011', 'an id that is no UUID');
select is(pg_temp.refusal('{"id": 7}'), '1 ON011', 'an id that is a number');
select is(pg_temp.refusal('{"session_id": "mine"}'), '1 ON011', 'a session that is no UUID');
select is(
    pg_temp.refusal(jsonb_build_object('session_id', gen_random_uuid())), '1 ON013', 'an unknown session'
);
select is(
    pg_temp.refusal(jsonb_build_object('session_id', :'foreign_')), '1 ON013', 'another''s session, by the same code'
);
select is(pg_temp.refusal('{"watched_to_end": "yes"}'), '1 ON009', 'a flag in words');
select is(pg_temp.refusal('{"clicked_thumbnail": 1}'), '1 ON009', 'a flag that is a number');
select is(pg_temp.refusal('{"clicked_title": "true"}'), '1 ON009', 'a flag that is a text');
select is(pg_temp.refusal('{"opened_in_youtube": []}'), '1 ON009', 'a flag that is an array');
select is(pg_temp.refusal('{"interaction_value": -1}'), '1 ON007', 'a negative value');
select is(pg_temp.refusal('{"interaction_value": 101}'), '1 ON007', 'an absurd value');
select is(pg_temp.refusal('{"interaction_value": "1"}'), '1 ON007', 'a value that is a text');
select is(pg_temp.refusal('{"watch_duration": -1}'), '1 ON007', 'a negative duration');
select is(pg_temp.refusal('{"watch_duration": 86401}'), '1 ON007', 'more than a day');
select is(pg_temp.refusal('{"watch_duration": 1.5}'), '1 ON007', 'half a second');
select is(pg_temp.refusal('{"watch_duration": 1e300}'), '1 ON007', 'an absurd duration');
select is(pg_temp.refusal('{"watch_duration": "5"}'), '1 ON007', 'a duration that is a text');
select is(pg_temp.refusal('{"watch_duration": true}'), '1 ON007', 'a duration that is a flag');
select is(pg_temp.refusal('{"total_duration": -1}'), '1 ON007', 'a negative length');
select is(pg_temp.refusal('{"total_duration": 3000000000}'), '1 ON007', 'an absurd length');
select is(pg_temp.refusal('{"watch_percentage": -0.1}'), '1 ON007', 'a negative share');
select is(pg_temp.refusal('{"watch_percentage": 50}'), '1 ON007', 'a share in per cent');
select is(pg_temp.refusal('{"watch_percentage": "0.5"}'), '1 ON007', 'a share that is a text');
select is(pg_temp.refusal('{"watch_percentage": 1e-400}'), '1 ON007', 'a share that no column holds');
select is(pg_temp.refusal('{"user_rating": 0}'), '1 ON007', 'a rating of 0');
select is(pg_temp.refusal('{"user_rating": 6}'), '1 ON007', 'a rating of 6');
select is(pg_temp.refusal('{"feedback_text": {"a": 1}}'), '1 ON003', 'a feedback that is an object');
select is(
    pg_temp.refusal(jsonb_build_object('feedback_text', repeat('x', 2001))), '1 ON004', 'a feedback too long'
);
select is(pg_temp.refusal('{"interaction_context": []}'), '1 ON014', 'a context that is no object');
select is(
    pg_temp.refusal(jsonb_build_object('interaction_context', jsonb_build_object('k', repeat('x', 4096)))),
    '1 ON014',
    'a context too large'
);
select is(pg_temp.refusal('{"interaction_timestamp": "yesterday"}'), '1 ON005', 'a time in words');
select is(pg_temp.refusal('{"interaction_timestamp": "2026-13-01T00:00:00Z"}'), '1 ON005', 'a time that does not exist');
select is(pg_temp.refusal('{"interaction_timestamp": "-infinity"}'), '1 ON005', 'a time without end');
select is(pg_temp.refusal('{"interaction_timestamp": 1767225600}'), '1 ON005', 'a time that is a number');
select is(
    pg_temp.refusal(jsonb_build_object('interaction_timestamp', now() - interval '168 hours 1 second')),
    '1 ON006',
    'a time more than a week ago'
);
select is(
    pg_temp.refusal(jsonb_build_object('interaction_timestamp', now() + interval '10 minutes 1 second')),
    '1 ON006',
    'a time to come'
);
select is(
    pg_temp.refusal('{"interaction_timestamp": "0044-03-15T12:00:00Z BC"}'), '1 ON006', 'a time before all times'
);
select pg_temp.send(
    :'two',
    '[{"id": "aaaaaaaa-0000-4000-8000-000000000003", "video_id": "recordVid1", "interaction_type": "view"}]'
) as answer \gset
select is(
    pg_temp.refusal('{"id": "aaaaaaaa-0000-4000-8000-000000000003"}'), '1 ON015', 'the id of another''s interaction'
);
select is(
    pg_temp.send(:'one', '[{"video_id": "recordVid1", "interaction_type": "view", "created_at": "2020-01-01T00:00:00Z",
        "user_id": "22222222-2222-4222-8222-222222222222"}]')::jsonb -> 'stored',
    '1',
    'what is no field of the call'
);
select is_empty(
    $$select from public.video_interactions
    where video_id = 'recordVid1' and created_at < now() - interval '2 days'$$,
    'D12: says nothing: nobody dates an interaction back'
);
select results_eq(
    $$select count(*) from public.video_interactions where user_id = '22222222-2222-4222-8222-222222222222'$$,
    'values (2::bigint)',
    'nor gives it to somebody else'
);

-- The whole call.
select pg_temp.rows() as stored \gset
select is(
    pg_temp.send(:'one', '[{"video_id": "unknown", "interaction_type": "view"}, 7]'),
    'PT400 there is no such video / Send only videos that the API has returned.',
    'PT400: no row can be taken'
);
select is(
    pg_temp.send(:'one', '{"video_id": "recordVid1", "interaction_type": "view"}'),
    'PT400 The batch is no JSON array with rows in it. / Send an array of 1 to 1000 objects, even for one row.',
    'PT400: no array'
);
select alike(pg_temp.send(:'one', '[]'), 'PT400 The batch is no%', 'PT400: an empty one');
select alike(
    pg_temp.asked(:'one', 'select public.record_interaction(null)'), 'PT400 The batch is no%', 'PT400: nothing'
);
select is(
    pg_temp.send(
        :'one',
        (
            select jsonb_agg('{"video_id": "recordVid1", "interaction_type": "view"}'::jsonb)
            from generate_series(1, 1001)
        )
    ),
    'PT413 The batch has more than 1000 rows or 2 MB. / Send it in parts of at most 1000 rows and 2 MB.',
    'PT413: too many rows'
);
select alike(
    pg_temp.send(
        :'one',
        jsonb_build_array(
            '{"video_id": "recordVid1", "interaction_type": "view"}'::jsonb
            || jsonb_build_object('padding', repeat('x', 10000000))
        )
    ),
    'PT413 %',
    'PT413: 10 MB'
);
select is(
    pg_temp.send(null, '[{"video_id": "recordVid1", "interaction_type": "view"}]'),
    'PT403 Only a person can call this. / Sign in, and send the token of that session.',
    'PT403: nobody'
);
select is(
    pg_temp.outcome('anon', null, $$select public.record_interaction('[]')$$),
    '42501 permission denied for function record_interaction',
    'anonymous visitors record nothing'
);
select is(pg_temp.rows(), :stored::bigint, 'nothing of all this was stored');

select finish();
rollback;
