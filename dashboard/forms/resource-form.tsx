// What creating and editing hosts, networks and VMs have in common: name, labels, description, and how it is sent.
import type { ComponentChildren } from "preact";
import { request } from "../api.ts";
import { notice } from "../parts/notices.tsx";
import { goTo } from "../router.ts";
import { Field, Form, type FormModel, type Values } from "./form.tsx";
import { formatLabels, given, parseLabels } from "./text.ts";

interface Existing {
  readonly name: string;
  readonly revision: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly description: string;
}

export interface Wording {
  readonly plural: "hosts" | "networks" | "vms";
  readonly noun: string;
  /** For the button, and the report of success. */
  readonly create: string;
  readonly created: string;
  readonly nameHint: string;
  readonly nameHelp: string;
  readonly labelsHint: string;
}

/** Without blanks around it. */
export type Read = (pointer: string) => string;

export function ResourceForm<Resource>(props: {
  readonly wording: Wording;
  /** Absent: it is to be created. */
  readonly of: Existing | undefined;
  /** Beside name, labels and description. */
  readonly fields: Values;
  readonly bodyOf: (read: Read, values: Values) => object;
  /** In the row of the name. */
  readonly first: (form: FormModel) => ComponentChildren;
  readonly children?: (form: FormModel) => ComponentChildren;
  /** What follows on its creation; absent: its page. */
  readonly onCreated?: (resource: Resource) => void;
  readonly onClose: () => void;
}) {
  const { wording, of, fields, bodyOf, first, children, onCreated, onClose } = props;
  const { plural, noun, create, created } = wording;
  const send = async (values: Values) => {
    const read: Read = (pointer) => values[pointer]?.trim() ?? "";
    const body = {
      ...bodyOf(read, values),
      labels: parseLabels(read("/labels")),
      description: read("/description"),
    };
    const name = of?.name ?? read("/name");
    if (of) {
      await request("PUT", `/v1/${plural}/${encodeURIComponent(name)}`, { body, ifMatch: `"${of.revision}"` });
      notice(`${capital(noun)} ${name} is changed`);
    } else {
      // Empty fields are not sent: the API says if they are required.
      const made = await request<Resource>("POST", `/v1/${plural}`, { body: given({ name, ...body }) });
      notice(`${capital(noun)} ${name} is ${created}`);
      if (onCreated) {
        onCreated(made.body);
        return "stay" as const;
      }
      goTo([plural, name]);
    }
    return undefined;
  };
  const initial = {
    "/name": of?.name ?? "",
    ...fields,
    "/labels": formatLabels(of?.labels ?? {}),
    "/description": of?.description ?? "",
  };
  return (
    <Form
      title={of ? `Edit ${noun} ${of.name}` : `${create} ${noun}`}
      submit={of ? "Save" : create}
      wide
      initial={initial}
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
              hint={wording.nameHint}
              fixed={of !== undefined}
              help={wording.nameHelp}
            />
            {first(form)}
          </div>
          {children?.(form)}
          <div class="field-row">
            <Field
              form={form}
              pointer="/labels"
              label="Labels"
              lines
              hint={wording.labelsHint}
              help="One key=value per line"
            />
            <Field form={form} pointer="/description" label="Description" lines />
          </div>
        </>
      )}
    </Form>
  );
}

function capital(noun: string): string {
  return `${noun.charAt(0).toUpperCase()}${noun.slice(1)}`;
}
