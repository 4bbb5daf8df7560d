-- What people watch is learned once, from nobody twice, and from nobody who is gone; tastes follow from it.
begin;
\ir ../outcome.psql
select plan(53);

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
returns jsonb
language plpgsql
as $$
declare
    counts jsonb;
    watched integer := 0;
    pairs integer := 0;
begin
    for turn in 1..500 loop
        counts := private.learn_neighbours(2, up_to);
        watched := watched + (counts ->> 'watched')::integer;
        pairs := pairs + (counts ->> 'pairs')::integer;
        exit when counts -> 'left' = 'false';
    end loop;
    return jsonb_build_object('watched', watched, 'pairs', pairs);
end
$$;
create function pg_temp.pair(
    one integer,
    other integer
)
returns integer
language sql
as $$
    select pair.people
    from private.video_pairs as pair
    where
        pair.low_no = least(pg_temp.no(one), pg_temp.no(other))
        and pair.high_no = greatest(pg_temp.no(one), pg_temp.no(other))
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
select is(pg_temp.learn(), '{"watched": 5, "pairs": 3}', 'what was watched is paired, what was skipped is not');
select is(pg_temp.pair(1, 2), 2, 'a pair of two people');
select is(pg_temp.pair(2, 3), 1, 'what was only begun is paired too');
select is(pg_temp.pair(1, 4), null, 'a skip is no sign of liking');
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
    (
        select round((weight / pg_temp.expected())::numeric, 6)
        from private.video_neighbours
        where
            video_no = pg_temp.no(1)
            and neighbour_no = pg_temp.no(2)
    ),
    1.0,
    'the weight is the formula of docs/learning.md'
);
select cmp_ok(
    (select weight from private.video_neighbours where video_no = pg_temp.no(1) and neighbour_no = pg_temp.no(2)),
    '>',
    (select weight from private.video_neighbours where video_no = pg_temp.no(1) and neighbour_no = pg_temp.no(3)),
    'what more people watched together is nearer'
);
create function pg_temp.state()
returns text
language sql
as $$
    select md5(
        (select string_agg(pair::text, ',' order by pair) from private.video_pairs as pair)
        || (select string_agg(one::text, ',' order by one) from private.video_neighbours as one)
        || (select string_agg(one::text, ',' order by one) from private.watch_windows as one)
        || (select string_agg(one::text, ',' order by one) from private.video_audiences as one)
    )
$$;
create temporary table before as
select pg_temp.state() as state;
select is(pg_temp.learn(), '{"watched": 0, "pairs": 0}', 'a repeated run finds nothing new');
select is(pg_temp.state(), (select state from before), 'and changes nothing');

-- Somebody watches the same again and again.
select pg_temp.watch(1, 1 + n % 2, now() - interval '1 hour' + n * interval '1 second')
from generate_series(1, 20) as n;
select is(pg_temp.learn(), '{"watched": 0, "pairs": 0}', 'one person counts once in a pair');
select is(pg_temp.pair(1, 2), 2, 'however often the person comes back');
select is(
    (select learned_to from private.watch_windows where user_id = '11111111-1111-4111-8111-111111111111'),
    now() - interval '1 hour' + interval '20 seconds',
    'and the position moves on'
);

-- Night after night: only what is new is paired, with what came before it.
select pg_temp.watch(1, 3, now() - interval '30 minutes');
select is(pg_temp.learn(), '{"watched": 1, "pairs": 2}', 'a new one is paired with the two before it');
select is(pg_temp.pair(2, 3), 2, 'and adds to what was known');
select is(
    (select videos from private.watch_windows where user_id = '11111111-1111-4111-8111-111111111111'),
    array[pg_temp.no(3), pg_temp.no(2), pg_temp.no(1)],
    'the newest comes first'
);
select pg_temp.watch(1, 5, now() - interval '1 minute');
select is(
    pg_temp.learn(now() - interval '5 minutes'),
    '{"watched": 0, "pairs": 0}',
    'what may still be followed by something earlier is left to the next run'
);
select is(pg_temp.learn(), '{"watched": 1, "pairs": 3}', 'which takes it');

-- A batch of one moment is taken whole, and a window ends.
update private.learning_settings
set
    window_size = 2,
    most_a_day = 6;
select pg_temp.watch(3, n, now() - interval '2 days')
from generate_series(11, 14) as n;
select is(pg_temp.learn(), '{"watched": 4, "pairs": 5}', 'each is paired with the two before it');
select pg_temp.watch(3, n, now() - interval '2 days' + interval '1 second')
from generate_series(15, 19) as n;
select is(pg_temp.learn() -> 'watched', '2', 'of a person and day only so many are paired, over all runs');
select pg_temp.watch(9, n, now() - interval '1 day')
from generate_series(11, 14) as n;
select is(pg_temp.learn(), '{"watched": 0, "pairs": 0}', 'accounts that cost nothing teach nothing');
update private.learning_settings
set
    window_size = 50,
    most_a_day = 200;

-- A video that has no card yet is waited for.
insert into public.cached_videos (video_id, title, is_embeddable, privacy_status, duration, expires_at) values
('learnLate', 'late', true, 'public', 30, now() + interval '1 day');
insert into public.video_interactions (user_id, video_id, interaction_type, created_at, interaction_timestamp) values
('31111111-1111-4111-8111-111111111111', 'learnLate', 'like', now() - interval '10 minutes', now()),
('31111111-1111-4111-8111-111111111111', 'learnVideo20', 'like', now() - interval '9 minutes', now());
select is(pg_temp.learn() -> 'watched', '0', 'what comes after a video without a card waits with it');
select private.fold_video_cards();
select is(pg_temp.learn() -> 'watched', '2', 'and is taken when the card is there');

-- Only so many neighbours, and only of so many people.
update private.learning_settings
set neighbours_kept = 3;
update private.video_audiences
set rank_due = '-infinity';
select pg_temp.learn();
select is(
    (select max(lists.kept) from (select count(*) as kept from private.video_neighbours group by video_no) as lists),
    3::bigint,
    'a list has an end'
);
update private.learning_settings
set
    neighbours_kept = 100,
    least_people = 2;
update private.video_audiences
set rank_due = '-infinity';
select pg_temp.learn();
select is(
    (
        select count(*)
        from private.video_neighbours as neighbour
        inner join private.video_pairs as pair
            on
                least(neighbour.video_no, neighbour.neighbour_no) = pair.low_no
                and greatest(neighbour.video_no, neighbour.neighbour_no) = pair.high_no
        where pair.people < 2
    ),
    0::bigint,
    'least_people keeps out what fewer watched'
);
update private.learning_settings
set least_people = 1;

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
select pg_temp.learn(now() + interval '60 days');
select private.relearn();
select is(
    (select count(*) from private.video_pairs) + (select count(*) from private.video_neighbours),
    0::bigint,
    'relearn forgets everything'
);
select pg_temp.learn();
select is(pg_temp.pair(1, 2), 1, 'and learns from who is left');
update private.learning_settings
set landmark = landmark + interval '100 days';
select private.prune_pairs(10000);
select cmp_ok((select count(*) from private.video_pairs), '>', 0::bigint, 'what is worth more is kept');
update private.video_pairs
set
    low_to_high = 0,
    high_to_low = 0
where low_no = pg_temp.no(1);
select cmp_ok((private.prune_pairs(10000) ->> 'pairs_pruned')::integer, '>=', 0, 'what has faded goes');
select private.prune_pairs(10000);
select is_empty('select from private.video_pairs where low_no = pg_temp.no(1)', 'all of it');
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
