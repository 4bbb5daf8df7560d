import { t } from "../messages.ts";

export const SignIn = () => <h1>{t("page.signin")}</h1>;
