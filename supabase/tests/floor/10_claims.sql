-- Reading who asks never raises; no room can stop a sign-up or a sign-in.
begin;
select plan(24);

-- An empty house: nobody of the running stack is seen in here.
delete from auth.users;

select is(private.claims(), '{}', 'no token, no claims');
set local request.jwt.claims = 'not json';
select is(private.claims(), '{}', 'a broken token is no token');
select is(private.user_id(), null, 'a broken token names nobody');
select is(private.is_admin(), false, 'a broken token is no admin');
set local request.jwt.claims = '[1, 2]';
select is(private.user_id(), null, 'a token that is an array names nobody');
select is(private.is_admin(), false, 'a token that is an array is no admin');
set local request.jwt.claims = '{"sub": "auth0|42"}';
select is(private.user_id(), null, 'a foreign subject names nobody');
set local request.jwt.claims = '{"sub": "11111111-1111-4111-8111-111111111111", "user_metadata": {"role": "admin"}}';
select is(private.user_id(), '11111111-1111-4111-8111-111111111111', 'the subject is who asks');
select is(private.is_admin(), false, 'S-127: user_metadata makes nobody admin');
set local request.jwt.claims = '{"role": "admin", "app_metadata": "admin"}';
select is(private.is_admin(), false, 'D15: neither does the database role, nor a scalar app_metadata');
set local request.jwt.claims = '{"app_metadata": {"role": "admin"}}';
select is(private.is_admin(), true, 'S-127: app_metadata makes an admin');
reset request.jwt.claims;

-- A room that fails, beside the real one.
create function private.broken_on_sign_up(id uuid, email text, metadata jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$begin raise exception 'this room is broken'; end$$;
create function private.broken_claims(id uuid)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$begin raise exception 'this room is broken'; end$$;
create function private.other_claims(id uuid)
returns jsonb
language sql
set search_path = pg_catalog, pg_temp
as $$select '{"other": "yes"}'::jsonb$$;

set local client_min_messages = error;
select lives_ok(
    $$
        insert into auth.users (id, email, raw_user_meta_data)
        values (
            '11111111-1111-4111-8111-111111111111',
            'one@example.com',
            '{"name": "하나", "user_tier": "enterprise", "role": "admin"}'
        )
    $$,
    'a failing room does not stop a sign-up'
);
select results_eq(
    $$select email::text, name::text, user_tier::text from public.users$$,
    $$values ('o***@e***.com', '하나', 'free')$$,
    'S-136: the other room has its row, and the metadata gave no tier'
);
select lives_ok(
    $$insert into auth.users (id, email) values ('22222222-2222-4222-8222-222222222222', null)$$,
    'a person without an address can sign up'
);
select is(
    (select count(*) from public.users where email is null),
    1::bigint,
    'and has a row'
);
update auth.users
set email = 'uno@example.com'
where id = '11111111-1111-4111-8111-111111111111';
select is(
    (select email::text from public.users where id = '11111111-1111-4111-8111-111111111111'),
    'u***@e***.com',
    'a new address is copied, masked'
);
delete from auth.users
where id = '22222222-2222-4222-8222-222222222222';
select is(
    (select count(*) from public.users where id = '22222222-2222-4222-8222-222222222222'),
    0::bigint,
    'who leaves Auth leaves the room'
);

select is(
    public.custom_access_token_hook(
        '{
            "user_id": "11111111-1111-4111-8111-111111111111",
            "claims": {"sub": "11111111-1111-4111-8111-111111111111", "app_metadata": {"provider": "email"}}
        }'
    ),
    '{
        "user_id": "11111111-1111-4111-8111-111111111111",
        "claims": {
            "sub": "11111111-1111-4111-8111-111111111111",
            "app_metadata": {"provider": "email", "tier": "free", "other": "yes"}
        }
    }'::jsonb,
    'the hook merges what the rooms say; a failing room adds nothing and stops nothing'
);
insert into public.user_tiers (user_id, tier, expires_at, source)
values ('11111111-1111-4111-8111-111111111111', 'pro', now() + interval '1 day', 'purchase');
select is(
    public.custom_access_token_hook(
        '{"user_id": "11111111-1111-4111-8111-111111111111", "claims": {}}'
    ) #>> '{claims,app_metadata,tier}',
    'pro',
    'the hook puts the tier into the token'
);
update public.user_tiers
set expires_at = now() - interval '1 second';
select is(
    public.custom_access_token_hook(
        '{"user_id": "11111111-1111-4111-8111-111111111111", "claims": {}}'
    ) #>> '{claims,app_metadata,tier}',
    'free',
    'an expired tier is not put into the token'
);
select is(
    public.custom_access_token_hook('{"user_id": "nobody", "claims": {"a": 1}}'),
    '{"user_id": "nobody", "claims": {"a": 1}}'::jsonb,
    'an event without a user comes back unchanged'
);

select ok(
    has_function_privilege('supabase_auth_admin', 'public.custom_access_token_hook(jsonb)', 'execute'),
    'Auth may call the hook'
);
select is_empty(
    $$
        select role.name
        from unnest(array['anon', 'authenticated', 'service_role']) as role (name)
        where has_function_privilege(role.name, 'public.custom_access_token_hook(jsonb)', 'execute')
    $$,
    'nobody else may'
);

update public.users
set
    name = 'later',
    updated_at = '2000-01-01';
select is(
    (select max(updated_at) from public.users),
    now(),
    'S-125: updated_at is kept, whatever the writer says'
);

select finish();
rollback;
