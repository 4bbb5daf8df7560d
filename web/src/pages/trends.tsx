import { t } from "../messages.ts";

export const Trends = () => <h1>{t("page.trends")}</h1>;
