import { useState } from "preact/hooks";
import type { MoveLine } from "../../schema/rest/index.ts";
import { requestLines } from "../api.ts";
import type { Vm } from "../parts/rows.tsx";
import { Confirmations, waitMs } from "./confirmations.tsx";
import { Field, Form, type Values } from "./form.tsx";
import { given } from "./text.ts";

interface Progress {
  readonly to: string;
  readonly lines: readonly MoveLine[];
}

/** Moves to another host, and then shows which hosts have confirmed. */
export function Move({ vm, onClose }: { readonly vm: Vm; readonly onClose: () => void }) {
  const [progress, setProgress] = useState<Progress>();
  if (progress) {
    return <Confirmations title={`VM ${vm.name} is on ${progress.to} now`} lines={progress.lines} onClose={onClose} />;
  }
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
            knows it is notified at once. This moves the addresses, not the VM.
          </p>
          <Field form={form} pointer="/host" label="New host" suggest="hosts" />
        </>
      )}
    </Form>
  );
}
