// Queries of the inventory about reported issues, and the meaning of their answers. Pure.
import type { VmView } from "../../schema/rest/index.ts";
import type { Static } from "../../schema/typebox.ts";
import type { StreamEvent } from "./events.ts";

/** A query whether a report about a host still applies. */
export interface Question {
  readonly kind: "registered-here" | "not-registered-here" | "registered-otherwise" | "followed";
  readonly host: string;
  readonly network: string;
  /** MAC, IP or name of a VM. */
  readonly subject: string;
  readonly detail: string;
}

export type Vm = Pick<Static<typeof VmView>, "name" | "host" | "interfaces">;

/** @param vms those that have the address in the network */
export function isAnswered({ kind, host, network, subject, detail }: Question, vms: readonly Vm[]): boolean {
  const inNetwork = vms.flatMap((vm) =>
    vm.interfaces.filter((each) => each.network === network).map(({ mac, ips }) => ({ host: vm.host, mac, ips })),
  );
  const isHere = inNetwork.some((each) => each.host === host && each.mac === subject);
  switch (kind) {
    case "registered-here":
      return isHere;
    case "not-registered-here":
      return !isHere;
    default:
      // The report names the MAC that the address was registered for.
      return !inNetwork.some(({ mac, ips }) => ips.includes(subject) && detail.includes(`registered for ${mac}`));
  }
}

/** Whether the answer may be another behind this event. */
export function bearsOn({ kind, subject }: Question, event: StreamEvent): boolean {
  if (event.type === "nearmiss.operational.host-connected") return kind === "followed";
  if (!event.type.startsWith("nearmiss.vm.")) return false;
  if (kind === "followed") return event.subject === `vms/${subject}`;
  const { before, after } = event.data as Record<"before" | "after", Vm | null>;
  return [before, after].some((vm) => vm?.interfaces.some(({ mac, ips }) => mac === subject || ips.includes(subject)));
}
