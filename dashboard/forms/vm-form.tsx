import { Icon } from "../parts/icon.tsx";
import type { Vm } from "../parts/rows.tsx";
import { Check, Field, type FormModel, type Values } from "./form.tsx";
import { type Read, ResourceForm, type Wording } from "./resource-form.tsx";
import { given, words } from "./text.ts";

const wording: Wording = {
  plural: "vms",
  noun: "VM",
  create: "Create",
  created: "created",
  nameHint: "web-1",
  nameHelp: "Cannot change later",
  labelsHint: "tier=web",
};
/** The text of an interface's address field if it has no addresses. */
const none = "none";
const interfaceFields = ["name", "network", "mac", "ips", "port", "parent", "router", "allowedAddresses"] as const;

export function VmForm({ vm, onClose }: { readonly vm?: Vm; readonly onClose: () => void }) {
  return (
    <ResourceForm
      wording={wording}
      of={vm}
      fields={fieldsOf(vm)}
      bodyOf={bodyOf}
      first={(form) => (
        <Field
          form={form}
          pointer="/host"
          label="Host"
          suggest="hosts"
          fixed={vm !== undefined}
          help={vm ? "Move changes it" : "Where it runs. Registering starts no VM"}
        />
      )}
      onClose={onClose}
    >
      {(form) => (
        <>
          {Array.from({ length: countOf(form.values) }, (_, i) => (
            <Interface key={String(i)} form={form} index={i} />
          ))}
          <p>
            <button type="button" class="small" onClick={() => form.replace(withInterface(form.values))}>
              <Icon name="plus" />
              Add interface
            </button>
          </p>
        </>
      )}
    </ResourceForm>
  );
}

function Interface({ form, index }: { readonly form: FormModel; readonly index: number }) {
  const at = (field: string) => `/interfaces/${index}/${field}`;
  return (
    <fieldset class="interface">
      <legend>Interface {index + 1}</legend>
      <div class="field-row">
        <Field form={form} pointer={at("network")} label="Network" suggest="networks" />
        <Field form={form} pointer={at("name")} label="Name" hint={`eth${index}`} />
        <Field form={form} pointer={at("port")} label="Port on the host" hint="tap0" />
        <Field
          form={form}
          pointer={at("parent")}
          label="Nested in"
          hint="web-1/eth0"
          help="Instead of a port: the interface whose port it uses"
        />
      </div>
      <div class="field-row">
        <Field form={form} pointer={at("mac")} label="MAC" help="Empty: one is assigned" />
        <Field
          form={form}
          pointer={at("ips")}
          label="IP addresses"
          help={`Empty: assigned. "${none}": the interface has none`}
        />
      </div>
      <Field
        form={form}
        pointer={at("allowedAddresses")}
        label="Addresses that it may take"
        hint="10.20.1.100"
        help="Shared with other interfaces: the guest that announces one has it. Also prefixes that the VM routes"
      />
      <div class="interface-end">
        <Check form={form} pointer={at("router")} label="The VM is a router" />
        <button
          type="button"
          class="small quiet"
          aria-label={`Remove interface ${index + 1}`}
          onClick={() => form.replace(withoutInterface(form.values, index))}
        >
          Remove
        </button>
      </div>
    </fieldset>
  );
}

function fieldsOf(vm: Vm | undefined): Values {
  const interfaces = (vm?.interfaces ?? [{ name: "", network: "", mac: "", ips: [] as string[] }]).map((each) => ({
    ...each,
    ips: vm && each.ips.length === 0 ? none : each.ips.join(", "),
    allowedAddresses: allowedOf(each).join(", "),
  }));
  const fields = interfaces.flatMap((each, i) =>
    interfaceFields.map((field) => {
      const value = (each as Readonly<Record<string, unknown>>)[field];
      return [`/interfaces/${i}/${field}`, value === undefined ? "" : String(value)];
    }),
  );
  return { "/host": vm?.host ?? "", ...Object.fromEntries(fields) };
}

const allowedOf = (each: Partial<Vm["interfaces"][number]>): string[] =>
  (each.allowedAddresses ?? []).map(({ ip }) => ip);

function countOf(values: Values): number {
  return Object.keys(values).filter((pointer) => /^\/interfaces\/\d+\/network$/.test(pointer)).length;
}

function withInterface(values: Values): Values {
  const index = countOf(values);
  return { ...values, ...Object.fromEntries(interfaceFields.map((field) => [`/interfaces/${index}/${field}`, ""])) };
}

/** Those behind it move up. */
function withoutInterface(values: Values, gone: number): Values {
  return Object.fromEntries(
    Object.entries(values).flatMap(([pointer, value]) => {
      const [, digits, field] = /^\/interfaces\/(\d+)\/(\w+)$/.exec(pointer) ?? [];
      if (digits === undefined) return [[pointer, value]];
      const index = Number(digits);
      return index === gone ? [] : [[`/interfaces/${index > gone ? index - 1 : index}/${field}`, value]];
    }),
  );
}

function bodyOf(read: Read, values: Values): object {
  const interfaces = Array.from({ length: countOf(values) }, (_, i) => {
    const at = (field: (typeof interfaceFields)[number]) => read(`/interfaces/${i}/${field}`);
    const ips = at("ips") === none ? [] : at("ips") === "" ? undefined : words(at("ips"));
    const router = at("router") === "true" ? true : undefined;
    const allowed = words(at("allowedAddresses"));
    return given({
      network: at("network"),
      name: at("name"),
      mac: at("mac"),
      port: at("port"),
      parent: at("parent"),
      ips,
      router,
      allowedAddresses: allowed.length === 0 ? undefined : allowed.map((ip) => ({ ip })),
    });
  });
  return { host: read("/host"), interfaces };
}
