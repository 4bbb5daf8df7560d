import { render } from "preact";
import "./theme.css";
import { App } from "./app.tsx";
import { connect } from "./client.ts";
import { Failed } from "./components/state.tsx";
import { link, replace } from "./router.ts";
import { followSession } from "./session.ts";

const root = document.getElementById("app")!;
// The link of a mail that Auth takes no more comes back like this: an address that would be no page.
if (location.hash.startsWith("#error=")) replace(link("recover", { expired: "1" }));
try {
    await connect();
    await followSession();
    render(<App />, root);
} catch (error) {
    render(
        <main>
            <Failed error={error} retry={() => location.reload()} />
        </main>,
        root,
    );
}
