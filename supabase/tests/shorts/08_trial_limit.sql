-- A day on trial has room for 50 interactions, however they are sent, and what is over is refused whole.
begin;
\ir ../outcome.psql
\ir ../asked.psql
select plan(34);

insert into auth.users (id, email) values
('11111111-1111-4111-8111-111111111111', 'trial@example.com'),
('22222222-2222-4222-8222-222222222222', 'other@example.com'),
('33333333-3333-4333-8333-333333333333', 'expired@example.com'),
('44444444-4444-4444-8444-444444444444', 'free@example.com'),
('55555555-5555-4555-8555-555555555555', 'premium@example.com'),
('66666666-6666-4666-8666-666666666666', 'batch@example.com');
insert into public.user_tiers (user_id, tier, expires_at, source) values
('11111111-1111-4111-8111-111111111111', 'trial', now() + interval '1 day', 'trial'),
('22222222-2222-4222-8222-222222222222', 'trial', null, 'trial'),
('33333333-3333-4333-8333-333333333333', 'trial', now() - interval '1 second', 'trial'),
('55555555-5555-4555-8555-555555555555', 'premium', null, 'purchase'),
('66666666-6666-4666-8666-666666666666', 'trial', now() + interval '1 day', 'trial');
\set trial '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}'
\set other '{"sub": "22222222-2222-4222-8222-222222222222", "role": "authenticated"}'
\set expired '{"sub": "33333333-3333-4333-8333-333333333333", "role": "authenticated"}'
\set free '{"sub": "44444444-4444-4444-8444-444444444444", "role": "authenticated"}'
\set premium '{"sub": "55555555-5555-4555-8555-555555555555", "role": "authenticated"}'
\set batch '{"sub": "66666666-6666-4666-8666-666666666666", "role": "authenticated"}'
insert into public.cached_videos (video_id, title) values ('trialVideo1', 'a video');

create function pg_temp.views(amount integer)
returns text
language sql
as $$
    select format(
        $q$insert into public.video_interactions (video_id, interaction_type)
        select 'trialVideo1', 'view' from generate_series(1, %s)$q$,
        amount
    )
$$;
create function pg_temp.stored(person uuid)
returns bigint
language sql
as $$
    select count(*)
    from public.video_interactions
    where user_id = person
$$;

-- The day.
select is(private.korean_day('2026-01-01 14:59:59.999999Z'), '2026-01-01', 'S-153: a day ends at midnight in Korea');
select is(private.korean_day('2026-01-01 15:00:00Z'), '2026-01-02', 'S-153: and the next begins with it');
select is(private.trial_limit(), 50, 'S-242: 50 a day');

-- Directly.
select is(
    pg_temp.outcome('authenticated', :'trial', pg_temp.views(60)),
    'PT429 On trial 50 interactions a day are stored, and this is more.',
    'S-153: one INSERT of 60 rows is refused'
);
select is(
    pg_temp.stored('11111111-1111-4111-8111-111111111111'), 0::bigint, 'S-153: whole, so that nothing is stored'
);
select is_empty(
    $$select from private.daily_quotas where user_id = '11111111-1111-4111-8111-111111111111'$$,
    'D12: and nothing is counted'
);
select alike(
    pg_temp.asked(:'trial', pg_temp.views(60)),
    '%/ Send fewer, wait until midnight in Korea, or subscribe.',
    'PT429 says what to do'
);
select is(pg_temp.outcome('authenticated', :'trial', pg_temp.views(49)), '49 rows', 'S-242: 49 are stored');
select is(
    pg_temp.outcome('authenticated', :'trial', pg_temp.views(2)),
    'PT429 On trial 50 interactions a day are stored, and this is more.',
    'S-153: two more are one too many'
);
select is(pg_temp.outcome('authenticated', :'trial', pg_temp.views(1)), '1 row', 'S-242: the 50th is stored');
select is(
    pg_temp.outcome('authenticated', :'trial', pg_temp.views(1)),
    '42501 new row violates row-level security policy "Trial users limited access" for table "video_interactions"',
    'S-153, S-242: the 51st is refused'
);
select is(pg_temp.stored('11111111-1111-4111-8111-111111111111'), 50::bigint, 'S-242: 50 are there');
select is(pg_temp.outcome('authenticated', :'other', pg_temp.views(50)), '50 rows', 'another has the own 50');

-- No way around.
select is(
    pg_temp.outcome(
        'authenticated',
        :'trial',
        $$insert into public.video_interactions (video_id, interaction_type, created_at)
        values ('trialVideo1', 'view', now() - interval '1 day')$$
    ),
    '42501 permission denied for table video_interactions',
    'D12: nobody dates an interaction back'
);
select is(
    pg_temp.outcome('authenticated', :'trial', 'delete from public.video_interactions'),
    '42501 permission denied for table video_interactions',
    'D12: nobody deletes one'
);
select is(
    pg_temp.outcome('authenticated', :'trial', 'update public.video_interactions set interaction_value = 2'),
    '42501 permission denied for table video_interactions',
    'D12: nobody changes one'
);
select is(
    pg_temp.outcome('authenticated', :'trial', 'delete from private.daily_quotas'),
    '42501 permission denied for table daily_quotas',
    'D12: nobody reaches the quota'
);
delete from public.video_interactions
where user_id = '11111111-1111-4111-8111-111111111111';
select alike(
    pg_temp.outcome('authenticated', :'trial', pg_temp.views(1)),
    '42501 %',
    'D12: deleted rows give nothing back'
);
update private.daily_quotas
set day = day - 1
where user_id = '11111111-1111-4111-8111-111111111111';
select is(pg_temp.outcome('authenticated', :'trial', pg_temp.views(50)), '50 rows', 'S-153: a new day has its own 50');
select is(
    pg_temp.outcome(
        'authenticated',
        :'trial',
        $$insert into public.video_interactions (video_id, interaction_type, interaction_timestamp)
        values ('trialVideo1', 'view', now() - interval '2 days')$$
    ),
    '42501 new row violates row-level security policy "Trial users limited access" for table "video_interactions"',
    'D12: the day is the server''s, whatever the device says'
);

-- Who is not on trial.
select is(pg_temp.outcome('authenticated', :'expired', pg_temp.views(60)), '60 rows', 'a trial that is over is free');
select is(pg_temp.outcome('authenticated', :'free', pg_temp.views(60)), '60 rows', 'free is not limited');
select is(pg_temp.outcome('authenticated', :'premium', pg_temp.views(60)), '60 rows', 'premium is not limited');
select is_empty(
    $$select from private.daily_quotas where user_id in (
        '33333333-3333-4333-8333-333333333333',
        '44444444-4444-4444-8444-444444444444',
        '55555555-5555-4555-8555-555555555555'
    )$$,
    'and not counted'
);

-- In a batch: what fits is kept, in the order sent.
select is(pg_temp.outcome('authenticated', :'batch', pg_temp.views(47)), '47 rows', 'three are left');
create temporary table answers (answer jsonb);
insert into answers
select
    pg_temp.asked(
        :'batch',
        $$select public.record_interaction('[
            {"video_id": "trialVideo1", "interaction_type": "view", "id": "aaaaaaaa-0000-4000-8000-000000000001"},
            {"video_id": "unknown", "interaction_type": "view"},
            {"video_id": "trialVideo1", "interaction_type": "view", "id": "aaaaaaaa-0000-4000-8000-000000000001"},
            {"video_id": "trialVideo1", "interaction_type": "like", "id": "aaaaaaaa-0000-4000-8000-000000000002"},
            {"video_id": "trialVideo1", "interaction_type": "save", "id": "aaaaaaaa-0000-4000-8000-000000000003"},
            {"video_id": "trialVideo1", "interaction_type": "skip", "id": "aaaaaaaa-0000-4000-8000-000000000004"}
        ]')$$
    )::jsonb;
select is(
    (select answer - 'rejected' - 'interactions' from answers),
    '{"received": 6, "stored": 3, "repeated": 1}',
    'S-242: record_interaction stores what fits'
);
select is(
    (select jsonb_path_query_array(answer, '$.rejected[*].code') from answers),
    '["ON012", "ON016"]',
    'S-242: and names what does not: ON016'
);
select is(
    (select answer #> '{rejected,1}' from answers),
    '{
        "index": 5,
        "code": "ON016",
        "message": "on trial 50 interactions a day are stored",
        "hint": "Send the row again after midnight in Korea, or subscribe."
    }',
    'ON016 says what to do'
);
select is(pg_temp.stored('66666666-6666-4666-8666-666666666666'), 50::bigint, 'S-242: 50 are there');
select is(
    pg_temp.asked(
        :'batch',
        $$select public.record_interaction('[
            {"video_id": "trialVideo1", "interaction_type": "view"},
            {"video_id": "unknown", "interaction_type": "view"}
        ]')$$
    ),
    'PT429 On trial 50 interactions a day are stored, and this is more. / Wait until midnight in Korea, or subscribe.',
    'PT429 when there is no room for any'
);
select is(pg_temp.stored('66666666-6666-4666-8666-666666666666'), 50::bigint, 'PT429 leaves nothing behind');
select is(
    pg_temp.asked(
        :'batch',
        $$select public.record_interaction('[
            {"video_id": "trialVideo1", "interaction_type": "view", "id": "aaaaaaaa-0000-4000-8000-000000000001"}
        ]') -> 'repeated'$$
    ),
    '1',
    'a repeat needs no room'
);

-- Two days are kept.
insert into private.daily_quotas (user_id, day, used) values
('44444444-4444-4444-8444-444444444444', private.korean_day() - 1, 1),
('44444444-4444-4444-8444-444444444444', private.korean_day() - 2, 1),
('44444444-4444-4444-8444-444444444444', private.korean_day() - 3, 1);
select is(private.fold_counters() -> 'quotas_forgotten', '2', 'days before yesterday are forgotten');
select results_eq(
    $$select day from private.daily_quotas where user_id = '44444444-4444-4444-8444-444444444444'$$,
    'select private.korean_day() - 1',
    'and yesterday is kept'
);

select finish();
rollback;
