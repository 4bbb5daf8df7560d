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
declare
    changed varchar(20)[];
begin
    -- An array, since a join would be planned for one row where the tables were empty when last looked at.
    changed := array(select distinct score.video_id from new_scores as score);

    -- In one order, so that two batches never deadlock; and first, so that what follows sees what it waited for.
    perform
    from public.cached_videos as video
    where video.video_id = any(changed)
    order by video.video_id
    for no key update;

    update public.cached_videos as stored
    set quality_score = newest.overall_quality_score
    from (
        select distinct on (score.video_id)
            score.video_id,
            score.overall_quality_score
        from public.video_quality_scores as score
        where score.video_id = any(changed)
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

create function private.quality_figures(video_ids text[])
returns table (
    video_id text,
    engagement_rate double precision,
    engagement_score double precision,
    like_score double precision,
    retention_rate double precision,
    retention_score double precision,
    channel_trust_score double precision,
    creator_consistency double precision,
    trend_alignment numeric,
    freshness_score numeric
)
stable
security invoker
set search_path = pg_catalog, pg_temp
-- One video and five thousand want different plans.
set plan_cache_mode = force_custom_plan
set jit = off
language plpgsql
as $$
begin
    return query
    with watched as (
        select
            person.video_id,
            avg(person.completion) as completion,
            count(*) as people
        from (
            -- Each person once: whoever sends a thousand views says no more than anybody else.
            select
                interaction.video_id,
                avg(interaction.completion_rate) as completion
            from public.video_interactions as interaction
            where
                interaction.video_id = any(quality_figures.video_ids)
                and interaction.interaction_type = 'view'
            group by
                interaction.video_id,
                interaction.user_id
        ) as person
        group by person.video_id
    ),

    open_trends as (
        select
            trend.keyword,
            max(trend.trend_score) as strength
        from public.trending_keywords as trend
        where
            trend.closed_at is null
            and trend.expires_at > now()
        group by trend.keyword
    ),

    aligned as (
        select
            mapping.video_id,
            round(max(mapping.relevance_score * coalesce(open_trends.strength, 0))::numeric, 2) as alignment
        from public.keyword_video_mappings as mapping
        left join open_trends on mapping.keyword = open_trends.keyword
        where mapping.video_id = any(quality_figures.video_ids)
        group by mapping.video_id
    )

    select
        video.video_id::text,
        private.engagement_rate(video.like_count, video.comment_count, video.view_count),
        private.engagement_score(
            video.like_count,
            video.comment_count,
            video.view_count,
            coalesce(channel_statistics.usual_engagement, private.channel_engagement(0, 0))::double precision
        ),
        private.like_score(video.like_count, video.view_count),
        coalesce(watched.completion, 0)::double precision,
        private.retention_score(watched.completion::double precision, watched.people),
        coalesce(channel.trust_score, 0)::double precision,
        coalesce(channel_statistics.evenness, 0)::double precision,
        aligned.alignment,
        private.freshness(now() - video.published_at)
    from public.cached_videos as video
    left join public.cached_channels as channel on video.channel_id = channel.channel_id
    left join private.channel_statistics as channel_statistics on video.channel_id = channel_statistics.channel_id
    left join watched on video.video_id = watched.video_id
    left join aligned on video.video_id = aligned.video_id
    where video.video_id = any(quality_figures.video_ids);
end
$$;
comment on function private.quality_figures(text[]) is
'What is computed of videos, nothing of an AI''s: the formulas of 21_quality_formulas.sql over what is stored now.';

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
    answer numeric;
begin
    if coalesce(length(calculate_quality_score.analysis_version) not between 1 and 20, true) then
        raise exception using
            errcode = 'PT400',
            message = 'The version of the analysis is not 1 to 20 characters.',
            hint = 'Send one such as v1.0, or nothing.';
    end if;
    -- The video before its scores: the order in which all that scores takes them.
    perform
    from public.cached_videos as video
    where video.video_id = calculate_quality_score.video_id
    for no key update;
    if not found then
        raise exception using
            errcode = 'PT404',
            message = 'The video is not known.',
            hint = 'Ingest it first.';
    end if;
    insert into public.video_quality_scores as stored (
        video_id,
        analysis_version,
        engagement_rate,
        engagement_score,
        like_score,
        retention_rate,
        retention_score,
        channel_trust_score,
        creator_consistency,
        trend_alignment,
        freshness_score
    )
    select
        figure.video_id,
        calculate_quality_score.analysis_version,
        figure.engagement_rate,
        figure.engagement_score,
        figure.like_score,
        figure.retention_rate,
        figure.retention_score,
        figure.channel_trust_score,
        figure.creator_consistency,
        figure.trend_alignment,
        figure.freshness_score
    from private.quality_figures(array[calculate_quality_score.video_id]) as figure
    on conflict on constraint a_video_is_scored_once_a_version do update
        set
            engagement_rate = excluded.engagement_rate,
            engagement_score = excluded.engagement_score,
            like_score = excluded.like_score,
            retention_rate = excluded.retention_rate,
            retention_score = excluded.retention_score,
            channel_trust_score = excluded.channel_trust_score,
            creator_consistency = excluded.creator_consistency,
            trend_alignment = excluded.trend_alignment,
            freshness_score = excluded.freshness_score,
            calculated_at = now()
    returning stored.overall_score into answer;
    return answer;
end
$$;
comment on function public.calculate_quality_score(text, text) is
'Computes what is computed of a video, such as (likes + comments) / views and the mean share that people watch; stores '
'it with what the AI said and returns the overall score, 0 to 1. For the service.';

create function private.score_videos(batch_size integer default 5000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    due text[];
    versions text[];
    held text[];
    scored bigint;
begin
    -- One run at a time: a second one would do the same.
    perform pg_advisory_xact_lock(hashtextextended('shorts-score-videos', 0));

    with newest as materialized (
        select distinct on (score.video_id)
            score.video_id,
            score.analysis_version,
            score.calculated_at,
            score.freshness_score,
            score.trend_alignment
        from public.video_quality_scores as score
        order by
            score.video_id asc,
            score.analyzed_at desc,
            score.analysis_version desc
    ),

    -- A day is enough: the job runs every ten minutes, and what it computed is refreshed daily while it is new.
    watched as materialized (
        select
            interaction.video_id,
            max(interaction.created_at) as watched_at
        from public.video_interactions as interaction
        where
            interaction.interaction_type = 'view'
            and interaction.created_at > now() - interval '1 day'
        group by interaction.video_id
    ),

    trended as materialized (
        select
            mapping.video_id,
            max(trend.updated_at) as trended_at
        from public.trending_keywords as trend
        inner join public.keyword_video_mappings as mapping on trend.keyword = mapping.keyword
        where
            trend.closed_at is null
            and trend.expires_at > now()
        group by mapping.video_id
    ),

    picked as (
        select
            video.video_id,
            coalesce(newest.analysis_version, 'v1.0') as analysis_version
        from public.cached_videos as video
        left join newest on video.video_id = newest.video_id
        left join watched on video.video_id = watched.video_id
        left join trended on video.video_id = trended.video_id
        left join private.channel_statistics as channel_statistics
            on video.channel_id = channel_statistics.channel_id
        where
            video.purged_at is null
            and (
                newest.video_id is null
                -- A minute back: what began before the last run and ended after it was not seen by it. Its own change
                -- of the video has its very time.
                or (
                    video.updated_at > newest.calculated_at - interval '1 minute'
                    and video.updated_at <> newest.calculated_at
                )
                or watched.watched_at > newest.calculated_at - interval '1 minute'
                or channel_statistics.changed_at > newest.calculated_at
                -- Trends come, grow and go within hours, and what is new grows old.
                or (
                    greatest(trended.trended_at, now() - interval '1 hour') > newest.calculated_at
                    and (trended.trended_at > newest.calculated_at or newest.trend_alignment > 0)
                )
                or (newest.freshness_score > 0 and newest.calculated_at < now() - interval '1 day')
            )
        -- Those who waited longest, so that nobody waits for ever.
        order by
            newest.calculated_at asc nulls first,
            video.video_id asc
        limit score_videos.batch_size
    )

    select
        array_agg(picked.video_id),
        array_agg(picked.analysis_version)
    into due, versions
    from picked;

    -- Sorted, and before their scores: the order in which all that scores takes them. What is being written just now is
    -- left to the next run.
    select array_agg(locked.video_id)
    into held
    from (
        select video.video_id
        from public.cached_videos as video
        where video.video_id = any(due)
        order by video.video_id
        for no key update skip locked
    ) as locked;

    insert into public.video_quality_scores as stored (
        video_id,
        analysis_version,
        engagement_rate,
        engagement_score,
        like_score,
        retention_rate,
        retention_score,
        channel_trust_score,
        creator_consistency,
        trend_alignment,
        freshness_score
    )
    select
        figure.video_id,
        chosen.analysis_version,
        figure.engagement_rate,
        figure.engagement_score,
        figure.like_score,
        figure.retention_rate,
        figure.retention_score,
        figure.channel_trust_score,
        figure.creator_consistency,
        figure.trend_alignment,
        figure.freshness_score
    from private.quality_figures(held) as figure
    inner join unnest(due, versions) as chosen (video_id, analysis_version) on figure.video_id = chosen.video_id
    order by figure.video_id
    on conflict on constraint a_video_is_scored_once_a_version do update
        set
            engagement_rate = excluded.engagement_rate,
            engagement_score = excluded.engagement_score,
            like_score = excluded.like_score,
            retention_rate = excluded.retention_rate,
            retention_score = excluded.retention_score,
            channel_trust_score = excluded.channel_trust_score,
            creator_consistency = excluded.creator_consistency,
            trend_alignment = excluded.trend_alignment,
            freshness_score = excluded.freshness_score,
            calculated_at = now();
    get diagnostics scored = row_count;
    return jsonb_build_object('scored', scored);
end
$$;
comment on function private.score_videos(integer) is
'Computes anew the scores of videos that changed, were watched, trend or trended, or have grown older by a day, in '
'the row of their newest analysis: at most batch_size of them.';

create function private.version_order(analysis_version text)
returns numeric[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        array(
            select part.digits[1]::numeric
            from regexp_matches(analysis_version, '[0-9]+', 'g') with ordinality as part (digits, place)
            order by part.place
        )
$$;
comment on function private.version_order(text) is 'What versions are compared by, their numbers: v10.0 is after v9.1.';

create function private.check_ai_analysis(
    analysis jsonb,
    analysis_version text,
    confidence double precision,
    scores jsonb
)
returns void
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    known constant text[] := array[
        'content_quality_score',
        'thumbnail_attractiveness',
        'title_effectiveness',
        'viral_potential',
        'audio_quality',
        'video_quality',
        'relevance_score',
        'overall_quality_score'
    ];
    wrong text;
begin
    if coalesce(length(check_ai_analysis.analysis_version) not between 1 and 20, true) then
        raise exception using
            errcode = 'PT400',
            message = 'The version of the analysis is not 1 to 20 characters.',
            hint = 'Send one such as v1.0, or nothing.';
    end if;
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
    if confidence not between 0 and 1 then
        raise exception using
            errcode = 'PT400',
            message = 'The confidence is not from 0 to 1.',
            detail = format('It is %s.', confidence),
            hint = 'Send a number from 0 to 1, or nothing.';
    end if;
    if jsonb_typeof(scores) = 'object' then
        select left(given.key, 100)
        into wrong
        from jsonb_each(scores) as given
        where
            given.key <> all(known)
            or not jsonb_path_exists(given.value, 'strict $ ? (@.type() == "number" && @ >= 0 && @ <= 1)')
        order by given.key
        limit 1;
    elsif scores is not null then
        wrong := 'no object';
    end if;
    if wrong is not null then
        raise exception using
            errcode = 'PT400',
            message = 'The scores are not an AI''s, each from 0 to 1.',
            detail = format('The first that is not: %s.', wrong),
            hint = format('Send an object with any of %s, or nothing.', array_to_string(known, ', '));
    end if;
end
$$;
comment on function private.check_ai_analysis(jsonb, text, double precision, jsonb) is
'Refuses what is no whole answer of an AI. What is computed here, such as engagement_rate, is not the AI''s to say.';

create function public.set_ai_analysis(
    video_id text,
    analysis jsonb,
    analysis_version text default 'v1.0',
    confidence double precision default null,
    scores jsonb default null
)
returns boolean
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    known public.video_quality_scores;
    newest public.video_quality_scores;
    is_old boolean;
begin
    perform private.check_ai_analysis(
        set_ai_analysis.analysis,
        set_ai_analysis.analysis_version,
        set_ai_analysis.confidence,
        set_ai_analysis.scores
    );
    -- One answer of a video after the other, since which is older depends on what is stored. The video before its
    -- scores: the order in which all that scores takes them.
    perform
    from public.cached_videos as video
    where video.video_id = set_ai_analysis.video_id
    for no key update;
    if not found then
        raise exception using
            errcode = 'PT404',
            message = 'The video is not known.',
            hint = 'Ingest it first.';
    end if;
    select score.*
    into newest
    from public.video_quality_scores as score
    where
        score.video_id = set_ai_analysis.video_id
        and score.answered_at is not null
    order by
        score.analyzed_at desc,
        score.analysis_version desc
    limit 1;
    select score.*
    into known
    from public.video_quality_scores as score
    where
        score.video_id = set_ai_analysis.video_id
        and score.analysis_version = set_ai_analysis.analysis_version;
    is_old := coalesce(
        private.version_order(set_ai_analysis.analysis_version) < private.version_order(newest.analysis_version),
        false
    );

    if
        known.answered_at is null
        or known.confidence_level <> coalesce(set_ai_analysis.confidence, known.confidence_level)
        or exists (
            select
            from jsonb_each_text(set_ai_analysis.scores) as given
            where
                case
                    when given.key in ('audio_quality', 'video_quality', 'relevance_score')
                        then (to_jsonb(known) ->> given.key)::numeric is distinct from round(given.value::numeric, 2)
                    else (to_jsonb(known) ->> given.key)::double precision <> given.value::double precision
                end
        )
        or (
            not is_old
            and exists (
                select
                from public.cached_videos as video
                where
                    video.video_id = set_ai_analysis.video_id
                    and video.ai_analysis is distinct from set_ai_analysis.analysis
            )
        )
    then
        insert into public.video_quality_scores as stored (
            video_id,
            analysis_version,
            confidence_level,
            content_quality_score,
            thumbnail_attractiveness,
            title_effectiveness,
            viral_potential,
            overall_quality_score,
            audio_quality,
            video_quality,
            relevance_score,
            engagement_rate,
            engagement_score,
            like_score,
            retention_rate,
            retention_score,
            channel_trust_score,
            creator_consistency,
            trend_alignment,
            freshness_score,
            analyzed_at,
            answered_at
        )
        select
            figure.video_id,
            set_ai_analysis.analysis_version,
            coalesce(set_ai_analysis.confidence, 0),
            coalesce((set_ai_analysis.scores ->> 'content_quality_score')::double precision, 0),
            coalesce((set_ai_analysis.scores ->> 'thumbnail_attractiveness')::double precision, 0),
            coalesce((set_ai_analysis.scores ->> 'title_effectiveness')::double precision, 0),
            coalesce((set_ai_analysis.scores ->> 'viral_potential')::double precision, 0),
            coalesce((set_ai_analysis.scores ->> 'overall_quality_score')::double precision, 0),
            (set_ai_analysis.scores ->> 'audio_quality')::numeric,
            (set_ai_analysis.scores ->> 'video_quality')::numeric,
            (set_ai_analysis.scores ->> 'relevance_score')::numeric,
            figure.engagement_rate,
            figure.engagement_score,
            figure.like_score,
            figure.retention_rate,
            figure.retention_score,
            figure.channel_trust_score,
            figure.creator_consistency,
            figure.trend_alignment,
            figure.freshness_score,
            -- What comes late is older than what is there.
            case when is_old then newest.analyzed_at - interval '1 microsecond' else now() end,
            now()
        from private.quality_figures(array[set_ai_analysis.video_id]) as figure
        on conflict on constraint a_video_is_scored_once_a_version do update
            set
                confidence_level = coalesce(set_ai_analysis.confidence, stored.confidence_level),
                content_quality_score = coalesce(
                    (set_ai_analysis.scores ->> 'content_quality_score')::double precision,
                    stored.content_quality_score
                ),
                thumbnail_attractiveness = coalesce(
                    (set_ai_analysis.scores ->> 'thumbnail_attractiveness')::double precision,
                    stored.thumbnail_attractiveness
                ),
                title_effectiveness = coalesce(
                    (set_ai_analysis.scores ->> 'title_effectiveness')::double precision,
                    stored.title_effectiveness
                ),
                viral_potential = coalesce(
                    (set_ai_analysis.scores ->> 'viral_potential')::double precision,
                    stored.viral_potential
                ),
                overall_quality_score = coalesce(
                    (set_ai_analysis.scores ->> 'overall_quality_score')::double precision,
                    stored.overall_quality_score
                ),
                audio_quality = coalesce(excluded.audio_quality, stored.audio_quality),
                video_quality = coalesce(excluded.video_quality, stored.video_quality),
                relevance_score = coalesce(excluded.relevance_score, stored.relevance_score),
                engagement_rate = excluded.engagement_rate,
                engagement_score = excluded.engagement_score,
                like_score = excluded.like_score,
                retention_rate = excluded.retention_rate,
                retention_score = excluded.retention_score,
                channel_trust_score = excluded.channel_trust_score,
                creator_consistency = excluded.creator_consistency,
                trend_alignment = excluded.trend_alignment,
                freshness_score = excluded.freshness_score,
                analyzed_at = case when is_old then stored.analyzed_at else excluded.analyzed_at end,
                answered_at = excluded.answered_at,
                calculated_at = now();
    end if;
    if not is_old then
        update public.cached_videos as video
        set ai_analysis = set_ai_analysis.analysis
        where
            video.video_id = set_ai_analysis.video_id
            and video.ai_analysis is distinct from set_ai_analysis.analysis;
    end if;
    return not is_old;
end
$$;
comment on function public.set_ai_analysis(text, jsonb, text, double precision, jsonb) is
'Stores what an AI says of a video: the document whole, its scores in the one row of that version; the same again '
'changes nothing, what is not given stays. False when a higher version''s document is kept. For the service.';

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
