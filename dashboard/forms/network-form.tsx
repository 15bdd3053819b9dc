import { broadcastModes, knowledgeModes } from "../../schema/plain/index.ts";
import type { Network } from "../parts/rows.tsx";
import { Choice, Field, type FormModel } from "./form.tsx";
import { type Read, ResourceForm, type Wording } from "./resource-form.tsx";
import { given, numberOf, words } from "./text.ts";

const wording: Wording = {
  plural: "networks",
  noun: "network",
  create: "Create",
  created: "created",
  nameHint: "blue",
  nameHelp: "Cannot change later",
  labelsHint: "env=prod",
};

export function NetworkForm({ network, onClose }: { readonly network?: Network; readonly onClose: () => void }) {
  return (
    <ResourceForm
      wording={wording}
      of={network}
      fields={fieldsOf(network)}
      bodyOf={bodyOf}
      first={(form) => (
        <>
          <Field form={form} pointer="/vni" label="VNI" hint="100" help="1 … 16777215" />
          <Field
            form={form}
            pointer="/mtu"
            label="MTU"
            hint="1450"
            help="Bytes: MTU of the underlay minus 50 (IPv6: 70)"
          />
        </>
      )}
      onClose={onClose}
    >
      {(form) => (
        <>
          <Addressing form={form} />
          <Choice
            form={form}
            pointer="/knowledge"
            label="Knowledge"
            help="What hosts have in memory before their guests ask"
            values={knowledgeModes}
          />
          <Choice
            form={form}
            pointer="/broadcast"
            label="Broadcast"
            help="Whether broadcasts are copied to the network's other hosts"
            values={broadcastModes}
          />
        </>
      )}
    </ResourceForm>
  );
}

function Addressing({ form }: { readonly form: FormModel }) {
  return (
    <>
      <Field form={form} pointer="/subnets" label="Subnets" hint="10.20.1.0/24, fd00:20::/64" />
      <div class="field-row">
        <Field form={form} pointer="/gateways" label="Gateways" help="Empty: the first address of each subnet" />
        <Field
          form={form}
          pointer="/reserved"
          label="Reserved"
          hint="10.20.1.200-10.20.1.254"
          help="Never assigned automatically"
        />
        <Field
          form={form}
          pointer="/quarantineSeconds"
          label="Quarantine, s"
          hint="300"
          help="Until a released address is assigned again"
        />
      </div>
    </>
  );
}

function fieldsOf(network: Network | undefined) {
  const list = (values: readonly string[] | undefined) => (values ?? []).join(", ");
  return {
    "/vni": String(network?.vni ?? ""),
    "/mtu": String(network?.mtu ?? ""),
    "/subnets": list(network?.subnets),
    "/gateways": list(network?.gateways),
    "/reserved": list(network?.reserved),
    "/quarantineSeconds": String(network?.quarantineSeconds ?? ""),
    "/knowledge": network?.knowledge ?? "",
    "/broadcast": network?.broadcast ?? "",
  };
}

function bodyOf(read: Read): object {
  const list = (pointer: string) => (read(pointer) === "" ? undefined : words(read(pointer)));
  return {
    ...given({
      vni: numberOf(read("/vni")),
      subnets: list("/subnets"),
      mtu: numberOf(read("/mtu")),
      gateways: list("/gateways"),
      reserved: list("/reserved"),
      quarantineSeconds: numberOf(read("/quarantineSeconds")),
      knowledge: read("/knowledge"),
      broadcast: read("/broadcast"),
    }),
  };
}
