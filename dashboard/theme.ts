// Light or dark: as the system has it, or as the switch says, which this browser remembers.
import { computed, effect, signal } from "@preact/signals";

export const themes = ["system", "light", "dark"] as const;
export type Theme = (typeof themes)[number];

const storageKey = "nearmiss.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(system.matches);

export const theme = signal<Theme>(themes.find((each) => each === localStorage.getItem(storageKey)) ?? "system");
export const isDark = computed(() => theme.value === "dark" || (theme.value === "system" && systemIsDark.value));

export function startTheme(): void {
  system.addEventListener("change", (event) => {
    systemIsDark.value = event.matches;
  });
  effect(() => {
    document.documentElement.dataset.theme = isDark.value ? "dark" : "light";
    localStorage.setItem(storageKey, theme.value);
  });
}
