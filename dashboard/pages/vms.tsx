import { useState } from "preact/hooks";
import { VmForm } from "../forms/vm-form.tsx";
import { Icon } from "../parts/icon.tsx";
import { vmColumns } from "../parts/rows.tsx";
import { Empty, PageHead } from "../parts/states.tsx";
import { type Filter, ServerTable } from "../parts/table.tsx";
import { mayWrite } from "../session.ts";

export const vmFilters: readonly Filter[] = [
  { key: "name", title: "Name", hint: "begins with" },
  { key: "network", title: "Network", hint: "any" },
  { key: "host", title: "Host", hint: "any" },
  { key: "label", title: "Labels", hint: "tier=web,!retired" },
];

export function VmsPage() {
  const [creating, setCreating] = useState(false);
  return (
    <>
      <PageHead title="VMs">
        {mayWrite.value && (
          <button type="button" class="primary" onClick={() => setCreating(true)}>
            <Icon name="plus" />
            Create VM
          </button>
        )}
      </PageHead>
      <ServerTable
        title="VMs"
        plural="vms"
        kinds={["vm"]}
        columns={vmColumns}
        keyOf={({ uid }) => uid}
        filters={vmFilters}
        everyMs={10_000}
        empty={
          <Empty title="No VM is registered">
            {mayWrite.value && "Create a network and a host first, then the VM."}
          </Empty>
        }
      />
      {creating && <VmForm onClose={() => setCreating(false)} />}
    </>
  );
}
