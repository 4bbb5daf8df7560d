import { t } from "../messages.ts";

export const Webhooks = () => <h1>{t("page.webhooks")}</h1>;
