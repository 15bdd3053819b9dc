import { request } from "../api.ts";
import { notice } from "../parts/notices.tsx";
import { goTo } from "../router.ts";
import { Form } from "./form.tsx";

const consequences = {
  vms: "Every host that knows its addresses is notified at once and removes them from its kernel. Its addresses are not reassigned during the network's quarantine.",
  hosts: "Its agent is disconnected. A host with VMs is not deleted.",
  networks: "A network with VMs in it is not deleted.",
} as const;

export function Remove(props: {
  readonly plural: keyof typeof consequences;
  readonly noun: string;
  readonly of: { readonly name: string; readonly revision: number };
  readonly onClose: () => void;
}) {
  const { plural, noun, of, onClose } = props;
  const send = async () => {
    await request("DELETE", `/v1/${plural}/${of.name}`, { ifMatch: `"${of.revision}"` });
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
      {() => <p>{consequences[plural]}</p>}
    </Form>
  );
}
