// The page of one resource, shared by hosts, networks and VMs: its heading with the possible actions, its fields, and
// the rest.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { ProblemError } from "../api.ts";
import type { Loaded } from "../live/resource.ts";
import { href } from "../router.ts";
import { Empty, Load, PageHead } from "./states.tsx";

export interface Action<T> {
  readonly title: string;
  readonly look?: "primary" | "danger";
  /** Where it would change nothing. */
  readonly isHidden?: (of: T) => boolean;
  readonly dialog: (of: T, onClose: () => void) => ComponentChildren;
}

export function Detail<T>(props: {
  readonly name: string;
  /** The list that contains it. */
  readonly list: { readonly plural: string; readonly title: string };
  readonly of: Loaded<T>;
  readonly links?: ComponentChildren;
  /** What this caller may do to it. */
  readonly actions: readonly Action<T>[];
  readonly facts: (value: T) => ComponentChildren;
  /** Content that is shown even if there is no resource of that name any more. */
  readonly history: ComponentChildren;
  readonly children?: ComponentChildren;
}) {
  const { name, list, of, links, actions, facts, history, children } = props;
  // As it was when the dialog was opened: changes by others since then must not be overwritten unseen.
  const [open, setOpen] = useState<{ readonly title: string; readonly as: T }>();
  const value = of.kind === "ready" ? of.value : undefined;
  const dialog = actions.find(({ title }) => title === open?.title);
  const above = <a href={href([list.plural])}>{list.title}</a>;
  if (of.kind === "failed" && of.error instanceof ProblemError && of.error.problem.status === 404) {
    return (
      <>
        <PageHead title={name} above={above} />
        <div class="panel">
          <Empty title={of.error.message}>
            It was deleted, never was, or is not for this token to see.{" "}
            <a href={href([list.plural])}>Back to {list.title}</a>
          </Empty>
        </div>
        {history}
      </>
    );
  }
  return (
    <>
      <PageHead title={name} above={above}>
        {links}
        {value !== undefined &&
          actions
            .filter(({ isHidden }) => isHidden?.(value) !== true)
            .map(({ title, look }) => (
              <button key={title} type="button" class={look} onClick={() => setOpen({ title, as: value })}>
                {title}
              </button>
            ))}
      </PageHead>
      <Load of={of}>{facts}</Load>
      {children}
      {history}
      {open && dialog?.dialog(open.as, () => setOpen(undefined))}
    </>
  );
}
