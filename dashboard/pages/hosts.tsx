import { useState } from "preact/hooks";
import { HostForm } from "../forms/host-form.tsx";
import { Icon } from "../parts/icon.tsx";
import { hostColumns } from "../parts/rows.tsx";
import { Empty, PageHead } from "../parts/states.tsx";
import { ServerTable } from "../parts/table.tsx";
import { mayWrite, seesAll } from "../session.ts";

export function HostsPage() {
  const [creating, setCreating] = useState(false);
  const mayCreate = mayWrite.value && seesAll.value;
  return (
    <>
      <PageHead title="Hosts">
        {mayCreate && (
          <button type="button" class="primary" onClick={() => setCreating(true)}>
            <Icon name="plus" />
            Register host
          </button>
        )}
      </PageHead>
      <ServerTable
        title="Hosts"
        plural="hosts"
        kinds={["host", "operational"]}
        columns={hostColumns}
        keyOf={({ uid }) => uid}
        filters={[
          { key: "name", title: "Name", hint: "begins with" },
          { key: "network", title: "Network", hint: "any" },
          { key: "label", title: "Labels", hint: "rack=r7" },
        ]}
        everyMs={5_000}
        empty={
          <Empty title="No host is registered">
            {mayCreate ? "Register one, then start its agent there." : "Hosts with VMs in your networks appear here."}
          </Empty>
        }
      />
      {creating && <HostForm onClose={() => setCreating(false)} />}
    </>
  );
}
