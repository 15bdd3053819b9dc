import { useState } from "preact/hooks";
import type { HoldersView } from "../../schema/observe.ts";
import { Move } from "../forms/move.tsx";
import { Remove } from "../forms/remove.tsx";
import { VmForm } from "../forms/vm-form.tsx";
import { changesOf, useResource } from "../live/resource.ts";
import { Fact, Facts } from "../parts/facts.tsx";
import { History } from "../parts/history.tsx";
import { Holders } from "../parts/holders.tsx";
import type { Vm } from "../parts/rows.tsx";
import { Load, PageHead, Panel } from "../parts/states.tsx";
import { Labels, Status } from "../parts/status.tsx";
import { href } from "../router.ts";
import { mayWrite } from "../session.ts";

export function VmPage({ name }: { readonly name: string }) {
  const path = `/v1/vms/${encodeURIComponent(name)}`;
  const isThis = changesOf(`vms/${name}`);
  const [vm] = useResource<Vm>(path, { changedBy: isThis, everyMs: 10_000 });
  const [holders] = useResource<HoldersView>(`${path}/holders`, { changedBy: isThis, everyMs: 2_000 });
  const [open, setOpen] = useState<"edit" | "move" | "delete">();
  const close = () => setOpen(undefined);
  const value = vm.kind === "ready" ? vm.value : undefined;
  return (
    <>
      <PageHead title={name} above={<a href={href(["vms"])}>VMs</a>}>
        {mayWrite.value && value && (
          <>
            <button type="button" class="primary" onClick={() => setOpen("move")}>
              Move
            </button>
            <button type="button" onClick={() => setOpen("edit")}>
              Edit
            </button>
            <button type="button" class="danger" onClick={() => setOpen("delete")}>
              Delete
            </button>
          </>
        )}
      </PageHead>
      <Load of={vm}>
        {({ host, hostConnected, labels, description, revision, uid }) => (
          <Facts>
            <Fact name="Host">
              <a href={href(["hosts", host])}>{host}</a>{" "}
              <Status tone={hostConnected ? "good" : "bad"}>{hostConnected ? "connected" : "away"}</Status>
            </Fact>
            <Fact name="Labels">
              <Labels labels={labels} />
            </Fact>
            <Fact name="Description">{description}</Fact>
            <Fact name="Revision">{revision}</Fact>
            <Fact name="UID" code>
              {uid}
            </Fact>
          </Facts>
        )}
      </Load>
      {value && <Interfaces vm={value} />}
      <Panel title="Holders" aside={<span>hosts that were told where this VM is</span>}>
        <Load of={holders}>{(found) => <Holders view={found} />}</Load>
      </Panel>
      <History of={{ kind: "vm", name }} changedBy={isThis} />
      {open === "edit" && value && <VmForm vm={value} onClose={close} />}
      {open === "move" && value && <Move vm={value} onClose={close} />}
      {open === "delete" && value && <Remove plural="vms" noun="VM" of={value} onClose={close} />}
    </>
  );
}

function Interfaces({ vm }: { readonly vm: Vm }) {
  return (
    <Panel title="Interfaces">
      <div class="scroll">
        <table class="table">
          <thead>
            <tr>
              {["Name", "Network", "MAC", "Addresses", "Port", "Routes"].map((title) => (
                <th key={title} scope="col">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {vm.interfaces.map(({ name, network, mac, ips, port, router }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>
                  <a href={href(["networks", network])}>{network}</a>
                </td>
                <td>
                  <code>{mac}</code>
                </td>
                <td>
                  <span class="several">
                    {ips.map((ip) => (
                      <code key={ip}>{ip}</code>
                    ))}
                  </span>
                </td>
                <td>
                  <code>{port ?? "–"}</code>
                </td>
                <td>{router ? "yes" : "no"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
