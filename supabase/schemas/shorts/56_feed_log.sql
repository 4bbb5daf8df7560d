-- Promises that what a feed showed is on record with its chance of being shown, that its pages stay as they were, and
-- that who asks sees nobody else's.

create table private.feed_rankings (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references public.users (id) on delete cascade,
    ranked_at timestamptz not null default now(),
    moved_at timestamptz not null,
    region text not null,
    weights_version text not null references private.feed_weights (version),
    video_nos integer[] not null,
    scores real[] not null,
    whys jsonb not null,
    explored boolean[] not null,
    propensities real[] not null,
    constraint a_ranking_is_parallel check (
        cardinality(scores) = cardinality(video_nos)
        and cardinality(explored) = cardinality(video_nos)
        and cardinality(propensities) = cardinality(video_nos)
        and jsonb_array_length(whys) = cardinality(video_nos)
    )
);
alter table private.feed_rankings enable row level security;
create index feed_rankings_of_a_person on private.feed_rankings (user_id, ranked_at desc);
create index feed_rankings_by_age on private.feed_rankings (ranked_at);
create index feed_rankings_by_version on private.feed_rankings (weights_version);
comment on table private.feed_rankings is
'Feeds as they were ranked, so that their pages stay as they were. Kept for a day; goes with the person.';
comment on column private.feed_rankings.moved_at is
'When the person last did, said or changed anything: a newer moment means a new ranking.';
comment on column private.feed_rankings.whys is 'The reasons of each video, as private.rank_feed names them.';
comment on column private.feed_rankings.explored is 'Whether each was shown to learn of it.';
comment on column private.feed_rankings.propensities is 'The chance that each had of being shown.';

create table private.feed_impressions (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null references public.users (id) on delete cascade,
    shown_at timestamptz not null default clock_timestamp(),
    request_id uuid not null,
    weights_version text not null,
    video_nos integer[] not null,
    video_ids text[] not null,
    positions integer[] not null,
    explored boolean[] not null,
    propensities real[] not null,
    is_counted boolean not null default false,
    primary key (id, shown_at)
) partition by range (shown_at);
alter table private.feed_impressions enable row level security;
create index feed_impressions_of_a_person on private.feed_impressions (user_id, shown_at desc);
create index feed_impressions_to_count on private.feed_impressions (shown_at)
where not is_counted;
comment on table private.feed_impressions is
'One row a page that was shown: its videos, positions and chances, as parallel arrays. A month each, 3 months; goes '
'with the person.';
comment on column private.feed_impressions.request_id is 'The ranking that the page was cut from.';
comment on column private.feed_impressions.positions is 'The place of each in the whole feed, from 1.';
comment on column private.feed_impressions.propensities is 'The chance that each had of being shown there.';
comment on column private.feed_impressions.is_counted is 'Whether private.feed_exposures has it.';

create table private.feed_impressions_default partition of private.feed_impressions default;
alter table private.feed_impressions_default enable row level security;
comment on table private.feed_impressions_default is 'Pages that no other partition takes.';
insert into ops.partition_policies (parent_schema, parent_table, control_column, retention)
values ('private', 'feed_impressions', 'shown_at', '3 months');
select ops.create_monthly_partitions();

create table private.feed_exposures (
    video_no integer primary key references private.video_cards (video_no) on delete cascade,
    shows bigint not null,
    clicks bigint not null,
    constraint clicks_come_from_shows check (clicks between 0 and shows)
);
alter table private.feed_exposures enable row level security;
comment on table private.feed_exposures is
'How often feeds showed a video, and how often it was then liked or watched by half: what exploration learns from.';

create function private.serve_feed(
    at_most integer,
    cursor text
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
language plpgsql
as $$
declare
    -- Five pages of 20; who wants more asks anew, and has seen these then.
    longest constant integer := 100;
    person uuid := private.require_person();
    ranking private.feed_rankings;
    given text[];
    from_place integer := 0;
    last_moved_at timestamptz;
    region_now text;
    page record;
begin
    if coalesce(serve_feed.at_most, 20) not between 1 and 50 then
        raise exception using
            errcode = 'PT400',
            message = 'The limit is not between 1 and 50.',
            detail = format('limit is %s.', serve_feed.at_most),
            hint = 'Send a whole number from 1 to 50, and next_cursor for more.';
    end if;

    if serve_feed.cursor is null then
        select
            case when account.settings ->> 'region' ~ '^[A-Z]{2}$' then account.settings ->> 'region' else 'KR' end,
            greatest(account.updated_at, profile.updated_at, done.created_at, said.created_at)
        into
            region_now,
            last_moved_at
        from public.users as account
        left join public.user_profiles as profile on profile.user_id = account.id
        left join lateral (
            select recent.created_at
            from public.video_interactions as recent
            where recent.user_id = account.id
            order by recent.created_at desc
            limit 1
        ) as done on true
        left join lateral (
            select max(feedback.created_at) as created_at
            from public.user_feedback as feedback
            where feedback.user_id = account.id
        ) as said on true
        where account.id = person;

        -- In the same hour, with nothing done since, the ranking would be the same.
        select kept.*
        into ranking
        from private.feed_rankings as kept
        inner join private.feed_weights as weights on kept.weights_version = weights.version
        where
            kept.user_id = person
            and kept.ranked_at >= date_trunc('hour', now())
            and kept.moved_at = last_moved_at
            and kept.region = region_now
            and weights.is_default
            -- What was tuned within the hour counts at once.
            and kept.ranked_at >= weights.created_at
        order by kept.ranked_at desc
        limit 1;
        if ranking.id is null then
            insert into private.feed_rankings as made (
                user_id, ranked_at, moved_at, region, weights_version, video_nos, scores, whys, explored, propensities
            )
            select
                person,
                clock_timestamp(),
                last_moved_at,
                region_now,
                weights.version,
                coalesce(array_agg(ranked.video_no order by ranked.place) filter (where ranked.place > 0), '{}'),
                coalesce(
                    array_agg(coalesce(ranked.score, 0)::real order by ranked.place) filter (where ranked.place > 0),
                    '{}'
                ),
                coalesce(jsonb_agg(to_jsonb(ranked.why) order by ranked.place) filter (where ranked.place > 0), '[]'),
                coalesce(array_agg(ranked.is_exploration order by ranked.place) filter (where ranked.place > 0), '{}'),
                coalesce(array_agg(ranked.propensity::real order by ranked.place) filter (where ranked.place > 0), '{}')
            from private.feed_weights as weights
            left join
                private.rank_feed(person, now(), longest) with ordinality
                    as ranked (video_no, video_id, score, factors, why, is_exploration, propensity, place)
                on true
            where weights.is_default
            group by weights.version
            returning made.* into ranking;
        end if;
    else
        given := regexp_match(
            serve_feed.cursor,
            '^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.([0-9]{1,3})$'
        );
        -- Somebody else's is as unknown as one that never was.
        select kept.*
        into ranking
        from private.feed_rankings as kept
        where
            kept.id = given[1]::uuid
            and kept.user_id = person
            and given[2]::integer between 1 and longest;
        if ranking.id is null then
            raise exception using
                errcode = 'PT400',
                message = 'The cursor is no cursor of this feed.',
                detail = 'A cursor holds for a day, and for the person it was given to.',
                hint = 'Send next_cursor of the page before unchanged, or none for the first page.';
        end if;
        from_place := given[2]::integer;
    end if;

    select
        coalesce(jsonb_agg(item.card order by item.place), '[]') as cards,
        array_agg(item.video_no order by item.place) as video_nos,
        array_agg(item.video_id order by item.place) as video_ids,
        array_agg(item.place order by item.place) as positions,
        array_agg(item.is_explored order by item.place) as explored,
        array_agg(item.propensity order by item.place) as propensities,
        max(item.place) as last_place,
        count(*) as shown
    into page
    from (
        select
            listed.place::integer as place,
            listed.video_no,
            video.video_id::text as video_id,
            listed.is_explored,
            listed.propensity,
            jsonb_build_object(
                'video_id', video.video_id,
                'title', video.title,
                'channel_id', video.channel_id,
                'channel_name', video.channel_name,
                'thumbnail_url', video.thumbnail_url,
                'duration', video.duration,
                'view_count', video.view_count,
                'published_at', video.published_at,
                'category_id', video.category_id,
                'quality_score', video.quality_score,
                'score', listed.score,
                'why', private.feed_reasons(ranking.whys -> (listed.place - 1)::integer),
                'is_exploration', listed.is_explored,
                'propensity', listed.propensity
            ) as card
        from unnest(ranking.video_nos, ranking.scores, ranking.explored, ranking.propensities) with ordinality
            as listed (video_no, score, is_explored, propensity, place)
        inner join private.video_cards as card on listed.video_no = card.video_no
        -- What happened since the last fold, and where the person is, decides here.
        inner join public.cached_videos as video on card.video_id = video.video_id
        where
            listed.place > from_place
            and video.is_playable
            and video.is_shorts
            and video.expires_at > now()
            and private.plays_in(video.region_restrictions, ranking.region)
        order by listed.place
        limit coalesce(serve_feed.at_most, 20)
    ) as item;

    if page.shown > 0 then
        insert into private.feed_impressions (
            user_id, request_id, weights_version, video_nos, video_ids, positions, explored, propensities
        )
        values (
            person,
            ranking.id,
            ranking.weights_version,
            page.video_nos,
            page.video_ids,
            page.positions,
            page.explored,
            page.propensities
        );
    end if;
    return jsonb_build_object(
        'videos', page.cards,
        'weights_version', ranking.weights_version,
        'next_cursor', case
            when page.shown = coalesce(serve_feed.at_most, 20) and page.last_place < cardinality(ranking.video_nos)
                then ranking.id || '.' || page.last_place
        end
    );
end
$$;
comment on function private.serve_feed(integer, text) is
'A page of the feed of who asks, by the token alone, and the record that it was shown.';

create function public.personalized_feed(
    "limit" integer default 20,
    cursor text default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.serve_feed("limit", cursor)
$$;
comment on function public.personalized_feed(integer, text) is
'A page of one''s own feed: {"videos": [{..., "score", "why": [{"reason", "detail"}], "is_exploration", '
'"propensity"}], "weights_version", "next_cursor"}. 1 to 50 videos a page; next_cursor is null at its end. '
'For who is signed in.';

create function private.feed_reasons(why jsonb)
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        coalesce(
            jsonb_agg(
                case split.reason
                    when 'liked_similar'
                        then jsonb_build_object('reason', split.reason, 'detail', video.title, 'video_id', split.detail)
                    when 'category'
                        then jsonb_build_object(
                            'reason', split.reason, 'detail', category.english, 'category_id', split.detail::integer
                        )
                    when 'mood'
                        then jsonb_build_object('reason', split.reason, 'detail', coalesce(category.english, split.detail))
                    else jsonb_build_object('reason', split.reason, 'detail', split.detail)
                end
                order by split.place
            ),
            '[]'
        )
    from (
        select
            split_part(listed.reason, ':', 1) as reason,
            nullif(substr(listed.reason, strpos(listed.reason || ':', ':') + 1), '') as detail,
            listed.place
        from jsonb_array_elements_text(feed_reasons.why) with ordinality as listed (reason, place)
    ) as split
    left join public.cached_videos as video
        on split.reason = 'liked_similar' and split.detail = video.video_id
    left join private.video_category_names() as category
        on split.reason in ('category', 'mood') and split.detail = category.category_id::text
$$;
comment on function private.feed_reasons(jsonb) is
'What private.rank_feed names, as a frontend shows it: {"reason", "detail"} and the id of what the detail names.';

create function private.count_feed_impressions(
    at timestamptz default now(),
    batch_size integer default 2000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with due as materialized (
        select
            impression.id,
            impression.shown_at
        from private.feed_impressions as impression
        where
            not impression.is_counted
            -- An hour for it to be watched.
            and impression.shown_at < count_feed_impressions.at - interval '1 hour'
        order by impression.shown_at
        limit count_feed_impressions.batch_size
        for update skip locked
    ),

    pages as (
        update private.feed_impressions as stored
        set is_counted = true
        from due
        where
            stored.id = due.id
            and stored.shown_at = due.shown_at
        returning stored.user_id, stored.shown_at, stored.video_nos, stored.video_ids
    ),

    counted as materialized (
        select
            card.video_no,
            count(*) as shows,
            count(*) filter (where watched.is_positive) as clicks
        from pages
        cross join lateral unnest(pages.video_ids) as shown (video_id)
        inner join private.video_cards as card on shown.video_id = card.video_id
        left join lateral (
            select true as is_positive
            from public.video_interactions as done
            where
                done.user_id = pages.user_id
                and done.created_at >= pages.shown_at
                and done.created_at < pages.shown_at + interval '1 hour'
                and done.video_id = shown.video_id
                and (
                    done.interaction_type in ('like', 'save', 'share')
                    or (done.interaction_type = 'view' and (done.watch_percentage >= 0.5 or done.watched_to_end))
                )
            limit 1
        ) as watched on true
        group by card.video_no
    ),

    kept as (
        insert into private.feed_exposures as stored (video_no, shows, clicks)
        select
            counted.video_no,
            counted.shows,
            counted.clicks
        from counted
        order by counted.video_no
        on conflict (video_no) do update
            set
                shows = stored.shows + excluded.shows,
                clicks = stored.clicks + excluded.clicks
    )

    select
        jsonb_build_object(
            'pages', (select count(*) from due),
            'videos', (select count(*) from counted)
        )
$$;
comment on function private.count_feed_impressions(timestamptz, integer) is
'Counts pages that were shown an hour ago into private.feed_exposures, each once, the oldest first.';

create function private.forget_feed_rankings(
    at timestamptz default now(),
    batch_size integer default 20000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    with forgotten as (
        delete from private.feed_rankings as stored
        where stored.id in (
            select old.id
            from private.feed_rankings as old
            where old.ranked_at < forget_feed_rankings.at - interval '1 day'
            order by old.ranked_at
            limit forget_feed_rankings.batch_size
            for update skip locked
        )
        returning stored.id
    )

    select jsonb_build_object('forgotten', (select count(*) from forgotten))
$$;
comment on function private.forget_feed_rankings(timestamptz, integer) is 'Forgets rankings of more than a day ago.';
