import { formatTime, sentence } from "../format.ts";
import { HostForm } from "../forms/host-form.tsx";
import { Remove } from "../forms/remove.tsx";
import { passes } from "../live/describe.ts";
import { useResource } from "../live/resource.ts";
import { Detail } from "../parts/detail.tsx";
import { Fact, Facts } from "../parts/facts.tsx";
import { History } from "../parts/history.tsx";
import { Icon } from "../parts/icon.tsx";
import { Prose } from "../parts/prose.tsx";
import { Rates } from "../parts/rates.tsx";
import { type Host, HostStatus, networkFilter, vmColumns, vmSearch } from "../parts/rows.tsx";
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
      {host.problems.map((problem) => (
        <div key={problem} class="failure warn">
          <Icon name="warning" />
          <p dir="auto">
            <Prose text={sentence(problem)} />
          </p>
        </div>
      ))}
      <Facts>
        <Fact name="Agent">
          <HostStatus host={host} />
        </Fact>
        <Fact name="Last heard">{host.lastSeen === null ? "not yet" : formatTime(host.lastSeen)}</Fact>
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
