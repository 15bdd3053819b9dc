// The pure parts of controller and agent, and the fast tests that import them.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

export interface Part {
  readonly name: string;
  /** A folder of sources, or one file. */
  readonly path: string;
  readonly tests: readonly string[];
}

const unit = (...names: string[]) => names.map((name) => `test/unit/${name}.test.ts`);
const property = (...names: string[]) => names.map((name) => `test/property/${name}.test.ts`);

export const parts: readonly Part[] = [
  {
    name: "misses",
    path: "node-agent/misses",
    tests: [
      ...unit("resolver", "scanners", "crowds", "budget", "waiting", "miss-times"),
      ...property("bounded-memory"),
    ],
  },
  {
    name: "tables",
    path: "node-agent/tables",
    tests: [
      ...unit(
        "plan",
        "held-answers",
        "pins",
        "port-claims",
        "local-guests",
        "entry-reconciler",
        "eviction",
        "resolver",
        "replication",
      ),
      ...property("ageing", "held", "comparison", "bounded-memory", "replica-table"),
    ],
  },
  {
    name: "codec",
    path: "node-agent/kernel/codec",
    tests: unit("netlink-codec", "link-codec", "neighbour-codec", "packet-codec", "filter-codecs"),
  },
  {
    name: "inventory",
    path: "controller/inventory",
    tests: [
      ...unit(
        "inventory-decide",
        "inventory-refusals",
        "inventory-ports",
        "inventory-scope",
        "inventory-addresses",
        "inventory-hosts",
        "inventory-search",
        "inventory-binding-changes",
        "vm-moves",
        "change-sets",
        "bindings",
        "list-page",
        "pending",
      ),
      ...property(
        "assigned-addresses",
        "inventory",
        "inventory-push",
        "offset-set",
        "packed-inventory",
        "search",
        "staged-decision",
      ),
    ],
  },
  {
    name: "rows",
    path: "controller/inventory/packed",
    tests: property("packed-parts", "packed-inventory", "filled-inventory"),
  },
  {
    name: "pending",
    path: "controller/write/pending.ts",
    tests: unit("pending"),
  },
  {
    name: "interest",
    path: "controller/agents/interest.ts",
    tests: [...unit("interest", "confirmations"), ...property("interest", "inventory-push", "release")],
  },
];

export interface Source {
  /** From the root of the repository. */
  readonly file: string;
  readonly text: string;
}

/** A folder within a part's folder is a part of its own. */
export function isOf({ path }: Pick<Part, "path">, file: string): boolean {
  return file === path || dirname(file) === path;
}

export function sourcesOf({ path }: Part): Source[] {
  const names = statSync(path).isDirectory() ? readdirSync(path).filter((name) => name.endsWith(".ts")) : [];
  const files = names.length > 0 ? names.map((name) => join(path, name)) : [path];
  return files.sort().map((file) => ({ file, text: readFileSync(file, "utf8") }));
}
