import type { Store, StoredState } from "../../controller/store/store.ts";
import type { Vm } from "../../schema/rest/index.ts";

/** All that is stored, at once. */
export async function loadAll(store: Store): Promise<StoredState & { readonly vms: readonly Vm[] }> {
  const vms: Vm[] = [];
  const { networks, hosts, ...rest } = await store.load((vm) => vms.push(vm));
  return { networks, hosts, vms, ...rest };
}
