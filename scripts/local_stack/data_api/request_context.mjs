// What belongs to one piece of work, wherever in lite it is being done; it also says which connections serve it.
import { AsyncLocalStorage } from "node:async_hooks";

import { Markers } from "./markers.mjs";

const storage = new AsyncLocalStorage();

/**
 * Run one REST request: method, path, profile (the schema asked for), headers, cookies, body (text), isJson and wantsCsv.
 * On the way it gathers ast, role and csv; `pool` is "request" while its transaction is open.
 */
export function runWithRequest(request, run) {
    return storage.run({ ...request, markers: new Markers(), csv: null, pool: null }, run);
}

/** Run lite's reading of the catalog on the connections that may see all of it. */
export function runForCatalog(run) {
    return storage.run({ pool: "catalog" }, run);
}

export function currentWork() {
    return storage.getStore();
}
