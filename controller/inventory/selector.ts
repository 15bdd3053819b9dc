import type { Selector } from "../../schema/index.ts";

export function fitsSelector(labels: Readonly<Record<string, string>>, selector: Selector): boolean {
  return selector.every(({ key, kind, value }) => {
    const present = Object.hasOwn(labels, key);
    if (kind === "present") return present;
    if (kind === "absent") return !present;
    return (present && labels[key] === value) === (kind === "equals");
  });
}
