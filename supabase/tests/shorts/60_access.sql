-- What each kind of client may reach. 42501 says two things, so the message is told apart.
begin;
\ir ../outcome.psql
select plan(315);

-- An empty house: nothing of the running stack is seen in here.
delete from auth.users;
delete from public.cached_videos;
delete from public.cached_channels;
delete from public.trending_keywords;
delete from private.keyword_signals;
delete from public.keyword_performance_cache;
delete from public.keyword_effectiveness;
delete from public.trend_predictions;
delete from private.search_sessions_archive;

insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'free@example.com'),
('22222222-2222-4222-8222-222222222222', 'premium@example.com'),
('33333333-3333-4333-8333-333333333333', 'expired@example.com'),
('44444444-4444-4444-8444-444444444444', 'trial@example.com'),
('55555555-5555-4555-8555-555555555555', 'pro@example.com'),
('66666666-6666-4666-8666-666666666666', 'enterprise@example.com'),
('77777777-7777-4777-8777-777777777777', 'admin@example.com');
insert into public.user_tiers (user_id, tier, expires_at, source)
values
('22222222-2222-4222-8222-222222222222', 'premium', now() + interval '1 day', 'purchase'),
('33333333-3333-4333-8333-333333333333', 'enterprise', now() - interval '1 second', 'purchase'),
('44444444-4444-4444-8444-444444444444', 'trial', now() + interval '1 day', 'trial'),
('55555555-5555-4555-8555-555555555555', 'pro', now() + interval '1 day', 'purchase'),
('66666666-6666-4666-8666-666666666666', 'enterprise', null, 'purchase');
\set free '{"sub": "11111111-1111-4111-8111-111111111111", "app_metadata": {"tier": "free"}}'
\set premium '{"sub": "22222222-2222-4222-8222-222222222222", "app_metadata": {"tier": "premium"}}'
\set expired '{"sub": "33333333-3333-4333-8333-333333333333", "app_metadata": {"tier": "enterprise"}}'
\set admin '{"sub": "77777777-7777-4777-8777-777777777777", "app_metadata": {"role": "admin"}}'
create temporary table client (place, name, role_name, claims, has_premium) as
select
    1,
    'anon',
    'anon',
    null::jsonb,
    false
union all
select
    2,
    split_part(person.email, '@', 1),
    'authenticated',
    -- The token of everybody says enterprise: the table decides.
    jsonb_build_object('sub', person.id, 'app_metadata', '{"tier": "enterprise"}'::jsonb)
    || case person.email when 'admin@example.com' then '{"app_metadata": {"role": "admin"}}' else '{}' end::jsonb,
    person.email in ('premium@example.com', 'pro@example.com', 'enterprise@example.com')
from auth.users as person;

insert into public.cached_channels (channel_id, channel_title)
values ('UC1', 'a channel');
insert into public.cached_videos (video_id, title, view_count, is_embeddable, privacy_status)
values
('known', 'plays, well known', 2000, true, 'public'),
('new', 'plays, 10 views', 10, true, 'public'),
('dead', 'does not play', 2000, false, 'public');
insert into public.keyword_video_mappings (keyword, video_id)
values ('k', 'known');
insert into public.trending_keywords (keyword, trend_score)
values ('k', 0.5);
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
values ('KR', 'internal', '2026-01-01 00:00+00', 'k', 1);
insert into public.video_quality_scores (video_id)
values ('known');
insert into public.keyword_performance_cache (keyword, date)
values ('k', '2026-01-01');
insert into public.keyword_effectiveness (keyword, date)
values ('k', '2026-01-01');
insert into public.trend_predictions (keyword, prediction_date, predicted_for_date)
values ('k', '2026-01-01', '2026-01-02');
insert into public.search_sessions (user_id, search_query)
values ('11111111-1111-4111-8111-111111111111', 'archived');
insert into private.search_sessions_archive
select
    (
        jsonb_populate_record(
            null::private.search_sessions_archive, to_jsonb(session) || '{"archived_at": "2026-01-01T00:00:00Z"}'
        )
    ).*
from public.search_sessions as session;

-- Policies by name, each for whom and for what the designs gave it.
select bag_eq(
    $$
        select
            tablename::text,
            policyname::text,
            permissive,
            roles::text[],
            cmd
        from pg_policies
        where
            schemaname = 'public'
            and policyname in (
                'anonymous_limited_read', 'authenticated_basic_read', 'users_own_data', 'premium_advanced_features',
                'admin_full_access', 'Premium features for premium users', 'Trial users limited access',
                'Mask sensitive data for non-owners', 'Public read access', 'Authenticated write access'
            )
    $$,
    $$
        values
        ('cached_videos', 'anonymous_limited_read', 'PERMISSIVE', '{anon}'::text[], 'SELECT'),
        ('cached_videos', 'authenticated_basic_read', 'PERMISSIVE', '{authenticated}', 'SELECT'),
        ('user_profiles', 'users_own_data', 'PERMISSIVE', '{authenticated}', 'ALL'),
        ('trending_keywords', 'premium_advanced_features', 'PERMISSIVE', '{authenticated}', 'SELECT'),
        ('search_sessions', 'admin_full_access', 'PERMISSIVE', '{authenticated}', 'ALL'),
        ('search_sessions', 'Premium features for premium users', 'RESTRICTIVE', '{authenticated}', 'ALL'),
        ('video_interactions', 'Trial users limited access', 'RESTRICTIVE', '{authenticated}', 'INSERT'),
        ('users', 'Mask sensitive data for non-owners', 'PERMISSIVE', '{authenticated}', 'SELECT')
    $$,
    'S-144, S-145, S-146, S-147, S-148, S-152, S-153, S-154: the policies by name'
);
-- Whoever is not signed in would read what does not play, and whoever is would write what all share.
select is_empty(
    $$select from pg_policies where policyname in ('Public read access', 'Authenticated write access')$$,
    'S-150, S-151: the two policies that the other design opens the cache with are not there'
);
select is_empty(
    $$
        select
            schemaname,
            tablename,
            policyname
        from pg_policies
        where
            schemaname in ('public', 'private', 'ops')
            and (roles && array['public']::name[] or (permissive = 'PERMISSIVE' and cmd <> 'SELECT' and qual = 'true'))
    $$,
    'S-144: no policy is for everybody that there is, and none lets write every row'
);
select is_empty(
    $$
        select
            tablename,
            policyname
        from pg_policies
        where
            schemaname in ('public', 'private', 'ops')
            and cmd in ('UPDATE', 'ALL')
            and with_check is distinct from qual
    $$,
    'S-154, D11: whose row may be changed, theirs it must stay, whatever columns are granted one day'
);
select is_empty(
    $$
        select oid::regclass
        from pg_class
        where
            relnamespace in ('public'::regnamespace, 'private'::regnamespace, 'ops'::regnamespace)
            and relkind in ('r', 'p')
            and not relrowsecurity
    $$,
    'S-161: row-level security is on, on every table and partition'
);

-- cached_videos
select is(
    pg_temp.outcome('anon', null, 'select from public.cached_videos'),
    '1 row',
    'S-144: anon sees what is well known'
);
select is(
    pg_temp.outcome('anon', null, $$select from public.cached_videos where video_id = 'new'$$),
    '0 rows',
    'S-144: not a video with 10 views'
);
select is(
    pg_temp.outcome('authenticated', :'free', 'select from public.cached_videos'),
    '2 rows',
    'S-145: users see what plays'
);
select is(
    pg_temp.outcome('authenticated', :'premium', $$select from public.cached_videos where video_id = 'dead'$$),
    '0 rows',
    'S-145, S-267: nobody sees what may not be embedded'
);
select is(
    pg_temp.outcome('service_role', null, 'select from public.cached_videos'),
    '3 rows',
    'S-149: the service sees all'
);

-- cached_channels, keyword_video_mappings
select is(pg_temp.outcome('anon', null, 'select from public.cached_channels'), '1 row', 'S-164: anon sees channels');
select is(
    pg_temp.outcome('authenticated', :'free', 'select from public.cached_channels'),
    '1 row',
    'S-164: so do users'
);
select is(
    pg_temp.outcome('anon', null, 'select from public.keyword_video_mappings'),
    '42501 permission denied for table keyword_video_mappings',
    'S-163: anon has no mappings'
);
select is(
    pg_temp.outcome('authenticated', :'free', 'select from public.keyword_video_mappings'),
    '1 row',
    'S-163: users have'
);

-- trending_keywords
select is(
    pg_temp.outcome('anon', null, 'select from public.trending_keywords'),
    '0 rows',
    'C-23: anon may ask and gets none'
);
select is(
    pg_temp.outcome('authenticated', :'free', 'select from public.trending_keywords'),
    '0 rows',
    'S-147: free: none'
);
select is(
    pg_temp.outcome('authenticated', :'premium', 'select from public.trending_keywords'),
    '1 row',
    'S-147: premium: all'
);
select is(
    pg_temp.outcome('authenticated', :'expired', 'select from public.trending_keywords'),
    '0 rows',
    'S-147: expired: none, whatever the token still says'
);
select is(
    pg_temp.outcome('authenticated', '{"sub": "x", "role": 7}', 'select from public.trending_keywords'),
    '0 rows',
    'a broken token gets none and does not raise'
);

-- Analytics: premium, live, of whatever tier; a token that is older than the table, and an admin, get none.
select is(
    pg_temp.outcome(client.role_name, client.claims, format('select from public.%I', analytics.relation)),
    case
        when client.has_premium then '1 row'
        when client.name = 'anon' and analytics.relation <> 'trending_keywords'
            then '42501 permission denied for table ' || analytics.relation
        else '0 rows'
    end,
    format('%s: %s for %s', analytics.ledger, analytics.relation, client.name)
)
from (
    values
    ('S-147', 'trending_keywords'),
    ('S-165', 'keyword_effectiveness'),
    ('S-166', 'trend_predictions'),
    ('S-167', 'keyword_performance_cache')
) as analytics (ledger, relation)
cross join pg_temp.client
order by
    analytics.ledger,
    client.place,
    client.name;

-- What one or two people typed is theirs, whoever pays.
update public.keyword_effectiveness set people = 2;
update public.keyword_performance_cache set people = 2;
select is(
    pg_temp.outcome('authenticated', client.claims, format('select from public.%I', analytics.relation)),
    '0 rows',
    format('%s: %s of two people is not shown to premium', analytics.ledger, analytics.relation)
)
from (
    values
    ('S-165', 'keyword_effectiveness'),
    ('S-167', 'keyword_performance_cache')
) as analytics (ledger, relation)
cross join pg_temp.client
where client.name = 'premium'
order by analytics.ledger;
update public.keyword_effectiveness set people = 3;
update public.keyword_performance_cache set people = 3;
select is(
    pg_temp.outcome('authenticated', client.claims, format('select from public.%I', analytics.relation)),
    '1 row',
    format('%s: %s of three people is', analytics.ledger, analytics.relation)
)
from (
    values
    ('S-165', 'keyword_effectiveness'),
    ('S-167', 'keyword_performance_cache')
) as analytics (ledger, relation)
cross join pg_temp.client
where client.name = 'premium'
order by analytics.ledger;

-- Derived from videos: for who is signed in.
select is(
    pg_temp.outcome(client.role_name, client.claims, format('select from public.%I', derived.relation)),
    case
        when client.name = 'anon' and derived.relation <> 'cached_channels'
            then '42501 permission denied for table ' || derived.relation
        else '1 row'
    end,
    format('%s: %s for %s', derived.ledger, derived.relation, client.name)
)
from (
    values
    ('S-162', 'video_quality_scores'),
    ('S-163', 'keyword_video_mappings'),
    ('S-164', 'cached_channels')
) as derived (ledger, relation)
cross join pg_temp.client
order by
    derived.ledger,
    client.place,
    client.name;

-- What plays, and to whom it is shown.
select is(
    pg_temp.outcome(client.role_name, client.claims, 'select from public.cached_videos where ' || wanted.condition),
    case
        when wanted.condition ~ 'dead' or (client.name = 'anon' and wanted.condition ~ 'new') then '0 rows'
        else '1 row'
    end,
    format('%s: the video where %s for %s', wanted.ledger, wanted.condition, client.name)
)
from (
    values
    ('S-144, S-145', $$video_id = 'known'$$),
    ('S-144, S-145', $$video_id = 'new'$$),
    ('S-145', $$video_id = 'dead'$$)
) as wanted (ledger, condition)
cross join pg_temp.client
order by
    wanted.condition,
    client.place,
    client.name;

-- Nobody but the service writes, not one row.
select is(
    pg_temp.outcome(cell.role_name, cell.claims::jsonb, format(cell.statement, cell.relation)),
    '42501 permission denied for table ' || cell.relation,
    format('%s: %s: %s', cell.ledger, cell.name, format(cell.statement, cell.relation))
)
from (
    select *
    from (
        values
        ('anon', 'anon', null), ('premium', 'authenticated', :'premium'), ('admin', 'authenticated', :'admin')
    ) as client (name, role_name, claims)
    cross join (
        values
        ('S-151', 'cached_videos'),
        ('S-162', 'video_quality_scores'),
        ('S-163', 'keyword_video_mappings'),
        ('S-164', 'cached_channels'),
        ('S-147', 'trending_keywords'),
        ('S-165', 'keyword_effectiveness'),
        ('S-166', 'trend_predictions'),
        ('S-167', 'keyword_performance_cache')
    ) as shared (ledger, relation)
    cross join unnest(array[
        'delete from public.%I', 'truncate public.%I', 'insert into public.%I default values'
    ]) as statement
) as cell;
select is(
    pg_temp.outcome('service_role', null, format('select from public.%I', shared.relation)),
    shared.answer,
    format('S-149: the service reads all of %s', shared.relation)
)
from (
    values
    ('cached_videos', '3 rows'),
    ('cached_channels', '1 row'),
    ('keyword_video_mappings', '1 row'),
    ('video_quality_scores', '1 row'),
    ('trending_keywords', '1 row'),
    ('keyword_effectiveness', '1 row'),
    ('trend_predictions', '1 row'),
    ('keyword_performance_cache', '1 row')
) as shared (relation, answer);
savepoint written;
select is(
    pg_temp.outcome('service_role', null, statement),
    '1 row',
    'S-149, S-151: the service may: ' || statement
)
from unnest(array[
    $$insert into public.cached_videos (video_id, title) values ('written', 'a video')$$,
    $$update public.cached_videos set title = 'another' where video_id = 'written'$$,
    $$delete from public.cached_videos where video_id = 'written'$$,
    $$update public.video_quality_scores set confidence_level = 1$$,
    $$delete from public.keyword_effectiveness$$
]) as statement;
rollback to savepoint written;

-- Private things are out of reach.
select matches(
    pg_temp.outcome(client.role_name, client.claims, format(statement, closed.relation)),
    '^42501 permission denied for (schema|table) ',
    format('%s: %s: %s', closed.ledger, client.name, format(statement, closed.relation))
)
from (
    values
    ('S-168', 'ops.audit_logs_enhanced'),
    ('S-169', 'private.encryption_keys'),
    ('S-170', 'private.search_sessions_archive')
) as closed (ledger, relation)
cross join pg_temp.client
cross join unnest(array['select from %s', 'delete from %s', 'truncate %s']) as statement
order by
    closed.ledger,
    client.place,
    client.name,
    statement;
select is(
    pg_temp.outcome('service_role', null, attempt.statement),
    attempt.answer,
    format('%s: the service: %s', attempt.ledger, attempt.statement)
)
from (
    values
    ('S-168', $$select from ops.audit_logs_enhanced where row_id = '77777777-7777-4777-8777-777777777777'$$, '1 row'),
    ('S-168', 'delete from ops.audit_logs_enhanced', '42501 permission denied for table audit_logs_enhanced'),
    (
        'S-168', 'update ops.audit_logs_enhanced set user_id = null',
        '42501 permission denied for table audit_logs_enhanced'
    ),
    ('S-169', 'select from private.encryption_keys', '42501 permission denied for table encryption_keys'),
    ('S-170', 'select from private.search_sessions_archive', '1 row')
) as attempt (ledger, statement, answer);
select is_empty(
    $$
        select
            tablename,
            policyname
        from pg_policies
        where
            (schemaname, tablename) in (
                ('ops', 'audit_logs_enhanced'),
                ('private', 'encryption_keys'),
                ('private', 'search_sessions_archive')
            )
    $$,
    'S-168, S-169, S-170: no policy opens them to anybody'
);
select is(
    pg_temp.outcome('anon', null, 'select from private.keyword_signals'),
    '42501 permission denied for table keyword_signals',
    'anon does not read signals'
);
select is(
    pg_temp.outcome('authenticated', :'premium', 'select from private.keyword_signals_default'),
    '42501 permission denied for table keyword_signals_default',
    'nobody reads a partition'
);
select is(
    pg_temp.outcome('service_role', null, 'select from private.keyword_signals_default'),
    '42501 permission denied for table keyword_signals_default',
    'not even the service reads a partition'
);
select is(
    pg_temp.outcome('service_role', null, 'select from private.keyword_signals'),
    '1 row',
    'the service reads signals'
);
select is(
    pg_temp.outcome('authenticated', :'premium', 'select from ops.outbox'),
    '42501 permission denied for schema ops',
    'ops is closed to people'
);
select is(
    pg_temp.outcome(
        'service_role',
        null,
        $$insert into ops.outbox (event_type, dedupe_key, data) values ('a.b', 'c', '{}')$$
    ),
    '42501 permission denied for table outbox',
    'the service reads the outbox, functions write it'
);
select is(
    pg_temp.outcome('authenticated', :'premium', $$select private.vault_secret('wake_secret')$$),
    '42501 permission denied for function vault_secret',
    'nobody asks for a secret'
);
select is(
    pg_temp.outcome('service_role', null, $$select private.vault_secret('wake_secret')$$),
    '42501 permission denied for function vault_secret',
    'not by this function, not even the service'
);

-- The topic trends: heard by everybody, written by nobody.
delete from realtime.messages;
insert into realtime.messages (topic, extension, event, payload, private)
values
('trends', 'broadcast', 'trend', '{}', true),
('trends', 'presence', 'trend', '{}', true),
('trends2', 'broadcast', 'trend', '{}', true),
('trends:premium', 'broadcast', 'trend', '{}', true);
set local client_min_messages = error;
select is(
    pg_temp.outcome(client.role_name, client.claims, attempt.statement),
    attempt.expected,
    format('S-282: %s: %s', client.name, attempt.statement)
)
from client
cross join lateral (
    values
    (
        $$select from realtime.messages where topic like 'trends%'$$,
        case when client.has_premium then '2 rows' else '1 row' end
    ),
    (
        $$insert into realtime.messages (topic, extension, private) values ('trends', 'broadcast', true)$$,
        '42501 new row violates row-level security policy for table "messages"'
    ),
    ($$update realtime.messages set payload = '{"keyword": "forged"}'$$, '0 rows'),
    ($$select realtime.send('{"keyword": "forged"}', 'trend', 'trends', true)$$, '1 row')
) as attempt (statement, expected)
order by client.place, client.name, attempt.statement;
reset client_min_messages;
select is(
    (select count(*) from realtime.messages where payload::text like '%forged%'),
    0::bigint,
    'S-282: realtime.send keeps its warning to itself, and sends nothing of theirs'
);

-- The service's verbs are the service's.
select is(
    pg_temp.outcome(client.role_name, client.claims::jsonb, 'select ' || verb.call),
    '42501 permission denied for function ' || split_part(split_part(verb.call, '(', 1), '.', 2),
    format('%s may not call %s', client.role_name, verb.call)
)
from (values ('authenticated', :'premium')) as client (role_name, claims)
cross join unnest(array[
    $$public.ingest_videos('[]')$$,
    $$public.ingest_keyword_signals('[]')$$,
    'public.detect_trends()',
    'public.claim_webhook_deliveries()'
]) as verb (call);
select is(
    pg_temp.outcome('service_role', null, 'select ' || verb.call),
    '1 row',
    format('the service may call %s', verb.call)
)
from unnest(array[
    $$public.ingest_videos('[]')$$,
    $$public.ingest_keyword_signals('[]')$$,
    'public.detect_trends()',
    $$public.receive_trend_event('msg_access', '{"type": "trend.detected", "data": {"keyword": "k"}}')$$
]) as verb (call);

select finish();
rollback;
