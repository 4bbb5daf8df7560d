import { t } from "../messages.ts";

export const Search = () => <h1>{t("page.search")}</h1>;
