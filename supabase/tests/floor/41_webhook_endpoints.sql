-- An endpoint is a public address whose owner may have it, and nobody reads a secret twice.
begin;
\ir ../outcome.psql
select plan(180);

delete from public.webhook_endpoints;
delete from ops.outbox;
delete from ops.alerts;
insert into ops.event_types (event_type, edge_function, for_subscribers, description)
values
('trend.detected', 'notify-trend', true, 'planted'),
('planted.closed', 'notify-trend', true, 'planted'),
('planted.internal', 'notify-trend', false, 'planted')
on conflict do nothing;
insert into auth.users (id, email)
values
('00000000-0000-4000-8000-0000000000a1', 'one@webhooks.example'),
('00000000-0000-4000-8000-0000000000a2', 'two@webhooks.example');
create function pg_temp.secret_of(endpoint uuid, which text default '')
returns text
language sql
as $$
    select decrypted_secret
    from vault.decrypted_secrets
    where name = 'webhook_endpoint_' || endpoint || which
$$;

-- The operator registers, by upsert.
set local role service_role;
create temporary table registered as
select public.register_webhook_endpoint(
    'https://hooks.example/in',
    'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE='
) as id;
grant select on registered to postgres;
reset role;
select is(
    pg_temp.secret_of((select id from registered)),
    'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=',
    'the secret of an endpoint is in Vault'
);
select results_eq(
    $$select user_id, event_types, allow_private from public.webhook_endpoints$$,
    $$values (null::uuid, '{trend.detected}'::text[], false)$$,
    'the operator''s endpoint is nobody''s'
);
update public.webhook_endpoints
set
    disabled_at = now(),
    disabled_reason = 'gone';
select is(
    public.register_webhook_endpoint(
        'https://hooks.example/in',
        'whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoyMzQ1Njc=',
        '{trend.detected,planted.internal,trend.detected}'
    ),
    (select id from registered),
    'registering an address again changes it'
);
select is(
    pg_temp.secret_of((select id from registered)),
    'whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoyMzQ1Njc=',
    'the secret is replaced'
);
select results_eq(
    $$select event_types, disabled_at, disabled_reason from public.webhook_endpoints$$,
    $$values ('{planted.internal,trend.detected}'::text[], null::timestamptz, null::text)$$,
    'the types too, each once, and it is in use again'
);

-- What is refused.
create function pg_temp.register(
    url text,
    secret text default 'whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoyMzQ1Njc=',
    event_types text[] default '{trend.detected}'
)
returns text
language plpgsql
as $$
declare
    problem text;
begin
    perform public.register_webhook_endpoint(url, secret, event_types);
    return 'taken';
exception
    when sqlstate 'PT400' then
        get stacked diagnostics problem = message_text;
        return problem;
end
$$;
select is(
    pg_temp.register('https://other.example/', secret),
    'The secret is no Standard Webhooks secret.',
    'a weak secret is refused: ' || coalesce(secret, 'none')
)
from unnest(array[null, 'short', 'whsec_', 'whsec_' || repeat('a', 31), 'whsec_' || repeat('!', 40)]) as secret;
select is(
    pg_temp.register('https://other.example/', event_types => '{}'),
    'The endpoint names no event types.',
    'an endpoint that wants nothing is refused'
);
select is(
    pg_temp.register('https://other.example/', event_types => unknown),
    'There is no such event type.',
    'an event that does not exist is refused: ' || unknown::text
)
from (
    values
    ('{trend.unheard_of}'::text[]),
    (array['trend.detected', null]),
    ('{webhook.test}')
) as input (unknown);
select is(
    pg_temp.register(url),
    'The url cannot be an endpoint.',
    'an address that cannot be judged is refused: ' || coalesce(left(url, 60), 'none')
)
from unnest(
    array[
        null,
        '',
        'file:///etc/passwd',
        'ftp://hooks.example/',
        'http://hooks.example/',
        'hooks.example',
        '//hooks.example/',
        'https://',
        'https:///hooks.example',
        'https://user@hooks.example/',
        'https://user:word@hooks.example/',
        'https://hooks.example:443@127.0.0.1/',
        'https://hooks.example\@127.0.0.1/',
        'https://127.0.0.1\.hooks.example/',
        'https://hooks.example/in\..\out',
        'https://hooks.example /',
        E'https://hooks.example\n/',
        E'https://hooks.example/\t',
        'https://훅.example/',
        'https://hooks。example/',
        'https://１２７.0.0.1/',
        'https://ⓔxample.com/',
        'https://127.0.0.1/',
        'https://127.1/',
        'https://127.0.1/',
        'https://127.0.0.1./',
        'https://2130706433/',
        'https://017700000001/',
        'https://0x7f000001/',
        'https://0x7f.0.0.1/',
        'https://0x7f.1/',
        'https://0177.0.0.1/',
        'https://0/',
        'https://0.0.0.0/',
        'https://10.0.0.1/',
        'https://169.254.169.254/latest/meta-data/',
        'https://hooks.0x7f/',
        'https://hooks.127/',
        'https://1.1.1.1.1/',
        'https://[::1]/',
        'https://[::]/',
        'https://[::ffff:127.0.0.1]/',
        'https://[::ffff:7f00:1]/',
        'https://[fe80::1%25eth0]/',
        'https://[64:ff9b::7f00:1]/',
        'https://%31%32%37.0.0.1/',
        'https://hooks%2eexample/',
        'https://localhost/',
        'https://LOCALHOST:8443/',
        'https://hooks/',
        'https://hooks.example./',
        'https://.hooks.example/',
        'https://hooks..example/',
        'https://-hooks.example/',
        'https://hooks-.example/',
        'https://hooks_1.example/',
        'https://hooks.example:/',
        'https://hooks.example:0/',
        'https://hooks.example:65536/',
        'https://hooks.example:80:80/',
        'https://hooks.example:-1/',
        'https://' || repeat('a', 64) || '.example/',
        'https://' || repeat('a.', 126) || 'example/',
        'https://hooks.example/' || repeat('a', 1979)
    ]
) as url;
select is(
    private.webhook_url_problem('https://' || name || '/'),
    'Its host is a name of a private network.',
    'a name that no public server has is refused: ' || name
)
from unnest(
    array[
        'HOOKS.localhost',
        'hooks.localhost',
        'localhost.localdomain',
        'printer.local',
        'metadata.google.internal',
        'nas.home.arpa',
        '1.0.0.127.in-addr.arpa',
        'hooks.onion',
        'router.lan'
    ]
) as name;
select is(
    private.webhook_url_problem('https://user:word@hooks.example/'),
    'It holds a user name, a password or an escaped character before the path.',
    'what is wrong is told in so many words'
);
select is(pg_temp.register(url), 'taken', 'an address that may be public is taken: ' || left(url, 60))
from unnest(
    array[
        'https://a.example',
        'HTTPS://Hooks.Example/Path',
        'https://xn--2f5b.example/',
        'https://hooks.example:8443/in?token=a@b%20c#x',
        'https://127.0.0.1.nip.example/',
        'https://1.a',
        'https://hooks.example:1',
        'https://hooks.example:65535/',
        'https://hooks.example?q',
        'https://' || repeat('a', 63) || '.example/',
        'https://hooks.example/' || repeat('a', 1978)
    ]
) as url;
select is(
    private.webhook_url_problem(url, true),
    null,
    'the operator may post to a handler beside the database: ' || url
)
from unnest(array['http://127.0.0.1:9/hook', 'http://localhost/', 'http://[::1]:9/', 'https://handler:8080/']) as url;
select isnt(
    private.webhook_url_problem(url, true),
    null,
    'but not to ' || url
)
from unnest(array['file:///etc/passwd', 'http://a@127.0.0.1/', 'http://127.0.0.1\x', 'http:///x', 'http://h:0/']) as url;
select lives_ok(
    $$
        select public.register_webhook_endpoint(
            'http://127.0.0.1:9/hook',
            'whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoyMzQ1Njc=',
            allow_private => true
        )
    $$,
    'which the service asks for in so many words'
);

-- A person's endpoints.
create temporary table own as
select
    private.add_webhook_endpoint(
        '00000000-0000-4000-8000-0000000000a1',
        'https://hooks.example/in',
        '{trend.detected}',
        'mine',
        entitled_until => '2999-01-01'
    ) as answer;
select matches(
    (select answer ->> 'secret' from own),
    '^whsec_[A-Za-z0-9+/]{43}=$',
    'a secret is made of 32 random bytes'
);
select is(
    pg_temp.secret_of((select (answer ->> 'id')::uuid from own)),
    (select answer ->> 'secret' from own),
    'and kept in Vault'
);
select results_eq(
    $$
        select
            user_id,
            description,
            event_types,
            allow_private,
            entitled_until
        from public.webhook_endpoints
        where id = (select (answer ->> 'id')::uuid from own)
    $$,
    $$
        values (
            '00000000-0000-4000-8000-0000000000a1'::uuid, 'mine', '{trend.detected}'::text[], false,
            '2999-01-01'::timestamptz
        )
    $$,
    'the operator and a person may have the same address'
);
select throws_ok(
    $$
        select private.add_webhook_endpoint(
            '00000000-0000-4000-8000-0000000000a1', 'https://hooks.example/in', '{trend.detected}'
        )
    $$,
    'PT409',
    'This address is registered already.',
    'a person has it once'
);
select throws_ok(
    $$
        select private.add_webhook_endpoint(
            '00000000-0000-4000-8000-0000000000a1', 'https://hooks.example/2', '{planted.internal}'
        )
    $$,
    'PT400',
    'There is no such event type.',
    'people may not ask for the operator''s events'
);
select throws_ok(
    $$
        select private.add_webhook_endpoint(
            '00000000-0000-4000-8000-0000000000a1', 'http://127.0.0.1:9/', '{trend.detected}', allow_private => true
        )
    $$,
    'PT400',
    'The url cannot be an endpoint.',
    'nor for private addresses'
);
select throws_ok(
    $$
        insert into public.webhook_endpoints (user_id, url, event_types, allow_private)
        values ('00000000-0000-4000-8000-0000000000a1', 'https://hooks.example/2', '{trend.detected}', true)
    $$,
    '23514',
    null,
    'which not even their row can hold'
);
select throws_ok(
    $$
        select private.add_webhook_endpoint(
            '00000000-0000-4000-8000-0000000000a1', 'https://hooks.example/2', '{trend.detected}', repeat('d', 501)
        )
    $$,
    'PT400',
    'The description is longer than 500 characters.',
    'a description is short'
);
select count(
    private.add_webhook_endpoint(
        '00000000-0000-4000-8000-0000000000a1', 'https://hooks.example/n' || n, '{trend.detected}'
    )
)
from generate_series(2, 10) as n;
select throws_ok(
    $$
        select private.add_webhook_endpoint(
            '00000000-0000-4000-8000-0000000000a1', 'https://hooks.example/n11', '{trend.detected}'
        )
    $$,
    'PT409',
    'There are ten webhook endpoints already.',
    'a person has ten at most'
);
select lives_ok(
    $$
        select private.add_webhook_endpoint(
            '00000000-0000-4000-8000-0000000000a2', 'https://hooks.example/n11', '{trend.detected}'
        )
    $$,
    'which is nothing to another person'
);

-- Who reads what.
\set one '{"sub": "00000000-0000-4000-8000-0000000000a1", "role": "authenticated"}'
select is(
    pg_temp.outcome(
        'authenticated',
        :'one',
        $$select from public.webhook_endpoints where user_id = '00000000-0000-4000-8000-0000000000a1'$$
    ),
    '10 rows',
    'people read their own endpoints'
);
select is(
    pg_temp.outcome('authenticated', :'one', $$select from public.webhook_endpoints$$),
    '10 rows',
    'and no other'
);
select is(
    pg_temp.outcome(
        'authenticated', '{"sub": "00000000-0000-4000-8000-0000000000ff", "role": "authenticated"}',
        $$select from public.webhook_endpoints$$
    ),
    '0 rows',
    'who has none reads none'
);
select matches(
    pg_temp.outcome(role.name, :'one', attempt.statement),
    '^42501 permission denied',
    '' || role.name || ' cannot ' || attempt.statement
)
from unnest(array['anon', 'authenticated']) as role (name)
cross join unnest(
    array[
        $$update public.webhook_endpoints set url = 'https://10.0.0.1/'$$,
        $$insert into public.webhook_endpoints (url, event_types) values ('https://x.example/', '{trend.detected}')$$,
        'delete from public.webhook_endpoints',
        'select public.list_webhook_endpoints()',
        'select public.rotate_webhook_secret(gen_random_uuid())',
        'select public.set_webhook_endpoint(gen_random_uuid(), true)',
        'select public.remove_webhook_endpoint(gen_random_uuid())',
        'select public.test_webhook_endpoint(gen_random_uuid())',
        'select public.webhook_log(gen_random_uuid())',
        'select * from public.claim_webhook_deliveries()',
        $$select public.record_webhook_deliveries('[]')$$,
        'select public.replay_webhook_deliveries()',
        $$select private.add_webhook_endpoint(null, 'https://x.example/', '{trend.detected}')$$,
        'select private.webhook_log(gen_random_uuid())'
    ]
) as attempt (statement);
select matches(
    pg_temp.outcome('anon', '{"role": "anon"}', 'select from public.webhook_endpoints'),
    '^42501 ',
    'visitors read none'
);
select is(
    pg_temp.outcome('service_role', '{"role": "service_role"}', 'delete from public.webhook_endpoints'),
    '42501 permission denied for table webhook_endpoints',
    'the service writes by the functions too'
);
set local role service_role;
create temporary table listed as
select public.list_webhook_endpoints() as list;
grant select on listed to postgres;
reset role;
select is(
    (select jsonb_array_length(list) from listed),
    (select count(*)::integer from public.webhook_endpoints),
    'the service lists all'
);
select is(
    (select list #> '{0,user_id}' from listed),
    'null'::jsonb,
    'the operator''s first'
);
select ok(
    (select list::text !~ 'whsec_' from listed),
    'and no secret'
);

-- Rotation.
create temporary table first_secret as
select
    (answer ->> 'id')::uuid as id,
    answer ->> 'secret' as secret
from own;
create temporary table rotated as
select public.rotate_webhook_secret((select id from first_secret), overlap_seconds => 600) as answer;
select results_eq(
    $$
        select
            (answer ->> 'id')::uuid = first_secret.id,
            answer ->> 'secret' <> first_secret.secret,
            (answer ->> 'previous_until')::timestamptz = now() + interval '10 minutes',
            pg_temp.secret_of(first_secret.id) = answer ->> 'secret',
            pg_temp.secret_of(first_secret.id, '_previous') = first_secret.secret
        from rotated
        cross join first_secret
    $$,
    $$values (true, true, true, true, true)$$,
    'a rotation keeps the old secret for its overlap'
);
select is(private.forget_previous_secrets(), 0, 'which is not over yet');
update public.webhook_endpoints
set previous_secret_until = now()
where id = (select id from first_secret);
select is(private.forget_previous_secrets(), 1, 'when it is, the old secret goes');
select results_eq(
    $$
        select
            pg_temp.secret_of(id, '_previous'),
            previous_secret_until
        from public.webhook_endpoints
        where id = (select id from first_secret)
    $$,
    $$values (null::text, null::timestamptz)$$,
    'out of Vault and out of the row'
);
select is(
    public.rotate_webhook_secret(
        (select id from first_secret), 'whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoyMzQ1Njc=', 0
    ),
    jsonb_build_object(
        'id', (select id from first_secret),
        'secret', 'whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoyMzQ1Njc=',
        'previous_until', null
    ),
    'a secret that leaked is replaced at once by one that is given'
);
select is(pg_temp.secret_of((select id from first_secret), '_previous'), null, 'and is nowhere any more');
select throws_ok(
    format('select public.rotate_webhook_secret(%L, overlap_seconds => %s)', (select id from first_secret), seconds),
    'PT400',
    'The overlap is not 0 to 604800 seconds.',
    'an overlap of ' || seconds || ' s is refused'
)
from unnest(array['-1', '604801', 'null']) as seconds;
select throws_ok(
    format('select public.rotate_webhook_secret(%L, %L)', (select id from first_secret), 'short'),
    'PT400',
    'The secret is no Standard Webhooks secret.',
    'so is a weak secret'
);

-- Unknown ids.
select throws_ok(
    format('select public.%s', call),
    'PT404',
    'There is no such webhook endpoint.',
    'an unknown endpoint: ' || call
)
from unnest(
    array[
        'rotate_webhook_secret(gen_random_uuid())',
        'set_webhook_endpoint(gen_random_uuid(), true)',
        'test_webhook_endpoint(gen_random_uuid())',
        'webhook_log(gen_random_uuid())',
        'rotate_webhook_secret(null)'
    ]
) as call;

-- Off, on and away.
select results_eq(
    $$
        select
            answer ->> 'disabled_reason',
            answer ->> 'description'
        from public.set_webhook_endpoint((select id from first_secret), false, 'resting') as answer
    $$,
    $$values ('switched_off', 'resting')$$,
    'an endpoint is switched off and described'
);
select is((select count(*) from ops.alerts), 0::bigint, 'which alerts nobody');
select results_eq(
    $$
        select
            answer ->> 'disabled_at',
            answer ->> 'disabled_reason',
            answer ->> 'description'
        from public.set_webhook_endpoint((select id from first_secret), true) as answer
    $$,
    $$values (null::text, null::text, 'resting')$$,
    'and on again'
);
select throws_ok(
    format('select public.set_webhook_endpoint(%L, null)', (select id from first_secret)),
    'PT400',
    null,
    'but not to neither'
);
select is(public.remove_webhook_endpoint((select id from first_secret)), true, 'an endpoint is removed');
select is(public.remove_webhook_endpoint((select id from first_secret)), false, 'once');
select is(pg_temp.secret_of((select id from first_secret)), null, 'and its secret with it');
create temporary table of_others as
select name
from vault.secrets
where
    name in (
        select 'webhook_endpoint_' || id
        from public.webhook_endpoints
        where user_id is not null
    );
select is((select count(*) from of_others), 10::bigint, 'others keep theirs');
delete from auth.users
where id in ('00000000-0000-4000-8000-0000000000a1', '00000000-0000-4000-8000-0000000000a2');
select is_empty(
    $$select from public.webhook_endpoints where user_id is not null$$,
    'who leaves takes the endpoints along'
);
select is_empty(
    $$select from vault.secrets where name in (select name from of_others)$$,
    'and their secrets'
);

select finish();
rollback;
