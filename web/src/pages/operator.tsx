import { t } from "../messages.ts";

export const Operator = () => <h1>{t("page.operator")}</h1>;
