-- What people watch is learned once, from nobody twice, and from nobody who is gone; tastes follow from it.
begin;
\ir ../outcome.psql
select plan(59);

select private.relearn();
delete from public.video_interactions;
insert into auth.users (id, email, is_anonymous)
select
    format('%s1111111-1111-4111-8111-111111111111', n)::uuid,
    case when n < 9 then format('person%s@example.com', n) end,
    n = 9
from generate_series(1, 9) as n;
\set one '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}'
insert into public.cached_videos (
    video_id, title, is_embeddable, privacy_status, duration, view_count, category_id, expires_at
)
select
    'learnVideo' || n,
    'video ' || n,
    true,
    'public',
    30,
    5000,
    case when n <= 10 then 10 else 20 end,
    now() + interval '1 day'
from generate_series(1, 80) as n;
select private.fold_video_cards();
select private.fold_video_vectors(10000);
select private.fold_video_vectors(10000);

create function pg_temp.watch(
    person integer,
    video integer,
    at timestamptz,
    kind text default 'like',
    share double precision default 0
)
returns void
language sql
as $$
    insert into public.video_interactions (
        user_id, video_id, interaction_type, watch_percentage, created_at, interaction_timestamp
    ) values (
        format('%s1111111-1111-4111-8111-111111111111', person)::uuid, 'learnVideo' || video, kind, share, at, at
    )
$$;
create function pg_temp.no(video integer)
returns integer
language sql
as $$
    select card.video_no
    from private.video_cards as card
    where card.video_id = 'learnVideo' || video
$$;
create function pg_temp.learn(up_to timestamptz default now())
returns integer
language plpgsql
as $$
declare
    counts jsonb;
    watched integer := 0;
begin
    for turn in 1..500 loop
        counts := private.learn_neighbours(2, up_to);
        watched := watched + (counts ->> 'watched')::integer;
        exit when counts -> 'left' = 'false';
    end loop;
    return watched;
end
$$;
create function pg_temp.weight(
    one integer,
    other integer
)
returns double precision
language sql
as $$
    select listed.weight
    from private.video_neighbours as neighbour
    cross join lateral unnest(neighbour.neighbour_nos, neighbour.weights) as listed (neighbour_no, weight)
    where
        neighbour.video_no = pg_temp.no(one)
        and listed.neighbour_no = pg_temp.no(other)
$$;

-- What is liked.
select is(
    private.is_liked(kind, share, to_end),
    liked,
    format('%s, %s watched, to the end %s', kind, share, to_end)
)
from (
    values
    ('like', 0.0, false, true),
    ('save', 0.0, false, true),
    ('share', 0.0, false, true),
    ('view', 0.5, false, true),
    ('view', 0.0, true, true),
    ('view', 0.49, false, false),
    ('skip', 1.0, true, false)
) as done (kind, share, to_end, liked);
select is(
    private.worth_at('2026-01-07 00:00+00', '2026-01-01 00:00+00', '3 days'),
    4::double precision,
    'what is watched two half-lives later counts four times as much'
);

-- Neighbours: 1 and 2 like videos 1 and 2 together, 3 only begins video 3.
select pg_temp.watch(1, 1, now() - interval '3 days');
select pg_temp.watch(1, 2, now() - interval '2 days');
select pg_temp.watch(2, 2, now() - interval '3 days');
select pg_temp.watch(2, 1, now() - interval '2 days');
select pg_temp.watch(2, 3, now() - interval '1 day', 'view', 0.1);
select pg_temp.watch(2, 4, now() - interval '1 day', 'skip');
select is(pg_temp.learn(), 5, 'what was watched is learned, what was skipped is not');
select isnt(pg_temp.weight(2, 3), null, 'what was only begun goes with it too');
select is(pg_temp.weight(1, 4), null, 'a skip is no sign of liking');
-- By hand: person 1 has two videos, person 2 three; 2^(-2/3) is two days of a half-life of three.
create function pg_temp.expected()
returns double precision
language sql
as $$
    select
        (2 ^ (-2.0 / 3) / 2 + 2 ^ (-1.0) / 3)
        / sqrt((1.0 / 2 + 1.0 / 3 + 0.5) * (2 ^ (-2.0 / 3) + 2 ^ (-1.0) + 0.25))
        * sqrt(private.worth_at(now(), '2026-01-01 00:00+00', '3 days'))
$$;
select private.relearn('2026-01-01 00:00+00');
select pg_temp.learn();
select is(
    round((pg_temp.weight(1, 2) / pg_temp.expected())::numeric, 6),
    1.0,
    'the weight is the formula of docs/learning.md'
);
select cmp_ok(pg_temp.weight(1, 2), '>', pg_temp.weight(1, 3), 'what more people watched together is nearer');
select is(
    (
        select
            bool_and(
                neighbour.weights = array(select weight from unnest(neighbour.weights) as weight order by weight desc)
            )
        from private.video_neighbours as neighbour
    ),
    true,
    'the best comes first'
);
create function pg_temp.state()
returns text
language sql
as $$
    select md5(
        (select string_agg(one::text, ',' order by one) from private.video_neighbours as one)
        || (select string_agg(one::text, ',' order by one) from private.watch_windows as one)
        || (select string_agg(one::text, ',' order by one) from private.video_audiences as one)
    )
$$;
create temporary table before as
select pg_temp.state() as state;
select is(pg_temp.learn(), 0, 'a repeated run finds nothing new');
select is(pg_temp.state(), (select state from before), 'and changes nothing');

-- Learned night by night is what is learned at once.
create temporary table lists as
select
    neighbour.video_no,
    listed.neighbour_no,
    listed.weight
from private.video_neighbours as neighbour
cross join lateral unnest(neighbour.neighbour_nos, neighbour.weights) as listed (neighbour_no, weight);
select private.relearn('2026-01-01 00:00+00');
select pg_temp.learn(now() - interval '60 hours');
select pg_temp.learn(now() - interval '36 hours');
select pg_temp.learn();
select results_eq(
    $$
        select
            neighbour.video_no,
            listed.neighbour_no,
            round(listed.weight::numeric, 3)
        from private.video_neighbours as neighbour
        cross join lateral unnest(neighbour.neighbour_nos, neighbour.weights) as listed (neighbour_no, weight)
        order by 1, 2
    $$,
    'select video_no, neighbour_no, round(weight::numeric, 3) from lists order by 1, 2',
    'learned night by night it is the same as learned at once'
);

-- Somebody watches the same again and again.
select pg_temp.watch(1, 1 + n % 2, now() - interval '1 hour' + n * interval '1 second')
from generate_series(1, 20) as n;
select pg_temp.learn();
select is(
    (select videos from private.watch_windows where user_id = '11111111-1111-4111-8111-111111111111'),
    array[pg_temp.no(1), pg_temp.no(2)],
    'a video counts once a person, however often it is watched'
);
select is(
    (select people from private.video_audiences where video_no = pg_temp.no(1)),
    2,
    'and the person once for it'
);
select is(
    (select learned_to from private.watch_windows where user_id = '11111111-1111-4111-8111-111111111111'),
    now() - interval '1 hour' + interval '20 seconds',
    'and the position moves on'
);
select pg_temp.watch(1, 3, now() - interval '30 minutes');
select is(pg_temp.learn(), 1, 'night after night only what is new is learned');
select isnt(pg_temp.weight(3, 1), null, 'and goes with what came before it');
select is(
    (select videos from private.watch_windows where user_id = '11111111-1111-4111-8111-111111111111'),
    array[pg_temp.no(3), pg_temp.no(1), pg_temp.no(2)],
    'the newest comes first'
);
select pg_temp.watch(1, 5, now() - interval '1 minute');
select is(
    pg_temp.learn(now() - interval '5 minutes'),
    0,
    'what may still be followed by something earlier is left to the next run'
);
select is(pg_temp.learn(), 1, 'which takes it');

-- A window ends.
update private.learning_settings
set window_size = 2;
select pg_temp.watch(3, n, now() - interval '2 days' + n * interval '1 second')
from generate_series(11, 14) as n;
select pg_temp.learn();
select is(
    (select videos from private.watch_windows where user_id = '31111111-1111-4111-8111-111111111111'),
    array[pg_temp.no(14), pg_temp.no(13)],
    'of a person only the newest go together'
);
select pg_temp.watch(9, n, now() - interval '1 day')
from generate_series(11, 14) as n;
select is(pg_temp.learn(), 0, 'accounts that cost nothing teach nothing');
update private.learning_settings
set window_size = 30;

-- A video that has no card yet is waited for.
insert into public.cached_videos (video_id, title, is_embeddable, privacy_status, duration, expires_at) values
('learnLate', 'late', true, 'public', 30, now() + interval '1 day');
insert into public.video_interactions (user_id, video_id, interaction_type, created_at, interaction_timestamp) values
('31111111-1111-4111-8111-111111111111', 'learnLate', 'like', now() - interval '10 minutes', now()),
('31111111-1111-4111-8111-111111111111', 'learnVideo20', 'like', now() - interval '9 minutes', now());
select pg_temp.learn();
select is(
    (select learned_to from private.watch_windows where user_id = '31111111-1111-4111-8111-111111111111'),
    now() - interval '10 minutes' - interval '1 microsecond',
    'what comes after a video without a card is looked at again'
);
select private.fold_video_cards();
select is(pg_temp.learn(), 1, 'and taken when the card is there');
select is(
    (
        select array_agg(card.video_id::text order by listed.place)
        from private.watch_windows as known
        cross join lateral unnest(known.videos[1:2]) with ordinality as listed (video_no, place)
        inner join private.video_cards as card on listed.video_no = card.video_no
        where known.user_id = '31111111-1111-4111-8111-111111111111'
    ),
    array['learnVideo20', 'learnLate'],
    'in its place'
);

-- Only so many neighbours, of only so many people, and only of enough.
update private.learning_settings
set neighbours_kept = 3;
update private.video_audiences
set changes = 1000;
select pg_temp.learn();
select is(
    (select max(cardinality(neighbour_nos)) from private.video_neighbours), 3, 'a list has an end'
);
update private.learning_settings
set
    neighbours_kept = 100,
    audience_size = 1;
update private.video_audiences
set changes = 1000;
select pg_temp.learn();
select is(
    (
        select array_agg(no order by no)
        from private.video_neighbours
        cross join lateral unnest(neighbour_nos) as no
        where video_no = pg_temp.no(2)
    ),
    (select array_agg(no order by no) from unnest(array[pg_temp.no(1), pg_temp.no(3), pg_temp.no(5)]) as no),
    'of a video with many people those who did something last say what goes with it'
);
update private.learning_settings
set
    audience_size = 500,
    least_people = 2;
update private.video_audiences
set changes = 1000;
select pg_temp.learn();
select isnt(pg_temp.weight(1, 2), null, 'two people are enough when two are asked for');
select is(pg_temp.weight(1, 5), null, 'and one is not');
update private.learning_settings
set least_people = 1;

-- What changed enough is ranked again, what a week has passed over too, and what is gone is forgotten.
update private.video_audiences
set
    people = 100,
    changes = 19,
    ranked_at = now() - interval '6 days'
where video_no = pg_temp.no(1);
update private.video_audiences
set changes = 0, ranked_at = now()
where video_no <> pg_temp.no(1);
select is(private.rank_neighbours(1000, now()), 0, 'few changes among many people wait');
update private.video_audiences
set changes = 20
where video_no = pg_temp.no(1);
select is(private.rank_neighbours(1000, now()), 1, 'a fifth does not');
update private.video_audiences
set ranked_at = now() - interval '7 days'
where video_no in (pg_temp.no(1), pg_temp.no(2));
select is(private.rank_neighbours(1000, now()), 2, 'nor does a week');
insert into private.video_audiences (video_no, people, likes, news, changes)
values (2000000000, 1, 1, 1, 1);
insert into private.video_neighbours (video_no, neighbour_nos, weights)
values (2000000000, array[pg_temp.no(1)], array[1]);
select private.rank_neighbours(1000, now());
select is_empty(
    $$
        select video_no from private.video_audiences where video_no = 2000000000
        union all
        select video_no from private.video_neighbours where video_no = 2000000000
    $$,
    'of a video that is gone nothing is kept'
);
select throws_ok(
    format('insert into private.video_neighbours values (%s, array[1, 2], array[1.0])', pg_temp.no(80)),
    '23514',
    null,
    'a neighbour has a weight'
);

-- Tastes.
select private.learn_tastes(100, now());
select is(private.learn_tastes(100, now()) -> 'people', '0', 'tastes are learned once from the same');
select is(
    (
        select round((category_lift ->> '10')::numeric, 3)
        from private.user_tastes
        where user_id = '11111111-1111-4111-8111-111111111111'
    ),
    (
        select round(ln((4 + 10 * share) / (4 + 10) / share), 3)
        from (select (category_shares ->> '10')::numeric as share from private.global_tastes) as usual
    ),
    'the lift of a category is the logarithm of the smoothed shares'
);
select is(
    (select round(sum(hour)::numeric, 4) from private.user_tastes, unnest(hours) as hour
    where user_id = '11111111-1111-4111-8111-111111111111'),
    1.0,
    'the hours sum to 1'
);
select is(
    (select profile_confidence from public.user_profiles where user_id = '11111111-1111-4111-8111-111111111111'),
    round(4 / 14.0, 2),
    'four videos are a confidence of 4 / 14'
);
select is(
    (
        select round(extensions.vector_norm(embedding)::numeric, 4)
        from public.user_profiles
        where user_id = '11111111-1111-4111-8111-111111111111'
    ),
    1.0,
    'S-218: the vector of a person has length 1'
);
create temporary table vector_before as
select preference_vector
from public.user_profiles
where user_id = '11111111-1111-4111-8111-111111111111';
select pg_temp.watch(1, 30 + n, now() - interval '30 seconds' + n * interval '1 second', 'view')
from generate_series(1, 10) as n;
select is(private.learn_tastes(100, now()) -> 'profiles', '1', 'S-218: ten interactions later');
select isnt(
    (select preference_vector from public.user_profiles where user_id = '11111111-1111-4111-8111-111111111111'),
    (select preference_vector from vector_before),
    'S-218: it has changed'
);
select is(
    (
        select round(extensions.vector_norm(embedding)::numeric, 4)
        from public.user_profiles
        where user_id = '11111111-1111-4111-8111-111111111111'
    ),
    1.0,
    'S-218: and still has length 1'
);
-- A person who watched one video likes what that video is.
select pg_temp.watch(4, 7, now() - interval '1 hour');
select set_config(
    'tap.answer',
    public.set_video_embedding(
        'learnVideo7',
        (select array_agg((n = 42)::integer::float8 order by n) from generate_series(1, 100) as n),
        'test-1'
    )::text,
    true
);
select private.learn_tastes(100, now());
select is(
    (select preference_vector[42] from public.user_profiles where user_id = '41111111-1111-4111-8111-111111111111'),
    1::double precision,
    'S-218: the mean of one video is that video'
);
select is(
    (select vector_version from private.user_tastes where user_id = '41111111-1111-4111-8111-111111111111'),
    'test-1',
    'and it is known which vectors it is a mean of'
);
select is(
    (
        select near.video_id
        from public.user_profiles as profile
        inner join private.user_tastes as taste on profile.user_id = taste.user_id
        cross join lateral private.nearest_videos(profile.embedding, taste.vector_version, 1) as near
        where profile.user_id = '41111111-1111-4111-8111-111111111111'
    ),
    'learnVideo7',
    'S-213: the nearest video of a person with a one-hot preference is the one-hot video'
);
select is(
    pg_temp.outcome(
        'service_role',
        null,
        $$update public.user_profiles set preference_vector = array_fill(0.1::float8, array[99])
        where user_id = '41111111-1111-4111-8111-111111111111'$$
    ),
    '23514 new row for relation "user_profiles" violates check constraint "preference_vector_has_100_numbers"',
    'S-252: 99 elements are refused'
);

-- Who is gone is gone; what faded goes.
delete from auth.users
where id = '11111111-1111-4111-8111-111111111111';
select is_empty(
    $$select from private.watch_windows where user_id = '11111111-1111-4111-8111-111111111111'
    union all
    select from private.user_tastes where user_id = '11111111-1111-4111-8111-111111111111'$$,
    'nothing that names a person outlives the person'
);
update private.video_audiences
set changes = 1000;
select pg_temp.learn();
select is(
    (
        select array_agg(no order by no)
        from private.video_neighbours
        cross join lateral unnest(neighbour_nos) as no
        where video_no = pg_temp.no(1)
    ),
    (select array_agg(no order by no) from unnest(array[pg_temp.no(2), pg_temp.no(3)]) as no),
    'and what only they had watched beside it is no neighbour any more'
);
select private.relearn();
select is(
    (
        select array[
            (select count(*) from private.watch_windows), (select count(*) from private.video_neighbours),
            (select count(*) from private.video_audiences), (select count(*) from private.user_tastes)
        ]
    ),
    array[0, 0, 0, 0]::bigint[],
    'relearn forgets everything'
);
select pg_temp.learn();
select isnt(pg_temp.weight(1, 2), null, 'and learns from who is left');
select is(
    pg_temp.outcome('authenticated', :'one', statement),
    '42501 permission denied for ' || object,
    'people neither read nor run what learns: ' || object
)
from (
    values
    ('select from private.watch_windows', 'table watch_windows'),
    ('select from private.user_tastes', 'table user_tastes'),
    ('select private.learn_neighbours()', 'function learn_neighbours'),
    ('select private.relearn()', 'function relearn')
) as tried (statement, object);

select * from finish();
rollback;
