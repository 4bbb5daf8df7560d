import { isAuthApiError } from "@supabase/supabase-js";
import type { Key } from "../messages.ts";

const KNOWN: Record<string, Key> = {
    invalid_credentials: "signin.wrong",
    email_not_confirmed: "signin.unconfirmed",
    user_already_exists: "signin.taken",
    email_exists: "signin.taken",
    weak_password: "signin.weak",
    same_password: "recover.same",
    otp_expired: "recover.wrong",
    over_request_rate_limit: "signin.slow",
    over_email_send_rate_limit: "signin.slow",
};

/** What Auth's refusal means, as a message of the board. */
export function refusalOf(error: unknown, isOnline: boolean): Key {
    const code = isAuthApiError(error) ? error.code : undefined;
    return (code && Object.hasOwn(KNOWN, code) && KNOWN[code]) || (isOnline ? "failed" : "offline");
}
