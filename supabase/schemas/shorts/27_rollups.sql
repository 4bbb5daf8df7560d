-- Promises that the figures of a keyword's day are those of its interactions, however often they are counted.

create function private.rollup_keyword_metrics(day date)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    begins timestamptz := day::timestamp at time zone 'Asia/Seoul';
    ends timestamptz := begins + interval '24 hours';
    answer jsonb;
begin
    -- After 90 days the searches are archived, and no interaction knows its keyword any more.
    if coalesce(begins < now() - interval '90 days', true) then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'The day is too long ago to be counted again.',
            detail = format('The day is %s.', coalesce(day::text, 'missing')),
            hint = 'Pass a day of the last 90; older figures stay as they are.';
    end if;

    -- What is said to the AI is a conversation and no keyword. Words as typed are counted first, which is cheap.
    with searched_words as (
        select
            session.search_query as words,
            count(*) as searches,
            sum(session.results_clicked) as clicks,
            count(distinct session.user_id) as people
        from public.search_sessions as session
        where
            session.session_started_at >= begins
            and session.session_started_at < ends
            and session.search_type <> 'ai_chat'
        group by session.search_query
    ),

    searched as (
        select
            left(private.normalize_keyword(searched_words.words), 255) as keyword,
            sum(searched_words.searches) as searches,
            sum(searched_words.clicks) as clicks,
            max(searched_words.people) as people
        from searched_words
        group by left(private.normalize_keyword(searched_words.words), 255)
    ),

    watched_words as (
        select
            session.search_query as words,
            count(*) filter (where interaction.interaction_type = 'view') as views,
            count(*) filter (where interaction.interaction_type = 'like') as likes,
            count(*) filter (where interaction.interaction_type = 'skip') as skips,
            sum(interaction.watch_duration) as seconds,
            sum(interaction.completion_rate) filter (where interaction.interaction_type = 'view') as completions,
            count(distinct interaction.user_id) as people
        from public.video_interactions as interaction
        inner join public.search_sessions as session
            on
                interaction.session_id = session.id
                and interaction.session_started_at = session.session_started_at
                -- Said again for the planner, which skips whole months by it.
                and session.session_started_at >= begins - interval '91 days'
                and session.session_started_at < ends + interval '1 day'
        where
            interaction.created_at >= begins
            and interaction.created_at < ends
            and session.search_type <> 'ai_chat'
        group by session.search_query
    ),

    watched as (
        select
            left(private.normalize_keyword(watched_words.words), 255) as keyword,
            sum(watched_words.views) as views,
            sum(watched_words.likes) as likes,
            sum(watched_words.skips) as skips,
            sum(watched_words.seconds) as seconds,
            round(sum(watched_words.completions) / nullif(sum(watched_words.views), 0), 2) as completion,
            max(watched_words.people) as people
        from watched_words
        group by left(private.normalize_keyword(watched_words.words), 255)
    ),

    counted as materialized (
        select
            coalesce(searched.keyword, watched.keyword) as keyword,
            -- Of the spelling that most people used, so rather too few than too many.
            greatest(searched.people, watched.people, 0)::integer as people,
            least(coalesce(searched.searches, 0), 2147483647)::integer as searches,
            least(coalesce(searched.clicks, 0), 2147483647)::integer as clicks,
            least(coalesce(watched.views, 0), 2147483647)::integer as views,
            least(coalesce(watched.likes, 0), 2147483647)::integer as likes,
            least(coalesce(watched.seconds, 0), 2147483647)::integer as seconds,
            watched.completion,
            round(least(watched.likes, watched.views) / nullif(watched.views, 0), 2) as like_rate,
            round(watched.skips / nullif(watched.views + watched.skips, 0), 2) as skip_rate
        from searched
        full outer join watched on searched.keyword = watched.keyword
        where coalesce(searched.keyword, watched.keyword) <> ''
    ),

    performance as (
        insert into public.keyword_performance_cache as stored (
            keyword,
            date,
            total_views,
            avg_completion_rate,
            total_likes,
            people
        )
        select
            counted.keyword,
            day,
            counted.views,
            counted.completion,
            counted.likes,
            counted.people
        from counted
        where counted.views > 0
        order by counted.keyword
        on conflict on constraint keyword_performance_cache_pkey do update
            set
                total_views = excluded.total_views,
                avg_completion_rate = excluded.avg_completion_rate,
                total_likes = excluded.total_likes,
                people = excluded.people
            where
                (stored.total_views, stored.avg_completion_rate, stored.total_likes, stored.people)
                is distinct from (
                    excluded.total_views, excluded.avg_completion_rate, excluded.total_likes, excluded.people
                )
        returning stored.keyword
    ),

    effectiveness as (
        insert into public.keyword_effectiveness as stored (
            keyword,
            date,
            search_count,
            click_count,
            total_watch_time,
            avg_completion_rate,
            like_rate,
            skip_rate,
            people
        )
        select
            counted.keyword,
            day,
            counted.searches,
            counted.clicks,
            counted.seconds,
            counted.completion,
            counted.like_rate,
            counted.skip_rate,
            counted.people
        from counted
        order by counted.keyword
        on conflict on constraint keyword_effectiveness_pkey do update
            set
                search_count = excluded.search_count,
                click_count = excluded.click_count,
                total_watch_time = excluded.total_watch_time,
                avg_completion_rate = excluded.avg_completion_rate,
                like_rate = excluded.like_rate,
                skip_rate = excluded.skip_rate,
                people = excluded.people
            where
                (
                    stored.search_count,
                    stored.click_count,
                    stored.total_watch_time,
                    stored.avg_completion_rate,
                    stored.like_rate,
                    stored.skip_rate,
                    stored.people
                ) is distinct from (
                    excluded.search_count,
                    excluded.click_count,
                    excluded.total_watch_time,
                    excluded.avg_completion_rate,
                    excluded.like_rate,
                    excluded.skip_rate,
                    excluded.people
                )
        returning stored.keyword
    ),

    -- What is not there any more: a person was erased, and what they did with them.
    vanished_performance as (
        delete from public.keyword_performance_cache as stored
        where
            stored.date = day
            and not exists (
                select
                from counted
                where
                    counted.keyword = stored.keyword
                    and counted.views > 0
            )
        returning stored.keyword
    ),

    vanished_effectiveness as (
        delete from public.keyword_effectiveness as stored
        where
            stored.date = day
            and not exists (
                select
                from counted
                where counted.keyword = stored.keyword
            )
        returning stored.keyword
    )

    select
        jsonb_build_object(
            'written',
            (select count(*) from performance) + (select count(*) from effectiveness),
            'removed',
            (select count(*) from vanished_performance) + (select count(*) from vanished_effectiveness)
        )
    into answer;
    return answer;
end
$$;
comment on function private.rollup_keyword_metrics(date) is
'Counts one day in Korea, by when things were stored, into keyword_performance_cache (keywords that were viewed) and '
'keyword_effectiveness (those that were searched or led to anything). Again changes nothing but what has changed.';
