import { SignedOut } from "../components/state.tsx";
import { Tastes } from "../components/tastes.tsx";
import { t } from "../messages.ts";
import { go, link } from "../router.ts";
import { user } from "../session.ts";

export const Onboarding = () => (
    <div class="narrow">
        <h1>{t("onboarding.title")}</h1>
        {user.value ? (
            <>
                <p class="soft">{t("onboarding.what")}</p>
                <Tastes save={t("onboarding.save")} onSaved={() => go(link("feed"))} />
                <p>
                    <a href={link("feed")}>{t("onboarding.skip")}</a>
                </p>
            </>
        ) : (
            <SignedOut why={t("onboarding.signed_out")} />
        )}
    </div>
);
