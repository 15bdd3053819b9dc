// Placeholders for data that is still loading, absent, or unavailable.
import type { ComponentChildren } from "preact";
import { sentence } from "../format.ts";
import type { Loaded } from "../live/resource.ts";
import { Icon } from "./icon.tsx";
import { Prose } from "./prose.tsx";

export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <div class="empty-more">{children}</div>}
    </div>
  );
}

export function Failure({ error }: { readonly error: Error }) {
  return (
    <div class="failure" role="alert">
      <Icon name="warning" />
      <p dir="auto">
        <Prose text={sentence(error.message)} />
      </p>
    </div>
  );
}

/** The value once it is there. */
export function Load<T>({
  of,
  children,
}: {
  readonly of: Loaded<T>;
  readonly children: (value: T) => ComponentChildren;
}) {
  if (of.kind === "loading") return <p class="loading">Loading…</p>;
  if (of.kind === "failed") return <Failure error={of.error} />;
  return <>{children(of.value)}</>;
}

export function PageHead({
  title,
  above,
  children,
}: {
  readonly title: string;
  /** Where this belongs. */
  readonly above?: ComponentChildren;
  readonly children?: ComponentChildren;
}) {
  return (
    <div class="head">
      <div class="head-title">
        {above && <p class="above">{above}</p>}
        <h1 tabIndex={-1}>{title}</h1>
      </div>
      {children && <div class="actions">{children}</div>}
    </div>
  );
}

export function Panel({
  title,
  aside,
  children,
}: {
  readonly title: string;
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
}) {
  return (
    <section class="panel" aria-label={title}>
      <div class="panel-head">
        <h2>{title}</h2>
        {aside && <div class="panel-aside">{aside}</div>}
      </div>
      {children}
    </section>
  );
}
