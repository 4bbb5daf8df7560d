-- A trend reaches the people who follow its keyword once, however often its webhook is delivered.
begin;
\ir ../outcome.psql
select plan(46);

-- An empty house: nothing of the running stack is seen in here.
delete from auth.users;
delete from ops.webhook_receipts;
insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'follows@example.com'),
('22222222-2222-4222-8222-222222222222', 'spells@example.com'),
('33333333-3333-4333-8333-333333333333', 'silent@example.com'),
('44444444-4444-4444-8444-444444444444', 'other@example.com');
update public.user_profiles
set preferred_keywords = followed.keywords
from (
    values
    ('11111111-1111-4111-8111-111111111111'::uuid, array['먹방', 'asmr']),
    ('22222222-2222-4222-8222-222222222222', array['  ASMR', 'Ａsmr']),
    ('33333333-3333-4333-8333-333333333333', array['asmr']),
    ('44444444-4444-4444-8444-444444444444', array['asmr cooking', 'sm'])
) as followed (user_id, keywords)
where user_profiles.user_id = followed.user_id;
update public.users
set settings = settings || '{"notifications": false}'
where id = '33333333-3333-4333-8333-333333333333';
delete from realtime.messages;

create function pg_temp.event(
    event_type text,
    score double precision,
    told_at text default '2026-01-02T10:00:00.000Z',
    more jsonb default '{}'
)
returns jsonb
language sql
as $$
    select jsonb_build_object(
        'type', event_type,
        'timestamp', told_at,
        'data', jsonb_build_object(
            'id', 'aaaaaaaa-0000-4000-8000-000000000001',
            'keyword', 'asmr',
            'region_code', 'KR',
            'trend_score', score,
            'growth_rate', 120,
            'detected_at', '2026-01-02T09:59:59+00:00'
        ) || more
    )
$$;

-- trend.detected.
select is(
    public.receive_trend_event('msg_1', pg_temp.event('trend.detected', 0.81)),
    '{"duplicate": false, "notified": 2}'::jsonb,
    'S-262: a webhook is taken, and those who follow the keyword are notified'
);
select results_eq(
    $$
        select
            user_id, kind, dedupe_key, trend_id, keyword::text, region_code::text,
            (payload ->> 'trend_score')::double precision, read_at
        from public.notifications
        order by user_id
    $$,
    $$
        select
            person.id, 'trend', 'KR:2026-01-02:asmr', 'aaaaaaaa-0000-4000-8000-000000000001'::uuid, 'asmr', 'KR',
            0.81::double precision, null::timestamptz
        from (
            values
            ('11111111-1111-4111-8111-111111111111'::uuid),
            ('22222222-2222-4222-8222-222222222222')
        ) as person (id)
    $$,
    'S-262: whoever follows it in any spelling and wants notifications; no part of a keyword is enough'
);
select results_eq(
    $$
        select topic, event, private, payload -> 'keyword'
        from realtime.messages
        order by topic
    $$,
    $$
        values
        ('user:11111111-1111-4111-8111-111111111111', 'notification', true, '"asmr"'::jsonb),
        ('user:22222222-2222-4222-8222-222222222222', 'notification', true, '"asmr"')
    $$,
    'S-181: each hears of it on a topic of their own'
);
select is_empty(
    $$
        select from realtime.messages as message
        where
            not exists (
                select
                from public.notifications as notification
                where
                    'user:' || notification.user_id = message.topic
                    and notification.id::text = message.payload ->> 'id'
                    and notification.payload = message.payload -> 'payload'
            )
    $$,
    'with the id and the figures of the row'
);
select is(
    public.receive_trend_event('msg_1', pg_temp.event('trend.detected', 0.81)),
    '{"duplicate": true, "notified": 0}'::jsonb,
    'S-214: the same webhook again changes nothing'
);
select is((select count(*) from ops.webhook_receipts), 1::bigint, 'S-214: and has one receipt');
select is(
    public.receive_trend_event('msg_2', pg_temp.event('trend.detected', 0.85)),
    '{"duplicate": false, "notified": 0}'::jsonb,
    'S-214: the same trend by another webhook notifies nobody twice'
);
select is((select count(*) from public.notifications), 2::bigint, 'S-214: the rows stay');
select is((select count(*) from realtime.messages), 2::bigint, 'S-214: and nothing is broadcast again');
select is(
    public.receive_trend_event(
        'msg_3', pg_temp.event('trend.detected', 0.9, more => '{"detected_at": "2026-01-03T00:00:00+00:00"}')
    ) -> 'notified',
    '2'::jsonb,
    'the next day it is news again'
);
select is(
    public.receive_trend_event(
        'msg_4', pg_temp.event('trend.detected', 0.9, more => '{"region_code": "US"}')
    ) -> 'notified',
    '2'::jsonb,
    'so it is in another region'
);
select is(
    private.notify_followers(pg_temp.event('trend.detected', 0.9, more => '{"region_code": "JP"}'), 1),
    1,
    'one event notifies no more than so many people'
);
select isnt_empty(
    $$select from ops.alerts where kind = 'notification_limit' and subject = 'asmr'$$,
    'and an operator learns of it'
);
select is(private.most_notified(), 50000, 'the limit is 50,000');
select ok(
    (
        select indexdef ~ 'gin \(private.folded_keywords\(preferred_keywords\)\)'
        from pg_indexes
        where indexname = 'user_profiles_by_followed_keyword'
    ),
    'followers are found by an index'
);
create function pg_temp.plan_of(statement text)
returns setof text
language plpgsql
as $$
begin
    return query execute 'explain ' || statement;
end
$$;
set local enable_seqscan = off;
select matches(
    (
        select string_agg(line, ' ')
        from pg_temp.plan_of(
            $$
                select from public.user_profiles
                where private.folded_keywords(preferred_keywords) @> array['asmr']
            $$
        ) as line
    ),
    'user_profiles_by_followed_keyword',
    'which the question can use'
);
reset enable_seqscan;

-- trend.updated.
delete from public.notifications
where dedupe_key <> 'KR:2026-01-02:asmr';
update public.notifications
set read_at = now()
where user_id = '22222222-2222-4222-8222-222222222222';
delete from realtime.messages;
select is(
    public.receive_trend_update('msg_5', pg_temp.event('trend.updated', 0.9, '2026-01-02T10:05:00.000Z')),
    '{"duplicate": false, "notified": 1}'::jsonb,
    'S-263: an update is taken, and who has not read yet reads the newest'
);
create temporary view shown as
select
    user_id,
    (payload ->> 'trend_score')::double precision as score
from public.notifications;
select results_eq(
    'select * from shown order by user_id',
    $$
        values
        ('11111111-1111-4111-8111-111111111111'::uuid, 0.9::double precision),
        ('22222222-2222-4222-8222-222222222222', 0.81)
    $$,
    'S-263: what was read stays as it was read, and there are no new rows'
);
select is(
    public.receive_trend_update('msg_5', pg_temp.event('trend.updated', 0.1, '2026-01-02T10:10:00.000Z')),
    '{"duplicate": true, "notified": 0}'::jsonb,
    'S-263: the same webhook again changes nothing'
);
select is(
    public.receive_trend_update('msg_6', pg_temp.event('trend.updated', 0.1, '2026-01-02T10:04:59.999Z')) -> 'notified',
    '0'::jsonb,
    'S-263: what is older never overwrites what is newer'
);
select is(
    public.receive_trend_update('msg_7', pg_temp.event('trend.updated', 0.9, '2026-01-02T10:05:00.000Z')) -> 'notified',
    '0'::jsonb,
    'the same news by another webhook changes nothing'
);
select is(
    public.receive_trend_update(
        'msg_8',
        pg_temp.event(
            'trend.updated', 0.1, '2026-01-02T11:00:00.000Z', '{"id": "aaaaaaaa-0000-4000-8000-000000000002"}'
        )
    ) -> 'notified',
    '0'::jsonb,
    'an update of another trend is not theirs'
);
select is((select score from shown where user_id::text like '1%'), 0.9::double precision, 'all that leaves 0.9');

-- What is no such event is refused, and leaves no receipt.
select throws_ok(
    format('select public.receive_trend_%s(%L, %L)', receiver.name, bad.webhook_id, bad.event),
    'PT400',
    bad.message,
    format('%s refuses %s', receiver.name, bad.what)
)
from (values ('event', 'trend.detected'), ('update', 'trend.updated')) as receiver (name, event_type)
cross join lateral (
    values
    ('no id', '', pg_temp.event(receiver.event_type, 1), 'The webhook has no id of 1 to 255 characters.'),
    ('another event', 'bad', pg_temp.event('user.deleted', 1), null),
    ('no keyword', 'bad', pg_temp.event(receiver.event_type, 1, more => '{"keyword": " "}'), null),
    ('a region that is none', 'bad', pg_temp.event(receiver.event_type, 1, more => '{"region_code": "kr"}'), null),
    ('a time that is none', 'bad', pg_temp.event(receiver.event_type, 1, 'soon'), null),
    ('a time that never comes', 'bad', pg_temp.event(receiver.event_type, 1, 'infinity'), null),
    ('an id that is none', 'bad', pg_temp.event(receiver.event_type, 1, more => '{"id": "x"}'), null)
) as listed (what, webhook_id, event, message)
cross join lateral (
    select
        listed.what,
        listed.webhook_id,
        listed.event,
        coalesce(listed.message, format('The event is no %s event of a trend.', receiver.event_type)) as message
) as bad
order by
    receiver.name,
    bad.what;
select is_empty(
    $$select from ops.webhook_receipts where webhook_id = 'bad'$$,
    'without a receipt: sent right, it is taken'
);

-- Whose they are.
select is(
    pg_temp.outcome(client.role_name, client.claims, attempt.statement),
    attempt.expected,
    format('%s: %s', client.role_name, attempt.statement)
)
from (
    values
    (
        1,
        'authenticated',
        '{"sub": "11111111-1111-4111-8111-111111111111"}'::jsonb,
        'select from public.notifications',
        '1 row'
    ),
    (2, 'anon', null, 'select from public.notifications', '42501 permission denied for table notifications'),
    (
        3,
        'authenticated',
        '{"sub": "11111111-1111-4111-8111-111111111111"}',
        'update public.notifications set read_at = now()',
        '1 row'
    ),
    (
        4,
        'authenticated',
        '{"sub": "11111111-1111-4111-8111-111111111111"}',
        $$update public.notifications set keyword = 'forged'$$,
        '42501 permission denied for table notifications'
    ),
    (
        5,
        'authenticated',
        '{"sub": "44444444-4444-4444-8444-444444444444"}',
        'delete from public.notifications',
        '0 rows'
    ),
    (
        6,
        'authenticated',
        '{"sub": "11111111-1111-4111-8111-111111111111"}',
        'delete from public.notifications',
        '1 row'
    )
) as listed (place, role_name, claims, statement, expected)
cross join lateral (select listed.role_name, listed.claims) as client
cross join lateral (select listed.statement, listed.expected) as attempt
order by listed.place;

-- Kept for 30 days.
select is(
    private.forget_notifications(now() + interval '29 days 23 hours'),
    '{"forgotten": 0}',
    'younger than 30 days stays'
);
select is(private.forget_notifications(now() + interval '30 days 1 second'), '{"forgotten": 1}', 'older goes');

select finish();
rollback;
