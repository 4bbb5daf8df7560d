-- What a person did is theirs: others and their statements without a condition reach none of it, whatever their tier.
begin;
\ir ../outcome.psql
select plan(527);

-- An empty house: nothing of the running stack is seen in here.
delete from auth.users;
delete from public.cached_videos;

insert into auth.users (id, email)
values
('aaaaaaaa-0000-4000-8000-00000000000a', 'a@example.com'),
('aaaaaaaa-0000-4000-8000-00000000000b', 'b@example.com'),
('aaaaaaaa-0000-4000-8000-000000000001', 'trial@example.com'),
('aaaaaaaa-0000-4000-8000-000000000002', 'expired@example.com'),
('aaaaaaaa-0000-4000-8000-000000000003', 'premium@example.com'),
('aaaaaaaa-0000-4000-8000-000000000004', 'pro@example.com'),
('aaaaaaaa-0000-4000-8000-000000000005', 'enterprise@example.com'),
('aaaaaaaa-0000-4000-8000-000000000006', 'admin@example.com');
insert into public.user_tiers (user_id, tier, expires_at, source)
values
('aaaaaaaa-0000-4000-8000-000000000001', 'trial', null, 'trial'),
('aaaaaaaa-0000-4000-8000-000000000002', 'enterprise', now() - interval '1 second', 'purchase'),
('aaaaaaaa-0000-4000-8000-000000000003', 'premium', now() + interval '1 day', 'purchase'),
('aaaaaaaa-0000-4000-8000-000000000004', 'pro', null, 'purchase'),
('aaaaaaaa-0000-4000-8000-000000000005', 'enterprise', null, 'purchase');
\set a '{"sub": "aaaaaaaa-0000-4000-8000-00000000000a", "role": "authenticated"}'
\set b '{"sub": "aaaaaaaa-0000-4000-8000-00000000000b", "role": "authenticated"}'
\set trial '{"sub": "aaaaaaaa-0000-4000-8000-000000000001", "app_metadata": {"tier": "trial"}}'
\set premium '{"sub": "aaaaaaaa-0000-4000-8000-000000000003", "app_metadata": {"tier": "premium"}}'
\set admin '{"sub": "aaaaaaaa-0000-4000-8000-000000000006", "app_metadata": {"role": "admin"}}'

create temporary table client as
select
    person.id,
    split_part(person.email, '@', 1) as name,
    -- What people say of themselves, and a token that is older than the table, are to be worth nothing.
    jsonb_build_object(
        'sub', person.id,
        'role', 'authenticated',
        'user_metadata', '{"role": "admin", "tier": "enterprise"}'::jsonb,
        'app_metadata', jsonb_build_object('tier', 'enterprise')
    ) || case person.email when 'admin@example.com' then '{"app_metadata": {"role": "admin"}}' else '{}' end::jsonb
        as claims
from auth.users as person;

-- A row of everything for everybody, as the service would write it.
insert into public.cached_videos (video_id, title)
values ('v', 'a video');
insert into public.search_sessions (id, user_id, search_query, session_token, ip_address, user_agent)
select
    client.id,
    client.id,
    'a query of ' || client.name,
    'a token',
    '203.0.113.0/24',
    'an app'
from pg_temp.client;
insert into public.video_interactions (id, user_id, video_id, session_id, session_started_at, interaction_type)
select
    session.id,
    session.user_id,
    'v',
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
    client.id,
    client.id
from pg_temp.client;
insert into public.user_feedback (user_id, video_id, feedback_type, comment)
select
    client.id,
    'v',
    'like',
    'of ' || client.name
from pg_temp.client;
insert into public.user_tiers (user_id, tier, source)
select
    client.id,
    'free',
    'operator'
from pg_temp.client
on conflict (user_id) do nothing;
insert into public.notifications (user_id, kind, dedupe_key, keyword, region_code, payload)
select
    client.id,
    'trend',
    'of ' || client.name,
    'k',
    'KR',
    '{}'
from pg_temp.client;
-- The stack has endpoints of its operator.
delete from public.webhook_endpoints;
insert into public.webhook_endpoints (user_id, url, event_types)
select
    client.id,
    'https://hooks.example/' || client.name,
    '{trend.detected}'
from pg_temp.client;

create temporary table owned (place, relation, owner, ledger) as
values
(1, 'user_profiles', 'user_id', 'S-146'),
(2, 'user_search_patterns', 'user_id', 'S-155'),
(3, 'search_sessions', 'user_id', 'S-156'),
(4, 'search_sessions_partitioned', 'user_id', 'S-156'),
(5, 'video_interactions', 'user_id', 'S-157'),
(6, 'video_interactions_partitioned', 'user_id', 'S-157'),
(7, 'user_feedback', 'user_id', 'S-158'),
(8, 'user_session_details', 'user_id', 'S-159'),
-- The interactions were given the ids of their people.
(9, 'watch_events', 'interaction_id', 'S-160'),
(10, 'users', 'id', 'S-154'),
(11, 'user_tiers', 'user_id', 'S-155'),
(12, 'notifications', 'user_id', 'S-181'),
(13, 'webhook_endpoints', 'user_id', 'S-262');

select is_empty(
    $$
        select relation.relname
        from pg_class as relation
        inner join pg_attribute as attribute on relation.oid = attribute.attrelid
        where
            relation.relnamespace = 'public'::regnamespace
            and relation.relkind in ('r', 'p', 'v', 'm', 'f')
            and attribute.attname = 'user_id'
            and relation.relname <> all(select owned.relation from pg_temp.owned)
    $$,
    'S-268: no relation of the API that says whose its rows are is left out below'
);

-- Both sides: the owner can, and nobody else can; as the service the row is there.
select is(
    pg_temp.outcome(
        'authenticated',
        :'a',
        format('select from public.%I where %I = %L', owned.relation, owned.owner, client.id)
    ),
    case client.name when 'a' then '1 row' else '0 rows' end,
    format('%s: A asks for what is of %s in %s', owned.ledger, client.name, owned.relation)
)
from pg_temp.owned
cross join pg_temp.client
where client.name in ('a', 'b')
order by
    owned.place,
    client.name;
select is(
    pg_temp.outcome(
        'authenticated',
        client.claims,
        format('select from public.%I where %I <> %L', owned.relation, owned.owner, client.id)
    ),
    case
        when client.name = 'admin' and owned.relation in ('search_sessions', 'search_sessions_partitioned', 'users')
            then '7 rows'
        else '0 rows'
    end,
    format('S-268: what is of others in %s, for %s', owned.relation, client.name)
)
from pg_temp.owned
cross join pg_temp.client
order by
    owned.place,
    client.name;
select is(
    pg_temp.outcome('authenticated', client.claims, format('select from public.%I', owned.relation)),
    case
        when client.name = 'admin' and owned.relation in ('search_sessions', 'search_sessions_partitioned', 'users')
            then '8 rows'
        else '1 row'
    end,
    format('S-268: %s without a condition, for %s', owned.relation, client.name)
)
from pg_temp.owned
cross join pg_temp.client
order by
    owned.place,
    client.name;
select is(
    pg_temp.outcome('service_role', null, format('select from public.%I', owned.relation)),
    '8 rows',
    format('S-149: the service reads all of %s', owned.relation)
)
from pg_temp.owned
order by owned.place;
select ok(
    pg_temp.outcome('anon', null, format('select from public.%I', owned.relation))
    ~ ('^42501 permission denied for (table|view) ' || owned.relation || '$'),
    format('%s: visitors may not ask for %s', owned.ledger, owned.relation)
)
from pg_temp.owned
order by owned.place;

-- Statements without a condition, which ask no select policy for anything.
create function pg_temp.untouched(relation text, owner text)
returns boolean
language plpgsql
as $$
declare
    same boolean;
begin
    execute format(
        'select coalesce(array_agg(to_jsonb(stored) order by stored.%2$I::text), ''{}'') = '
        '(select array_agg(kept.document order by kept.owner) from pg_temp.kept where kept.relation = %1$L) '
        'from public.%1$I as stored where stored.%2$I <> ''aaaaaaaa-0000-4000-8000-00000000000b''',
        relation,
        owner
    )
    into same;
    return same;
end
$$;
create temporary table kept (relation text, owner text, document jsonb);
do $$
declare
    stored record;
begin
    for stored in
        select *
        from pg_temp.owned
    loop
        execute format(
            'insert into pg_temp.kept select %1$L, row.%2$I, to_jsonb(row) from public.%1$I as row '
            'where row.%2$I <> ''aaaaaaaa-0000-4000-8000-00000000000b''',
            stored.relation,
            stored.owner
        );
    end loop;
end
$$;

savepoint untouched;
select is(
    pg_temp.outcome('authenticated', :'b', attempt.statement),
    attempt.answer,
    format('%s: B: %s', attempt.ledger, attempt.statement)
)
from (
    values
    ('S-146', $$update public.user_profiles set preferred_keywords = '{mine}'$$, '1 row'),
    ('S-146', 'delete from public.user_profiles', '1 row'),
    (
        'S-155', 'update public.user_search_patterns set total_searches = 0',
        '42501 permission denied for table user_search_patterns'
    ),
    ('S-155', 'delete from public.user_search_patterns', '42501 permission denied for table user_search_patterns'),
    ('S-156', $$update public.search_sessions set session_outcome = 'satisfied'$$, '1 row'),
    ('S-156', 'delete from public.search_sessions', '0 rows'),
    (
        'S-156', 'update public.search_sessions_partitioned set session_outcome = null',
        '42501 permission denied for view search_sessions_partitioned'
    ),
    (
        'S-157', 'update public.video_interactions set watch_duration = 1',
        '42501 permission denied for table video_interactions'
    ),
    ('S-157', 'delete from public.video_interactions', '42501 permission denied for table video_interactions'),
    (
        'S-157', 'delete from public.video_interactions_partitioned',
        '42501 permission denied for view video_interactions_partitioned'
    ),
    ('S-158', $$update public.user_feedback set comment = ''$$, '42501 permission denied for table user_feedback'),
    ('S-158', 'delete from public.user_feedback', '1 row'),
    ('S-159', 'update public.user_session_details set error_count = 1', '1 row'),
    ('S-159', 'delete from public.user_session_details', '42501 permission denied for table user_session_details'),
    ('S-160', 'update public.watch_events set video_timestamp = 1', '42501 permission denied for table watch_events'),
    ('S-160', 'delete from public.watch_events', '42501 permission denied for table watch_events'),
    ('S-154', $$update public.users set name = 'B'$$, '1 row'),
    ('S-154', 'delete from public.users', '42501 permission denied for table users')
) as attempt (ledger, statement, answer);
select ok(
    pg_temp.untouched(owned.relation, owned.owner),
    format('%s: none of it has touched what is of others in %s', owned.ledger, owned.relation)
)
from pg_temp.owned
order by owned.place;
rollback to savepoint untouched;

-- In the name of another, and a row that becomes another's.
select is(
    pg_temp.outcome(
        'authenticated',
        :'a',
        replace(replace(attempt.statement, 'OTHER', quote_literal(other.id)), 'STARTED', quote_literal(now()))
    ),
    format('42501 new row violates row-level security policy for table "%s"', attempt.relation),
    format('%s, D11: A: %s', attempt.ledger, attempt.statement)
)
from (
    values
    ('S-146', 'user_profiles', 'insert into public.user_profiles (user_id) values (OTHER)'),
    ('S-146', 'user_profiles', 'update public.user_profiles set user_id = OTHER'),
    (
        'S-146', 'user_profiles',
        'insert into public.user_profiles (user_id) values (OTHER)'
        ' on conflict (user_id) do update set user_id = excluded.user_id'
    ),
    ('S-156', 'search_sessions', $$insert into public.search_sessions (user_id, search_query) values (OTHER, 'q')$$),
    ('S-156', 'search_sessions', $$insert into public.search_sessions (user_id, search_query) values (null, 'q')$$),
    (
        'S-157', 'video_interactions',
        'insert into public.video_interactions (user_id, video_id, interaction_type)'
        ' values (OTHER, ''v'', ''view'')'
    ),
    (
        'S-157', 'video_interactions',
        'insert into public.video_interactions (video_id, interaction_type, session_id, session_started_at)'
        ' values (''v'', ''view'', OTHER, STARTED)'
    ),
    (
        'S-158', 'user_feedback',
        $$insert into public.user_feedback (user_id, video_id, feedback_type) values (OTHER, 'v', 'report')$$
    ),
    (
        'S-159', 'user_session_details',
        'insert into public.user_session_details (user_id, session_id) values (OTHER, gen_random_uuid())'
    ),
    ('S-159', 'user_session_details', 'update public.user_session_details set user_id = OTHER'),
    (
        'S-159', 'user_session_details',
        'insert into public.user_session_details (user_id, session_id) values (OTHER, OTHER)'
        ' on conflict (user_id, session_id) do update set error_count = 9'
    ),
    (
        'S-160', 'watch_events',
        'insert into public.watch_events (interaction_id, interaction_created_at, event_type)'
        ' values (OTHER, STARTED, ''play'')'
    )
) as attempt (ledger, relation, statement)
cross join (select client.id from pg_temp.client where client.name = 'b') as other;
select is(
    pg_temp.outcome('authenticated', :'a', replace(attempt.statement, 'OTHER', quote_literal(other.id))),
    '42501 permission denied for table ' || attempt.relation,
    format('%s, D11: A: %s', attempt.ledger, attempt.statement)
)
from (
    values
    ('S-154', 'users', 'insert into public.users (id) values (OTHER)'),
    ('S-154', 'users', 'update public.users set id = OTHER'),
    ('S-155', 'user_search_patterns', 'insert into public.user_search_patterns (user_id) values (OTHER)'),
    ('S-156', 'search_sessions', 'update public.search_sessions set user_id = OTHER'),
    ('S-157', 'video_interactions', 'update public.video_interactions set user_id = OTHER'),
    ('S-158', 'user_feedback', 'update public.user_feedback set user_id = OTHER'),
    ('S-160', 'watch_events', 'update public.watch_events set interaction_id = OTHER')
) as attempt (ledger, relation, statement)
cross join (select client.id from pg_temp.client where client.name = 'b') as other;

-- What is one's own can be written, as an app writes it.
select is(
    pg_temp.outcome('authenticated', :'a', replace(attempt.statement, 'STARTED', quote_literal(now()))),
    '1 row',
    format('%s: A: %s', attempt.ledger, attempt.statement)
)
from (
    values
    (
        'S-146',
        'insert into public.user_profiles (user_id, preferred_keywords)'
        ' values (''aaaaaaaa-0000-4000-8000-00000000000a'', ''{mine}'') on conflict (user_id)'
        ' do update set user_id = excluded.user_id, preferred_keywords = excluded.preferred_keywords'
    ),
    ('S-146', 'delete from public.user_profiles'),
    ('S-146', $$insert into public.user_profiles (preferred_keywords) values ('{again}')$$),
    ('S-156', $$insert into public.search_sessions (search_query) values ('another')$$),
    (
        'S-157',
        'insert into public.video_interactions (video_id, interaction_type, session_id, session_started_at)'
        ' values (''v'', ''like'', ''aaaaaaaa-0000-4000-8000-00000000000a'', STARTED)'
    ),
    ('S-157', $$insert into public.video_interactions (video_id, interaction_type) values ('v', 'save')$$),
    ('S-158', $$insert into public.user_feedback (video_id, feedback_type) values ('v', 'report')$$),
    (
        'S-159',
        'insert into public.user_session_details (user_id, session_id, error_count)'
        ' values (''aaaaaaaa-0000-4000-8000-00000000000a'', ''aaaaaaaa-0000-4000-8000-00000000000a'', 2)'
        ' on conflict (user_id, session_id) do update set user_id = excluded.user_id,'
        ' session_id = excluded.session_id, error_count = excluded.error_count'
    ),
    (
        'S-160',
        'insert into public.watch_events (interaction_id, interaction_created_at, event_type)'
        ' values (''aaaaaaaa-0000-4000-8000-00000000000a'', STARTED, ''end'')'
    )
) as attempt (ledger, statement);
select is(
    (
        select preferred_keywords
        from public.user_profiles
        where user_id = 'aaaaaaaa-0000-4000-8000-00000000000a'
    ),
    array['again'],
    'S-146: and it is there'
);

-- Figures, clocks and origins are nobody's to write but the service's.
select is(
    pg_temp.outcome(
        'authenticated',
        client.claims,
        case way
            when 'insert' then format('insert into public.%I (%I) values (default)', kept_back.relation, attribute.attname)
            else format('update public.%I set %I = default', kept_back.relation, attribute.attname)
        end
    ),
    '42501 permission denied for table ' || kept_back.relation,
    format('%s: %s may not %s %s.%s', kept_back.ledger, client.name, way, kept_back.relation, attribute.attname)
)
from (
    values
    ('S-146', 'user_profiles', array['insert', 'update'], array[
        'id', 'preference_vector', 'created_at', 'updated_at', 'personality_vector', 'profile_confidence'
    ]),
    ('S-156', 'search_sessions', array['insert', 'update'], array[
        'id', 'session_token', 'results_count', 'results_shown', 'results_clicked', 'response_time_ms', 'cache_hit',
        'api_cost_units', 'ip_address', 'user_agent', 'session_started_at', 'session_ended_at', 'created_at',
        'updated_at'
    ]),
    ('S-156', 'search_sessions', array['update'], array['user_id', 'search_query', 'search_type', 'session_id']),
    ('S-157', 'video_interactions', array['insert', 'update'], array['created_at', 'updated_at']),
    ('S-158', 'user_feedback', array['insert', 'update'], array['id', 'created_at']),
    ('S-159', 'user_session_details', array['insert', 'update'], array['id', 'session_start'])
) as kept_back (ledger, relation, ways, columns)
cross join unnest(kept_back.ways) as way
cross join unnest(kept_back.columns) as attribute (attname)
cross join pg_temp.client
where client.name in ('a', 'admin')
order by
    kept_back.relation,
    attribute.attname,
    way,
    client.name;

-- Hidden columns.
select is(
    pg_temp.outcome('authenticated', client.claims, format(statement, hidden.name)),
    '42501 permission denied for table search_sessions',
    format('S-044: %s: %s', client.name, format(statement, hidden.name))
)
from pg_temp.client
cross join unnest(array['ip_address', 'user_agent', 'session_token']) as hidden (name)
cross join unnest(array[
    'select %I from public.search_sessions',
    'select id from public.search_sessions where %I is not null',
    'select id from public.search_sessions order by %I',
    'update public.search_sessions set session_outcome = null returning %I'
]) as statement
where client.name in ('a', 'premium', 'admin')
order by
    client.name,
    hidden.name,
    statement;
select is(
    pg_temp.outcome('authenticated', :'admin', 'select * from public.search_sessions'),
    '42501 permission denied for table search_sessions',
    'S-044: admins do not get them with a star either'
);
select is(
    pg_temp.outcome(
        'service_role',
        null,
        $$
            select
            from public.search_sessions
            where
                ip_address = '203.0.113.0/24'
                and user_agent = 'an app'
                and session_token = 'a token'
        $$
    ),
    '8 rows',
    'S-044: which are there: the service reads them'
);
select is(
    pg_temp.outcome('authenticated', :'b', 'select * from public.search_sessions_partitioned'),
    '1 row',
    'S-044: the view without them takes a star'
);
select is_empty(
    $$
        select attname
        from pg_attribute
        where
            attrelid = 'public.search_sessions_partitioned'::regclass
            and attname in ('ip_address', 'user_agent', 'session_token')
    $$,
    'S-044: and has none of them'
);

-- Admins: the role in the signed part of the token, and no way to write it.
select is(
    pg_temp.outcome('authenticated', :'b', attempt.statement),
    '42501 permission denied for table users',
    'S-148: ' || attempt.statement
)
from (
    values
    ($$update public.users set user_tier = 'enterprise', settings = '{"role": "admin"}'$$),
    ($$update public.users set settings = '{"role": "admin"}', subscription_expires_at = null$$)
) as attempt (statement);
select is(
    pg_temp.outcome('authenticated', :'b', $$update public.users set settings = '{"role": "admin"}'$$),
    '1 row',
    'S-148: somebody calls himself an admin'
);
select is(
    pg_temp.outcome('authenticated', :'b', 'select from public.search_sessions'),
    '1 row',
    'S-148: and foreign sessions are still 0'
);
savepoint admin;
select is(
    pg_temp.outcome('authenticated', :'admin', attempt.statement),
    attempt.answer,
    'S-148: admin: ' || attempt.statement
)
from (
    values
    ('select from public.search_sessions where user_id is not null', '9 rows'),
    ('update public.search_sessions set session_outcome = ''partial''', '9 rows'),
    (
        'insert into public.search_sessions (user_id, search_query)'
        ' values (''aaaaaaaa-0000-4000-8000-00000000000b'', ''for B'')',
        '1 row'
    ),
    ('delete from public.search_sessions', '10 rows'),
    ('select from public.video_interactions', '1 row'),
    ('select from public.user_profiles', '1 row')
) as attempt (statement, answer);
rollback to savepoint admin;

-- A conversation with the AI: premium, live, and one's own all the same.
savepoint conversations;
select is(
    pg_temp.outcome(
        'authenticated',
        client.claims,
        $$insert into public.search_sessions (search_query, search_type) values ('q', 'ai_chat')$$
    ),
    case
        when client.name in ('premium', 'pro', 'enterprise', 'admin') then '1 row'
        else '42501 new row violates row-level security policy "Premium features for premium users" '
            'for table "search_sessions"'
    end,
    'S-152: a conversation of ' || client.name
)
from pg_temp.client
order by client.name;
select is(
    pg_temp.outcome(
        'authenticated',
        client.claims,
        $$select from public.search_sessions where search_type = 'ai_chat'$$
    ),
    case client.name
        when 'admin' then '4 rows'
        else case when client.name in ('premium', 'pro', 'enterprise') then '1 row' else '0 rows' end
    end,
    format('S-152, D7: %s sees no conversation of somebody else', client.name)
)
from pg_temp.client
order by client.name;
select is(
    pg_temp.outcome(
        'authenticated',
        :'premium',
        $$update public.search_sessions set session_outcome = 'satisfied' where search_type = 'ai_chat'$$
    ),
    '1 row',
    'S-152, D7: nor writes to one'
);
select is(
    pg_temp.outcome(
        'authenticated', :'b', $$select from public.search_sessions where user_id::text ~ 'a$' and search_type = 'keyword'$$
    ),
    '0 rows',
    'S-152: AS(B): no keyword session of A, though it needs no premium'
);
update public.user_tiers
set expires_at = now() - interval '1 second'
where user_id = 'aaaaaaaa-0000-4000-8000-000000000003';
select is(
    pg_temp.outcome('authenticated', :'premium', attempt.statement),
    attempt.answer,
    'S-152: after the subscription: ' || attempt.statement
)
from (
    values
    ($$select from public.search_sessions where search_type = 'ai_chat'$$, '0 rows'),
    ($$update public.search_sessions set session_outcome = 'satisfied' where search_type = 'ai_chat'$$, '0 rows'),
    ($$select from public.search_sessions where search_type = 'keyword'$$, '1 row')
) as attempt (statement, answer);
rollback to savepoint conversations;

-- The trial: one interaction is there.
savepoint limits;
\set insert_many 'insert into public.video_interactions (video_id, interaction_type) select ''v'', ''view'' from generate_series(1, '
select is(
    pg_temp.outcome('authenticated', :'trial', :'insert_many' || '60)'),
    'PT429 On trial 50 interactions a day are stored, and this is more.',
    'S-153: AS(T): one INSERT of 60 rows'
);
select is(
    pg_temp.outcome('service_role', null, $$select from public.video_interactions where user_id::text ~ '1$'$$),
    '1 row',
    'S-153: of which none is stored'
);
select is(pg_temp.outcome('authenticated', :'trial', :'insert_many' || '49)'), '49 rows', 'S-153: 50 are');
select is(
    pg_temp.outcome('authenticated', :'trial', :'insert_many' || '1)'),
    '42501 new row violates row-level security policy "Trial users limited access" for table "video_interactions"',
    'S-153: the 51st is not'
);
select is(
    pg_temp.outcome('authenticated', :'b', :'insert_many' || '51)'),
    '51 rows',
    'S-153: who is not on trial has no such limit'
);
select is(
    pg_temp.outcome(
        'authenticated',
        :'trial',
        'insert into public.video_interactions (user_id, video_id, interaction_type)'
        ' values (''aaaaaaaa-0000-4000-8000-00000000000b'', ''v'', ''view'')'
    ),
    '42501 new row violates row-level security policy for table "video_interactions"',
    'S-153: nor on the account of somebody else'
);
rollback to savepoint limits;

-- What is told: every change of these tables in the log, deletes and more by the bell.
select bag_eq(
    $$
        select
            tgrelid::regclass::text,
            tgname::text
        from pg_trigger as keeper
        inner join pg_class as relation on keeper.tgrelid = relation.oid
        where
            tgname like 'audit\_%'
            and not tgisinternal
            and not relation.relispartition
            and relation.relname in ('users', 'user_profiles', 'encryption_keys', 'user_feedback')
            and relation.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
    $$,
    $$
        select
            audited,
            'audit_' || event
        from unnest(array['users', 'user_profiles', 'private.encryption_keys', 'user_feedback']) as audited
        cross join unnest(array['insert', 'update', 'delete', 'truncate']) as event
    $$,
    'S-132: the audit triggers of people, profiles, keys and feedback'
);
select is_empty(
    $$
        select
            watched,
            event
        from unnest(array[
            'public.users', 'public.user_profiles', 'public.search_sessions', 'private.encryption_keys'
        ]) as watched
        cross join unnest(array['delete', 'truncate']) as event
        where
            not exists (
                select
                from pg_trigger
                where
                    tgrelid = watched::regclass
                    and tgname = 'sensitive_operation_' || event
                    and tgenabled = 'O'
            )
    $$,
    'S-131: a bell at every delete and truncate of people, profiles, searches and keys'
);
select cmp_ok(
    (
        select count(*)
        from pg_trigger
        where
            tgname like 'sensitive\_operation\_%'
            and not tgisinternal
            and tgparentid = 0
    ),
    '>=',
    8::bigint,
    'S-131: eight triggers at least'
);
set local client_min_messages = 'error';
delete from realtime.messages;
create temporary table before_all as
select coalesce(max(id), 0) as id
from ops.audit_logs_enhanced;
select is(
    pg_temp.outcome('authenticated', :'b', attempt.statement),
    '1 row',
    'S-132: B: ' || attempt.statement
)
from (
    values
    ($$update public.user_profiles set preferred_keywords = '{secret}'$$),
    ('delete from public.user_profiles'),
    ('delete from public.user_feedback'),
    ($$insert into public.user_feedback (video_id, feedback_type, comment) values ('v', 'report', 'secret')$$)
) as attempt (statement);
select results_eq(
    $$
        select
            event_type,
            table_name,
            user_id,
            coalesce(new_data -> 'preferred_keywords', new_data -> 'comment')
        from ops.audit_logs_enhanced
        where id > (select before_all.id from pg_temp.before_all)
        order by id
    $$,
    $$
        values
        ('UPDATE', 'user_profiles', 'aaaaaaaa-0000-4000-8000-00000000000b'::uuid, '"***"'::jsonb),
        ('DELETE', 'user_profiles', 'aaaaaaaa-0000-4000-8000-00000000000b', null),
        ('DELETE', 'user_feedback', 'aaaaaaaa-0000-4000-8000-00000000000b', null),
        ('INSERT', 'user_feedback', 'aaaaaaaa-0000-4000-8000-00000000000b', '"***"')
    $$,
    'S-132: each is a record that says who, and not what they like'
);
delete from public.search_sessions
where user_id = 'aaaaaaaa-0000-4000-8000-00000000000b';
select results_eq(
    $$
        select
            payload ->> 'operation',
            payload ->> 'table',
            payload ->> 'rows'
        from realtime.messages
        where topic = 'admin:security'
        order by payload ->> 'table'
    $$,
    $$values ('DELETE', 'search_sessions', '1'), ('DELETE', 'user_profiles', '1')$$,
    'S-131: the deletes of a profile and of a search ring'
);

-- Clocks.
select cmp_ok(
    (
        select count(*)
        from pg_trigger as keeper
        where
            keeper.tgname = 'set_updated_at'
            and keeper.tgparentid = 0
    ),
    '>=',
    9::bigint,
    'S-135: nine tables at least keep updated_at'
);
insert into public.video_quality_scores (video_id)
values ('v');
create function pg_temp.moves_its_clock(relation regclass, change text)
returns boolean
language plpgsql
as $$
declare
    moved boolean;
begin
    execute format('alter table %s disable trigger set_updated_at', relation);
    execute format('update %s set updated_at = now() - interval ''1 day''', relation);
    execute format('alter table %s enable trigger set_updated_at', relation);
    execute format('update %s set %s', relation, change);
    execute format('select bool_and(updated_at = now()) from %s', relation) into moved;
    return moved;
end
$$;
select ok(
    pg_temp.moves_its_clock(kept.relation::regclass, kept.change),
    format('S-135: %s keeps updated_at', kept.relation)
)
from (
    values
    ('public.users', $$name = 'another'$$),
    ('public.user_tiers', $$source = 'trial'$$),
    ('public.user_profiles', $$preferred_keywords = '{x}'$$),
    ('public.user_search_patterns', 'total_searches = 1'),
    ('public.search_sessions', 'results_count = 1'),
    ('public.video_interactions', 'watch_duration = 1'),
    ('public.video_quality_scores', 'confidence_level = 1')
) as kept (relation, change);

select finish();
rollback;
