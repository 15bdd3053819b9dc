import { request } from "../api.ts";
import { notice } from "../parts/notices.tsx";
import type { Host } from "../parts/rows.tsx";
import { goTo } from "../router.ts";
import { Field, Form, notesHelp, type Values } from "./form.tsx";
import { formatLabels, given, numberOf, parseLabels } from "./text.ts";

export function HostForm({ host, onClose }: { readonly host?: Host; readonly onClose: () => void }) {
  const send = async (values: Values) => {
    const name = values["/name"]?.trim() ?? "";
    const body = bodyOf(values);
    if (host) {
      await request("PUT", `/v1/hosts/${host.name}`, { body, ifMatch: `"${host.revision}"` });
      notice(`Host ${host.name} is changed`);
    } else {
      await request("POST", "/v1/hosts", { body: { name, ...body } });
      notice(`Host ${name} is registered`);
      goTo(["hosts", name]);
    }
    return undefined;
  };
  const initial = {
    "/name": host?.name ?? "",
    "/vtep": host?.vtep ?? "",
    "/port": String(host?.port ?? ""),
    "/labels": formatLabels(host?.labels ?? {}),
    "/description": host?.description ?? "",
  };
  return (
    <Form
      title={host ? `Edit host ${host.name}` : "Register host"}
      submit={host ? "Save" : "Register"}
      initial={initial}
      send={send}
      onClose={onClose}
    >
      {(form) => (
        <>
          <Field
            form={form}
            pointer="/name"
            label="Name"
            hint="a"
            fixed={host !== undefined}
            help="As its agent calls it; cannot change later"
          />
          <div class="field-row">
            <Field
              form={form}
              pointer="/vtep"
              label="VTEP"
              hint="192.0.2.1"
              help="Underlay address of its tunnel end"
            />
            <Field form={form} pointer="/port" label="UDP port" hint="4789" />
          </div>
          <Field form={form} pointer="/labels" label="Labels" lines hint="rack=r7" help={notesHelp} />
          <Field form={form} pointer="/description" label="Description" lines />
        </>
      )}
    </Form>
  );
}

function bodyOf(values: Values): object {
  const text = (pointer: string) => values[pointer]?.trim() ?? "";
  return {
    vtep: text("/vtep"),
    ...given({ port: numberOf(text("/port")) }),
    labels: parseLabels(text("/labels")),
    description: text("/description"),
  };
}
