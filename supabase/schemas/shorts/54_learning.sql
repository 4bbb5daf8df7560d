-- Promises that what people watch is learned from every night: which videos go together, and what each person likes.

create table private.learning_settings (
    is_the_one boolean primary key default true,
    window_size integer not null default 30,
    audience_size integer not null default 500,
    half_life interval not null default '3 days',
    landmark timestamptz not null default '2026-01-01 00:00+00',
    least_people integer not null default 1,
    neighbours_kept integer not null default 100,
    begun_in_pairs double precision not null default 0.6,
    begun_in_history double precision not null default 0.7,
    recency double precision not null default 0.98,
    category_prior double precision not null default 10,
    hour_prior double precision not null default 20,
    constraint there_is_one_row check (is_the_one),
    constraint sizes_are_possible check (
        window_size between 1 and 500
        and audience_size between 1 and 10000
        and least_people between 1 and 1000
        and neighbours_kept between 1 and 1000
    ),
    constraint weights_are_possible check (
        begun_in_pairs between 0 and 1
        and begun_in_history between 0 and 1
        and recency between 0.5 and 1
        and category_prior > 0
        and hour_prior > 0
    ),
    -- A sum doubles with each half-life since the landmark; 480 of them are 1,440 days.
    constraint half_life_is_possible check (half_life between interval '1 day' and interval '365 days')
);
alter table private.learning_settings enable row level security;
comment on table private.learning_settings is 'What learning goes by, one row. Explained in docs/learning.md.';
comment on column private.learning_settings.window_size is 'The newest videos of a person, which go together.';
comment on column private.learning_settings.audience_size is
'People, those who did something last, of whom the neighbours of a video are ranked.';
comment on column private.learning_settings.half_life is 'After which having been watched counts half.';
comment on column private.learning_settings.landmark is
'What was watched then counts 1. Moved by private.relearn, to be called before 480 half-lives have passed.';
comment on column private.learning_settings.least_people is 'People that a pair needs to be shown.';
comment on column private.learning_settings.neighbours_kept is 'Neighbours that a video has at most.';
comment on column private.learning_settings.begun_in_pairs is
'What a video that was merely begun counts in a pair; a liked one counts 1.';
comment on column private.learning_settings.begun_in_history is 'The same in the mean of a person''s videos.';
comment on column private.learning_settings.recency is 'What each older video counts, against the next newer.';
comment on column private.learning_settings.category_prior is
'Views of everybody that a person''s categories start from.';
comment on column private.learning_settings.hour_prior is 'Views of everybody that a person''s hours start from.';
insert into private.learning_settings (is_the_one) values (true);

create table private.watch_windows (
    user_id uuid primary key references public.users (id) on delete cascade,
    videos integer[] not null,
    strengths real[] not null,
    worths double precision[] not null,
    learned_to timestamptz not null,
    constraint a_window_is_parallel check (
        cardinality(strengths) = cardinality(videos)
        and cardinality(worths) = cardinality(videos)
    )
);
alter table private.watch_windows enable row level security;
create index watch_windows_of_a_video on private.watch_windows using gin (videos)
-- A list of what waits to be sorted in would be read again for each video that is ranked.
with (fastupdate = off);
comment on table private.watch_windows is
'What each person watched last, and until when that is known: all that neighbours are ranked from.';
comment on column private.watch_windows.videos is 'The newest videos that the person watched, each once, newest first.';
comment on column private.watch_windows.strengths is 'What each counts: 1 when it was liked, less when it was begun.';
comment on column private.watch_windows.worths is
'The same, worth twice as much each half-life later that it was watched.';
comment on column private.watch_windows.learned_to is 'Interactions stored until then are in it.';

create table private.video_audiences (
    video_no integer primary key,
    people integer not null,
    likes integer not null,
    news double precision not null,
    changes integer not null,
    ranked_at timestamptz not null default '-infinity'
)
with (fillfactor = 70);
alter table private.video_audiences enable row level security;
comment on table private.video_audiences is 'How many people watched a video: sums without anybody''s id.';
comment on column private.video_audiences.people is 'People who did not skip it.';
comment on column private.video_audiences.likes is 'Those who liked it.';
comment on column private.video_audiences.news is
'People, each worth twice as much each half-life later: what is watched now counts more.';
comment on column private.video_audiences.changes is 'Windows with it that have changed since it was ranked.';
comment on column private.video_audiences.ranked_at is 'When its neighbours were ranked.';

create table private.video_neighbours (
    video_no integer primary key,
    neighbour_nos integer[] not null,
    weights double precision[] not null,
    constraint neighbours_have_weights check (cardinality(weights) = cardinality(neighbour_nos))
);
alter table private.video_neighbours enable row level security;
comment on table private.video_neighbours is
'The at most 100 videos that those who watched a video watch now, as parallel arrays, the best first.';
comment on column private.video_neighbours.weights is
'Only to be compared with other weights, of any video: they have no unit and grow with the years.';

create table private.global_tastes (
    is_the_one boolean primary key default true,
    category_shares jsonb not null default '{}',
    hour_counts double precision[] not null default array_fill(0::double precision, array[24]),
    learned_at timestamptz not null default '-infinity',
    constraint there_is_one_row check (is_the_one),
    constraint there_are_24_hours check (cardinality(hour_counts) = 24)
);
alter table private.global_tastes enable row level security;
comment on table private.global_tastes is 'What everybody likes together, one row: where each person starts from.';
comment on column private.global_tastes.category_shares is
'{"24": 0.31, ...}: smoothed shares of what is liked; they sum to 1.';
comment on column private.global_tastes.hour_counts is
'What is watched by the hour in Korea, the first from midnight; newer counts more.';
insert into private.global_tastes (is_the_one) values (true);

create table private.user_tastes (
    user_id uuid primary key references public.users (id) on delete cascade,
    category_lift jsonb not null,
    hours real[] not null,
    events integer not null,
    vector_version text,
    learned_to timestamptz not null,
    learned_at timestamptz not null default now(),
    constraint there_are_24_hours check (cardinality(hours) = 24),
    constraint category_lift_is_an_object check (jsonb_typeof(category_lift) = 'object')
);
alter table private.user_tastes enable row level security;
comment on table private.user_tastes is 'What was learned of each person; goes with the person.';
comment on column private.user_tastes.category_lift is
'{"24": 0.8, ...}: logarithm of the person''s share of a category over everybody''s; 0 is usual, what is absent is 0.';
comment on column private.user_tastes.hours is
'Share of each hour in Korea, the first from midnight: the person''s drawn to everybody''s; sum 1.';
comment on column private.user_tastes.events is 'Videos that it rests on: watched, not skipped.';
comment on column private.user_tastes.vector_version is
'Which video vectors the person''s preference_vector is a mean of.';
comment on column private.user_tastes.learned_to is 'Interactions stored until then were there.';

create function private.is_liked(
    interaction_type text,
    watch_percentage double precision,
    watched_to_end boolean
)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        interaction_type in ('like', 'save', 'share')
        or (interaction_type = 'view' and (watched_to_end or watch_percentage >= 0.5))
$$;
comment on function private.is_liked(text, double precision, boolean) is
'Whether what a person did says that the video was liked: a like, save or share, or at least half of it watched.';

create function private.worth_at(
    at timestamptz,
    landmark timestamptz,
    half_life interval
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        2 ^ greatest(
            least(
                extract(epoch from at - landmark)::double precision / extract(epoch from half_life)::double precision, 480
            ),
            -480
        )
$$;
comment on function private.worth_at(timestamptz, timestamptz, interval) is
'What something of then counts: 1 at the landmark, twice as much each half-life later. So sums never have to be '
'decayed: old ones lose against new ones by themselves. Ends at 480 half-lives: a ratio of two must be a number too.';

create function private.people_to_learn_from(
    job text,
    batch_size integer,
    up_to timestamptz
)
returns setof uuid
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    walk private.learning_walks;
    looked uuid[];
    due uuid[];
    ends boolean;
begin
    -- The row is the lock: one run of a job at a time, and one that is killed leaves it as it was.
    select stored.*
    into walk
    from private.learning_walks as stored
    where stored.job = people_to_learn_from.job
    for update;
    looked := array(
        select person.id
        from public.users as person
        where person.id > coalesce(walk.walked_to, '00000000-0000-0000-0000-000000000000')
        order by person.id
        limit 20 * people_to_learn_from.batch_size
    );
    due := array(
        select person.id
        from public.users as person
        inner join auth.users as account on person.id = account.id
        left join private.watch_windows as pairs on person.id = pairs.user_id
        left join private.user_tastes as taste on person.id = taste.user_id
        where
            person.id = any(looked)
            -- Accounts that cost nothing to make teach nobody but themselves.
            and (people_to_learn_from.job = 'tastes' or not account.is_anonymous)
            and exists (
                select
                from public.video_interactions as interaction
                where
                    interaction.user_id = person.id
                    and interaction.created_at > coalesce(
                        case people_to_learn_from.job when 'tastes' then taste.learned_to else pairs.learned_to end,
                        '-infinity'
                    )
                    and interaction.created_at <= people_to_learn_from.up_to
            )
        order by person.id
        limit people_to_learn_from.batch_size
        -- Who is being erased just now is nobody to learn from.
        for key share of person skip locked
    );
    ends := cardinality(due) < people_to_learn_from.batch_size
        and cardinality(looked) < 20 * people_to_learn_from.batch_size;
    update private.learning_walks as stored
    set
        walked_to = case
            when ends then null
            when cardinality(due) = people_to_learn_from.batch_size then due[cardinality(due)]
            else looked[cardinality(looked)]
        end,
        rounds = stored.rounds + ends::integer
    where stored.job = people_to_learn_from.job;
    return query
    select one.id
    from unnest(due) as one (id);
end
$$;
comment on function private.people_to_learn_from(text, integer, timestamptz) is
'The next people of a job''s round who did something since it was learned from last; moves the round on. The round '
'begins again after the last person.';

create function private.note_watched(
    batch_size integer,
    up_to timestamptz
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
-- What the steps before leave is unknown to the planner, and never few.
set enable_nestloop = off
language plpgsql
as $$
declare
    set_to private.learning_settings;
    counts jsonb;
begin
    -- Before anything is read: who waited here must see what the run before has noted.
    perform
    from private.learning_walks as walk
    where walk.job = 'neighbours'
    for update;
    select stored.*
    into set_to
    from private.learning_settings as stored;

    with due as materialized (
        select
            chosen.user_id,
            known.videos,
            known.strengths,
            known.worths,
            coalesce(known.learned_to, '-infinity') as learned_to
        from private.people_to_learn_from('neighbours', note_watched.batch_size, note_watched.up_to) as chosen (user_id)
        left join private.watch_windows as known on chosen.user_id = known.user_id
    ),

    done as materialized (
        select
            due.user_id,
            recent.created_at,
            recent.watched_at,
            recent.strength,
            (
                select card.video_no
                from private.video_cards as card
                where card.video_id = recent.video_id
            ) as video_no
        from due
        cross join lateral (
            select
                interaction.created_at,
                interaction.interaction_timestamp as watched_at,
                interaction.video_id,
                case
                    when
                        private.is_liked(
                            interaction.interaction_type, interaction.watch_percentage, interaction.watched_to_end
                        )
                        then 1
                    when interaction.interaction_type = 'view' then set_to.begun_in_pairs
                end as strength
            from public.video_interactions as interaction
            where
                interaction.user_id = due.user_id
                and interaction.created_at <= note_watched.up_to
            order by interaction.created_at desc
            -- Enough for a window of somebody who skips, or comes back to the same.
            limit 10 * set_to.window_size
        ) as recent
    ),

    moments as materialized (
        select
            done.user_id,
            -- A video that has no number yet is waited for, for an hour.
            least(
                max(done.created_at),
                min(done.created_at) filter (
                    where done.video_no is null and done.created_at > note_watched.up_to - interval '1 hour'
                ) - interval '1 microsecond'
            ) as learned_to
        from done
        group by done.user_id
    ),

    entries as materialized (
        select
            newest.user_id,
            newest.video_no,
            newest.strength,
            newest.watched_at,
            newest.place,
            newest.strength * private.worth_at(newest.watched_at, set_to.landmark, set_to.half_life) as worth
        from (
            select
                done.user_id,
                done.video_no,
                max(done.strength) as strength,
                max(done.watched_at) as watched_at,
                row_number() over (
                    partition by done.user_id
                    order by max(done.created_at) desc, max(done.watched_at) desc, done.video_no desc
                ) as place
            from done
            where
                done.strength is not null
                and done.video_no is not null
            group by
                done.user_id,
                done.video_no
        ) as newest
        where newest.place <= set_to.window_size
    ),

    gains as materialized (
        select
            entries.user_id,
            entries.video_no,
            entries.watched_at,
            old.video_no is null as is_new,
            entries.strength = 1 and coalesce(old.strength, 0) < 1 as is_newly_liked,
            greatest(entries.worth - coalesce(old.worth, 0), 0) as worth
        from entries
        left join (
            select
                due.user_id,
                was.video_no,
                was.strength,
                was.worth
            from due
            cross join lateral unnest(due.videos, due.strengths, due.worths) as was (video_no, strength, worth)
        ) as old
            on
                entries.user_id = old.user_id
                and entries.video_no = old.video_no
    ),

    moved as materialized (
        select gains.user_id
        from gains
        where gains.worth > 0
        group by gains.user_id
    ),

    audiences as (
        insert into private.video_audiences as audience (video_no, people, likes, news, changes)
        select
            gains.video_no,
            count(*) filter (where gains.is_new),
            count(*) filter (where gains.is_newly_liked),
            sum(gains.worth),
            count(*)
        from gains
        inner join moved on gains.user_id = moved.user_id
        group by gains.video_no
        order by gains.video_no
        on conflict (video_no) do update
            set
                people = audience.people + excluded.people,
                likes = audience.likes + excluded.likes,
                news = audience.news + excluded.news,
                changes = audience.changes + excluded.changes
    ),

    by_hour as (
        select array_agg(coalesce(hour_of.weight, 0) order by clock.hour) as hours
        from generate_series(0, 23) as clock (hour)
        left join (
            select
                extract(hour from gains.watched_at at time zone 'Asia/Seoul') as hour,
                sum(gains.worth) as weight
            from gains
            group by extract(hour from gains.watched_at at time zone 'Asia/Seoul')
        ) as hour_of on clock.hour = hour_of.hour
    ),

    hours as (
        update private.global_tastes as everybody
        set
            hour_counts = array(
                select both_of.old + both_of.fresh
                from unnest(everybody.hour_counts, by_hour.hours) with ordinality as both_of (old, fresh, place)
                order by both_of.place
            )
        from by_hour
        where exists (select from moved)
    ),

    remembered as (
        insert into private.watch_windows as known (user_id, videos, strengths, worths, learned_to)
        select
            moments.user_id,
            coalesce(array_agg(entries.video_no order by entries.place) filter (where entries.place > 0), '{}'),
            coalesce(array_agg(entries.strength::real order by entries.place) filter (where entries.place > 0), '{}'),
            coalesce(array_agg(entries.worth order by entries.place) filter (where entries.place > 0), '{}'),
            moments.learned_to
        from moments
        left join entries on moments.user_id = entries.user_id
        group by
            moments.user_id,
            moments.learned_to
        order by moments.user_id
        on conflict (user_id) do update
            set
                videos = excluded.videos,
                strengths = excluded.strengths,
                worths = excluded.worths,
                learned_to = greatest(known.learned_to, excluded.learned_to)
    )

    select
        jsonb_build_object(
            -- Who waits for a card is looked at again and again, and must not keep the others waiting.
            'people', (
                select count(*)
                from due
                inner join moments on due.user_id = moments.user_id
                where moments.learned_to > due.learned_to
            ),
            'watched', (select count(*) from gains where gains.worth > 0)
        )
    into counts;
    return counts;
end
$$;
comment on function private.note_watched(integer, timestamptz) is
'Brings the windows of the next people who did something up to date, and what is summed of them. Sums and positions '
'move together: what is killed has noted nothing, what is repeated notes nothing more.';

create function private.rank_neighbours(
    batch_size integer,
    at timestamptz
)
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
set work_mem = '128MB'
-- What the steps before leave is unknown to the planner, and never few.
set enable_nestloop = off
language plpgsql
as $$
declare
    set_to private.learning_settings;
    walk private.learning_walks;
    worth double precision;
    due integer[];
    is_last boolean;
begin
    select stored.*
    into walk
    from private.learning_walks as stored
    where stored.job = 'ranks'
    for update;
    select stored.*
    into set_to
    from private.learning_settings as stored;
    worth := private.worth_at(at, set_to.landmark, set_to.half_life);
    select
        coalesce(array_agg(next.video_no order by next.video_no) filter (where coalesce(next.people_before, 0) < 10 * batch_size), '{}'),
        count(*) < batch_size and coalesce(bool_and(coalesce(next.people_before, 0) < 10 * batch_size), true)
    into
        due,
        is_last
    from (
        select
            audience.video_no,
            -- What a video takes is by its people; so many fit into memory.
            sum(least(audience.people, set_to.audience_size)) over (
                order by audience.video_no rows between unbounded preceding and 1 preceding
            ) as people_before
        from private.video_audiences as audience
        where
            audience.video_no > walk.walked_to_no
            -- What is known of many changes little by few.
            and (
                audience.changes >= least(greatest(audience.people / 5, 1), 50)
                or audience.ranked_at <= rank_neighbours.at - interval '7 days'
            )
        order by audience.video_no
        limit batch_size
    ) as next;

    with pairs as materialized (
        select
            one.video_no,
            other.video_no as other_no,
            sum(met.share * other.worth) as pull,
            sum(met.share) as shares,
            count(*) as people
        from unnest(due) as one (video_no)
        cross join lateral (
            -- Who watches everything says little about any two videos.
            select
                recent.strengths[array_position(recent.videos, one.video_no)] / cardinality(recent.videos) as share,
                recent.videos,
                recent.worths
            from private.watch_windows as recent
            where recent.videos @> array[one.video_no]
            order by recent.learned_to desc
            limit set_to.audience_size
        ) as met
        cross join lateral unnest(met.videos, met.worths) as other (video_no, worth)
        group by
            one.video_no,
            other.video_no
    ),

    best as materialized (
        select
            placed.video_no,
            array_agg(placed.other_no order by placed.place) as neighbour_nos,
            array_agg(placed.weight order by placed.place) as weights
        from (
            select
                pairs.video_no,
                pairs.other_no,
                weighed.weight,
                row_number() over (
                    partition by pairs.video_no
                    order by weighed.weight desc, pairs.other_no asc
                ) as place
            from pairs
            -- A video beside itself is the sum of who watched it.
            inner join pairs as own
                on
                    pairs.video_no = own.video_no
                    and own.other_no = pairs.video_no
            inner join private.video_audiences as other on pairs.other_no = other.video_no
            cross join lateral (
                select
                    -- The last factor is common to all: with it a weight stays as it is while nothing new happens.
                    pairs.pull / worth / sqrt((own.shares + 0.5) * (other.news / worth + 0.25)) * sqrt(worth) as weight
            ) as weighed
            where
                pairs.other_no <> pairs.video_no
                and pairs.people >= set_to.least_people
                and weighed.weight > 0
        ) as placed
        where placed.place <= set_to.neighbours_kept
        group by placed.video_no
    ),

    -- Of what is gone, and of what nobody's window has any more, nothing is kept.
    dropped as (
        delete from private.video_neighbours as neighbour
        where
            neighbour.video_no = any(due)
            and not exists (
                select
                from best
                where best.video_no = neighbour.video_no
            )
    ),

    forgotten as (
        delete from private.video_audiences as audience
        where
            audience.video_no = any(due)
            and not exists (
                select
                from private.video_cards as card
                where card.video_no = audience.video_no
            )
    ),

    written as (
        insert into private.video_neighbours as neighbour (video_no, neighbour_nos, weights)
        select
            best.video_no,
            best.neighbour_nos,
            best.weights
        from best
        inner join private.video_cards as card on best.video_no = card.video_no
        order by best.video_no
        on conflict (video_no) do update
            set
                neighbour_nos = excluded.neighbour_nos,
                weights = excluded.weights
    )

    update private.video_audiences as audience
    set
        changes = 0,
        ranked_at = rank_neighbours.at
    from private.video_cards as card
    where
        audience.video_no = any(due)
        and audience.video_no = card.video_no;
    update private.learning_walks as stored
    set
        walked_to_no = case when is_last then 0 else due[cardinality(due)] end,
        rounds = stored.rounds + is_last::integer
    where stored.job = 'ranks';
    return cardinality(due);
end
$$;
comment on function private.rank_neighbours(integer, timestamptz) is
'Ranks the neighbours of the next videos of which enough windows changed or a week has passed; returns of how many: '
'at most so many, and of ten times as many people. Forgets what is left of videos that are gone.';

create function private.learn_neighbours(
    batch_size integer default 5000,
    up_to timestamptz default now() - interval '5 minutes'
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    counts jsonb;
    is_left boolean;
    ranked integer := 0;
begin
    counts := private.note_watched(batch_size, up_to);
    is_left := counts -> 'people' <> '0'
        or exists (
            select
            from private.learning_walks as walk
            where
                walk.job = 'neighbours'
                and walk.walked_to is not null
        );
    -- Ranked when nobody is left to note: a video in many windows that change is ranked once.
    if not is_left then
        ranked := private.rank_neighbours(2 * batch_size, up_to);
    end if;
    return counts || jsonb_build_object('ranked', ranked, 'left', is_left or ranked > 0);
end
$$;
comment on function private.learn_neighbours(integer, timestamptz) is
'Learns which videos go together from what people did since last time: a batch of people, or, when there is nobody '
'left, of videos to rank. Says whether anything may be left.';

create function private.measure_everybody()
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    update private.global_tastes as everybody
    set
        category_shares = coalesce(
            (
                select jsonb_object_agg(shares.category_id, round(shares.share::numeric, 6))
                from (
                    select
                        card.category_id,
                        (sum(audience.likes) + 1) / (sum(sum(audience.likes)) over () + count(*) over ()) as share
                    from private.video_audiences as audience
                    inner join private.video_cards as card on audience.video_no = card.video_no
                    where card.category_id > 0
                    group by card.category_id
                ) as shares
            ),
            '{}'
        ),
        learned_at = now()
$$;
comment on function private.measure_everybody() is 'Sums up how much everybody likes each category.';

create function private.learn_tastes(
    batch_size integer default 1000,
    up_to timestamptz default now() - interval '5 minutes'
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    set_to private.learning_settings;
    everybody private.global_tastes;
    usual double precision[];
    people integer;
    profiles integer;
begin
    -- Before anything is read: who waited here must see what the run before has counted.
    perform
    from private.learning_walks as walk
    where walk.job = 'tastes'
    for update;
    select stored.*
    into set_to
    from private.learning_settings as stored;
    if
        exists (
            select
            from private.learning_walks as walk
            where
                walk.job = 'tastes'
                and walk.walked_to is null
        )
    then
        perform private.measure_everybody();
    end if;
    select stored.*
    into everybody
    from private.global_tastes as stored;
    usual := array(
        -- No hour is impossible.
        select (smoothed.share + 0.001) / sum(smoothed.share + 0.001) over ()
        from (
            select
                hour_of.place,
                coalesce(hour_of.counted / nullif(sum(hour_of.counted) over (), 0), 0) as share
            from unnest(everybody.hour_counts) with ordinality as hour_of (counted, place)
        ) as smoothed
        order by smoothed.place
    );

    with due as materialized (
        select chosen.user_id
        from private.people_to_learn_from('tastes', learn_tastes.batch_size, learn_tastes.up_to) as chosen (user_id)
    ),

    done as materialized (
        select
            due.user_id,
            recent.created_at,
            recent.interaction_timestamp,
            recent.id,
            recent.video_id,
            recent.strength
        from due
        cross join lateral (
            select
                interaction.id,
                interaction.created_at,
                interaction.interaction_timestamp,
                interaction.video_id,
                case
                    when
                        private.is_liked(
                            interaction.interaction_type, interaction.watch_percentage, interaction.watched_to_end
                        )
                        then 1
                    when interaction.interaction_type = 'view' then set_to.begun_in_history
                end as strength
            from public.video_interactions as interaction
            where
                interaction.user_id = due.user_id
                and interaction.created_at <= learn_tastes.up_to
            order by interaction.created_at desc
            fetch first 300 rows with ties
        ) as recent
    ),

    watched as materialized (
        select
            latest.user_id,
            latest.watched_at,
            latest.strength,
            card.video_no,
            card.category_id,
            row_number() over (
                partition by latest.user_id
                order by latest.created_at desc, latest.watched_at desc, card.video_no desc
            ) - 1 as age
        from (
            select
                done.user_id,
                done.video_id,
                max(done.created_at) as created_at,
                max(done.interaction_timestamp) as watched_at,
                max(done.strength) as strength
            from done
            where done.strength is not null
            group by
                done.user_id,
                done.video_id
        ) as latest
        inner join private.video_cards as card on latest.video_id = card.video_id
    ),

    totals as materialized (
        select
            due.user_id,
            count(watched.video_no)::integer as events,
            count(watched.video_no) filter (where watched.strength = 1) as likes
        from due
        left join watched on due.user_id = watched.user_id
        group by due.user_id
    ),

    lifts as (
        select
            totals.user_id,
            jsonb_object_agg(
                share.key,
                round(
                    ln(
                        (coalesce(own.liked, 0) + set_to.category_prior * share.share)
                        / (totals.likes + set_to.category_prior)
                        / share.share
                    )::numeric,
                    4
                )
            ) as category_lift
        from totals
        cross join (
            select
                usual_of.key,
                usual_of.value::double precision as share
            from jsonb_each_text(everybody.category_shares) as usual_of
        ) as share
        left join (
            select
                watched.user_id,
                watched.category_id,
                count(*) as liked
            from watched
            where watched.strength = 1
            group by
                watched.user_id,
                watched.category_id
        ) as own
            on
                totals.user_id = own.user_id
                and share.key = own.category_id::text
        group by totals.user_id
    ),

    clocks as (
        select
            totals.user_id,
            array_agg(
                ((coalesce(own.watched, 0) + set_to.hour_prior * usual[clock.hour + 1])
                / (totals.events + set_to.hour_prior))::real
                order by clock.hour
            ) as hours
        from totals
        cross join generate_series(0, 23) as clock (hour)
        left join (
            select
                watched.user_id,
                extract(hour from watched.watched_at at time zone 'Asia/Seoul') as hour,
                count(*) as watched
            from watched
            group by
                watched.user_id,
                extract(hour from watched.watched_at at time zone 'Asia/Seoul')
        ) as own
            on
                totals.user_id = own.user_id
                and clock.hour = own.hour
        group by totals.user_id
    ),

    -- Vectors of one kind: of that which the video watched last has.
    kinds as (
        select distinct on (watched.user_id)
            watched.user_id,
            vector.version
        from watched
        inner join private.video_vectors as vector on watched.video_no = vector.video_no
        order by
            watched.user_id asc,
            watched.age asc
    ),

    directions as materialized (
        select
            watched.user_id,
            kinds.version,
            extensions.l2_normalize(
                extensions.sum(
                    vector.embedding operator(extensions.*)
                    array_fill(watched.strength * set_to.recency ^ watched.age, array[100])::extensions.vector
                )
            ) as direction
        from watched
        inner join kinds on watched.user_id = kinds.user_id
        inner join private.video_vectors as vector
            on
                watched.video_no = vector.video_no
                and kinds.version = vector.version
        where watched.age < 100
        group by
            watched.user_id,
            kinds.version
    ),

    learned as (
        insert into private.user_tastes as taste (
            user_id, category_lift, hours, events, vector_version, learned_to
        )
        select
            totals.user_id,
            coalesce(lifts.category_lift, '{}'),
            clocks.hours,
            totals.events,
            directions.version,
            moment.learned_to
        from totals
        inner join (
            select
                done.user_id,
                max(done.created_at) as learned_to
            from done
            group by done.user_id
        ) as moment on totals.user_id = moment.user_id
        inner join clocks on totals.user_id = clocks.user_id
        left join lifts on totals.user_id = lifts.user_id
        left join directions on totals.user_id = directions.user_id
        order by totals.user_id
        on conflict (user_id) do update
            set
                category_lift = excluded.category_lift,
                hours = excluded.hours,
                events = excluded.events,
                vector_version = excluded.vector_version,
                learned_to = excluded.learned_to,
                learned_at = excluded.learned_at
        returning taste.user_id
    ),

    held as materialized (
        select
            profile.user_id,
            totals.events,
            directions.direction::real[]::double precision[] as direction
        from public.user_profiles as profile
        inner join totals on profile.user_id = totals.user_id
        left join directions
            on
                totals.user_id = directions.user_id
                and extensions.vector_norm(directions.direction) > 0
        order by profile.user_id
        for no key update of profile
    ),

    shown as (
        update public.user_profiles as profile
        set
            preference_vector = coalesce(held.direction, profile.preference_vector),
            profile_confidence = round(held.events / (held.events + 10.0), 2)
        from held
        where
            profile.user_id = held.user_id
            and (profile.preference_vector, profile.profile_confidence)
            is distinct from (
                coalesce(held.direction, profile.preference_vector), round(held.events / (held.events + 10.0), 2)
            )
        returning profile.user_id
    )

    select
        (select count(*) from learned),
        (select count(*) from shown)
    into people, profiles;
    return jsonb_build_object(
        'people', people,
        'profiles', profiles,
        'left', people > 0
        or exists (
            select
            from private.learning_walks as walk
            where
                walk.job = 'tastes'
                and walk.walked_to is not null
        )
    );
end
$$;
comment on function private.learn_tastes(integer, timestamptz) is
'Learns what people like from their last 300 interactions: a batch of those who did something since last time. '
'Says whether anybody may be left.';

create function private.relearn(landmark timestamptz default date_trunc('day', now()))
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    delete from private.video_neighbours;
    delete from private.video_audiences;
    delete from private.watch_windows;
    delete from private.user_tastes;
    update private.global_tastes
    set
        category_shares = '{}',
        hour_counts = array_fill(0::double precision, array[24]),
        learned_at = '-infinity';
    update private.learning_settings
    set landmark = relearn.landmark;
    update private.learning_walks as walk
    set
        walked_to = null,
        walked_to_no = 0
    where walk.job in ('neighbours', 'tastes', 'ranks')
$$;
comment on function private.relearn(timestamptz) is
'Forgets all that was learned, so that the next runs learn it again from the interactions that are kept: after old '
'ones were imported, or settings changed.';
