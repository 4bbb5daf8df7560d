-- The roles, schemas and default extensions that a hosted project has before its first migration.

create role postgres login createdb createrole replication bypassrls password 'postgres';
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit password 'postgres';
create role supabase_auth_admin login noinherit createrole password 'postgres';
create role supabase_realtime_admin nologin noinherit;

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role, authenticator, supabase_realtime_admin to postgres with admin option;
grant pg_monitor, pg_read_all_data, pg_signal_backend, pg_create_subscription, pg_checkpoint to postgres;

alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role postgres set search_path = "$user", public, extensions;
alter role supabase_auth_admin set search_path = auth;

-- A hosted project lets postgres set what the Data API reads.
grant set on parameter pgrst.db_pre_request to postgres;

-- Exposure lints read the exposed schemas from here.
alter database postgres set pgrst.db_schemas = 'public';

grant all on database postgres to postgres;
alter schema public owner to pg_database_owner;
grant create, usage on schema public to postgres;
grant usage on schema public to anon, authenticated, service_role;

-- What a hosted project grants by default; the first migration takes it back.
alter default privileges for role postgres in schema public
    grant all on tables to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on sequences to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on functions to anon, authenticated, service_role;

create schema extensions authorization postgres;
grant usage on schema extensions to anon, authenticated, service_role;

create schema auth authorization supabase_auth_admin;
grant usage on schema auth to anon, authenticated, service_role, postgres;

create schema vault;
grant usage on schema vault to postgres with grant option;

create publication supabase_realtime;
alter publication supabase_realtime owner to postgres;

create extension pgcrypto with schema extensions;
create extension "uuid-ossp" with schema extensions;
create extension pg_stat_statements with schema extensions;

-- A hosted project hands pg_cron to postgres as soon as it is created.
create schema private_bootstrap;
create function private_bootstrap.grant_pg_cron_access()
returns event_trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (
        select
        from pg_event_trigger_ddl_commands() as command
        join pg_extension as extension on extension.oid = command.objid
        where extension.extname = 'pg_cron'
    ) then
        grant usage on schema cron to postgres with grant option;
        grant all on all functions in schema cron to postgres with grant option;
        grant all on all tables in schema cron to postgres with grant option;
        grant all on all sequences in schema cron to postgres with grant option;
    end if;
end
$$;
create event trigger issue_pg_cron_access on ddl_command_end
when tag in ('CREATE EXTENSION')
execute function private_bootstrap.grant_pg_cron_access();

-- The Data API of a hosted project reloads after every change of the schema.
create function private_bootstrap.notify_schema_reload()
returns event_trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    notify pgrst, 'reload schema';
end
$$;
create event trigger pgrst_ddl_watch on ddl_command_end execute function private_bootstrap.notify_schema_reload();
create event trigger pgrst_drop_watch on sql_drop execute function private_bootstrap.notify_schema_reload();
