// Markers stand for values on their way through lite, which would trim, round or re-encode the values themselves.
import { randomBytes } from "node:crypto";

import { restoreValue } from "./exact_json.mjs";

const NAME = `zq${randomBytes(9).toString("hex")}x`;
const WHOLE = new RegExp(`^"?${NAME}(\\d+)z"?$`); // quoted when lite printed it as JSON
const ANYWHERE = new RegExp(`${NAME}(\\d+)z`, "g");
const SETTLED = "\0"; // a dollar sign whose number is already that of the final statement
const VALUES = /values \((\$\d+(?:, \$\d+)*)\)/;
const PLACEHOLDER = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\d+)/g;

export class Markers {
    #known = [];

    /** A word that becomes the text `value`, as one parameter of the statement. */
    text(value) {
        return this.#remember({ value });
    }

    /** A word that becomes `column` of the request's body; `body` is a {source, text} from payload.mjs. */
    column(column, body) {
        return this.#remember({ column, body });
    }

    #remember(marker) {
        this.#known.push(marker);
        return `${NAME}${this.#known.length - 1}z`;
    }

    #find(value) {
        const found = typeof value === "string" ? WHOLE.exec(value) : null;
        return found ? this.#known[Number(found[1])] : undefined;
    }

    /** The statement with every marker among its parameters replaced by what it stands for. */
    resolve(text, parameters) {
        if (parameters.length === 0) return { text: this.#inline(text), parameters };
        const resolved = [];
        const bodies = new Map();
        const place = (value) => `$${resolved.push(value)}`;
        const bodyPlace = (body) => {
            if (!bodies.has(body)) bodies.set(body, place(body.text));
            return body.source(bodies.get(body));
        };
        const statement = this.#rowsFromBody(text, parameters, bodyPlace).replace(PLACEHOLDER, (token, number) => {
            if (number === undefined) return token;
            const value = parameters[Number(number) - 1];
            const marker = this.#find(Array.isArray(value) && value.length === 1 ? value[0] : value);
            if (marker?.body) return `(select ${quoted(marker.column)} from ${bodyPlace(marker.body)} limit 1)`;
            return place(this.#plain(value));
        });
        return { text: this.#inline(statement.replaceAll(SETTLED, "$")), parameters: resolved };
    }

    // A bulk insert reads its rows straight from the body, so there is no limit on parameters.
    #rowsFromBody(text, parameters, bodyPlace) {
        return text.replace(VALUES, (values, list) => {
            const markers = list.split(", ").map((name) => this.#find(parameters[Number(name.slice(1)) - 1]));
            if (!markers.every((marker) => marker?.body)) return values;
            const columns = markers.map((marker) => quoted(marker.column)).join(", ");
            return `select ${columns} from ${bodyPlace(markers[0].body).replaceAll("$", SETTLED)}`;
        });
    }

    #plain(value) {
        if (Array.isArray(value)) return value.map((item) => this.#plain(item));
        const marker = this.#find(value);
        return marker ? marker.value : restoreValue(value);
    }

    #inline(text) {
        return this.#replaced(text, (value) => value.replaceAll("'", "''"));
    }

    /** Give the words in an answer back their values; `encode` fits a value into the surrounding text. */
    restore(text, encode) {
        return this.#replaced(text, encode);
    }

    #replaced(text, encode) {
        if (!text.includes(NAME)) return text;
        return text.replace(ANYWHERE, (_, index) => {
            const marker = this.#known[Number(index)];
            return encode(marker.body ? marker.column : marker.value);
        });
    }
}

export function quoted(name) {
    return `"${name.replaceAll('"', '""')}"`;
}
