-- What a person says of a video is kept once, of known videos, and the last words stand.
begin;
\ir ../outcome.psql
\ir ../asked.psql
select plan(25);

insert into auth.users (id, email) values
('11111111-1111-4111-8111-111111111111', 'one@example.com'),
('22222222-2222-4222-8222-222222222222', 'two@example.com');
\set one '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}'
\set two '{"sub": "22222222-2222-4222-8222-222222222222", "role": "authenticated"}'
insert into public.cached_videos (video_id, title) values ('feedbackVid', 'a video that does not play');
select pg_temp.asked(:'one', $$select public.start_search('q')$$)::jsonb ->> 'session_id' as visit \gset
select pg_temp.asked(:'two', $$select public.start_search('q')$$)::jsonb ->> 'session_id' as foreign_ \gset
insert into public.user_session_details (user_id, session_id) values
('11111111-1111-4111-8111-111111111111', 'dddddddd-0000-4000-8000-000000000001'),
('22222222-2222-4222-8222-222222222222', 'dddddddd-0000-4000-8000-000000000002');

-- Kept.
select is(
    pg_temp.asked(:'one', $$select public.submit_feedback('feedbackVid', 'like')$$)::jsonb - 'id',
    jsonb_build_object('created_at', now(), 'repeated', false),
    'S-256: a like'
);
select is(
    pg_temp.asked(:'one', $$select public.submit_feedback('feedbackVid', 'dislike')$$)::jsonb -> 'repeated',
    'false',
    'S-256: then a dislike'
);
select results_eq(
    $$select feedback_type from public.user_feedback
    where user_id = '11111111-1111-4111-8111-111111111111' order by feedback_type$$,
    $$values ('dislike'), ('like')$$,
    'S-256: are two rows'
);
update public.user_feedback
set created_at = '2026-01-01'
where user_id = '11111111-1111-4111-8111-111111111111';
select is(
    pg_temp.asked(
        :'one',
        format(
            $$select public.submit_feedback('feedbackVid', 'like', 'other', 'because', %L, 'cats', 3)$$,
            :'visit'
        )
    )::jsonb - 'id',
    jsonb_build_object('created_at', now(), 'repeated', true),
    'S-256: said again, it is a repeat'
);
select results_eq(
    $$select reason, comment, session_id, source_keyword::text, position_in_list, created_at
    from public.user_feedback
    where user_id = '11111111-1111-4111-8111-111111111111' and feedback_type = 'like'$$,
    format($$values ('other', 'because', %L::uuid, 'cats', 3, now())$$, :'visit'),
    'S-256: of the same row, and the last words stand'
);
select is(
    pg_temp.asked(:'two', $$select public.submit_feedback('feedbackVid', 'like')$$)::jsonb -> 'repeated',
    'false',
    'S-256: another says it for the first time'
);
select is(
    pg_temp.asked(
        :'one',
        $$select public.submit_feedback('feedbackVid', 'report', session_id => 'dddddddd-0000-4000-8000-000000000001')$$
    )::jsonb -> 'repeated',
    'false',
    'S-256: during a visit without a search'
);

-- Refused.
create temporary table kept as
select *
from public.user_feedback
where video_id = 'feedbackVid';
create function pg_temp.say(arguments text)
returns text
language sql
as $$
    select pg_temp.asked(
        '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}',
        format('select public.submit_feedback(%s)', arguments)
    )
$$;
select is(
    pg_temp.say($$'a b', 'like'$$),
    'PT400 video_id is not an id of at most 20 letters, digits, _ and - / Send YouTube''s id of the video.',
    'PT400: no id'
);
select alike(pg_temp.say($$null, 'like'$$), 'PT400 video_id is not%', 'PT400: no video');
select is(
    pg_temp.say($$'feedbackVid', 'love'$$),
    'PT400 feedback_type is none of the known ones / Send like, dislike, not_interested or report.',
    'PT400: an unknown type'
);
select alike(pg_temp.say($$'feedbackVid', null$$), 'PT400 feedback_type is none%', 'PT400: no type');
select is(
    pg_temp.say($$'feedbackVid', 'like', 'boring'$$),
    'PT400 reason is none of the known ones / '
    'Send irrelevant, seen_too_many, offensive, quality, other or nothing.',
    'PT400: an unknown reason'
);
select is(
    pg_temp.say($$'feedbackVid', 'like', comment => repeat('x', 2001)$$),
    'PT400 comment is longer than 2000 characters / Shorten it.',
    'PT400: a comment too long'
);
select alike(
    pg_temp.say($$'feedbackVid', 'like', comment => repeat('x', 10000000)$$), 'PT400 comment is%', 'PT400: 10 MB'
);
select is(
    pg_temp.say($$'feedbackVid', 'like', source_keyword => repeat('x', 256)$$),
    'PT400 source_keyword is longer than 255 characters / Send the keyword that led to the video, or nothing.',
    'PT400: a keyword too long'
);
select is(
    pg_temp.say($$'feedbackVid', 'like', position_in_list => -1$$),
    'PT400 position_in_list is not from 0 to 100000 / Send its place in the list, from 0, or nothing.',
    'PT400: a negative place'
);
select alike(
    pg_temp.say($$'feedbackVid', 'like', position_in_list => 100001$$),
    'PT400 position_in_list%',
    'PT400: an absurd place'
);
select is(
    pg_temp.say($$'unknown', 'like'$$),
    'PT404 There is no such video. / Send only videos that the API has returned.',
    'PT404: an unknown video'
);
select is(
    pg_temp.say($$'feedbackVid', 'like', session_id => gen_random_uuid()$$),
    'PT404 There is no such session of yours. / Send the session_id that start_search returned, or nothing.',
    'PT404: an unknown session'
);
select alike(
    pg_temp.say(format($$'feedbackVid', 'like', session_id => %L$$, :'foreign_')),
    'PT404 There is no such session%',
    'PT404: another''s session, by the same answer'
);
select alike(
    pg_temp.say($$'feedbackVid', 'like', session_id => 'dddddddd-0000-4000-8000-000000000002'$$),
    'PT404 There is no such session%',
    'PT404: another''s visit'
);
select is(
    pg_temp.asked(null, $$select public.submit_feedback('feedbackVid', 'like')$$),
    'PT403 Only a person can call this. / Sign in, and send the token of that session.',
    'PT403: nobody'
);
select is(
    pg_temp.outcome('anon', null, $$select public.submit_feedback('feedbackVid', 'like')$$),
    '42501 permission denied for function submit_feedback',
    'anonymous visitors say nothing'
);
select alike(
    pg_temp.say($$'feedbackVid', 'like', position_in_list => 'first'$$),
    '22P02 %',
    'a word for a number is Postgres''s own 22P02'
);
select bag_eq(
    $$select * from public.user_feedback where video_id = 'feedbackVid'$$, 'select * from kept', 'nothing was changed'
);

select finish();
rollback;
