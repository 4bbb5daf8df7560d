import { t } from "../messages.ts";

export const Profile = () => <h1>{t("page.profile")}</h1>;
