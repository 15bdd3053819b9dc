import { useState } from "preact/hooks";
import { formatTime } from "../format.ts";
import { HostForm } from "../forms/host-form.tsx";
import { Remove } from "../forms/remove.tsx";
import { passes } from "../live/describe.ts";
import { useResource } from "../live/resource.ts";
import { Fact, Facts } from "../parts/facts.tsx";
import { History } from "../parts/history.tsx";
import { Icon } from "../parts/icon.tsx";
import { Rates } from "../parts/rates.tsx";
import { type Host, HostStatus, vmColumns } from "../parts/rows.tsx";
import { Empty, Load, PageHead, Panel } from "../parts/states.tsx";
import { Labels } from "../parts/status.tsx";
import { ServerTable } from "../parts/table.tsx";
import { href } from "../router.ts";
import { mayWrite, seesAll } from "../session.ts";

export function HostPage({ name }: { readonly name: string }) {
  const isHere = (event: Parameters<typeof passes>[1]) =>
    passes({ kind: "", name: "", network: "", host: name }, event);
  const [host] = useResource<Host>(`/v1/hosts/${encodeURIComponent(name)}`, { changedBy: isHere, everyMs: 5_000 });
  const [open, setOpen] = useState<"edit" | "delete">();
  const close = () => setOpen(undefined);
  const value = host.kind === "ready" ? host.value : undefined;
  return (
    <>
      <PageHead title={name} above={<a href={href(["hosts"])}>Hosts</a>}>
        <a class="button" href={href(["map"], { host: name })}>
          On the map
        </a>
        {mayWrite.value && seesAll.value && value && (
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
      <Load of={host}>
        {(found) => (
          <>
            {found.problems.map((problem) => (
              <div key={problem} class="failure warn">
                <Icon name="warning" />
                <p dir="auto">{problem}</p>
              </div>
            ))}
            <Facts>
              <Fact name="Agent">
                <HostStatus host={found} />
              </Fact>
              <Fact name="Last heard">{found.lastSeen === null ? "not yet" : formatTime(found.lastSeen)}</Fact>
              <Fact name="Applied revision">{found.appliedRevision ?? "not told yet"}</Fact>
              <Fact name="VTEP" code>
                {found.vtep}
              </Fact>
              <Fact name="UDP port">{found.port}</Fact>
              <Fact name="Registered by">{found.origin === "agent" ? "its agent" : "an operator"}</Fact>
              <Fact name="Labels">
                <Labels labels={found.labels} />
              </Fact>
              <Fact name="Description">{found.description}</Fact>
            </Facts>
          </>
        )}
      </Load>
      <Rates host={name} />
      <Panel title="VMs">
        <ServerTable
          title="VMs on this host"
          plural="vms"
          kinds={["vm"]}
          fixed={{ host: name }}
          columns={vmColumns.filter(({ title }) => title !== "Host" && title !== "Host agent")}
          keyOf={({ uid }) => uid}
          filters={[
            { key: "name", title: "Name", hint: "begins with" },
            { key: "network", title: "Network", hint: "any" },
          ]}
          empty={<Empty title="No VM is on this host" />}
        />
      </Panel>
      <History of={{ host: name }} changedBy={isHere} />
      {open === "edit" && value && <HostForm host={value} onClose={close} />}
      {open === "delete" && value && <Remove plural="hosts" noun="host" of={value} onClose={close} />}
    </>
  );
}
