-- Promises that what a person did is theirs alone, cannot be dated back, and is found again by person and time.

create table public.search_sessions (
    id uuid not null default gen_random_uuid(),
    user_id uuid default auth.uid() references public.users (id) on delete cascade,
    session_token varchar(100),
    search_query text not null,
    search_type varchar(50) not null default 'keyword',
    search_intent varchar(50),
    user_context jsonb not null default '{
        "device_type": "unknown",
        "browser": "unknown",
        "location": "unknown",
        "time_of_day": "unknown",
        "weather": "unknown"
    }',
    results_count integer not null default 0,
    results_shown integer not null default 0,
    results_clicked integer not null default 0,
    response_time_ms integer default 0,
    cache_hit boolean not null default false,
    api_cost_units integer not null default 0,
    user_satisfaction_rating integer,
    session_outcome varchar(50),
    ip_address inet,
    user_agent text,
    session_started_at timestamptz not null default now(),
    session_ended_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    session_id uuid not null default gen_random_uuid(),
    conversation_context jsonb not null default '[]',
    primary key (id, session_started_at),
    constraint search_query_is_text check (length(search_query) between 1 and 500),
    constraint search_type_is_known check (search_type in ('keyword', 'ai_chat', 'trending')),
    constraint search_intent_is_known check (
        search_intent in ('entertainment', 'education', 'mood_boost', 'trend_following', 'discovery')
    ),
    constraint session_outcome_is_known check (session_outcome in ('satisfied', 'partial', 'abandoned')),
    constraint user_satisfaction_rating_is_1_to_5 check (user_satisfaction_rating between 1 and 5),
    constraint result_counts_are_possible check (
        results_count between 0 and 1000000
        and results_shown between 0 and 100000
        and results_clicked between 0 and 100000
    ),
    constraint response_time_is_possible check (response_time_ms between 0 and 86400000),
    constraint api_cost_is_not_negative check (api_cost_units >= 0),
    constraint user_context_is_a_small_object check (private.is_small(user_context, 'object', 4096)),
    constraint conversation_context_is_a_small_array check (private.is_small(conversation_context, 'array', 65536)),
    constraint only_a_conversation_has_turns check (search_type = 'ai_chat' or conversation_context = '[]'),
    constraint a_session_ends_after_it_started check (session_ended_at >= session_started_at)
) partition by range (session_started_at);
alter table public.search_sessions enable row level security;
create index search_sessions_by_session_id on public.search_sessions (session_id);
comment on table public.search_sessions is
'Each search of a person: what was asked, what was shown, how it ended. A month each; 90 days, then archived.';
comment on column public.search_sessions.id is 'Our own id, unique with session_started_at.';
comment on column public.search_sessions.user_id is
'Who searched; null for nobody that is known. Goes with the person.';
comment on column public.search_sessions.session_token is 'SHA-256 of the app''s own session token, in hex. Hidden.';
comment on column public.search_sessions.search_query is 'What was asked, as it was typed.';
comment on column public.search_sessions.search_type is 'keyword, ai_chat (premium and up) or trending.';
comment on column public.search_sessions.search_intent is
'entertainment, education, mood_boost, trend_following or discovery; null when nobody said.';
comment on column public.search_sessions.user_context is
'device_type, browser, location, time_of_day and weather, as the app knows them.';
comment on column public.search_sessions.results_count is 'Results that were found.';
comment on column public.search_sessions.results_shown is 'Results that were shown.';
comment on column public.search_sessions.results_clicked is 'Results that were clicked.';
comment on column public.search_sessions.response_time_ms is
'Milliseconds until the results came; null while they have not.';
comment on column public.search_sessions.cache_hit is
'Whether the same person''s same question had been answered a little before.';
comment on column public.search_sessions.api_cost_units is 'YouTube quota units that it cost.';
comment on column public.search_sessions.user_satisfaction_rating is 'The person''s rating, 1 to 5.';
comment on column public.search_sessions.session_outcome is 'satisfied, partial or abandoned; null while it is open.';
comment on column public.search_sessions.ip_address is 'The network it came from, not the whole address. Hidden.';
comment on column public.search_sessions.user_agent is 'The app it came from. Hidden.';
comment on column public.search_sessions.session_started_at is 'When it began, by the server''s clock.';
comment on column public.search_sessions.session_ended_at is 'When it ended; null while it is open.';
comment on column public.search_sessions.created_at is 'When the row was written.';
comment on column public.search_sessions.updated_at is 'When the row last changed.';
comment on column public.search_sessions.session_id is 'The visit to the app that it belongs to.';
comment on column public.search_sessions.conversation_context is
'The turns of a conversation with the AI, oldest first.';

create table private.search_sessions_default partition of public.search_sessions default;
alter table private.search_sessions_default enable row level security;
comment on table private.search_sessions_default is 'Searches that no other partition takes.';

create trigger set_updated_at
before update on public.search_sessions
for each row
execute function private.touch_updated_at();

create function private.stamp_search_session()
returns trigger
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    new.ip_address := coalesce(new.ip_address, private.request_network());
    new.user_agent := coalesce(new.user_agent, left(private.request_headers() ->> 'user-agent', 500));
    return new;
end
$$;
comment on function private.stamp_search_session() is 'Notes where a search came from; a client cannot say so itself.';

create trigger stamp_search_session
before insert on public.search_sessions
for each row
execute function private.stamp_search_session();

create table public.video_interactions (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users (id) on delete cascade,
    video_id varchar(20) not null references public.cached_videos (video_id),
    session_id uuid,
    interaction_type varchar(50) not null,
    interaction_value integer not null default 1,
    watch_duration integer not null default 0,
    watch_percentage double precision not null default 0.0,
    watched_to_end boolean not null default false,
    clicked_thumbnail boolean not null default false,
    clicked_title boolean not null default false,
    opened_in_youtube boolean not null default false,
    user_rating integer,
    feedback_text text,
    interaction_context jsonb not null default '{
        "source": "search_results",
        "position": 0,
        "recommendation_score": 0.0
    }',
    interaction_timestamp timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    total_duration integer,
    completion_rate numeric(3, 2) not null generated always as (
        case when total_duration > 0 then least(watch_duration::numeric / total_duration, 1.0) else 0 end
    ) stored,
    session_started_at timestamptz,
    primary key (id, created_at),
    constraint video_interactions_session_fkey foreign key (session_id, session_started_at)
    references public.search_sessions (id, session_started_at) on delete set null,
    constraint a_session_is_named_whole check ((session_id is null) = (session_started_at is null)),
    constraint interaction_type_is_known check (interaction_type in ('view', 'like', 'share', 'save', 'skip')),
    constraint interaction_value_is_possible check (interaction_value between 0 and 100),
    constraint watch_times_are_possible check (
        watch_duration between 0 and 86400 and total_duration between 0 and 86400
    ),
    constraint watch_percentage_is_a_fraction check (watch_percentage between 0 and 1),
    constraint user_rating_is_1_to_5 check (user_rating between 1 and 5),
    constraint feedback_text_is_not_too_long check (length(feedback_text) <= 2000),
    constraint interaction_context_is_a_small_object check (private.is_small(interaction_context, 'object', 4096)),
    -- A device may have been without a network for a week; beyond that, and from the future, it is no memory.
    constraint an_interaction_is_recent check (
        interaction_timestamp between created_at - interval '168 hours' and created_at + interval '10 minutes'
    )
) partition by range (created_at);
alter table public.video_interactions enable row level security;
create index video_interactions_user_idx on public.video_interactions (user_id, created_at desc);
create index video_interactions_by_video on public.video_interactions (video_id);
create index video_interactions_by_session on public.video_interactions (session_id, session_started_at);
comment on table public.video_interactions is
'Every view, like, share, save and skip of a person. A month each, 12 months. Nobody changes what was done.';
comment on column public.video_interactions.id is 'Our own id, or the client''s, so that a repeated call is known.';
comment on column public.video_interactions.user_id is 'Who did it; the person who asks, unless the service writes.';
comment on column public.video_interactions.video_id is 'YouTube''s id of the video.';
comment on column public.video_interactions.session_id is 'The search that led to it, with session_started_at.';
comment on column public.video_interactions.interaction_type is 'view, like, share, save or skip.';
comment on column public.video_interactions.interaction_value is 'How strong it is; 1 is usual.';
comment on column public.video_interactions.watch_duration is 'Seconds watched.';
comment on column public.video_interactions.watch_percentage is
'The share that was watched, 0 to 1, as the player says.';
comment on column public.video_interactions.watched_to_end is 'Whether it was watched to its end.';
comment on column public.video_interactions.clicked_thumbnail is 'Whether the picture was clicked.';
comment on column public.video_interactions.clicked_title is 'Whether the title was clicked.';
comment on column public.video_interactions.opened_in_youtube is 'Whether it was opened in YouTube.';
comment on column public.video_interactions.user_rating is 'The person''s rating, 1 to 5.';
comment on column public.video_interactions.feedback_text is 'What the person wrote, at most 2,000 characters.';
comment on column public.video_interactions.interaction_context is
'source, position and recommendation_score of where the video was shown.';
comment on column public.video_interactions.interaction_timestamp is 'When it happened, by the device''s clock.';
comment on column public.video_interactions.created_at is
'When it was stored, by the server''s clock; what limits count by.';
comment on column public.video_interactions.updated_at is 'When the row last changed.';
comment on column public.video_interactions.total_duration is 'Seconds that the video lasts.';
comment on column public.video_interactions.completion_rate is
'watch_duration / total_duration, at most 1. Denormalised: it could be computed, and is stored to be indexed.';
comment on column public.video_interactions.session_started_at is 'When that search began: half of its key.';

create table private.video_interactions_default partition of public.video_interactions default;
alter table private.video_interactions_default enable row level security;
comment on table private.video_interactions_default is 'Interactions that no other partition takes.';

create trigger set_updated_at
before update on public.video_interactions
for each row
execute function private.touch_updated_at();

create table public.watch_events (
    id uuid not null default gen_random_uuid(),
    interaction_id uuid not null,
    event_type text not null,
    event_timestamp timestamptz not null default now(),
    video_timestamp integer,
    seek_from integer,
    seek_to integer,
    event_date date not null generated always as ((event_timestamp at time zone 'UTC')::date) stored,
    interaction_created_at timestamptz not null,
    primary key (id, event_timestamp),
    constraint watch_events_interaction_fkey foreign key (interaction_id, interaction_created_at)
    references public.video_interactions (id, created_at) on delete cascade,
    constraint event_type_is_known check (event_type in ('play', 'pause', 'seek', 'end', 'skip', 'replay')),
    constraint only_a_seek_has_places check (event_type = 'seek' or (seek_from is null and seek_to is null)),
    constraint places_in_a_video_are_possible check (
        video_timestamp between 0 and 86400
        and seek_from between 0 and 86400
        and seek_to between 0 and 86400
    ),
    constraint an_event_is_near_its_interaction check (
        event_timestamp between interaction_created_at - interval '168 hours'
        and interaction_created_at + interval '24 hours'
    ),
    constraint an_event_has_happened check (event_timestamp <= now() + interval '10 minutes')
) partition by range (event_timestamp);
alter table public.watch_events enable row level security;
create index watch_events_by_interaction on public.watch_events (interaction_id, interaction_created_at);
comment on table public.watch_events is
'What happened in the player during one interaction. A month each, 12 months. Visible to whose interaction it is.';
comment on column public.watch_events.id is 'Our own id, or the client''s, so that a repeated call is known.';
comment on column public.watch_events.interaction_id is 'The interaction, with interaction_created_at.';
comment on column public.watch_events.event_type is 'play, pause, seek, end, skip or replay.';
comment on column public.watch_events.event_timestamp is 'When it happened, by the device''s clock.';
comment on column public.watch_events.video_timestamp is 'Where in the video, in seconds.';
comment on column public.watch_events.seek_from is 'Where a seek began, in seconds.';
comment on column public.watch_events.seek_to is 'Where a seek ended, in seconds.';
comment on column public.watch_events.event_date is 'The UTC day of event_timestamp.';
comment on column public.watch_events.interaction_created_at is 'When the interaction was stored: half of its key.';

create table private.watch_events_default partition of public.watch_events default;
alter table private.watch_events_default enable row level security;
comment on table private.watch_events_default is 'Events that no other partition takes.';

insert into ops.partition_policies (parent_schema, parent_table, control_column, retention)
values
('public', 'search_sessions', 'session_started_at', '12 months'),
('public', 'video_interactions', 'created_at', '12 months'),
('public', 'watch_events', 'event_timestamp', '12 months');
select ops.create_monthly_partitions();

-- The source designs partition by a second table of this name; here it is the table itself, without what is hidden.
create view public.search_sessions_partitioned
with (security_invoker = true) as
select
    session.id,
    session.user_id,
    session.search_query,
    session.search_type,
    session.search_intent,
    session.user_context,
    session.results_count,
    session.results_shown,
    session.results_clicked,
    session.response_time_ms,
    session.cache_hit,
    session.api_cost_units,
    session.user_satisfaction_rating,
    session.session_outcome,
    session.session_started_at,
    session.session_ended_at,
    session.created_at,
    session.updated_at,
    session.session_id,
    session.conversation_context
from public.search_sessions as session;
comment on view public.search_sessions_partitioned is
'search_sessions without the hidden columns, so that select(''*'') works. Same rows, same policies.';
comment on column public.search_sessions_partitioned.id is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.user_id is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.search_query is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.search_type is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.search_intent is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.user_context is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.results_count is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.results_shown is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.results_clicked is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.response_time_ms is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.cache_hit is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.api_cost_units is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.user_satisfaction_rating is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.session_outcome is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.session_started_at is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.session_ended_at is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.created_at is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.updated_at is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.session_id is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.conversation_context is 'As in search_sessions.';

create view public.video_interactions_partitioned
with (security_invoker = true) as
select
    interaction.id,
    interaction.user_id,
    interaction.video_id,
    interaction.session_id,
    interaction.interaction_type,
    interaction.interaction_value,
    interaction.watch_duration,
    interaction.watch_percentage,
    interaction.watched_to_end,
    interaction.clicked_thumbnail,
    interaction.clicked_title,
    interaction.opened_in_youtube,
    interaction.user_rating,
    interaction.feedback_text,
    interaction.interaction_context,
    interaction.interaction_timestamp,
    interaction.created_at,
    interaction.updated_at,
    interaction.total_duration,
    interaction.completion_rate,
    interaction.session_started_at
from public.video_interactions as interaction;
comment on view public.video_interactions_partitioned is 'video_interactions under the other design''s name.';
comment on column public.video_interactions_partitioned.id is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.user_id is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.video_id is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.session_id is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.interaction_type is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.interaction_value is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.watch_duration is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.watch_percentage is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.watched_to_end is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.clicked_thumbnail is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.clicked_title is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.opened_in_youtube is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.user_rating is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.feedback_text is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.interaction_context is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.interaction_timestamp is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.created_at is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.updated_at is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.total_duration is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.completion_rate is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.session_started_at is 'As in video_interactions.';

create table private.search_sessions_archive (
    id uuid not null,
    user_id uuid references public.users (id) on delete cascade,
    search_query text not null,
    search_type varchar(50) not null,
    search_intent varchar(50),
    user_context jsonb not null,
    results_count integer not null,
    results_shown integer not null,
    results_clicked integer not null,
    response_time_ms integer,
    cache_hit boolean not null,
    api_cost_units integer not null,
    user_satisfaction_rating integer,
    session_outcome varchar(50),
    session_started_at timestamptz not null,
    session_ended_at timestamptz,
    created_at timestamptz not null,
    session_id uuid not null,
    conversation_context jsonb not null,
    archived_at timestamptz not null default now(),
    primary key (id, session_started_at)
);
alter table private.search_sessions_archive enable row level security;
create index search_sessions_archive_by_user on private.search_sessions_archive (user_id);
create index search_sessions_archive_by_time on private.search_sessions_archive (session_started_at);
comment on table private.search_sessions_archive is
'Searches older than 90 days, without token, network and app. They go with the person, or after 12 months.';
comment on column private.search_sessions_archive.archived_at is 'When it left search_sessions.';

create table public.user_session_details (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users (id) on delete cascade,
    session_id uuid not null,
    device_type text,
    device_os text,
    app_version text,
    connection_type text,
    session_start timestamptz not null default now(),
    session_end timestamptz,
    total_videos_watched integer not null default 0,
    total_watch_time integer not null default 0,
    avg_load_time_ms integer,
    error_count integer not null default 0,
    constraint a_person_has_a_session_once unique (user_id, session_id),
    constraint device_type_is_known check (device_type in ('mobile', 'tablet', 'desktop')),
    constraint connection_type_is_known check (connection_type in ('wifi', '4g', '5g')),
    constraint device_texts_are_short check (length(device_os) <= 100 and length(app_version) <= 100),
    constraint session_figures_are_possible check (
        total_videos_watched between 0 and 1000000
        and total_watch_time between 0 and 31536000
        and avg_load_time_ms between 0 and 86400000
        and error_count between 0 and 1000000
    ),
    constraint a_visit_ends_after_it_started check (session_end >= session_start)
);
alter table public.user_session_details enable row level security;
comment on table public.user_session_details is
'Each visit to the app: device, network, how much was watched, how well it went.';
comment on column public.user_session_details.id is 'Our own id.';
comment on column public.user_session_details.user_id is 'Whose visit; the person who asks, unless the service writes.';
comment on column public.user_session_details.session_id is 'The app''s id of the visit; search_sessions refer to it.';
comment on column public.user_session_details.device_type is 'mobile, tablet or desktop.';
comment on column public.user_session_details.device_os is 'Operating system.';
comment on column public.user_session_details.app_version is 'Version of the app.';
comment on column public.user_session_details.connection_type is 'wifi, 4g or 5g; null when it is none of them.';
comment on column public.user_session_details.session_start is 'When it began, by the server''s clock.';
comment on column public.user_session_details.session_end is 'When it ended; null while it lasts.';
comment on column public.user_session_details.total_videos_watched is 'Videos watched, as the app counts.';
comment on column public.user_session_details.total_watch_time is 'Seconds watched, as the app counts.';
comment on column public.user_session_details.avg_load_time_ms is 'Mean milliseconds until a video played.';
comment on column public.user_session_details.error_count is 'Errors that the app saw.';

create table public.user_feedback (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users (id) on delete cascade,
    video_id varchar(20) not null references public.cached_videos (video_id),
    session_id uuid,
    feedback_type text not null,
    reason text,
    comment text,
    source_keyword varchar(255),
    position_in_list integer,
    created_at timestamptz not null default now(),
    constraint feedback_is_given_once unique (user_id, video_id, feedback_type),
    constraint feedback_type_is_known check (feedback_type in ('like', 'dislike', 'not_interested', 'report')),
    constraint reason_is_known check (reason in ('irrelevant', 'seen_too_many', 'offensive', 'quality', 'other')),
    constraint comment_is_not_too_long check (length(comment) <= 2000),
    constraint position_is_possible check (position_in_list between 0 and 100000)
);
alter table public.user_feedback enable row level security;
create index user_feedback_by_video on public.user_feedback (video_id);
comment on table public.user_feedback is
'What a person says of a video: like, dislike, not interested, report. Each once.';
comment on column public.user_feedback.id is 'Our own id.';
comment on column public.user_feedback.user_id is 'Who said it; the person who asks, unless the service writes.';
comment on column public.user_feedback.video_id is 'YouTube''s id of the video.';
comment on column public.user_feedback.session_id is 'The visit to the app that it belongs to.';
comment on column public.user_feedback.feedback_type is 'like, dislike, not_interested or report.';
comment on column public.user_feedback.reason is 'irrelevant, seen_too_many, offensive, quality or other.';
comment on column public.user_feedback.comment is 'In the person''s own words, at most 2,000 characters.';
comment on column public.user_feedback.source_keyword is 'The keyword that had led to the video.';
comment on column public.user_feedback.position_in_list is 'Its place in the list, from 0.';
comment on column public.user_feedback.created_at is 'When it was last said.';

select ops.audit_table('public.user_feedback', array['id', 'user_id', 'video_id', 'feedback_type', 'created_at']);
select ops.watch_table('public.search_sessions');

-- The functions take batches of 1,000; who inserts directly shall not send everything in one request.
create function private.refuse_flood()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    sent bigint;
begin
    if current_setting('role') <> 'authenticated' then
        return null;
    end if;
    select count(*)
    into sent
    from new_rows;
    if sent > 1000 then
        raise exception using
            errcode = 'PT413',
            message = 'More than 1000 rows were sent at once.',
            detail = format('There were %s, and none was stored.', sent),
            hint = 'Send them in parts of at most 1000 rows.';
    end if;
    return null;
end
$$;
comment on function private.refuse_flood() is 'Refuses more rows in a statement than a batch has, from people.';

create trigger refuse_flood
after insert on public.search_sessions
referencing new table as new_rows
for each statement
execute function private.refuse_flood();
create trigger refuse_flood
after insert on public.video_interactions
referencing new table as new_rows
for each statement
execute function private.refuse_flood();
create trigger refuse_flood
after insert on public.watch_events
referencing new table as new_rows
for each statement
execute function private.refuse_flood();
create trigger refuse_flood
after insert on public.user_session_details
referencing new table as new_rows
for each statement
execute function private.refuse_flood();
create trigger refuse_flood
after insert on public.user_feedback
referencing new table as new_rows
for each statement
execute function private.refuse_flood();
