"""Reads docs/access.md, tries every cell of it on a database, and says where the two differ.

Each difference names the object and gives the row that would be true.
"""

# ruff: noqa: S608  statements are what is tried, and names come from the catalog

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from scripts.local_stack.settings import REPOSITORY
from tests.floor.access_fixtures import IDENTITIES, MAY_BE_EMPTY, OWNED_THROUGH, OWNERS, PEOPLE, B, Identity, seed

PAGE = REPOSITORY / "docs" / "access.md"
COLUMNS = ("anonymous", "signed in", "premium", "admin", "service")
COMMANDS = ("select", "insert", "update", "delete")
SCHEMAS = ("ops", "private", "public")
DENIED = "–"
# In the order in which the jobs take them.
WRITTEN_BY_JOBS = (
    "private.refresh_queue",
    "public.cached_channels",
    "public.cached_videos",
    "public.keyword_video_mappings",
    "public.video_quality_scores",
    "public.trending_keywords",
    "public.user_tiers",
    "public.users",
    "private.ingest_runs",
    "private.keyword_signals",
    "private.keyword_states",
    "private.signal_marks",
    "ops.audit_unsealed",
)
CELL = re.compile(
    r"(?P<rows>–|none|own|all|run|some: (?P<condition>.+?))(?: \((?P<columns>[a-z_0-9]+(?:, [a-z_0-9]+)*)\))?"
)
EVERY_OTHER_FUNCTION = re.compile(r"every other function of `([a-z_]+)`")

# One round trip an attempt, undone whether or not it was allowed. `prepare` and attempts without triggers are for
# putting rows back that are there already; privileges and policies hold without triggers too.
ATTEMPT = """
create function pg_temp.attempt(prepare text, role_name text, claims text, triggers boolean, statement text)
returns text
language plpgsql
as $$
declare
    counted bigint;
begin
    if prepare is not null then
        perform set_config('session_replication_role', 'replica', true);
        execute prepare;
        perform set_config('session_replication_role', 'origin', true);
    end if;
    if not triggers then
        perform set_config('session_replication_role', 'replica', true);
    end if;
    perform set_config('request.jwt.claims', claims, true);
    perform set_config('role', role_name, true);
    execute statement;
    get diagnostics counted = row_count;
    raise exception using errcode = 'OK000', message = counted;
exception
    when query_canceled or others then
        return case when sqlstate = 'OK000' then '' else sqlstate || ' ' end || sqlerrm;
end
$$
"""


def lock_what_jobs_write(connection: psycopg.Connection[Any]) -> None:
    """Before the first snapshot: the jobs would else change what is read and written here, or wait for a lock of ours
    while holding one that a planted change needs."""
    while True:
        try:
            connection.execute(f"lock table {', '.join(WRITTEN_BY_JOBS)} in access exclusive mode")
        except psycopg.errors.DeadlockDetected:  # with a job in the middle of its work: it goes first
            connection.rollback()
        else:
            return


@contextmanager
def seeded_transaction(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A transaction with a row of everything for everybody; it sees nothing of what others do, and leaves nothing."""
    with psycopg.connect(database_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        lock_what_jobs_write(connection)
        connection.execute("set local lock_timeout = '5s'")
        connection.execute("set local search_path = pg_catalog")
        # Many small statements: compiling them takes longer than running them.
        connection.execute("set local jit = off")
        connection.execute(ATTEMPT)
        seed(connection)
        try:
            yield connection
        finally:
            connection.rollback()


@dataclass(frozen=True)
class Cell:
    """What one kind of client may do with one command: which rows, and which columns (None: all of them)."""

    rows: str
    condition: str | None = None
    columns: frozenset[str] | None = None

    @classmethod
    def read(cls, text: str) -> Cell:
        plain = text.replace("`", "").strip()
        found = CELL.fullmatch(plain)
        if found is None:
            raise ValueError(f"{PAGE.name}: no cell can say {plain!r}")
        columns = frozenset(found["columns"].split(", ")) if found["columns"] else None
        return cls("some" if found["condition"] else found["rows"], found["condition"], columns)


@dataclass(frozen=True)
class Declared:
    """The page: cells by object and command, and the schemas whose other functions nobody may run."""

    cells: dict[tuple[str, str], dict[str, Cell]]
    closed_schemas: frozenset[str]

    def objects(self) -> set[str]:
        return {name for name, _ in self.cells}


def read_page(text: str | None = None) -> Declared:
    """Every table row of seven cells whose first is a name in backticks, and `every other function of` rows."""
    cells: dict[tuple[str, str], dict[str, Cell]] = {}
    closed = set()
    for line in (PAGE.read_text(encoding="utf-8") if text is None else text).splitlines():
        parts = [part.strip() for part in line.strip().strip("|").split("|")]
        if len(parts) != 2 + len(COLUMNS):
            continue
        said = [Cell.read(part) for part in parts[2:]] if parts[0].startswith(("`", "every other")) else []
        if group := EVERY_OTHER_FUNCTION.fullmatch(parts[0]):
            if {cell.rows for cell in said} != {DENIED}:
                raise ValueError(f"{PAGE.name}: a group of functions is nobody's: {line}")
            closed.add(group[1])
        elif said:
            commands = COMMANDS if parts[1] == "every command" else parts[1].split(", ")
            for command in commands:
                key = (parts[0].strip("`"), command)
                if key in cells or command not in (*COMMANDS, "run"):
                    raise ValueError(f"{PAGE.name}: said twice, or no command: {line}")
                cells[key] = dict(zip(COLUMNS, said, strict=True))
    return Declared(cells, frozenset(closed))


@dataclass(frozen=True)
class Relation:
    name: str
    kind: str
    is_partition: bool
    columns: tuple[str, ...]
    writable: tuple[str, ...]

    @property
    def owner(self) -> str | None:
        return OWNERS.get(self.name)

    @property
    def owner_sql(self) -> str | None:
        """Whose row it is, as SQL: a column, or what another row says."""
        return f'"{self.owner}"' if self.owner else OWNED_THROUGH.get(self.name)

    @property
    def quoted(self) -> sql.Composed:
        return sql.SQL(".").join(sql.Identifier(part) for part in self.name.split(".", 1))


@dataclass(frozen=True)
class Function:
    name: str
    schema: str
    call: str

    def is_denied(self, outcome: str) -> bool:
        """No grant of this function, or of a schema that the call names; what its body may not do is something else."""
        found = re.match(r"42501 permission denied for (function|procedure|schema) (\S+)$", outcome)
        if found is None:
            return False
        called = self.name.split("(")[0].removeprefix(f"{self.schema}.").strip('"')
        return f"{found[2]}." in self.call if found[1] == "schema" else found[2] == called


@dataclass(frozen=True)
class Attempt:
    statement: str
    identity: Identity
    prepare: str | None = None


@dataclass
class Result:
    """What differs, and how much was tried: a comparison that tried nothing has shown nothing."""

    problems: list[str] = field(default_factory=list)
    tried: int = 0
    allowed: int = 0
    objects: set[str] = field(default_factory=set)


class Comparer:
    """Tries cells on a connection of the database's owner, whose transaction holds the seeded rows."""

    def __init__(self, connection: psycopg.Connection[Any], declared: Declared) -> None:
        self.connection = connection
        self.declared = declared
        self.result = Result()
        self.relations = list(relations(connection))
        self.functions = list(functions(connection))

    def compare(self, only: Iterable[str] | None = None) -> Result:
        """Compare everything, or the named tables, views, functions and sequences.

        What is declared and not there counts as well, and `objects` of the result tells which of the names are there.
        """
        chosen = None if only is None else set(only)
        self.result = Result()
        for relation in self.relations:
            if chosen is None or relation.name in chosen:
                self.result.objects.add(relation.name)
                self.compare_relation(relation)
        self.compare_functions([one for one in self.functions if chosen is None or one.name in chosen])
        there = {one.name for one in self.relations} | {one.name for one in self.functions}
        for name in sorted(self.declared.objects() - there):
            self.problem(f"{name} is in docs/access.md and not in the database: take its rows out")
        self.compare_sequences(chosen)
        return self.result

    def problem(self, text: str) -> None:
        self.result.problems.append(text)

    def compare_relation(self, relation: Relation) -> None:
        self.compare_never_granted(relation)
        if relation.is_partition:
            for command in COMMANDS:
                self.compare_row(relation, command, dict.fromkeys(COLUMNS, Cell(DENIED)))
            return
        missing: dict[str, list[str]] = {}
        for command in COMMANDS:
            if cells := self.declared.cells.get((relation.name, command)):
                self.compare_row(relation, command, cells)
            else:
                missing.setdefault(self.true_cells(relation, command), []).append(command)
        for text, commands in missing.items():
            named = "every command" if len(commands) == len(COMMANDS) else ", ".join(commands)
            self.problem(f"missing in docs/access.md, paste: | `{relation.name}` | {named} | {text} |")

    def compare_row(self, relation: Relation, command: str, cells: dict[str, Cell]) -> None:
        seen = self.observe(relation, command, cells)
        wrong = []
        for identity in IDENTITIES:
            cell = cells[identity.column]
            observed = seen[identity.name]
            expected = self.expected(relation, command, cell, identity)
            if cell.rows != DENIED:
                self.result.allowed += 1
            if (observed.columns, observed.rows) != (expected.columns, expected.rows):
                wrong.append(f"{identity.name}: declared {said(expected)}, found {said(observed)}")
            elif cell.rows not in (DENIED, "none") and expected.rows == 0 and relation.name not in MAY_BE_EMPTY:
                wrong.append(f"{identity.name}: no row to try it with; make one in tests/floor/access_fixtures.py")
            elif cell.rows in ("none", "own", "some") and expected.rows == self.total(relation, command):
                wrong.append(
                    f"{identity.name}: no row that is to be hidden; make one in tests/floor/access_fixtures.py"
                )
            if observed.oddities:
                wrong.append(f"{identity.name}: {'; '.join(sorted(observed.oddities))}")
            # As many rows, but those of somebody else: the condition is the other way round.
            if command == "insert" and cell.rows == "own" and identity.person and not observed.put_own:
                wrong.append(f"{identity.name}: could not insert an own row")
            if observed.given_away and cell.rows == "own":
                wrong.append(f"{identity.name}: could give an own row to somebody else")
        if wrong:
            true = f"| `{relation.name}` | {command} | {self.true_cells(relation, command)} |"
            row = "" if relation.is_partition else f"\n    true would be: {true}"
            self.problem(f"{relation.name} {command}\n    " + "\n    ".join(wrong) + row)

    def true_cells(self, relation: Relation, command: str) -> str:
        """The cells that describe what the database does now."""
        seen = self.observe(relation, command, None)
        cells = []
        for column in COLUMNS:
            texts = {self.cell_text(relation, command, seen[i.name], i) for i in IDENTITIES if i.column == column}
            cells.append(" or ".join(sorted(texts)))
        return " | ".join(cells)

    def cell_text(self, relation: Relation, command: str, observed: Observed, identity: Identity) -> str:
        if not observed.columns:
            return DENIED
        total = self.total(relation, command)
        own = self.expected(relation, command, Cell("own"), identity).rows if relation.owner_sql else -1
        if total == 0:
            rows = "all"
        elif observed.rows == 0:
            rows = "none"
        else:
            rows = "all" if observed.rows == total else "own" if observed.rows == own else "some: CONDITION"
        columns = [column for column in relation.columns if column in observed.columns]
        complete = command == "delete" or not observed.refused
        return rows if complete else f"{rows} ({', '.join(columns)})"

    def observe(self, relation: Relation, command: str, cells: dict[str, Cell] | None) -> dict[str, Observed]:
        """What each identity can really do, tried statement by statement."""
        plan: list[tuple[Identity, str, str, Attempt]] = []
        for identity in IDENTITIES:
            for kind, column, statement, prepare in self.statements(relation, command, identity):
                plan.append((identity, kind, column, Attempt(statement, identity, prepare)))
            if cells is not None and command == "select":
                where = self.condition(relation, cells[identity.column], identity)
                plan.append(
                    (identity, "matching", "", Attempt(f"select from {self.text(relation)} where {where}", identity))
                )
        outcomes = self.attempt([attempt for *_, attempt in plan])
        seen = {identity.name: Observed() for identity in IDENTITIES}
        for (identity, kind, column, _), outcome in zip(plan, outcomes, strict=True):
            seen[identity.name].take(kind, column, outcome)
        for observed in seen.values():
            observed.settle()
        return seen

    def statements(
        self, relation: Relation, command: str, identity: Identity
    ) -> Iterator[tuple[str, str, str, str | None]]:
        """The attempts for one command: a `column` one tells the privilege alone, a `rows` one what it reaches."""
        table = self.text(relation)
        columns = [(column, sql.Identifier(column).as_string(self.connection)) for column in relation.columns]
        writable = [pair for pair in columns if pair[0] in relation.writable]
        if command == "select":
            for column, quoted in columns:
                yield "column", column, f"select {quoted} from {table} where false", None
            yield "rows", "", f"select from {table}", None
        elif command == "delete":
            yield "column", "*", f"delete from {table} where false", None
            yield "rows", "", f"delete from {table}", None
        elif command == "update":
            for column, quoted in writable:
                yield "column", column, f"update {table} set {quoted} = null where false", None
            for column, quoted in writable:
                yield "each", column, f"update {table} set {quoted} = {quoted}", None
            if relation.owner and identity.person:
                other = next(person for person in PEOPLE if person != identity.person)
                owner = relation.owner_sql
                yield (
                    "given",
                    relation.owner,
                    f"update {table} set {owner} = '{other}' where {owner} = '{identity.person}'",
                    None,
                )
        else:
            for column, quoted in writable:
                yield "column", column, f"insert into {table} ({quoted}) select null where false", None
            # The columns that may be written, or all where none may: the rest has defaults.
            granted = self.insertable(relation, identity)
            names = ", ".join(quoted for column, quoted in writable if column in granted or not granted)
            for owner, row in self.rows_to_put_back(relation, identity):
                literal = sql.Literal(row).as_string(self.connection)
                remove = f"delete from {table} as removed where to_jsonb(removed) = {literal}::jsonb"
                put = (
                    f"insert into {table} ({names}) select {names} from jsonb_populate_record(null::{table}, {literal})"
                )
                yield "put", "own" if owner == identity.person else "", put, remove

    def insertable(self, relation: Relation, identity: Identity) -> set[str]:
        """The columns that the catalog lets the role of an identity give in an insert."""
        found = self.connection.execute(
            "select name from unnest(%s::text[]) as name where has_column_privilege(%s, %s, name, 'insert')",
            (list(relation.writable), identity.role, self.text(relation)),
        ).fetchall()
        return {row[0] for row in found}

    def rows_to_put_back(self, relation: Relation, identity: Identity) -> list[tuple[str | None, str]]:
        """An own row and one of somebody else, as JSON with its owner; of a relation without owners, one row."""
        if relation.kind not in "rp":
            return []
        query = f"select to_jsonb(stored)::text from {self.text(relation)} as stored"
        if relation.owner_sql is None:
            wanted: list[tuple[str | None, str]] = [(None, f"{query} limit 1")]
        else:
            people = [identity.person or PEOPLE[0], B if identity.person != B else PEOPLE[0]]
            wanted = [(person, f"{query} where {relation.owner_sql} = '{person}' limit 1") for person in people]
        return [(person, row[0]) for person, one in wanted for row in self.connection.execute(one.encode()).fetchall()]

    def expected(self, relation: Relation, command: str, cell: Cell, identity: Identity) -> Observed:
        """What the cell promises, counted by the owner of the database, whom no policy holds."""
        if cell.rows == DENIED:
            return Observed()
        if command == "delete":
            allowed = {"*"}
        else:
            allowed = set(relation.columns if command == "select" else relation.writable) & set(
                cell.columns or relation.columns
            )
            if cell.columns and not cell.columns <= set(relation.columns):
                self.problem(f"{relation.name} has no column {sorted(cell.columns - set(relation.columns))}")
        if command == "insert":
            rows = {"all": self.total(relation, command), "own": 1}.get(cell.rows, 0)
        else:
            rows = self.count(relation, self.condition(relation, cell, identity))
        return Observed(columns=allowed, rows=rows)

    def condition(self, relation: Relation, cell: Cell, identity: Identity) -> str:
        """The rows of a cell as SQL."""
        if cell.rows == "own":
            if relation.owner_sql is None:
                self.problem(f"{relation.name}: say which column owns a row in tests/floor/access_fixtures.py")
                return "false"
            if identity.person is None:
                return "false"
            return f"{relation.owner_sql} = '{identity.person}'"
        return {"all": "true", "some": cell.condition or "false"}.get(cell.rows, "false")

    def total(self, relation: Relation, command: str) -> int:
        if command == "insert":
            return len(self.rows_to_put_back(relation, IDENTITIES[1]))
        return self.count(relation, "true")

    def count(self, relation: Relation, condition: str) -> int:
        row = self.connection.execute(
            f"select count(*) from {self.text(relation)} where {condition}".encode()
        ).fetchone()
        assert row is not None
        return int(row[0])

    def compare_never_granted(self, relation: Relation) -> None:
        """No request may truncate, refer to, watch or maintain a table, whatever else it may."""
        attempts = [Attempt(f"truncate {self.text(relation)}", identity) for identity in IDENTITIES]
        if relation.kind in "rp":
            for attempt, outcome in zip(attempts, self.attempt(attempts), strict=True):
                if not is_denied(outcome):
                    self.problem(f"{relation.name} truncate: {attempt.identity.name}: {outcome}")
        held = self.connection.execute(
            "select role_name, privilege from unnest(%s::text[]) as role_name"
            " cross join unnest(array['truncate', 'references', 'trigger', 'maintain']) as privilege"
            " where has_table_privilege(role_name, %s, privilege)",
            (sorted({identity.role for identity in IDENTITIES}), self.text(relation)),
        ).fetchall()
        for role, privilege in held:
            self.problem(f"{relation.name}: {role} holds {privilege}, which no request needs")

    def compare_sequences(self, chosen: set[str] | None) -> None:
        roles = sorted({identity.role for identity in IDENTITIES})
        found = self.connection.execute(
            "select sequence.oid::regclass::text, array(select role_name from unnest(%s::text[]) as role_name"
            " where has_sequence_privilege(role_name, sequence.oid, 'usage, select, update'))"
            " from pg_catalog.pg_class as sequence"
            " where sequence.relkind = 'S' and sequence.relnamespace::regnamespace::text = any(%s)"
            " and sequence.relname !~ '^conformance' order by 1",
            (roles, list(SCHEMAS)),
        ).fetchall()
        for name, holders in found:
            if chosen is None or name in chosen:
                self.result.objects.add(name)
                self.result.tried += len(roles)
                for role in holders:
                    self.problem(f"{name}: {role} may use the sequence; make the column an identity instead")

    def compare_functions(self, functions: list[Function]) -> None:
        attempts = [Attempt(function.call, identity) for function in functions for identity in IDENTITIES]
        outcomes = iter(self.attempt(attempts))
        for function in functions:
            self.result.objects.add(function.name)
            said_by = {identity.name: next(outcomes) for identity in IDENTITIES}
            found = {name: not function.is_denied(outcome) for name, outcome in said_by.items()}
            cells = self.declared.cells.get((function.name, "run"))
            missing = cells is None
            if cells is None and function.schema in self.declared.closed_schemas:
                cells, missing = dict.fromkeys(COLUMNS, Cell(DENIED)), False
            truth = [
                " or ".join(sorted({"run" if found[i.name] else DENIED for i in IDENTITIES if i.column == column}))
                for column in COLUMNS
            ]
            row = f"| `{function.name}` | run | {' | '.join(truth)} |"
            if cells is None or missing:
                self.problem(f"missing in docs/access.md, paste: {row}")
                continue
            self.result.allowed += sum(found.values())
            wrong = [i.name for i in IDENTITIES if found[i.name] != (cells[i.column].rows == "run")]
            for name, outcome in said_by.items():
                if found[name] and name not in wrong and is_denied(outcome):
                    self.problem(
                        f"{function.name} run: {name} may call it, and its body may not do its work: {outcome}"
                    )
            if wrong:
                self.problem(f"{function.name} run: {', '.join(wrong)}\n    true would be: {row}")

    def attempt(self, attempts: list[Attempt]) -> list[str]:
        """The outcome of each: the number of rows, or the code and message of the refusal."""
        self.result.tried += len(attempts)
        outcomes = self.run(attempts, triggers=True)
        # A constraint stopped it, which is no answer to who may.
        again = [index for index, outcome in enumerate(outcomes) if re.match(r"(23|P0|PT)\w{3} ", outcome)]
        again = [index for index in again if not attempts[index].statement.startswith("select ")]
        for index, outcome in zip(again, self.run([attempts[i] for i in again], triggers=False), strict=True):
            outcomes[index] = outcome
        return outcomes

    def run(self, attempts: list[Attempt], *, triggers: bool) -> list[str]:
        rows = self.connection.execute(
            "select pg_temp.attempt(prepare, role_name, claims, %s, statement)"
            " from unnest(%s::text[], %s::text[], %s::text[], %s::text[])"
            " with ordinality as one (prepare, role_name, claims, statement, place) order by place",
            (
                triggers,
                [attempt.prepare for attempt in attempts],
                [attempt.identity.role for attempt in attempts],
                [attempt.identity.claims for attempt in attempts],
                [attempt.statement for attempt in attempts],
            ),
        ).fetchall()
        return [row[0] for row in rows]

    def text(self, relation: Relation) -> str:
        return relation.quoted.as_string(self.connection)


@dataclass
class Observed:
    """What an identity can do: the columns it may name and how many rows it reaches."""

    columns: set[str] = field(default_factory=set)
    rows: int = 0
    refused: set[str] = field(default_factory=set)
    reached: set[int] = field(default_factory=set)
    matching: int | None = None
    given_away: bool = False
    put_own: bool = False
    oddities: set[str] = field(default_factory=set)

    def take(self, kind: str, column: str, outcome: str) -> None:
        if kind == "column":
            (self.refused if is_denied(outcome) or is_impossible(outcome) else self.columns).add(column)
        elif kind == "given":
            # A constraint that stops it is luck: the policy had let it through.
            self.given_away = outcome != "0" and not (is_denied(outcome) or is_refused_row(outcome))
        elif kind == "matching":
            self.matching = int(outcome) if outcome.isdigit() else None
        elif outcome.isdigit():
            if kind == "put":
                self.rows += int(outcome)
                self.put_own = self.put_own or (column == "own" and outcome != "0")
            else:
                self.reached.add(int(outcome))
        elif not (is_denied(outcome) or is_impossible(outcome) or is_refused_row(outcome)):
            self.oddities.add(outcome)

    def settle(self) -> None:
        if self.reached:
            self.rows = max(self.reached)
        if len(self.reached) > 1:
            self.oddities.add(f"columns reach different numbers of rows: {sorted(self.reached)}")
        if self.columns and self.matching is not None and self.matching != self.rows:
            self.oddities.add(f"sees {self.rows} rows, of which {self.matching} are those of the cell")


def said(observed: Observed) -> str:
    if not observed.columns:
        return "no grant"
    return f"{observed.rows} rows of columns {', '.join(sorted(observed.columns))}"


def is_denied(outcome: str) -> bool:
    """No grant. A refused row is 42501 too, and something else."""
    return outcome.startswith("42501 permission denied for ")


def is_refused_row(outcome: str) -> bool:
    return outcome.startswith("42501 new row violates row-level security policy")


def is_impossible(outcome: str) -> bool:
    """What no privilege would allow: to write to a view of many tables, a computed column, or a materialized view."""
    return outcome.startswith(("55000 cannot ", "42809 cannot ", "0A000 cannot ", "428C9 "))


def relations(connection: psycopg.Connection[Any]) -> Iterator[Relation]:
    """Every table, partition, view, materialized view and foreign table of the three schemas."""
    found = connection.execute(
        "select relation.oid::regclass::text, relation.relkind::text, relation.relispartition,"
        " array_agg(attribute.attname::text order by attribute.attnum),"
        " coalesce(array_agg(attribute.attname::text order by attribute.attnum)"
        " filter (where attribute.attgenerated = '' and attribute.attidentity <> 'a'), '{}')"
        " from pg_catalog.pg_class as relation"
        " join pg_catalog.pg_attribute as attribute"
        " on attribute.attrelid = relation.oid and attribute.attnum > 0 and not attribute.attisdropped"
        " where relation.relkind in ('r', 'p', 'v', 'm', 'f')"
        " and relation.relnamespace::regnamespace::text = any(%s) and relation.relname !~ '^conformance'"
        " and not exists (select from pg_catalog.pg_depend as part"
        " where part.objid = relation.oid and part.deptype = 'e')"
        " group by relation.oid order by 1",
        (list(SCHEMAS),),
    ).fetchall()
    for name, kind, is_partition, columns, writable in found:
        yield Relation(name, kind, is_partition, tuple(columns), tuple(writable))


def functions(connection: psycopg.Connection[Any]) -> Iterator[Function]:
    """Every function and procedure of the three schemas, with a call of it whose arguments are all null."""
    found = connection.execute(
        "select proc.oid::regprocedure::text, proc.pronamespace::regnamespace::text, proc.oid::regproc::text,"
        " proc.prokind::text, proc.provariadic <> 0,"
        " array(select pg_catalog.format_type(argument, null)"
        " from unnest(proc.proargtypes::oid[]) with ordinality as listed (argument, place) order by place)"
        " from pg_catalog.pg_proc as proc"
        " where proc.pronamespace::regnamespace::text = any(%s) and proc.proname !~ '^conformance'"
        " and not exists (select from pg_catalog.pg_depend as part where part.objid = proc.oid and part.deptype = 'e')"
        " order by 1",
        (list(SCHEMAS),),
    ).fetchall()
    for signature, schema, name, kind, is_variadic, types in found:
        if kind == "p":
            call = f"call {name}({', '.join(f'null::{one}' for one in types)})"
        else:
            # Not constants: a strict function of a constant null is never called, so nobody would be refused.
            arguments = [f"argument.a{place}" for place in range(len(types))]
            if is_variadic:
                arguments[-1] = f"variadic {arguments[-1]}"
            values = ", ".join(f"null::{one} as a{place}" for place, one in enumerate(types))
            source = f" from (select {values} offset 0) as argument" if types else ""
            call = f"select {name}({', '.join(arguments)}){source}"
        yield Function(signature.replace(",", ", "), schema, call)
