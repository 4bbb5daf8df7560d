-- Promises that the devices of a person learn what the person did on another, and that no write fails for it. Searches
-- are partitioned, and Postgres Changes asks the policies for each listener: so this goes by broadcast.

create function private.broadcast_to_people(
    messages jsonb,
    event text,
    ending text
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform realtime.send(message.value, event, 'user:' || message.key || ending, true)
    from jsonb_each(messages) as message
    order by message.key;
exception
    when others then
        raise warning 'people were not told of %: %', event, sqlerrm;
end
$$;
comment on function private.broadcast_to_people(jsonb, text, text) is
'Sends {user_id: payload} to the private topics user:<id> with this ending. Never raises.';

create function private.tell_of_profiles()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    messages jsonb;
begin
    -- What was learned changes all the time and is nothing that a device shows.
    select
        jsonb_object_agg(
            now_profile.user_id,
            jsonb_build_object(
                'preferred_categories', now_profile.preferred_categories,
                'preferred_keywords', now_profile.preferred_keywords,
                'disliked_categories', now_profile.disliked_categories,
                'updated_at', now_profile.updated_at
            )
        )
    into messages
    from new_profiles as now_profile
    inner join old_profiles as old_profile on now_profile.id = old_profile.id
    where
        (
            now_profile.preferred_categories,
            now_profile.preferred_keywords,
            now_profile.disliked_categories,
            now_profile.mood_patterns,
            now_profile.personalization_weights,
            now_profile.time_preferences,
            now_profile.context_preferences
        ) is distinct from (
            old_profile.preferred_categories,
            old_profile.preferred_keywords,
            old_profile.disliked_categories,
            old_profile.mood_patterns,
            old_profile.personalization_weights,
            old_profile.time_preferences,
            old_profile.context_preferences
        );
    if messages is not null then
        perform private.broadcast_to_people(messages, 'profile', '');
    end if;
    return null;
exception
    when others then
        raise warning 'people were not told of their profiles: %', sqlerrm;
        return null;
end
$$;
comment on function private.tell_of_profiles() is 'Event profile for whose choices changed, a message per person.';

create trigger tell_of_profiles
after update on public.user_profiles
referencing old table as old_profiles new table as new_profiles
for each statement
execute function private.tell_of_profiles();

create function private.tell_of_interactions()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    messages jsonb;
begin
    select
        jsonb_object_agg(
            told.user_id,
            jsonb_build_object('video_ids', to_jsonb(told.video_ids[:50]), 'count', told.interactions)
        )
    into messages
    from (
        select
            interaction.user_id,
            array_agg(distinct interaction.video_id) as video_ids,
            count(*) as interactions
        from new_interactions as interaction
        group by interaction.user_id
    ) as told;
    if messages is not null then
        perform private.broadcast_to_people(messages, 'interactions', '');
    end if;
    return null;
exception
    when others then
        raise warning 'people were not told of their interactions: %', sqlerrm;
        return null;
end
$$;
comment on function private.tell_of_interactions() is
'Event interactions: {"video_ids": [at most 50], "count"}, one message per person and statement.';

create trigger tell_of_interactions
after insert on public.video_interactions
referencing new table as new_interactions
for each statement
execute function private.tell_of_interactions();

create function private.tell_of_searches()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    messages jsonb;
begin
    -- The newest of each person: a device asks for the rest.
    select
        jsonb_object_agg(
            newest.user_id,
            jsonb_build_object(
                'id', newest.id,
                'search_query', newest.search_query,
                'search_type', newest.search_type,
                'session_started_at', newest.session_started_at,
                'session_id', newest.session_id
            )
        )
    into messages
    from (
        select distinct on (session.user_id)
            session.id,
            session.user_id,
            session.search_query,
            session.search_type,
            session.session_started_at,
            session.session_id
        from new_sessions as session
        where session.user_id is not null
        order by
            session.user_id asc,
            session.session_started_at desc,
            session.id asc
    ) as newest;
    if messages is not null then
        perform private.broadcast_to_people(messages, 'search', ':searches');
    end if;
    return null;
exception
    when others then
        raise warning 'people were not told of their searches: %', sqlerrm;
        return null;
end
$$;
comment on function private.tell_of_searches() is
'Event search on user:<id>:searches: the newest search of each person in the statement.';

create trigger tell_of_searches
after insert on public.search_sessions
referencing new table as new_sessions
for each statement
execute function private.tell_of_searches();
