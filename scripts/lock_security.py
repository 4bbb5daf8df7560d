"""Write supabase/security.lock: what the catalog says of rights, as sorted text that a person reads as a diff.

./scripts/lock-security              from the migrations, in a database of its own
./scripts/lock-security DATABASE_URL from a running database
"""

# ruff: noqa: S608  the statements are put together from what stands in this file

from __future__ import annotations

import re
import sys
from typing import Any

import psycopg

from scripts import schemas
from scripts.local_stack.errors import StackError
from scripts.local_stack.settings import REPOSITORY

LOCK = REPOSITORY / "supabase" / "security.lock"
HEADER = """\
# What the database says of rights, sorted. Written by ./scripts/lock-security; a test compares.
# Months of partitions stand as _YYYY_MM. acl: grantee=rights, without the owner's own;
# * with grant option, PUBLIC for everybody.
"""
MONTH = re.compile(r"_\d{4}_\d{2}\b")

# Whoever these are granted to, and whatever belongs to them.
OUR_SCHEMAS = "('ops', 'private', 'public')"
OUR_ROLES = "role.rolname ~ '^app_' or role.rolname in ('anon', 'authenticated', 'service_role', 'authenticator')"
# Made by tests, or by an extension that a migration names.
PASSING = """
    {name} ~ '^conformance'
    or exists (select from pg_catalog.pg_depend as part where part.objid = {oid} and part.deptype = 'e')
"""
# An ACL as text that does not depend on the order in which rights were granted. A null one is the built-in default.
ACL = """
    coalesce(
        (
            select string_agg(one.grantee || '=' || one.rights, ' ' order by one.grantee collate "C")
            from (
                select
                    case when entry.grantee = 0 then 'PUBLIC' else entry.grantee::regrole::text end as grantee,
                    string_agg(
                        lower(entry.privilege_type) || case when entry.is_grantable then '*' else '' end,
                        ',' order by entry.privilege_type collate "C"
                    ) as rights
                from aclexplode({acl}) as entry
                where entry.grantee <> {owner}
                group by entry.grantee
            ) as one
        ),
        '-'
    )
"""


def acl(column: str, owner: str, kind: str = "") -> str:
    """The SQL of an ACL column; with a kind, null stands for what Postgres grants by itself."""
    source = f"coalesce({column}, acldefault('{kind}', {owner}))" if kind else column
    return ACL.format(acl=source, owner=owner)


def passing(name: str, oid: str) -> str:
    return PASSING.format(name=name, oid=oid)


# Each query gives lines; together they are the file.
FACTS = {
    "schemas": f"""
        select format('schema %s owner %s acl %s', nspname, nspowner::regrole, {acl("nspacl", "nspowner", "n")})
        from pg_catalog.pg_namespace
        where nspname in {OUR_SCHEMAS}
    """,
    "relations": f"""
        select format(
            '%s %s owner %s rls %s force %s options %s acl %s',
            case relkind
                when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
                when 'm' then 'materialized view' when 'f' then 'foreign table' when 'S' then 'sequence'
            end,
            oid::regclass,
            relowner::regrole,
            case when relrowsecurity then 'on' else 'off' end,
            case when relforcerowsecurity then 'on' else 'off' end,
            coalesce(array_to_string(reloptions, ','), '-'),
            {acl("relacl", "relowner", "r")}
        )
        from pg_catalog.pg_class
        where
            relnamespace::regnamespace::text in {OUR_SCHEMAS}
            and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
            and not ({passing("relname", "oid")})
    """,
    "columns": f"""
        select format('column %s.%s acl %s', attrelid::regclass, attname, {acl("attacl", "relation.relowner")})
        from pg_catalog.pg_attribute
        join pg_catalog.pg_class as relation on relation.oid = attrelid
        where
            relation.relnamespace::regnamespace::text in {OUR_SCHEMAS}
            and attacl is not null
            and not ({passing("relation.relname", "relation.oid")})
    """,
    "policies": f"""
        select format(
            'policy %s %I for %s to %s %s using (%s) check (%s)',
            polrelid::regclass,
            polname,
            case polcmd
                when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all'
            end,
            (
                select string_agg(
                    case when one = 0 then 'PUBLIC' else one::regrole::text end, ',' order by one::regrole::text
                )
                from unnest(polroles) as one
            ),
            case when polpermissive then 'permissive' else 'restrictive' end,
            regexp_replace(coalesce(pg_get_expr(polqual, polrelid), '-'), '[[:space:]]+', ' ', 'g'),
            regexp_replace(coalesce(pg_get_expr(polwithcheck, polrelid), '-'), '[[:space:]]+', ' ', 'g')
        )
        from pg_catalog.pg_policy
        join pg_catalog.pg_class as relation on relation.oid = polrelid
        where
            relation.relnamespace::regnamespace::text in ('ops', 'private', 'public', 'realtime', 'storage')
            and polname !~ '^conformance'
            and not ({passing("relation.relname", "relation.oid")})
    """,
    # Tables of Supabase that a policy of ours is on: all else of them is Supabase's.
    "policies hold on": """
        select format('table %s rls %s', oid::regclass, case when relrowsecurity then 'on' else 'off' end)
        from pg_catalog.pg_class
        where
            relnamespace::regnamespace::text in ('realtime', 'storage')
            and exists (select from pg_catalog.pg_policy where polrelid = pg_class.oid and polname !~ '^conformance')
    """,
    "functions": f"""
        select format(
            'function %s returns %s owner %s %s %s config %s acl %s',
            oid::regprocedure,
            prorettype::regtype,
            proowner::regrole,
            case when prosecdef then 'definer' else 'invoker' end,
            case provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
            coalesce(array_to_string(proconfig, '; '), '-'),
            {acl("proacl", "proowner", "f")}
        )
        from pg_catalog.pg_proc
        where
            pronamespace::regnamespace::text in {OUR_SCHEMAS}
            and not ({passing("proname", "oid")})
    """,
    # Those on a partition that come from its parent are the parent's.
    "triggers": f"""
        select format(
            'trigger %s %I calls %s %s',
            trigger.tgrelid::regclass,
            trigger.tgname,
            trigger.tgfoid::regprocedure,
            case trigger.tgenabled
                when 'O' then 'enabled' when 'A' then 'always' when 'R' then 'replica' else 'disabled'
            end
        )
        from pg_catalog.pg_trigger as trigger
        join pg_catalog.pg_class as relation on relation.oid = trigger.tgrelid
        join pg_catalog.pg_proc as called on called.oid = trigger.tgfoid
        where
            not trigger.tgisinternal
            and trigger.tgparentid = 0
            and called.pronamespace::regnamespace::text in {OUR_SCHEMAS}
            and not ({passing("relation.relname", "relation.oid")})
    """,
    # No line of a schema and kind means: what Postgres grants by itself.
    "default privileges": f"""
        select format(
            'default %s of %s in %s acl %s',
            case defaclobjtype
                when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
                when 'T' then 'types' when 'n' then 'schemas' else 'large objects'
            end,
            defaclrole::regrole,
            case when defaclnamespace = 0 then 'every schema' else defaclnamespace::regnamespace::text end,
            {acl("defaclacl", "defaclrole")}
        )
        from pg_catalog.pg_default_acl
        where
            defaclrole = 'postgres'::regrole
            and (defaclnamespace = 0 or defaclnamespace::regnamespace::text in {OUR_SCHEMAS})
    """,
    "roles": f"""
        select format(
            'role %s%s%s%s%s%s%s settings %s',
            role.rolname,
            case when role.rolcanlogin then ' login' else ' nologin' end,
            case when role.rolinherit then ' inherit' else ' noinherit' end,
            case when role.rolbypassrls then ' bypassrls' else '' end,
            case when role.rolsuper then ' superuser' else '' end,
            case when role.rolcreaterole then ' createrole' else '' end,
            case when role.rolcreatedb then ' createdb' else '' end,
            coalesce(
                (
                    select string_agg(one, '; ' order by one collate "C")
                    from pg_catalog.pg_db_role_setting as kept
                    cross join unnest(kept.setconfig) as one
                    where kept.setrole = role.oid
                ),
                '-'
            )
        )
        from pg_catalog.pg_roles as role
        where {OUR_ROLES}
    """,
    "memberships": f"""
        select distinct format(
            'member %s of %s%s%s',
            member.member::regrole,
            member.roleid::regrole,
            case when member.inherit_option then ' inherits' else '' end,
            case when member.set_option then ' may become' else '' end
        )
        from pg_catalog.pg_auth_members as member
        join pg_catalog.pg_roles as role on role.oid = member.roleid
        where
            member.member <> 'postgres'::regrole
            and ({OUR_ROLES} or member.member::regrole::text ~ '^app_')
    """,
    "publications": """
        select format('publication %s publishes %s.%s', pubname, schemaname, tablename)
        from pg_catalog.pg_publication_tables
        where tablename !~ '^conformance' and schemaname <> 'realtime'
        union all
        select format(
            'publication %s tells of %s',
            pubname,
            concat_ws(
                ', ',
                case when pubinsert then 'insert' end,
                case when pubupdate then 'update' end,
                case when pubdelete then 'delete' end,
                case when pubtruncate then 'truncate' end
            )
        )
        from pg_catalog.pg_publication
        where pubname = 'supabase_realtime'
    """,
    "jobs": """
        select format(
            'job %s at %s as %s %s', jobname, schedule, username, regexp_replace(command, '[[:space:]]+', ' ', 'g')
        )
        from cron.job
        where jobname ~ '^[a-z]+-' and active
    """,
    "types": f"""
        select format('type %s owner %s acl %s', oid::regtype, typowner::regrole, {acl("typacl", "typowner", "T")})
        from pg_catalog.pg_type
        where
            typnamespace::regnamespace::text in {OUR_SCHEMAS}
            and typtype in ('e', 'd')
            and not ({passing("typname", "oid")})
    """,
}


def section(connection: psycopg.Connection[Any], name: str) -> str:
    """One part of the lock file; the search path must be pg_catalog alone, for names with their schemas."""
    lines = sorted({MONTH.sub("_YYYY_MM", line) for (line,) in connection.execute(FACTS[name].encode())})
    return "\n".join([f"\n# {name}", *(line.rstrip() for line in lines)]) + "\n"


def facts(connection: psycopg.Connection[Any]) -> str:
    """The text of the lock file as this database would have it."""
    with connection.transaction():
        # Names with their schemas, whoever asks.
        connection.execute("set local search_path = pg_catalog")
        return HEADER + "".join(section(connection, name) for name in FACTS)


def main(arguments: list[str]) -> int:
    try:
        if len(arguments) > 1 or arguments[:1] in (["-h"], ["--help"]):
            print(__doc__, file=sys.stderr)
            return 2
        if arguments:
            write(arguments[0])
        else:
            with schemas.empty_databases("lock-security") as (stack,):
                schemas.build_from_migrations(stack)
                write(stack.database_url())
    except (StackError, psycopg.Error) as error:
        print(f"lock-security: {error}", file=sys.stderr)
        return 1
    print(f"lock-security: wrote {LOCK.relative_to(REPOSITORY)}; read its diff before you commit it.")
    return 0


def write(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        LOCK.write_text(facts(connection), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
