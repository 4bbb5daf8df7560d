import { t } from "../messages.ts";

export const Feed = () => <h1>{t("page.feed")}</h1>;
