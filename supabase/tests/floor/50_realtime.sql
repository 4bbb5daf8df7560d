-- A private topic is heard only by whom it is for, and no strange topic silences the others.
begin;
\ir ../outcome.psql
select plan(14);

delete from realtime.messages;
insert into realtime.messages (topic, extension, event, payload, private)
values
('user:11111111-1111-4111-8111-111111111111', 'broadcast', 'x', '{}', true),
('user:11111111-1111-4111-8111-111111111111', 'presence', 'x', '{}', true),
('user:11111111-1111-4111-8111-111111111111:searches', 'broadcast', 'x', '{}', true),
('user:11111111-1111-4111-8111-111111111111:other', 'broadcast', 'x', '{}', true),
('user:22222222-2222-4222-8222-222222222222', 'broadcast', 'x', '{}', true),
('user:22222222-2222-4222-8222-222222222222:searches', 'broadcast', 'x', '{}', true),
('user:', 'broadcast', 'x', '{}', true),
('user::searches', 'broadcast', 'x', '{}', true),
('user:not an id', 'broadcast', 'x', '{}', true),
('user:%', 'broadcast', 'x', '{}', true),
('', 'broadcast', 'x', '{}', true);
\set one '{"sub": "11111111-1111-4111-8111-111111111111"}'
\set admin '{"sub": "77777777-7777-4777-8777-777777777777", "app_metadata": {"role": "admin"}}'

select is(
    pg_temp.outcome(client.role_name, client.claims, $$select from realtime.messages where topic like 'user:%'$$),
    client.expected,
    format('S-181, S-274: %s of the topics of people', client.name)
)
from (
    values
    ('a person hears two', 'authenticated', :'one'::jsonb, '2 rows'),
    ('an admin hears none', 'authenticated', :'admin'::jsonb, '0 rows'),
    ('a token without a person hears none', 'authenticated', '{}'::jsonb, '0 rows'),
    ('a token whose person is none hears none', 'authenticated', '{"sub": "not an id"}'::jsonb, '0 rows'),
    ('a visitor hears none', 'anon', null::jsonb, '0 rows')
) as client (name, role_name, claims, expected);
select is(
    pg_temp.outcome(
        'authenticated',
        :'one',
        format('select from realtime.messages where topic = %L and extension = %L', heard.topic, 'broadcast')
    ),
    heard.expected,
    format('S-181: %s is %s', heard.topic, heard.expected)
)
from (
    values
    ('user:11111111-1111-4111-8111-111111111111', '1 row'),
    ('user:11111111-1111-4111-8111-111111111111:searches', '1 row'),
    ('user:11111111-1111-4111-8111-111111111111:other', '0 rows'),
    ('user:22222222-2222-4222-8222-222222222222', '0 rows'),
    ('user:not an id', '0 rows')
) as heard (topic, expected);
select is(
    pg_temp.outcome('authenticated', :'one', 'select from realtime.messages where topic = $$admin:security$$'),
    '0 rows',
    'S-226: what is for admins is for no person'
);
select is(
    pg_temp.outcome(
        'authenticated',
        :'one',
        $$
            insert into realtime.messages (topic, extension, private)
            values ('user:11111111-1111-4111-8111-111111111111', 'broadcast', true)
        $$
    ),
    '42501 new row violates row-level security policy for table "messages"',
    'S-282: nobody sends, not even to oneself'
);
select is(
    pg_temp.outcome('authenticated', :'one', 'select from realtime.messages'),
    '2 rows',
    'no policy raises at any of these topics'
);
select is_empty(
    $$select polname from pg_policy where polrelid = 'realtime.messages'::regclass and polcmd <> 'r'$$,
    'S-282: there is no policy to send by'
);

select finish();
rollback;
