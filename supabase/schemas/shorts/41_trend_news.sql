-- Promises that whoever follows the trends sees every one once and in the order of commits, however often the
-- connection broke: news are numbered without gaps when they are committed, broadcast, and can be asked for again.

create table private.trend_news (
    id bigint generated always as identity primary key,
    cursor bigint unique,
    trend_id uuid not null,
    keyword text not null,
    region_code text not null,
    change text not null,
    limited jsonb not null,
    full_row jsonb not null,
    is_first boolean not null,
    created_at timestamptz not null default now(),
    constraint change_is_known check (change in ('inserted', 'updated'))
);
alter table private.trend_news enable row level security;
create index trend_news_without_number on private.trend_news (id)
where cursor is null;
comment on table private.trend_news is
'What became of trends, as it is told to those who follow them. Kept for 7 days.';
comment on column private.trend_news.cursor is
'Its number, without gaps and in the order of commits; null until its transaction commits.';
comment on column private.trend_news.limited is 'What everybody may see of the trend.';
comment on column private.trend_news.full_row is 'The trend as it was: for premium and up.';
comment on column private.trend_news.is_first is
'Whether it is the first of its statement: it has all be numbered when the transaction commits.';

create table private.trend_news_counter (
    is_the_only_one boolean primary key default true,
    newest bigint not null default 0,
    constraint there_is_one_counter check (is_the_only_one)
);
alter table private.trend_news_counter enable row level security;
insert into private.trend_news_counter default values;
comment on table private.trend_news_counter is
'The newest cursor: one row, locked by one committing transaction at a time.';

create function private.add_trend_news(
    trend_ids uuid[],
    change text
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
language plpgsql
as $$
begin
    insert into private.trend_news (trend_id, keyword, region_code, change, limited, full_row, is_first)
    select
        trend.id,
        trend.keyword,
        trend.region_code,
        add_trend_news.change,
        jsonb_build_object(
            'change', add_trend_news.change,
            'id', trend.id,
            'keyword', trend.keyword,
            'region_code', trend.region_code,
            'trend_score', trend.trend_score,
            'growth_rate', trend.growth_rate,
            'detected_at', trend.detected_at
        ),
        to_jsonb(trend) || jsonb_build_object('change', add_trend_news.change),
        row_number() over (order by trend.detected_at, trend.id) = 1
    from public.trending_keywords as trend
    where trend.id = any(trend_ids)
    order by
        trend.detected_at,
        trend.id;
exception
    when others then
        raise warning 'trends are no news: %', sqlerrm;
end
$$;
comment on function private.add_trend_news(uuid[], text) is
'Notes what is told of these trends; it is numbered and broadcast when the transaction commits. Never raises.';

create function private.broadcast_trend_news(
    after bigint,
    up_to bigint
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
language plpgsql
as $$
begin
    -- All topics are private: on a public one any client could send, and its trends would look like ours.
    perform
        realtime.send(
            jsonb_build_object('cursor', news.cursor)
            || case when listeners.topic = 'trends' then news.limited else news.full_row end,
            'trend',
            listeners.topic,
            true
        )
    from private.trend_news as news
    cross join unnest(array['trends', 'trends:premium', 'trends:pro', 'trends:enterprise']) as listeners (topic)
    where
        -- Of very many the last will do: who hears it has a gap and asks for the others, a page at a time.
        news.cursor > case
            when broadcast_trend_news.up_to - broadcast_trend_news.after > 500 then broadcast_trend_news.up_to - 1
            else broadcast_trend_news.after
        end
        and news.cursor <= broadcast_trend_news.up_to
    order by news.cursor;
exception
    when others then
        raise warning 'trends were not broadcast: %', sqlerrm;
end
$$;
comment on function private.broadcast_trend_news(bigint, bigint) is
'Broadcasts the news of these numbers in their order, of more than 500 the last alone: limited for everybody, in full '
'for each tier. Never raises.';

create function private.number_trend_news()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
language plpgsql
as $$
declare
    before bigint;
    up_to bigint;
begin
    -- From here to the end of the commit nobody else gets a number: so numbers are in the order of commits.
    select counter.newest
    into before
    from private.trend_news_counter as counter
    where
        -- Else an earlier statement of the transaction numbered this one's with its own.
        exists (
            select
            from private.trend_news as news
            where
                news.id = new.id
                and news.cursor is null
        )
    for update;
    if not found then
        return null;
    end if;
    with numbered as (
        update private.trend_news as stored
        set cursor = before + waiting.position
        from (
            select
                news.id,
                row_number() over (order by news.id) as position
            from private.trend_news as news
            where news.cursor is null
        ) as waiting
        where stored.id = waiting.id
        returning stored.id
    )

    update private.trend_news_counter
    set newest = before + (select count(*) from numbered)
    returning newest
    into up_to;
    perform private.broadcast_trend_news(before, up_to);
    return null;
exception
    when others then
        -- The row waits for the next transaction that brings news.
        raise warning 'the news of trends were not numbered: %', sqlerrm;
        return null;
end
$$;
comment on function private.number_trend_news() is
'Runs while the transaction commits: numbers all its news at once and broadcasts them.';

-- Postgres asks for the condition at once: a statement of 5,000 trends leaves one call to the commit.
create constraint trigger number_trend_news
after insert on private.trend_news
deferrable initially deferred
for each row
when (new.is_first)
execute function private.number_trend_news();

create function private.trend_news_after(
    after bigint,
    most integer
)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if trend_news_after.after < 0 then
        raise exception using
            errcode = 'PT400',
            message = 'The cursor is negative.',
            detail = format('cursor is %s.', trend_news_after.after),
            hint = 'Send the cursor of the last answer or broadcast, or none to begin now.';
    end if;
    if (trend_news_after.most between 1 and 1000) is not true then
        raise exception using
            errcode = 'PT400',
            message = 'The limit is not between 1 and 1000.',
            detail = format('limit is %s.', trend_news_after.most),
            hint = 'Send a whole number from 1 to 1000, and the cursor of the answer for more.';
    end if;
    return (
        with position as (
            select
                counter.newest,
                coalesce(trend_news_after.after, counter.newest) as seen,
                (
                    select min(news.cursor)
                    from private.trend_news as news
                ) as oldest
            from private.trend_news_counter as counter
        ),

        -- A number that was not given yet is from before a restore: what follows it cannot be told, so all begins anew.
        start as (
            select
                position.newest,
                case when position.seen > position.newest then position.newest else position.seen end as seen,
                position.seen > position.newest
                or (position.seen < position.newest and coalesce(position.oldest > position.seen + 1, true)) as missed
            from position
        ),

        page as (
            select
                news.cursor,
                jsonb_build_object('cursor', news.cursor)
                || case when reader.is_full then news.full_row else news.limited end as told
            from start
            inner join private.trend_news as news on news.cursor > start.seen
            cross join (
                select
                    private.has_tier('premium')
                    or coalesce(nullif(current_setting('role', true), 'none'), session_user)
                    in ('service_role', 'postgres') as is_full
            ) as reader
            order by news.cursor
            limit most
        )

        select
            jsonb_build_object(
                'trends', coalesce((select jsonb_agg(page.told order by page.cursor) from page), '[]'),
                'cursor', told.up_to,
                'newest', start.newest,
                'is_complete', told.up_to >= start.newest,
                'missed', start.missed
            )
        from start
        cross join lateral (
            select
                coalesce(
                    (select max(page.cursor) from page),
                    -- What was missed is not kept any more: there is nothing to wait for.
                    case when start.missed then start.newest else start.seen end
                ) as up_to
        ) as told
    );
end
$$;
comment on function private.trend_news_after(bigint, integer) is
'What public.trends_since answers. Reads past privileges: premium and the service get full rows, others limited ones.';

create function public.trends_since(
    cursor bigint default null,
    "limit" integer default 100
)
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.trend_news_after(trends_since.cursor, trends_since."limit")
$$;
comment on function public.trends_since(bigint, integer) is
'What became of trends since a cursor, in order: {"trends", "cursor", "newest", "is_complete", "missed"}. Without a '
'cursor it begins now. missed: the cursor is older than the 7 days that are kept. Full rows for premium and up, '
'limited ones for everybody.';

create function private.forget_trend_news(
    at timestamptz default now(),
    most integer default 10000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Only from the old end, so that what is kept has no gaps.
    with oldest as (
        select
            page.id,
            bool_and(page.created_at < forget_trend_news.at - interval '7 days') over (order by page.cursor) as is_over
        from (
            select
                news.id,
                news.cursor,
                news.created_at
            from private.trend_news as news
            where news.cursor is not null
            order by news.cursor
            limit forget_trend_news.most
        ) as page
    ),

    forgotten as (
        delete from private.trend_news as stored
        using oldest
        where
            stored.id = oldest.id
            and oldest.is_over
        returning stored.id
    )

    select jsonb_build_object('forgotten', count(*))
    from forgotten
$$;
comment on function private.forget_trend_news(timestamptz, integer) is
'Deletes a batch of the news that are older than 7 days, the oldest first. Returns how many.';
