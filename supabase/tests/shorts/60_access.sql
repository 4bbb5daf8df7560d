-- What each kind of client may reach. 42501 says two things, so the message is told apart.
begin;
\ir ../outcome.psql
select plan(57);

-- An empty house: nothing of the running stack is seen in here.
delete from auth.users;
delete from public.cached_videos;
delete from public.cached_channels;
delete from public.trending_keywords;
delete from private.keyword_signals;

insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'free@example.com'),
('22222222-2222-4222-8222-222222222222', 'premium@example.com'),
('33333333-3333-4333-8333-333333333333', 'expired@example.com');
insert into public.user_tiers (user_id, tier, expires_at, source)
values
('22222222-2222-4222-8222-222222222222', 'premium', now() + interval '1 day', 'purchase'),
('33333333-3333-4333-8333-333333333333', 'enterprise', now() - interval '1 second', 'purchase');
\set free '{"sub": "11111111-1111-4111-8111-111111111111", "app_metadata": {"tier": "free"}}'
\set premium '{"sub": "22222222-2222-4222-8222-222222222222", "app_metadata": {"tier": "premium"}}'
\set expired '{"sub": "33333333-3333-4333-8333-333333333333", "app_metadata": {"tier": "enterprise"}}'

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
    'S-145: nobody sees what does not'
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

-- Nobody but the service writes, not one row.
select is(
    pg_temp.outcome(cell.role_name, cell.claims::jsonb, format(cell.statement, cell.relation)),
    '42501 permission denied for table ' || cell.relation,
    format('S-151: %s: %s', cell.role_name, format(cell.statement, cell.relation))
)
from (
    select *
    from (values ('anon', null), ('authenticated', :'premium')) as client (role_name, claims)
    cross join unnest(array[
        'cached_videos', 'cached_channels', 'keyword_video_mappings', 'trending_keywords'
    ]) as relation
    cross join unnest(array[
        'delete from public.%I', 'truncate public.%I', 'insert into public.%I default values'
    ]) as statement
) as cell;

-- Private things are out of reach.
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

-- The whole of it: whatever is granted beyond this list, here or by a later migration, is seen.
select results_eq(
    $$
        select
            relation.oid::regclass::text,
            entry.grantee::regrole::text,
            string_agg(lower(entry.privilege_type), ' ' order by entry.privilege_type)
        from pg_class as relation
        cross join lateral aclexplode(relation.relacl) as entry
        where
            relation.relnamespace in ('public'::regnamespace, 'private'::regnamespace, 'ops'::regnamespace)
            and entry.grantee <> relation.relowner
            and relation.relname !~ '^conformance'
        group by
            relation.oid,
            entry.grantee
        order by
            relation.oid::regclass::text collate "C",
            entry.grantee::regrole::text collate "C"
    $$,
    $$
        values
        ('cached_channels', 'app_anonymous', 'select'),
        ('cached_channels', 'app_service', 'delete insert select update'),
        ('cached_videos', 'app_anonymous', 'select'),
        ('cached_videos', 'app_service', 'delete insert select update'),
        ('keyword_video_mappings', 'app_authenticated', 'select'),
        ('keyword_video_mappings', 'app_service', 'delete insert select update'),
        ('ops.alerts', 'app_service', 'select'),
        ('ops.audit_logs_enhanced', 'app_service', 'select'),
        ('ops.audit_seals', 'app_service', 'select'),
        ('ops.job_runs', 'app_service', 'select'),
        ('ops.outbox', 'app_service', 'select'),
        ('ops.partition_policies', 'app_service', 'select'),
        ('ops.webhook_deliveries', 'app_service', 'select'),
        ('ops.webhook_endpoints', 'app_service', 'select'),
        ('ops.webhook_receipts', 'app_service', 'select'),
        ('private.keyword_signals', 'app_service', 'delete insert select update'),
        ('trending_keywords', 'app_anonymous', 'select'),
        ('trending_keywords', 'app_service', 'delete insert select update'),
        ('user_tiers', 'app_authenticated', 'select'),
        ('user_tiers', 'app_service', 'delete insert select update'),
        ('users', 'app_authenticated', 'select'),
        ('users', 'app_service', 'delete insert select update')
    $$,
    'tables: exactly these grants'
);
select results_eq(
    $$
        select
            attribute.attrelid::regclass::text,
            attribute.attname::text collate "default",
            entry.grantee::regrole::text,
            lower(entry.privilege_type)
        from pg_attribute as attribute
        cross join lateral aclexplode(attribute.attacl) as entry
        where
            attribute.attrelid in (
                select oid
                from pg_class
                where relnamespace in ('public'::regnamespace, 'private'::regnamespace, 'ops'::regnamespace)
            )
        order by attribute.attname::text collate "C"
    $$,
    $$
        values
        ('users', 'avatar_url', 'app_authenticated', 'update'),
        ('users', 'name', 'app_authenticated', 'update'),
        ('users', 'preferences', 'app_authenticated', 'update'),
        ('users', 'settings', 'app_authenticated', 'update'),
        ('users', 'username', 'app_authenticated', 'update')
    $$,
    'columns: exactly these grants'
);
select results_eq(
    $$
        select
            function.oid::regproc::text,
            string_agg(entry.grantee::regrole::text, ' ' order by entry.grantee::regrole::text)
        from pg_proc as function
        cross join lateral aclexplode(function.proacl) as entry
        where
            function.pronamespace in ('public'::regnamespace, 'private'::regnamespace, 'ops'::regnamespace)
            and entry.grantee <> function.proowner
            and function.proname !~ '^conformance'
        group by function.oid
        order by function.oid::regproc::text collate "C"
    $$,
    $$
        values
        ('claim_webhook_deliveries', 'app_service'),
        ('custom_access_token_hook', 'supabase_auth_admin'),
        ('detect_trends', 'app_service'),
        ('ingest_keyword_signals', 'app_service'),
        ('ingest_videos', 'app_service'),
        ('ops.partition_health', 'app_service'),
        ('ops.record_audit_event', 'app_service'),
        ('ops.verify_audit_chain', 'app_service'),
        ('private.check_batch', 'app_service'),
        ('private.claims', 'app_anonymous app_service'),
        ('private.has_tier', 'app_anonymous app_service'),
        ('private.is_admin', 'app_anonymous app_service'),
        ('private.limited_trends', 'app_anonymous app_service'),
        ('private.normalize_keyword', 'app_service'),
        ('private.plays_everywhere', 'app_service'),
        ('private.read_keyword_signals', 'app_service'),
        ('private.read_videos', 'app_service'),
        ('private.region_codes', 'app_service'),
        ('private.request_headers', 'app_anonymous app_service'),
        ('private.request_id', 'app_anonymous app_service'),
        ('private.shorts_limit_seconds', 'app_service'),
        ('private.test_bursts', 'app_service'),
        ('private.trend_dedupe_key', 'app_service'),
        ('private.user_id', 'app_anonymous app_service'),
        ('receive_trend_event', 'app_service'),
        ('record_webhook_delivery', 'app_service'),
        ('register_webhook_endpoint', 'app_service'),
        ('trending_now', 'app_anonymous app_service')
    $$,
    'functions: exactly these grants'
);

select finish();
rollback;
