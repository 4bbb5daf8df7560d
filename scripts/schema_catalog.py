"""Reads from the catalog what a client or an operator can reach, each with its comment, and where it is written.

`public` is what requests name; `ops` is the operator's. `private` is reached by no request and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import psycopg
from psycopg.rows import class_row

from scripts import schemas
from scripts.local_stack.errors import StackError

# A room's files are numbered by stage; people and their rows stand first, before anything is taken in.
STAGES: tuple[tuple[str, int], ...] = (("store", 10), ("ingest", 20), ("store", 30), ("detect", 40), ("notify", 47))
LAST_STAGE = "serve"
# What stands in the file of another stage, because it is made with its neighbours there.
ELSEWHERE = {
    "public.trending_keywords": "detect",
    "public.trend_predictions": "detect",
    "public.ingest_videos": "ingest",
    "public.ingest_channels": "ingest",
    "public.ingest_keyword_signals": "ingest",
    "public.my_activity": "serve",
    "public.category_trends": "serve",
}

MADE = re.compile(
    r"^create (?:or replace )?(?:constraint )?(table|view|function|type|policy|trigger) (\"[^\"]+\"|[\w.]+)",
    re.MULTILINE,
)

OURS = "('public', 'ops')"
NOT_OF_AN_EXTENSION = """
    not exists (
        select from pg_depend as part where part.objid = {oid} and part.deptype = 'e'
    )
"""

RELATIONS = """
    select
        schema.nspname || '.' || relation.relname as name,
        case relation.relkind when 'v' then 'view' else 'table' end as kind,
        obj_description(relation.oid, 'pg_class') as comment,
        pg_get_partkeydef(relation.oid) as partitioned,
        (
            select
                jsonb_agg(
                    jsonb_build_object(
                        'name', attribute.attname,
                        'type', format_type(attribute.atttypid, attribute.atttypmod),
                        'is_needed', attribute.attnotnull,
                        'default', pg_get_expr(fallback.adbin, fallback.adrelid),
                        'is_generated', attribute.attgenerated <> '',
                        'comment', col_description(relation.oid, attribute.attnum),
                        'refers_to', (
                            select min(link.confrelid::regclass::text)
                            from pg_constraint as link
                            where
                                link.conrelid = relation.oid
                                and link.contype = 'f'
                                and link.conkey = array[attribute.attnum]
                        )
                    )
                    order by attribute.attnum
                )
            from pg_attribute as attribute
            left join pg_attrdef as fallback
                on attribute.attrelid = fallback.adrelid and attribute.attnum = fallback.adnum
            where attribute.attrelid = relation.oid and attribute.attnum > 0 and not attribute.attisdropped
        ) as columns,
        (
            select jsonb_agg(
                jsonb_build_object(
                    'name', policy.polname,
                    'command', case policy.polcmd
                        when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
                        else 'all'
                    end
                )
                order by policy.polcmd, policy.polname
            )
            from pg_policy as policy
            where policy.polrelid = relation.oid
        ) as policies,
        (
            select jsonb_agg(
                jsonb_build_object(
                    'name', fires.tgname,
                    'when', substring(
                        pg_get_triggerdef(fires.oid) from '((?:BEFORE|AFTER|INSTEAD OF) .*?) ON '
                    ),
                    'comment', coalesce(
                        obj_description(fires.oid, 'pg_trigger'), obj_description(fires.tgfoid, 'pg_proc')
                    )
                )
                order by fires.tgname
            )
            from pg_trigger as fires
            where fires.tgrelid = relation.oid and not fires.tgisinternal
        ) as triggers
    from pg_class as relation
    inner join pg_namespace as schema on relation.relnamespace = schema.oid
    where
        schema.nspname in {ours}
        and relation.relkind in ('r', 'p', 'v')
        and not relation.relispartition
        and {not_of_an_extension}
    order by schema.nspname desc, relation.relname
"""

FUNCTIONS = """
    select
        schema.nspname || '.' || function.proname as name,
        function.oid::regprocedure::text as signature,
        pg_get_function_arguments(function.oid) as arguments,
        pg_get_function_result(function.oid) as result,
        obj_description(function.oid, 'pg_proc') as comment
    from pg_proc as function
    inner join pg_namespace as schema on function.pronamespace = schema.oid
    where
        schema.nspname in {ours}
        and function.prokind = 'f'
        and {not_of_an_extension}
    order by schema.nspname desc, function.proname, function.oid::regprocedure::text
"""

TYPES = """
    select
        schema.nspname || '.' || type.typname as name,
        obj_description(type.oid, 'pg_type') as comment,
        (
            select array_agg(label.enumlabel order by label.enumsortorder)
            from pg_enum as label
            where label.enumtypid = type.oid
        ) as labels
    from pg_type as type
    inner join pg_namespace as schema on type.typnamespace = schema.oid
    where
        schema.nspname in {ours}
        and type.typtype in ('e', 'd')
        and {not_of_an_extension}
    order by type.typname
"""

JOBS = """
    select
        job.jobname as name,
        job.schedule,
        (
            select jsonb_object_agg(called.name, called.comment)
            from (
                select
                    schema.nspname || '.' || function.proname as name,
                    min(obj_description(function.oid, 'pg_proc')) as comment
                from pg_proc as function
                inner join pg_namespace as schema on function.pronamespace = schema.oid
                where
                    schema.nspname in ('public', 'private', 'ops')
                    and function.proname <> 'log_job_run'
                    and job.command ~ ('\\m' || schema.nspname || '\\.' || function.proname || '\\(')
                group by 1
            ) as called
        ) as calls
    from cron.job as job
    order by job.jobname
"""

TOPICS = """
    select policy.polname as name
    from pg_policy as policy
    where policy.polrelid = 'realtime.messages'::regclass
    order by policy.polname
"""


@dataclass
class Relation:
    name: str
    kind: str
    comment: str | None
    partitioned: str | None
    columns: Sequence[Mapping[str, Any]]
    policies: Sequence[Mapping[str, Any]] | None
    triggers: Sequence[Mapping[str, Any]] | None


@dataclass
class Function:
    name: str
    signature: str
    arguments: str
    result: str
    comment: str | None


@dataclass
class Type:
    name: str
    comment: str | None
    labels: Sequence[str] | None


@dataclass
class Job:
    name: str
    schedule: str
    calls: Mapping[str, str | None] | None


@dataclass
class Topic:
    name: str


@dataclass
class Catalog:
    """Everything, in the order in which it is shown."""

    relations: list[Relation] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    types: list[Type] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    topics: list[Topic] = field(default_factory=list)


def read_catalog(database_url: str) -> Catalog:
    with psycopg.connect(database_url) as connection:

        def rows(query: str, kind: type[Any], oid: str = "0") -> list[Any]:
            text = query.replace("{ours}", OURS).replace("{not_of_an_extension}", NOT_OF_AN_EXTENSION)
            with connection.cursor(row_factory=class_row(kind)) as cursor:
                return cursor.execute(text.replace("{oid}", oid).encode()).fetchall()

        return Catalog(
            rows(RELATIONS, Relation, "relation.oid"),
            rows(FUNCTIONS, Function, "function.oid"),
            rows(TYPES, Type, "type.oid"),
            rows(JOBS, Job),
            rows(TOPICS, Topic),
        )


@cache
def written_in() -> dict[tuple[str, str], tuple[str, str]]:
    """(kind, name) → (room, file) of the schema file that makes it; a function that is made twice: the first."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for room in schemas.rooms():
        for file in schemas.files(room):
            for kind, name in MADE.findall(file.read_text(encoding="utf-8")):
                found.setdefault((kind, name.strip('"')), (room, file.name))
    return found


def place_of(kind: str, name: str) -> tuple[str, str]:
    try:
        return written_in()[kind, name]
    except KeyError:
        raise StackError(
            f"No schema file says `create {kind} {name}`.", next_step="Is the migration ahead of supabase/schemas?"
        ) from None


def stage_of(kind: str, name: str) -> str:
    """The stage by the number that the file's name begins with; the floor has none, and news of Realtime tell."""
    room, file = place_of(kind, name)
    if room == schemas.FLOOR:
        return schemas.FLOOR
    if kind == "policy":
        return "notify"
    number = int(file[:2])
    return ELSEWHERE.get(name) or next((stage for stage, end in STAGES if number < end), LAST_STAGE)
