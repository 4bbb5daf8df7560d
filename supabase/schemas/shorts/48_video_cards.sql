-- Promises that search and feed read narrow rows in rank order, derived from the cache by a fold, equal to it after it.

create function private.search_score(
    relevance double precision,
    quality double precision,
    popularity double precision,
    published_at timestamptz
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Relevance x worth x freshness, as a sum of logarithms. Freshness halves in 180 days for everything at once, so
    -- that it is counted forward from 2020: the order of two videos never changes with time, and can be stored.
    return
        ln(greatest(relevance, 0.01))
        + ln(0.1 + 0.6 * coalesce(quality, 0) + 0.3 * coalesce(popularity, 0))
        + ln(2) * extract(epoch from published_at - '2020-01-01 00:00+00'::timestamptz)::double precision
        / (180 * 86400);
end
$$;
comment on function private.search_score(double precision, double precision, double precision, timestamptz) is
'How search ranks: ln(relevance) + ln(0.1 + 0.6 quality + 0.3 popularity) + ln 2 x (days since 2020 / 180). '
'Relevance, quality and popularity are from 0 to 1; private.search_score_at says what is left of it at a time.';

create function private.search_score_at(
    score double precision,
    at timestamptz
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return exp(
        least(
            score - ln(2) * extract(epoch from at - '2020-01-01 00:00+00'::timestamptz)::double precision
            / (180 * 86400),
            0
        )
    );
end
$$;
comment on function private.search_score_at(double precision, timestamptz) is
'relevance x (0.1 + 0.6 quality + 0.3 popularity) x 0.5 ^ (age / 180 days), 0 to 1.';

create function private.keyword_relevance(relevance_score double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- The design's threshold is 0.7: what is below still answers, after what is above unless far better and newer.
    return case when relevance_score > 0.7 then relevance_score else 0.1 + relevance_score / 2 end;
end
$$;
comment on function private.keyword_relevance(double precision) is
'What a mapping''s relevance counts in search: itself above 0.7, else 0.1 + half of it.';

create function private.search_key(text text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- A keyword of emoji alone has no letters to fold.
    return coalesce(nullif(private.fold_text(text), ''), private.normalize_keyword(text));
end
$$;
comment on function private.search_key(text) is
'How a keyword is looked up: folded; normalised where nothing of it is a letter or a digit.';

create function private.title_grams(folded text)
returns text[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    letters constant text[] := string_to_array(replace(folded, ' ', ''), null);
begin
    -- Across spaces too, so that 맛집 finds 맛 집 by the same pairs. What comes twice is twice in it: an index does not mind.
    return array(
        select unnest(letters) collate "C"
        union all
        select (one.letter || one.following) collate "C"
        from unnest(letters, letters[2:]) as one (letter, following)
        where one.following is not null
    );
end
$$;
comment on function private.title_grams(text) is
'Every letter and every two neighbouring letters of a folded text, spaces left out, as often as they are there.';

create table private.video_cards (
    video_no integer generated always as identity primary key,
    video_id varchar(20) not null unique references public.cached_videos (video_id) on delete cascade,
    title_folded text collate "C" not null,
    category_id smallint not null,
    channel_id varchar(50),
    duration integer,
    popularity real not null,
    quality real not null,
    view_count bigint not null,
    published_at timestamptz not null,
    expires_at timestamptz not null,
    region_restrictions jsonb,
    is_servable boolean not null,
    standing real not null,
    constraint card_scores_are_fractions check (popularity between 0 and 1 and quality between 0 and 1)
);
alter table private.video_cards enable row level security;
create index video_cards_by_gram on private.video_cards using gin (private.title_grams(title_folded))
where is_servable;
create index video_cards_by_expiry on private.video_cards (expires_at)
where is_servable;
comment on table private.video_cards is
'What search and feed need of a video, narrow. Derived: private.fold_video_cards writes it, '
'private.rebuild_video_cards makes it anew, private.video_card_problems compares it with public.cached_videos.';
comment on column private.video_cards.video_no is 'Our own short number of the video; stays while the video is cached.';
comment on column private.video_cards.title_folded is 'private.fold_text of the title.';
comment on column private.video_cards.category_id is 'YouTube''s number; 0 while unknown.';
comment on column private.video_cards.popularity is 'ln(1 + views) / ln(1 + 1e9) to two digits, at most 1.';
comment on column private.video_cards.quality is 'The quality score; 0 while unknown.';
comment on column private.video_cards.published_at is
'A year before it was first seen, where the source does not tell.';
comment on column private.video_cards.region_restrictions is 'Null where it plays everywhere.';
comment on column private.video_cards.is_servable is
'A Short that plays and had not expired when last looked at. What is served is looked up in the cache again.';
comment on column private.video_cards.standing is
'private.search_score with relevance 1: the order among videos that answer equally well.';

create table private.keywords (
    keyword_no integer generated always as identity primary key,
    keyword text collate "C" not null unique,
    videos integer not null default 0
);
alter table private.keywords enable row level security;
comment on table private.keywords is 'Every keyword that ever led to a Short that plays. Derived, see video_cards.';
comment on column private.keywords.keyword is 'private.search_key of it: k-pop and k pop are one.';
comment on column private.keywords.videos is 'How many Shorts that play it leads to.';

create table private.keyword_postings (
    keyword_no integer not null,
    video_no integer not null,
    score real not null,
    primary key (video_no, keyword_no)
);
alter table private.keyword_postings enable row level security;
create index keyword_postings_in_order on private.keyword_postings (keyword_no, score desc, video_no desc);
comment on table private.keyword_postings is
'The Shorts that play of each keyword, in the order of search: no row of any other video. Derived, see video_cards. '
'No foreign keys: they cost more than all else when millions are written. Keywords stay, and postings go by trigger.';
comment on column private.keyword_postings.score is 'private.search_score. Never changes with time.';

create table private.keyword_deltas (
    id bigint generated always as identity primary key,
    keyword_no integer not null,
    videos integer not null
);
alter table private.keyword_deltas enable row level security;
comment on table private.keyword_deltas is
'How many postings a keyword has won or lost and its row does not say yet. Appended only; the fold adds it up.';

create table private.card_marks (
    id bigint generated always as identity primary key,
    video_ids text[] not null,
    marked_at timestamptz not null default now()
);
alter table private.card_marks enable row level security;
comment on table private.card_marks is
'Videos that changed since the fold. Appended only, so that nobody waits for anybody; the fold takes them away.';

create table private.frequent_grams (
    gram text collate "C" primary key,
    videos integer not null,
    is_whole boolean not null,
    last_standing real not null,
    video_nos integer[] not null
);
alter table private.frequent_grams enable row level security;
comment on table private.frequent_grams is
'The best videos of each letter and pair of letters that more than 100 titles have. Derived, see video_cards. '
'What changed since a list was made is in private.unlisted_cards.';
comment on column private.frequent_grams.videos is 'About how many videos have it.';
comment on column private.frequent_grams.is_whole is 'Whether the list holds all of them.';
comment on column private.frequent_grams.last_standing is
'Every video with a higher standing that has the gram is in the list; -infinity where the list is whole.';
comment on column private.frequent_grams.video_nos is 'At most 2,000, the highest standing first.';

create sequence private.card_changes as bigint;
create table private.unlisted_cards (
    video_no integer primary key,
    change_no bigint not null default nextval('private.card_changes'),
    title_folded text collate "C" not null,
    changed_at timestamptz not null default now()
);
alter table private.unlisted_cards enable row level security;
create index unlisted_cards_by_gram on private.unlisted_cards using gin (private.title_grams(title_folded));
create index unlisted_cards_by_change on private.unlisted_cards (change_no);
comment on table private.unlisted_cards is
'Servable videos whose title or standing changed, which lists of grams do not know yet: they are looked up apart.';
comment on column private.unlisted_cards.video_no is
'Of video_cards. No foreign key: who deletes a video shall not wait for the lists.';

create table private.list_round (
    is_only boolean primary key default true,
    listed_no bigint not null default 0,
    target_no bigint,
    done_gram text collate "C" not null default '',
    constraint there_is_one_round check (is_only)
);
alter table private.list_round enable row level security;
insert into private.list_round default values;
comment on table private.list_round is
'How far the lists of grams are: all know the changes up to listed_no, those up to done_gram the ones up to target_no.';

create view private.wanted_cards
with (security_invoker = true)
as
with figures as (
    select
        video.*,
        -- To two digits: a few views more are no change of the order, and nothing to write.
        least(round((ln(1 + coalesce(video.view_count, 0)::double precision) / ln(1e9 + 1))::numeric, 2), 1)::real
            as popularity,
        coalesce(video.published_at, video.created_at - interval '1 year') as first_at
    from public.cached_videos as video
)

select
    video.video_id,
    video.channel_id,
    video.duration,
    video.popularity,
    video.first_at as published_at,
    video.expires_at,
    private.fold_text(video.title) collate "C" as title_folded,
    coalesce(video.category_id, 0)::smallint as category_id,
    coalesce(video.quality_score, 0)::real as quality,
    coalesce(video.view_count, 0) as view_count,
    nullif(video.region_restrictions, '{}') as region_restrictions,
    video.is_playable and video.is_shorts and video.expires_at > now() as is_servable,
    -- private.search_score, written out: a call costs as much as all the rest of a row.
    (
        ln(
            0.1
            + 0.6 * round(coalesce(video.quality_score, 0)::numeric, 2)::double precision
            + 0.3 * video.popularity::double precision
        )
        + ln(2) * extract(epoch from video.first_at - '2020-01-01 00:00+00'::timestamptz)::double precision
        / (180 * 86400)
    )::real as standing
from figures as video;
comment on view private.wanted_cards is 'What video_cards should say, from public.cached_videos as it is now.';

create view private.wanted_postings
with (security_invoker = true)
as
-- Each keyword is folded once, however many videos it leads to.
with folded as materialized (
    select
        spelled.keyword,
        private.search_key(spelled.keyword) collate "C" as search_key
    from (select distinct mapping.keyword from public.keyword_video_mappings as mapping) as spelled
)

select
    card.video_no,
    card.video_id,
    folded.search_key as keyword,
    (card.standing + ln(greatest(max(private.keyword_relevance(mapping.relevance_score)), 0.01)))::real as score
from private.video_cards as card
inner join public.keyword_video_mappings as mapping on card.video_id = mapping.video_id
inner join folded on mapping.keyword = folded.keyword
where
    card.is_servable
    and folded.search_key <> ''
group by
    card.video_no,
    card.video_id,
    folded.search_key;
comment on view private.wanted_postings is 'What keyword_postings should say, from public.keyword_video_mappings.';

create function private.mark_cards(video_ids text[])
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- In parts: one fold shall not have to take a million.
    insert into private.card_marks (video_ids)
    select array_agg(numbered.video_id)
    from (
        select
            one.video_id,
            row_number() over () as number
        from (select distinct unnest(mark_cards.video_ids) as video_id) as one
    ) as numbered
    group by (numbered.number - 1) / 1000
$$;
comment on function private.mark_cards(text[]) is 'Notes videos for the fold.';

create function private.mark_new_videos()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.mark_cards(array(select new_row.video_id from new_rows as new_row));
    return null;
end
$$;
comment on function private.mark_new_videos() is 'Notes what a statement added, for the fold of cards.';

create function private.mark_changed_videos()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Counters are no change: they are written each minute, and no card shows them.
    perform private.mark_cards(
        array(
            select new_row.video_id
            from new_rows as new_row
            left join old_rows as old_row on new_row.id = old_row.id
            where (
                new_row.video_id,
                new_row.title,
                new_row.category_id,
                new_row.channel_id,
                new_row.duration,
                new_row.view_count,
                new_row.published_at,
                new_row.expires_at,
                new_row.region_restrictions,
                new_row.is_playable,
                new_row.is_shorts,
                new_row.quality_score
            ) is distinct from (
                old_row.video_id,
                old_row.title,
                old_row.category_id,
                old_row.channel_id,
                old_row.duration,
                old_row.view_count,
                old_row.published_at,
                old_row.expires_at,
                old_row.region_restrictions,
                old_row.is_playable,
                old_row.is_shorts,
                old_row.quality_score
            )
        )
    );
    return null;
end
$$;
comment on function private.mark_changed_videos() is 'Notes what a statement changed, for the fold of cards.';

create function private.mark_changed_mappings()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.mark_cards(
        array(
            select changed.video_id
            from (
                select
                    old_row.video_id,
                    old_row.keyword,
                    old_row.relevance_score
                from old_rows as old_row
                except
                select
                    new_row.video_id,
                    new_row.keyword,
                    new_row.relevance_score
                from new_rows as new_row
            ) as changed
        )
        || array(
            select changed.video_id
            from (
                select
                    new_row.video_id,
                    new_row.keyword,
                    new_row.relevance_score
                from new_rows as new_row
                except
                select
                    old_row.video_id,
                    old_row.keyword,
                    old_row.relevance_score
                from old_rows as old_row
            ) as changed
        )
    );
    return null;
end
$$;
comment on function private.mark_changed_mappings() is
'Notes the videos whose keywords changed, for the fold of cards.';

create trigger mark_new_cards
after insert on public.cached_videos
referencing new table as new_rows
for each statement
execute function private.mark_new_videos();
create trigger mark_changed_cards
after update on public.cached_videos
referencing old table as old_rows new table as new_rows
for each statement
execute function private.mark_changed_videos();
create trigger mark_new_postings
after insert on public.keyword_video_mappings
referencing new table as new_rows
for each statement
execute function private.mark_new_videos();
create trigger mark_changed_postings
after update on public.keyword_video_mappings
referencing old table as old_rows new table as new_rows
for each statement
execute function private.mark_changed_mappings();
create trigger mark_lost_postings
after delete on public.keyword_video_mappings
referencing old table as new_rows
for each statement
execute function private.mark_new_videos();

create function private.count_won_postings()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    insert into private.keyword_deltas (keyword_no, videos)
    select
        changed.keyword_no,
        case when tg_op = 'INSERT' then count(*) else -count(*) end
    from changed_rows as changed
    group by changed.keyword_no;
    return null;
end
$$;
comment on function private.count_won_postings() is
'Notes how many postings a statement gave a keyword or took from it.';

create trigger count_won_postings
after insert on private.keyword_postings
referencing new table as changed_rows
for each statement
execute function private.count_won_postings();
create trigger count_lost_postings
after delete on private.keyword_postings
referencing old table as changed_rows
for each statement
execute function private.count_won_postings();

create function private.forget_postings()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if tg_op = 'TRUNCATE' then
        delete from private.keyword_postings;
    else
        delete from private.keyword_postings as posting
        where posting.video_no = any(array(select gone.video_no from gone));
    end if;
    return null;
end
$$;
comment on function private.forget_postings() is 'Postings go with their cards, in the same transaction.';

create trigger forget_postings
after delete on private.video_cards
referencing old table as gone
for each statement
execute function private.forget_postings();
create trigger forget_all_postings
after truncate on private.video_cards
for each statement
execute function private.forget_postings();

create function private.write_cards(video_ids text[])
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
-- Whatever the statistics say: each table is read for these videos alone, by its index, and the rest is hashed. Planned
-- for one row, loops within loops took 15 s for 400 videos.
set enable_nestloop = off
set plan_cache_mode = force_custom_plan
set work_mem = '64MB'
language plpgsql
as $$
declare
    is_all constant boolean := video_ids is null;
    cards integer;
    postings integer;
begin
    -- Held in one order before anything is written: who deletes videos takes them in that order too, and what hangs on
    -- them afterwards.
    perform
    from public.cached_videos as video
    where is_all or video.video_id = any(write_cards.video_ids)
    order by video.video_id
    for key share;

    with changed as materialized (
        select
            wanted.*,
            coalesce(
                card.video_no, nextval(pg_get_serial_sequence('private.video_cards', 'video_no'))::integer
            ) as video_no,
            -- A rebuild makes the lists anew.
            not is_all
            and wanted.is_servable
            and (
                card.is_servable is not true
                or wanted.title_folded <> card.title_folded
                or wanted.standing <> card.standing
            ) as is_unlisted
        from private.wanted_cards as wanted
        left join (
            select known.*
            from private.video_cards as known
            where is_all or known.video_id = any(write_cards.video_ids)
        ) as card on wanted.video_id = card.video_id
        where
            (is_all or wanted.video_id = any(write_cards.video_ids))
            and (
                card.video_no is null
                or (
                    wanted.title_folded,
                    wanted.category_id,
                    wanted.channel_id,
                    wanted.duration,
                    wanted.popularity,
                    wanted.quality,
                    wanted.view_count,
                    wanted.published_at,
                    wanted.expires_at,
                    wanted.region_restrictions,
                    wanted.is_servable,
                    wanted.standing
                ) is distinct from (
                    card.title_folded,
                    card.category_id,
                    card.channel_id,
                    card.duration,
                    card.popularity,
                    card.quality,
                    card.view_count,
                    card.published_at,
                    card.expires_at,
                    card.region_restrictions,
                    card.is_servable,
                    card.standing
                )
            )
    ),

    -- By the number that it has, or is given here: no join to find the row again.
    written as (
        insert into private.video_cards as card (
            video_id,
            channel_id,
            duration,
            popularity,
            published_at,
            expires_at,
            title_folded,
            category_id,
            quality,
            view_count,
            region_restrictions,
            is_servable,
            standing,
            video_no
        )
        overriding system value
        select
            changed.video_id,
            changed.channel_id,
            changed.duration,
            changed.popularity,
            changed.published_at,
            changed.expires_at,
            changed.title_folded,
            changed.category_id,
            changed.quality,
            changed.view_count,
            changed.region_restrictions,
            changed.is_servable,
            changed.standing,
            changed.video_no
        from changed
        on conflict (video_id) do update
            set
                title_folded = excluded.title_folded,
                category_id = excluded.category_id,
                channel_id = excluded.channel_id,
                duration = excluded.duration,
                popularity = excluded.popularity,
                quality = excluded.quality,
                view_count = excluded.view_count,
                published_at = excluded.published_at,
                expires_at = excluded.expires_at,
                region_restrictions = excluded.region_restrictions,
                is_servable = excluded.is_servable,
                standing = excluded.standing
        returning 1
    ),

    unlisted as (
        insert into private.unlisted_cards as unlisted (video_no, title_folded)
        select
            changed.video_no,
            changed.title_folded
        from changed
        where changed.is_unlisted
        on conflict (video_no) do update
            set
                change_no = excluded.change_no,
                title_folded = excluded.title_folded,
                changed_at = excluded.changed_at
    )

    select count(*)
    into cards
    from written;

    with folded as materialized (
        select distinct private.search_key(spelled.keyword) collate "C" as search_key
        from (
            select distinct mapping.keyword
            from public.keyword_video_mappings as mapping
            where is_all or mapping.video_id = any(write_cards.video_ids)
        ) as spelled
    )

    insert into private.keywords (keyword)
    select folded.search_key
    from folded
    left join (
        select stored.keyword
        from private.keywords as stored
        where is_all or stored.keyword = any(array(select folded.search_key from folded))
    ) as known on folded.search_key = known.keyword
    where
        known.keyword is null
        and folded.search_key <> ''
    order by folded.search_key;

    with card as materialized (
        select
            known.video_no,
            known.video_id,
            known.standing,
            known.is_servable
        from private.video_cards as known
        where is_all or known.video_id = any(write_cards.video_ids)
    ),

    mapping as (
        select
            stored.video_id,
            stored.keyword,
            stored.relevance_score
        from public.keyword_video_mappings as stored
        where is_all or stored.video_id = any(write_cards.video_ids)
    ),

    -- Each keyword is folded once, however many videos it leads to.
    folded as materialized (
        select
            spelled.keyword,
            private.search_key(spelled.keyword) collate "C" as search_key
        from (select distinct mapping.keyword from mapping) as spelled
    ),

    numbered as (
        select
            folded.keyword,
            known.keyword_no
        from folded
        inner join (
            select
                keyword.keyword,
                keyword.keyword_no
            from private.keywords as keyword
            where is_all or keyword.keyword = any(array(select folded.search_key from folded))
        ) as known on folded.search_key = known.keyword
    ),

    wanted as (
        select
            numbered.keyword_no,
            card.video_no,
            (
                card.standing
                -- private.keyword_relevance, written out, which grows with what it is given.
                + ln(
                    greatest(
                        max(
                            case
                                when mapping.relevance_score > 0.7 then mapping.relevance_score
                                else 0.1 + mapping.relevance_score / 2
                            end
                        ),
                        0.01
                    )
                )
            )::real as score
        from mapping
        inner join card on mapping.video_id = card.video_id
        inner join numbered on mapping.keyword = numbered.keyword
        where card.is_servable
        group by
            numbered.keyword_no,
            card.video_no,
            card.standing
    ),

    -- What is as it should be is not written.
    changed as materialized (
        select
            stored.place,
            wanted.keyword_no,
            wanted.video_no,
            wanted.score
        from wanted
        full join (
            select
                posting.ctid as place,
                posting.keyword_no,
                posting.video_no,
                posting.score
            from private.keyword_postings as posting
            where is_all or posting.video_no = any(array(select card.video_no from card))
        ) as stored
            on
                wanted.video_no = stored.video_no
                and wanted.keyword_no = stored.keyword_no
        where wanted.score is distinct from stored.score
    ),

    lost as (
        delete from private.keyword_postings as posting
        where posting.ctid = any(array(select changed.place from changed where changed.video_no is null))
        returning 1
    ),

    won as (
        insert into private.keyword_postings as posting (keyword_no, video_no, score)
        select
            changed.keyword_no,
            changed.video_no,
            changed.score
        from changed
        where changed.video_no is not null
        order by
            changed.keyword_no asc,
            changed.score desc
        on conflict (video_no, keyword_no) do update
            set score = excluded.score
        returning 1
    )

    select
        (select count(*) from lost)
        + (select count(*) from won)
    into postings;

    with taken as (
        delete from private.keyword_deltas
        returning
            keyword_no,
            videos
    ),

    delta as materialized (
        select
            taken.keyword_no,
            sum(taken.videos) as videos
        from taken
        group by taken.keyword_no
        having sum(taken.videos) <> 0
    )

    insert into private.keywords as keyword (keyword_no, keyword, videos)
    overriding system value
    select
        known.keyword_no,
        known.keyword,
        known.videos + delta.videos
    from delta
    inner join (
        select stored.*
        from private.keywords as stored
        where is_all or stored.keyword_no = any(array(select delta.keyword_no from delta))
    ) as known on delta.keyword_no = known.keyword_no
    on conflict (keyword_no) do update
        set videos = excluded.videos;

    return jsonb_build_object('cards_written', cards, 'postings_written', postings);
end
$$;
comment on function private.write_cards(text[]) is
'Makes the cards and postings of these videos, of all for null, what the cache says. Returns how many differed.';

create function private.list_grams(batch_size integer)
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
language plpgsql
as $$
declare
    round private.list_round;
    grams text[];
begin
    select *
    into round
    from private.list_round;
    if round.target_no is null then
        -- A few are quickly looked up apart; the lists are not rewritten for each.
        update private.list_round
        set target_no = due.target_no
        from (
            select max(unlisted.change_no) as target_no
            from private.unlisted_cards as unlisted
            having count(*) >= 2000 or min(unlisted.changed_at) < now() - interval '1 hour'
        ) as due
        returning list_round.*
        into round;
        if not found then
            return 0;
        end if;
    end if;

    -- What changed with each gram of this batch.
    grams := array(
        select due.gram
        from (
            select distinct gram.gram collate "C" as gram
            from private.unlisted_cards as unlisted
            cross join lateral unnest(private.title_grams(unlisted.title_folded)) as gram (gram)
            where
                unlisted.change_no <= round.target_no
                and gram.gram collate "C" > round.done_gram
        ) as due
        order by due.gram
        limit batch_size
    );

    -- Lists stay the highest standings without a gap: what sank below the last is left out, as others may stand between.
    with changed as materialized (
        select distinct
            gram.gram collate "C" as gram,
            unlisted.video_no
        from private.unlisted_cards as unlisted
        cross join lateral unnest(private.title_grams(unlisted.title_folded)) as gram (gram)
        where
            unlisted.change_no <= round.target_no
            and gram.gram = any(grams)
    ),

    merged as materialized (
        select
            list.gram,
            list.is_whole,
            list.last_standing,
            list.videos,
            card.video_no,
            card.standing
        from private.frequent_grams as list
        cross join lateral (
            select unnest(list.video_nos) as video_no
            union
            select changed.video_no
            from changed
            where changed.gram = list.gram
        ) as entry
        inner join private.video_cards as card on entry.video_no = card.video_no
        where
            list.gram = any(grams)
            and card.is_servable
            and card.standing >= list.last_standing
            and strpos(replace(card.title_folded, ' ', ''), list.gram) > 0
    ),

    ranked as (
        select
            merged.gram,
            count(*) as videos,
            bool_and(merged.is_whole) as is_whole,
            max(merged.last_standing) as last_standing,
            max(merged.videos) as videos_before,
            (array_agg(merged.video_no order by merged.standing desc, merged.video_no desc))[1:2000] as video_nos,
            (array_agg(merged.standing order by merged.standing desc, merged.video_no desc))[2000] as cut
        from merged
        group by merged.gram
    )

    update private.frequent_grams as list
    set
        videos = case when ranked.is_whole then ranked.videos else list.videos end,
        is_whole = ranked.is_whole and ranked.videos <= 2000,
        last_standing = case
            when ranked.is_whole and ranked.videos <= 2000 then '-infinity'
            when ranked.videos > 2000 then ranked.cut
            else ranked.last_standing
        end,
        video_nos = ranked.video_nos
    from ranked
    where
        list.gram = ranked.gram
        and (list.video_nos <> ranked.video_nos or list.videos <> ranked.videos);

    -- Lists that lost half of what they held, and pairs that have become frequent, are made from the titles.
    delete from private.frequent_grams as list
    where
        list.gram = any(grams)
        and cardinality(list.video_nos) < case when list.is_whole then 50 else 1000 end;
    perform private.make_lists(
        array(
            select gram.gram
            from unnest(grams) as gram (gram)
            where
                not exists (
                    select
                    from private.frequent_grams as list
                    where list.gram = gram.gram
                )
                and (
                    select count(*) > 100
                    from (
                        select
                        from private.video_cards as card
                        where
                            private.title_grams(card.title_folded) @> array[gram.gram]
                            and card.is_servable
                        limit 101
                    ) as first_ones
                )
        )
    );

    if cardinality(grams) < batch_size then
        update private.list_round
        set
            listed_no = round.target_no,
            target_no = null,
            done_gram = '';
        delete from private.unlisted_cards as unlisted
        where unlisted.change_no <= round.target_no;
    else
        update private.list_round
        set done_gram = grams[cardinality(grams)];
    end if;
    return cardinality(grams);
end
$$;

create function private.make_lists(grams text[])
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
language sql
as $$
    insert into private.frequent_grams (gram, videos, is_whole, last_standing, video_nos)
    select
        list.gram,
        list.videos,
        list.videos <= 2000,
        case when list.videos <= 2000 then '-infinity'::real else list.standings[2000] end,
        list.video_nos[1:2000]
    from (
        select
            gram.gram,
            count(*) as videos,
            array_agg(card.video_no order by card.standing desc, card.video_no desc) as video_nos,
            array_agg(card.standing order by card.standing desc, card.video_no desc) as standings
        from unnest(make_lists.grams) as gram (gram)
        inner join private.video_cards as card
            on
                private.title_grams(card.title_folded) @> array[gram.gram]
                and card.is_servable
        group by gram.gram
    ) as list
$$;
comment on function private.make_lists(text[]) is 'Makes the lists of these grams, which have none, from the titles.';
comment on function private.list_grams(integer) is
'Brings the lists of so many grams up to date, in rounds: each takes all grams of what had changed when it began.';

create function private.fold_video_cards(batch_size integer default 5000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    marked text[];
    counts jsonb;
begin
    -- One fold at a time: changes are numbered in the order in which they can be seen.
    perform pg_advisory_xact_lock(hashtextextended('shorts-fold-video-cards', 0));

    with due as (
        select
            mark.id,
            sum(cardinality(mark.video_ids)) over (order by mark.id) - cardinality(mark.video_ids) as before
        from (
            select *
            from private.card_marks
            order by id
            limit batch_size
        ) as mark
    ),

    taken as (
        delete from private.card_marks as mark
        using due
        where
            mark.id = due.id
            and due.before < batch_size
        returning mark.video_ids
    )

    select array_agg(distinct one.video_id)
    into marked
    from taken
    cross join lateral unnest(taken.video_ids) as one (video_id);

    -- Time alone changes what may be served.
    marked := coalesce(marked, '{}') || array(
        select card.video_id::text
        from private.video_cards as card
        where
            card.is_servable
            and card.expires_at <= now()
        order by card.expires_at
        limit batch_size
    );
    counts := private.write_cards(marked);
    if (counts ->> 'cards_written')::integer > 0 then
        -- Each search would read what waits to be sorted into the index.
        perform gin_clean_pending_list('private.video_cards_by_gram');
        perform gin_clean_pending_list('private.unlisted_cards_by_gram');
    end if;
    return
        jsonb_build_object('videos_marked', cardinality(marked))
        || counts
        || jsonb_build_object('grams_listed', private.list_grams(500));
end
$$;
comment on function private.fold_video_cards(integer) is
'Brings the cards, postings and lists up to date with a batch of what changed in the cache. Returns what it did.';

create function private.rebuild_video_cards()
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
set work_mem = '64MB'
-- Millions of grams are sorted into their index at once.
set gin_pending_list_limit = '256MB'
language plpgsql
as $$
declare
    counts jsonb;
begin
    perform pg_advisory_xact_lock(hashtextextended('shorts-fold-video-cards', 0));
    delete from private.card_marks;
    -- Numbers of videos stay, since other tables refer to them.
    counts := private.write_cards(null);
    perform gin_clean_pending_list('private.video_cards_by_gram');
    update private.keywords as keyword
    set videos = counted.videos
    from (
        select
            one.keyword_no,
            count(posting.video_no) as videos
        from private.keywords as one
        left join private.keyword_postings as posting on one.keyword_no = posting.keyword_no
        group by one.keyword_no
    ) as counted
    where
        keyword.keyword_no = counted.keyword_no
        and keyword.videos <> counted.videos;

    delete from private.unlisted_cards;
    delete from private.frequent_grams;
    update private.list_round
    set
        listed_no = nextval('private.card_changes'),
        target_no = null,
        done_gram = '';
    with ranked as materialized (
        select
            card.video_no,
            card.standing,
            card.title_folded,
            row_number() over (order by card.standing desc, card.video_no desc)::integer as place
        from private.video_cards as card
        where card.is_servable
    ),

    listed as (
        select
            gram.gram,
            count(*) as videos,
            -- Places are small numbers, quickly sorted.
            array_agg(ranked.place order by ranked.place) as places
        from ranked
        cross join lateral (select distinct unnest(private.title_grams(ranked.title_folded)) as gram) as gram
        group by gram.gram
        having count(*) > 100
    )

    insert into private.frequent_grams (gram, videos, is_whole, last_standing, video_nos)
    select
        listed.gram,
        listed.videos,
        listed.videos <= 2000,
        case when listed.videos <= 2000 then '-infinity'::real else min(ranked.standing) end,
        array_agg(ranked.video_no order by ranked.place)
    from listed
    cross join lateral unnest(listed.places[1:2000]) as entry (place)
    inner join ranked on entry.place = ranked.place
    group by
        listed.gram,
        listed.videos;
    return counts || jsonb_build_object('grams_listed', (select count(*) from private.frequent_grams));
end
$$;
comment on function private.rebuild_video_cards() is
'Makes all cards, postings and lists what the cache says, in one go. For operators, after a restore or a mass load.';

create function private.video_card_problems()
returns table (
    problem text,
    place text
)
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with waiting as materialized (
        select distinct one.video_id
        from private.card_marks as mark
        cross join lateral unnest(mark.video_ids) as one (video_id)
        union
        select card.video_id
        from private.video_cards as card
        where
            card.is_servable
            and card.expires_at <= now()
    ),

    postings as materialized (
        select
            posting.video_no,
            keyword.keyword,
            posting.score
        from private.keyword_postings as posting
        inner join private.keywords as keyword on posting.keyword_no = keyword.keyword_no
    ),

    changes as materialized (
        select
            round.listed_no,
            round.target_no,
            round.done_gram
        from private.list_round as round
    ),

    grams as materialized (
        select
            gram.gram collate "C" as gram,
            card.video_no,
            card.standing,
            coalesce(
                unlisted.change_no > case
                    when gram.gram collate "C" <= changes.done_gram then coalesce(changes.target_no, changes.listed_no)
                    else changes.listed_no
                end,
                false
            ) as is_apart
        from private.video_cards as card
        cross join lateral (select distinct unnest(private.title_grams(card.title_folded)) as gram) as gram
        cross join changes
        left join private.unlisted_cards as unlisted on card.video_no = unlisted.video_no
        where card.is_servable
    )

    select
        case
            when card.video_id is null then 'a video has no card'
            else 'a card differs from its video'
        end as problem,
        wanted.video_id as place
    from private.wanted_cards as wanted
    left join private.video_cards as card on wanted.video_id = card.video_id
    where
        wanted.video_id not in (select waiting.video_id from waiting)
        and (
            wanted.title_folded,
            wanted.category_id,
            wanted.channel_id,
            wanted.duration,
            wanted.popularity,
            wanted.quality,
            wanted.view_count,
            wanted.published_at,
            wanted.expires_at,
            wanted.region_restrictions,
            wanted.is_servable,
            wanted.standing
        ) is distinct from (
            card.title_folded,
            card.category_id,
            card.channel_id,
            card.duration,
            card.popularity,
            card.quality,
            card.view_count,
            card.published_at,
            card.expires_at,
            card.region_restrictions,
            card.is_servable,
            card.standing
        )
    union all
    select
        'a posting differs from its mapping' as problem,
        format('%s of %s', coalesce(wanted.keyword, posting.keyword), card.video_id) as place
    from private.wanted_postings as wanted
    full join postings as posting
        on
            wanted.video_no = posting.video_no
            and wanted.keyword = posting.keyword
    inner join private.video_cards as card on coalesce(wanted.video_no, posting.video_no) = card.video_no
    where
        wanted.score is distinct from posting.score
        and card.video_id not in (select waiting.video_id from waiting)
    union all
    select
        'a keyword''s number of videos is wrong' as problem,
        keyword.keyword as place
    from private.keywords as keyword
    left join (
        select
            postings.keyword,
            count(*) as videos
        from postings
        group by postings.keyword
    ) as counted on keyword.keyword = counted.keyword
    left join (
        select
            delta.keyword_no,
            sum(delta.videos) as videos
        from private.keyword_deltas as delta
        group by delta.keyword_no
    ) as delta on keyword.keyword_no = delta.keyword_no
    where keyword.videos + coalesce(delta.videos, 0) <> coalesce(counted.videos, 0)
    union all
    select
        'a list lacks a video' as problem,
        format('%s of %s', list.gram, grams.video_no) as place
    from private.frequent_grams as list
    inner join grams on list.gram = grams.gram
    where
        not grams.is_apart
        and grams.standing > list.last_standing
        and not list.video_nos @> array[grams.video_no]
$$;
comment on function private.video_card_problems() is
'Where cards, postings and lists are not what the cache says; nothing is right. What waits for the fold is no problem.';
