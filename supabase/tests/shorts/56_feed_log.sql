-- A feed's pages belong to one person, stay as they were, leave out what plays no more, and are on record.
begin;
\ir ../outcome.psql
select plan(30);

delete from public.video_interactions;
delete from public.user_feedback;
delete from public.keyword_video_mappings;
delete from public.cached_videos;
insert into public.cached_videos (
    video_id, title, duration, is_embeddable, privacy_status, upload_status, view_count, category_id, published_at
)
select
    'page' || n,
    '영상 ' || n,
    30,
    true,
    'public',
    'processed',
    1000 * n,
    10,
    now() - n * interval '1 hour'
from generate_series(1, 70) as n;
select private.fold_video_cards(100000);
insert into auth.users (id, email)
values
('5a3b1e00-0000-4000-8000-00000000000a', 'feed-a@example.com'),
('5a3b1e00-0000-4000-8000-00000000000b', 'feed-b@example.com');

create function pg_temp.feed(
    person text,
    at_most integer default 20,
    cursor text default null
)
returns jsonb
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform set_config(
        'request.jwt.claims',
        jsonb_build_object('sub', '5a3b1e00-0000-4000-8000-00000000000' || person, 'role', 'authenticated')::text,
        true
    );
    perform set_config('role', 'authenticated', true);
    answer := public.personalized_feed(at_most, cursor);
    perform set_config('role', 'none', true);
    perform set_config('request.jwt.claims', '', true);
    return answer;
end
$$;
create function pg_temp.ids(feed jsonb)
returns text[]
language sql
as $$
    select array(select item ->> 'video_id' from jsonb_array_elements(feed -> 'videos') as item)
$$;
create function pg_temp.refused(
    at_most integer,
    cursor text
)
returns text
language sql
as $$
    select pg_temp.outcome(
        'authenticated',
        '{"sub": "5a3b1e00-0000-4000-8000-00000000000b", "role": "authenticated"}',
        format('select public.personalized_feed(%L, %L)', at_most, cursor)
    )
$$;

create temporary table pages as select 1 as page, pg_temp.feed('a') as feed;
insert into pages
select 2, pg_temp.feed('a', 20, (select feed ->> 'next_cursor' from pages where page = 1));
insert into pages
select 3, pg_temp.feed('a', 50, (select feed ->> 'next_cursor' from pages where page = 2));
select is((select cardinality(pg_temp.ids(feed)) from pages where page = 1), 20, 'S-253: 20 videos a page');
select is(
    (select count(distinct id) from pages cross join lateral unnest(pg_temp.ids(feed)) as id),
    70::bigint,
    'S-253: the pages together are everything, each once'
);
select is((select feed ->> 'next_cursor' from pages where page = 3), null, 'and then they end');
select is(
    (
        select array_agg(key order by key) from pages cross join lateral jsonb_object_keys(feed -> 'videos' -> 0) as key
        where page = 1
    ),
    array[
        'category_id', 'channel_id', 'channel_name', 'duration', 'is_exploration', 'propensity', 'published_at',
        'quality_score', 'score', 'thumbnail_url', 'title', 'video_id', 'view_count', 'why'
    ],
    'what a frontend shows is in it'
);
select ok(
    (
        select bool_and(jsonb_array_length(item -> 'why') > 0 and item -> 'why' -> 0 ? 'reason')
        from pages
        cross join lateral jsonb_array_elements(feed -> 'videos') as item
    ),
    'S-253: each with its reasons'
);
select is(
    pg_temp.ids(pg_temp.feed('a')),
    (select pg_temp.ids(feed) from pages where page = 1),
    'the same page again is the same'
);
select is(
    (select count(*) from private.feed_impressions where user_id = '5a3b1e00-0000-4000-8000-00000000000a'),
    4::bigint,
    'S-253: each page is on record'
);
select is(
    (
        select array_agg(position_shown order by position_shown)
        from private.feed_impressions as shown
        cross join lateral unnest(shown.positions) as position_shown
        where
            shown.user_id = '5a3b1e00-0000-4000-8000-00000000000a'
            and shown.positions[1] > 20
    ),
    array(select generate_series(21, 70)),
    'with its positions'
);
select is(
    (select count(*) from private.feed_rankings),
    1::bigint,
    'one ranking serves all pages'
);

-- A like, an answer that plays no more, a region. In here all is one moment: the ranking was made before it.
update private.feed_rankings set moved_at = moved_at - interval '1 second';
insert into public.video_interactions (user_id, video_id, interaction_type, created_at, interaction_timestamp)
select '5a3b1e00-0000-4000-8000-00000000000a', (pg_temp.ids(feed))[1], 'like', now(), now()
from pages
where page = 1;
update public.cached_videos
set privacy_status = 'private'
where video_id = (select (pg_temp.ids(feed))[2] from pages where page = 2);
update public.cached_videos
set region_restrictions = '{"blocked": ["KR"]}'
where video_id = (select (pg_temp.ids(feed))[3] from pages where page = 2);
update public.cached_videos
set expires_at = now() - interval '1 second'
where video_id = (select (pg_temp.ids(feed))[4] from pages where page = 2);
select is(
    (pg_temp.ids(pg_temp.feed('a', 20, (select feed ->> 'next_cursor' from pages where page = 1))))[1],
    (select (pg_temp.ids(feed))[1] from pages where page = 2),
    'after a like the second page is still of the same ranking'
);
select is(
    (
        select count(*)
        from unnest(pg_temp.ids(pg_temp.feed('a', 50, (select feed ->> 'next_cursor' from pages where page = 1)))) as id
        where id in (select unnest((pg_temp.ids(feed))[2:4]) from pages where page = 2)
    ),
    0::bigint,
    'S-253: what plays no more, here or at all, is not served though it was ranked'
);
select cmp_ok(
    (select count(*) from private.feed_rankings where user_id = '5a3b1e00-0000-4000-8000-00000000000a'),
    '=',
    1::bigint,
    'which needs no new ranking'
);
select ok(
    (select (pg_temp.ids(feed))[1] from pages where page = 1) <> all(pg_temp.ids(pg_temp.feed('a', 50))),
    'S-253: a first page after a like is new, without what was liked'
);

-- Bad input.
select matches(pg_temp.refused(-1, null), '^PT400 ', 'S-253: a negative limit is refused');
select matches(pg_temp.refused(0, null), '^PT400 ', 'none too');
select matches(pg_temp.refused(1000000000, null), '^PT400 ', 'a huge one too');
select matches(pg_temp.refused(null, 'forged'), '^PT400 ', 'a forged cursor is refused');
select matches(
    pg_temp.refused(null, '00000000-0000-4000-8000-000000000000.20'), '^PT400 ', 'so is one of no feed'
);
select matches(
    pg_temp.refused(null, (select feed ->> 'next_cursor' from pages where page = 1)),
    '^PT400 The cursor is no cursor of this feed',
    'S-253: and another person''s, in the same words'
);
select is(
    pg_temp.outcome('anon', null, 'select public.personalized_feed()'),
    '42501 permission denied for function personalized_feed',
    'who is not signed in has no feed'
);

-- Counting.
update private.feed_impressions set shown_at = shown_at - interval '2 hours';
create temporary table clicked as
select
    shown.video_ids[1] as liked,
    shown.video_ids[2] as begun,
    shown.video_ids[3] as late,
    shown.shown_at
from private.feed_impressions as shown
where
    shown.user_id = '5a3b1e00-0000-4000-8000-00000000000a'
    and shown.positions[1] = 21
order by shown.shown_at
limit 1;
insert into public.video_interactions (
    user_id, video_id, interaction_type, watch_percentage, created_at, interaction_timestamp
)
select '5a3b1e00-0000-4000-8000-00000000000a'::uuid, clicked.liked, 'like', 0, clicked.shown_at, clicked.shown_at
from clicked
union all
select '5a3b1e00-0000-4000-8000-00000000000a', clicked.begun, 'view', 0.2, clicked.shown_at, clicked.shown_at
from clicked
union all
select '5a3b1e00-0000-4000-8000-00000000000a', clicked.late, 'like', 0, moment.at, moment.at
from clicked
cross join lateral (select clicked.shown_at + interval '61 minutes' as at) as moment;
create function pg_temp.exposure(video text)
returns bigint[]
language sql
as $$
    select array[exposure.shows, exposure.clicks]
    from private.feed_exposures as exposure
    inner join private.video_cards as card on exposure.video_no = card.video_no
    where card.video_id = video
$$;
create function pg_temp.times(video text)
returns bigint
language sql
as $$
    select count(*)
    from private.feed_impressions as shown
    where video = any(shown.video_ids)
$$;
select is((private.count_feed_impressions(batch_size => 1) ->> 'pages')::integer, 1, 'pages are counted in batches');
select is(
    (private.count_feed_impressions() ->> 'pages')::bigint,
    (select count(*) - 1 from private.feed_impressions),
    'to the last'
);
select is((private.count_feed_impressions() ->> 'pages')::integer, 0, 'and each once');
select is(
    (select pg_temp.exposure(liked) from clicked),
    (
        select
            array[
                pg_temp.times(clicked.liked),
                (
                    select count(*)
                    from private.feed_impressions as shown
                    where
                        clicked.liked = any(shown.video_ids)
                        and shown.shown_at <= clicked.shown_at
                )
            ]
        from clicked
    ),
    'a like within the hour is a click'
);
select is(
    (select pg_temp.exposure(begun) from clicked),
    (select array[pg_temp.times(begun), 0] from clicked),
    'what merely began is none'
);
select is(
    (select pg_temp.exposure(late) from clicked),
    (select array[pg_temp.times(late), 0] from clicked),
    'nor is a like after more than an hour'
);

-- Heat: likes of the last minute wait, each counts once, and half after 0.7 days.
update private.heat_position
set counted_to = now() - interval '10 days';
delete from private.video_heats;
delete from public.video_interactions;
insert into public.video_interactions (
    user_id, video_id, interaction_type, watch_percentage, created_at, interaction_timestamp
)
select
    person.id,
    done.video_id,
    done.kind,
    0.2,
    now() - done.age,
    now() - done.age
from (
    values
    ('page10', 'like', interval '2 hours'),
    ('page11', 'like', interval '2 hours' + 0.7 * interval '1 day'),
    ('page12', 'view', interval '2 hours'),
    ('page13', 'like', interval '10 seconds')
) as done (video_id, kind, age)
cross join auth.users as person
where person.email in ('feed-a@example.com', 'feed-b@example.com');
select private.fold_video_heats(now(), 2);
select private.fold_video_heats();
create temporary table heats as
select
    card.video_id,
    stored.heat
from private.video_heats as stored
inner join private.video_cards as card on stored.video_no = card.video_no;
select results_eq(
    $$
        select video_id, round((heat - private.heat_time(now() - interval '2 hours'))::numeric, 6)
        from heats
        order by video_id
    $$,
    $$values ('page10'::varchar, 1.0), ('page11'::varchar, 0.0)$$,
    'two likes are twice one, 0.7 days ago half; what merely began and what is too new is not counted'
);
select private.fold_video_heats();
select results_eq(
    $$
        select card.video_id::text, stored.heat
        from private.video_heats as stored
        inner join private.video_cards as card on stored.video_no = card.video_no
        order by 1
    $$,
    'select video_id::text, heat from heats order by 1',
    'a repeated fold counts nothing twice'
);
select private.fold_video_heats(now() + interval '5 minutes');
select is(
    (
        select count(*)
        from private.video_heats as stored
        inner join private.video_cards as card on stored.video_no = card.video_no
        where card.video_id = 'page13'
    ),
    1::bigint,
    'the next one takes what was too new'
);
update private.feed_rankings set ranked_at = ranked_at - interval '2 days';
select
    ok((private.forget_feed_rankings() ->> 'forgotten')::integer > 0, 'rankings of more than a day ago are forgotten');

select finish();
rollback;
