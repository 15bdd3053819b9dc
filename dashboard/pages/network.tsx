import { describeBroadcast, describeKnowledge } from "../../schema/plain/index.ts";
import { NetworkForm } from "../forms/network-form.tsx";
import { Remove } from "../forms/remove.tsx";
import { passes } from "../live/describe.ts";
import { changesOf, useResource } from "../live/resource.ts";
import { Conditions } from "../parts/conditions.tsx";
import { Detail } from "../parts/detail.tsx";
import { Fact, Facts } from "../parts/facts.tsx";
import { History } from "../parts/history.tsx";
import { hostFilter, type Network, vmColumns, vmSearch } from "../parts/rows.tsx";
import { Empty, Panel } from "../parts/states.tsx";
import { Labels } from "../parts/status.tsx";
import { ServerTable } from "../parts/table.tsx";
import { href } from "../router.ts";
import { mayWrite } from "../session.ts";

export function NetworkPage({ name }: { readonly name: string }) {
  const [network] = useResource<Network>(`/v1/networks/${encodeURIComponent(name)}`, {
    changedBy: changesOf(`networks/${name}`),
  });
  return (
    <Detail
      name={name}
      list={{ plural: "networks", title: "Networks" }}
      of={network}
      links={
        <a class="button" href={href(["map"], { network: name })}>
          On the map
        </a>
      }
      actions={
        mayWrite.value
          ? [
              { title: "Edit", dialog: (of, close) => <NetworkForm network={of} onClose={close} /> },
              {
                title: "Delete",
                look: "danger",
                dialog: (of, close) => <Remove plural="networks" noun="network" of={of} onClose={close} />,
              },
            ]
          : []
      }
      facts={(found) => <NetworkFacts network={found} />}
      history={
        <History
          of={{ network: name }}
          changedBy={(event) => passes({ kind: "", name: "", host: "", network: name }, event)}
        />
      }
    >
      <Panel title="VMs">
        <ServerTable
          title="VMs in this network"
          plural="vms"
          kinds={["vm"]}
          noun="VM"
          everyMs={10_000}
          fixed={{ network: name }}
          columns={vmColumns.filter(({ title }) => title !== "Network")}
          keyOf={({ uid }) => uid}
          filters={[vmSearch, hostFilter]}
          empty={<Empty title="No VMs in this network" />}
        />
      </Panel>
    </Detail>
  );
}

function NetworkFacts({ network }: { readonly network: Network }) {
  const { vni, subnets, mtu, gateways, reserved, quarantineSeconds, labels, description, revision } = network;
  return (
    <>
      <Conditions of={network.conditions} on="network" />
      <Facts>
        <Fact name="VNI">{vni}</Fact>
        <Fact name="Subnets" code>
          {subnets}
        </Fact>
        <Fact name="MTU">{mtu}</Fact>
        {gateways ? (
          <Fact name="Gateways" code>
            {gateways}
          </Fact>
        ) : (
          <Fact name="Gateways">first address of each subnet</Fact>
        )}
        <Fact name="Reserved" code>
          {reserved ?? []}
        </Fact>
        <Fact name="Quarantine">
          {quarantineSeconds === undefined ? "300 s, the default" : `${quarantineSeconds} s`}
        </Fact>
        <Fact name="Knowledge">{describeKnowledge(network)}</Fact>
        <Fact name="Broadcast">{describeBroadcast(network)}</Fact>
        <Fact name="Labels">
          <Labels labels={labels} />
        </Fact>
        <Fact name="Description">{description}</Fact>
        <Fact name="Revision">{revision}</Fact>
      </Facts>
    </>
  );
}
