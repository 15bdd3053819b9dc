// An export: the inventory at one revision as lines, in an order that imports. What is held meanwhile is a list of
// references to the resources as they were; nobody waits for the reader.
import type { Revision } from "../../schema/index.ts";
import type { InventoryView } from "../auth/view.ts";
import type { Resources } from "../inventory/inventory.ts";
import { Slices } from "../slices.ts";
import { type ExportLine, lineOf } from "./resource-line.ts";

/** Characters that go to the socket at once. */
const chunkSize = 32 * 1024;

/** Looks at `view` now, in one turn of the event loop, and never again. */
export function exportLines(view: InventoryView, at: { revision: Revision; epoch: string }): AsyncGenerator<string> {
  const resources: Resources = {
    networks: [...view.networksFrom("")],
    hosts: [...view.hostsFrom("")],
    vms: [...view.vmsFrom("")],
  };
  const head: ExportLine = { kind: "export", version: 1, ...at };
  return inChunks(linesOf(head, resources));
}

function* linesOf(head: ExportLine, { networks, hosts, vms }: Resources): Generator<string> {
  yield `${JSON.stringify(head)}\n`;
  for (const network of networks) yield lineOf("network", network);
  for (const host of hosts) yield lineOf("host", host);
  for (const vm of vms) yield lineOf("vm", vm);
}

/** Small strings put together, one write for many lines; between two writes others have their turn. */
export async function* inChunks(texts: Iterable<string>): AsyncGenerator<string> {
  const slices = new Slices();
  let chunk = "";
  for (const text of texts) {
    chunk += text;
    if (chunk.length < chunkSize) continue;
    yield chunk;
    chunk = "";
    if (slices.over) await slices.next();
  }
  if (chunk !== "") yield chunk;
}
