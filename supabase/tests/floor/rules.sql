-- What every room must keep, asked of the catalog. Each rule is shown to speak: a planted fault must break it.
begin;
select plan(37);

create temporary view our_schemas as
select
    schema.oid,
    schema.nspname
from pg_namespace as schema
where
    schema.nspname = 'public'
    or (
        pg_get_userbyid(schema.nspowner) = 'postgres'
        and schema.nspname not in ('extensions', 'supabase_migrations')
        and schema.nspname !~ '^pg_'
    );

create temporary view our_relations as
select relation.*
from pg_class as relation
inner join our_schemas as schema on relation.relnamespace = schema.oid
where
    not exists (
        select
        from pg_depend as dependency
        where
            dependency.classid = 'pg_class'::regclass
            and dependency.objid = relation.oid
            and dependency.deptype = 'e'
    );

create temporary view our_functions as
select function.*
from pg_proc as function
inner join our_schemas as schema on function.pronamespace = schema.oid
where
    not exists (
        select
        from pg_depend as dependency
        where
            dependency.classid = 'pg_proc'::regclass
            and dependency.objid = function.oid
            and dependency.deptype = 'e'
    );

create temporary view request_roles as
select role.oid
from pg_roles as role
where role.rolname in (
    'anon', 'authenticated', 'service_role',
    'app_anonymous', 'app_authenticated', 'app_premium', 'app_admin', 'app_service'
);

-- The rules.
prepare tables_without_rls as
select oid::regclass
from our_relations
where
    relkind in ('r', 'p')
    and not relrowsecurity;

prepare foreign_keys_without_index as
select
    conname,
    conrelid::regclass
from pg_constraint
where
    contype = 'f'
    and conrelid in (select oid from our_relations)
    and not exists (
        select
        from pg_index
        where
            indrelid = conrelid
            and indpred is null
            and (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey
    );

prepare functions_without_fixed_path as
select oid::regprocedure
from our_functions
where not coalesce('search_path=pg_catalog, pg_temp' = any(proconfig), false);

prepare views_with_their_owners_rights as
select oid::regclass
from our_relations
where
    relkind = 'v'
    and not coalesce('security_invoker=true' = any(reloptions), false);

prepare materialized_views_within_reach as
select relation.oid::regclass
from our_relations as relation
cross join request_roles as role
where
    relation.relkind = 'm'
    and has_table_privilege(role.oid, relation.oid, 'select')
    and pg_get_userbyid(role.oid) <> 'service_role';

prepare functions_for_everybody as
select function.oid::regprocedure
from our_functions as function
cross join lateral aclexplode(coalesce(function.proacl, acldefault('f', function.proowner))) as entry
where entry.grantee = 0;

prepare definers_within_reach as
select function.oid::regprocedure
from our_functions as function
cross join unnest(array['anon', 'authenticated']) as role (name)
where
    function.prosecdef
    and function.pronamespace = 'public'::regnamespace
    and has_function_privilege(role.name, function.oid, 'execute');

prepare more_than_reading_and_writing as
select
    relation.oid::regclass,
    entry.grantee::regrole,
    entry.privilege_type
from our_relations as relation
cross join lateral aclexplode(relation.relacl) as entry
where
    relation.relkind in ('r', 'p', 'v', 'm')
    and (entry.grantee = 0 or entry.grantee in (select oid from request_roles))
    and entry.privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE');

prepare grants_on_partitions as
select relation.oid::regclass
from our_relations as relation
cross join lateral aclexplode(relation.relacl) as entry
where
    relation.relispartition
    and (entry.grantee = 0 or entry.grantee in (select oid from request_roles));

prepare nameless_things as
select oid::regclass::text as thing
from our_relations
where
    relkind in ('r', 'p', 'v', 'm')
    and obj_description(oid, 'pg_class') is null
union all
select oid::regprocedure::text
from our_functions
where obj_description(oid, 'pg_proc') is null
union all
select type.oid::regtype::text
from pg_type as type
inner join our_schemas as schema on type.typnamespace = schema.oid
where
    type.typtype in ('e', 'd')
    and obj_description(type.oid, 'pg_type') is null
union all
select attrelid::regclass || '.' || attname
from pg_attribute
where
    attrelid in (
        select oid
        from our_relations
        where
            relkind in ('r', 'p', 'v')
            and relnamespace = 'public'::regnamespace
    )
    and attnum > 0
    and not attisdropped
    and col_description(attrelid, attnum) is null;

prepare policies_for_everybody as
select
    polname,
    polrelid::regclass
from pg_policy
where
    polrelid in (select oid from our_relations)
    and polroles = '{0}';

-- A function is called once per statement only from a sub-select: what is left without those must call none.
prepare policies_that_call_per_row as
select
    polname,
    polrelid::regclass
from pg_policy
where
    polrelid in (select oid from our_relations)
    and regexp_replace(
        coalesce(pg_get_expr(polqual, polrelid), '') || coalesce(pg_get_expr(polwithcheck, polrelid), ''),
        '\( SELECT [a-z_]+\.[a-z_]+\([^()]*\) AS [a-z_]+\)',
        '',
        'g'
    ) ~ '\m(auth|private)\.';

prepare policies_on_unindexed_columns as
select
    policy.polname,
    policy.polrelid::regclass,
    attribute.attname
from pg_policy as policy
inner join pg_attribute as attribute
    on
        policy.polrelid = attribute.attrelid
        and attribute.atttypid = 'uuid'::regtype
        and attribute.attnum > 0
where
    policy.polrelid in (select oid from our_relations)
    and pg_get_expr(policy.polqual, policy.polrelid) ~ ('\m' || attribute.attname || '\M = ')
    and not exists (
        select
        from pg_index
        where
            indrelid = policy.polrelid
            and indkey[0] = attribute.attnum
    );

-- A room is a schema that is not the floor's. None may name or refer to another's.
prepare rooms_that_lean_on_each_other as
with rooms as (
    select
        oid,
        nspname
    from our_schemas
    where nspname not in ('private', 'ops')
)

select
    function.oid::regprocedure::text as thing,
    other.nspname
from our_functions as function
inner join rooms as own on function.pronamespace = own.oid
inner join rooms as other on own.oid <> other.oid
where
    coalesce(pg_get_function_sqlbody(function.oid), function.prosrc) ~ ('\m' || other.nspname || '\.')
    or pg_get_function_arguments(function.oid) || ' ' || coalesce(pg_get_function_result(function.oid), '')
    ~ ('\m' || other.nspname || '\.')
union all
select
    constraint_.conrelid::regclass || '.' || constraint_.conname,
    other.nspname
from pg_constraint as constraint_
inner join pg_class as source on constraint_.conrelid = source.oid
inner join pg_class as target on constraint_.confrelid = target.oid
inner join rooms as own on source.relnamespace = own.oid
inner join rooms as other on target.relnamespace = other.oid
where own.oid <> other.oid
union all
select
    view.oid::regclass::text,
    other.nspname
from pg_depend as dependency
inner join pg_rewrite as rule on dependency.objid = rule.oid and dependency.classid = 'pg_rewrite'::regclass
inner join pg_class as view on rule.ev_class = view.oid
inner join pg_class as target on dependency.refobjid = target.oid and dependency.refclassid = 'pg_class'::regclass
inner join rooms as own on view.relnamespace = own.oid
inner join rooms as other on target.relnamespace = other.oid
where own.oid <> other.oid;

-- As shipped.
select is_empty('tables_without_rls', 'S-161, D1, D25: every table and partition has RLS');
select is_empty('foreign_keys_without_index', 'D68: every foreign key has an index');
select is_empty('functions_without_fixed_path', 'D27: every function has a fixed search_path');
select is_empty('views_with_their_owners_rights', 'D22: every view asks with its reader''s rights');
select is_empty('materialized_views_within_reach', 'D23: no materialized view is within reach');
select is_empty('functions_for_everybody', 'D21: no function can be called by PUBLIC');
select is_empty('definers_within_reach', 'no client can call a definer function of an exposed schema');
select is_empty('more_than_reading_and_writing', 'D20: nobody may truncate, refer to or put triggers on a table');
select is_empty('grants_on_partitions', 'D25: nobody reads a partition past its parent''s policies');
select is_empty('nameless_things', 'everything says what it is');
select is_empty('policies_for_everybody', 'D5: every policy names its roles');
select is_empty('policies_that_call_per_row', 'D18: no policy calls a function for each row');
select is_empty('policies_on_unindexed_columns', 'D18: every column that a policy compares has an index');
select is_empty('rooms_that_lean_on_each_other', 'rooms are independent');
select cmp_ok(
    (select count(*) from our_relations where relkind in ('r', 'p')),
    '>=',
    12::bigint,
    'there are tables to judge'
);
select cmp_ok((select count(*) from our_functions), '>=', 30::bigint, 'there are functions to judge');
select cmp_ok(
    (select count(*) from pg_policy where polrelid in (select oid from our_relations)),
    '>=',
    8::bigint,
    'there are policies to judge'
);

-- With faults planted, each rule names the fault and nothing else.
create schema planted;
create table public.planted_table (id uuid primary key, owner uuid references public.users (id));
create table public.planted_parent (at timestamptz primary key) partition by range (at);
create table public.planted_child partition of public.planted_parent default;
alter table public.planted_parent enable row level security;
grant select on public.planted_child to anon;
grant truncate on public.planted_table to app_service;
create view public.planted_view as
select id
from public.planted_table;
create view planted.crossing as
select id
from public.users;
create materialized view public.planted_summary as
select count(*) as rows
from public.users;
grant select on public.planted_summary to authenticated;
create function public.planted_function()
returns integer
security definer
language sql
return 1;
grant execute on function public.planted_function() to public;
create function planted.reaching_over()
returns bigint
set search_path = pg_catalog, pg_temp
language sql
as $$select count(*) from public.users$$;
create table planted.referring (id uuid primary key references public.users (id));
create policy planted_policy on public.planted_table using (owner = auth.uid());

select set_has('tables_without_rls', $$values ('public.planted_child'::regclass)$$, 'a partition without RLS is seen');
select set_has('tables_without_rls', $$values ('public.planted_table'::regclass)$$, 'a table without RLS is seen');
select results_eq(
    'foreign_keys_without_index',
    $$values ('planted_table_owner_fkey'::name, 'public.planted_table'::regclass)$$,
    'a foreign key without index is seen, and the one with is not'
);
select results_eq(
    'functions_without_fixed_path',
    $$values ('public.planted_function()'::regprocedure)$$,
    'a function without path is seen'
);
select set_has(
    'views_with_their_owners_rights',
    $$values ('public.planted_view'::regclass)$$,
    'a view with its owner''s rights is seen'
);
select isnt_empty('materialized_views_within_reach', 'a materialized view within reach is seen');
select results_eq(
    'functions_for_everybody',
    $$values ('public.planted_function()'::regprocedure)$$,
    'a function for everybody is seen'
);
select isnt_empty('definers_within_reach', 'a definer function within reach is seen');
select results_eq(
    'more_than_reading_and_writing',
    $$values ('public.planted_table'::regclass, 'app_service'::regrole, 'TRUNCATE')$$,
    'a right to truncate is seen'
);
select results_eq(
    'grants_on_partitions',
    $$values ('public.planted_child'::regclass)$$,
    'a grant on a partition is seen'
);
select set_has(
    'nameless_things',
    $$values ('planted_table'), ('planted_function()'), ('planted_table.owner')$$,
    'what has no comment is seen'
);
select results_eq(
    'policies_for_everybody',
    $$values ('planted_policy'::name, 'public.planted_table'::regclass)$$,
    'a policy without role is seen'
);
select results_eq(
    'policies_that_call_per_row',
    $$values ('planted_policy'::name, 'public.planted_table'::regclass)$$,
    'a bare auth.uid() is seen'
);
select results_eq(
    'policies_on_unindexed_columns',
    $$values ('planted_policy'::name, 'public.planted_table'::regclass, 'owner'::name)$$,
    'a policy on a column without index is seen'
);
select set_has(
    'rooms_that_lean_on_each_other',
    $$values ('planted.reaching_over()', 'public'::name)$$,
    'a function that reaches into another room is seen'
);
select set_has(
    'rooms_that_lean_on_each_other',
    $$values ('planted.referring.referring_id_fkey', 'public'::name)$$,
    'a reference into another room is seen'
);
select set_has(
    'rooms_that_lean_on_each_other',
    $$values ('planted.crossing', 'public'::name)$$,
    'a view over another room is seen'
);

-- What is heard comes from the database: whoever may send to a topic can forge it.
select is_empty(
    $$
        select policyname
        from pg_policies
        where
            schemaname = 'realtime'
            and tablename = 'messages'
            and cmd <> 'SELECT'
    $$,
    'D50: no policy lets a client send'
);

-- The two that a hosted project's defaults would undo.
select ok(
    not has_table_privilege('anon', 'public.planted_table', 'select'),
    'D24: a new table is not open to anon'
);
select ok(
    not has_function_privilege('anon', 'planted.reaching_over()', 'execute'),
    'D21, D24: a new function is not open to anon'
);

select finish();
rollback;
