import { VmForm } from "../forms/vm-form.tsx";
import { useConditionChoice } from "../parts/choices.tsx";
import { ListPage } from "../parts/list-page.tsx";
import { hostFilter, labelFilter, networkFilter, vmColumns, vmSearch } from "../parts/rows.tsx";
import { mayWrite } from "../session.ts";

export function VmsPage() {
  return (
    <ListPage
      title="VMs"
      plural="vms"
      kinds={["vm"]}
      columns={vmColumns}
      filters={[vmSearch, networkFilter, hostFilter, labelFilter("tier=web,!retired")]}
      noun="VM"
      note="The network's inventory: creating or deleting a VM here makes, starts and stops none."
      choices={[useConditionChoice(({ vm }) => vm !== undefined)]}
      everyMs={5_000}
      create={mayWrite.value ? { title: "Create VM", form: (close) => <VmForm onClose={close} /> } : undefined}
      empty={{
        title: "No VM is registered",
        help: mayWrite.value
          ? "Create a network and a host first, then the VM."
          : "Those that you may see appear here.",
      }}
    />
  );
}
