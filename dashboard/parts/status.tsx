import type { ComponentChildren } from "preact";

/** A state by colour, symbol and word, so that none of them alone carries the meaning. */
export function Status({
  tone,
  children,
}: {
  readonly tone: "good" | "bad" | "wait" | "none";
  readonly children: ComponentChildren;
}) {
  return (
    <span class={`status status-${tone}`}>
      <span class="dot" aria-hidden="true" />
      {children}
    </span>
  );
}

export function Labels({ labels }: { readonly labels: Readonly<Record<string, string>> }) {
  const entries = Object.entries(labels);
  if (entries.length === 0) return <span class="none">–</span>;
  return (
    <span class="labels">
      {entries.map(([key, value]) => (
        <span key={key} class="label" title={`${key}=${value}`}>
          <span class="label-key">{key}</span>
          {value !== "" && <bdi>{value}</bdi>}
        </span>
      ))}
    </span>
  );
}
