-- Promises every video a vector of 100 numbers that follows from what is known of it, until a better one is brought.

create table private.video_vectors (
    video_no integer primary key references private.video_cards (video_no) on delete cascade,
    embedding extensions.vector(100) not null,
    version text not null,
    inputs bigint,
    written_at timestamptz not null default now(),
    constraint version_is_a_short_text check (length(version) between 1 and 50),
    constraint only_hashes_have_inputs check ((inputs is not null) = (version like 'hash-%'))
);
alter table private.video_vectors enable row level security;
create index video_vectors_by_likeness on private.video_vectors
using hnsw (embedding extensions.vector_cosine_ops);
comment on table private.video_vectors is
'One vector a video, of length 1. Derived: what is hashed can be rebuilt from the source tables.';
comment on column private.video_vectors.version is
'How it was made. Those of different versions lie in different spaces and are never compared.';
comment on column private.video_vectors.inputs is
'What it was hashed from, as one number, so that nothing is written when nothing changed; null for what was brought.';

create table private.learning_walks (
    job text primary key,
    walked_to uuid,
    walked_to_no integer not null default 0,
    newest_no integer not null default 0,
    rounds integer not null default 0
);
alter table private.learning_walks enable row level security;
comment on table private.learning_walks is
'How far each learning job has come in its round. Moves in the transaction that did the work.';
comment on column private.learning_walks.walked_to is 'The last person of this round; null at its beginning.';
comment on column private.learning_walks.walked_to_no is 'The last video of this round; 0 at its beginning.';
comment on column private.learning_walks.newest_no is 'The newest video that was looked at out of turn.';
insert into private.learning_walks (job) values
('neighbours'),
('tastes'),
('vectors'),
('ranks');

create function private.unit_vector(numbers double precision[])
returns extensions.vector
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select (array_agg(part.number / part.length order by part.place))::extensions.vector
    from (
        select
            scaled.place,
            scaled.number,
            sqrt(sum(scaled.number * scaled.number) over ()) as length
        from (
            -- Divided by the largest first: the square of a small number is 0, that of a large one infinite.
            select
                item.place,
                item.number / max(abs(item.number)) over () as number
            from unnest(numbers) with ordinality as item (number, place)
            where
                private.is_taste(numbers)
                and exists (
                    select
                    from unnest(numbers) as other (number)
                    where other.number <> 0
                )
        ) as scaled
    ) as part
$$;
comment on function private.unit_vector(double precision[]) is
'The direction of 100 finite numbers, as a vector of length 1; null for anything else and for nothing but zeros.';

create function private.embed_video(
    category_id integer,
    keywords text[],
    channel_id text,
    weights double precision[] default null
)
returns extensions.vector
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    with features as (
        select
            'category:' || embed_video.category_id as feature,
            0.6 as weight
        where embed_video.category_id is not null
        union all
        select
            'channel:' || embed_video.channel_id,
            0.4
        where embed_video.channel_id is not null
        union all
        select
            'keyword:' || word.keyword,
            0.7 * word.weight / sqrt(sum(word.weight * word.weight) over ())
        from (
            select
                given.keyword,
                max(coalesce(given.weight, 1)) as weight
            from unnest(embed_video.keywords, embed_video.weights) as given (keyword, weight)
            where
                given.keyword is not null
                and coalesce(given.weight, 1) > 0
            group by given.keyword
        ) as word
    ),

    known as (
        select
            features.feature,
            features.weight
        from features
        union all
        select
            'unknown',
            1
        where not exists (select from features)
    ),

    -- Eight signed places for each feature: two features that share a place share one of eight.
    places as (
        select
            mod(hashed.value & 9223372036854775807, 100) as place,
            -- Whole numbers, so that the order of adding does not matter.
            sum(
                (case when hashed.other & 1 = 0 then 1 else -1 end * round(known.weight * 1000000000))::bigint
            ) as amount
        from known
        cross join generate_series(1, 8) as seed (number)
        cross join lateral (
            select
                hashtextextended(known.feature collate "C", seed.number) as value,
                hashtextextended(known.feature collate "C", seed.number + 1000) as other
        ) as hashed
        group by mod(hashed.value & 9223372036854775807, 100)
    )

    select
        extensions.l2_normalize(
            (
                array_agg(coalesce(places.amount, 0)::double precision / 1000000000 order by dimension.number)
            )::extensions.vector
        )
    from generate_series(0, 99) as dimension (number)
    left join places on dimension.number = places.place
$$;
comment on function private.embed_video(integer, text[], text, double precision[]) is
'The vector of a video that nobody brought a better one for: signed hashes of its category, keywords and channel. '
'The same for the same values, whatever their order; length 1; a weight for each keyword, or 1.';

create function private.hash_videos(from_nos integer[])
returns table (
    video_no integer,
    is_known boolean,
    category_id integer,
    channel_id text,
    keywords text[],
    weights double precision[],
    inputs bigint
)
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        card.video_no,
        video.purged_at is null,
        video.category_id,
        video.channel_id,
        words.keywords,
        words.weights,
        hashtextextended(
            concat_ws('|', video.category_id, video.channel_id, words.keywords, words.weights) collate "C", 0
        )
    from private.video_cards as card
    inner join public.cached_videos as video on card.video_id = video.video_id
    cross join lateral (
        select
            array_agg(best.keyword order by best.keyword) as keywords,
            array_agg(best.weight order by best.keyword) as weights
        from (
            select
                private.search_key(mapping.keyword) collate "C" as keyword,
                round(
                    (
                        greatest(mapping.relevance_score, 0.05)
                        -- By powers of four, so that a video is not written again for each new one of its keyword.
                        / (1 + ln(4) * floor(log(4, greatest(word.videos, 1))))
                    )::numeric,
                    4
                )::double precision as weight
            from public.keyword_video_mappings as mapping
            left join private.keywords as word on word.keyword = private.search_key(mapping.keyword)
            where mapping.video_id = card.video_id
            order by
                mapping.relevance_score desc,
                mapping.keyword asc
            limit 20
        ) as best
    ) as words
    where card.video_no = any(from_nos)
$$;
comment on function private.hash_videos(integer[]) is
'What the vectors of videos are hashed from: the 20 keywords that fit best, each damped by how many videos have it.';

create function private.fold_video_vectors(batch_size integer default 2000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    walk private.learning_walks;
    newest integer[];
    others integer[];
    written integer;
    removed integer;
begin
    -- The row is the lock: one fold at a time, and one that is killed leaves it as it was.
    select stored.*
    into walk
    from private.learning_walks as stored
    where stored.job = 'vectors'
    for update;
    newest := array(
        select card.video_no
        from private.video_cards as card
        where card.video_no > walk.newest_no
        order by card.video_no
        limit fold_video_vectors.batch_size
    );
    others := array(
        select card.video_no
        from private.video_cards as card
        where
            card.video_no > walk.walked_to_no
            and card.video_no <= walk.newest_no
        order by card.video_no
        limit greatest(fold_video_vectors.batch_size - cardinality(newest), 0)
    );

    with hashed as materialized (
        select hash.*
        from private.hash_videos(newest || others) as hash
    ),

    gone as (
        delete from private.video_vectors as vector
        using hashed
        where
            vector.video_no = hashed.video_no
            and not hashed.is_known
        returning vector.video_no
    ),

    changed as materialized (
        select
            hashed.video_no,
            hashed.inputs,
            private.embed_video(
                hashed.category_id, hashed.keywords, hashed.channel_id, hashed.weights
            ) as embedding
        from hashed
        left join private.video_vectors as known on hashed.video_no = known.video_no
        where
            hashed.is_known
            -- What somebody brought stays, whatever it was made from.
            and (
                known.video_no is null
                or (known.version = 'hash-1' and known.inputs <> hashed.inputs)
                or (known.version like 'hash-%' and known.version <> 'hash-1')
            )
    ),

    stored as (
        insert into private.video_vectors as vector (video_no, embedding, version, inputs)
        select
            changed.video_no,
            changed.embedding,
            'hash-1',
            changed.inputs
        from changed
        order by changed.video_no
        on conflict (video_no) do update
            set
                embedding = excluded.embedding,
                version = excluded.version,
                inputs = excluded.inputs,
                written_at = excluded.written_at
        -- A better one may have come while these were hashed.
        where vector.version like 'hash-%'
        returning vector.video_no
    )

    select
        (select count(*) from stored),
        (select count(*) from gone)
    into written, removed;

    update private.learning_walks as stored
    set
        newest_no = coalesce(newest[cardinality(newest)], stored.newest_no),
        walked_to_no = case
            when cardinality(newest) + cardinality(others) < fold_video_vectors.batch_size then 0
            else coalesce(others[cardinality(others)], stored.walked_to_no)
        end,
        rounds = stored.rounds
        + (cardinality(newest) + cardinality(others) < fold_video_vectors.batch_size)::integer
    where stored.job = 'vectors';
    return jsonb_build_object('vectors_written', written, 'vectors_removed', removed);
end
$$;
comment on function private.fold_video_vectors(integer) is
'Gives vectors to new videos, then goes on with its round over the others and rewrites those whose category, '
'keywords or channel changed. A batch at a time; a video whose vector was brought keeps it.';

create function private.rebuild_video_vectors()
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    delete from private.video_vectors as vector
    where vector.version like 'hash-%';
    update private.learning_walks as walk
    set
        newest_no = 0,
        walked_to_no = 0
    where walk.job = 'vectors'
$$;
comment on function private.rebuild_video_vectors() is
'Forgets what was hashed, so that the next folds hash it again. What was brought stays.';

create function public.set_video_embeddings(
    embeddings jsonb,
    version text
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform private.check_batch(embeddings);
    if coalesce(version, '') !~ '^[A-Za-z0-9._-]{1,50}$' or version like 'hash-%' then
        raise exception using
            errcode = 'PT400',
            message = 'the version is not 1 to 50 letters, digits, dots, _ or -, or begins with hash-',
            hint = 'Name the model, such as e5-small-1: vectors of different versions are never compared.';
    end if;
    with given as materialized (
        select
            (item.ordinality - 1)::integer as index,
            case when jsonb_typeof(item.value) = 'object' then item.value end as sent,
            case
                when
                    jsonb_typeof(item.value -> 'embedding') = 'array'
                    and jsonb_array_length(item.value -> 'embedding') = 100
                    then
                        private.unit_vector(
                            array(
                                select
                                    case
                                        when
                                            jsonb_typeof(number.value) = 'number'
                                            and pg_input_is_valid(number.value #>> '{}', 'double precision')
                                            then (number.value #>> '{}')::double precision
                                    end
                                from jsonb_array_elements(item.value -> 'embedding') with ordinality as number
                                order by number.ordinality
                            )
                        )
            end as embedding
        from jsonb_array_elements(embeddings) with ordinality as item (value, ordinality)
    ),

    read as materialized (
        select
            given.index,
            given.embedding,
            card.video_no,
            case
                when given.sent is null then 'ON001'
                when
                    coalesce(jsonb_typeof(given.sent -> 'video_id') <> 'string', true)
                    or given.sent ->> 'video_id' !~ '^[A-Za-z0-9_-]{1,20}$'
                    then 'ON002'
                when given.embedding is null then 'ON007'
                when card.video_no is null then 'ON012'
            end as code
        from given
        left join private.video_cards as card on given.sent ->> 'video_id' = card.video_id
    ),

    stored as (
        insert into private.video_vectors as vector (video_no, embedding, version)
        select
            last.video_no,
            last.embedding,
            set_video_embeddings.version
        from (
            select distinct on (read.video_no)
                read.video_no,
                read.embedding
            from read
            where read.code is null
            order by
                read.video_no asc,
                read.index desc
        ) as last
        order by last.video_no
        on conflict (video_no) do update
            set
                embedding = excluded.embedding,
                version = excluded.version,
                inputs = null,
                written_at = excluded.written_at
        returning vector.video_no
    )

    select
        jsonb_build_object(
            'received', count(*),
            'stored', (select count(*) from stored),
            'rejected', coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'index', read.index,
                        'code', read.code,
                        'message', case read.code
                            when 'ON001' then 'the row is not an object'
                            when 'ON002' then 'video_id is not an id of at most 20 letters, digits, _ and -'
                            when 'ON007' then 'embedding is not 100 finite numbers that are not all 0'
                            else 'there is no such video'
                        end
                    )
                    order by read.index
                ) filter (where read.code is not null),
                '[]'
            )
        )
    into answer
    from read;
    return answer;
end
$$;
comment on function public.set_video_embeddings(jsonb, text) is
'Replaces the vectors of videos by better ones, [{"video_id", "embedding": [100 numbers]}, ...]; for the service. '
'They are made length 1. Good rows are stored, bad ones named.';

create function public.set_video_embedding(
    video_id text,
    embedding double precision[],
    version text
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
    problem jsonb;
begin
    -- JSON has no number that is none.
    if private.unit_vector(embedding) is null then
        raise exception using
            errcode = 'PT400',
            message = 'embedding is not 100 finite numbers that are not all 0',
            hint = 'Send exactly 100 numbers from -1e30 to 1e30; they are made length 1.';
    end if;
    answer := public.set_video_embeddings(
        jsonb_build_array(jsonb_build_object('video_id', video_id, 'embedding', to_jsonb(embedding))), version
    );
    problem := answer -> 'rejected' -> 0;
    if problem is not null then
        raise exception using
            errcode = case when problem ->> 'code' = 'ON012' then 'PT404' else 'PT400' end,
            message = problem ->> 'message',
            hint = 'Ingest the video first; a new one is known a minute later.';
    end if;
    return answer;
end
$$;
comment on function public.set_video_embedding(text, double precision[], text) is
'Replaces the vector of one video by a better one of 100 numbers; for the service. See set_video_embeddings.';

create function private.nearest_videos(
    target extensions.vector,
    of_version text,
    most integer,
    least_views bigint default 0,
    except_no integer default null
)
returns table (
    video_no integer,
    video_id text,
    similarity double precision
)
stable
security definer
set search_path = pg_catalog, pg_temp
set "hnsw.iterative_scan" = 'strict_order'
set "hnsw.ef_search" = '100'
set plan_cache_mode = 'force_custom_plan'
language plpgsql
as $$
begin
    -- Planned anew each time: without knowing the number that is asked for, all would be read and sorted.
    return query
    select
        vector.video_no,
        card.video_id::text,
        1 - (vector.embedding operator(extensions.<=>) nearest_videos.target)
    from private.video_vectors as vector
    inner join private.video_cards as card on vector.video_no = card.video_no
    where
        vector.version = nearest_videos.of_version
        and card.is_servable
        and card.expires_at > now()
        and coalesce(card.view_count, 0) >= nearest_videos.least_views
        and vector.video_no is distinct from nearest_videos.except_no
    order by vector.embedding operator(extensions.<=>) nearest_videos.target
    limit nearest_videos.most;
end
$$;
comment on function private.nearest_videos(extensions.vector, text, integer, bigint, integer) is
'The servable videos whose vectors lie nearest, of one version. The index goes on until there are enough.';

create function private.similar_to(
    of_video text,
    most integer,
    least_views bigint
)
returns table (
    video_id text,
    similarity double precision
)
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        near.video_id,
        near.similarity
    from private.video_cards as card
    inner join private.video_vectors as vector on card.video_no = vector.video_no
    cross join lateral private.nearest_videos(
        vector.embedding, vector.version, similar_to.most, similar_to.least_views, card.video_no
    ) as near
    where card.video_id = similar_to.of_video
$$;
comment on function private.similar_to(text, integer, bigint) is
'Ids of the videos that are most like one. Reads what clients do not; similar_videos keeps to what they may see.';

create function public.similar_videos(
    video_id text,
    "limit" integer default 20,
    region text default 'KR'
)
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
-- @plpgsql_check_options: other_warnings = false
declare
    most integer := coalesce("limit", 20);
    answer jsonb;
begin
    if most not between 1 and 50 then
        raise exception using
            errcode = 'PT400',
            message = 'limit is not 1 to 50',
            detail = format('It is %s.', most),
            hint = 'Ask for 1 to 50 videos, or leave it out for 20.';
    end if;
    if coalesce(region, 'KR') !~ '^[A-Z]{2}$' then
        raise exception using
            errcode = 'PT400',
            message = 'The region is unknown.',
            detail = format('region is %s.', left(region, 100)),
            hint = 'Send an ISO 3166 code of two capital letters.';
    end if;
    -- Under the caller's own policies: what is hidden from the caller is as unknown as what does not exist.
    if
        not exists (
            select
            from public.cached_videos as video
            where video.video_id = similar_videos.video_id
        )
    then
        raise exception using
            errcode = 'PT404',
            message = 'there is no such video',
            hint = 'Send the video_id of a video that search_videos or personalized_feed returned.';
    end if;

    select
        coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'video_id', kept.video_id,
                    'title', kept.title,
                    'channel_id', kept.channel_id,
                    'channel_name', kept.channel_name,
                    'thumbnail_url', kept.thumbnail_url,
                    'duration', kept.duration,
                    'view_count', kept.view_count,
                    'published_at', kept.published_at,
                    'category_id', kept.category_id,
                    'quality_score', kept.quality_score,
                    'score', round(kept.similarity::numeric, 4)
                )
                order by
                    kept.similarity desc,
                    kept.video_id asc
            ),
            '[]'
        )
    into answer
    from (
        select
            video.*,
            near.similarity
        -- A few more than asked for: what has stopped playing since, or does not play in the region, is left out.
        from private.similar_to(
            similar_videos.video_id, 2 * most + 10, case when current_user = 'anon' then 1001 else 0 end
        ) as near
        inner join public.cached_videos as video on near.video_id = video.video_id
        where
            video.is_playable
            and video.is_shorts
            and video.expires_at > now()
            and private.plays_in(video.region_restrictions, coalesce(similar_videos.region, 'KR'))
        order by
            near.similarity desc,
            video.video_id asc
        limit most
    ) as kept;
    return jsonb_build_object('videos', answer);
end
$$;
comment on function public.similar_videos(text, integer, text) is
'Shorts like this one that play, the most similar first: {"videos": [...]}, each with a score up to 1. For everybody; '
'anonymous visitors see the well known ones. At most 50.';
