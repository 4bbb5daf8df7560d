import { t } from "../messages.ts";

export const Onboarding = () => <h1>{t("page.onboarding")}</h1>;
