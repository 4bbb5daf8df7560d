-- What is to be looked up is in the queue once, comes out by urgency, and leaves it only with an answer.
begin;
\ir ../served.psql
select plan(96);

delete from private.refresh_queue;
delete from private.playback_errors;
delete from public.cached_videos;

-- A row of the cache or the queue as text, and the lease of the last claim.
create temporary table claim (place integer generated always as identity, answer jsonb);
create function pg_temp.claim(most integer default 50, seconds integer default 300)
returns text[]
language plpgsql
as $$
declare
    claimed jsonb := pg_temp.served(format('select public.claim_refreshes(%s, %s)', most, seconds));
begin
    insert into claim (answer) values (claimed);
    return array(select video ->> 'video_id' from jsonb_array_elements(claimed -> 'videos') as video);
end
$$;
create function pg_temp.lease(back integer default 0)
returns uuid
language sql
as $$
    select (answer ->> 'lease')::uuid from claim order by place desc offset back limit 1
$$;
create function pg_temp.finish(lease uuid, videos jsonb, missing jsonb default '[]')
returns jsonb
language sql
as $$
    select pg_temp.served(format('select public.finish_refreshes(%L, %L, %L)', lease, videos, missing))
$$;
create function pg_temp.news(video_id text, extra jsonb default '{}', at timestamptz default now())
returns jsonb
language sql
as $$
    select
        jsonb_build_object(
            'video_id', video_id,
            'title', 'of ' || video_id,
            'collected_at', at,
            'is_embeddable', true,
            'privacy_status', 'public'
        )
        || extra
$$;
create function pg_temp.queue(videos jsonb)
returns jsonb
language sql
as $$
    select pg_temp.served(format('select public.queue_videos(%L)', videos))
$$;

-- Into the queue.
select is(
    pg_temp.queue(
        '[
            {"video_id": "new1", "reason": "discovered", "keyword": " Cat  DANCE", "rank": 3, "region": "KR"},
            {"video_id": "new2", "reason": "requested"},
            {"video_id": "new1", "reason": "discovered", "keyword": "dog"},
            {"video_id": "new1", "reason": "discovered", "keyword": "cat dance", "rank": 7}
        ]'
    ),
    '{"received": 4, "queued": 2, "merged": 2, "fresh": 0, "rejected": []}',
    'ids that nobody knows are queued, each once'
);
select results_eq(
    $$select video_id::text, keyword::text, search_rank from private.refresh_keywords order by video_id, keyword$$,
    $$values ('new1', 'cat dance', 3), ('new1', 'dog', null)$$,
    'with every keyword once, normalised, at its best place of the batch'
);
select is(
    pg_temp.queue(
        '[
            {"video_id": "new1", "reason": "requested", "keyword": "cat dance", "rank": 5},
            {"video_id": "new2", "reason": "discovered", "keyword": "bird", "region": "JP"},
            {"video_id": "new1", "reason": "discovered", "keyword": "dog"}
        ]'
    ),
    '{"received": 3, "queued": 0, "merged": 3, "fresh": 0, "rejected": []}',
    'what is queued already is merged'
);
select results_eq(
    $$select video_id::text, reason, region::text from private.refresh_queue order by video_id$$,
    $$values ('new1', 'requested', 'KR'), ('new2', 'requested', 'JP')$$,
    'the more urgent reason stays, and the last region that was named'
);
select results_eq(
    $$select video_id::text, keyword::text, search_rank from private.refresh_keywords order by video_id, keyword$$,
    $$values ('new1', 'cat dance', 5), ('new1', 'dog', null), ('new2', 'bird', null)$$,
    'keywords come together, and the newest search tells the place'
);
select is(
    pg_temp.queue('[{"video_id": "new1", "reason": "requested", "keyword": "cat dance"}]') -> 'merged', '1', 'again'
);
select is(
    (select search_rank from private.refresh_keywords where video_id = 'new1' and keyword = 'cat dance'),
    5,
    'a place that is not named is not forgotten'
);

-- What a source told within the hour.
insert into public.cached_videos (video_id, title, is_embeddable, privacy_status, collected_at, cache_hit_count)
values
('fresh', 'young', true, 'public', now() - interval '59 minutes', 0),
('hour', 'an hour old', true, 'public', now() - interval '1 hour', 9),
('vague', 'embedding unknown', null, 'public', now(), 0),
('vaguer', 'privacy unknown', true, null, now(), 0);
select is(
    pg_temp.queue(
        '[
            {"video_id": "fresh", "reason": "discovered", "keyword": "Fish", "rank": 4},
            {"video_id": "fresh", "reason": "discovered", "keyword": "fish", "rank": 2},
            {"video_id": "fresh", "reason": "requested"},
            {"video_id": "hour", "reason": "discovered", "keyword": "fish", "rank": 1},
            {"video_id": "vague", "reason": "discovered"},
            {"video_id": "vaguer", "reason": "discovered"}
        ]'
    ),
    '{"received": 6, "queued": 3, "merged": 0, "fresh": 3, "rejected": []}',
    'what was told within the hour, and whole, is fresh'
);
select results_eq(
    $$
        select
            keyword::text,
            video_id::text,
            search_rank,
            mapping_source::text,
            round(relevance_score::numeric, 6)
        from public.keyword_video_mappings
        where keyword = 'fish'
    $$,
    $$values ('fish', 'fresh', 2, 'youtube_api', 0.590616)$$,
    'and its keyword a mapping at once: 1/(1 + ln 2)'
);
select is(
    (select demand from private.refresh_queue where video_id = 'hour'), 9, 'how often it was served goes along'
);
select is(
    pg_temp.queue('[{"video_id": "fresh", "reason": "discovered", "keyword": "fish", "rank": 2}]') -> 'fresh',
    '1',
    'the same again'
);
select is(private.search_relevance(1), 1.0::double precision, 'the first place is worth 1');
select is(private.search_relevance(null), 1.0::double precision, 'so is an unknown one');
select ok(private.search_relevance(1000) between 0.1 and 0.2, 'the last one is worth something');

-- What is refused.
select is(
    pg_temp.queue(
        jsonb_build_array(
            7,
            '{"video_id": 7, "reason": "requested"}'::jsonb,
            '{"video_id": "a b", "reason": "requested"}'::jsonb,
            '{"reason": "requested"}'::jsonb,
            '{"video_id": "bad", "reason": "requested", "keyword": "  "}'::jsonb,
            jsonb_build_object('video_id', 'bad', 'reason', 'requested', 'keyword', repeat('k', 256)),
            '{"video_id": "bad", "reason": "requested", "keyword": "k", "rank": 0}'::jsonb,
            '{"video_id": "bad", "reason": "requested", "keyword": "k", "rank": 1001}'::jsonb,
            '{"video_id": "bad", "reason": "requested", "keyword": "k", "rank": "first"}'::jsonb,
            '{"video_id": "bad", "reason": "requested", "region": "kr"}'::jsonb,
            '{"video_id": "bad", "reason": "player_error"}'::jsonb,
            '{"video_id": "bad"}'::jsonb,
            '{"video_id": "good", "reason": "requested", "keyword": "k", "rank": 1000}'::jsonb
        )
    ) #- '{rejected, 0, message}' #- '{rejected, 1, message}' #- '{rejected, 2, message}' #- '{rejected, 3, message}'
    #- '{rejected, 4, message}' #- '{rejected, 5, message}' #- '{rejected, 6, message}' #- '{rejected, 7, message}'
    #- '{rejected, 8, message}' #- '{rejected, 9, message}' #- '{rejected, 10, message}'
    #- '{rejected, 11, message}',
    '{"received": 13, "queued": 1, "merged": 0, "fresh": 0, "rejected": [
        {"index": 0, "code": "ON001"},
        {"index": 1, "code": "ON003"},
        {"index": 2, "code": "ON002"},
        {"index": 3, "code": "ON002"},
        {"index": 4, "code": "ON003"},
        {"index": 5, "code": "ON004"},
        {"index": 6, "code": "ON007"},
        {"index": 7, "code": "ON007"},
        {"index": 8, "code": "ON007"},
        {"index": 9, "code": "ON008"},
        {"index": 10, "code": "ON009"},
        {"index": 11, "code": "ON009"}
    ]}',
    'bad rows are named, and the good one is queued'
);
select is(pg_temp.queue('{}'), '"PT400 The batch is no JSON array."', 'PT400: no array');
select is(
    pg_temp.queue((select jsonb_agg(n) from generate_series(1, 5001) as n)),
    '"PT413 The batch has more than 5000 rows."',
    'PT413: more than 5000'
);

-- Out of it, by urgency.
delete from private.refresh_queue;
insert into private.refresh_queue (video_id, reason, demand, due_at)
values
('e-unknown', 'unknown', 9, now() - interval '9 hours'),
('d-expiring', 'expiring', 1, now() - interval '2 hours'),
('d-expiring-used', 'expiring', 2, now() - interval '1 hour'),
('c-discovered', 'discovered', 0, now() - interval '1 hour'),
('c-discovered-before', 'discovered', 0, now() - interval '2 hours'),
('b-requested', 'requested', 0, now()),
('a-error', 'player_error', 0, now()),
('later', 'player_error', 0, now() + interval '1 second');
select is(
    pg_temp.claim(3),
    array['a-error', 'b-requested', 'c-discovered-before'],
    'a player''s error before what was asked for, before what is new, the longest due first'
);
select is(
    pg_temp.claim(3),
    array['c-discovered', 'd-expiring-used', 'd-expiring'],
    'before what expires, the most used first'
);
select is(pg_temp.claim(), array['e-unknown'], 'before what is unknown');
select is(
    pg_temp.served('select public.claim_refreshes()'),
    '{"lease": null, "videos": []}',
    'what is not due or in hand is not claimed'
);
select is(
    (select answer #> '{videos, 0}' from claim where place = 1),
    '{"video_id": "a-error", "reason": "player_error", "attempts": 0, "region": null, "keywords": []}',
    'a video in hand'
);
select ok(
    (
        select count(distinct lease) = 3 and max(leased_until) = now() + interval '300 seconds'
        from private.refresh_queue
    ),
    'each claim has a lease of its own, of 5 minutes'
);

-- A lease that ran out.
insert into private.refresh_keywords (video_id, keyword) values ('a-error', 'not the late one''s');
update private.refresh_queue
set leased_until = now()
where lease = pg_temp.lease(2);
select is(
    pg_temp.claim(50, 60), array['a-error', 'b-requested', 'c-discovered-before'], 'what ran out is claimed again'
);
select is(
    (select array_agg(attempts order by video_id) from private.refresh_queue where lease = pg_temp.lease()),
    '{1,1,1}',
    'and that was an attempt'
);
select is(
    pg_temp.finish(pg_temp.lease(3), jsonb_build_array(pg_temp.news('a-error')), '["b-requested"]')
    - 'stored',
    '{"gone": 0, "left": 0}',
    'who comes late'
);
select is(
    (select count(*) from private.refresh_queue where lease = pg_temp.lease()),
    3::bigint,
    'takes nothing out of another''s hand'
);
select is(
    (select title from public.cached_videos where video_id = 'a-error'),
    'of a-error',
    'though the news, which was paid for, is stored'
);
select is_empty(
    $$select from public.keyword_video_mappings where video_id = 'a-error'$$, 'and its keyword left to the other'
);
select is(
    pg_temp.served(format($$select public.release_refreshes(%L, 'late')$$, pg_temp.lease(3))),
    '{"released": 0}',
    'nor does one who gives back late'
);
update private.refresh_queue
set leased_until = now() - interval '1 second'
where lease = pg_temp.lease();
select is(
    pg_temp.finish(
        pg_temp.lease(),
        jsonb_build_array(pg_temp.news('a-error'), pg_temp.news('b-requested'), pg_temp.news('c-discovered-before'))
    ) -> 'left',
    '0',
    'who comes late and before everybody else'
);
select is(
    (select count(*) from private.refresh_queue where video_id in ('a-error', 'b-requested')),
    0::bigint,
    'is in time'
);

-- S-192: a stale video is queued by the job, and is true again when it was looked up.
delete from private.refresh_queue;
delete from public.cached_videos;
insert into public.cached_videos (
    video_id, title, is_embeddable, privacy_status, collected_at, expires_at, cache_hit_count
)
values
('stale', 'a', true, 'public', now() - interval '7 days', now(), 1),
('stale-used', 'a', true, 'public', now() - interval '6 days', now() + interval '24 hours', 5),
('young', 'a', true, 'public', now() - interval '6 days', now() + interval '24 hours 1 second', 9);
select is(
    private.queue_due_videos(),
    '{"player_error": 0, "expiring": 2, "unknown": 0}',
    'S-192: what expires within a day is queued by the job'
);
select is(
    private.queue_due_videos(), '{"player_error": 0, "expiring": 0, "unknown": 0}', 'S-192: once'
);
select is(pg_temp.claim(), array['stale-used', 'stale'], 'S-192: what is used most comes first');
select is(
    pg_temp.finish(
        pg_temp.lease(),
        jsonb_build_array(
            pg_temp.news('stale', '{"privacy_status": "private"}'),
            pg_temp.news('stale-used', '{"is_embeddable": true}')
        )
    ),
    '{"stored": {"received": 2, "inserted": 0, "updated": 2, "unchanged": 0, "rejected": []}, "gone": 0, "left": 0}',
    'S-192: the answer is stored'
);
select results_eq(
    $$
        select
            video_id::text,
            privacy_status::text,
            is_playable,
            expires_at
        from public.cached_videos
        where video_id like 'stale%'
        order by video_id
    $$,
    $$values
    ('stale', 'private', false, now() + interval '7 days'),
    ('stale-used', 'public', true, now() + interval '7 days')$$,
    'S-192: status and time are those of the source'
);
select is((select count(*) from private.refresh_queue), 0::bigint, 'S-192: and the queue is empty');

-- S-215: 120 ids.
select is(
    pg_temp.queue(
        (
            select jsonb_agg(jsonb_build_object('video_id', format('id%s', n), 'reason', 'requested'))
            from generate_series(1, 120) as n
        )
    ) -> 'queued',
    '120',
    'S-215: 120 ids are queued'
);
select is(cardinality(pg_temp.claim()), 50, 'S-215: the first 50');
select is(cardinality(pg_temp.claim()), 50, 'S-215: another 50');
select is(cardinality(pg_temp.claim()), 20, 'S-215: and the rest, three calls of videos.list');
select is(cardinality(pg_temp.claim()), 0, 'S-215: then none');
select is(
    (
        select count(distinct video ->> 'video_id')
        from (select answer from claim order by place desc limit 4) as last
        cross join jsonb_array_elements(last.answer -> 'videos') as video
    ),
    120::bigint,
    'S-215: each id once'
);

-- Finished: found, refused, gone, and not answered for.
delete from private.refresh_queue;
delete from public.cached_videos;
insert into public.cached_videos (video_id, title, is_embeddable, privacy_status, live_broadcast, collected_at)
values
('known-gone', 'was there', true, 'public', 'none', now() - interval '1 day'),
('gone-newer', 'told since', true, 'public', 'none', now() + interval '1 minute'),
('bystander', 'not in the lease', true, 'public', 'none', now() - interval '1 day');
select is(
    pg_temp.queue(
        '[
            {"video_id": "found", "reason": "requested", "keyword": "cat", "rank": 3},
            {"video_id": "found", "reason": "requested", "keyword": "dog"},
            {"video_id": "refused", "reason": "requested", "keyword": "cat"},
            {"video_id": "known-gone", "reason": "requested", "keyword": "cat"},
            {"video_id": "never-known", "reason": "requested", "keyword": "cat"},
            {"video_id": "silent", "reason": "requested", "keyword": "cat"},
            {"video_id": "both", "reason": "requested"}
        ]'
    ) -> 'queued',
    '6',
    'six videos of every kind'
);
select is(cardinality(pg_temp.claim()), 6, 'are claimed');
select is(
    pg_temp.queue('[{"video_id": "found", "reason": "requested", "keyword": "late", "rank": 1}]') -> 'merged',
    '1',
    'a keyword that comes meanwhile'
);
create temporary table finished as
select pg_temp.finish(
    pg_temp.lease(),
    jsonb_build_array(
        pg_temp.news('found', '{"keywords": [{"keyword": "cat", "relevance": 0.9, "source": "ai_analysis"}]}'),
        pg_temp.news('refused', '{"view_count": -1}'),
        pg_temp.news('both')
    ),
    '["known-gone", "never-known", "both", "bystander", "found"]'
) as answer;
select is(
    (select answer #- '{stored, rejected, 0, message}' from finished),
    '{
        "stored": {
            "received": 3, "inserted": 2, "updated": 0, "unchanged": 0, "rejected": [{"index": 1, "code": "ON007"}]
        },
        "gone": 2,
        "left": 1
    }',
    'two are found, one is refused, two are gone, one is left'
);
select results_eq(
    $$
        select
            keyword::text,
            video_id::text,
            search_rank,
            mapping_source::text,
            round(relevance_score::numeric, 6)
        from public.keyword_video_mappings
        order by keyword
    $$,
    $$values
    ('cat', 'found', 3, 'youtube_api', 0.476505),
    ('dog', 'found', null, 'youtube_api', 1.0),
    ('late', 'found', 1, 'youtube_api', 1.0)$$,
    'the keywords of what was found lead to it, the latest too'
);
select results_eq(
    $$
        select
            video_id::text,
            privacy_status::text,
            upload_status::text,
            live_broadcast::text,
            is_playable,
            collected_at,
            expires_at > now() + interval '6 days'
        from public.cached_videos
        where video_id in ('known-gone', 'never-known', 'bystander', 'both')
        order by video_id
    $$,
    $$values
    ('both', 'public', null, null, true, now(), true),
    ('bystander', 'public', null, 'none', true, now() - interval '1 day', true),
    ('known-gone', 'private', 'deleted', null, false, now(), true)$$,
    'what is gone is deleted, unknown ids leave no trace, and what was not asked for stays'
);
select results_eq(
    $$
        select
            video_id::text,
            lease::text,
            attempts,
            due_at,
            last_problem
        from private.refresh_queue
    $$,
    $$values ('silent', null, 1, now() + interval '60 seconds', 'The source said nothing of it.')$$,
    'what the source said nothing of is due again in a minute'
);
select results_eq(
    $$select video_id::text, keyword::text from private.refresh_keywords$$,
    $$values ('silent', 'cat')$$,
    'with its keyword'
);

-- Twice with one lease.
update public.cached_videos
set collected_at = now() - interval '2 hours'
where video_id = 'known-gone';
select is(
    pg_temp.finish(
        pg_temp.lease(),
        jsonb_build_array(
            pg_temp.news('found', '{"keywords": [{"keyword": "bird", "relevance": 0.5}]}'), pg_temp.news('both')
        ),
        '["known-gone", "silent"]'
    ) - 'stored',
    '{"gone": 0, "left": 0}',
    'finishing twice is no error'
);
select is(
    (select collected_at from public.cached_videos where video_id = 'known-gone'),
    now() - interval '2 hours',
    'what was gone is not told again'
);
select is((select count(*) from private.refresh_queue), 1::bigint, 'the one that was given back stays');
select is(
    pg_temp.finish(pg_temp.lease(), jsonb_build_array(pg_temp.news('both'))) #> '{stored, unchanged}',
    '1',
    'and the same news change nothing'
);
insert into private.refresh_queue (video_id, reason, lease, leased_until)
values ('gone-newer', 'requested', '00000000-0000-4000-8000-000000000009', now() + interval '1 hour');
select is(
    pg_temp.finish('00000000-0000-4000-8000-000000000009', '[]', '["gone-newer"]') -> 'gone', '1', 'a video is gone'
);
select is(
    (select privacy_status::text from public.cached_videos where video_id = 'gone-newer'),
    'public',
    'and newer news of it are believed'
);
select is(
    pg_temp.finish(null, '[]'), '"PT400 The lease is missing."', 'PT400: no lease'
);
select is(pg_temp.finish(gen_random_uuid(), '{}'), '"PT400 The batch is no JSON array."', 'PT400: no array');
select is(
    pg_temp.finish(gen_random_uuid(), '[]', '["a", 7]'),
    '"PT400 missing is no JSON array of ids."',
    'PT400: an id that is no text'
);
select is(
    pg_temp.finish(gen_random_uuid(), '[]', '[["a"]]'),
    '"PT400 missing is no JSON array of ids."',
    'PT400: nor one in a list of its own'
);
select is(
    pg_temp.finish(gen_random_uuid(), '[]', '{}'),
    '"PT400 missing is no JSON array of ids."',
    'PT400: no array of them'
);
select is(
    pg_temp.finish(gen_random_uuid(), '[]', to_jsonb(array_fill('x'::text, array[5001]))),
    '"PT413 The batch has more than 5000 rows."',
    'PT413: more missing ids than anybody asks about'
);

-- Given back, later each time.
delete from private.refresh_queue;
insert into private.refresh_queue (video_id, reason, attempts)
values
('slow', 'requested', 0),
('slower', 'unknown', 9);
select is(cardinality(pg_temp.claim()), 2, 'two are tried');
select is(
    pg_temp.served(format('select public.release_refreshes(%L, %L)', pg_temp.lease(), repeat('x', 600))),
    '{"released": 2}',
    'in vain'
);
select results_eq(
    $$
        select
            video_id::text,
            attempts,
            due_at,
            length(last_problem),
            lease::text
        from private.refresh_queue
        order by video_id
    $$,
    $$values
    ('slow', 1, now() + interval '1 minute', 500, null),
    ('slower', 10, now() + interval '6 hours', 500, null)$$,
    'a minute after the first time, and 6 hours at most'
);
select is(
    pg_temp.served(format($$select public.release_refreshes(%L, 'again')$$, pg_temp.lease())),
    '{"released": 0}',
    'a lease is given back once'
);
select is(cardinality(pg_temp.claim()), 0, 'nothing is due before its time');
update private.refresh_queue
set due_at = now()
where video_id = 'slow';
select is(pg_temp.claim(), array['slow'], 'then it is');
select is(
    pg_temp.served(format($$select public.release_refreshes(%L, 'busy', 90)$$, pg_temp.lease())),
    '{"released": 1}',
    'the source named its own time'
);
select is(
    (select due_at from private.refresh_queue where video_id = 'slow'),
    now() + interval '180 seconds',
    'which doubles at the second attempt'
);
select is(
    array[
        private.retry_wait(0, 60),
        private.retry_wait(1, 60),
        private.retry_wait(8, 60),
        private.retry_wait(9, 60),
        private.retry_wait(2000000000, 2000000000),
        private.retry_wait(0, 0)
    ],
    array['1 minute', '2 minutes', '256 minutes', '6 hours', '6 hours', '0']::interval[],
    'waits double up to 6 hours'
);
select is(
    pg_temp.queue('[{"video_id": "slower", "reason": "requested"}]') -> 'merged', '1', 'one that waits is asked for'
);
select is(
    (select due_at from private.refresh_queue where video_id = 'slower'),
    now() + interval '6 hours',
    'and the source is left in peace all the same'
);
select is(
    pg_temp.served($$select public.release_refreshes(null, 'x')$$), '"PT400 The lease is missing."', 'PT400: no lease'
);
select is(
    pg_temp.served($$select public.release_refreshes(gen_random_uuid(), 'x', -1)$$),
    '"PT400 retry_after_seconds is no whole number from 0."',
    'PT400: a time in the past'
);
select is(
    array(
        select pg_temp.served(statement) #>> '{}'
        from unnest(
            array[
                'select public.claim_refreshes(0)',
                'select public.claim_refreshes(501)',
                'select public.claim_refreshes(null)',
                'select public.claim_refreshes(1, 0)',
                'select public.claim_refreshes(1, 3601)'
            ]
        ) as statement
    ),
    array_fill('PT400 So many videos or so long a lease cannot be claimed.'::text, array[5]),
    'PT400: a claim beyond its bounds'
);

-- The second chance.
select is(
    array(select private.second_chance_wait(n) from unnest(array[null, 0, 1, 2, 3, 4, 5, 6, 2147483647]) as n),
    array[
        '1 hour', '1 hour', '1 hour', '4 hours', '16 hours', '64 hours', '7 days', '7 days', '7 days'
    ]::interval[],
    'a video that is taken out again waits longer, 7 days at most'
);
select results_eq(
    $$
        select
            private.player_error_after(150, now() - wait, times, now() - age, plays)
        from (
            values
            (1, interval '1 hour', interval '0', 1, true),
            (2, interval '59 minutes 59 seconds', interval '0', 1, true),
            (3, interval '1 hour', interval '0', 1, false),
            (4, interval '1 hour', interval '0', 1, null),
            (5, interval '1 hour', interval '1 hour', 1, true),
            (6, interval '1 hour', interval '0', 2, true),
            (7, interval '4 hours', interval '0', 2, true),
            (8, interval '167 hours', interval '0', 9, true),
            (9, interval '168 hours', interval '0', 9, true)
        ) as one (place, wait, age, times, plays)
        order by place
    $$,
    $$values (null::integer), (150), (150), (150), (150), (150), (null), (150), (null)$$,
    'news clear the error that are younger, say that it plays, and come after the wait'
);
select is(
    private.player_error_after(150, null, 0, now(), true), null, 'an error of an unknown time is cleared by any news'
);
select is(private.player_error_after(null, null, 0, now(), true), null, 'and none stays none');

delete from private.refresh_queue;
delete from public.cached_videos;
insert into public.cached_videos (
    video_id, title, is_embeddable, privacy_status, collected_at, player_error_code, player_error_at, times_taken_out
)
values
('out-1h', 'once, an hour ago', true, 'public', now() - interval '2 hours', 150, now() - interval '1 hour', 1),
('out-again', 'twice, an hour ago', true, 'public', now() - interval '2 hours', 150, now() - interval '1 hour', 2),
('out-still', 'does not play', true, 'public', now() - interval '2 hours', 150, now() - interval '1 hour', 1),
('out-checked', 'asked about since', true, 'public', now() - interval '2 hours', 101, now() - interval '3 hours', 2),
('out-waited', 'and the wait is over', true, 'public', now() - interval '2 hours', 101, now() - interval '4 hours', 2),
('out-known', 'and asked since', true, 'public', now(), 101, now() - interval '4 hours', 2),
('out-deleted', 'is gone', true, 'private', now() - interval '2 hours', 100, now() - interval '1 hour', 1);
update public.cached_videos
set upload_status = 'deleted'
where video_id = 'out-deleted';
select is(
    private.queue_due_videos(),
    '{"player_error": 4, "expiring": 0, "unknown": 0}',
    'what is out is asked about, and again when its wait is over'
);
select is(pg_temp.claim(), array['out-1h', 'out-again', 'out-still', 'out-waited'], 'and no other');
select is(
    pg_temp.finish(
        pg_temp.lease(),
        jsonb_build_array(
            pg_temp.news('out-1h'),
            pg_temp.news('out-again'),
            pg_temp.news('out-still', '{"privacy_status": "private"}'),
            pg_temp.news('out-waited')
        )
    ) #> '{stored, updated}',
    '4',
    'the source was asked'
);
select results_eq(
    $$
        select
            video_id::text,
            player_error_code,
            player_error_at is null,
            times_taken_out,
            is_playable
        from public.cached_videos
        where video_id in ('out-1h', 'out-again', 'out-still', 'out-waited')
        order by video_id
    $$,
    $$values
    ('out-1h', null::integer, true, 1, true),
    ('out-again', 150, false, 2, false),
    ('out-still', 150, false, 1, false),
    ('out-waited', null, true, 2, true)$$,
    'what plays gets a second chance once its wait is over'
);
select is(
    private.queue_due_videos(),
    '{"player_error": 0, "expiring": 0, "unknown": 0}',
    'and nothing is asked twice for the same error'
);

-- The job's order, and whose reports it believes.
delete from private.refresh_queue;
delete from public.cached_videos;
insert into auth.users (id, email)
select
    format('%s1111111-1111-4111-8111-111111111111', n)::uuid,
    format('person%s@example.com', n)
from generate_series(1, 2) as n;
insert into auth.users (id, is_anonymous)
values ('a1111111-1111-4111-8111-111111111111', true);
insert into public.cached_videos (
    video_id, title, is_embeddable, privacy_status, upload_status, collected_at, expires_at, purged_at
)
values
('reported', 'a', true, 'public', null, now() - interval '1 day', now() + interval '1 hour', null),
('app-error', 'a', true, 'public', null, now() - interval '1 day', now() + interval '6 days', null),
('told-since', 'a', true, 'public', null, now(), now() + interval '6 days', null),
('used-report', 'a', true, 'public', null, now() - interval '1 day', now() + interval '6 days', null),
('old-report', 'a', true, 'public', null, now() - interval '2 days', now() + interval '6 days', null),
('crowd', 'a', true, 'public', null, now() - interval '1 day', now() + interval '6 days', null),
('nobody-s', 'a', true, 'public', null, now() - interval '1 day', now() + interval '6 days', null),
('expires', 'a', true, 'public', null, now() - interval '1 day', now(), null),
('flagless', 'a', null, 'public', null, now() - interval '1 day', now(), null),
('stateless', 'a', true, null, null, now() - interval '1 day', now() + interval '6 days', null),
('deleted', 'a', null, 'private', 'deleted', now() - interval '1 day', now(), null),
('purged', 'a', null, null, null, now() - interval '1 day', now(), now()),
('purged-known', 'a', true, 'public', null, now() - interval '1 day', now(), now()),
('purged-error', 'a', true, 'public', null, now() - interval '1 day', now(), now());
update public.cached_videos
set
    player_error_code = 150,
    player_error_at = now()
where video_id = 'purged-error';
insert into private.playback_errors (video_id, user_id, reported_on, error_code, reported_at, used_at)
values
('reported', '11111111-1111-4111-8111-111111111111', private.korean_day(), 150, now(), null),
('app-error', '11111111-1111-4111-8111-111111111111', private.korean_day(), 5, now(), null),
('nobody-s', 'a1111111-1111-4111-8111-111111111111', private.korean_day(), 150, now(), null),
('told-since', '11111111-1111-4111-8111-111111111111', private.korean_day(), 150, now() - interval '1 hour', null),
('used-report', '11111111-1111-4111-8111-111111111111', private.korean_day(), 150, now(), now()),
('purged', '11111111-1111-4111-8111-111111111111', private.korean_day(), 150, now(), null),
('old-report', '11111111-1111-4111-8111-111111111111', private.korean_day(), 150, now() - interval '24 hours', null);
insert into public.cached_videos (video_id, title)
select format('many%s', n), 'a' from generate_series(1, 20) as n;
insert into private.playback_errors (video_id, user_id, reported_on, error_code)
select video_id, '21111111-1111-4111-8111-111111111111', private.korean_day(), 150
from public.cached_videos
where video_id = 'crowd' or video_id like 'many%';
select is(
    private.queue_due_videos(2),
    '{"player_error": 1, "expiring": 1, "unknown": 0}',
    'a batch of two takes the player''s error and what expires'
);
select is(
    private.queue_due_videos(2),
    '{"player_error": 0, "expiring": 0, "unknown": 2}',
    'the next one what nobody knows the flags of'
);
select is(
    pg_temp.claim(),
    array['reported', 'expires', 'flagless', 'stateless'],
    'errors first, then what expires, then what is unknown; nothing deleted or purged'
);
update private.refresh_queue
set
    lease = null,
    leased_until = null;
insert into private.playback_errors (video_id, user_id, reported_on, error_code)
values ('flagless', '11111111-1111-4111-8111-111111111111', private.korean_day(), 100);
select is(
    private.queue_due_videos(),
    '{"player_error": 1, "expiring": 0, "unknown": 0}',
    'a player''s error makes urgent what is queued already'
);
select is(pg_temp.claim(2), array['flagless', 'reported'], 'and it comes first');

-- Taking out.
delete from private.playback_errors;
insert into auth.users (id, email) values ('31111111-1111-4111-8111-111111111111', 'person3@example.com');
insert into private.playback_errors (video_id, user_id, reported_on, error_code)
select 'expires', id, private.korean_day(), 150
from auth.users
where email like 'person_@example.com';
select is(private.take_out_unplayable(10), 1, 'three people take a video out');
select results_eq(
    $$select player_error_code, player_error_at, times_taken_out from public.cached_videos where video_id = 'expires'$$,
    $$values (150, now(), 1)$$,
    'when, and how often, is kept'
);
update public.cached_videos
set
    player_error_code = null,
    player_error_at = null
where video_id = 'expires';
update private.playback_errors
set used_at = null;
select is(private.take_out_unplayable(10), 1, 'and again');
select is((select times_taken_out from public.cached_videos where video_id = 'expires'), 2, 'which counts');

select finish();
rollback;
