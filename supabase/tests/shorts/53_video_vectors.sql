-- Every video has a vector that follows from what is known of it, a better one is never overwritten, and what is
-- similar is found among what plays.
begin;
\ir ../outcome.psql
\ir ../asked.psql
\ir ../served.psql
select plan(50);

delete from private.video_vectors;
update private.learning_walks
set
    walked_to = null,
    walked_to_no = 0,
    newest_no = 0,
    rounds = 0;
insert into auth.users (id, email) values ('11111111-1111-4111-8111-111111111111', 'one@example.com');
\set one '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}'
create function pg_temp.axis(place integer)
returns double precision[]
language sql
as $$
    select array_agg((n = axis.place)::integer::double precision order by n)
    from generate_series(1, 100) as n
$$;
insert into public.cached_channels (channel_id, channel_title) values ('UCvec', 'a channel');
insert into public.cached_videos (
    video_id, title, is_embeddable, privacy_status, duration, view_count, category_id, channel_id, expires_at
)
select
    'vecVideo' || n,
    'video ' || n,
    true,
    'public',
    30,
    n * 250,
    10 + n % 3,
    'UCvec',
    now() + interval '1 day'
from generate_series(1, 12) as n;
insert into public.keyword_video_mappings (keyword, video_id, relevance_score)
select
    'vec keyword ' || n % 4,
    'vecVideo' || n,
    0.8
from generate_series(1, 12) as n;
select private.fold_video_cards();

-- The vector itself.
select is(
    private.embed_video(10, '{고양이,춤}', 'UCvec'),
    private.embed_video(10, '{춤,고양이}', 'UCvec'),
    'S-213: the same video has the same vector, whatever the order of its keywords'
);
select is(
    private.embed_video(10, '{고양이,춤}', 'UCvec', '{1, 0.5}'),
    private.embed_video(10, '{춤,고양이}', 'UCvec', '{0.5, 1}'),
    'the weights go with their keywords'
);
select isnt(
    private.embed_video(10, '{고양이,춤}', 'UCvec', '{1, 0.5}'),
    private.embed_video(10, '{고양이,춤}', 'UCvec', '{0.5, 1}'),
    'and count'
);
select is(
    round(extensions.vector_norm(private.embed_video(10, '{고양이,춤}', 'UCvec'))::numeric, 5), 1.0, 'its length is 1'
);
select is(
    round(extensions.vector_norm(private.embed_video(null, null, null))::numeric, 5),
    1.0,
    'also of what nothing is known of'
);
select is(
    extensions.vector_dims(private.embed_video(null, '{}', null)), 100, 'S-252: it has 100 numbers'
);
select cmp_ok(
    private.embed_video(10, '{고양이,춤}', 'UCvec') operator (extensions.<=>) private.embed_video(10, '{고양이,집}', 'UCother'),
    '<',
    private.embed_video(10, '{고양이,춤}', 'UCvec') operator (extensions.<=>) private.embed_video(17, '{축구,골}', 'UCother'),
    'who shares a category and a keyword is nearer than who shares nothing'
);
select is(
    private.embed_video(10, '{a}', null)::text,
    private.embed_video(10, array['a', null], null, '{1, 2}')::text,
    'a keyword that is none does not count'
);

-- The fold.
select is(
    private.fold_video_vectors(5) -> 'vectors_written', '5', 'a batch of five new videos'
);
select is(private.fold_video_vectors(5) -> 'vectors_written', '5', 'and the next five');
select cmp_ok((private.fold_video_vectors(5) -> 'vectors_written')::integer, '>=', 2, 'and what is left');
select is(
    (
        select count(*)
        from private.video_cards as card
        inner join private.video_vectors as vector on card.video_no = vector.video_no
        where card.video_id like 'vecVideo%'
    ),
    12::bigint,
    'then all have one'
);
select private.fold_video_vectors(10000);
select is(private.fold_video_vectors(10000) -> 'vectors_written', '0', 'a repeated fold writes nothing');
update public.cached_videos
set view_count = view_count + 1
where video_id = 'vecVideo3';
select private.fold_video_cards();
select is(private.fold_video_vectors(10000) -> 'vectors_written', '0', 'nor does one after views were counted');
update public.cached_videos
set category_id = 28
where video_id = 'vecVideo3';
update public.keyword_video_mappings
set keyword = 'vec keyword other'
where video_id = 'vecVideo5';
select private.fold_video_cards();
select is(private.fold_video_vectors(10000) -> 'vectors_written', '2', 'what changed is written again');
select is(
    (
        select vector.embedding
        from private.video_vectors as vector
        inner join private.video_cards as card on vector.video_no = card.video_no
        where card.video_id = 'vecVideo3'
    ),
    (select private.embed_video(28, '{vec keyword 3}', 'UCvec', '{1}')),
    'as embed_video says'
);
update public.cached_videos
set purged_at = now()
where video_id = 'vecVideo12';
select is(private.fold_video_vectors(10000) -> 'vectors_removed', '1', 'what was purged loses its vector');

-- Better vectors.
select is(
    pg_temp.served(
        format(
            $$select public.set_video_embedding('vecVideo%s', %L::double precision[], 'test-1')$$, n, pg_temp.axis(n)
        )
    ),
    '{"received": 1, "stored": 1, "rejected": []}',
    format('the service brings a vector for video %s', n)
)
from generate_series(1, 3) as n;
select is(
    pg_temp.served(
        $$select public.set_video_embeddings(
            (
                select jsonb_agg(jsonb_build_object(
                    'video_id', 'vecVideo' || n,
                    'embedding', (select jsonb_agg(case when m in (n, 7) then 5 else 0 end order by m)
                        from generate_series(1, 100) as m)
                ) order by n)
                from generate_series(4, 11) as n
            ),
            'test-1'
        )$$
    ),
    '{"received": 8, "stored": 8, "rejected": []}',
    'and for many at once'
);
select is(
    (select max(abs(extensions.vector_norm(embedding) - 1)) < 0.00001 from private.video_vectors),
    true,
    'they are made length 1'
);
update public.cached_videos
set category_id = 1
where video_id = 'vecVideo2';
select private.fold_video_cards();
select private.fold_video_vectors(10000);
select is(
    (
        select vector.version
        from private.video_vectors as vector
        inner join private.video_cards as card on vector.video_no = card.video_no
        where card.video_id = 'vecVideo2'
    ),
    'test-1',
    'the fold does not overwrite what was brought'
);
select private.rebuild_video_vectors();
select is(
    (select count(*) from private.video_vectors where version = 'test-1'), 11::bigint, 'nor does a rebuild forget it'
);
select private.fold_video_vectors(10000);
select is(
    (select count(*) from private.video_vectors where version = 'test-1'), 11::bigint, 'nor the fold after it'
);
select is(
    pg_temp.served(
        format(
            $$select public.set_video_embeddings('[
                7,
                {"video_id": "no id!", "embedding": []},
                {"video_id": "vecVideo1"},
                {"video_id": "vecVideo1", "embedding": [1, 2]},
                {"video_id": "vecVideo1", "embedding": %s},
                {"video_id": "vecVideo1", "embedding": %s},
                {"video_id": "unheardOf", "embedding": %s}
            ]', 'test-2')$$,
            (select jsonb_agg(0) from generate_series(1, 100)),
            (select jsonb_agg(case when n = 1 then '"x"' else '1'::jsonb end) from generate_series(1, 100) as n),
            (select jsonb_agg(1) from generate_series(1, 100))
        )
    ) #>> '{}',
    jsonb_build_object(
        'received', 7,
        'stored', 0,
        'rejected', '[
            {"index": 0, "code": "ON001", "message": "the row is not an object"},
            {"index": 1, "code": "ON002", "message": "video_id is not an id of at most 20 letters, digits, _ and -"},
            {"index": 2, "code": "ON007", "message": "embedding is not 100 finite numbers that are not all 0"},
            {"index": 3, "code": "ON007", "message": "embedding is not 100 finite numbers that are not all 0"},
            {"index": 4, "code": "ON007", "message": "embedding is not 100 finite numbers that are not all 0"},
            {"index": 5, "code": "ON007", "message": "embedding is not 100 finite numbers that are not all 0"},
            {"index": 6, "code": "ON012", "message": "there is no such video"}
        ]'::jsonb
    )::text,
    'what cannot be taken is named, row by row'
);
select is(
    pg_temp.served(format('select public.set_video_embedding(''vecVideo1'', %s, ''v'')', given)) #>> '{}',
    'PT400 embedding is not 100 finite numbers that are not all 0',
    format('S-252: %s is refused', left(given, 30))
)
from (
    values
    ('array_fill(1::float8, array[99])'),
    ('array_fill(0::float8, array[100])'),
    ('array_fill(''NaN''::float8, array[100])'),
    ('array_fill(''Infinity''::float8, array[100])'),
    ('null')
) as bad (given);
select is(
    pg_temp.served(
        format('select public.set_video_embedding(''vecVideo1'', %L::float8[], %L)', pg_temp.axis(1), version)
    ) #>> '{}',
    'PT400 the version is not 1 to 50 letters, digits, dots, _ or -, or begins with hash-',
    format('the version %s is refused', coalesce(version, 'null'))
)
from (values (''), ('hash-2'), (null)) as bad (version);
select is(
    pg_temp.served(
        format('select public.set_video_embedding(''unheardOf'', %L::float8[], ''v'')', pg_temp.axis(1))
    ) #>> '{}',
    'PT404 there is no such video',
    'so is an unknown video'
);
select is(
    pg_temp.outcome('authenticated', :'one', $$select public.set_video_embeddings('[]', 'v')$$),
    '42501 permission denied for function set_video_embeddings',
    'people bring no vectors'
);

-- Similar videos.
select is(
    (
        select card.video_id
        from private.nearest_videos(pg_temp.axis(2)::extensions.vector, 'test-1', 1) as near
        inner join private.video_cards as card on near.video_no = card.video_no
    ),
    'vecVideo2',
    'S-213: the nearest video of a one-hot preference is the one-hot video'
);
select is(
    (public.similar_videos('vecVideo4', 3) #>> '{videos,0,score}')::numeric,
    round(0.70710678, 4),
    'S-213: videos are compared by the cosine of their vectors'
);
select is(
    (select jsonb_agg(video -> 'video_id') from jsonb_array_elements(public.similar_videos('vecVideo5', 50) -> 'videos')
        as video) @> '["vecVideo12"]',
    false,
    'those of another version are not'
);
select is(
    (
        select bool_or(one.video ->> 'video_id' = 'vecVideo5')
        from jsonb_array_elements(public.similar_videos('vecVideo5', 50) -> 'videos') as one (video)
    ),
    false,
    'no video is like itself'
);
update public.cached_videos
set player_error_code = 150
where video_id = 'vecVideo8';
select is(
    (
        select bool_or(one.video ->> 'video_id' = 'vecVideo8')
        from jsonb_array_elements(public.similar_videos('vecVideo5', 50) -> 'videos') as one (video)
    ),
    false,
    'what has stopped playing is left out, even before the cards know'
);
select is(
    pg_temp.asked(:'one', $$select jsonb_array_length(public.similar_videos('vecVideo5', 50) -> 'videos')$$),
    '9',
    'who is signed in sees all that play'
);
create function pg_temp.views_seen_by(role_name text)
returns bigint[]
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform set_config('role', role_name, true);
    answer := public.similar_videos('vecVideo5', 7);
    perform set_config('role', 'none', true);
    return array(
        select (one.video ->> 'view_count')::bigint
        from jsonb_array_elements(answer -> 'videos') as one (video)
        order by 1
    );
end
$$;
select is(
    pg_temp.views_seen_by('anon'),
    '{1500,1750,2250,2500,2750}',
    'anonymous visitors see all those of more than 1,000 views'
);
select is(
    array_length(pg_temp.views_seen_by('service_role'), 1), 7, 'the service sees all that play'
);
select is(
    pg_temp.outcome('anon', null, $$select public.similar_videos('vecVideo1')$$),
    'PT404 there is no such video',
    'what is hidden from them is unknown'
);
select is(
    pg_temp.asked(:'one', $$select public.similar_videos('unheardOf')$$),
    'PT404 there is no such video / Send the video_id of a video that search_videos or personalized_feed returned.',
    'an unknown video is said to be'
);
select is(
    pg_temp.asked(:'one', format($$select public.similar_videos('vecVideo1', %s)$$, wrong)),
    'PT400 limit is not 1 to 50 / Ask for 1 to 50 videos, or leave it out for 20.',
    format('%s videos are refused', wrong)
)
from (values (0), (51), (-1)) as bad (wrong);
select is(
    pg_temp.asked(:'one', $$select public.similar_videos('vecVideo1', 5, 'kr')$$),
    'PT400 The region is unknown. / Send an ISO 3166 code of two capital letters.',
    'so is an unknown region'
);

select * from finish();
rollback;
