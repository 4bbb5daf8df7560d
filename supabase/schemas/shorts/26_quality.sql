-- Promises that a video's score follows what is known of it, and that an AI's answer is stored whole or not at all.

create function private.set_overall_quality()
returns trigger
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- A figure that was computed here is computed again; one that the AI gave is kept.
    if
        coalesce(new.overall_quality_score, 0) = 0
        or (
            tg_op = 'UPDATE'
            and new.overall_quality_score = old.overall_quality_score
            and old.overall_quality_score = old.overall_score::double precision
        )
    then
        new.overall_quality_score := private.overall_quality(
            new.content_quality_score,
            new.engagement_rate,
            new.retention_rate,
            new.trend_alignment,
            new.freshness_score
        );
    end if;
    return new;
end
$$;
comment on function private.set_overall_quality() is
'Computes overall_quality_score where the AI gives none, and again when what it was computed from changes.';

create trigger set_overall_quality
before insert or update on public.video_quality_scores
for each row
execute function private.set_overall_quality();

create function private.sync_quality_score()
returns trigger
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- In one order, so that two batches never deadlock; and first, so that what follows sees what it waited for.
    perform
    from public.cached_videos as video
    where
        video.video_id in (
            select changed.video_id
            from new_scores as changed
        )
    order by video.video_id
    for no key update;

    update public.cached_videos as stored
    set quality_score = newest.overall_quality_score
    from (
        select distinct on (score.video_id)
            score.video_id,
            score.overall_quality_score
        from public.video_quality_scores as score
        where
            score.video_id in (
                select changed.video_id
                from new_scores as changed
            )
        order by
            score.video_id asc,
            score.analyzed_at desc,
            score.analysis_version desc
    ) as newest
    where
        stored.video_id = newest.video_id
        and stored.quality_score is distinct from newest.overall_quality_score;
    return null;
end
$$;
comment on function private.sync_quality_score() is
'Keeps cached_videos.quality_score equal to overall_quality_score of the newest analysis, a statement at a time.';

-- Two, since a trigger that sees all rows of a statement has one event.
create trigger quality_score_sync_trg
after insert on public.video_quality_scores
referencing new table as new_scores
for each statement
execute function private.sync_quality_score();
create trigger quality_score_sync_update_trg
after update on public.video_quality_scores
referencing new table as new_scores
for each statement
execute function private.sync_quality_score();

create function public.calculate_quality_score(
    video_id text,
    analysis_version text default 'v1.0'
)
returns numeric
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    engagement double precision;
    retention double precision;
    answer numeric;
begin
    if coalesce(length(calculate_quality_score.analysis_version) not between 1 and 20, true) then
        raise exception using
            errcode = 'PT400',
            message = 'The version of the analysis is not 1 to 20 characters.',
            hint = 'Send one such as v1.0, or nothing.';
    end if;
    select
        least(
            coalesce(
                (coalesce(video.like_count, 0)::double precision + coalesce(video.comment_count, 0))
                / nullif(video.view_count, 0),
                0
            ),
            1
        )
    into engagement
    from public.cached_videos as video
    where video.video_id = calculate_quality_score.video_id;
    if not found then
        raise exception using
            errcode = 'PT404',
            message = 'The video is not known.',
            hint = 'Ingest it first.';
    end if;
    -- Each person once: whoever sends a thousand views says no more than anybody else.
    select coalesce(avg(person.completion), 0)
    into retention
    from (
        select avg(interaction.completion_rate) as completion
        from public.video_interactions as interaction
        where
            interaction.video_id = calculate_quality_score.video_id
            and interaction.interaction_type = 'view'
        group by interaction.user_id
    ) as person;

    insert into public.video_quality_scores as stored (video_id, analysis_version, engagement_rate, retention_rate)
    values (
        calculate_quality_score.video_id,
        calculate_quality_score.analysis_version,
        engagement,
        retention
    )
    on conflict on constraint a_video_is_scored_once_a_version do update
        set
            engagement_rate = excluded.engagement_rate,
            retention_rate = excluded.retention_rate,
            calculated_at = now()
    returning stored.overall_score into answer;
    return answer;
end
$$;
comment on function public.calculate_quality_score(text, text) is
'Computes how a video engages, (likes + comments) / views, and how much of it is watched, the mean completion of its '
'views; stores both with what the AI said and returns the overall score, 0 to 1. For the service.';

create function public.set_ai_analysis(
    video_id text,
    analysis jsonb
)
returns void
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if
        private.is_small(analysis, 'object', 65536) is not true
        or coalesce(jsonb_typeof(analysis -> 'categories') <> 'array', true)
        or coalesce(jsonb_typeof(analysis -> 'keywords') <> 'array', true)
        or coalesce(jsonb_typeof(analysis -> 'emotions') <> 'object', true)
        or jsonb_path_exists(analysis, '$.categories[*] ? (@.type() != "string")')
        or jsonb_path_exists(analysis, '$.keywords[*] ? (@.type() != "string")')
        or jsonb_path_exists(analysis, '$.emotions.* ? (@.type() != "number")')
    then
        raise exception using
            errcode = 'PT400',
            message = 'The analysis is no document of categories, keywords and emotions.',
            detail = format('It is %s.', coalesce(jsonb_typeof(analysis), 'missing')),
            hint = 'Send {"categories": [texts], "keywords": [texts], "emotions": {name: number}}, all three and at most '
            '65,536 characters.';
    end if;
    update public.cached_videos as stored
    set ai_analysis = set_ai_analysis.analysis
    where
        stored.video_id = set_ai_analysis.video_id
        and stored.ai_analysis is distinct from set_ai_analysis.analysis;
    if
        not found
        and not exists (
            select
            from public.cached_videos as known
            where known.video_id = set_ai_analysis.video_id
        )
    then
        raise exception using
            errcode = 'PT404',
            message = 'The video is not known.',
            hint = 'Ingest it first.';
    end if;
end
$$;
comment on function public.set_ai_analysis(text, jsonb) is
'Replaces what the AI says of a video, whole; the same again changes nothing. For the service.';

create function private.plays_in(
    region_restrictions jsonb,
    region text
)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        not coalesce(region_restrictions -> 'blocked' ? region, false)
        and case
            -- YouTube sends one list or the other; an empty one of the allowed, alone, allows nobody.
            when region_restrictions -> 'allowed' <> '[]' or not region_restrictions ? 'blocked'
                then coalesce(region_restrictions -> 'allowed' ? region, true)
            else true
        end
$$;
comment on function private.plays_in(jsonb, text) is
'Whether restrictions, {"allowed": [...], "blocked": [...]}, let a video play in a region. No restrictions allow it.';

create function public.is_playable_in(
    video_id text,
    region text
)
returns boolean
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if coalesce(region !~ '^[A-Z]{2}$', true) then
        raise exception using
            errcode = 'PT400',
            message = 'The region is unknown.',
            detail = format('region is %s.', left(coalesce(region, 'missing'), 100)),
            hint = 'Send an ISO 3166 code of two capital letters.';
    end if;
    return exists (
        select
        from public.cached_videos as video
        where
            video.video_id = is_playable_in.video_id
            and video.is_playable
            and private.plays_in(video.region_restrictions, is_playable_in.region)
    );
end
$$;
comment on function public.is_playable_in(text, text) is
'Whether an embedded player shows the video in a region, such as KR; false for a video that the caller cannot see. '
'For everybody.';
