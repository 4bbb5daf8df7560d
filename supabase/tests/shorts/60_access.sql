-- What each kind of client may reach. 42501 says two things, so the message is told apart.
begin;
\ir ../outcome.psql
select plan(54);

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

select finish();
rollback;
