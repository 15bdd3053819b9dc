import { request } from "../api.ts";
import { Icon } from "../parts/icon.tsx";
import { notice } from "../parts/notices.tsx";
import type { Vm } from "../parts/rows.tsx";
import { goTo } from "../router.ts";
import { Check, Field, Form, type FormModel, notesHelp, type Values } from "./form.tsx";
import { formatLabels, given, parseLabels, words } from "./text.ts";

/** What an interface's field for addresses says where it is to have none. */
const none = "none";
const interfaceFields = ["name", "network", "mac", "ips", "port", "router"] as const;

export function VmForm({ vm, onClose }: { readonly vm?: Vm; readonly onClose: () => void }) {
  const send = async (values: Values) => {
    const name = values["/name"]?.trim() ?? "";
    const body = bodyOf(values);
    if (vm) {
      await request("PUT", `/v1/vms/${vm.name}`, { body, ifMatch: `"${vm.revision}"` });
      notice(`VM ${vm.name} is changed`);
    } else {
      await request("POST", "/v1/vms", { body: { name, ...body } });
      notice(`VM ${name} is created`);
      goTo(["vms", name]);
    }
    return undefined;
  };
  return (
    <Form
      title={vm ? `Edit VM ${vm.name}` : "Create VM"}
      submit={vm ? "Save" : "Create"}
      wide
      initial={valuesOf(vm)}
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
              hint="web-1"
              fixed={vm !== undefined}
              help="Cannot change later"
            />
            <Field
              form={form}
              pointer="/host"
              label="Host"
              suggest="hosts"
              fixed={vm !== undefined}
              help={vm ? "Move changes it" : ""}
            />
          </div>
          {Array.from({ length: countOf(form.values) }, (_, i) => (
            <Interface key={String(i)} form={form} index={i} />
          ))}
          <p>
            <button type="button" class="small" onClick={() => form.replace(withInterface(form.values))}>
              <Icon name="plus" />
              Add interface
            </button>
          </p>
          <div class="field-row">
            <Field form={form} pointer="/labels" label="Labels" lines hint="tier=web" help={notesHelp} />
            <Field form={form} pointer="/description" label="Description" lines />
          </div>
        </>
      )}
    </Form>
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
      </div>
      <div class="field-row">
        <Field form={form} pointer={at("mac")} label="MAC" help="Empty: one is assigned" />
        <Field form={form} pointer={at("ips")} label="IP addresses" help={`Empty: assigned; "${none}": none`} />
      </div>
      <div class="interface-end">
        <Check form={form} pointer={at("router")} label="The VM routes" />
        <button type="button" class="small quiet" onClick={() => form.replace(withoutInterface(form.values, index))}>
          Remove interface {index + 1}
        </button>
      </div>
    </fieldset>
  );
}

function valuesOf(vm: Vm | undefined): Values {
  const interfaces = (vm?.interfaces ?? [{ name: "", network: "", mac: "", ips: [] as string[] }]).map((each) => ({
    ...each,
    ips: vm && each.ips.length === 0 ? none : each.ips.join(", "),
  }));
  const fields = interfaces.flatMap((each, i) =>
    interfaceFields.map((field) => {
      const value = (each as Readonly<Record<string, unknown>>)[field];
      return [`/interfaces/${i}/${field}`, value === undefined ? "" : String(value)];
    }),
  );
  return {
    "/name": vm?.name ?? "",
    "/host": vm?.host ?? "",
    "/labels": formatLabels(vm?.labels ?? {}),
    "/description": vm?.description ?? "",
    ...Object.fromEntries(fields),
  };
}

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

function bodyOf(values: Values): object {
  const text = (pointer: string) => values[pointer]?.trim() ?? "";
  const interfaces = Array.from({ length: countOf(values) }, (_, i) => {
    const at = (field: (typeof interfaceFields)[number]) => text(`/interfaces/${i}/${field}`);
    const ips = at("ips") === none ? [] : at("ips") === "" ? undefined : words(at("ips"));
    const router = at("router") === "true" ? true : undefined;
    return { network: at("network"), ...given({ name: at("name"), mac: at("mac"), port: at("port"), ips, router }) };
  });
  const labels = parseLabels(text("/labels"));
  return { host: text("/host"), interfaces, labels, description: text("/description") };
}
