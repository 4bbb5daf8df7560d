// Which relation an embedded resource means: lite takes any table with both foreign keys for a many-to-many junction,
// PostgREST only one whose primary key holds both.
import { RequestError } from "./errors.mjs";

/** Settle what lite would call ambiguous by hints; refuse what PostgREST would not relate at all. */
export function settleEmbeds(ast, relations) {
    const parent = ast.type === "rpc" ? returnedTable(ast, relations) : ast.from;
    if (parent) settle(ast, parent, relations);
}

function returnedTable(ast, { functions }) {
    const returned = functions.find(({ name, return_typtype: kind }) => name === ast.function && kind === "c")?.return_type;
    return returned?.split(".").at(-1).replace(/^"|"$/g, "");
}

function settle(node, parent, relations) {
    for (const [alias, join] of Object.entries(node.join ?? {})) {
        const target = join.from ?? alias;
        if (!join.hint && target !== parent) join.hint = hintFor(parent, target, relations);
        const embed = node.select?.find((entry) => typeof entry === "object" && entry[alias]?.select)?.[alias];
        if (embed) settle(embed, target, relations);
    }
}

function hintFor(parent, target, { foreign_keys: keys, primary_keys: primaryKeys }) {
    const refers = (from, to) => keys.filter((key) => key.table === from && key.ref_table === to);
    const direct = distinct([...refers(parent, target), ...refers(target, parent)], "foreign_key_name");
    const between = distinct(keys.filter((key) => key.ref_table === parent), "table").filter(
        (table) => table !== parent && table !== target && refers(table, target).length > 0,
    );
    const junctions = between.filter((table) => {
        const primary = primaryKeys.find((key) => key.table === table)?.columns ?? [];
        return [parent, target].every((end) => refers(table, end).some((key) => primary.includes(key.column)));
    });
    if (between.length === junctions.length) return undefined;
    if (direct.length === 1 && junctions.length === 0) return direct[0];
    if (direct.length === 0 && junctions.length === 1) return junctions[0];
    if (direct.length + junctions.length > 0) return undefined;
    throw new RequestError(
        400,
        "PGRST200",
        `Could not find a relationship between '${parent}' and '${target}' in the schema cache`,
        `Searched for a foreign key relationship between '${parent}' and '${target}', but no matches were found.`,
    );
}

function distinct(keys, field) {
    return [...new Set(keys.map((key) => key[field]))];
}
