import { useState } from "preact/hooks";
import type { Host } from "../parts/rows.tsx";
import { goTo } from "../router.ts";
import { Field } from "./form.tsx";
import { JoinLine } from "./join.tsx";
import { ResourceForm, type Wording } from "./resource-form.tsx";
import { given, numberOf } from "./text.ts";

const wording: Wording = {
  plural: "hosts",
  noun: "host",
  create: "Register",
  created: "registered",
  nameHint: "a",
  nameHelp: "As its agent calls it; cannot change later",
  labelsHint: "rack=r7",
};

export function HostForm({ host, onClose }: { readonly host?: Host; readonly onClose: () => void }) {
  const [registered, setRegistered] = useState<Host>();
  if (registered) {
    const leave = () => {
      onClose();
      goTo(["hosts", registered.name]);
    };
    return <JoinLine host={registered} title={`Host ${registered.name} is registered`} onClose={leave} />;
  }
  return (
    <ResourceForm
      wording={wording}
      of={host}
      fields={{ "/vtep": host?.vtep ?? "", "/port": String(host?.port ?? "") }}
      bodyOf={(read) => given({ vtep: read("/vtep"), port: numberOf(read("/port")) })}
      first={(form) => (
        <>
          <Field
            form={form}
            pointer="/vtep"
            label="VTEP"
            hint="192.0.2.1"
            help="Underlay address of its tunnel endpoint"
          />
          <Field form={form} pointer="/port" label="UDP port" hint="4789" />
        </>
      )}
      onCreated={setRegistered}
      onClose={onClose}
    />
  );
}
