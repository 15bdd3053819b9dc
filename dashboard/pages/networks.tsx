import { NetworkForm } from "../forms/network-form.tsx";
import { ListPage } from "../parts/list-page.tsx";
import { hostFilter, labelFilter, nameSearch, networkColumns } from "../parts/rows.tsx";
import { mayWrite } from "../session.ts";

export function NetworksPage() {
  return (
    <ListPage
      title="Networks"
      plural="networks"
      kinds={["network"]}
      noun="network"
      columns={networkColumns}
      filters={[nameSearch, hostFilter, labelFilter("env=prod")]}
      create={
        mayWrite.value ? { title: "Create network", form: (close) => <NetworkForm onClose={close} /> } : undefined
      }
      empty={{
        title: "There is no network",
        help: mayWrite.value
          ? "Create the first: a name, a VNI and its subnets."
          : "Those that you may see appear here.",
      }}
    />
  );
}
