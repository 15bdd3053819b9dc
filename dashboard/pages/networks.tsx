import { useState } from "preact/hooks";
import { NetworkForm } from "../forms/network-form.tsx";
import { Icon } from "../parts/icon.tsx";
import { networkColumns } from "../parts/rows.tsx";
import { Empty, PageHead } from "../parts/states.tsx";
import { ServerTable } from "../parts/table.tsx";
import { mayWrite } from "../session.ts";

export function NetworksPage() {
  const [creating, setCreating] = useState(false);
  return (
    <>
      <PageHead title="Networks">
        {mayWrite.value && (
          <button type="button" class="primary" onClick={() => setCreating(true)}>
            <Icon name="plus" />
            Create network
          </button>
        )}
      </PageHead>
      <ServerTable
        title="Networks"
        plural="networks"
        kinds={["network"]}
        columns={networkColumns}
        keyOf={({ uid }) => uid}
        filters={[
          { key: "name", title: "Name", hint: "begins with" },
          { key: "host", title: "Host", hint: "any" },
          { key: "label", title: "Labels", hint: "env=prod" },
        ]}
        empty={
          <Empty title="There is no network">
            {mayWrite.value && "Create the first: a name, a VNI and its subnets."}
          </Empty>
        }
      />
      {creating && <NetworkForm onClose={() => setCreating(false)} />}
    </>
  );
}
