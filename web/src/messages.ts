import { language } from "./settings.ts";

/** What the board says, in English and in Korean, side by side so that neither can be forgotten. */
export const messages = {
    "page.trends": ["Trends", "트렌드"],
    "page.search": ["Search", "검색"],
    "page.feed": ["Feed", "피드"],
    "page.signin": ["Sign in", "로그인"],
    "page.onboarding": ["Getting started", "시작하기"],
    "page.profile": ["Profile", "내 정보"],
    "page.webhooks": ["Webhooks", "웹훅"],
    "page.operator": ["Operator", "운영"],
    pages: ["Pages", "페이지"],
    skip: ["Skip to content", "본문으로 건너뛰기"],
    language: ["Language", "언어"],
    theme: ["Theme", "테마"],
    "theme.auto": ["As the device", "기기 설정"],
    "theme.light": ["Light", "밝게"],
    "theme.dark": ["Dark", "어둡게"],
    loading: ["Loading", "불러오는 중"],
    failed: ["That did not work.", "문제가 생겼습니다."],
    retry: ["Try again", "다시 시도"],
    offline: ["You are offline.", "인터넷에 연결되어 있지 않습니다."],
    "offline.next": ["It goes on when the connection is back.", "연결되면 이어집니다."],
    "offline.banner": [
        "You are offline. What you see is from before.",
        "인터넷에 연결되어 있지 않아 이전에 불러온 내용을 보여 드립니다.",
    ],
    nowhere: ["There is no such page.", "없는 페이지입니다."],
    signin: ["Sign in", "로그인"],
} satisfies Record<string, readonly [en: string, ko: string]>;

export type Key = keyof typeof messages;

/** The message in the language of now, its {placeholders} filled. Read while rendering, it follows the language. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
    const said = messages[key][language.value === "ko" ? 1 : 0];
    return said.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}
