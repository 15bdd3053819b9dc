// A page of all hosts, networks or VMs.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Icon } from "./icon.tsx";
import { Empty, PageHead } from "./states.tsx";
import { ServerTable, type TableProps } from "./table.tsx";

export function ListPage<Row extends { readonly uid: string }>(
  props: Omit<TableProps<Row>, "keyOf" | "empty"> & {
    /** Where this caller may. */
    readonly create?: { readonly title: string; readonly form: (onClose: () => void) => ComponentChildren } | undefined;
    /** Said below the heading. */
    readonly note?: string;
    readonly empty: { readonly title: string; readonly help: ComponentChildren };
  },
) {
  const { create, empty, note, ...table } = props;
  const [creating, setCreating] = useState(false);
  return (
    <>
      <PageHead title={table.title}>
        {create && (
          <button type="button" class="primary" onClick={() => setCreating(true)}>
            <Icon name="plus" />
            {create.title}
          </button>
        )}
      </PageHead>
      {note !== undefined && <p class="page-note">{note}</p>}
      <ServerTable {...table} keyOf={({ uid }) => uid} empty={<Empty title={empty.title}>{empty.help}</Empty>} />
      {creating && create?.form(() => setCreating(false))}
    </>
  );
}
