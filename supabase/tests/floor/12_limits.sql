-- Who may ask how often and how long; counting is never a reason to refuse by itself.
begin;
\ir ../outcome.psql
select plan(28);

delete from private.counted_requests;
update private.rate_limits
set per_minute = 2;

create function pg_temp.ask(
    role_name text,
    claims text,
    headers text
)
returns text
language plpgsql
as $$
begin
    perform set_config('ondol.request_id', '', true);
    perform set_config('request.headers', coalesce(headers, ''), true);
    return pg_temp.outcome(role_name, claims::jsonb, 'select private.before_request()');
end
$$;

select is(
    (
        select setting.setconfig
        from pg_db_role_setting as setting
        where setting.setrole = cell.role_name::regrole
    ),
    array['statement_timeout=' || cell.allowed],
    format('%s has %s for a statement', cell.role_name, cell.allowed)
)
from (values ('anon', '3s'), ('authenticated', '8s'), ('service_role', '120s')) as cell (role_name, allowed);
select ok(
    exists (
        select
        from pg_db_role_setting as setting
        where
            setting.setrole = 'authenticator'::regrole
            and 'pgrst.db_pre_request=private.before_request' = any(setting.setconfig)
    ),
    'the Data API calls private.before_request before each request'
);

\set home '{"x-forwarded-for": "203.0.113.7, 10.0.0.1"}'
select is(pg_temp.ask('anon', null, :'home'), '1 row', 'anon: the first write');
select is(pg_temp.ask('anon', null, :'home'), '1 row', 'anon: the second');
select matches(
    pg_temp.ask('anon', null, :'home'),
    '^PGRST \{"code": "PT429"',
    'anon: the third is one too many'
);
select is(
    pg_temp.ask('anon', null, '{"x-forwarded-for": "203.0.113.8, 10.0.0.1"}'),
    '1 row',
    'another address has its own minute'
);
select is(
    pg_temp.ask('anon', null, '{"x-forwarded-for": "203.0.113.7", "cf-connecting-ip": "203.0.113.9"}'),
    '1 row',
    'what the edge says of the address counts before what the caller may have written'
);
select is((select count(*) from private.counted_requests), 4::bigint, 'what was refused is not counted');
select is(
    (select count(*) from private.counted_requests as one where position('203.0.113' in encode(one.identity, 'escape')) > 0),
    0::bigint,
    'no address is kept in the clear'
);

\set ann '{"sub": "11111111-1111-4111-8111-111111111111"}'
\set ben '{"sub": "22222222-2222-4222-8222-222222222222"}'
select is(pg_temp.ask('authenticated', :'ann', :'home'), '1 row', 'a person is counted by id, not by address');
select is(pg_temp.ask('authenticated', :'ann', null), '1 row', 'wherever the person is');
select matches(pg_temp.ask('authenticated', :'ann', :'home'), '^PGRST ', 'a person, one too many');
select is(pg_temp.ask('authenticated', :'ben', :'home'), '1 row', 'another person beside');

update private.counted_requests
set counted_at = counted_at - interval '1 minute';
select is(pg_temp.ask('anon', null, :'home'), '1 row', 'a minute later all is well again');

-- Nothing but the limit refuses.
select is(pg_temp.ask('anon', null, null), '1 row', 'no headers: no limit');
select is(pg_temp.ask('anon', 'null', '[not json'), '1 row', 'broken headers: no limit');
select is(pg_temp.ask('service_role', null, :'home'), '1 row', 'the service has no limit');
delete from private.rate_limits
where role_name = 'anon';
select is(pg_temp.ask('anon', null, :'home'), '1 row', 'no row: no limit');
alter table private.counted_requests rename to counted_no_more;
select is(pg_temp.ask('authenticated', :'ann', null), '1 row', 'counting is broken: no limit');
alter table private.counted_no_more rename to counted_requests;

update private.counted_requests
set counted_at = counted_at - interval '1 hour';
select isnt(private.purge_counted_requests(), 0::bigint, 'what no limit counts any more is forgotten');
select is((select count(*) from private.counted_requests), 0::bigint, 'all of it');

-- Estimates are made of everybody's rows.
select is(
    pg_temp.ask(asked.role_name, '{}', format('{"prefer": "%s"}', asked.prefer)),
    asked.answer,
    format('Prefer: %s by %s', asked.prefer, asked.role_name)
)
from (
    values
    ('authenticated', 'count=planned', 'PT400 Rows are counted exactly or not at all.'),
    ('authenticated', 'return=minimal,count=estimated', 'PT400 Rows are counted exactly or not at all.'),
    ('anon', 'COUNT = planned', 'PT400 Rows are counted exactly or not at all.'),
    ('authenticated', 'count=exact', '1 row'),
    ('service_role', 'count=planned', '1 row')
) as asked (role_name, prefer, answer);

select finish();
rollback;
