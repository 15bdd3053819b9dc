// The blocks of pages, and which tests run those that are neither ```console tested nor ```sh tested.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

export interface Block {
  /** Behind the fence: `sh`, `console tested on a`. */
  readonly kind: string;
  /** Of the page, from 1. */
  readonly line: number;
  readonly text: string;
}

export function blocksOf(markdown: string): Block[] {
  const blocks: { kind: string; line: number; text: string }[] = [];
  let open: { kind: string; line: number; text: string } | undefined;
  markdown.split("\n").forEach((text, i) => {
    const [, kind] = /^ *```(.*)$/.exec(text) ?? [];
    if (kind === undefined) {
      if (open) open.text += `${text}\n`;
    } else if (open) {
      blocks.push(open);
      open = undefined;
    } else open = { kind: kind.trim(), line: i + 1, text: "" };
  });
  if (open) throw new Error(`the block in line ${open.line} has no end`);
  return blocks;
}

/** The text of a block that a test runs. @param start its first line, or the beginning of that */
export function blockOf(page: string, start: string): string {
  const found = blocksOf(readFileSync(join(root, page), "utf8")).filter(({ text }) => text.startsWith(start));
  if (found.length !== 1) throw new Error(`${page} has ${found.length} blocks that begin with ${start}`);
  return found[0]?.text ?? "";
}

/** Run by test/docs/pages.test.ts, in docs/: blocks for no particular machine. `$NEARMISS_CONTROLLER` is a fresh controller. */
export const pagesOfOneShell = [
  "api.md",
  "apply.md",
  "cli.md",
  "delivery.md",
  "event-stream.md",
  "events.md",
  "import-export.md",
  "knowledge.md",
  "operators.md",
];

/** Run by test/kernel/hands-on.test.ts, in this order: blocks for one of the machines `controller`, `a`, `b` and `c`. */
export const pagesOfMachines = [
  "README.md",
  "docs/operators.md",
  "docs/kernel.md",
  "docs/debugging.md",
  "docs/anti-spoof.md",
  "docs/underlay-filter.md",
  "docs/delivery.md",
  "docs/security.md",
  "docs/backup.md",
  "docs/enrolment.md",
];

/** By its page and its first line. */
export type Otherwise = { readonly by: string } | { readonly because: string };

const shown = "test/docs/shown-scripts.test.ts";
const units = "test/real/units.test.ts";
const moves = "test/docs/moves.test.ts";

export const otherBlocks: Readonly<Record<string, Readonly<Record<string, Otherwise>>>> = {
  "README.md": {
    "sudo npm run demo": { because: "the demo is run by test/kernel/demo.test.ts; the other command is all tests" },
    "npm run setup": {
      because: "set-up on a fresh machine is test/kernel/fresh-machine.test.ts; the link is in each machine",
    },
    "nearmiss vm list --label": { by: shown },
  },
  "CONTRIBUTING.md": {
    "npm run setup": {
      because: "set-up on a fresh machine is test/kernel/fresh-machine.test.ts; the others are all tests, and CI",
    },
  },
  "docs/api.md": { "npx swagger-typescript-api": { by: "test/integration/generated-client.test.ts" } },
  "docs/backup.md": { "nearmiss backup --db": { by: shown } },
  "docs/cli.md": {
    "controller = ": { by: shown },
    "nearmiss completion bash": { by: "test/docs/shells.test.ts" },
  },
  "docs/enrolment.md": { "[Service]": { by: units } },
  "docs/event-stream.md": { "// follow.mjs": { by: shown }, "curl -sN": { by: shown } },
  "docs/faults.md": {
    "npm run fault -- --list": { because: "a run takes minutes: all faults in short are test/kernel/fault.test.ts" },
  },
  "docs/hosts.md": {
    "nearmiss host update a": { by: "test/kernel/changed-hosts.test.ts" },
    "nearmiss agent --vtep": { by: "test/kernel/changed-hosts.test.ts" },
  },
  "docs/moves.md": {
    "NEARMISS=": { by: moves },
    $curl: { by: moves },
    "#!/bin/sh": { by: "test/real/libvirt.test.ts" },
    "migrate()": { by: moves },
  },
  "docs/operators.md": {
    "# /etc/systemd/system/nearmiss-controller.service": { by: units },
    "# /etc/systemd/system/nearmiss-agent.service": { by: units },
    "nearmiss agent --adopt": { by: "test/kernel/adopt.test.ts" },
  },
};
