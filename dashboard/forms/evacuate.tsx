import { useState } from "preact/hooks";
import type { EvacuationLine, EvacuationView } from "../../schema/rest/index.ts";
import type { Static } from "../../schema/typebox.ts";
import { request, requestLines } from "../api.ts";
import { plural } from "../format.ts";
import type { Host } from "../parts/rows.tsx";
import { Confirmations, waitMs } from "./confirmations.tsx";
import { Field, Form, type Values } from "./form.tsx";
import { words } from "./text.ts";

type Line = Static<typeof EvacuationLine>;

interface Plan {
  readonly to: readonly string[];
  readonly moved: EvacuationView["moved"];
}

/** First the plan, then all VMs in one revision, then which hosts have confirmed. */
export function Evacuate({ host, onClose }: { readonly host: Host; readonly onClose: () => void }) {
  const [plan, setPlan] = useState<Plan>();
  const [lines, setLines] = useState<readonly Line[]>([]);
  const path = `/v1/hosts/${encodeURIComponent(host.name)}/evacuate`;
  if (lines.length > 0) {
    return (
      <Confirmations title={`${plural(plan?.moved.length ?? 0, "VM")} moved`} lines={lines} onClose={onClose}>
        <p>All are registered elsewhere in one revision; {host.name} has none of them any more.</p>
      </Confirmations>
    );
  }
  if (plan) {
    const send = async () => {
      const body = { to: plan.to, wait: true, timeoutMs: waitMs };
      await requestLines<Line>(path, body, `"${host.revision}"`, (line) => setLines((before) => [...before, line]));
      return "stay" as const;
    };
    return <Confirm key="plan" host={host} plan={plan} send={send} onClose={onClose} />;
  }
  const show = async (values: Values) => {
    const to = words(values["/to"] ?? "");
    const { body } = await request<EvacuationView>("POST", `${path}?dryRun=true`, { body: { to } });
    setPlan({ to, moved: body.moved });
    return "stay" as const;
  };
  return (
    <Form
      title={`Evacuate host ${host.name}`}
      submit="Show the plan"
      initial={{ "/to": "" }}
      send={show}
      onClose={onClose}
    >
      {(form) => (
        <>
          <p>Registers all its VMs on other hosts, in one revision. Nothing is changed until you have seen the plan.</p>
          <Field
            form={form}
            pointer="/to"
            label="To these hosts"
            suggest="hosts"
            help="Divided by blanks. Each VM goes to the one with the fewest VMs at that point"
          />
        </>
      )}
    </Form>
  );
}

function Confirm(props: {
  readonly host: Host;
  readonly plan: Plan;
  readonly send: () => Promise<"stay">;
  readonly onClose: () => void;
}) {
  const { host, plan, send, onClose } = props;
  const count = plan.moved.length;
  if (count === 0) {
    return (
      <Form
        title={`Evacuate host ${host.name}`}
        submit="Done"
        initial={{}}
        send={async () => undefined}
        onClose={onClose}
      >
        {() => <p>It has no VMs: there is nothing to move.</p>}
      </Form>
    );
  }
  return (
    <Form
      title={`Move ${plural(count, "VM")} off ${host.name}?`}
      submit={`Move ${plural(count, "VM")}`}
      isFinal
      initial={{}}
      send={send}
      onClose={onClose}
    >
      {() => (
        <>
          <p>
            This moves the addresses, not the VMs: a VM that still runs on <strong>{host.name}</strong> is cut off from
            its network until it runs on its new host. Live migrations in progress are cancelled.
          </p>
          <ul class="plan" aria-label="Plan">
            {plan.moved.map(({ vm, to }) => (
              <li key={vm}>
                {vm} → {to}
              </li>
            ))}
          </ul>
        </>
      )}
    </Form>
  );
}
