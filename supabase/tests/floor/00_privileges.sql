-- Nobody holds a right that was not written down; the group roles carry what was.
begin;
select plan(14);

create table public.fresh_table (id bigint generated always as identity primary key);
create function public.fresh_function()
returns integer
language sql
return 1;

select is_empty(
    $$
        select
            role.name,
            privilege.name
        from unnest(array['anon', 'authenticated', 'service_role']) as role (name)
        cross join unnest(array[
            'select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger'
        ]) as privilege (name)
        where has_table_privilege(role.name, 'public.fresh_table', privilege.name)
    $$,
    'S-177, D24: a new table is granted to no request role'
);
select is_empty(
    $$
        select role.name
        from unnest(array['anon', 'authenticated', 'service_role']) as role (name)
        where has_function_privilege(role.name, 'public.fresh_function()', 'execute')
    $$,
    'D21: a new function can be called by no request role'
);
select is_empty(
    $$
        select role.name
        from unnest(array['anon', 'authenticated', 'service_role']) as role (name)
        where has_sequence_privilege(role.name, 'public.fresh_table_id_seq', 'usage')
    $$,
    'a new sequence is granted to no request role'
);

select ok(
    pg_has_role('app_authenticated', 'app_anonymous', 'usage'),
    'S-176: who is signed in may do what anybody may'
);
select ok(pg_has_role('app_premium', 'app_authenticated', 'usage'), 'S-176: premium may do what the signed in may');
select ok(pg_has_role('app_admin', 'app_premium', 'usage'), 'S-176: admins may do what premium may');
select is_empty(
    $$
        select relation.oid::regclass
        from pg_class as relation
        cross join lateral aclexplode(relation.relacl) as granted
        where granted.grantee = 'app_admin'::regrole
    $$,
    'S-174, D20: and app_admin holds no table of its own: an admin is a claim, which policies ask for'
);
select ok(pg_has_role('anon', 'app_anonymous', 'usage'), 'S-171, D19: anon has the rights of app_anonymous');
select ok(
    pg_has_role('authenticated', 'app_authenticated', 'usage'),
    'S-172, D19: authenticated has those of app_authenticated'
);
select ok(pg_has_role('service_role', 'app_service', 'usage'), 'S-175, D19: service_role has those of app_service');
select ok(
    not pg_has_role('authenticated', 'app_premium', 'member'),
    'S-173: a signed in person is not premium by role'
);
select ok(not pg_has_role('authenticated', 'app_service', 'member'), 'a signed in person is not the service by role');
select is_empty(
    $$select rolname from pg_roles where rolname like 'app\_%' and (rolcanlogin or rolbypassrls or rolsuper)$$,
    'no group role can log in or pass by RLS'
);
select is_empty(
    $$
        select
            role.name,
            schema.nspname
        from unnest(array['anon', 'authenticated', 'service_role']) as role (name)
        cross join pg_namespace as schema
        where
            schema.nspname in ('public', 'private', 'ops')
            and has_schema_privilege(role.name, schema.oid, 'create')
    $$,
    'no request role can create anything in our schemas'
);

select finish();
rollback;
