// Stays subscribed to one NOTIFY channel, over every restart of the server.
import postgres from "postgres";

const RETRY_MS = 250;

/**
 * Call `onNotice` at every notice and each time listening (re)starts, since notices may have been missed.
 * Returns a function that ends it.
 */
export function keepListening(url, channel, onNotice) {
    let connection = null;
    let stopped = false;
    let timer = null;

    const retry = () => {
        if (!stopped) timer = setTimeout(start, RETRY_MS);
    };
    const start = async () => {
        const opened = postgres(url, {
            max: 1,
            idle_timeout: null,
            max_lifetime: null,
            fetch_types: false,
            connection: { application_name: "ondol data-api listener" },
            onnotify: onNotice,
            onclose: () => {
                if (connection === opened) {
                    connection = null;
                    opened.end({ timeout: 0 });
                    retry();
                }
            },
        });
        try {
            await opened.unsafe(`listen ${channel}`);
            connection = opened;
            onNotice();
        } catch {
            await opened.end({ timeout: 0 });
            retry();
        }
    };
    start();

    return async () => {
        stopped = true;
        clearTimeout(timer);
        const last = connection;
        connection = null;
        await last?.end({ timeout: 0 });
    };
}
