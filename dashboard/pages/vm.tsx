import type { HoldersView } from "../../schema/rest/index.ts";
import { Move } from "../forms/move.tsx";
import { Remove } from "../forms/remove.tsx";
import { VmForm } from "../forms/vm-form.tsx";
import { changesOf, useResource } from "../live/resource.ts";
import { Conditions } from "../parts/conditions.tsx";
import { Detail } from "../parts/detail.tsx";
import { Fact, Facts } from "../parts/facts.tsx";
import { History } from "../parts/history.tsx";
import { Holders } from "../parts/holders.tsx";
import type { Vm } from "../parts/rows.tsx";
import { Load, Panel } from "../parts/states.tsx";
import { Labels, Status } from "../parts/status.tsx";
import { TableHead } from "../parts/table-head.tsx";
import { href } from "../router.ts";
import { mayWrite } from "../session.ts";

export function VmPage({ name }: { readonly name: string }) {
  const path = `/v1/vms/${encodeURIComponent(name)}`;
  const isThis = changesOf(`vms/${name}`);
  const [vm] = useResource<Vm>(path, { changedBy: isThis, everyMs: 10_000 });
  const value = vm.kind === "ready" ? vm.value : undefined;
  // A VM that does not exist has no holders to query.
  const held = value === undefined ? undefined : `${path}/holders`;
  const [holders] = useResource<HoldersView>(held, { changedBy: isThis, everyMs: 2_000 });
  return (
    <Detail
      name={name}
      list={{ plural: "vms", title: "VMs" }}
      of={vm}
      actions={
        mayWrite.value
          ? [
              { title: "Move", look: "primary", dialog: (of, close) => <Move vm={of} onClose={close} /> },
              { title: "Edit", dialog: (of, close) => <VmForm vm={of} onClose={close} /> },
              {
                title: "Delete",
                look: "danger",
                dialog: (of, close) => <Remove plural="vms" noun="VM" of={of} onClose={close} />,
              },
            ]
          : []
      }
      facts={(found) => <VmFacts vm={found} />}
      history={<History of={{ kind: "vm", name }} changedBy={isThis} />}
    >
      {value && <Interfaces vm={value} />}
      {value && (
        <Panel title="Holders" aside={<span>hosts that know where this VM is</span>}>
          <Load of={holders}>{(found) => <Holders view={found} />}</Load>
        </Panel>
      )}
    </Detail>
  );
}

function VmFacts({ vm }: { readonly vm: Vm }) {
  const { host, hostConnected, preparedHost, ownerNetworks, labels, description, revision, uid } = vm;
  return (
    <>
      <Conditions of={vm.conditions} on="vm" />
      <Facts>
        <Fact name="Host">
          <a href={href(["hosts", host])}>{host}</a>{" "}
          <Status tone={hostConnected ? "good" : "bad"}>{hostConnected ? "connected" : "disconnected"}</Status>
        </Fact>
        {preparedHost !== undefined && (
          <Fact name="Migrates to">
            <a href={href(["hosts", preparedHost])}>{preparedHost}</a>
          </Fact>
        )}
        {ownerNetworks && <Fact name="Belongs to">{ownerNetworks.join(", ")}</Fact>}
        <Fact name="Labels">
          <Labels labels={labels} />
        </Fact>
        <Fact name="Description">{description}</Fact>
        <Fact name="Revision">{revision}</Fact>
        <Fact name="UID" code>
          {uid}
        </Fact>
      </Facts>
    </>
  );
}

/** A nested guest's: the interface whose port it has. */
function Parent({ of }: { readonly of: string }) {
  const [vm = ""] = of.split("/");
  return (
    <>
      in <a href={href(["vms", vm])}>{of}</a>
    </>
  );
}

function Codes({ of }: { readonly of: readonly string[] }) {
  if (of.length === 0) return <span class="none">–</span>;
  return (
    <span class="several">
      {of.map((each) => (
        <code key={each}>{each}</code>
      ))}
    </span>
  );
}

function Interfaces({ vm }: { readonly vm: Vm }) {
  return (
    <Panel title="Interfaces">
      <div class="scroll">
        <table class="table">
          <TableHead titles={["Name", "Network", "MAC", "Addresses", "May take", "Port", "Router"]} />
          <tbody>
            {vm.interfaces.map(({ name, network, mac, ips, port, parent, router, allowedAddresses }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td data-title="Network">
                  <a href={href(["networks", network])}>{network}</a>
                </td>
                <td data-title="MAC">
                  <code>{mac}</code>
                </td>
                <td data-title="Addresses">
                  <Codes of={ips} />
                </td>
                <td data-title="May take">
                  <Codes of={(allowedAddresses ?? []).map(({ ip }) => ip)} />
                </td>
                <td data-title="Port">{parent === undefined ? <code>{port ?? "–"}</code> : <Parent of={parent} />}</td>
                <td data-title="Router">{router ? "yes" : "no"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
