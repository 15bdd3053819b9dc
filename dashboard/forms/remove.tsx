import { request, withQuery } from "../api.ts";
import { notice } from "../parts/notices.tsx";
import { goTo } from "../router.ts";
import { Check, Form, type Values } from "./form.tsx";

const consequences = {
  vms: "This takes it out of the network's inventory: a VM that runs is not stopped, and loses its network. Every host that knows its addresses is notified at once and removes them from its kernel. Its addresses are not reassigned during the network's quarantine.",
  hosts:
    "Its agent is disconnected and its certificates are refused. A host with VMs is not deleted: evacuate it first.",
  networks: "A network with VMs in it is not deleted.",
} as const;

export function Remove(props: {
  readonly plural: keyof typeof consequences;
  readonly noun: string;
  readonly of: { readonly name: string; readonly revision: number; readonly down?: boolean };
  readonly onClose: () => void;
}) {
  const { plural, noun, of, onClose } = props;
  const send = async (values: Values) => {
    const path = withQuery(`/v1/${plural}/${of.name}`, { force: values["/force"] });
    await request("DELETE", path, { ifMatch: `"${of.revision}"` });
    notice(`${noun.charAt(0).toUpperCase()}${noun.slice(1)} ${of.name} is deleted`);
    goTo([plural]);
    return undefined;
  };
  return (
    <Form
      title={`Delete ${noun} ${of.name}?`}
      submit={`Delete ${noun}`}
      isFinal
      initial={{}}
      send={send}
      onClose={onClose}
    >
      {(form) => (
        <>
          <p>{consequences[plural]}</p>
          {of.down === true && (
            <Check form={form} pointer="/force" label="Also delete all VMs that are registered on it" />
          )}
        </>
      )}
    </Form>
  );
}
