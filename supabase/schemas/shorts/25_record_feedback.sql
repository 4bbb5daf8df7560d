-- Promises that what a person says of a video is kept once however often it is said, and of known videos only.

create function private.require_video(video_id text)
returns void
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if not exists (
        select
        from public.cached_videos as video
        where video.video_id = require_video.video_id
    ) then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such video.',
            detail = 'Nothing was stored.',
            hint = 'Send only videos that the API has returned.';
    end if;
end
$$;
comment on function private.require_video(text) is
'Refuses a video that is not in the cache. One that plays no more may still be spoken of.';

create function private.store_feedback(
    video_id text,
    feedback_type text,
    reason text,
    comment text,
    session_id uuid,
    source_keyword text,
    position_in_list integer
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person uuid := private.require_person();
    problem record;
    said_id uuid;
    said_at timestamptz;
    is_new boolean;
begin
    select
        rule.message,
        rule.hint
    into problem
    from (
        values
        (
            coalesce(store_feedback.video_id !~ '^[A-Za-z0-9_-]{1,20}$', true),
            'video_id is not an id of at most 20 letters, digits, _ and -',
            'Send YouTube''s id of the video.'
        ),
        (
            coalesce(store_feedback.feedback_type not in ('like', 'dislike', 'not_interested', 'report'), true),
            'feedback_type is none of the known ones',
            'Send like, dislike, not_interested or report.'
        ),
        (
            store_feedback.reason not in ('irrelevant', 'seen_too_many', 'offensive', 'quality', 'other'),
            'reason is none of the known ones',
            'Send irrelevant, seen_too_many, offensive, quality, other or nothing.'
        ),
        (
            length(store_feedback.comment) > 2000,
            'comment is longer than 2000 characters',
            'Shorten it.'
        ),
        (
            length(store_feedback.source_keyword) > 255,
            'source_keyword is longer than 255 characters',
            'Send the keyword that led to the video, or nothing.'
        ),
        (
            store_feedback.position_in_list not between 0 and 100000,
            'position_in_list is not from 0 to 100000',
            'Send its place in the list, from 0, or nothing.'
        )
    ) as rule (is_broken, message, hint)
    where rule.is_broken
    limit 1;
    if found then
        raise exception using
            errcode = 'PT400',
            message = problem.message,
            detail = 'Nothing was stored.',
            hint = problem.hint;
    end if;
    perform private.require_video(store_feedback.video_id);
    if store_feedback.session_id is not null
        and not exists (
            select
            from public.search_sessions as session
            where
                session.session_id = store_feedback.session_id
                and session.user_id = person
        )
        and not exists (
            select
            from public.user_session_details as visit
            where
                visit.session_id = store_feedback.session_id
                and visit.user_id = person
        ) then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such session of yours.',
            detail = 'Nothing was stored.',
            hint = 'Send the session_id that start_search returned, or nothing.';
    end if;

    insert into public.user_feedback as said (
        user_id,
        video_id,
        session_id,
        feedback_type,
        reason,
        comment,
        source_keyword,
        position_in_list
    )
    values (
        person,
        store_feedback.video_id,
        store_feedback.session_id,
        store_feedback.feedback_type,
        store_feedback.reason,
        store_feedback.comment,
        store_feedback.source_keyword,
        store_feedback.position_in_list
    )
    on conflict on constraint feedback_is_given_once do update
        set
            session_id = excluded.session_id,
            reason = excluded.reason,
            comment = excluded.comment,
            source_keyword = excluded.source_keyword,
            position_in_list = excluded.position_in_list,
            created_at = excluded.created_at
    returning
        said.id,
        said.created_at,
        said.xmax = 0
    into
        said_id,
        said_at,
        is_new;
    return jsonb_build_object('id', said_id, 'created_at', said_at, 'repeated', not is_new);
end
$$;
comment on function private.store_feedback(text, text, text, text, uuid, text, integer) is
'Stores what who asks says of a video; said again, the last words stand.';

create function public.submit_feedback(
    video_id text,
    feedback_type text,
    reason text default null,
    comment text default null,
    session_id uuid default null,
    source_keyword text default null,
    position_in_list integer default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.store_feedback(
        video_id, feedback_type, reason, comment, session_id, source_keyword, position_in_list
    )
$$;
comment on function public.submit_feedback(text, text, text, text, uuid, text, integer) is
'Like, dislike, not_interested or report, each once per video: {"id", "created_at", "repeated"}.';

create function private.store_playback_error(
    video_id text,
    error_code integer,
    region text
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person uuid := private.require_person();
    problem record;
    is_new boolean;
begin
    select
        rule.message,
        rule.hint
    into problem
    from (
        values
        (
            coalesce(store_playback_error.video_id !~ '^[A-Za-z0-9_-]{1,20}$', true),
            'video_id is not an id of at most 20 letters, digits, _ and -',
            'Send YouTube''s id of the video.'
        ),
        (
            coalesce(store_playback_error.error_code not in (2, 5, 100, 101, 150, 153), true),
            'error_code is none of the player''s',
            'Send what the player''s onError said: 2, 5, 100, 101, 150 or 153.'
        ),
        (
            store_playback_error.region <> all(private.region_codes()),
            'region is not an ISO 3166 code of two capital letters',
            'Send a code such as KR, or nothing.'
        )
    ) as rule (is_broken, message, hint)
    where rule.is_broken
    limit 1;
    if found then
        raise exception using
            errcode = 'PT400',
            message = problem.message,
            detail = 'Nothing was stored.',
            hint = problem.hint;
    end if;
    perform private.require_video(store_playback_error.video_id);

    -- Once a day and video; an error of the video is worth more than one of the app that came before it.
    insert into private.playback_errors as reported (video_id, user_id, reported_on, error_code, region)
    values (
        store_playback_error.video_id,
        person,
        private.korean_day(),
        store_playback_error.error_code,
        store_playback_error.region
    )
    on conflict on constraint playback_errors_pkey do update
        set
            error_code = excluded.error_code,
            region = excluded.region,
            reported_at = excluded.reported_at
        where
            not private.blames_the_video(reported.error_code)
            and private.blames_the_video(excluded.error_code)
    returning reported.xmax = 0
    into is_new;
    return jsonb_build_object('repeated', not coalesce(is_new, false));
end
$$;
comment on function private.store_playback_error(text, integer, text) is
'Notes what the player said to who asks, once a day and video.';

create function public.report_playback_error(
    video_id text,
    error_code integer,
    region text default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.store_playback_error(video_id, error_code, region)
$$;
comment on function public.report_playback_error(text, integer, text) is
'Tells that a video did not play: {"repeated"}. What three people report within 24 hours is taken out.';
