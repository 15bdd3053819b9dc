import { HostForm } from "../forms/host-form.tsx";
import { stateChoice, useConditionChoice } from "../parts/choices.tsx";
import { ListPage } from "../parts/list-page.tsx";
import { hostColumns, labelFilter, nameSearch, networkFilter } from "../parts/rows.tsx";
import { mayWriteHosts } from "../session.ts";

export function HostsPage() {
  return (
    <ListPage
      title="Hosts"
      plural="hosts"
      kinds={["host", "operational"]}
      columns={hostColumns}
      filters={[nameSearch, networkFilter, labelFilter("rack=r7")]}
      noun="host"
      choices={[stateChoice, useConditionChoice(({ host }) => host !== undefined)]}
      everyMs={5_000}
      create={
        mayWriteHosts.value ? { title: "Register host", form: (close) => <HostForm onClose={close} /> } : undefined
      }
      empty={{
        title: "No host is registered",
        help: mayWriteHosts.value
          ? "Register one, then start its agent there."
          : "Hosts with VMs in your networks appear here.",
      }}
    />
  );
}
