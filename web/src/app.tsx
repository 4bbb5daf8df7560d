import type { ComponentType } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { route, link } from "./router.ts";
import { isAdmin, isOnline, user } from "./session.ts";
import { language, theme, type Language, type Theme } from "./settings.ts";
import { t, type Key } from "./messages.ts";
import { Feed } from "./pages/feed.tsx";
import { Onboarding } from "./pages/onboarding.tsx";
import { Operator } from "./pages/operator.tsx";
import { Profile } from "./pages/profile.tsx";
import { Recover } from "./pages/recover.tsx";
import { Search } from "./pages/search.tsx";
import { SignIn } from "./pages/signin.tsx";
import { Trends } from "./pages/trends.tsx";
import { Webhooks } from "./pages/webhooks.tsx";

const PAGES: Record<string, ComponentType> = {
    trends: Trends,
    search: Search,
    feed: Feed,
    signin: SignIn,
    recover: Recover,
    onboarding: Onboarding,
    profile: Profile,
    webhooks: Webhooks,
    operator: Operator,
};

const Nowhere = () => (
    <>
        <h1>{t("nowhere")}</h1>
        <p>
            <a href={link("trends")}>{t("page.trends")}</a>
        </p>
    </>
);

export function App() {
    const { page } = route.value;
    const isKnown = Object.hasOwn(PAGES, page); // an address may say __proto__
    const Page = (isKnown && PAGES[page]) || Nowhere;
    const main = useRef<HTMLElement>(null);
    const first = useRef(true);

    useEffect(() => {
        document.title = `${isKnown ? t(`page.${page}` as Key) : t("nowhere")} · Ondol`;
    }, [page, language.value]);
    useEffect(() => {
        // As a browser does for a new page: a screen reader begins at its top.
        if (!first.current) main.current?.focus();
        first.current = false;
    }, [page]);

    const pages = ["trends", "search", "feed", ...(user.value ? ["webhooks"] : []), ...(isAdmin.value ? ["operator"] : [])];
    return (
        <>
            <a
                class="skip"
                href="#main"
                onClick={(event) => {
                    event.preventDefault(); // the fragment is the router's
                    main.current?.focus();
                }}
            >
                {t("skip")}
            </a>
            <header class="top">
                <a class="brand" href={link("trends")}>
                    <img src="./icon.svg" alt="" width="28" height="28" />
                    Ondol
                </a>
                <nav aria-label={t("pages")}>
                    {pages.map((name) => (
                        <a key={name} href={link(name)} aria-current={name === page ? "page" : undefined}>
                            {t(`page.${name}` as Key)}
                        </a>
                    ))}
                </nav>
                {user.value ? (
                    <a class="person" href={link("profile")} aria-current={page === "profile" ? "page" : undefined}>
                        {t("page.profile")}
                    </a>
                ) : (
                    <a class="person" href={link("signin")} aria-current={page === "signin" ? "page" : undefined}>
                        {t("signin")}
                    </a>
                )}
            </header>
            {!isOnline.value && (
                <p class="banner" role="status">
                    {t("offline.banner")}
                </p>
            )}
            <main id="main" ref={main} tabIndex={-1}>
                <Page />
            </main>
            <footer>
                <label>
                    {t("language")}{" "}
                    <select value={language.value} onChange={(e) => (language.value = e.currentTarget.value as Language)}>
                        <option value="ko" lang="ko">
                            한국어
                        </option>
                        <option value="en" lang="en">
                            English
                        </option>
                    </select>
                </label>
                <label>
                    {t("theme")}{" "}
                    <select value={theme.value} onChange={(e) => (theme.value = e.currentTarget.value as Theme)}>
                        {(["auto", "light", "dark"] as const).map((name) => (
                            <option key={name} value={name}>
                                {t(`theme.${name}`)}
                            </option>
                        ))}
                    </select>
                </label>
            </footer>
        </>
    );
}
