"""What Postgres knows of a changed table: how it is published, its key, its columns and who may select them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from psycopg import sql

from .database import Connection, identifier

PUBLICATION = "supabase_realtime"
DESCRIBE = """
    with changed as (
        select class.oid
        from pg_catalog.pg_class as class
        join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
        where namespace.nspname = %(schema)s and class.relname = %(table)s
    ),
    published as (
        -- The table itself, or the partitioned root that publish_via_partition_root puts in its place.
        select listed.relid, publication.pubinsert, publication.pubupdate, publication.pubdelete
        from pg_catalog.pg_publication as publication
        cross join lateral pg_catalog.pg_get_publication_tables(publication.pubname) as listed
        where
            publication.pubname = %(publication)s
            and listed.relid in (
                select changed.oid from changed
                union all
                select ancestor.relid from changed, pg_catalog.pg_partition_ancestors(changed.oid) as ancestor(relid)
            )
        limit 1
    )
    select
        namespace.nspname,
        class.relname,
        class.relrowsecurity,
        array_remove(
            array[
                case when published.pubinsert then 'INSERT' end,
                case when published.pubupdate then 'UPDATE' end,
                case when published.pubdelete then 'DELETE' end
            ],
            null
        ),
        array(
            select jsonb_build_object(
                'number', attribute.attnum,
                'name', attribute.attname,
                'type', type.typname,
                'cast', case
                    when type.typtype = 'd' then format_type(type.typbasetype, type.typtypmod)
                    else format_type(attribute.atttypid, attribute.atttypmod)
                end,
                'key', coalesce(attribute.attnum = any (key.conkey), false),
                'roles', array(
                    select role
                    from unnest(%(roles)s::text[]) as role
                    where
                        case when to_regrole(quote_ident(role)) is null then false
                        else has_column_privilege(role, class.oid, attribute.attnum, 'select') end
                )
            )
            from pg_catalog.pg_attribute as attribute
            join pg_catalog.pg_type as type on type.oid = attribute.atttypid
            where attribute.attrelid = class.oid and attribute.attnum > 0 and not attribute.attisdropped
            order by attribute.attnum
        )
    from published
    join pg_catalog.pg_class as class on class.oid = published.relid
    join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
    left join pg_catalog.pg_constraint as key on key.conrelid = class.oid and key.contype = 'p'
"""
UNPUBLISHED = """
    with published as materialized (
        select listed.relid
        from pg_catalog.pg_publication as publication
        cross join lateral pg_catalog.pg_get_publication_tables(publication.pubname) as listed
        where publication.pubname = %s
    )
    select namespace.nspname, class.relname
    from pg_catalog.pg_class as class
    join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
    where
        class.relkind = 'r'
        and class.relpersistence = 'p'
        and namespace.nspname <> all (array['pg_catalog', 'information_schema', 'realtime'])
        and class.oid not in (select relid from published)
        and not exists (
            select from pg_catalog.pg_partition_ancestors(class.oid) as ancestor(relid)
            join published using (relid)
        )
"""


@dataclass(frozen=True, slots=True)
class Column:
    """`type` is the name in pg_type, as clients convert by it; `cast` is SQL; `roles` may select it."""

    number: int
    name: str
    type: str
    cast: str
    key: bool
    roles: frozenset[str]

    @property
    def text(self) -> sql.Composable:
        """SQL of the column's text from the WAL, in a query over unnested arrays."""
        return sql.SQL(f"c{self.number}")

    @property
    def value(self) -> sql.Composable:
        """SQL of the same as a value of this column. wal2json writes bytea as bare hex."""
        if self.cast == "bytea":
            return sql.SQL("decode({}, 'hex')").format(self.text)
        return sql.SQL("{}::{}").format(self.text, sql.SQL(self.cast))

    @property
    def rendered(self) -> sql.Composable:
        """SQL of the same as JSON text; bytea stays bare hex, as the hosted service has it."""
        return sql.SQL("to_jsonb({})::text").format(self.text if self.cast == "bytea" else self.value)


@dataclass(frozen=True)
class Relation:
    """A published table under its published name, with the roles that were asked about."""

    schema: str
    table: str
    row_security: bool
    actions: frozenset[str]
    columns: tuple[Column, ...]

    @cached_property
    def by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def key(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.key)

    @property
    def qualified(self) -> sql.Composable:
        return sql.SQL("{}.{}").format(identifier(self.schema), identifier(self.table))


async def describe(connection: Connection, schema: str, table: str, *, roles: list[str]) -> Relation | None:
    """The published relation that changes of this table belong to; none when it is not published."""
    asked = {"schema": schema, "table": table, "roles": roles, "publication": PUBLICATION}
    found = await (await connection.execute(DESCRIBE, asked)).fetchone()
    if found is None:
        return None
    published_schema, published_table, row_security, actions, columns = found
    return Relation(
        schema=published_schema,
        table=published_table,
        row_security=row_security,
        actions=frozenset(actions),
        columns=tuple(column_of(column) for column in columns),
    )


def column_of(described: dict[str, Any]) -> Column:
    return Column(**{**described, "roles": frozenset(described["roles"])})


async def unpublished(connection: Connection) -> set[tuple[str, str]]:
    """Tables whose changes nobody can subscribe to."""
    return {
        (schema, table) for schema, table in await (await connection.execute(UNPUBLISHED, (PUBLICATION,))).fetchall()
    }


async def is_published(connection: Connection, schema: str, table: str | None) -> bool:
    """Whether the publication holds the table, or any table of the schema; `*` stands for every one."""
    found = await connection.execute(
        "select 1 from pg_catalog.pg_publication_tables where pubname = %s"
        " and (%s = '*' or schemaname = %s) and (%s::text is null or tablename = %s) limit 1",
        (PUBLICATION, schema, schema, table, table),
    )
    return await found.fetchone() is not None
