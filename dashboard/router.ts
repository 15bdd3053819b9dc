// Where one is, behind the `#`: the controller serves one page, and no path of it can collide with the API's.
import { signal } from "@preact/signals";

export interface Place {
  /** Such as `["vms", "web-1"]`. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

export const place = signal(parsePlace(location.hash));
addEventListener("hashchange", () => {
  place.value = parsePlace(location.hash);
});

export function parsePlace(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  return { path: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

export function href(path: readonly string[], query: Readonly<Record<string, string>> = {}): string {
  const written = Object.entries(query).filter(([, value]) => value !== "");
  const search = written.length > 0 ? `?${new URLSearchParams(written)}` : "";
  return `#/${path.map(encodeURIComponent).join("/")}${search}`;
}

export function goTo(path: readonly string[], query: Readonly<Record<string, string>> = {}): void {
  location.hash = href(path, query);
}

/** The same page with another query: no history entry for every typed letter. */
export function refine(query: Readonly<Record<string, string>>): void {
  history.replaceState(null, "", href(place.value.path, query));
  place.value = parsePlace(location.hash);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
