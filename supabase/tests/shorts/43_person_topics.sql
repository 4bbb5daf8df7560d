-- The devices of a person learn what the person did on another, and no write pays for it with an error.
begin;
select plan(15);

-- An empty house: nothing of the running stack is seen in here.
delete from auth.users;
insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'one@example.com'),
('22222222-2222-4222-8222-222222222222', 'two@example.com');
insert into public.cached_videos (video_id, title)
select
    'told_' || number,
    'a video'
from generate_series(10, 69) as number;
delete from realtime.messages;
create temporary view heard as
select
    message.topic,
    message.event,
    message.private,
    message.payload
from realtime.messages as message
where message.topic like 'user:%';

-- Profiles.
update public.user_profiles
set preferred_keywords = array['asmr']
where user_id = '11111111-1111-4111-8111-111111111111';
select results_eq(
    $$select topic, event, private, payload -> 'preferred_keywords' from heard$$,
    $$values ('user:11111111-1111-4111-8111-111111111111', 'profile', true, '["asmr"]'::jsonb)$$,
    'S-181: whose profile changed hears of it on a private topic'
);
select set_eq(
    'select jsonb_object_keys(payload) from heard',
    array['id', 'preferred_categories', 'preferred_keywords', 'disliked_categories', 'updated_at'],
    'what a device shows, and nothing that was learned'
);
delete from realtime.messages;
update public.user_profiles
set
    profile_confidence = 0.5,
    personality_vector = '{"learned": 1}',
    preferred_keywords = preferred_keywords;
select is_empty('select from heard', 'S-181: what is learned, and what stays the same, is no news');

-- Interactions.
insert into public.video_interactions (user_id, video_id, interaction_type)
select
    '11111111-1111-4111-8111-111111111111'::uuid,
    'told_' || number,
    interaction.type
from generate_series(10, 69) as number
cross join unnest(array['view', 'like']) as interaction (type)
union all
values ('22222222-2222-4222-8222-222222222222'::uuid, 'told_10', 'view');
select results_eq(
    $$
        select topic, event, private, payload -> 'count', jsonb_array_length(payload -> 'video_ids')
        from heard
        order by topic
    $$,
    $$
        values
        ('user:11111111-1111-4111-8111-111111111111', 'interactions', true, '120'::jsonb, 50),
        ('user:22222222-2222-4222-8222-222222222222', 'interactions', true, '1', 1)
    $$,
    'S-181: one message per person and statement, of at most 50 videos'
);
select is(
    (select payload -> 'video_ids' from heard where topic like 'user:2%'),
    '["told_10"]'::jsonb,
    'each of one''s own'
);

-- Searches.
delete from realtime.messages;
insert into public.search_sessions (user_id, search_query, session_started_at, session_token, ip_address, user_agent)
values
('11111111-1111-4111-8111-111111111111', 'earlier', now() - interval '1 minute', null, null, null),
('11111111-1111-4111-8111-111111111111', 'newest', now(), 'a token', '10.0.0.1', 'an app'),
('22222222-2222-4222-8222-222222222222', 'other', now(), null, null, null),
(null, 'a visitor', now(), null, null, null);
select results_eq(
    $$select topic, event, private, payload ->> 'search_query' from heard order by topic$$,
    $$
        values
        ('user:11111111-1111-4111-8111-111111111111:searches', 'search', true, 'newest'),
        ('user:22222222-2222-4222-8222-222222222222:searches', 'search', true, 'other')
    $$,
    'S-179, S-181: searches are told under one name, whatever partition they are in, to the person alone'
);
select set_eq(
    'select distinct jsonb_object_keys(payload) from heard',
    array['id', 'search_query', 'search_type', 'session_started_at', 'session_id'],
    'S-179: without token, network and app'
);
select is(
    (select payload ->> 'id' from heard where topic like 'user:1%'),
    (select id::text from public.search_sessions where search_query = 'newest'),
    'with the id to ask for the rest'
);
delete from realtime.messages;
insert into public.search_sessions (search_query)
values ('a visitor');
select is_empty('select from realtime.messages', 'S-179: what a visitor searches is told to nobody');

-- Erased with the person.
insert into public.search_sessions (user_id, search_query)
values
('11111111-1111-4111-8111-111111111111', 'to be erased'),
('22222222-2222-4222-8222-222222222222', 'to stay');
update public.user_profiles
set preferred_keywords = array['erased'];
select is(
    public.erase_user('11111111-1111-4111-8111-111111111111') #> '{erased,shorts,messages}',
    '2'::jsonb,
    'D69: what Realtime keeps of a person is erased too'
);
select results_eq(
    'select topic from heard order by topic',
    array['user:22222222-2222-4222-8222-222222222222', 'user:22222222-2222-4222-8222-222222222222:searches'],
    'D69: and nobody else''s'
);

-- Nothing that goes wrong in telling undoes what was done.
set local client_min_messages = error;
alter function private.broadcast_to_people(jsonb, text, text) rename to lost;
select lives_ok(
    $$
        insert into public.search_sessions (user_id, search_query)
        values ('22222222-2222-4222-8222-222222222222', 'q')
    $$,
    'a search is kept that cannot be told'
);
select lives_ok(
    $$
        insert into public.video_interactions (user_id, video_id, interaction_type)
        values ('22222222-2222-4222-8222-222222222222', 'told_10', 'view')
    $$,
    'an interaction too'
);
select lives_ok($$update public.user_profiles set preferred_keywords = '{}'$$, 'and a profile');
alter function private.lost(jsonb, text, text) rename to broadcast_to_people;
select lives_ok($$select private.broadcast_to_people('[1]', 'x', '')$$, 'the telling itself never raises');

select finish();
rollback;
