import { formatTime } from "../format.ts";
import { Evacuate } from "../forms/evacuate.tsx";
import { HostForm } from "../forms/host-form.tsx";
import { Join } from "../forms/join.tsx";
import { Down, Revoke, Up } from "../forms/mark.tsx";
import { Remove } from "../forms/remove.tsx";
import { passes } from "../live/describe.ts";
import { useResource } from "../live/resource.ts";
import { Conditions } from "../parts/conditions.tsx";
import { Detail } from "../parts/detail.tsx";
import { Fact, Facts } from "../parts/facts.tsx";
import { History } from "../parts/history.tsx";
import { Rates } from "../parts/rates.tsx";
import { AgentStatus, type Host, networkFilter, vmColumns, vmSearch } from "../parts/rows.tsx";
import { Empty, Panel } from "../parts/states.tsx";
import { Labels } from "../parts/status.tsx";
import { ServerTable } from "../parts/table.tsx";
import { href } from "../router.ts";
import { mayWriteHosts } from "../session.ts";

export function HostPage({ name }: { readonly name: string }) {
  const isHere = (event: Parameters<typeof passes>[1]) =>
    passes({ kind: "", name: "", network: "", host: name }, event);
  const [host] = useResource<Host>(`/v1/hosts/${encodeURIComponent(name)}`, { changedBy: isHere, everyMs: 5_000 });
  return (
    <Detail
      name={name}
      list={{ plural: "hosts", title: "Hosts" }}
      of={host}
      links={
        <a class="button" href={href(["map"], { host: name })}>
          On the map
        </a>
      }
      actions={
        mayWriteHosts.value
          ? [
              { title: "Edit", dialog: (of, close) => <HostForm host={of} onClose={close} /> },
              { title: "Join line", dialog: (of, close) => <Join host={of} onClose={close} /> },
              { title: "Evacuate", dialog: (of, close) => <Evacuate host={of} onClose={close} /> },
              {
                title: "Mark down",
                look: "danger",
                isHidden: ({ down }) => down === true,
                dialog: (of, close) => <Down host={of} onClose={close} />,
              },
              {
                title: "Mark up",
                isHidden: ({ down }) => down !== true,
                dialog: (of, close) => <Up host={of} onClose={close} />,
              },
              { title: "Revoke", look: "danger", dialog: (of, close) => <Revoke host={of} onClose={close} /> },
              {
                title: "Delete",
                look: "danger",
                dialog: (of, close) => <Remove plural="hosts" noun="host" of={of} onClose={close} />,
              },
            ]
          : []
      }
      facts={(found) => <HostFacts host={found} />}
      history={<History of={{ host: name }} changedBy={isHere} />}
    >
      <Rates host={name} />
      <Panel title="VMs">
        <ServerTable
          title="VMs on this host"
          plural="vms"
          kinds={["vm"]}
          noun="VM"
          everyMs={10_000}
          fixed={{ host: name }}
          columns={vmColumns.filter(({ title }) => title !== "Host" && title !== "Host agent")}
          keyOf={({ uid }) => uid}
          filters={[vmSearch, networkFilter]}
          empty={<Empty title="No VMs on this host" />}
        />
      </Panel>
    </Detail>
  );
}

function HostFacts({ host }: { readonly host: Host }) {
  return (
    <>
      <Conditions of={host.conditions} on="host" />
      <Facts>
        <Fact name="Agent">
          <AgentStatus host={host} />
        </Fact>
        <Fact name="Last heard">{host.lastSeen === null ? "not yet" : formatTime(host.lastSeen)}</Fact>
        <Fact name="Agent version">{host.agentVersion ?? (host.connected ? "" : "not connected")}</Fact>
        <Fact name="Applied revision">{host.appliedRevision ?? "not reported yet"}</Fact>
        <Fact name="VTEP" code>
          {host.vtep}
        </Fact>
        <Fact name="UDP port">{host.port}</Fact>
        <Fact name="Registered by">{host.origin === "agent" ? "its agent" : "an operator"}</Fact>
        <Fact name="Labels">
          <Labels labels={host.labels} />
        </Fact>
        <Fact name="Description">{host.description}</Fact>
      </Facts>
    </>
  );
}
