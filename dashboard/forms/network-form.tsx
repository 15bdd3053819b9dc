import { request } from "../api.ts";
import { notice } from "../parts/notices.tsx";
import type { Network } from "../parts/rows.tsx";
import { goTo } from "../router.ts";
import { Field, Form, notesHelp, type Values } from "./form.tsx";
import { formatLabels, given, numberOf, parseLabels, words } from "./text.ts";

export function NetworkForm({ network, onClose }: { readonly network?: Network; readonly onClose: () => void }) {
  const send = async (values: Values) => {
    const name = values["/name"]?.trim() ?? "";
    const body = bodyOf(values);
    if (network) {
      await request("PUT", `/v1/networks/${network.name}`, { body, ifMatch: `"${network.revision}"` });
      notice(`Network ${network.name} is changed`);
    } else {
      await request("POST", "/v1/networks", { body: { name, ...body } });
      notice(`Network ${name} is created`);
      goTo(["networks", name]);
    }
    return undefined;
  };
  return (
    <Form
      title={network ? `Edit network ${network.name}` : "Create network"}
      submit={network ? "Save" : "Create"}
      wide
      initial={valuesOf(network)}
      send={send}
      onClose={onClose}
    >
      {(form) => (
        <>
          <div class="field-row">
            <Field
              form={form}
              pointer="/name"
              label="Name"
              hint="blue"
              fixed={network !== undefined}
              help="Cannot change later"
            />
            <Field form={form} pointer="/vni" label="VNI" hint="100" help="1 … 16777215" />
            <Field
              form={form}
              pointer="/mtu"
              label="MTU"
              hint="1450"
              help="Bytes; 50 less than the underlay's over IPv4, 70 over IPv6"
            />
          </div>
          <Field form={form} pointer="/subnets" label="Subnets" hint="10.20.1.0/24, fd00:20::/64" />
          <div class="field-row">
            <Field form={form} pointer="/gateways" label="Gateways" help="Empty: the first address of each subnet" />
            <Field
              form={form}
              pointer="/reserved"
              label="Reserved"
              hint="10.20.1.200-10.20.1.254"
              help="Nothing is assigned from here"
            />
            <Field
              form={form}
              pointer="/quarantineSeconds"
              label="Quarantine, s"
              hint="300"
              help="Before an address is assigned again"
            />
          </div>
          <div class="field-row">
            <Field form={form} pointer="/labels" label="Labels" lines hint="env=prod" help={notesHelp} />
            <Field form={form} pointer="/description" label="Description" lines />
          </div>
        </>
      )}
    </Form>
  );
}

function valuesOf(network: Network | undefined): Values {
  return {
    "/name": network?.name ?? "",
    "/vni": String(network?.vni ?? ""),
    "/mtu": String(network?.mtu ?? ""),
    "/subnets": (network?.subnets ?? []).join(", "),
    "/gateways": (network?.gateways ?? []).join(", "),
    "/reserved": (network?.reserved ?? []).join(", "),
    "/quarantineSeconds": String(network?.quarantineSeconds ?? ""),
    "/labels": formatLabels(network?.labels ?? {}),
    "/description": network?.description ?? "",
  };
}

function bodyOf(values: Values): object {
  const text = (pointer: string) => values[pointer]?.trim() ?? "";
  const list = (pointer: string) => (text(pointer) === "" ? undefined : words(text(pointer)));
  return {
    vni: numberOf(text("/vni")),
    subnets: words(text("/subnets")),
    ...given({
      mtu: numberOf(text("/mtu")),
      gateways: list("/gateways"),
      reserved: list("/reserved"),
      quarantineSeconds: numberOf(text("/quarantineSeconds")),
    }),
    labels: parseLabels(text("/labels")),
    description: text("/description"),
  };
}
