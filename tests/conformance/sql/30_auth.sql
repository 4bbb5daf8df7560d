-- What the database knows of a request's caller.

create function public.conformance_claims()
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select auth.jwt()
$$;
comment on function public.conformance_claims() is 'The claims of the caller''s token.';

revoke execute on function public.conformance_claims() from public;
grant execute on function public.conformance_claims() to anon, authenticated, service_role;
