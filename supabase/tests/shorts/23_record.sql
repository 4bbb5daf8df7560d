-- Who records is somebody with an account, and each refusal says what to do.
begin;
\ir ../outcome.psql
\ir ../asked.psql
select plan(9);

insert into auth.users (id, email) values ('11111111-1111-4111-8111-111111111111', 'one@example.com');
\set one '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}'

select set_config('request.jwt.claims', :'one', true) as claims \gset
select is(private.require_person(), '11111111-1111-4111-8111-111111111111', 'somebody with an account is known');
delete from auth.users
where id = '11111111-1111-4111-8111-111111111111';
select throws_ok(
    'select private.require_person()', 'PT403', 'Only a person can call this.', 'a token outlives its account in vain'
);
select set_config('request.jwt.claims', '{"sub": "me", "role": "authenticated"}', true) as claims \gset
select throws_ok(
    'select private.require_person()', 'PT403', 'Only a person can call this.', 'a token that names nobody'
);
select set_config('request.jwt.claims', '', true) as claims \gset
select throws_ok('select private.require_person()', 'PT403', 'Only a person can call this.', 'no token');
select is(
    pg_temp.outcome('authenticated', :'one', 'select private.require_person()'),
    '42501 permission denied for function require_person',
    'nobody asks it directly'
);

-- Every code that a reader of batches can give has its hint.
select set_eq(
    $$select distinct code.found[1]
    from pg_proc as function
    cross join lateral regexp_matches(function.prosrc, '''(ON[0-9]{3})''', 'g') as code (found)
    where function.oid in (
        'private.read_interactions'::regproc, 'private.read_watch_events'::regproc, 'private.store_interactions'::regproc
    )$$,
    $$select 'ON' || to_char(n, 'FM000') from generate_series(1, 999) as n
    where private.row_hint('ON' || to_char(n, 'FM000')) is not null$$,
    'the codes that rows are refused with are those that have a hint'
);
select lives_ok(
    $$select private.check_own_batch((select jsonb_agg(n) from generate_series(1, 1000) as n))$$, '1000 rows are a batch'
);
select throws_ok(
    $$select private.check_own_batch(jsonb_build_array(repeat('x', 2000000)))$$,
    'PT413',
    'The batch has more than 1000 rows or 2 MB.',
    'PT413: 2 MB are none'
);
select throws_ok(
    $$select private.refuse_empty_handed('[{"code": "ON001", "message": "m"}, {"code": "ON016", "message": "m"}]')$$,
    'PT429',
    'On trial 50 interactions a day are stored, and this is more.',
    'PT429 comes before PT400: the same batch may be taken tomorrow'
);

select finish();
rollback;
