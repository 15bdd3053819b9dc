// The result of `broadcast` for people. Pure.
import { table } from "../table.ts";
import type { BroadcastResult } from "./bench.ts";

const names = { nearmiss: "broadcast: replicate", flooding: "head-end flooding" } as const;

export function reportBroadcast({ rows, missed }: BroadcastResult): string {
  const whole = (count: number): string => count.toLocaleString("en");
  const lines = rows.map(({ side, hosts, frames, toMember, toOthers, received, usPerFrame }) => [
    names[side],
    whole(hosts),
    whole(frames),
    whole(received),
    whole(toMember),
    whole(toOthers),
    `${usPerFrame.toFixed(1)} µs`,
  ]);
  const head = [
    "",
    "hosts",
    "broadcasts",
    "received",
    "copies to the member",
    "to hosts without one",
    "CPU a broadcast",
  ];
  const text = `Broadcasts of a guest in a network with VMs on two hosts\n\n${table(head, lines)}`;
  return missed.length === 0 ? text : `${text}\n${missed.map((each) => `  Missed: ${each}\n`).join("")}`;
}
