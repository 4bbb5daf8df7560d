import { render } from "preact";
import "./theme.css";
import { App } from "./app.tsx";
import { connect } from "./client.ts";
import { Failed } from "./components/state.tsx";
import { followSession } from "./session.ts";

const root = document.getElementById("app")!;
try {
    await connect();
    await followSession();
    render(<App />, root);
} catch (error) {
    render(<Failed error={error} retry={() => location.reload()} />, root);
}
