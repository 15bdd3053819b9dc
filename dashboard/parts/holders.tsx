import type { HoldersView } from "../../schema/rest/index.ts";
import { formatTime } from "../format.ts";
import { href } from "../router.ts";
import { Status } from "./status.tsx";

type Holder = HoldersView["holders"][number];

/** The hosts that hold a VM's addresses, and whether they have the current ones. */
export function Holders({ view }: { readonly view: HoldersView }) {
  const { holders, revision } = view;
  const current = holders.filter((each) => each.current).length;
  return (
    <>
      <p class="panel-note" role="status">
        {current} of {holders.length} hold revision {revision}
      </p>
      <div class="scroll">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Host</th>
              <th scope="col">State</th>
              <th scope="col" class="number">
                Applied
              </th>
              <th scope="col">Known addresses</th>
              <th scope="col">As of</th>
            </tr>
          </thead>
          <tbody>
            {holders.map((holder) => (
              <tr key={holder.host}>
                <th scope="row">
                  <a href={href(["hosts", holder.host])}>{holder.host}</a>
                  {holder.local && <span class="tag">runs here</span>}
                </th>
                <td data-title="State">
                  <HolderState holder={holder} />
                </td>
                <td class="number" data-title="Applied">
                  {holder.appliedRevision ?? "–"}
                </td>
                <td data-title="Known addresses">
                  <span class="several">
                    {holder.addresses.map((address) => (
                      <code key={address}>{address}</code>
                    ))}
                  </span>
                </td>
                <td data-title="As of">{holder.asOf === null ? "–" : formatTime(holder.asOf)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {holders.length === 1 && <p class="log-end">No other host has asked for it.</p>}
    </>
  );
}

export function HolderState({
  holder: { connected, current },
}: {
  readonly holder: Pick<Holder, "connected" | "current">;
}) {
  if (!connected) return <Status tone="bad">{current ? "disconnected, was current" : "disconnected"}</Status>;
  return <Status tone={current ? "good" : "wait"}>{current ? "current" : "behind"}</Status>;
}
