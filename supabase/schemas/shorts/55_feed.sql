-- Promises that a person's feed is the exact best of all that plays, by six weights, in milliseconds however much is
-- known: sorted lists are read only as deep as it takes to prove that nothing unread would be among the best.

create table private.feed_weights (
    version text primary key,
    weights jsonb not null,
    is_default boolean not null default false,
    created_at timestamptz not null default now(),
    constraint feed_weights_sum_to_one check (
        private.is_distribution(
            weights,
            array[
                'category_match',
                'keyword_relevance',
                'temporal_context',
                'popularity_score',
                'freshness_factor',
                'diversity_bonus'
            ]
        )
    )
);
alter table private.feed_weights enable row level security;
create unique index one_version_of_the_feed_is_default on private.feed_weights (is_default)
where is_default;
comment on table private.feed_weights is
'The tuned weights of the feed by version. Exactly one is the default; an operator changes it without a deployment, '
'and each impression tells by which version it was ranked.';
comment on column private.feed_weights.weights is 'The six weights of user_profiles.personalization_weights; sum 1.';
comment on column private.feed_weights.is_default is 'Whether it ranks the feeds of now.';
insert into private.feed_weights (version, weights, is_default)
values
(
    'seed',
    '{
        "category_match": 0.30,
        "keyword_relevance": 0.25,
        "temporal_context": 0.15,
        "popularity_score": 0.15,
        "freshness_factor": 0.10,
        "diversity_bonus": 0.05
    }',
    false
),
(
    'v1',
    '{
        "category_match": 0.10,
        "keyword_relevance": 0.68,
        "temporal_context": 0.02,
        "popularity_score": 0.12,
        "freshness_factor": 0.02,
        "diversity_bonus": 0.06
    }',
    true
);

create table private.mood_topics (
    mood text primary key,
    category_ids integer[] not null default '{}',
    keywords text[] not null default '{}',
    constraint mood_topics_are_short check (
        length(mood) between 1 and 255 and cardinality(category_ids) <= 20 and private.are_short_texts(keywords, 20)
    )
);
alter table private.mood_topics enable row level security;
comment on table private.mood_topics is
'What a mood of user_profiles.mood_patterns is about. A mood without a row stands for the keyword of its name.';
comment on column private.mood_topics.category_ids is 'YouTube''s numbers of the categories that suit it.';
comment on column private.mood_topics.keywords is 'Keywords that suit it, normalised.';
insert into private.mood_topics (mood, category_ids, keywords)
values
('energetic', '{10,17}', '{신나는,댄스,챌린지}'),
('news', '{25}', '{뉴스,속보}'),
('workout', '{17}', '{운동,홈트,스트레칭}'),
('focus', '{27,28}', '{집중,공부}'),
('educational', '{27,28}', '{교육,강의,영어}'),
('productivity', '{26,27}', '{생산성,꿀팁,자기계발}'),
('relaxing', '{10,15,19}', '{힐링,여행,자연}'),
('entertainment', '{23,24}', '{예능,웃긴영상}'),
('healing', '{15,22}', '{힐링,강아지,고양이}'),
('calm', '{10}', '{잔잔한,피아노}'),
('asmr', '{}', '{asmr,먹방}'),
('sleep', '{}', '{수면,빗소리,asmr}');

create function private.heat_time(at timestamptz)
returns double precision
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select (extract(epoch from heat_time.at) - 1767225600)::double precision / (0.7 * 86400)
$$;
comment on function private.heat_time(timestamptz) is
'Half-lives of heat since 2026: what was liked 0.7 days ago counts half. The one place that says so.';

create table private.video_heats (
    video_no integer primary key references private.video_cards (video_no) on delete cascade,
    heat double precision not null
);
alter table private.video_heats enable row level security;
create index video_heats_in_order on private.video_heats (heat desc, video_no);
comment on table private.video_heats is
'How much a video is liked lately, each like worth half after 0.7 days. Sums without anybody''s id.';
comment on column private.video_heats.heat is
'log2 of the sum of 2 ^ private.heat_time(each like). Counted forward, so that their order never changes with time.';

create table private.heat_position (
    is_the_one boolean primary key default true,
    counted_to timestamptz not null default '-infinity',
    constraint there_is_one_row check (is_the_one)
);
alter table private.heat_position enable row level security;
comment on table private.heat_position is 'Until when likes are in private.video_heats; moves in their transaction.';
insert into private.heat_position (is_the_one) values (true);

create function private.fold_video_heats(
    at timestamptz default now(),
    batch_size integer default 50000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with place as materialized (
        select stored.counted_to
        from private.heat_position as stored
        for update
    ),

    -- Whole moments only, so that the position never parts those of one; who is still writing has a minute.
    bound as materialized (
        select max(batch.created_at) as counted_to
        from (
            select done.created_at
            from public.video_interactions as done
            where
                done.created_at > (select place.counted_to from place)
                and done.created_at <= fold_video_heats.at - interval '1 minute'
            order by done.created_at
            limit fold_video_heats.batch_size
        ) as batch
    ),

    liked as materialized (
        select
            done.video_id,
            done.user_id,
            max(done.created_at) as liked_at
        from public.video_interactions as done
        where
            done.created_at > (select place.counted_to from place)
            and done.created_at <= (select bound.counted_to from bound)
            and (
                done.interaction_type in ('like', 'save', 'share')
                or (done.interaction_type = 'view' and (done.watch_percentage >= 0.5 or done.watched_to_end))
            )
        group by
            done.video_id,
            done.user_id
    ),

    summed as materialized (
        select
            card.video_no,
            newest.heat
            + ln(sum(2 ^ greatest(private.heat_time(liked.liked_at) - newest.heat, -1000))) / ln(2::float8) as heat
        from liked
        inner join private.video_cards as card on liked.video_id = card.video_id
        cross join lateral (select private.heat_time(fold_video_heats.at) as heat) as newest
        group by
            card.video_no,
            newest.heat
    ),

    kept as (
        insert into private.video_heats as stored (video_no, heat)
        select
            summed.video_no,
            summed.heat
        from summed
        order by summed.video_no
        on conflict (video_no) do update
            set
                heat = greatest(stored.heat, excluded.heat)
                + ln(1 + exp(-least(abs(stored.heat - excluded.heat), 60) * ln(2::float8))) / ln(2::float8)
    ),

    moved as (
        update private.heat_position as stored
        set counted_to = bound.counted_to
        from bound
        where bound.counted_to is not null
    )

    select
        jsonb_build_object(
            'likes', (select count(*) from liked),
            'videos', (select count(*) from summed),
            'counted_to', (select bound.counted_to from bound)
        )
$$;
comment on function private.fold_video_heats(timestamptz, integer) is
'Adds the likes since the last time to private.video_heats: every minute, one batch, each like once.';

-- The lists that the feed reads, each in the order of one part of its score, with all that a score takes beside it.
create index video_cards_popular_in_category
on private.video_cards (category_id, popularity desc, video_no)
include (published_at)
where is_servable;
create index video_cards_new_in_category
on private.video_cards (category_id, published_at desc nulls last, video_no)
include (popularity)
where is_servable;

create type private.feed_context as (
    at timestamptz,
    region text,
    weights double precision [],
    weights_version text,
    history_nos integer [],
    history_ids text [],
    history_weights double precision [],
    behaviour_share double precision,
    seen_nos integer [],
    keyword_nos integer [],
    keywords text [],
    keyword_reasons text [],
    keyword_weights double precision [],
    mood_weights double precision [],
    category_ids integer [],
    category_matches double precision [],
    category_moods double precision [],
    category_reasons text []
);
comment on type private.feed_context is
'All that a feed knows of a person at a moment, as parallel arrays: nothing after this reads what is personal.';

create function private.feed_categories_named(names text[])
returns integer[]
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select coalesce(array_agg(distinct category.category_id), '{}')
    from private.video_category_names() as category
    inner join unnest(feed_categories_named.names) as given (name)
        on
            lower(given.name) in (category.category_id::text, lower(category.english), category.korean)
            or lower(given.name) = any(regexp_split_to_array(lower(category.english), '[ &/]+'))
            or lower(given.name) = any(regexp_split_to_array(category.korean, '[ /]+'))
$$;
comment on function private.feed_categories_named(text[]) is
'Numbers of the categories that people mean: by number, by name in English or Korean, or by a word of it.';

create function private.effective_weights(
    base jsonb,
    own jsonb
)
returns double precision[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select array_agg(coalesce(shared.weight / nullif(shared.total, 0), 0) order by shared.place)
    from (
        select
            raised.place,
            raised.weight,
            sum(raised.weight) over () as total
        from (
            select
                factor.place,
                coalesce((effective_weights.base ->> factor.name)::double precision, 0)
                * coalesce((effective_weights.own ->> factor.name)::double precision / factor.seed, 1) as weight
            from (
                values
                (1, 'category_match', 0.30),
                (2, 'keyword_relevance', 0.25),
                (3, 'temporal_context', 0.15),
                (4, 'popularity_score', 0.15),
                (5, 'freshness_factor', 0.10),
                (6, 'diversity_bonus', 0.05)
            ) as factor (place, name, seed)
        ) as raised
    ) as shared
$$;
comment on function private.effective_weights(jsonb, jsonb) is
'The tuned weights, each times how far the person moved it from the seed''s, scaled to sum to 1: who changed nothing '
'gets the tuned ones, and who gave a factor 0 gets none of it. In the order of the profile''s default.';

create function private.feed_context_of(
    person uuid,
    at timestamptz,
    options jsonb
)
returns private.feed_context
stable
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
language plpgsql
as $$
declare
    context private.feed_context;
    profile record;
    local_hour integer := extract(hour from feed_context_of.at at time zone 'Asia/Seoul');
    part_of_day text := case
        when local_hour < 6 then 'night'
        when local_hour < 12 then 'morning'
        when local_hour < 18 then 'afternoon'
        else 'evening'
    end;
    moods text[];
    history_categories integer[];
    history_near double precision[];
    mood_categories integer[];
    mood_keywords text[];
    preferred integer[];
    disliked integer[];
    events_near double precision;
    own_count double precision;
begin
    select
        stored.preferred_categories,
        stored.preferred_keywords,
        stored.disliked_categories,
        stored.mood_patterns,
        stored.personalization_weights,
        account.settings ->> 'region' as region,
        weights.version,
        weights.weights,
        taste.category_lift,
        taste.hours,
        taste.events,
        everybody.category_shares
    into profile
    from private.feed_weights as weights
    left join public.users as account on account.id = feed_context_of.person
    left join public.user_profiles as stored on stored.user_id = feed_context_of.person
    left join private.user_tastes as taste on taste.user_id = feed_context_of.person
    left join private.global_tastes as everybody on everybody.is_the_one
    where
        case
            when feed_context_of.options ? 'weights_version'
                then weights.version = feed_context_of.options ->> 'weights_version'
            else weights.is_default
        end;
    context.at := feed_context_of.at;
    context.region := case when profile.region ~ '^[A-Z]{2}$' then profile.region else 'KR' end;
    context.weights_version := profile.version;
    context.weights := private.effective_weights(
        coalesce(feed_context_of.options -> 'weights', profile.weights), profile.personalization_weights
    );

    -- What the person did last, by the index of person and time; a video counts by the last that was done to it.
    with recent as materialized (
        select
            done.video_id,
            done.created_at,
            done.interaction_type = 'skip' as is_negative,
            case
                when
                    done.interaction_type in ('like', 'save', 'share')
                    or (done.interaction_type = 'view' and (done.watch_percentage >= 0.5 or done.watched_to_end))
                    then 1.0
                -- What merely began says which circle a person is in.
                when done.interaction_type = 'view' then 0.7
            end as strength
        from public.video_interactions as done
        where
            done.user_id = feed_context_of.person
            and done.created_at <= feed_context_of.at
        order by done.created_at desc
        limit 2000
    ),

    said as materialized (
        select
            feedback.video_id,
            feedback.created_at,
            feedback.feedback_type <> 'like' as is_negative
        from public.user_feedback as feedback
        where
            feedback.user_id = feed_context_of.person
            and feedback.created_at <= feed_context_of.at
    ),

    known as materialized (
        select
            mentioned.video_id,
            max(mentioned.created_at) filter (where mentioned.strength > 0) as liked_at,
            max(mentioned.strength) as strength,
            max(mentioned.created_at) as done_at,
            bool_or(mentioned.is_negative) as is_negative
        from (
            select
                recent.video_id,
                recent.created_at,
                recent.strength,
                recent.is_negative
            from recent
            union all
            select
                said.video_id,
                said.created_at,
                case when not said.is_negative then 1.0 end,
                said.is_negative
            from said
        ) as mentioned
        group by mentioned.video_id
    ),

    placed as materialized (
        select
            card.video_no,
            card.video_id,
            card.category_id,
            known.liked_at,
            known.strength,
            known.is_negative,
            known.done_at,
            case
                when known.liked_at is not null and not known.is_negative
                    then row_number() over (
                        partition by known.liked_at is not null and not known.is_negative
                        order by
                            known.liked_at desc,
                            card.video_no desc
                    )
            end as place
        from known
        inner join private.video_cards as card on known.video_id = card.video_id
    ),

    tired as (
        select shown.video_no
        from (
            select
                page.request_id,
                unnest(page.video_nos) as video_no
            from (
                select
                    impression.request_id,
                    impression.video_nos
                from private.feed_impressions as impression
                where
                    impression.user_id = feed_context_of.person
                    and impression.shown_at > feed_context_of.at - interval '14 days'
                    and impression.shown_at <= feed_context_of.at
                order by impression.shown_at desc
                limit 100
            ) as page
        ) as shown
        group by shown.video_no
        having count(distinct shown.request_id) >= 5
    )

    select
        array_agg(placed.video_no order by placed.place) filter (where placed.place <= 50),
        array_agg(placed.video_id order by placed.place) filter (where placed.place <= 50),
        array_agg(0.98 ^ (placed.place - 1) * placed.strength order by placed.place) filter (where placed.place <= 50),
        array_agg(
            case when placed.strength = 1 then placed.category_id end order by placed.place
        ) filter (where placed.place <= 50),
        -- Hours lie on a circle: 23 is near 1.
        array_agg(
            case
                when
                    abs(
                        mod(
                            extract(hour from placed.liked_at at time zone 'Asia/Seoul')::integer - local_hour + 36, 24
                        ) - 12
                    ) <= 2
                    then 1.0
                else 0.0
            end
            order by placed.place
        ) filter (where placed.place <= 50),
        case
            when coalesce((feed_context_of.options ->> 'exclude_seen')::boolean, true)
                then array_agg(placed.video_no) filter (
                    where placed.is_negative or placed.done_at > feed_context_of.at - interval '30 days'
                ) || array(select tired.video_no from tired)
        end
    into
        context.history_nos,
        context.history_ids,
        context.history_weights,
        history_categories,
        history_near,
        context.seen_nos
    from placed;
    context.seen_nos := coalesce(context.seen_nos, '{}');

    -- Moods: what suits this part of the day, as the person says or as the default does.
    moods := coalesce(
        array(
            select jsonb_array_elements_text(
                case
                    when jsonb_typeof(profile.mood_patterns -> part_of_day) = 'array'
                        then profile.mood_patterns -> part_of_day
                    else '[]'
                end
            )
            limit 10
        ),
        '{}'
    );
    select
        coalesce(array_agg(distinct about.category_id) filter (where about.category_id is not null), '{}'),
        coalesce(array_agg(distinct about.keyword) filter (where about.keyword is not null), '{}')
    into
        mood_categories,
        mood_keywords
    from unnest(moods) as mood (name)
    left join private.mood_topics as topic on lower(mood.name) = topic.mood
    cross join lateral (
        select
            suits.category_id,
            null::text as keyword
        from unnest(topic.category_ids) as suits (category_id)
        union all
        select
            null,
            word.keyword
        from unnest(coalesce(topic.keywords, array[left(lower(mood.name), 255)])) as word (keyword)
    ) as about;

    preferred := private.feed_categories_named(profile.preferred_categories);
    disliked := private.feed_categories_named(profile.disliked_categories);

    -- Keywords that lead anywhere: the person's own (a chosen category that YouTube has not is one), trends, moods.
    select
        array_agg(word.keyword_no order by word.keyword_no),
        array_agg(word.keyword order by word.keyword_no),
        array_agg(word.reason order by word.keyword_no),
        array_agg(word.weight order by word.keyword_no),
        array_agg(word.mood_weight order by word.keyword_no)
    into
        context.keyword_nos,
        context.keywords,
        context.keyword_reasons,
        context.keyword_weights,
        context.mood_weights
    from (
        select
            stored.keyword_no,
            stored.keyword,
            (array_agg(given.reason order by given.weight desc))[1] as reason,
            max(given.weight) as weight,
            max(given.mood_weight) as mood_weight
        from (
            select
                own.keyword,
                'keyword' as reason,
                1.0::double precision as weight,
                0.0::double precision as mood_weight
            from (
                select left(private.normalize_keyword(chosen.name), 255) as keyword
                from unnest(profile.preferred_keywords || profile.preferred_categories) as chosen (name)
                limit 40
            ) as own
            union all
            select
                trend.keyword,
                'trending',
                0.3 * trend.trend_score,
                0
            from (
                select
                    stored_trend.keyword,
                    stored_trend.trend_score
                from public.trending_keywords as stored_trend
                where
                    stored_trend.region_code = context.region
                    and stored_trend.closed_at is null
                    and stored_trend.expires_at > feed_context_of.at
                order by stored_trend.trend_score desc
                limit 10
            ) as trend
            union all
            select
                mood_word.keyword,
                'mood',
                0,
                0.5
            from unnest(mood_keywords) as mood_word (keyword)
        ) as given
        inner join private.keywords as stored on given.keyword = stored.keyword
        group by
            stored.keyword_no,
            stored.keyword
    ) as word;

    -- Categories: the person's share of each against everybody's, drawn to what was chosen as if by ten more videos.
    own_count := coalesce((select count(liked.category_id) from unnest(history_categories) as liked (category_id)), 0);
    context.behaviour_share := coalesce(cardinality(context.history_nos), 0)
    / (coalesce(cardinality(context.history_nos), 0) + 0.5);
    -- The hours that were learned say how much the person's own habits weigh at this one, against the moods.
    events_near := coalesce(
        (
            select profile.events * sum(profile.hours[mod(local_hour + distance + 24, 24) + 1])
            from generate_series(-2, 2) as distance
        ),
        (
            select sum(near_weight.near * near_weight.weight)
            from unnest(history_near, context.history_weights) as near_weight (near, weight)
        ),
        0
    );
    with recursive present as (
        (
            select card.category_id
            from private.video_cards as card
            where card.is_servable
            order by card.category_id
            limit 1
        )
        union all
        select following.category_id
        from present
        cross join lateral (
            select card.category_id
            from private.video_cards as card
            where
                card.is_servable
                and card.category_id > present.category_id
            order by card.category_id
            limit 1
        ) as following
    ),

    history as (
        select
            done.category_id,
            count(*)::double precision as weight,
            sum(done.weight * done.near) as near
        from unnest(history_categories, context.history_weights, history_near) as done (category_id, weight, near)
        group by done.category_id
    ),

    matched as (
        select
            present.category_id,
            ln((coalesce(history.weight, 0) / hoped.usual + 10 * hoped.lift) / (own_count + 10)) as lift,
            coalesce(history.near, 0) / (events_near + 5) as near,
            5 / (events_near + 5) * (present.category_id = any(mood_categories))::integer as mood,
            coalesce(history.weight, 0) > 0 or present.category_id = any(preferred) as is_personal
        from present
        left join history on present.category_id = history.category_id
        cross join lateral (
            select
                greatest(
                    coalesce((profile.category_shares ->> present.category_id::text)::double precision, 0), 0.01
                ) as usual,
                cardinality(preferred) as chosen,
                coalesce(profile.events, 0) / (coalesce(profile.events, 0) + 10.0) as learned
        ) as usual
        cross join lateral (
            select
                usual.usual,
                usual.learned * exp(coalesce((profile.category_lift ->> present.category_id::text)::double precision, 0))
                + (1 - usual.learned) * (
                    case when usual.chosen > 0 then 0.5 else 1 end
                    + case
                        when present.category_id = any(preferred) then 0.5 / usual.chosen / usual.usual
                        else 0
                    end
                ) as lift
        ) as hoped
        where present.category_id <> all(disliked)
    )

    select
        array_agg(matched.category_id order by matched.category_id),
        array_agg(1 / (1 + exp(-matched.lift)) order by matched.category_id),
        array_agg(least(1, matched.near + 0.5 * matched.mood) order by matched.category_id),
        array_agg(
            case
                when matched.is_personal and matched.lift > 0.2 then 'category'
                when matched.mood > 0 then 'mood'
            end
            order by matched.category_id
        )
    into
        context.category_ids,
        context.category_matches,
        context.category_moods,
        context.category_reasons
    from matched;
    return context;
end
$$;
comment on function private.feed_context_of(uuid, timestamptz, jsonb) is
'Reads what a feed goes by. History is live: what was done a moment ago is in it.';

create function private.feed_evidence(context private.feed_context)
returns table (
    video_no integer,
    relevance double precision,
    mood double precision,
    heat double precision,
    liked_place integer,
    liked_part double precision,
    keyword_place integer,
    keyword_part double precision
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
language plpgsql
rows 3000
as $$
declare
    -- A posting's score is a sum of logarithms that never changes; this makes it what it is worth now.
    aged constant double precision := ln(2::double precision)
    * extract(epoch from context.at - '2020-01-01 00:00+00'::timestamptz)::double precision / (180 * 86400);
    cooled constant double precision := private.heat_time(context.at);
    -- To take a field out of a row for each video is slow.
    liking constant double precision := context.behaviour_share;
    -- Weights of neighbours have no unit: the greatest is what they are measured by.
    loudest constant double precision := greatest(
        (
            select max(neighbour.weights[1])
            from private.video_neighbours as neighbour
            where neighbour.video_no = any(context.history_nos)
        ),
        1e-300
    );
begin
    -- The strongest source rides in the low digits of what is maximised, so that one pass sums and remembers it.
    return query
    with told as materialized (
        select
            neighbour.neighbour_no as told_no,
            sum(history.weight * (neighbour.weight / loudest)) as liked,
            max((history.weight * (neighbour.weight / loudest) * 1e9)::bigint * 1000 + history.place) as liked_by,
            0::double precision as word,
            0::double precision as mood_word,
            0::bigint as word_by,
            0::double precision as heat
        from unnest(context.history_nos, context.history_weights) with ordinality as history (video_no, weight, place)
        inner join private.video_neighbours as listed on history.video_no = listed.video_no
        cross join lateral unnest(listed.neighbour_nos, listed.weights) as neighbour (neighbour_no, weight)
        group by neighbour.neighbour_no
        union all
        select
            posting.video_no,
            0,
            0,
            sum(word.weight * posting.score),
            sum(word.mood_weight * posting.score),
            max((greatest(word.weight, word.mood_weight / 1000) * posting.score * 1e9)::bigint * 1000 + word.place),
            0
        from unnest(context.keyword_nos, context.keyword_weights, context.mood_weights) with ordinality
            as word (keyword_no, weight, mood_weight, place)
        cross join lateral (
            select
                listed.video_no,
                exp(greatest(least(listed.score - aged, 0), -700)) as score
            from private.keyword_postings as listed
            where listed.keyword_no = word.keyword_no
            order by listed.score desc
            limit 100
        ) as posting
        group by posting.video_no
        union all
        select
            hot.video_no,
            0,
            0,
            0,
            0,
            0,
            hot.heat
        from (
            select
                listed.video_no,
                ln(1 + 2 ^ least(greatest(listed.heat - cooled, -60), 60)) as heat
            from private.video_heats as listed
            order by listed.heat desc
            limit 1000
        ) as hot
    ),

    summed as materialized (
        select
            told.told_no,
            sum(told.liked) as liked,
            max(told.liked_by) as liked_by,
            sum(told.word) as word,
            sum(told.mood_word) as mood_word,
            max(told.word_by) as word_by,
            max(told.heat) as heat
        from told
        group by told.told_no
    ),

    scaled as (
        select
            summed.*,
            liking * summed.liked / nullif(max(summed.liked) over (), 0) as liked_part,
            (1 - 0.8 * liking) * least(1, summed.word) as word_part,
            summed.heat / nullif(max(summed.heat) over (), 0) as warmth
        from summed
    )

    select
        scaled.told_no,
        coalesce(scaled.liked_part, 0) + scaled.word_part,
        least(1, scaled.mood_word),
        coalesce(scaled.warmth, 0),
        case when scaled.liked > 0 then (scaled.liked_by % 1000)::integer end,
        coalesce(scaled.liked_part, 0)::double precision,
        case when scaled.word_by > 0 then (scaled.word_by % 1000)::integer end,
        scaled.word_part::double precision
    from scaled;
end
$$;
comment on function private.feed_evidence(private.feed_context) is
'All that speaks for single videos: the 100 best neighbours of each video that was watched lately, the 100 best videos '
'of each keyword, the 1,000 that everybody likes most now. Each is 0 to 1, relevance to 2; what is not here has 0.';

create type private.feed_pool as (
    video_nos integer [],
    raw_scores double precision [],
    scores double precision [],
    category_ids integer [],
    channel_ids text [],
    category_matches double precision [],
    relevances double precision [],
    context_matches double precision [],
    popularities double precision [],
    freshnesses double precision [],
    liked_places integer [],
    liked_parts double precision [],
    keyword_places integer [],
    keyword_parts double precision [],
    moods double precision [],
    new_nos integer [],
    is_exact boolean,
    rounds integer,
    entries_read integer
);
comment on type private.feed_pool is
'The best by raw score, in the order of the normalised one, as parallel arrays; new_nos are others to explore.';

create function private.feed_candidates(
    context private.feed_context,
    pool_size integer
)
returns private.feed_pool
stable
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
language plpgsql
as $$
declare
    most_rounds constant integer := 6;
    -- To take a field out of a row for each video is slow.
    ranked_at constant timestamptz := context.at;
    category_weight constant double precision := context.weights[1];
    keyword_weight constant double precision := context.weights[2];
    context_weight constant double precision := context.weights[3];
    popularity_weight constant double precision := context.weights[4];
    freshness_weight constant double precision := context.weights[5];
    pool private.feed_pool;
    -- So that one round is enough for most; who has no history is read on in the lists.
    told_depth integer := 6 * pool_size;
    depths integer[] := array_fill(16, array[coalesce(cardinality(context.category_ids), 0)]);
    too_shallow boolean[];
    hopeless boolean[];
    unread_worth double precision;
begin
    pool.rounds := 0;
    loop
        pool.rounds := pool.rounds + 1;
        with evidence as materialized (
            select
                told.*,
                keyword_weight * sqrt(told.relevance)
                + context_weight * told.mood
                + popularity_weight * 0.8 * told.heat as worth
            from private.feed_evidence(context) as told
        ),

        categories as materialized (
            select *
            from unnest(context.category_ids, context.category_matches, context.category_moods, depths) with ordinality
                as category (category_id, category_match, mood, depth, place)
        ),

        seen as materialized (
            select listed.video_no
            from unnest(context.seen_nos) as listed (video_no)
        ),

        told as materialized (
            select
                best.video_no,
                best.worth
            from evidence as best
            order by best.worth desc
            limit told_depth
        ),

        popular as materialized (
            select
                category.place,
                listed.*
            from categories as category
            cross join lateral (
                select
                    card.video_no,
                    card.popularity,
                    card.published_at
                from private.video_cards as card
                where
                    card.category_id = category.category_id
                    and card.is_servable
                order by card.popularity desc
                limit category.depth
            ) as listed
        ),

        fresh as materialized (
            select
                category.place,
                listed.*
            from categories as category
            cross join lateral (
                select
                    card.video_no,
                    card.popularity,
                    card.published_at
                from private.video_cards as card
                where
                    card.category_id = category.category_id
                    and card.is_servable
                order by card.published_at desc nulls last
                limit category.depth
            ) as listed
        ),

        -- What a video that no list has shown could have at most, by category; one that was read to its end hides none.
        hidden as materialized (
            select
                category.place,
                category_weight * category.category_match
                + context_weight * category.mood
                + popularity_weight * 0.2 * seen_popular.lowest
                + freshness_weight * exp(
                    -least(greatest(date_part('epoch', ranked_at - seen_fresh.oldest), 0) / 604800, 700)
                ) as at_most
            from categories as category
            cross join lateral (
                select
                    min(popular.popularity) as lowest,
                    count(*) as entries
                from popular
                where popular.place = category.place
            ) as seen_popular
            cross join lateral (
                select
                    min(coalesce(fresh.published_at, '1900-01-01')) as oldest,
                    count(*) as entries
                from fresh
                where fresh.place = category.place
            ) as seen_fresh
            where
                seen_popular.entries = category.depth
                and seen_fresh.entries = category.depth
        ),

        candidates as materialized (
            select
                found.video_no,
                found.place,
                found.popularity,
                found.published_at
            from (
                select
                    popular.video_no,
                    popular.place,
                    popular.popularity,
                    popular.published_at
                from popular
                union all
                select
                    fresh.video_no,
                    fresh.place,
                    fresh.popularity,
                    fresh.published_at
                from fresh
                union all
                select
                    card.video_no,
                    category.place,
                    card.popularity,
                    card.published_at
                from told
                -- One by one: joined freely, every card would be read.
                cross join lateral (
                    select
                        one.video_no,
                        one.category_id,
                        one.popularity,
                        one.published_at
                    from private.video_cards as one
                    where
                        one.video_no = told.video_no
                        and one.is_servable
                    limit 1
                ) as card
                inner join categories as category on card.category_id = category.category_id
            ) as found
            where not exists (
                select
                from seen
                where seen.video_no = found.video_no
            )
        ),

        scored as materialized (
            select
                once.video_no,
                category.category_match,
                coalesce(evidence.relevance, 0) as relevance,
                least(1, category.mood + coalesce(evidence.mood, 0)) as context_match,
                0.2 * once.popularity + 0.8 * coalesce(evidence.heat, 0) as popularity,
                aged.freshness,
                evidence.liked_place,
                evidence.liked_part,
                evidence.keyword_place,
                evidence.keyword_part,
                evidence.mood,
                once.published_at,
                category_weight * category.category_match
                + keyword_weight * sqrt(coalesce(evidence.relevance, 0))
                + context_weight * least(1, category.mood + coalesce(evidence.mood, 0))
                + popularity_weight * (0.2 * once.popularity + 0.8 * coalesce(evidence.heat, 0))
                + freshness_weight * aged.freshness as raw_score
            from (
                select distinct on (candidates.video_no) candidates.*
                from candidates
                order by candidates.video_no
            ) as once
            inner join categories as category on once.place = category.place
            left join evidence on once.video_no = evidence.video_no
            cross join lateral (
                select
                    -- Of 13 years and more nothing is left; a number that small would be an error.
                    exp(
                        -least(
                            greatest(
                                date_part('epoch', ranked_at - coalesce(once.published_at, '1900-01-01')), 0
                            ) / 604800,
                            700
                        )
                    ) as freshness
                offset 0
            ) as aged
        ),

        best as materialized (
            select scored.*
            from scored
            order by
                scored.raw_score desc,
                scored.video_no asc
            limit pool_size
        ),

        spread as (
            select
                best.*,
                coalesce(
                    category_weight * (best.category_match - avg(best.category_match) over everything)
                    / nullif(stddev_pop(best.category_match) over everything, 0),
                    0
                )
                + coalesce(
                    keyword_weight * (best.relevance - avg(best.relevance) over everything)
                    / nullif(stddev_pop(best.relevance) over everything, 0),
                    0
                )
                + coalesce(
                    context_weight * (best.context_match - avg(best.context_match) over everything)
                    / nullif(stddev_pop(best.context_match) over everything, 0),
                    0
                )
                + coalesce(
                    popularity_weight * (best.popularity - avg(best.popularity) over everything)
                    / nullif(stddev_pop(best.popularity) over everything, 0),
                    0
                )
                + coalesce(
                    freshness_weight * (best.freshness - avg(best.freshness) over everything)
                    / nullif(stddev_pop(best.freshness) over everything, 0),
                    0
                ) as score
            from best
            window everything as (rows between unbounded preceding and unbounded following)
        ),

        ranked as (
            select
                spread.*,
                card.category_id,
                card.channel_id,
                row_number() over (
                    order by
                        spread.score desc,
                        spread.raw_score desc,
                        spread.video_no asc
                ) as place
            from spread
            inner join private.video_cards as card on spread.video_no = card.video_no
        ),

        packed as (
            select
                array_agg(ranked.video_no order by ranked.place) as video_nos,
                array_agg(ranked.raw_score order by ranked.place) as raw_scores,
                array_agg(ranked.score order by ranked.place) as scores,
                array_agg(ranked.category_id::integer order by ranked.place) as category_ids,
                array_agg(ranked.channel_id::text order by ranked.place) as channel_ids,
                array_agg(ranked.category_match order by ranked.place) as category_matches,
                array_agg(ranked.relevance order by ranked.place) as relevances,
                array_agg(ranked.context_match order by ranked.place) as context_matches,
                array_agg(ranked.popularity::double precision order by ranked.place) as popularities,
                array_agg(ranked.freshness order by ranked.place) as freshnesses,
                array_agg(ranked.liked_place order by ranked.place) as liked_places,
                array_agg(ranked.liked_part order by ranked.place) as liked_parts,
                array_agg(ranked.keyword_place order by ranked.place) as keyword_places,
                array_agg(ranked.keyword_part order by ranked.place) as keyword_parts,
                array_agg(ranked.mood order by ranked.place) as moods,
                -- With fewer than were asked for nothing may stay unread.
                case
                    when count(*) = pool_size then min(ranked.raw_score) - 1e-12
                    else '-infinity'::double precision
                end as least_score
            from ranked
        ),

        -- Evidence is known whole: what was not looked up has at most the worth of the last that was.
        unread as (
            select
                coalesce(
                    (
                        select min(told.worth)
                        from told
                        having count(*) = told_depth
                    ),
                    0
                ) as worth
        )

        select
            packed.video_nos,
            packed.raw_scores,
            packed.scores,
            packed.category_ids,
            packed.channel_ids,
            packed.category_matches,
            packed.relevances,
            packed.context_matches,
            packed.popularities,
            packed.freshnesses,
            packed.liked_places,
            packed.liked_parts,
            packed.keyword_places,
            packed.keyword_parts,
            packed.moods,
            array(
                select scored.video_no
                from scored
                where scored.video_no <> all(coalesce(packed.video_nos[:20], '{}'))
                order by
                    scored.published_at desc nulls last,
                    scored.video_no desc
                limit 60
            ),
            array(
                select coalesce(hidden.at_most + unread.worth > packed.least_score, false)
                from categories as category
                left join hidden on category.place = hidden.place
                order by category.place
            ),
            unread.worth,
            array(
                select coalesce(hidden.at_most > packed.least_score, false)
                from categories as category
                left join hidden on category.place = hidden.place
                order by category.place
            ),
            (select count(*) from popular) + (select count(*) from fresh) + (select count(*) from told)
        into
            pool.video_nos,
            pool.raw_scores,
            pool.scores,
            pool.category_ids,
            pool.channel_ids,
            pool.category_matches,
            pool.relevances,
            pool.context_matches,
            pool.popularities,
            pool.freshnesses,
            pool.liked_places,
            pool.liked_parts,
            pool.keyword_places,
            pool.keyword_parts,
            pool.moods,
            pool.new_nos,
            too_shallow,
            unread_worth,
            hopeless,
            pool.entries_read
        from packed
        cross join unread;
        pool.is_exact := not coalesce(true = any(too_shallow), false);
        exit when pool.is_exact or pool.rounds = most_rounds;
        -- What is known whole is cheaper to read on; a category is, where it alone could hide one of the best.
        if unread_worth > 0 then
            told_depth := told_depth * 3;
        else
            hopeless := too_shallow;
        end if;
        depths := array(
            select case when listed.is_hopeless then listed.depth * 4 else listed.depth end
            from unnest(depths, hopeless) with ordinality as listed (depth, is_hopeless, place)
            order by listed.place
        );
    end loop;
    return pool;
end
$$;
comment on function private.feed_candidates(private.feed_context, integer) is
'The best by raw score, proven so by the threshold test of Fagin: it reads each list to a depth, bounds what none has '
'shown, and reads deeper where the bound exceeds the worst of the best. is_exact is false only when six rounds, each '
'four times as deep, did not settle it.';

create function private.hashed_uniform(
    key text,
    draw integer
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        ((hashtextextended(hashed_uniform.key, hashed_uniform.draw) & 4503599627370495)::double precision + 0.5)
        / 4503599627370496
$$;
comment on function private.hashed_uniform(text, integer) is
'A number between 0 and 1 that looks random and is the same for the same key: what makes a repeated page stable.';

create function private.beta_tail(
    a double precision,
    b double precision,
    x double precision
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    front double precision;
begin
    if x <= 0 then
        return 1;
    elsif x >= 1 then
        return 0;
    end if;
    front := exp(
        greatest(
            private.ln_gamma(a + b) - private.ln_gamma(a) - private.ln_gamma(b) + a * ln(x) + b * ln(1 - x), -700
        )
    );
    if x < (a + 1) / (a + b + 2) then
        return 1 - front * private.beta_fraction(a, b, x) / a;
    end if;
    return front * private.beta_fraction(b, a, 1 - x) / b;
end
$$;
comment on function private.beta_tail(double precision, double precision, double precision) is
'The chance that a draw from Beta(a, b) is above x.';

create function private.rank_feed(
    person uuid,
    at timestamptz default now(),
    most integer default 100,
    options jsonb default '{}'
)
returns table (
    video_no integer,
    video_id text,
    score double precision,
    factors jsonb,
    why text[],
    is_exploration boolean,
    propensity double precision
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
language plpgsql
rows 100
as $$
declare
    -- So many of the best are put into an order in which neighbours differ; the others follow by their score.
    varied constant integer := 50;
    -- Of so many places one is for exploration: 8.3 %.
    block constant integer := 12;
    context private.feed_context;
    pool private.feed_pool;
    asked integer := least(greatest(coalesce(rank_feed.most, 100), 1), 500);
    seed text := concat_ws(':', rank_feed.person, floor(extract(epoch from rank_feed.at) / 3600));
    variety double precision;
    likenesses double precision[];
    most_alike double precision[];
    -- Scores less what likeness to those that were picked takes; of a picked one, and of one that explores, nothing.
    worths double precision[];
    explored integer[];
    propensities double precision[];
    explored_next integer := 1;
    explored_at integer := 0;
    places integer[] := '{}'::integer[];
    picked_nos integer[] := '{}'::integer[];
    picked_diversities double precision[] := '{}'::double precision[];
    picked_propensities double precision[] := '{}'::double precision[];
    size integer;
    compared integer;
    likeness double precision;
    lowest double precision;
    width double precision;
    first_free integer := 1;
    candidate integer;
    chosen integer;
    -- Counted from 0; -1 for none.
    last_chosen integer := -1;
    best_worth double precision;
begin
    context := private.feed_context_of(rank_feed.person, rank_feed.at, coalesce(rank_feed.options, '{}'));
    pool := private.feed_candidates(context, greatest(200, asked));
    size := coalesce(cardinality(pool.video_nos), 0);

    if coalesce((rank_feed.options ->> 'exploration')::boolean, true) then
        with drawn as (
            select
                fresh.video_no,
                belief.a,
                belief.b,
                gammas.first / (gammas.first + gammas.second) as draw
            from unnest(pool.new_nos) as fresh (video_no)
            left join private.feed_exposures as exposure on fresh.video_no = exposure.video_no
            cross join lateral (
                select
                    coalesce(exposure.clicks, 0) + 1.0::double precision as a,
                    greatest(coalesce(exposure.shows, 0) - coalesce(exposure.clicks, 0), 0)
                    + 9.0::double precision as b,
                    -- Numbers between 0 and 1 that look random and are the same in the same hour.
                    (hashtextextended(seed || ':' || fresh.video_no, 1) & 4503599627370495)::double precision + 0.5 as one,
                    (hashtextextended(seed || ':' || fresh.video_no, 2) & 4503599627370495)::double precision + 0.5 as two
            ) as belief
            -- Two gammas (Wilson and Hilferty) of two normals (Box and Muller).
            cross join lateral (
                select
                    sqrt(-2 * ln(belief.one / 4503599627370496)) as radius,
                    2 * pi() * belief.two / 4503599627370496 as angle
            ) as polar
            cross join lateral (
                select
                    belief.a
                    * greatest(1 - 1 / (9 * belief.a) + polar.radius * cos(polar.angle) / (3 * sqrt(belief.a)), 1e-3) ^ 3
                    as first,
                    belief.b
                    * greatest(1 - 1 / (9 * belief.b) + polar.radius * sin(polar.angle) / (3 * sqrt(belief.b)), 1e-3) ^ 3
                    as second
            ) as gammas
        ),

        placed as materialized (
            select
                drawn.*,
                row_number() over (
                    order by
                        drawn.draw desc,
                        drawn.video_no asc
                ) as place
            from drawn
        )

        select
            array_agg(winner.video_no order by winner.place),
            -- Given what the others drew, it is shown when its own draw is above the best that is not.
            array_agg(
                private.beta_tail(
                    winner.a,
                    winner.b,
                    coalesce((select max(loser.draw) from placed as loser where loser.place > asked / block + 1), 0)
                )
                order by winner.place
            )
        into
            explored,
            propensities
        from placed as winner
        where winner.place <= asked / block + 1;
    end if;
    explored := coalesce(explored, '{}');

    variety := coalesce((rank_feed.options ->> 'variety')::double precision, 2 * context.weights[6]);
    if variety > 0 then
        with item as materialized (
            select *
            from unnest(pool.video_nos[:varied], pool.category_ids[:varied], pool.channel_ids[:varied]) with ordinality
                as listed (video_no, category_id, channel_id, place)
        ),

        word as materialized (
            select
                item.place,
                posting.keyword_no,
                count(*) over (partition by item.place) as words
            from item
            inner join private.keyword_postings as posting on item.video_no = posting.video_no
        ),

        common as materialized (
            select
                one.place as one,
                other.place as other,
                count(*)::double precision / (min(one.words) + min(other.words) - count(*)) as share
            from word as one
            inner join word as other on one.keyword_no = other.keyword_no
            group by
                one.place,
                other.place
        )

        select
            array_agg(
                case
                    when one.channel_id = other.channel_id then 1
                    else 0.5 * (one.category_id = other.category_id)::integer + 0.5 * coalesce(common.share, 0)
                end
                order by
                    one.place,
                    other.place
            )
        into likenesses
        from item as one
        cross join item as other
        left join common on one.place = common.one and other.place = common.other;
    end if;
    lowest := pool.scores[size];
    width := greatest(pool.scores[1] - lowest, 1e-9);
    compared := case when variety > 0 then least(size, varied) else 0 end;
    most_alike := array_fill(0::double precision, array[compared]);
    worths := pool.scores;
    -- The places of those are among those that explore.
    for one in 1..cardinality(explored) loop
        candidate := array_position(pool.video_nos, explored[one]);
        if candidate is not null then
            worths[candidate] := null;
        end if;
    end loop;
    for place in 1..asked loop
        if mod(place - 1, block) = 0 then
            explored_at := place + floor(block * private.hashed_uniform(seed, place))::integer;
        end if;
        if explored_next > cardinality(explored) then
            explored_at := 0;
        end if;
        if place <> explored_at then
            -- What the last pick took is taken off, and the best of the rest found, in one pass.
            chosen := null;
            best_worth := '-infinity';
            while first_free <= size and worths[first_free] is null loop
                first_free := first_free + 1;
            end loop;
            for other in first_free..compared loop
                if worths[other] is not null then
                    if last_chosen >= 0 then
                        likeness := likenesses[last_chosen * compared + other];
                        if likeness > most_alike[other] then
                            worths[other] := worths[other] - variety * (likeness - most_alike[other]);
                            most_alike[other] := likeness;
                        end if;
                    end if;
                    if worths[other] > best_worth then
                        chosen := other;
                        best_worth := worths[other];
                    end if;
                end if;
            end loop;
            -- Beyond them nothing is compared any more, and none of them can come after it.
            if chosen is null and first_free <= size then
                chosen := first_free;
            end if;
            last_chosen := -1;
        end if;
        if place = explored_at or chosen is null then
            -- So few are there, perhaps, that only those are left that explore.
            exit when explored_next > cardinality(explored);
            places := places || coalesce(array_position(pool.video_nos, explored[explored_next]), 0);
            picked_nos := picked_nos || explored[explored_next];
            picked_diversities := picked_diversities || 1.0::double precision;
            picked_propensities := picked_propensities || propensities[explored_next];
            explored_next := explored_next + 1;
            continue;
        end if;
        worths[chosen] := null;
        places := places || chosen;
        picked_nos := picked_nos || pool.video_nos[chosen];
        picked_diversities := picked_diversities
        || (1 - case when chosen <= compared then most_alike[chosen] else 0 end)::double precision;
        picked_propensities := picked_propensities || 1.0::double precision;
        if chosen <= compared then
            last_chosen := chosen - 1;
        end if;
    end loop;

    return query
    select
        picked.picked_no,
        card.video_id::text,
        case when picked.place > 0 then (pool.scores[picked.place] - lowest) / width end,
        case
            when picked.place > 0
                then jsonb_build_object(
                    'category_match', pool.category_matches[picked.place],
                    'keyword_relevance', pool.relevances[picked.place],
                    'temporal_context', pool.context_matches[picked.place],
                    'popularity_score', pool.popularities[picked.place],
                    'freshness_factor', pool.freshnesses[picked.place],
                    'diversity_bonus', picked.diversity
                )
            else '{}'
        end,
        case when picked.is_explored then array['exploration'] else '{}'::text[] end || coalesce(reasons.why, '{}'),
        picked.is_explored,
        picked.propensity
    from (
        select
            listed.*,
            listed.picked_no = any(explored) as is_explored
        from unnest(places, picked_nos, picked_diversities, picked_propensities) with ordinality
            as listed (place, picked_no, diversity, propensity, shown_at)
    ) as picked
    inner join private.video_cards as card on picked.picked_no = card.video_no
    cross join lateral (
        select array_agg(strong.reason order by strong.part desc) as why
        from (
            select
                part.reason,
                part.part,
                max(part.part) over () as most_part,
                row_number() over (order by part.part desc) as rank
            from (
                values
                (
                    'liked_similar:' || context.history_ids[pool.liked_places[picked.place]],
                    context.weights[2] * pool.liked_parts[picked.place]
                ),
                (
                    context.keyword_reasons[pool.keyword_places[picked.place]]
                    || ':' || context.keywords[pool.keyword_places[picked.place]],
                    case
                        when pool.keyword_parts[picked.place] > 0
                            then context.weights[2] * pool.keyword_parts[picked.place]
                        else context.weights[3] * pool.moods[picked.place]
                    end
                ),
                (
                    context.category_reasons[array_position(context.category_ids, card.category_id::integer)]
                    || ':' || card.category_id,
                    case context.category_reasons[array_position(context.category_ids, card.category_id::integer)]
                        when 'category' then context.weights[1] * (2 * pool.category_matches[picked.place] - 1)
                        else context.weights[3] * pool.context_matches[picked.place]
                    end
                ),
                ('popular', context.weights[4] * pool.popularities[picked.place]),
                ('fresh', context.weights[5] * pool.freshnesses[picked.place])
            ) as part (reason, part)
            where
                part.reason is not null
                and part.part > 0
        ) as strong
        where
            strong.rank <= 3
            and strong.part >= 0.25 * strong.most_part
    ) as reasons
    order by picked.shown_at;
end
$$;
comment on function private.rank_feed(uuid, timestamptz, integer, jsonb) is
'A person''s feed at a moment, in its order. options, all left out in the service: weights (the base instead of the '
'default version''s), weights_version, exploration (false: none), exclude_seen (false: nothing), variety (0: no '
'diversity). score is 0 to 1 inside the candidates, null for a video that is only explored.';
