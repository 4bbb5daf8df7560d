-- One row per person; nothing that grants power is in a column that its owner can write.
begin;
\ir ../outcome.psql
select plan(67);

-- An empty house: nobody of the running stack is seen in here.
delete from auth.users;

insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'one@example.com'),
('22222222-2222-4222-8222-222222222222', 'two@example.com');
\set one '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}'
\set two '{"sub": "22222222-2222-4222-8222-222222222222", "role": "authenticated"}'
\set admin '{"sub": "22222222-2222-4222-8222-222222222222", "app_metadata": {"role": "admin"}}'
\set forged '{"sub": "22222222-2222-4222-8222-222222222222", "user_metadata": {"role": "admin"}}'

select set_eq(
    $$select unnest(enum_range(null::public.tier_enum))::text$$,
    array['free', 'trial', 'premium', 'pro', 'enterprise'],
    'S-063: the tiers'
);
select ok('trial' < 'premium'::public.tier_enum and 'pro' < 'enterprise'::public.tier_enum, 'they rise in this order');
select is(
    (select settings from public.users where id = '11111111-1111-4111-8111-111111111111'),
    '{"notifications": true, "theme": "light", "language": "ko", "auto_play": true}'::jsonb,
    'S-022: the default settings'
);
select is((select count(*) from public.users where auth_id <> id), 0::bigint, 'S-021: auth_id is the id');

-- Rows.
select is(
    pg_temp.outcome('authenticated', :'one', 'select id from public.users'),
    '1 row',
    'S-001: people see their own row'
);
select is(pg_temp.outcome('authenticated', :'admin', 'select id from public.users'), '2 rows', 'S-154: admins see all');
select is(
    pg_temp.outcome('authenticated', :'forged', 'select id from public.users'),
    '1 row',
    'user_metadata makes no admin'
);
select is(
    pg_temp.outcome('anon', null, 'select id from public.users'),
    '42501 permission denied for table users',
    'anonymous visitors may not even ask'
);
select is(
    pg_temp.outcome('authenticated', :'one', $$update public.users set name = 'new', settings = '{}'$$),
    '1 row',
    'people edit their own profile, and only that'
);
select is(
    (select array_agg(name::text) from public.users where id = '22222222-2222-4222-8222-222222222222'),
    array[null],
    'the other''s is untouched'
);
select is(
    pg_temp.outcome('authenticated', :'one', 'update public.users set auth_id = default'),
    '42501 permission denied for table users',
    'generated columns are not theirs to touch'
);
select is(
    pg_temp.outcome(
        'authenticated',
        :'one',
        $$insert into public.users (id, email) values ('33333333-3333-4333-8333-333333333333', 'x***@e***.com')$$
    ),
    '42501 permission denied for table users',
    'nobody makes a row'
);
select is(
    pg_temp.outcome('authenticated', :'one', 'delete from public.users'),
    '42501 permission denied for table users',
    'nobody deletes one'
);
select is(
    pg_temp.outcome('service_role', null, $$update public.users set name = 'by the service'$$),
    '2 rows',
    'S-149: the service may'
);

-- Power.
select is(
    pg_temp.outcome('authenticated', :'one', $$update public.users set user_tier = 'enterprise'$$),
    '42501 permission denied for table users',
    'S-148: nobody raises the own tier in the row'
);
select is(
    pg_temp.outcome('authenticated', :'one', $$update public.users set subscription_expires_at = 'infinity'$$),
    '42501 permission denied for table users',
    'nor its end'
);
select is(
    pg_temp.outcome('authenticated', :'one', 'update public.users set daily_api_usage = 0'),
    '42501 permission denied for table users',
    'nor the usage'
);
select is(
    pg_temp.outcome('authenticated', :'one', $$update public.users set email = 'other@example.com'$$),
    '42501 permission denied for table users',
    'nor the address'
);
select is(
    pg_temp.outcome(
        'authenticated',
        :'one',
        $$insert into public.user_tiers values ('11111111-1111-4111-8111-111111111111', 'pro', null, 'purchase')$$
    ),
    '42501 permission denied for table user_tiers',
    'nobody gives the own tier'
);
select is(
    pg_temp.outcome('authenticated', :'one', $$update public.users set settings = '{"role": "admin", "tier": "pro"}'$$),
    '1 row',
    'settings may say anything'
);
select is(
    pg_temp.outcome('authenticated', :'one', $$select where private.is_admin() or private.has_tier('trial')$$),
    '0 rows',
    'and give nothing'
);

-- Tiers.
select is(
    pg_temp.outcome(
        'service_role',
        null,
        $$
            insert into public.user_tiers (user_id, tier, expires_at, source)
            values ('11111111-1111-4111-8111-111111111111', 'enterprise', now() + interval '1 day', 'operator')
        $$
    ),
    '1 row',
    'the service gives a tier'
);
select is(
    (select user_tier::text from public.users where id = '11111111-1111-4111-8111-111111111111'),
    'enterprise',
    'users.user_tier follows user_tiers'
);
select is(
    (select subscription_end from public.users where id = '11111111-1111-4111-8111-111111111111'),
    now() + interval '1 day',
    'so does its end'
);
select is(
    pg_temp.outcome('authenticated', :'one', $$select where private.has_tier('premium')$$),
    '1 row',
    'S-128: enterprise is above premium'
);
select is(
    pg_temp.outcome('authenticated', :'two', $$select where private.has_tier('trial')$$),
    '0 rows',
    'no row is free'
);
select is(pg_temp.outcome('anon', null, $$select where private.has_tier('trial')$$), '0 rows', 'nobody has no tier');
select is(
    pg_temp.outcome('authenticated', '{"sub": "not an id"}', $$select where private.has_tier('trial')$$),
    '0 rows',
    'a foreign token has none, and does not raise'
);
select is(
    pg_temp.outcome('authenticated', :'one', 'select * from public.user_tiers'),
    '1 row',
    'people see their own tier'
);
select is(
    pg_temp.outcome('authenticated', :'two', 'select * from public.user_tiers'),
    '0 rows',
    'and not another''s'
);
update public.user_tiers
set expires_at = now() - interval '1 second';
select is(
    pg_temp.outcome('authenticated', :'one', $$select where private.has_tier('premium')$$),
    '0 rows',
    'S-128: an expired tier is none'
);
select is(
    (select user_tier::text from public.users where id = '11111111-1111-4111-8111-111111111111'),
    'free',
    'nor does the row show it'
);
update public.user_tiers
set
    tier = 'pro',
    expires_at = null;
delete from public.user_tiers;
select is(
    (select user_tier::text from public.users where id = '11111111-1111-4111-8111-111111111111'),
    'free',
    'a tier that is taken away is gone'
);

-- What cannot be true.
select throws_ok(
    $$update public.users set settings = '{"theme": 1}'$$,
    '23514',
    null,
    'S-022: a setting of the wrong type is refused'
);
select lives_ok(
    $$update public.users set username = 'Hana' where id = '11111111-1111-4111-8111-111111111111'$$,
    'a handle is taken'
);
select throws_ok(
    $$update public.users set username = 'hANA' where id = '22222222-2222-4222-8222-222222222222'$$,
    '23505',
    null,
    'S-021: its other spelling is the same handle'
);

-- The address.
select is(
    (select email::text from public.users where id = '11111111-1111-4111-8111-111111111111'),
    'o***@e***.com',
    'S-206: the row shows the address masked'
);
select throws_ok(
    $$update public.users set email = 'one@example.com'$$,
    '23514',
    null,
    'S-206: and nobody can write it in clear'
);
select is_empty(
    $$
        select id
        from public.users
        where
            position('@' in encode(email_encrypted, 'escape')) > 0
            and position('example' in encode(email_encrypted, 'escape')) > 0
    $$,
    'S-206: nor is it in the ciphertext'
);
select is(
    (
        select id
        from public.users
        where email_blind_index = private.blind_index('ONE@example.com', 'email')
    ),
    '11111111-1111-4111-8111-111111111111',
    'D36: an address finds its person'
);
select throws_ok(
    $$
        update public.users
        set email_blind_index = private.blind_index('one@example.com', 'email')
        where id = '22222222-2222-4222-8222-222222222222'
    $$,
    '23505',
    null,
    'D36: and only one'
);
insert into auth.users (id, email, is_sso_user)
values ('33333333-3333-4333-8333-333333333333', 'ONE@example.com', true);
select is(
    (
        select
            private.shorts_email(id)
            || case when email_blind_index is null then ', not found by it' else ', found by it' end
        from public.users
        where id = '33333333-3333-4333-8333-333333333333'
    ),
    'ONE@example.com, not found by it',
    'a second account of one address signs up all the same'
);
delete from auth.users
where id = '33333333-3333-4333-8333-333333333333';
update auth.users
set email = 'eins@example.com'
where id = '11111111-1111-4111-8111-111111111111';
select is(
    (
        select private.shorts_email(id)
        from public.users
        where email_blind_index = private.blind_index('eins@example.com', 'email')
    ),
    'eins@example.com',
    'S-206: a new address takes the place of the old'
);
select is(
    pg_temp.outcome(client.role_name, client.claims::jsonb, 'select ' || client.wanted || ' from public.users'),
    client.outcome,
    format('S-206: %s and %s: %s', client.role_name, client.wanted, client.outcome)
)
from (
    values
    ('authenticated', :'one', 'email', '1 row'),
    ('authenticated', :'one', 'email_encrypted', '1 row'),
    ('authenticated', :'one', 'email_blind_index', '1 row'),
    ('authenticated', :'admin', 'email_encrypted', '2 rows'),
    ('authenticated', :'admin', 'email_blind_index', '2 rows'),
    ('service_role', null, 'email_encrypted', '2 rows')
) as client (role_name, claims, wanted, outcome);
select is(
    pg_temp.outcome(client.role_name, client.claims::jsonb, 'select * from public.users_secure'),
    client.outcome,
    format('S-139: users_secure gives %s: %s', client.name, client.outcome)
)
from (
    values
    ('a person', 'authenticated', :'one', '0 rows'),
    ('who says to be admin', 'authenticated', :'forged', '0 rows'),
    ('an admin', 'authenticated', :'admin', '2 rows'),
    ('the service', 'service_role', null, '2 rows'),
    ('a visitor', 'anon', null, '42501 permission denied for view users_secure')
) as client (name, role_name, claims, outcome);
select is(
    (select array_agg(email order by email) from public.users_secure),
    array['eins@example.com', 'two@example.com'],
    'S-139: the addresses are in clear'
);
select is(
    pg_temp.outcome(
        'authenticated',
        :'one',
        $$select private.shorts_email('11111111-1111-4111-8111-111111111111')$$
    ),
    '42501 Insufficient privileges',
    'S-139: what the view calls is refused to people'
);

-- A rotation of keys.
alter table public.users disable trigger set_updated_at;
update public.users
set updated_at = '2026-01-01 00:00+00';
alter table public.users enable trigger set_updated_at;
select is((ops.rotate_encryption_key('default') is not null), true, 'the key is rotated');
select is(
    (ops.reencrypt_batch() ->> 'left')::bigint,
    0::bigint,
    'S-115: every email_encrypted carries the new key id'
);
select is(
    (
        select count(*)
        from public.users
        where substr(email_encrypted, 1, 5) = (
            select private.seal_header(id)
            from private.encryption_keys
            where
                key_name = 'default'
                and is_active
        )
    ),
    2::bigint,
    'S-115: both of them'
);
select is(
    (select array_agg(email order by email) from public.users_secure),
    array['eins@example.com', 'two@example.com'],
    'S-205: and the addresses are the same'
);
select is(
    (select array_agg(distinct updated_at) from public.users),
    array['2026-01-01 00:00+00']::timestamptz[],
    'nobody''s row has changed by it'
);
update public.users
set name = 'changed';
select is(
    (select array_agg(distinct updated_at) from public.users),
    array[now()],
    'as it does by a real change'
);

-- Sign-up.
select results_eq(
    $$
        select
            person.id,
            profile.preferred_categories,
            patterns.total_searches
        from public.users as person
        inner join public.user_profiles as profile on person.id = profile.user_id
        inner join public.user_search_patterns as patterns on person.id = patterns.user_id
        order by person.id
    $$,
    $$
        values
        ('11111111-1111-4111-8111-111111111111'::uuid, array['general'], 0),
        ('22222222-2222-4222-8222-222222222222', array['general'], 0)
    $$,
    'S-136: a sign-up makes three rows: the person, a profile and search patterns'
);
select is(
    array[(select count(*) from public.user_profiles), (select count(*) from public.user_search_patterns)],
    array[2, 2]::bigint[],
    'S-136: one of each, though the address was changed'
);

-- Erasure: something of everything for both, of which the other keeps all.
insert into public.user_tiers (user_id, tier, source)
values
('11111111-1111-4111-8111-111111111111', 'free', 'operator'),
('22222222-2222-4222-8222-222222222222', 'pro', 'operator');
insert into public.cached_videos (video_id, title)
values ('erased', 'a video');
insert into public.search_sessions (user_id, search_query)
select
    person.id,
    'a query'
from public.users as person;
insert into public.video_interactions (user_id, video_id, session_id, session_started_at, interaction_type)
select
    session.user_id,
    'erased',
    session.id,
    session.session_started_at,
    'view'
from public.search_sessions as session;
insert into public.watch_events (interaction_id, interaction_created_at, event_type)
select
    interaction.id,
    interaction.created_at,
    'play'
from public.video_interactions as interaction;
insert into public.user_session_details (user_id, session_id)
select
    person.id,
    gen_random_uuid()
from public.users as person;
insert into public.user_feedback (user_id, video_id, feedback_type)
select
    person.id,
    'erased',
    'like'
from public.users as person;
insert into private.search_sessions_archive
select
    (
        jsonb_populate_record(
            null::private.search_sessions_archive, to_jsonb(session) || '{"archived_at": "2026-01-01T00:00:00Z"}'
        )
    ).*
from public.search_sessions as session;
insert into private.daily_quotas (user_id, day, used)
select
    person.id,
    '2026-01-01',
    1
from public.users as person;
insert into private.ai_turn_days (user_id, day, used)
select
    person.id,
    '2026-01-01',
    1
from public.users as person;
insert into private.watch_windows (user_id, videos, strengths, worths, learned_to)
select
    person.id,
    '{}',
    '{}',
    '{}',
    now()
from public.users as person;
insert into private.user_tastes (user_id, category_lift, hours, events, learned_to)
select
    person.id,
    '{}',
    array_fill(1 / 24.0, array[24])::real[],
    0,
    now()
from public.users as person;
insert into private.feed_rankings (
    user_id, moved_at, region, weights_version, video_nos, scores, whys, explored, propensities
)
select
    person.id,
    now(),
    'KR',
    'v1',
    '{}',
    '{}',
    '[]',
    '{}',
    '{}'
from public.users as person;
insert into private.feed_impressions (
    user_id, request_id, weights_version, video_nos, video_ids, positions, explored, propensities
)
select
    ranking.user_id,
    ranking.id,
    'v1',
    '{}',
    '{}',
    '{}',
    '{}',
    '{}'
from private.feed_rankings as ranking;
insert into public.notifications (user_id, kind, dedupe_key, keyword, region_code, payload)
select
    person.id,
    'trend',
    'a trend',
    'k',
    'KR',
    '{}'
from public.users as person;
delete from realtime.messages;
insert into realtime.messages (topic, extension, private)
select
    'user:' || person.id,
    'broadcast',
    true
from public.users as person;
select is(
    public.erase_user('22222222-2222-4222-8222-222222222222') #> '{erased,shorts}',
    '{
        "messages": 1,
        "notifications": 1,
        "users": 1,
        "user_tiers": 1,
        "user_tastes": 1,
        "ai_turn_days": 1,
        "feed_rankings": 1,
        "user_feedback": 1,
        "watch_windows": 1,
        "feed_impressions": 1,
        "user_profiles": 1,
        "search_sessions": 1,
        "video_interactions": 1,
        "user_search_patterns": 1,
        "user_session_details": 1,
        "search_sessions_archive": 1
    }',
    'D69: a person is erased from the room'
);
select is(
    (select array_agg(id) from public.users),
    array['11111111-1111-4111-8111-111111111111']::uuid[],
    'D69: and nobody else'
);
select results_eq(
    $$
        select user_id from public.user_tiers
        union all select user_id from public.user_profiles
        union all select user_id from public.user_search_patterns
        union all select user_id from public.search_sessions
        union all select user_id from private.search_sessions_archive
        union all select user_id from public.video_interactions
        union all
        select interaction.user_id
        from public.watch_events as event
        inner join public.video_interactions as interaction on event.interaction_id = interaction.id
        union all select user_id from public.user_session_details
        union all select user_id from public.user_feedback
        union all select user_id from private.daily_quotas
        union all select user_id from private.ai_turn_days
        union all select user_id from private.watch_windows
        union all select user_id from private.user_tastes
        union all select user_id from private.feed_rankings
        union all select user_id from private.feed_impressions
        union all select user_id from public.notifications
    $$,
    array_fill('11111111-1111-4111-8111-111111111111'::uuid, array[16]),
    'D69: of whom everything is left'
);

select finish();
rollback;
