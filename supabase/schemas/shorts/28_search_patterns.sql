-- Promises that a person's habits follow what they do, a bounded number of people at a time.

create function private.analyze_search_patterns(batch_size integer default 5000)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    analyzed bigint;
begin
    -- Eight days back: a job that stood still for a week misses nobody, and a month that is past is not read.
    with active as (
        select
            activity.user_id,
            max(activity.at) as at
        from (
            select
                session.user_id,
                session.updated_at as at
            from public.search_sessions as session
            where session.session_started_at > now() - interval '8 days'
            union all
            select
                interaction.user_id,
                interaction.created_at as at
            from public.video_interactions as interaction
            where interaction.created_at > now() - interval '8 days'
        ) as activity
        where activity.user_id is not null
        group by activity.user_id
    ),

    due as materialized (
        select
            pattern.user_id,
            pattern.search_intent_distribution
        from active
        inner join public.user_search_patterns as pattern on active.user_id = pattern.user_id
        where
            -- A minute, for what had begun before the last run and was committed after it.
            pattern.last_analyzed_at is null
            or active.at > pattern.last_analyzed_at - interval '1 minute'
        order by
            pattern.last_analyzed_at asc nulls first,
            pattern.user_id asc
        limit analyze_search_patterns.batch_size
        for update of pattern skip locked
    ),

    recent as materialized (
        select
            session.user_id,
            session.search_type,
            session.search_intent,
            session.results_shown,
            session.results_clicked,
            session.session_started_at at time zone 'Asia/Seoul' as korean_time
        from due
        inner join public.search_sessions as session on due.user_id = session.user_id
        where session.session_started_at > now() - interval '90 days'
    ),

    totals as (
        select
            kept.user_id,
            count(*) as searches,
            count(*) filter (where kept.search_type = 'ai_chat') as ai_searches
        from (
            select
                session.user_id,
                session.search_type
            from due
            inner join public.search_sessions as session on due.user_id = session.user_id
            union all
            select
                archived.user_id,
                archived.search_type
            from due
            inner join private.search_sessions_archive as archived on due.user_id = archived.user_id
        ) as kept
        group by kept.user_id
    ),

    searches as (
        select
            recent.user_id,
            round(avg(recent.results_clicked))::integer as avg_clicked,
            round(
                least(sum(recent.results_clicked), sum(recent.results_shown))::numeric
                / nullif(sum(recent.results_shown), 0),
                4
            ) as click_through_rate
        from recent
        group by recent.user_id
    ),

    hours as (
        select
            due.user_id,
            array_agg(coalesce(counted.searches, 0)::integer order by hour.number) as pattern
        from due
        cross join generate_series(0, 23) as hour (number)
        left join (
            select
                recent.user_id,
                extract(hour from recent.korean_time)::integer as number,
                count(*) as searches
            from recent
            group by
                recent.user_id,
                extract(hour from recent.korean_time)
        ) as counted
            on
                due.user_id = counted.user_id
                and hour.number = counted.number
        group by due.user_id
    ),

    -- Each share is the difference of two rounded running shares: they sum to exactly 1.
    intents as (
        select
            shared.user_id,
            jsonb_object_agg(shared.name, round(shared.until, 4) - round(shared.since, 4)) as distribution
        from (
            select
                counted.user_id,
                counted.name,
                sum(counted.searches) over upwards / sum(counted.searches) over everything as until,
                (sum(counted.searches) over upwards - counted.searches)
                / sum(counted.searches) over everything as since
            from (
                select
                    due.user_id,
                    intent.name,
                    intent.place,
                    count(recent.user_id) as searches
                from due
                cross join unnest(
                    array['entertainment', 'education', 'mood_boost', 'trend_following', 'discovery']
                ) with ordinality as intent (name, place)
                left join recent
                    on
                        due.user_id = recent.user_id
                        and intent.name = recent.search_intent
                where
                    exists (
                        select
                        from recent as known
                        where
                            known.user_id = due.user_id
                            and known.search_intent is not null
                    )
                group by
                    due.user_id,
                    intent.name,
                    intent.place
            ) as counted
            window
                everything as (partition by counted.user_id),
                upwards as (partition by counted.user_id order by counted.place)
        ) as shared
        group by shared.user_id
    ),

    watched as (
        select
            interaction.user_id,
            round(
                avg(interaction.completion_rate) filter (where interaction.interaction_type = 'view'), 4
            ) as completion_rate,
            round(
                least(
                    count(*) filter (where interaction.interaction_type = 'like'),
                    count(*) filter (where interaction.interaction_type = 'view')
                )::numeric
                / nullif(count(*) filter (where interaction.interaction_type = 'view'), 0),
                4
            ) as like_rate
        from due
        inner join public.video_interactions as interaction on due.user_id = interaction.user_id
        where interaction.created_at > now() - interval '90 days'
        group by interaction.user_id
    ),

    -- A day that nobody came back after is judged once seven days have passed.
    returning_days as (
        select
            spaced.user_id,
            round(
                count(*) filter (where spaced.next_day <= spaced.day + 7)::numeric
                / nullif(
                    count(*) filter (
                        where spaced.next_day is not null or spaced.day < private.korean_day() - 7
                    ),
                    0
                ),
                4
            ) as return_rate
        from (
            select
                active_day.user_id,
                active_day.day,
                lead(active_day.day) over (partition by active_day.user_id order by active_day.day) as next_day
            from (
                select distinct
                    recent.user_id,
                    recent.korean_time::date as day
                from recent
            ) as active_day
        ) as spaced
        group by spaced.user_id
    ),

    written as (
        update public.user_search_patterns as stored
        set
            total_searches = coalesce(totals.searches, 0),
            ai_searches_used = coalesce(totals.ai_searches, 0),
            avg_results_clicked = coalesce(searches.avg_clicked, 0),
            hourly_activity_pattern = hours.pattern,
            search_intent_distribution = coalesce(intents.distribution, due.search_intent_distribution),
            interaction_patterns = jsonb_build_object(
                'click_through_rate', coalesce(searches.click_through_rate, 0),
                'video_completion_rate', coalesce(watched.completion_rate, 0),
                'like_rate', coalesce(watched.like_rate, 0),
                'return_rate', coalesce(returning_days.return_rate, 0)
            ),
            last_analyzed_at = now()
        from due
        inner join hours on due.user_id = hours.user_id
        left join totals on due.user_id = totals.user_id
        left join searches on due.user_id = searches.user_id
        left join intents on due.user_id = intents.user_id
        left join watched on due.user_id = watched.user_id
        left join returning_days on due.user_id = returning_days.user_id
        where stored.user_id = due.user_id
        returning stored.user_id
    )

    select count(*)
    into analyzed
    from written;
    return jsonb_build_object('people', analyzed);
end
$$;
comment on function private.analyze_search_patterns(integer) is
'Computes the habits of people who searched or watched since they were last looked at, who waited longest first. '
'Totals are over all kept searches, the archived ones too; everything else is over 90 days. click_through_rate: '
'clicked of shown. like_rate: likes per view. return_rate: days of searching that another one follows within 7 days. '
'Intents keep what they were until the person names one.';
