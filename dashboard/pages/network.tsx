import { useState } from "preact/hooks";
import { NetworkForm } from "../forms/network-form.tsx";
import { Remove } from "../forms/remove.tsx";
import { passes } from "../live/describe.ts";
import { changesOf, useResource } from "../live/resource.ts";
import { Fact, Facts } from "../parts/facts.tsx";
import { History } from "../parts/history.tsx";
import { type Network, vmColumns } from "../parts/rows.tsx";
import { Empty, Load, PageHead, Panel } from "../parts/states.tsx";
import { Labels } from "../parts/status.tsx";
import { ServerTable } from "../parts/table.tsx";
import { href } from "../router.ts";
import { mayWrite } from "../session.ts";

export function NetworkPage({ name }: { readonly name: string }) {
  const [network] = useResource<Network>(`/v1/networks/${encodeURIComponent(name)}`, {
    changedBy: changesOf(`networks/${name}`),
  });
  const [open, setOpen] = useState<"edit" | "delete">();
  const close = () => setOpen(undefined);
  const value = network.kind === "ready" ? network.value : undefined;
  return (
    <>
      <PageHead title={name} above={<a href={href(["networks"])}>Networks</a>}>
        <a class="button" href={href(["map"], { network: name })}>
          On the map
        </a>
        {mayWrite.value && value && (
          <>
            <button type="button" onClick={() => setOpen("edit")}>
              Edit
            </button>
            <button type="button" class="danger" onClick={() => setOpen("delete")}>
              Delete
            </button>
          </>
        )}
      </PageHead>
      <Load of={network}>
        {({ vni, subnets, mtu, gateways, reserved, quarantineSeconds, labels, description, revision }) => (
          <Facts>
            <Fact name="VNI">{vni}</Fact>
            <Fact name="Subnets" code>
              {subnets}
            </Fact>
            <Fact name="MTU">{mtu}</Fact>
            <Fact name="Gateways" code>
              {gateways ?? "first address of each subnet"}
            </Fact>
            <Fact name="Reserved" code>
              {reserved ?? []}
            </Fact>
            <Fact name="Quarantine">
              {quarantineSeconds === undefined ? "as the default is" : `${quarantineSeconds} s`}
            </Fact>
            <Fact name="Labels">
              <Labels labels={labels} />
            </Fact>
            <Fact name="Description">{description}</Fact>
            <Fact name="Revision">{revision}</Fact>
          </Facts>
        )}
      </Load>
      <Panel title="VMs">
        <ServerTable
          title="VMs in this network"
          plural="vms"
          kinds={["vm"]}
          fixed={{ network: name }}
          columns={vmColumns}
          keyOf={({ uid }) => uid}
          filters={[
            { key: "name", title: "Name", hint: "begins with" },
            { key: "host", title: "Host", hint: "any" },
          ]}
          empty={<Empty title="No VM is in this network" />}
        />
      </Panel>
      <History
        of={{ network: name }}
        changedBy={(event) => passes({ kind: "", name: "", host: "", network: name }, event)}
      />
      {open === "edit" && value && <NetworkForm network={value} onClose={close} />}
      {open === "delete" && value && <Remove plural="networks" noun="network" of={value} onClose={close} />}
    </>
  );
}
