// Filters reach Postgres as they were written: lite would read `eq.007` as 7 and keep one of two filters on a column.

const RESERVED = new Set(["select", "columns", "order", "limit", "offset", "on_conflict"]);
const LITERAL = "eq|neq|gte|gt|lte|lt|like|ilike|match|imatch|isdistinct|cs|cd|ov|sl|sr|nxr|nxl|adj";
const CONDITION = new RegExp(`^((?:not\\.)?)(${LITERAL})\\.(.*)$`, "s");
const PATTERNS = /^(?:not\.)?i?like\((?:any|all)\)\./;
const LIST = /^((?:not\.)?in\.)\((.*)\)$/s;
const OPERATOR = new RegExp(`^(?:not\\.)?(?:${LITERAL}|in|is|(?:pl|ph|w)?fts)(?:\\([^)]*\\))?\\.`);
const LOGIC = /^(?:(.*)\.)?((?:not\.)?(?:and|or))$/s;
const CONDITION_IN_TREE = new RegExp(`^((?:"[^"]*"|[^."])+)\\.((?:not\\.)?(?:${LITERAL}|in)\\..*)$`, "s");

/** The same query with each value replaced by a marker, and repeated filters joined by `and`. */
export function markedQuery(parameters, { isCall, markers }) {
    const filters = new Map();
    const result = new URLSearchParams();
    for (const [key, value] of parameters) {
        const last = key.slice(key.lastIndexOf(".") + 1);
        if (RESERVED.has(key) || (key.includes(".") && ["order", "limit", "offset"].includes(last))) {
            result.append(key, value);
        } else if (LOGIC.test(key)) {
            append(filters, key, markedTree(value, markers));
        } else if (isCall && !OPERATOR.test(value)) {
            result.append(key, markers.text(value));
        } else {
            append(filters, key, markedCondition(value, markers));
        }
    }
    for (const [key, values] of filters) {
        const [name, value] = values.length === 1 ? [key, values[0]] : joined(key, values);
        result.append(name, value);
    }
    return result;
}

function append(map, key, value) {
    map.set(key, [...(map.get(key) ?? []), value]);
}

function joined(key, values) {
    const logic = LOGIC.exec(key);
    if (logic) return [prefixed(logic[1], "and"), `(${values.map((value) => logic[2] + value).join(",")})`];
    const dot = key.startsWith('"') || key.includes("->") ? -1 : key.lastIndexOf(".");
    const column = key.slice(dot + 1);
    return [prefixed(key.slice(0, Math.max(dot, 0)), "and"), `(${values.map((value) => `${column}.${value}`).join(",")})`];
}

function prefixed(path, name) {
    return path ? `${path}.${name}` : name;
}

function markedCondition(text, markers) {
    const condition = CONDITION.exec(text);
    if (condition) {
        const [, not, operator, value] = condition;
        const pattern = operator === "like" || operator === "ilike" ? value.replaceAll("*", "%") : value;
        return `${not}${operator}.${markers.text(pattern)}`;
    }
    if (PATTERNS.test(text)) return text.replaceAll("*", "%");
    const list = LIST.exec(text);
    if (!list) return text;
    return `${list[1]}(${splitList(list[2]).map((item) => markers.text(unquoted(item))).join(",")})`;
}

function markedTree(text, markers) {
    if (!text.startsWith("(") || !text.endsWith(")")) return text;
    const items = splitList(text.slice(1, -1)).map((item) => {
        const branch = /^((?:not\.)?(?:and|or))(\(.*\))$/s.exec(item.trim());
        if (branch) return branch[1] + markedTree(branch[2], markers);
        const condition = CONDITION_IN_TREE.exec(item.trim());
        if (!condition) return item;
        const value = /^((?:not\.)?\w+\.)(".*")$/s.exec(condition[2]);
        return `${condition[1]}.${markedCondition(value ? value[1] + unquoted(value[2]) : condition[2], markers)}`;
    });
    return `(${items.join(",")})`;
}

function unquoted(text) {
    return /^".*"$/s.test(text) ? text.slice(1, -1).replace(/\\(.)/gs, "$1") : text;
}

/** Split at the commas that are in no quotes, parentheses or braces. */
function splitList(text) {
    if (text === "") return [];
    const items = [""];
    let depth = 0;
    let quoted = false;
    for (let index = 0; index < text.length; index += 1) {
        const character = text[index];
        if (quoted && character === "\\") {
            items[items.length - 1] += character + (text[index + 1] ?? "");
            index += 1;
            continue;
        }
        if (character === '"') quoted = !quoted;
        else if (!quoted && "({[".includes(character)) depth += 1;
        else if (!quoted && ")}]".includes(character)) depth -= 1;
        if (character === "," && !quoted && depth === 0) items.push("");
        else items[items.length - 1] += character;
    }
    return items;
}
