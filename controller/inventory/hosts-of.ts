import type { Vm } from "../../schema/rest/index.ts";

/** Where the VM's networks have to be: where it runs, and where it is about to. */
export function hostsOf({ host, preparedHost }: Pick<Vm, "host" | "preparedHost">): string[] {
  return preparedHost === undefined ? [host] : [host, preparedHost];
}
