import { type Theme, theme, themes } from "../theme.ts";
import { Icon, type IconName } from "./icon.tsx";

const looks: Readonly<Record<Theme, { readonly icon: IconName; readonly title: string }>> = {
  system: { icon: "system", title: "As the system has it" },
  light: { icon: "light", title: "Light" },
  dark: { icon: "dark", title: "Dark" },
};

export function ThemeSwitch() {
  return (
    <fieldset class="theme">
      <legend class="hidden">Colours</legend>
      {themes.map((each) => (
        <label key={each} title={looks[each].title}>
          <input
            type="radio"
            name="theme"
            class="hidden"
            value={each}
            checked={theme.value === each}
            onChange={() => {
              theme.value = each;
            }}
          />
          <Icon name={looks[each].icon} />
          <span class="hidden">{looks[each].title}</span>
        </label>
      ))}
    </fieldset>
  );
}
