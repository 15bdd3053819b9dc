import { useState } from "preact/hooks";
import type { MoveLine } from "../../schema/rest/index.ts";
import { requestLines } from "../api.ts";
import { formatMs } from "../format.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Prose } from "../parts/prose.tsx";
import type { Vm } from "../parts/rows.tsx";
import { Status } from "../parts/status.tsx";
import { Field, Form, type Values } from "./form.tsx";
import { given } from "./text.ts";

/** How long hosts are waited for, ms: hosts that have not confirmed by then are named, with the reason. */
const waitMs = 10_000;

interface Progress {
  readonly to: string;
  readonly lines: readonly MoveLine[];
}

/** Moves to another host, and then shows which hosts have confirmed. */
export function Move({ vm, onClose }: { readonly vm: Vm; readonly onClose: () => void }) {
  const [progress, setProgress] = useState<Progress>();
  if (progress) return <Following vm={vm} progress={progress} onClose={onClose} />;
  const send = async (values: Values) => {
    const host = values["/host"]?.trim() ?? "";
    const body = given({ host, wait: true, timeoutMs: waitMs });
    const take = (line: MoveLine) => setProgress((before) => ({ to: host, lines: [...(before?.lines ?? []), line] }));
    await requestLines<MoveLine>(`/v1/vms/${vm.name}/move`, body, `"${vm.revision}"`, take);
    return "stay" as const;
  };
  return (
    <Form title={`Move VM ${vm.name}`} submit="Move" initial={{ "/host": "" }} send={send} onClose={onClose}>
      {(form) => (
        <>
          <p>
            It is registered on <strong>{vm.host}</strong>. Choose the host that it runs on from now on: every host that
            knows it is notified at once.
          </p>
          <Field form={form} pointer="/host" label="New host" suggest="hosts" />
        </>
      )}
    </Form>
  );
}

function Following(props: { readonly vm: Vm; readonly progress: Progress; readonly onClose: () => void }) {
  const { vm, progress, onClose } = props;
  const { to, lines } = progress;
  const of = lines.reduce((found, line) => line.of ?? found, 0);
  const confirmed = lines.reduce((found, line) => ("confirmed" in line ? line.confirmed : found), 0);
  const result = lines.find((line) => line.type === "result");
  return (
    <Dialog title={`VM ${vm.name} is on ${to} now`} onClose={onClose}>
      <div class="move-progress">
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
      <div class="form-end">
        <button type="button" class="primary" onClick={onClose}>
          Done
        </button>
      </div>
    </Dialog>
  );
}
