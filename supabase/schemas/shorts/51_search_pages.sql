-- Promises that a question asked again costs a look-up, and that no kept answer outlives what it shows.

create table private.keyword_pages (
    keyword text collate "C",
    is_anonymous boolean,
    body json not null,
    video_ids text[] collate "C" not null,
    min_expires_at timestamptz not null,
    rendered_at timestamptz not null default now(),
    primary key (keyword, is_anonymous)
);
alter table private.keyword_pages enable row level security;
-- In the row itself and quick to unpack: another look-up would cost as much as the first.
alter table private.keyword_pages alter column body set storage main;
alter table private.keyword_pages alter column body set compression lz4;
-- Which pages show a video. Without a list of what is pending: who drops a page shall not read that first.
create index keyword_pages_by_video on private.keyword_pages using gin (video_ids) with (fastupdate = off);
create index keyword_pages_by_expiry on private.keyword_pages (min_expires_at);
comment on table private.keyword_pages is
'Answers to searches as they are sent: the first 20 without filters, for Korea. Derived; may be emptied at any time.';
comment on column private.keyword_pages.keyword is 'What was searched for, folded.';
comment on column private.keyword_pages.is_anonymous is 'Whether it is what visitors who are not signed in may see.';
comment on column private.keyword_pages.body is 'The answer of search_videos.';
comment on column private.keyword_pages.video_ids is 'YouTube''s ids of the videos on it.';
comment on column private.keyword_pages.min_expires_at is
'From when on it is not served: when its first video expires, or it has been kept for long enough.';
comment on column private.keyword_pages.rendered_at is 'When it was made.';

-- A table for its locks alone: who renders takes the one kind, who changes what may be shown the other. Many of either
-- kind work at the same time, and never one of each.
create table private.search_page_gate (
    nothing boolean primary key
);
alter table private.search_page_gate enable row level security;
comment on table private.search_page_gate is
'Always empty, for its locks: no page is rendered while somebody takes a video out.';
comment on column private.search_page_gate.nothing is 'There is no row.';

create table private.search_page_reads (
    day date,
    slot smallint,
    hits bigint not null default 0,
    misses bigint not null default 0,
    primary key (day, slot),
    constraint page_reads_are_not_negative check (hits >= 0 and misses >= 0)
);
alter table private.search_page_reads enable row level security;
comment on table private.search_page_reads is
'How many searches a kept page answered, by day in Korea: one in 128 is counted, as 128. Only searches that could have '
'been answered so: the first 20 without filters. Kept for 90 days.';
comment on column private.search_page_reads.day is 'Day in Korea.';
comment on column private.search_page_reads.slot is 'One of eight rows of a day, so that nobody waits for another.';
comment on column private.search_page_reads.hits is 'Answered by a page.';
comment on column private.search_page_reads.misses is 'Searched for.';

create function private.count_page_read(
    is_hit boolean,
    weight integer
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- A GET reads only.
    if current_setting('transaction_read_only') = 'off' then
        insert into private.search_page_reads as counted (day, slot, hits, misses)
        values (
            private.korean_day(),
            floor(random() * 8),
            case when count_page_read.is_hit then count_page_read.weight else 0 end,
            case when count_page_read.is_hit then 0 else count_page_read.weight end
        )
        on conflict (day, slot) do update
            set
                hits = counted.hits + excluded.hits,
                misses = counted.misses + excluded.misses;
    end if;
end
$$;
comment on function private.count_page_read(boolean, integer) is
'Counts searches that a kept page answered, or could have. Nothing in a transaction that only reads.';

create function private.drop_search_pages(keywords text[])
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    dropped integer;
begin
    if coalesce(cardinality(keywords), 0) = 0 then
        return 0;
    end if;
    -- Until the end of the transaction nobody renders: a page made of what is about to change would stay.
    lock table private.search_page_gate in share mode;
    with stale as materialized (
        select
            page.keyword,
            page.is_anonymous
        from private.keyword_pages as page
        where page.keyword = any(drop_search_pages.keywords)
        order by
            page.keyword asc,
            page.is_anonymous asc
        for update
    ),

    gone as (
        delete from private.keyword_pages as page
        using stale
        where
            page.keyword = stale.keyword
            and page.is_anonymous = stale.is_anonymous
        returning 1
    )

    select count(*)
    into dropped
    from gone;
    return dropped;
end
$$;
comment on function private.drop_search_pages(text[]) is
'Drops the pages of folded keywords and returns how many; until the end of the transaction none is rendered anew.';

create function private.drop_pages_of_videos(video_ids text[])
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if coalesce(cardinality(drop_pages_of_videos.video_ids), 0) = 0 then
        return 0;
    end if;
    lock table private.search_page_gate in share mode;
    return private.drop_search_pages(
        array(
            select distinct page.keyword
            from private.keyword_pages as page
            where page.video_ids && drop_pages_of_videos.video_ids
        )
    );
end
$$;
comment on function private.drop_pages_of_videos(text[]) is
'Drops the pages that show one of the videos and returns how many; until the end of the transaction none is rendered.';

create function private.drop_pages_of_changed_videos()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Only what could be on a page and may not be any more, or not there: counters change all the time.
    perform private.drop_pages_of_videos(
        array(
            select before.video_id
            from before
            inner join after on before.id = after.id
            where
                before.is_playable
                and before.is_shorts
                and (
                    not after.is_playable
                    or not after.is_shorts
                    or after.expires_at < before.expires_at
                    or after.purged_at is distinct from before.purged_at
                    or after.region_restrictions <> before.region_restrictions
                    or after.video_id <> before.video_id
                    or (before.view_count > 1000 and coalesce(after.view_count, 0) <= 1000)
                )
        )
    );
    return null;
end
$$;
comment on function private.drop_pages_of_changed_videos() is
'Drops the pages with videos that an update took out, or changed where they play.';

create function private.drop_pages_of_deleted_videos()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.drop_pages_of_videos(
        array(
            select before.video_id
            from before
            where
                before.is_playable
                and before.is_shorts
        )
    );
    return null;
end
$$;
comment on function private.drop_pages_of_deleted_videos() is 'Drops the pages with videos that were deleted.';

create function private.drop_all_pages()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    lock table private.search_page_gate in share mode;
    delete from private.keyword_pages;
    return null;
end
$$;
comment on function private.drop_all_pages() is 'Drops all pages, when all videos go at once.';

create trigger drop_pages_of_changed_videos
after update on public.cached_videos
referencing old table as before new table as after
for each statement
execute function private.drop_pages_of_changed_videos();

create trigger drop_pages_of_deleted_videos
after delete on public.cached_videos
referencing old table as before
for each statement
execute function private.drop_pages_of_deleted_videos();

create trigger drop_all_pages
after truncate on public.cached_videos
for each statement
execute function private.drop_all_pages();

create function private.drop_pages_of_keywords()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.drop_search_pages(
        array(
            select keyword.keyword
            from private.keywords as keyword
            where
                keyword.keyword_no in (
                    select changed.keyword_no
                    from changed
                )
        )
    );
    return null;
end
$$;
comment on function private.drop_pages_of_keywords() is
'Drops the pages of keywords that lead elsewhere now, or in another order, in the transaction that folds it.';

create trigger drop_pages_of_new_postings
after insert on private.keyword_postings
referencing new table as changed
for each statement
execute function private.drop_pages_of_keywords();

create trigger drop_pages_of_moved_postings
after update on private.keyword_postings
referencing new table as changed
for each statement
execute function private.drop_pages_of_keywords();

create trigger drop_pages_of_lost_postings
after delete on private.keyword_postings
referencing old table as changed
for each statement
execute function private.drop_pages_of_keywords();

create function private.keep_search_page(
    keyword text,
    is_anonymous boolean,
    answer json
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- What somebody typed wrongly or half is asked again soon, or never; the order of a keyword is folded by then.
    insert into private.keyword_pages as stored (keyword, is_anonymous, body, video_ids, min_expires_at)
    select
        keep_search_page.keyword,
        keep_search_page.is_anonymous,
        keep_search_page.answer,
        array_agg(video.video_id::text),
        least(
            min(video.expires_at),
            now() + case
                when keep_search_page.answer ->> 'how' = 'keyword' then interval '1 hour'
                else interval '10 minutes'
            end
        )
    from json_array_elements(keep_search_page.answer -> 'videos') as listed (card)
    inner join public.cached_videos as video on listed.card ->> 'video_id' = video.video_id
    having
        count(*) = json_array_length(keep_search_page.answer -> 'videos')
        and bool_and(video.is_playable and video.is_shorts)
        and count(*) > 0
    on conflict on constraint keyword_pages_pkey do update
        set
            body = excluded.body,
            video_ids = excluded.video_ids,
            min_expires_at = excluded.min_expires_at,
            rendered_at = excluded.rendered_at
$$;
comment on function private.keep_search_page(text, boolean, json) is
'Keeps an answer that found something, for an hour, or 10 minutes when no keyword gave it, and never longer than its '
'videos are known.';

create function private.search_afresh(
    query text,
    category_id integer,
    region text,
    max_duration integer,
    min_quality double precision,
    most integer,
    cursor text,
    facets boolean
)
returns json
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    folded constant text := private.search_key(query);
    -- The caller's: in here the current one is the owner of the function.
    is_visitor constant boolean := current_setting('role') = 'anon';
    problem record;
    is_page boolean;
    page json;
    answer json;
begin
    select
        rule.message,
        rule.hint
    into problem
    from (
        values
        (
            coalesce(length(query) > 200, true),
            'query is missing or longer than 200 characters',
            'Send what the person typed.'
        ),
        (
            folded = '',
            'query is empty',
            'Send what the person typed: blanks alone find nothing.'
        ),
        (
            search_afresh.category_id not between 0 and 999,
            'category_id is not from 0 to 999',
            'Send YouTube''s number of the category, 0 for what has none, or nothing.'
        ),
        (
            search_afresh.region <> all(private.region_codes()),
            'region is no ISO 3166 code',
            'Send two capital letters, such as KR.'
        ),
        (
            search_afresh.max_duration not between 1 and 86400,
            'max_duration is not from 1 to 86400',
            'Send seconds, such as 60 or 180, or nothing.'
        ),
        (
            search_afresh.min_quality not between 0 and 1,
            'min_quality is not from 0 to 1',
            'Send a number from 0 to 1, or nothing.'
        ),
        (
            search_afresh.most not between 1 and 50,
            'limit is not from 1 to 50',
            'Send a whole number from 1 to 50, or nothing: that is 20.'
        ),
        (
            length(search_afresh.cursor) not between 1 and 1000,
            'cursor is empty or longer than 1000 characters',
            'Send next_cursor of the page before, or nothing for the first.'
        )
    ) as rule (is_broken, message, hint)
    where rule.is_broken
    limit 1;
    if found then
        raise exception using
            errcode = 'PT400',
            message = problem.message,
            detail = 'Nothing was searched for.',
            hint = problem.hint;
    end if;

    is_page := search_afresh.category_id is null
        and search_afresh.region = 'KR'
        and search_afresh.max_duration is null
        and search_afresh.min_quality is null
        and search_afresh.most = 20
        and search_afresh.cursor is null
        and search_afresh.facets;
    if is_page then
        select stored.body
        into page
        from private.keyword_pages as stored
        where
            stored.keyword = folded
            and stored.is_anonymous = is_visitor
            and stored.min_expires_at > now();
        if found then
            if random() < 0.0078125 then
                perform private.count_page_read(true, 128);
            end if;
            return page;
        end if;
        is_page := current_setting('transaction_read_only') = 'off'
            and current_setting('transaction_isolation') = 'read committed';
        if random() < 0.0078125 then
            perform private.count_page_read(false, 128);
        end if;
    end if;
    if is_page then
        -- While somebody takes videos out, answers are given and not kept.
        begin
            lock table private.search_page_gate in row exclusive mode nowait;
        exception
            when lock_not_available then
                is_page := false;
        end;
    end if;

    answer := private.answer_search(
        query,
        folded,
        jsonb_strip_nulls(
            jsonb_build_object(
                'category_id', search_afresh.category_id,
                'region', search_afresh.region,
                'max_duration', search_afresh.max_duration,
                'min_quality', search_afresh.min_quality,
                'facets', search_afresh.facets
            )
        ),
        search_afresh.most,
        search_afresh.cursor,
        is_visitor
    );
    if is_page then
        perform private.keep_search_page(folded, is_visitor, answer);
    end if;
    return answer;
end
$$;
comment on function private.search_afresh(
    text, integer, text, integer, double precision, integer, text, boolean
) is 'Checks what is asked, searches, and keeps the answer where it is one that many will ask for.';

create function public.search_videos(
    query text,
    category_id integer default null,
    region text default 'KR',
    max_duration integer default null,
    min_quality double precision default null,
    "limit" integer default 20,
    cursor text default null,
    facets boolean default true
)
returns json
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
-- PostgREST wants the name limit, and one function less between costs a quarter less.
-- @plpgsql_check_options: other_warnings = false
declare
    page json;
begin
    -- A page is kept as what is sent and found by the question as it stands: folding it costs more than that.
    if
        search_videos.category_id is null
        and search_videos.region = 'KR'
        and search_videos.max_duration is null
        and search_videos.min_quality is null
        and search_videos."limit" = 20
        and search_videos.cursor is null
        and search_videos.facets
    then
        select stored.body
        into page
        from private.keyword_pages as stored
        where
            stored.keyword = search_videos.query
            and stored.is_anonymous = (current_user = 'anon')
            and stored.min_expires_at > now();
        if found then
            if random() < 0.0078125 then
                perform private.count_page_read(true, 128);
            end if;
            return page;
        end if;
    end if;
    return private.search_afresh(
        search_videos.query,
        search_videos.category_id,
        coalesce(search_videos.region, 'KR'),
        search_videos.max_duration,
        search_videos.min_quality,
        coalesce(search_videos."limit", 20),
        search_videos.cursor,
        coalesce(search_videos.facets, true)
    );
end
$$;
comment on function public.search_videos(
    text, integer, text, integer, double precision, integer, text, boolean
) is
'Videos for what somebody typed, the best first: {"query", "how", "answered", "videos", "facets", "total", '
'"total_is_exact", "next_cursor"}, see docs/search.md. For everybody; visitors see what they see of cached_videos.';

create function private.forget_search_pages(
    most_pages integer default 200000,
    batch_size integer default 20000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    expired integer;
    surplus integer;
    kept bigint;
begin
    with stale as materialized (
        select
            page.keyword,
            page.is_anonymous
        from private.keyword_pages as page
        where page.min_expires_at <= now()
        order by page.min_expires_at asc
        limit forget_search_pages.batch_size
        for update skip locked
    ),

    gone as (
        delete from private.keyword_pages as page
        using stale
        where
            page.keyword = stale.keyword
            and page.is_anonymous = stale.is_anonymous
        returning 1
    )

    select count(*)
    into expired
    from gone;

    -- Nobody fills the disk by asking: what expires first goes first.
    select count(*)
    into kept
    from private.keyword_pages;
    with stale as materialized (
        select
            page.keyword,
            page.is_anonymous
        from private.keyword_pages as page
        order by page.min_expires_at asc
        limit least(greatest(kept - forget_search_pages.most_pages, 0), forget_search_pages.batch_size)
        for update skip locked
    ),

    gone as (
        delete from private.keyword_pages as page
        using stale
        where
            page.keyword = stale.keyword
            and page.is_anonymous = stale.is_anonymous
        returning 1
    )

    select count(*)
    into surplus
    from gone;

    delete from private.search_page_reads
    where day < private.korean_day() - 90;
    return jsonb_build_object('expired', expired, 'surplus', surplus);
end
$$;
comment on function private.forget_search_pages(integer, integer) is
'Deletes pages that are not served any more, and what is beyond the number that is kept.';

create view ops.search_page_health
with (security_invoker = true)
as
with reads as (
    select
        coalesce(sum(counted.hits), 0) as hits,
        coalesce(sum(counted.misses), 0) as misses
    from private.search_page_reads as counted
    where counted.day >= private.korean_day() - 1
),

pages as (
    select
        count(*) as pages,
        count(*) filter (where page.min_expires_at <= now()) as expired_pages
    from private.keyword_pages as page
)

select
    reads.hits,
    reads.misses,
    pages.pages,
    pages.expired_pages,
    round(reads.hits / nullif(reads.hits + reads.misses, 0), 4) as hit_ratio,
    pg_total_relation_size('private.keyword_pages') as bytes,
    now() as last_updated
from reads
cross join pages;
comment on view ops.search_page_health is
'How many searches of today and yesterday in Korea a kept page answered, in one row. The goal: hit_ratio above 0.85.';
comment on column ops.search_page_health.hits is 'Answered by a page; one in 128 is counted, as 128.';
comment on column ops.search_page_health.misses is 'Searched for, though a page could have answered.';
comment on column ops.search_page_health.pages is 'Pages that are kept.';
comment on column ops.search_page_health.expired_pages is 'Those of them that are not served any more.';
comment on column ops.search_page_health.hit_ratio is 'Share of hits, 0 to 1; null before the first counted search.';
comment on column ops.search_page_health.bytes is 'What they take of the disk, with indexes.';
comment on column ops.search_page_health.last_updated is 'When it was asked.';
