// Dialogs that put a host out, or mark it: each says first what that breaks.
import type { ComponentChildren } from "preact";
import { request } from "../api.ts";
import { notice } from "../parts/notices.tsx";
import type { Host } from "../parts/rows.tsx";
import { Form } from "./form.tsx";

interface Props {
  readonly host: Host;
  readonly onClose: () => void;
}

export function Down({ host, onClose }: Props) {
  const send = async () => {
    await patch(host, { down: true });
    notice(`Host ${host.name} is marked down`);
    return undefined;
  };
  return (
    <Ask title={`Mark host ${host.name} as down?`} submit="Mark down" isFinal send={send} onClose={onClose}>
      {host.connected && (
        <p>
          <strong>Its agent is connected.</strong> The mark is for hosts that are dead or unreachable.
        </p>
      )}
      <p>
        No VM can be placed on it, and moves no longer wait for it: if it still runs, its guests may send to former
        places of VMs. Its own VMs stay registered there: <em>Evacuate</em> moves them.
      </p>
    </Ask>
  );
}

export function Up({ host, onClose }: Props) {
  const send = async () => {
    await patch(host, { down: false });
    notice(`Host ${host.name} is no longer marked down`);
    return undefined;
  };
  return (
    <Ask title={`Is host ${host.name} back?`} submit="Remove the mark" send={send} onClose={onClose}>
      <p>VMs can be placed on it again, and moves wait for its confirmation.</p>
    </Ask>
  );
}

export function Revoke({ host, onClose }: Props) {
  const send = async () => {
    await request("POST", `/v1/hosts/${encodeURIComponent(host.name)}/revoke`);
    notice(`Host ${host.name} is revoked`);
    return undefined;
  };
  return (
    <Ask title={`Revoke host ${host.name}?`} submit="Revoke host" isFinal send={send} onClose={onClose}>
      <p>
        Every certificate and join line of the host is refused from now on, and its agent's session ends at once. This
        cannot be undone: with a new join line the host enrols again, with a new key.
      </p>
      <p>
        Its VMs stay registered and its kernel keeps its entries, but it gets no more changes: its guests lose VMs that
        move from then on. Evacuate it first if it is to go.
      </p>
    </Ask>
  );
}

function Ask(props: {
  readonly title: string;
  readonly submit: string;
  readonly isFinal?: boolean;
  readonly send: () => Promise<undefined>;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}) {
  const { children, isFinal = false, ...form } = props;
  return (
    <Form {...form} isFinal={isFinal} initial={{}}>
      {() => <>{children}</>}
    </Form>
  );
}

async function patch(host: Host, body: object): Promise<void> {
  const path = `/v1/hosts/${encodeURIComponent(host.name)}`;
  await request("PATCH", path, { body, ifMatch: `"${host.revision}"` });
}
