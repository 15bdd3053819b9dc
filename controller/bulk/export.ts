// An export: the inventory at one revision as lines, in an order that can be imported. No writer waits for the reader: what
// changes during the export is kept for it.
import { Slices } from "../../common/cooperative.ts";
import type { Revision } from "../../schema/address/index.ts";
import type { Host, Network, Vm } from "../../schema/rest/index.ts";
import type { InventoryView } from "../auth/view.ts";
import { type ExportLine, lineOf } from "./resource-line.ts";

/** Characters that are written to the socket at once. */
const chunkSize = 32 * 1024;

/** @param view of a pinned inventory */
export function exportLines(view: InventoryView, at: { revision: Revision; epoch: string }): AsyncGenerator<string> {
  const head: ExportLine = { kind: "export", version: 1, ...at };
  return inChunks(linesOf(head, { networks: view.networks(), hosts: view.hosts(), vms: view.vms() }));
}

interface Exported {
  readonly networks: readonly Network[];
  readonly hosts: readonly Host[];
  /** Undefined in place of resources that the caller may not see. */
  readonly vms: Iterable<Vm | undefined>;
}

/** A line may be empty. */
function* linesOf(head: ExportLine, { networks, hosts, vms }: Exported): Generator<string> {
  yield `${JSON.stringify(head)}\n`;
  for (const network of networks) yield lineOf("network", network);
  for (const host of hosts) yield lineOf("host", host);
  for (const vm of vms) yield vm ? lineOf("vm", vm) : "";
}

/** Small strings put together, one write for many lines; others have their turn in between. */
async function* inChunks(texts: Iterable<string>): AsyncGenerator<string> {
  const slices = new Slices();
  let chunk = "";
  for (const text of texts) {
    chunk += text;
    if (chunk.length >= chunkSize) {
      yield chunk;
      chunk = "";
    }
    if (slices.over) await slices.next();
  }
  if (chunk !== "") yield chunk;
}
