// Builds the dashboard into dist/dashboard: one script, one style sheet, names with a hash of their content.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: fileURLToPath(new URL("../dist/dashboard", import.meta.url)),
    emptyOutDir: true,
    target: "es2022",
    // The content security policy lets no data: URL in.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
