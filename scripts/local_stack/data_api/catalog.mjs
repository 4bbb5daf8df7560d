// What the launcher itself needs to know of the exposed schemas: column types and defaults, arguments, role settings.

const COLUMNS = `
    select
        relation.relnamespace::regnamespace::text as schema,
        relation.relname as relation,
        attribute.attname as name,
        format_type(attribute.atttypid, null) as type,
        case
            when attribute.attgenerated <> '' then null
            when attribute.attidentity = 'd'
                then format('nextval(%L)', pg_get_serial_sequence(relation.oid::regclass::text, attribute.attname))
            else pg_get_expr(fallback.adbin, fallback.adrelid)
        end as "default"
    from pg_class as relation
    join pg_attribute as attribute
        on attribute.attrelid = relation.oid and attribute.attnum > 0 and not attribute.attisdropped
    left join pg_attrdef as fallback
        on fallback.adrelid = relation.oid and fallback.adnum = attribute.attnum
    where relation.relnamespace = any ($1::regnamespace[])
        and relation.relkind in ('r', 'v', 'm', 'f', 'p')`;

const FUNCTIONS = `
    select
        routine.pronamespace::regnamespace::text as schema,
        routine.proname as name,
        coalesce(routine.proargnames, '{}') as names,
        routine.proargmodes::text[] as modes,
        array(
            select format_type(argument, null)
            from unnest(routine.proargtypes) with ordinality as types (argument, place)
            order by place
        ) as types,
        routine.pronargdefaults as defaults
    from pg_proc as routine
    where routine.pronamespace = any ($1::regnamespace[])
        and routine.prokind = 'f'`;

const ROLE_SETTINGS = `
    select role.rolname as role, known.name, substr(entry, strpos(entry, '=') + 1) as value
    from pg_db_role_setting as stored
    join pg_roles as role on role.oid = stored.setrole
    cross join unnest(stored.setconfig) as entry
    join pg_settings as known on known.name = split_part(entry, '=', 1) and known.context = 'user'
    where stored.setdatabase in (0, (select oid from pg_database where datname = current_database()))
        and role.rolname <> 'authenticator'
        and known.name <> 'search_path'
        and pg_has_role('authenticator', role.oid, 'member')`;

const PRE_REQUEST = `
    select substr(entry, strpos(entry, '=') + 1) as value
    from pg_db_role_setting as stored
    cross join unnest(stored.setconfig) as entry
    where stored.setdatabase in (0, (select oid from pg_database where datname = current_database()))
        and stored.setrole = 'authenticator'::regrole
        and split_part(entry, '=', 1) = 'pgrst.db_pre_request'
    order by stored.setdatabase desc
    limit 1`;

/** Everything of the exposed schemas at one moment. */
export async function readCatalog(sql, schemas) {
    const present = await sql`select nspname from pg_namespace where nspname = any (${schemas})`;
    const names = present.map((row) => row.nspname);
    const [columns, functions, settings, preRequest] = await Promise.all([
        sql.unsafe(COLUMNS, [names]),
        sql.unsafe(FUNCTIONS, [names]),
        sql.unsafe(ROLE_SETTINGS),
        sql.unsafe(PRE_REQUEST),
    ]);
    return new Catalog(schemas[0], columns, functions, settings, preRequest[0]?.value);
}

class Catalog {
    #defaultSchema;
    #relations = new Map();
    #functions = new Map();
    #settings = new Map();

    constructor(defaultSchema, columns, functions, settings, preRequest) {
        this.#defaultSchema = defaultSchema;
        /** The function that is called before each request (`pgrst.db_pre_request`), or undefined. */
        this.preRequest = preRequest || undefined;
        for (const { schema, relation, name, ...column } of columns) {
            grouped(this.#relations, `${schema}.${relation}`, () => new Map()).set(name, column);
        }
        for (const { schema, name, ...routine } of functions) {
            grouped(this.#functions, `${schema}.${name}`, () => []).push(argumentsOf(routine));
        }
        for (const { role, name, value } of settings) {
            grouped(this.#settings, role, () => new Map()).set(name, value);
        }
    }

    /** Map of column name to {type, default} of a table or view, or undefined. */
    columns(schema, relation) {
        return this.#relations.get(`${schema ?? this.#defaultSchema}.${relation}`);
    }

    /** Map of argument name to type when exactly one function takes these names, else undefined. */
    argumentTypes(schema, name, provided) {
        const fitting = (this.#functions.get(`${schema ?? this.#defaultSchema}.${name}`) ?? []).filter(
            ({ types, required }) => provided.every((key) => types.has(key)) && required.every((key) => provided.includes(key)),
        );
        return fitting.length === 1 ? fitting[0].types : undefined;
    }

    /** What `alter role … set` says of a role that requests are made as. */
    roleSettings(role) {
        return this.#settings.get(role) ?? new Map();
    }
}

function argumentsOf({ names, modes, types, defaults }) {
    const inputs = names.filter((_, index) => !modes || ["i", "b", "v"].includes(modes[index])).slice(0, types.length);
    const hasVariadic = modes?.includes("v") ?? false;
    const optional = defaults + (hasVariadic && defaults === 0 ? 1 : 0);
    return {
        types: new Map(inputs.map((name, index) => [name, types[index]])),
        required: inputs.slice(0, types.length - optional),
    };
}

function grouped(map, key, make) {
    if (!map.has(key)) map.set(key, make());
    return map.get(key);
}
