// Foreign keys as PostgREST sees them: of tables, and of views through the columns that they hand on.
// lite forgets the schema a key points to, so a key to auth.users would look like one to public.users.

const KEYS = `
    select
        foreign_key.conname as name,
        foreign_key.conrelid as child,
        foreign_key.confrelid as parent,
        foreign_key.conkey as child_columns,
        foreign_key.confkey as parent_columns,
        pg_get_constraintdef(foreign_key.oid) as definition
    from pg_constraint as foreign_key
    join pg_class as child on child.oid = foreign_key.conrelid and not child.relispartition
    join pg_class as parent on parent.oid = foreign_key.confrelid and not parent.relispartition
    where foreign_key.contype = 'f'
    order by foreign_key.conrelid, foreign_key.conname`;

const RELATIONS = `
    select
        relation.oid,
        relation.relname as name,
        namespace.nspname as schema,
        json_object_agg(attribute.attnum, attribute.attname) as columns,
        (
            select rule.ev_action::text
            from pg_rewrite as rule
            where rule.ev_class = relation.oid and rule.rulename = '_RETURN'
        ) as action
    from pg_class as relation
    join pg_namespace as namespace on namespace.oid = relation.relnamespace
    join pg_attribute as attribute on attribute.attrelid = relation.oid and attribute.attnum > 0
    where relation.relkind in ('r', 'p', 'f', 'v', 'm')
        and namespace.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    group by relation.oid, namespace.oid`;

/** Foreign keys between exposed relations, in the form of lite's introspection. */
export async function readRelationships(sql, schemas) {
    const [keys, rows] = await Promise.all([sql.unsafe(KEYS), sql.unsafe(RELATIONS)]);
    const relations = new Map(rows.map((row) => [Number(row.oid), { ...row, sources: sourceColumns(row.action) }]));
    const exposed = [...relations.values()].filter((relation) => schemas.includes(relation.schema));
    return keys.flatMap((key) => {
        const children = exposed.flatMap((relation) => facesOf(relation, key.child, key.child_columns, relations));
        const parents = exposed.flatMap((relation) => facesOf(relation, key.parent, key.parent_columns, relations));
        return children.flatMap((child) => parents.flatMap((parent) => rowsOf(key, child, parent)));
    });
}

function rowsOf(key, child, parent) {
    const isOfTables = child.isBase && parent.isBase;
    return child.columns.map((column, index) => ({
        schema: child.schema,
        table: child.name,
        column,
        ref_schema: parent.schema,
        ref_table: parent.name,
        ref_column: parent.columns[index],
        foreign_key_name: key.name,
        foreign_key_group: isOfTables
            ? undefined
            : `${key.name}:${child.name}(${child.columns})->${parent.name}(${parent.columns})`,
        fk_def: key.definition,
        on_update: "",
        on_delete: "",
    }));
}

/** The ways in which `relation` shows the columns `numbers` of the table `base`: itself, or a view's own columns. */
function facesOf(relation, base, numbers, relations) {
    const { name, schema } = relation;
    if (Number(relation.oid) === Number(base)) {
        return [{ name, schema, isBase: true, columns: numbers.map((number) => relation.columns[number]) }];
    }
    if (relation.sources.size === 0) return [];
    const choices = numbers.map((number) =>
        [...relation.sources.keys()].filter((own) => {
            const origin = originOf(relation, own, relations);
            return origin.relation === Number(base) && origin.column === Number(number);
        }),
    );
    const products = choices.reduce((made, own) => made.flatMap((list) => own.map((one) => [...list, one])), [[]]);
    return products.map((list) => ({ name, schema, isBase: false, columns: list.map((own) => relation.columns[own]) }));
}

function originOf(relation, column, relations) {
    const source = relation.sources.get(column);
    const below = source && relations.get(source.relation);
    return below?.sources.has(source.column) ? originOf(below, source.column, relations) : (source ?? {});
}

/** Map of a view's column number to the {relation, column} it hands on, from the parse tree Postgres keeps. */
function sourceColumns(action) {
    const sources = new Map();
    for (const entry of action ? outermostTargets(action) : []) {
        const [, number] = / :resno (\d+)/.exec(entry) ?? [];
        const [, relation, column] = / :resorigtbl (\d+) :resorigcol (\d+)/.exec(entry) ?? [];
        if (relation && relation !== "0") sources.set(Number(number), { relation: Number(relation), column: Number(column) });
    }
    return sources;
}

// The tree is nested braces: a QUERY at depth 1, its own TARGETENTRYs at depth 2, those of subqueries deeper.
function outermostTargets(action) {
    const targets = [];
    let depth = 0;
    let text = "";
    for (let index = 0; index < action.length; index += 1) {
        const character = action[index];
        if (character === "\\") index += 1;
        else if (character === "{") depth += 1;
        else if (character === "}") {
            if (depth === 2 && text.startsWith("TARGETENTRY")) targets.push(text);
            depth -= 1;
            if (depth < 2) text = "";
        } else if (depth === 2) text += character;
    }
    return targets;
}
