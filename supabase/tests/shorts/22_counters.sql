-- What is counted is added once, where it is read, and nobody alone takes a video out.
begin;
\ir ../outcome.psql
\ir ../asked.psql
select plan(63);

insert into auth.users (id, email)
select
    format('%s1111111-1111-4111-8111-111111111111', n)::uuid,
    format('person%s@example.com', n)
from generate_series(1, 4) as n;
\set one '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}'
\set two '{"sub": "21111111-1111-4111-8111-111111111111", "role": "authenticated"}'
\set three '{"sub": "31111111-1111-4111-8111-111111111111", "role": "authenticated"}'
\set four '{"sub": "41111111-1111-4111-8111-111111111111", "role": "authenticated"}'

delete from private.pending_counts;
delete from private.playback_errors;
delete from private.answered_queries;
insert into public.cached_videos (video_id, title, is_embeddable, privacy_status, expires_at) values
('countVideo1', 'plays', true, 'public', now() + interval '1 day'),
('countVideo2', 'plays', true, 'public', now() + interval '1 day'),
('countHidden', 'does not play', false, 'public', now() + interval '1 day'),
('countOld', 'has expired', true, 'public', now());
insert into public.keyword_video_mappings (keyword, video_id) values
('cat dance', 'countVideo1'),
('cat dance', 'countVideo2');
alter table public.cached_videos disable trigger set_updated_at;
alter table public.keyword_video_mappings disable trigger set_updated_at;
update public.cached_videos
set
    updated_at = '2026-01-01',
    last_accessed_at = '2026-01-01';
update public.keyword_video_mappings
set updated_at = '2026-01-01';
alter table public.cached_videos enable trigger set_updated_at;
alter table public.keyword_video_mappings enable trigger set_updated_at;

-- Clicks. The question is searched as it was typed and counted as it is normalised.
insert into public.search_sessions (id, user_id, search_query, session_started_at) values
('aaaaaaaa-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', ' Cat  DANCE', now()),
('aaaaaaaa-0000-4000-8000-000000000002', '11111111-1111-4111-8111-111111111111', 'nothing maps to this', now());
create function pg_temp.clicks(
    amount integer,
    thumbnail boolean,
    title boolean,
    session uuid default 'aaaaaaaa-0000-4000-8000-000000000001'
)
returns text
language sql
as $$
    select format(
        $q$insert into public.video_interactions (
            video_id, interaction_type, session_id, session_started_at, clicked_thumbnail, clicked_title
        )
        select 'countVideo1', 'view', %L, case when %1$L is not null then now() end, %L, %L
        from generate_series(1, %s)$q$,
        session, thumbnail, title, amount
    )
$$;
create function pg_temp.click_count()
returns integer
language sql
as $$
    select click_count
    from public.keyword_video_mappings
    where
        keyword = 'cat dance'
        and video_id = 'countVideo1'
$$;
select is(pg_temp.outcome('authenticated', :'one', pg_temp.clicks(3, true, false)), '3 rows', 'S-133: a person clicks');
select is(pg_temp.outcome('authenticated', :'one', pg_temp.clicks(1, false, true)), '1 row', 'the title too');
select is(pg_temp.outcome('authenticated', :'one', pg_temp.clicks(1, true, true)), '1 row', 'both are one click');
select is(pg_temp.outcome('authenticated', :'one', pg_temp.clicks(1, true, true)), '1 row', 'a click is a click');
select is(pg_temp.outcome('authenticated', :'one', pg_temp.clicks(1, true, true)), '1 row', 'and another one');
select is(pg_temp.outcome('authenticated', :'one', pg_temp.clicks(7, false, false)), '7 rows', 'and views without click');
select is(pg_temp.outcome('authenticated', :'one', pg_temp.clicks(2, true, true, null)), '2 rows', 'clicks out of a feed');
select is(pg_temp.click_count(), 0, 'D68: clicking does not touch the row that everybody reads');
select results_eq(
    'select counter, video_id::text, keyword, amount from private.pending_counts order by id',
    $$values
    ('click', 'countVideo1', 'cat dance', 1),
    ('click', 'countVideo1', 'cat dance', 1),
    ('click', 'countVideo1', 'cat dance', 1),
    ('click', 'countVideo1', 'cat dance', 1),
    ('click', 'countVideo1', 'cat dance', 1)$$,
    'S-133: what was clicked after a search waits to be added, and a person counts once in a batch'
);
select is(
    private.fold_counters(2) - '{answers_forgotten,quotas_forgotten,reports_forgotten}'::text[],
    '{"clicks": 2, "cache_hits": 0, "taken_out": 0}',
    'a batch of two is what is taken'
);
select is(pg_temp.click_count(), 2, 'and added');
select is(private.fold_counters() -> 'clicks', '3', 'the rest next time');
select is(pg_temp.click_count(), 5, 'S-123: 5 clicks are a click_count of 5');
select is(private.fold_counters() -> 'clicks', '0', 'nothing is left');
select is(pg_temp.click_count(), 5, 'S-123: and nothing is added twice');
select is(
    (select click_count from public.keyword_video_mappings where video_id = 'countVideo2'), 0, 'nor to another video'
);
select is(
    pg_temp.outcome(
        'authenticated', :'one', pg_temp.clicks(1, true, true, 'aaaaaaaa-0000-4000-8000-000000000002')
    ),
    '1 row',
    'a click that no mapping waits for'
);
select is(private.fold_counters() -> 'clicks', '0', 'is not noted');
select is_empty(
    $$select from public.keyword_video_mappings where keyword = 'nothing maps to this'$$, 'and makes no mapping'
);
select is(
    (select min(updated_at) from public.keyword_video_mappings where video_id = 'countVideo1'),
    '2026-01-01',
    'D68: a counted click is no change of the mapping'
);
update public.keyword_video_mappings
set relevance_score = 0.9
where video_id = 'countVideo1';
select is(
    (select min(updated_at) from public.keyword_video_mappings where video_id = 'countVideo1'),
    now(),
    'and a new relevance is'
);
select is(
    pg_temp.outcome('authenticated', :'one', 'update public.keyword_video_mappings set click_count = 9'),
    '42501 permission denied for table keyword_video_mappings',
    'nobody writes a counter'
);
select is(
    pg_temp.outcome('authenticated', :'one', 'select from private.pending_counts'),
    '42501 permission denied for table pending_counts',
    'nobody reads what waits'
);
select is(
    pg_temp.outcome('authenticated', :'one', 'select private.fold_counters()'),
    '42501 permission denied for function fold_counters',
    'nobody folds'
);

-- Served from the cache.
select is(
    pg_temp.asked(:'one', $$select video_id from public.touch_cached_video('countVideo1')$$),
    'countVideo1',
    'S-126: the video comes back'
);
select is(
    pg_temp.outcome('authenticated', :'one', $$select public.touch_cached_video('countVideo1')$$),
    '1 row',
    'S-126: again'
);
select is(
    (select cache_hit_count from public.cached_videos where video_id = 'countVideo1'),
    0,
    'D68: serving does not touch the row that everybody reads'
);
select is(
    pg_temp.outcome('authenticated', :'one', $$select public.touch_cached_video('countOld')$$),
    '0 rows',
    'S-126, S-207: what has expired is not served'
);
select is(
    pg_temp.outcome('authenticated', :'one', $$select public.touch_cached_video('countHidden')$$),
    '0 rows',
    'S-126: nor is what does not play'
);
select is(
    pg_temp.outcome('authenticated', :'one', $$select public.touch_cached_video('unknown')$$),
    '0 rows',
    'S-126: nor what is unknown'
);
select is(
    pg_temp.outcome('authenticated', :'one', 'select public.touch_cached_video(null)'), '0 rows', 'S-126: nor nothing'
);
select is(
    pg_temp.outcome('anon', null, $$select public.touch_cached_video('countVideo1')$$),
    '42501 permission denied for function touch_cached_video',
    'anonymous visitors do not count'
);
select is(
    pg_temp.outcome(
        'authenticated',
        :'one',
        $$select private.note_cache_hit(video_id)
        from unnest(array['countOld', 'countHidden', 'unknown', null]) as video_id$$
    ),
    '4 rows',
    'S-126: to note a hit of what is not served'
);
select is(
    pg_temp.outcome('authenticated', null, $$select private.note_cache_hit('countVideo1')$$), '1 row', 'or by nobody'
);
select is(private.fold_counters() -> 'cache_hits', '2', 'S-126: adds none to the two');
select results_eq(
    $$select cache_hit_count, last_accessed_at, updated_at
    from public.cached_videos where video_id = 'countVideo1'$$,
    $$values (2, now(), '2026-01-01'::timestamptz)$$,
    'S-126: 2 calls are a cache_hit_count of 2, accessed now, and no change of the video'
);
select is(
    (select sum(cache_hit_count) from public.cached_videos where video_id like 'count%'),
    2::bigint,
    'S-126: and nothing else was counted'
);
select is(private.fold_counters() -> 'cache_hits', '0', 'S-126: once');
update public.cached_videos
set title = 'plays still'
where video_id = 'countVideo1';
select is(
    (select updated_at from public.cached_videos where video_id = 'countVideo1'), now(), 'a new title is a change'
);

-- What the player said.
create function pg_temp.report(
    claims jsonb,
    video_id text,
    error_code integer
)
returns text
language sql
as $$
    select pg_temp.asked(claims, format('select public.report_playback_error(%L, %s)', video_id, error_code))
$$;
create function pg_temp.plays(video_id text)
returns boolean
language sql
as $$
    select is_playable
    from public.cached_videos as video
    where video.video_id = plays.video_id
$$;
select is(pg_temp.report(:'one', 'countVideo1', 150), '{"repeated": false}', 'a person reports an error');
select is(pg_temp.report(:'one', 'countVideo1', 101), '{"repeated": true}', 'once a day');
insert into private.playback_errors (video_id, user_id, reported_on, error_code, reported_at)
select
    'countVideo1',
    '11111111-1111-4111-8111-111111111111',
    private.korean_day() - n,
    150,
    now() - interval '1 hour'
from generate_series(1, 3) as n;
select is(pg_temp.report(:'two', 'countVideo1', 5), '{"repeated": false}', 'another reports an error of the app');
select is(pg_temp.report(:'three', 'countVideo1', 2), '{"repeated": false}', 'and a third one');
select is(private.fold_counters() -> 'taken_out', '0', 'one person is not enough, nor is an error of the app');
select is(pg_temp.report(:'two', 'countVideo1', 150), '{"repeated": true}', 'which the video''s own error replaces');
select is(private.fold_counters() -> 'taken_out', '0', 'two people are not enough');
insert into private.playback_errors (video_id, user_id, reported_on, error_code, reported_at)
values (
    'countVideo1',
    '41111111-1111-4111-8111-111111111111',
    private.korean_day() - 1,
    150,
    now() - interval '24 hours 1 second'
);
select is(private.fold_counters() -> 'taken_out', '0', 'nor one of the day before');
select ok(pg_temp.plays('countVideo1'), 'so it plays');
select is(pg_temp.report(:'three', 'countVideo1', 100), '{"repeated": true}', 'a third person');
select is(private.fold_counters() -> 'taken_out', '1', 'is enough');
select results_eq(
    $$select is_playable, player_error_code from public.cached_videos where video_id = 'countVideo1'$$,
    'values (false, 150)',
    'and the video is out, for what most of them saw'
);
update public.cached_videos
set player_error_code = null
where video_id = 'countVideo1';
select is(private.fold_counters() -> 'taken_out', '0', 'put back, the same reports do not take it out again');
insert into auth.users (id, is_anonymous)
select format('a%s111111-1111-4111-8111-111111111111', n)::uuid, true
from generate_series(1, 5) as n;
insert into private.playback_errors (video_id, user_id, reported_on, error_code)
select 'countVideo2', person.id, private.korean_day(), 150
from auth.users as person
where person.is_anonymous;
select is(private.fold_counters() -> 'taken_out', '0', 'nor do accounts that cost nothing to make take one out');
delete from private.playback_errors
where video_id = 'countVideo2';
select is(
    pg_temp.asked(:'one', $$select public.report_playback_error('countVideo1', 7)$$),
    'PT400 error_code is none of the player''s / Send what the player''s onError said: 2, 5, 100, 101, 150 or 153.',
    'PT400: another code'
);
select alike(
    pg_temp.asked(:'one', $$select public.report_playback_error('countVideo1', null)$$),
    'PT400 error_code is none%',
    'PT400: no code'
);
select is(
    pg_temp.asked(:'one', $$select public.report_playback_error('a b', 150)$$),
    'PT400 video_id is not an id of at most 20 letters, digits, _ and - / Send YouTube''s id of the video.',
    'PT400: no id'
);
select is(
    pg_temp.asked(:'one', $$select public.report_playback_error('countVideo1', 150, 'kr')$$),
    'PT400 region is not an ISO 3166 code of two capital letters / Send a code such as KR, or nothing.',
    'PT400: no region'
);
select is(
    pg_temp.asked(:'one', $$select public.report_playback_error('unknown', 150)$$),
    'PT404 There is no such video. / Send only videos that the API has returned.',
    'PT404: an unknown video'
);
select is(
    pg_temp.asked(null, $$select public.report_playback_error('countVideo1', 150)$$),
    'PT403 Only a person can call this. / Sign in, and send the token of that session.',
    'PT403: nobody'
);
select is(
    (select count(*) from private.playback_errors where video_id <> 'countVideo1'), 0::bigint, 'none of them was stored'
);
insert into private.playback_errors (video_id, user_id, reported_on, error_code, reported_at) values
('countVideo2', '41111111-1111-4111-8111-111111111111', '2026-01-01', 150, now() - interval '30 days 1 second'),
('countVideo2', '41111111-1111-4111-8111-111111111111', '2026-01-02', 150, now() - interval '29 days');
select is(private.fold_counters() -> 'reports_forgotten', '1', 'reports of more than 30 days are forgotten');
insert into private.answered_queries (digest, expires_at) values ('\x01', now()), ('\x02', now() + interval '1 second');
select is(private.fold_counters() -> 'answers_forgotten', '1', 'and answered queries that have expired');
select results_eq(
    'select digest from private.answered_queries', $$values ('\x02'::bytea)$$, 'and what has not is kept'
);

select finish();
rollback;
