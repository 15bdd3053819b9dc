// Hosts as they confirm a change that they have to follow: a move of one VM, or of all VMs of a host.
import type { ComponentChildren } from "preact";
import type { EvacuationLine, MoveLine } from "../../schema/rest/index.ts";
import type { Static } from "../../schema/typebox.ts";
import { formatMs } from "../format.ts";
import { Dialog, DialogEnd } from "../parts/dialog.tsx";
import { Prose } from "../parts/prose.tsx";
import { Status } from "../parts/status.tsx";

/** How long hosts are waited for, ms: hosts that have not confirmed by then are named, with the reason. */
export const waitMs = 10_000;

export type ConfirmationLine = MoveLine | Static<typeof EvacuationLine>;

export function Confirmations(props: {
  readonly title: string;
  readonly lines: readonly ConfirmationLine[];
  readonly onClose: () => void;
  readonly children?: ComponentChildren;
}) {
  const { title, lines, onClose, children } = props;
  const of = lines.reduce((found, line) => line.of ?? found, 0);
  const confirmed = lines.reduce((found, line) => ("confirmed" in line ? line.confirmed : found), 0);
  const result = lines.find((line) => line.type === "result");
  return (
    <Dialog title={title} onDismiss={onClose}>
      <div class="move-progress">
        {children}
        <progress max={Math.max(1, of)} value={of === 0 ? 1 : confirmed} aria-label="Hosts that have confirmed" />
        <p role="status">
          {confirmed} of {of} hosts have confirmed
          {result && result.slowestMs !== null && `, the slowest after ${formatMs(result.slowestMs)}`}
        </p>
        <ul class="confirmations">
          {lines.map((line) =>
            line.type === "confirmed" ? (
              <li key={line.host}>
                <Status tone="good">confirmed</Status> <span>{line.host}</span>{" "}
                <span class="number">{formatMs(line.ms)}</span>
              </li>
            ) : null,
          )}
          {result?.remembered?.map((host) => (
            <li key={host}>
              <Status tone="wait">disconnected</Status> <span>{host}</span>{" "}
              <span class="none">has the former place in memory</span>
            </li>
          ))}
          {result?.unconfirmed.map(({ host, why }) => (
            <li key={host}>
              <Status tone="bad">unconfirmed</Status> <span>{host}</span>{" "}
              <bdi class="none">
                <Prose text={why} />
              </bdi>
            </li>
          ))}
        </ul>
      </div>
      <DialogEnd onClose={onClose} />
    </Dialog>
  );
}
