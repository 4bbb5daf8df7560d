-- Promises that what people watch is learned from every night: which videos go together, and what each person likes.

create table private.learning_settings (
    is_the_one boolean primary key default true,
    window_size integer not null default 50,
    memory_size integer not null default 2000,
    most_a_day integer not null default 200,
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
        and memory_size between window_size and 10000
        and most_a_day between 1 and 10000
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
comment on column private.learning_settings.window_size is 'Videos before it that a watched one is paired with.';
comment on column private.learning_settings.memory_size is 'Watched videos of a person that are known not to be new.';
comment on column private.learning_settings.most_a_day is 'Videos of a person and day in Korea that are paired.';
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
    watched_at timestamptz[] not null,
    events integer not null,
    learned_to timestamptz not null,
    day date not null,
    taken integer not null
);
alter table private.watch_windows enable row level security;
comment on table private.watch_windows is
'How far pairs were learned from each person: the position that moves in the transaction that counts them.';
comment on column private.watch_windows.videos is 'What the person watched, each once, the newest first.';
comment on column private.watch_windows.strengths is
'What the newest of them count, as many as new ones are paired with.';
comment on column private.watch_windows.watched_at is 'When these were watched.';
comment on column private.watch_windows.events is 'How many videos there were in all.';
comment on column private.watch_windows.learned_to is 'Interactions stored until then are counted.';
comment on column private.watch_windows.day is 'The last day in Korea of which pairs were counted.';
comment on column private.watch_windows.taken is 'Videos of that day that were paired.';

create table private.video_audiences (
    video_no integer primary key,
    people integer not null,
    likes integer not null,
    reach double precision not null,
    news double precision not null,
    rank_due timestamptz not null default '-infinity'
);
alter table private.video_audiences enable row level security;
create index video_audiences_to_rank on private.video_audiences (rank_due);
comment on table private.video_audiences is 'How many people watched a video: sums without anybody''s id.';
comment on column private.video_audiences.people is 'People who did not skip it.';
comment on column private.video_audiences.likes is 'Those who liked it.';
comment on column private.video_audiences.reach is 'People, each divided by how many videos the person watched.';
comment on column private.video_audiences.news is
'People, each worth twice as much each half-life later: what is watched now counts more.';
comment on column private.video_audiences.rank_due is
'When its neighbours must be ranked again: at once when a pair changed, and a week after they were ranked.';

create table private.video_pairs (
    low_no integer not null,
    high_no integer not null,
    low_to_high double precision not null,
    high_to_low double precision not null,
    people integer not null,
    primary key (low_no, high_no),
    constraint a_pair_is_kept_once check (low_no < high_no)
);
alter table private.video_pairs enable row level security;
create index video_pairs_by_high on private.video_pairs (high_no);
comment on table private.video_pairs is 'How many people watched both videos: sums without anybody''s id.';
comment on column private.video_pairs.low_to_high is
'People, divided by how many videos each watched, worth more the later they watched the second.';
comment on column private.video_pairs.high_to_low is 'The same the other way round.';
comment on column private.video_pairs.people is 'The people; each counts once.';

create table private.video_neighbours (
    video_no integer not null,
    neighbour_no integer not null,
    weight double precision not null,
    primary key (video_no, neighbour_no)
);
alter table private.video_neighbours enable row level security;
create index video_neighbours_by_weight on private.video_neighbours (video_no, weight desc)
include (neighbour_no);
comment on table private.video_neighbours is
'The at most 100 videos that those who watched a video watch now, the best first by weight.';
comment on column private.video_neighbours.weight is
'Only to be compared with other weights, of any video: it has no unit and grows with the years.';

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
language sql
return interaction_type in ('like', 'save', 'share')
or (interaction_type = 'view' and (watched_to_end or watch_percentage >= 0.5));
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
language sql
return 2 ^ greatest(
    least(
        extract(epoch from at - landmark)::double precision / extract(epoch from half_life)::double precision, 480
    ),
    -480
);
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

create function private.count_pairs(
    batch_size integer,
    up_to timestamptz
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
    counts jsonb;
begin
    -- Before anything is read: who waited here must see what the run before has counted.
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
            coalesce(known.videos, '{}') as videos,
            coalesce(known.strengths, '{}') as strengths,
            coalesce(known.watched_at, '{}') as watched_at,
            coalesce(known.events, 0) as events,
            coalesce(known.learned_to, '-infinity') as learned_to,
            known.day,
            known.taken
        from private.people_to_learn_from('neighbours', count_pairs.batch_size, count_pairs.up_to) as chosen (user_id)
        left join private.watch_windows as known on chosen.user_id = known.user_id
    ),

    done as materialized (
        select
            due.user_id,
            recent.created_at,
            recent.interaction_timestamp,
            recent.id,
            recent.strength,
            card.video_no,
            private.korean_day(recent.created_at) as day,
            -- A video that has no number yet is waited for, for an hour.
            min(recent.created_at) filter (
                where card.video_no is null and recent.created_at > count_pairs.up_to - interval '1 hour'
            ) over (partition by due.user_id) as waits_from
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
                    when interaction.interaction_type = 'view' then set_to.begun_in_pairs
                end as strength
            from public.video_interactions as interaction
            where
                interaction.user_id = due.user_id
                and interaction.created_at > due.learned_to
                and interaction.created_at <= count_pairs.up_to
            order by interaction.created_at
            -- Whole moments: a batch has one time, and half of it would be lost.
            fetch first 1000 rows with ties
        ) as recent
        left join private.video_cards as card on recent.video_id = card.video_id
    ),

    firsts as materialized (
        select
            done.user_id,
            done.video_no,
            max(done.created_at) as created_at,
            max(done.interaction_timestamp) as watched_at,
            max(done.strength) as strength,
            max(done.day) as day
        from done
        inner join due on done.user_id = due.user_id
        where
            done.strength is not null
            and done.video_no is not null
            and (done.waits_from is null or done.created_at < done.waits_from)
            and done.video_no <> all(due.videos)
        group by
            done.user_id,
            done.video_no
    ),

    allowed as materialized (
        select
            ranked.user_id,
            ranked.video_no,
            ranked.watched_at,
            ranked.strength,
            ranked.day,
            row_number() over (
                partition by ranked.user_id
                order by ranked.created_at, ranked.watched_at, ranked.video_no
            ) as place,
            ranked.events + count(*) over (partition by ranked.user_id) as events
        from (
            select
                firsts.*,
                due.events,
                row_number() over (
                    partition by
                        firsts.user_id,
                        firsts.day
                    order by firsts.created_at, firsts.watched_at, firsts.video_no
                ) + case when firsts.day = due.day then due.taken else 0 end as place_in_day
            from firsts
            inner join due on firsts.user_id = due.user_id
        ) as ranked
        where ranked.place_in_day <= set_to.most_a_day
    ),

    weighed as materialized (
        select
            allowed.*,
            private.worth_at(allowed.watched_at, set_to.landmark, set_to.half_life) as worth
        from allowed
    ),

    windows as materialized (
        select
            weighed.user_id,
            weighed.video_no,
            weighed.place,
            weighed.strength,
            weighed.worth
        from weighed
        union all
        select
            due.user_id,
            old.video_no,
            1 - old.place,
            old.strength,
            private.worth_at(old.watched_at, set_to.landmark, set_to.half_life)
        from due
        cross join lateral unnest(due.videos[1:set_to.window_size], due.strengths, due.watched_at)
        with ordinality as old (video_no, strength, watched_at, place)
        where old.strength is not null
    ),

    -- Who watches everything says little about any two videos: a person's pairs share what the person counts.
    pairs as materialized (
        select
            least(new.video_no, earlier.video_no) as low_no,
            greatest(new.video_no, earlier.video_no) as high_no,
            sum(
                new.strength * earlier.strength / new.events
                * case when new.video_no > earlier.video_no then new.worth else earlier.worth end
            ) as low_to_high,
            sum(
                new.strength * earlier.strength / new.events
                * case when new.video_no > earlier.video_no then earlier.worth else new.worth end
            ) as high_to_low,
            count(*) as people
        from weighed as new
        inner join windows as earlier
            on
                new.user_id = earlier.user_id
                and new.place > earlier.place
                and new.place <= earlier.place + set_to.window_size
        group by
            least(new.video_no, earlier.video_no),
            greatest(new.video_no, earlier.video_no)
    ),

    audiences as (
        insert into private.video_audiences as audience (video_no, people, likes, reach, news)
        select
            touched.video_no,
            sum(touched.people),
            sum(touched.likes),
            sum(touched.reach),
            sum(touched.news)
        from (
            select
                weighed.video_no,
                1 as people,
                (weighed.strength = 1)::integer as likes,
                weighed.strength / weighed.events as reach,
                weighed.strength * weighed.worth as news
            from weighed
            union all
            select
                pairs.low_no,
                0,
                0,
                0,
                0
            from pairs
            union all
            select
                pairs.high_no,
                0,
                0,
                0,
                0
            from pairs
        ) as touched
        group by touched.video_no
        order by touched.video_no
        on conflict (video_no) do update
            set
                people = audience.people + excluded.people,
                likes = audience.likes + excluded.likes,
                reach = audience.reach + excluded.reach,
                news = audience.news + excluded.news,
                rank_due = '-infinity'
    ),

    counted as (
        insert into private.video_pairs as pair (low_no, high_no, low_to_high, high_to_low, people)
        select
            pairs.low_no,
            pairs.high_no,
            pairs.low_to_high,
            pairs.high_to_low,
            pairs.people
        from pairs
        order by
            pairs.low_no,
            pairs.high_no
        on conflict (low_no, high_no) do update
            set
                low_to_high = pair.low_to_high + excluded.low_to_high,
                high_to_low = pair.high_to_low + excluded.high_to_low,
                people = pair.people + excluded.people
    ),

    by_hour as (
        select array_agg(coalesce(hour_of.weight, 0) order by clock.hour) as hours
        from generate_series(0, 23) as clock (hour)
        left join (
            select
                extract(hour from weighed.watched_at at time zone 'Asia/Seoul') as hour,
                sum(weighed.strength * weighed.worth) as weight
            from weighed
            group by extract(hour from weighed.watched_at at time zone 'Asia/Seoul')
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
        where exists (select from weighed)
    ),

    remembered as (
        insert into private.watch_windows as known (
            user_id, videos, strengths, watched_at, events, learned_to, day, taken
        )
        select
            due.user_id,
            (coalesce(fresh.videos, '{}') || due.videos)[1:set_to.memory_size],
            (coalesce(fresh.strengths, '{}') || due.strengths)[1:set_to.window_size],
            (coalesce(fresh.watched_at, '{}') || due.watched_at)[1:set_to.window_size],
            due.events + coalesce(cardinality(fresh.videos), 0),
            coalesce(moment.learned_to, due.learned_to),
            coalesce(fresh.day, due.day, private.korean_day(count_pairs.up_to)),
            coalesce(fresh.taken, 0)
            + case when coalesce(fresh.day = due.day, true) then coalesce(due.taken, 0) else 0 end
        from due
        left join (
            select
                weighed.user_id,
                array_agg(weighed.video_no order by weighed.place desc) as videos,
                array_agg(weighed.strength::real order by weighed.place desc) as strengths,
                array_agg(weighed.watched_at order by weighed.place desc) as watched_at,
                max(weighed.day) as day,
                count(*) filter (where weighed.day = last.day) as taken
            from weighed
            inner join (
                select
                    other.user_id,
                    max(other.day) as day
                from weighed as other
                group by other.user_id
            ) as last on weighed.user_id = last.user_id
            group by weighed.user_id
        ) as fresh on due.user_id = fresh.user_id
        left join (
            select
                done.user_id,
                max(done.created_at) as learned_to
            from done
            where done.waits_from is null or done.created_at < done.waits_from
            group by done.user_id
        ) as moment on due.user_id = moment.user_id
        order by due.user_id
        on conflict (user_id) do update
            set
                videos = excluded.videos,
                strengths = excluded.strengths,
                watched_at = excluded.watched_at,
                events = excluded.events,
                learned_to = excluded.learned_to,
                day = excluded.day,
                taken = excluded.taken
    )

    select
        jsonb_build_object(
            -- Who waits for a card is looked at again and again, and must not keep the others waiting.
            'people', (
                select count(*)
                from due
                where exists (
                    select
                    from done
                    where
                        done.user_id = due.user_id
                        and (done.waits_from is null or done.created_at < done.waits_from)
                )
            ),
            'watched', (select count(*) from weighed),
            'pairs', (select count(*) from pairs)
        )
    into counts;
    return counts;
end
$$;
comment on function private.count_pairs(integer, timestamptz) is
'Pairs what each of the next people watched since last time with what they watched before it; each two videos once '
'a person. Sums and positions move together: what is killed has counted nothing, what is repeated counts nothing more.';

create function private.rank_neighbours(
    batch_size integer,
    at timestamptz
)
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    set_to private.learning_settings;
    worth double precision;
    ranked integer;
begin
    select stored.*
    into set_to
    from private.learning_settings as stored;
    worth := private.worth_at(at, set_to.landmark, set_to.half_life);

    with due as materialized (
        select
            audience.video_no,
            audience.reach
        from private.video_audiences as audience
        where audience.rank_due <= rank_neighbours.at
        order by audience.rank_due
        limit rank_neighbours.batch_size
        for update skip locked
    ),

    best as materialized (
        select
            placed.video_no,
            placed.other_no,
            placed.weight
        from (
            select
                found.video_no,
                found.other_no,
                found.weight,
                row_number() over (
                    partition by found.video_no
                    order by found.weight desc, found.other_no asc
                ) as place
            from (
                select
                    due.video_no,
                    pair.other_no,
                    -- The last factor is common to all: with it a weight stays as it is while nothing new happens.
                    pair.weight / worth / sqrt((due.reach + 0.5) * (other.news / worth + 0.25)) * sqrt(worth) as weight
                from due
                cross join lateral (
                    select
                        above.high_no as other_no,
                        above.low_to_high as weight,
                        above.people
                    from private.video_pairs as above
                    where above.low_no = due.video_no
                    union all
                    select
                        below.low_no,
                        below.high_to_low,
                        below.people
                    from private.video_pairs as below
                    where below.high_no = due.video_no
                ) as pair
                inner join private.video_audiences as other on pair.other_no = other.video_no
                where pair.people >= set_to.least_people
            ) as found
        ) as placed
        where
            placed.place <= set_to.neighbours_kept
            and placed.weight > 0
    ),

    dropped as (
        delete from private.video_neighbours as neighbour
        using due
        where
            neighbour.video_no = due.video_no
            and not exists (
                select
                from best
                where
                    best.video_no = neighbour.video_no
                    and best.other_no = neighbour.neighbour_no
            )
    ),

    written as (
        insert into private.video_neighbours as neighbour (video_no, neighbour_no, weight)
        select
            best.video_no,
            best.other_no,
            best.weight
        from best
        left join private.video_neighbours as known
            on
                best.video_no = known.video_no
                and best.other_no = known.neighbour_no
        -- Less than a fiftieth is not worth a write.
        where
            known.weight is null
            or abs(known.weight - best.weight) > best.weight / 50
        order by
            best.video_no,
            best.other_no
        on conflict (video_no, neighbour_no) do update
            set weight = excluded.weight
    ),

    done as (
        update private.video_audiences as audience
        set rank_due = rank_neighbours.at + interval '7 days'
        from due
        where audience.video_no = due.video_no
        returning audience.video_no
    )

    select count(*)
    into ranked
    from done;
    return ranked;
end
$$;
comment on function private.rank_neighbours(integer, timestamptz) is
'Ranks the neighbours of videos of which a pair changed or a week has passed, a batch of them; returns of how many.';

create function private.learn_neighbours(
    batch_size integer default 1000,
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
    counts := private.count_pairs(batch_size, up_to);
    is_left := counts -> 'people' <> '0'
        or exists (
            select
            from private.learning_walks as walk
            where
                walk.job = 'neighbours'
                and walk.walked_to is not null
        );
    -- Ranked when nothing is left to count: a video of which many pairs change is ranked once.
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

create function private.prune_pairs(batch_size integer default 2000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    walk private.learning_walks;
    worth double precision;
    numbers integer[];
    faded integer;
    gone integer;
begin
    -- Not while pairs are counted: two that take the same pairs in different orders can end in a circle.
    perform
    from private.learning_walks as stored
    where stored.job = 'neighbours'
    for update;
    select stored.*
    into walk
    from private.learning_walks as stored
    where stored.job = 'pairs'
    for update;
    numbers := array(
        select audience.video_no
        from private.video_audiences as audience
        where audience.video_no > walk.walked_to_no
        order by audience.video_no
        limit prune_pairs.batch_size
    );
    select private.worth_at(now(), settings.landmark, settings.half_life)
    into worth
    from private.learning_settings as settings;
    with unknown as materialized (
        select one.video_no
        from unnest(numbers) as one (video_no)
        where
            not exists (
                select
                from private.video_cards as card
                where card.video_no = one.video_no
            )
    ),

    forgotten as (
        delete from private.video_audiences as audience
        using unknown
        where audience.video_no = unknown.video_no
        returning audience.video_no
    ),

    unlisted as (
        delete from private.video_neighbours as neighbour
        using unknown
        where neighbour.video_no = unknown.video_no
    ),

    pruned as (
        delete from private.video_pairs as pair
        using unnest(numbers) as one (video_no)
        where
            pair.low_no = one.video_no
            and (
                greatest(pair.low_to_high, pair.high_to_low) < 0.00001 * worth
                or pair.low_no in (select unknown.video_no from unknown)
                or not exists (
                    select
                    from private.video_cards as card
                    where card.video_no = pair.high_no
                )
            )
        returning pair.low_no
    )

    select
        (select count(*) from pruned),
        (select count(*) from forgotten)
    into faded, gone;
    update private.learning_walks as stored
    set
        walked_to_no = case
            when cardinality(numbers) < prune_pairs.batch_size then 0
            else numbers[cardinality(numbers)]
        end,
        rounds = stored.rounds + (cardinality(numbers) < prune_pairs.batch_size)::integer
    where stored.job = 'pairs';
    return jsonb_build_object('pairs_pruned', faded, 'audiences_forgotten', gone);
end
$$;
comment on function private.prune_pairs(integer) is
'Deletes pairs that have faded, after about 50 days, and what is left of videos that are gone; a batch of videos.';

create function private.relearn(landmark timestamptz default date_trunc('day', now()))
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    delete from private.video_neighbours;
    delete from private.video_pairs;
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
    where walk.job in ('neighbours', 'tastes', 'pairs')
$$;
comment on function private.relearn(timestamptz) is
'Forgets all that was learned, so that the next runs learn it again from the interactions that are kept: after old '
'ones were imported, or settings changed.';
