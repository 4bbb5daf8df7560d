-- Promises that nobody holds a right that was not written down: defaults are taken back, group roles carry the grants.

create schema private;
comment on schema private is 'Helpers and internal tables. Not exposed: no request names it.';

create schema ops;
comment on schema ops is 'Outbox and operations, for the service role and operators only.';

-- Without `in schema`: a default for one schema can only add to the global one, never take from it.
alter default privileges for role postgres revoke all on tables from public, anon, authenticated, service_role;
alter default privileges for role postgres revoke all on sequences from public, anon, authenticated, service_role;
alter default privileges for role postgres revoke all on functions from public, anon, authenticated, service_role;
alter default privileges for role postgres in schema public revoke all on tables from anon, authenticated, service_role;
alter default privileges for role postgres in schema public
revoke all on sequences from anon, authenticated, service_role;
alter default privileges for role postgres in schema public
revoke all on functions from anon, authenticated, service_role;

-- Roles belong to the whole cluster, so another database may have made them already.
do $$
declare
    group_role text;
begin
    foreach group_role in array array[
        'app_anonymous',
        'app_authenticated',
        'app_premium',
        'app_admin',
        'app_service'
    ] loop
        if not exists (
            select
            from pg_catalog.pg_roles
            where rolname = group_role
        ) then
            execute pg_catalog.format('create role %I nologin', group_role);
        end if;
    end loop;
end
$$;

grant app_anonymous to app_authenticated;
grant app_authenticated to app_premium;
grant app_premium to app_admin;

-- Supabase's request roles do not inherit by themselves. sqlfluff does not know this clause yet.
grant app_anonymous to anon with inherit true; -- noqa: PRS
grant app_authenticated to authenticated with inherit true; -- noqa: PRS
grant app_service to service_role with inherit true; -- noqa: PRS

grant usage on schema private to app_anonymous, app_service;
grant usage on schema ops to app_service;

create function private.own_schemas()
returns setof oid
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select schema.oid
    from pg_namespace as schema
    where
        schema.nspname = 'public'
        or (
            pg_get_userbyid(schema.nspowner) = 'postgres'
            and schema.nspname not in ('extensions', 'supabase_migrations')
            and schema.nspname !~ '^pg_'
        )
$$;
comment on function private.own_schemas() is 'The schemas of the floor and the rooms, and not those of Supabase.';

grant execute on function private.own_schemas() to app_service;

-- Some are there already on a hosted project, in the same schemas.
create extension if not exists pgcrypto with schema extensions;
create extension if not exists citext with schema extensions;
create extension if not exists supabase_vault with schema vault;
create extension if not exists pg_net with schema extensions;
create extension if not exists pg_cron with schema pg_catalog;
