import { defineConfig } from "vite";

export default defineConfig({
    base: "./", // a static build works in any folder
    build: {
        target: "es2022",
        assetsInlineLimit: 0, // a data: url would need more of the CSP
        modulePreload: { polyfill: false },
    },
});
