"""Small harms to access, read from the catalog of a running database: it needs no edit when the schema grows.

Policies (of public, private, ops, and on realtime.messages), each
    dropped; USING and WITH CHECK made true, each by itself, and a missing WITH CHECK too; USING and WITH CHECK negated;
    opened to public; opened to every command; restrictive made permissive
Row-level security of each table that has it: off
Grants to app_anonymous, app_authenticated and app_service, whatever each does not have yet:
    every command on every table, partition and view, and truncate, references, trigger and maintain on tables;
    where only some columns are granted, the table and each other column; every right on every sequence;
    execute on every function; usage of every schema and create in it;
    for anon, authenticated and service_role every app_ role
Views: security_invoker off, and security_barrier off where it is on
Functions: definer made invoker, and invoker made definer

Of the months of a partitioned table the first stands for all. Nothing here takes a right away from who should have it,
apart from the negated policies: that is what docs/access.md and its test are for.
"""

# ruff: noqa: S608  the statements are put together from what stands in this file and names from the catalog

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from scripts.lock_security import MONTH, OUR_SCHEMAS, passing

ROLES = ("app_anonymous", "app_authenticated", "app_service")
CLIENTS = ("anon", "authenticated", "service_role")
REALTIME = "realtime.messages"
COMMANDS = {"r": "select", "a": "insert", "w": "update", "d": "delete", "*": "all"}
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Mutant:
    """One harm: the statements that do it, and where a difference is looked for first."""

    kind: str
    name: str
    object: str
    change: str
    section: str  # of supabase/security.lock
    everywhere: bool = False  # it can be felt on other objects than its own
    # A grant in a schema that the role cannot use is felt by nobody: behaviour is tried with the schema opened as well.
    opening: str | None = None


def mutants(connection: psycopg.Connection[Any]) -> list[Mutant]:
    """Every harm, in the order of their kinds and names."""
    kinds = (policies, security_off, relation_grants, column_grants, sequence_grants, function_grants, schema_grants)
    found = [mutant for kind in (*kinds, memberships, views, functions) for mutant in sorted_by_name(kind(connection))]
    # One name for all months, so that a run says the same in every month.
    return list({mutant.name: mutant for mutant in reversed(found)}.values())[::-1]


def sorted_by_name(found: Iterator[Mutant]) -> list[Mutant]:
    return sorted(found, key=lambda mutant: (mutant.object, mutant.name))


def shown(name: str) -> str:
    return MONTH.sub("_YYYY_MM", name)


def rows(connection: psycopg.Connection[Any], query: str) -> Rows:
    return connection.execute(query.encode()).fetchall()


def ours(alias: str) -> str:
    """Relations of our schemas that no extension and no test has made."""
    not_ours = passing(f"{alias}.relname", f"{alias}.oid")
    return f"{alias}.relnamespace::regnamespace::text in {OUR_SCHEMAS} and not ({not_ours})"


def listed(names: tuple[str, ...]) -> str:
    return f"unnest(array[{', '.join(repr(name) for name in names)}])"


@dataclass(frozen=True)
class Policy:
    table: str
    name: str
    permissive: bool
    command: str
    roles: str
    using: str | None
    check: str | None

    def create(self, *, permissive: bool, command: str, using: str | None, check: str | None) -> str:
        return " ".join(
            part
            for part in (
                f"drop policy {self.name} on {self.table};",
                f"create policy {self.name} on {self.table}",
                f"as {'permissive' if permissive else 'restrictive'} for {command} to {self.roles}",
                f"using ({using})" if using is not None else "",
                f"with check ({check})" if check is not None else "",
            )
            if part
        )

    def harms(self) -> Iterator[tuple[str, str]]:
        alter = f"alter policy {self.name} on {self.table}"
        yield "dropped", f"drop policy {self.name} on {self.table}"
        for clause, expression in (("using", self.using), ("with check", self.check)):
            if expression is not None and expression != "true":
                yield f"{clause} made true", f"{alter} {clause} (true)"
            if expression is not None:
                yield f"{clause} negated", f"{alter} {clause} (not coalesce(({expression}), false))"
        if self.check is None and self.using != "true" and self.command in ("update", "all"):
            yield "with check made true", f"{alter} with check (true)"
        if self.roles != "public":
            yield "opened to public", f"{alter} to public"
        if self.command != "all":
            using = self.check if self.using is None else self.using
            yield (
                "opened to every command",
                self.create(permissive=self.permissive, command="all", using=using, check=self.check),
            )
        if not self.permissive:
            yield (
                "made permissive",
                self.create(permissive=True, command=self.command, using=self.using, check=self.check),
            )


def policies(connection: psycopg.Connection[Any]) -> Iterator[Mutant]:
    found = rows(
        connection,
        f"""
        select
            policy.polrelid::regclass::text, quote_ident(policy.polname), policy.polpermissive, policy.polcmd::text,
            (
                select string_agg(case when one = 0 then 'public' else one::regrole::text end, ', ' order by one)
                from unnest(policy.polroles) as one
            ),
            pg_get_expr(policy.polqual, policy.polrelid), pg_get_expr(policy.polwithcheck, policy.polrelid)
        from pg_catalog.pg_policy as policy
        join pg_catalog.pg_class as relation on relation.oid = policy.polrelid
        where ({ours("relation")} or relation.oid = '{REALTIME}'::regclass) and policy.polname !~ '^conformance'
        """,
    )
    for table, name, permissive, command, *rest in found:
        policy = Policy(table, name, permissive, COMMANDS[command], *rest)
        for harm, change in policy.harms():
            yield Mutant("policy", f"policy {policy.name} of {table}: {harm}", table, change, "policies", True)


def security_off(connection: psycopg.Connection[Any]) -> Iterator[Mutant]:
    found = rows(
        connection,
        f"""
        select relation.oid::regclass::text from pg_catalog.pg_class as relation
        where relation.relrowsecurity and ({ours("relation")} or relation.oid = '{REALTIME}'::regclass) order by 1
        """,
    )
    for (table,) in found:
        change = f"alter table {table} disable row level security"
        section = "policies hold on" if table == REALTIME else "relations"
        yield Mutant("row-level security", f"row-level security of {shown(table)}: off", table, change, section, True)


def relation_grants(connection: psycopg.Connection[Any]) -> Iterator[Mutant]:
    found = rows(
        connection,
        f"""
        select
            relation.oid::regclass::text, role_name, privilege,
            case when has_schema_privilege(role_name, relation.relnamespace, 'usage') then null
            else relation.relnamespace::regnamespace::text end,
            privilege in ('select', 'insert', 'update', 'references')
            and has_any_column_privilege(role_name, relation.oid, privilege)
        from pg_catalog.pg_class as relation
        cross join {listed(ROLES)} as role_name
        cross join {listed((*COMMANDS.values(), "truncate", "references", "trigger", "maintain"))} as privilege
        where
            privilege <> 'all'
            and {ours("relation")}
            and (
                relation.relkind in ('r', 'p')
                or relation.relkind in ('v', 'm', 'f') and privilege in ('select', 'insert', 'update', 'delete')
            )
            and not has_table_privilege(role_name, relation.oid, privilege)
        order by 1, 2, 3
        """,
    )
    for table, role, privilege, closed, some_columns in found:
        what = f"{privilege} on {shown(table)} to {role}" + (" (some columns only before)" if some_columns else "")
        change = f"grant {privilege} on {table} to {role}"
        yield Mutant("grant on a relation", f"grant {what}", table, change, "relations", opening=opened(closed, role))


def opened(schema: str | None, role: str) -> str | None:
    return f"grant usage on schema {schema} to {role}" if schema else None


def column_grants(connection: psycopg.Connection[Any]) -> Iterator[Mutant]:
    """The columns that are left out where some are granted."""
    found = rows(
        connection,
        f"""
        select relation.oid::regclass::text, role_name, privilege, quote_ident(attribute.attname)
        from pg_catalog.pg_class as relation
        join pg_catalog.pg_attribute as attribute
            on attribute.attrelid = relation.oid and attribute.attnum > 0 and not attribute.attisdropped
        cross join {listed(ROLES)} as role_name
        cross join {listed(("select", "insert", "update"))} as privilege
        where
            {ours("relation")}
            and relation.relkind in ('r', 'p', 'v', 'm', 'f')
            and has_any_column_privilege(role_name, relation.oid, privilege)
            and not has_column_privilege(role_name, relation.oid, attribute.attnum, privilege)
        """,
    )
    for table, role, privilege, column in found:
        change = f"grant {privilege} ({column}) on {table} to {role}"
        yield Mutant("grant on a column", change, table, change, "columns")


def sequence_grants(connection: psycopg.Connection[Any]) -> Iterator[Mutant]:
    found = rows(
        connection,
        f"""
        select relation.oid::regclass::text, role_name, privilege
        from pg_catalog.pg_class as relation
        cross join {listed(ROLES)} as role_name
        cross join {listed(("usage", "select", "update"))} as privilege
        where
            relation.relkind = 'S' and {ours("relation")}
            and not has_sequence_privilege(role_name, relation.oid, privilege)
        """,
    )
    for sequence, role, privilege in found:
        change = f"grant {privilege} on sequence {sequence} to {role}"
        yield Mutant("grant on a sequence", change, sequence, change, "relations")


FUNCTIONS = f"""
    proc.pronamespace::regnamespace::text in {OUR_SCHEMAS}
    and proc.prokind <> 'a'
    and not ({passing("proc.proname", "proc.oid")})
"""


def function_grants(connection: psycopg.Connection[Any]) -> Iterator[Mutant]:
    found = rows(
        connection,
        f"""
        select
            proc.oid::regprocedure::text, role_name,
            (
                select string_agg(schema.nspname, ', ' order by schema.nspname)
                from pg_catalog.pg_namespace as schema
                where
                    -- The schema of the function, and those of its arguments: all must be named in a call.
                    schema.oid in (
                        select typnamespace from pg_catalog.pg_type where pg_type.oid = any(proc.proargtypes)
                        union select proc.pronamespace
                    )
                    and schema.nspname in {OUR_SCHEMAS}
                    and not has_schema_privilege(role_name, schema.oid, 'usage')
            )
        from pg_catalog.pg_proc as proc
        cross join {listed(ROLES)} as role_name
        where {FUNCTIONS} and not has_function_privilege(role_name, proc.oid, 'execute')
        """,
    )
    for function, role, closed in found:
        change = f"grant execute on routine {function} to {role}"
        yield Mutant("grant on a function", change, spaced(function), change, "functions", opening=opened(closed, role))


def spaced(function: str) -> str:
    """A signature as docs/access.md writes it."""
    return function.replace(",", ", ")


def schema_grants(connection: psycopg.Connection[Any]) -> Iterator[Mutant]:
    found = rows(
        connection,
        f"""
        select schema.nspname, role_name, privilege
        from pg_catalog.pg_namespace as schema
        cross join {listed(ROLES)} as role_name
        cross join {listed(("usage", "create"))} as privilege
        where schema.nspname in {OUR_SCHEMAS} and not has_schema_privilege(role_name, schema.oid, privilege)
        """,
    )
    for schema, role, privilege in found:
        change = f"grant {privilege} on schema {schema} to {role}"
        yield Mutant("grant on a schema", change, schema, change, "schemas", True)


def memberships(connection: psycopg.Connection[Any]) -> Iterator[Mutant]:
    found = rows(
        connection,
        f"""
        select held.rolname, client
        from pg_catalog.pg_roles as held
        cross join {listed(CLIENTS)} as client
        where held.rolname ~ '^app_' and not pg_has_role(client, held.oid, 'usage')
        """,
    )
    for role, client in found:
        change = f"grant {role} to {client} with inherit true"
        yield Mutant("membership", change, role, change, "memberships", True)


def views(connection: psycopg.Connection[Any]) -> Iterator[Mutant]:
    found = rows(
        connection,
        f"""
        select relation.oid::regclass::text, option.option_name
        from pg_catalog.pg_class as relation
        cross join pg_options_to_table(relation.reloptions) as option
        where
            relation.relkind = 'v' and {ours("relation")}
            and option.option_name in ('security_invoker', 'security_barrier') and option.option_value::boolean
        """,
    )
    for view, option in found:
        change = f"alter view {view} set ({option} = false)"
        yield Mutant("view", f"view {view}: {option} off", view, change, "relations", True)


def functions(connection: psycopg.Connection[Any]) -> Iterator[Mutant]:
    found = rows(
        connection,
        f"select proc.oid::regprocedure::text, proc.prosecdef from pg_catalog.pg_proc as proc where {FUNCTIONS}",
    )
    for function, definer in found:
        now = "invoker" if definer else "definer"
        change = f"alter routine {function} security {now}"
        yield Mutant("function", f"function {function}: made {now}", spaced(function), change, "functions", True)
