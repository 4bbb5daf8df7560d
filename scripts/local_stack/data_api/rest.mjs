// The way of one REST request through lite: values in as markers, the answer out as Postgres wrote it.
import { restoreHeader, restoreJson } from "./exact_json.mjs";
import { markedQuery } from "./query_string.mjs";
import { currentWork, runWithRequest } from "./request_context.mjs";

const WITHOUT_BODY = new Set([101, 204, 205, 304]);

/** Answer one request given as {method, url (URL), headers (Headers), body (Buffer)}. */
export function answerRest(app, { method, url, headers, body }) {
    const path = url.pathname.slice("/rest/v1".length);
    const isCall = path.startsWith("/rpc/");
    const isRead = method === "GET" || method === "HEAD";
    const type = headers.get("content-type") ?? "";
    const request = {
        method,
        path,
        profile: headers.get(isRead ? "accept-profile" : "content-profile") ?? undefined,
        headers: Object.fromEntries(headers),
        cookies: cookiesOf(headers),
        body: body.toString("utf8"),
        isJson: type === "" || type.includes("application/json"),
        wantsCsv: (headers.get("accept") ?? "").includes("text/csv"),
    };
    return runWithRequest(request, async () => {
        const { markers } = currentWork();
        const marked = new URL(url);
        // PUT compares its filters with the body itself.
        if (method !== "PUT") marked.search = markedQuery(url.searchParams, { isCall: isCall && isRead, markers });
        const answer = await app.fetch(
            new Request(marked, {
                method: isCall && method === "HEAD" ? "GET" : method, // lite refuses to count for HEAD
                headers,
                body: isRead || body.length === 0 ? undefined : body,
            }),
        );
        return restored(answer, currentWork(), method === "HEAD");
    });
}

async function restored(answer, { csv, markers }, isHead) {
    const headers = new Headers();
    for (const [name, value] of answer.headers) {
        headers.set(name, markers.restore(restoreHeader(value), encodeURIComponent));
    }
    headers.delete("content-length");
    if (isHead || WITHOUT_BODY.has(answer.status) || answer.body === null) {
        return new Response(null, { status: answer.status, headers });
    }
    const type = headers.get("content-type") ?? "";
    if (type.includes("json")) {
        const text = restoreJson(await answer.text());
        return new Response(markers.restore(text, inJson), { status: answer.status, headers });
    }
    if (type.startsWith("text/csv") && csv) {
        const text = [csv.columns.map(csvField).join(","), ...csv.lines].join("\n");
        return new Response(csv.lines.length === 0 ? "\n" : text, { status: answer.status, headers });
    }
    if (type.startsWith("text/")) return new Response(restoreHeader(await answer.text()), { status: answer.status, headers });
    return new Response(answer.body, { status: answer.status, headers });
}

function inJson(value) {
    return JSON.stringify(value).slice(1, -1);
}

function csvField(name) {
    return /[",\n\r ]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
}

function cookiesOf(headers) {
    const pairs = (headers.get("cookie") ?? "").split(";").map((pair) => pair.trim().split("="));
    return Object.fromEntries(pairs.filter(([name]) => name).map(([name, ...value]) => [name, value.join("=")]));
}
