// The numbers of a run, as one object and as a table.
import type { Lab } from "../lab/lab.ts";
import { median } from "../statistics.ts";
import { networks } from "./cast.ts";
import type { Expectation } from "./checks.ts";
import type { MoveResult, Stage } from "./stage.ts";
import { count, formatMs, type Story } from "./story.ts";

export interface Summary {
  readonly ok: boolean;
  readonly durationMs: number;
  readonly misses: { readonly total: number; readonly l3miss: number; readonly l2miss: number };
  /** From the kernel's miss to the entries in the kernel. */
  readonly answers: { readonly total: number; readonly medianMs: number | null; readonly slowestMs: number | null };
  /** Misses for unregistered addresses. */
  readonly unknown: number;
  /** In the kernels of all hosts at the end. */
  readonly entries: {
    readonly total: number;
    readonly neighbours: number;
    readonly tunnel: number;
    readonly bridge: number;
  };
  /** Of conversations that ought to work. */
  readonly packets: { readonly sent: number; readonly received: number; readonly lost: number };
  readonly move: MoveResult | null;
  readonly expectations: readonly Expectation[];
  /** What ended the story early. */
  readonly error?: string;
}

export async function summarize(stage: Stage, startMs: number): Promise<Summary> {
  const { misses } = stage.watch;
  const latencies = misses.flatMap(({ totalMs }) => totalMs ?? []).sort((a, b) => a - b);
  const { sent, received } = stage.packets;
  return {
    ok: stage.checks.failures().length === 0,
    durationMs: Math.round(performance.now() - startMs),
    misses: {
      total: misses.length,
      l3miss: misses.filter(({ kind }) => kind === "l3miss").length,
      l2miss: misses.filter(({ kind }) => kind === "l2miss").length,
    },
    answers: {
      total: latencies.length,
      medianMs: latencies.length > 0 ? median(latencies) : null,
      slowestMs: latencies.at(-1) ?? null,
    },
    unknown: misses.length - latencies.length,
    entries: await countEntries(stage.lab),
    packets: { sent, received, lost: sent - received },
    move: stage.move ?? null,
    expectations: stage.checks.all,
  };
}

async function countEntries(lab: Lab): Promise<Summary["entries"]> {
  let neighbours = 0;
  let tunnel = 0;
  let bridge = 0;
  for (const host of lab.hosts) {
    const devices = networks.map(({ vni }) => `nmv${vni}`).filter((device) => host.interfaces().includes(device));
    for (const device of devices) {
      const lines = (text: string) => text.split("\n");
      const neigh = lines(await host.exec(["ip", "neigh", "show", "dev", device]));
      const fdb = lines(await host.exec(["bridge", "fdb", "show", "dev", device]));
      neighbours += neigh.filter((line) => line.includes("lladdr")).length;
      tunnel += fdb.filter((line) => line.includes(" dst ")).length;
      bridge += fdb.filter((line) => line.includes("master") && line.includes("extern_learn")).length;
    }
  }
  return { total: neighbours + tunnel + bridge, neighbours, tunnel, bridge };
}

export function tellSummary(story: Story, summary: Summary): void {
  const { misses, answers, unknown, entries, packets, move, expectations } = summary;
  story.title("Summary");
  story.blank();
  story.row(
    "misses",
    String(misses.total),
    `questions of the kernels: ${misses.l3miss} l3miss, ${misses.l2miss} l2miss`,
  );
  const { medianMs, slowestMs } = answers;
  const speed =
    medianMs === null || slowestMs === null ? "" : `median ${formatMs(medianMs)}, slowest ${formatMs(slowestMs)}`;
  story.row("answers", String(answers.total), `from miss to kernel entry: ${speed}`);
  story.row("unknown", String(unknown), "addresses that are not registered in that network");
  const { neighbours, tunnel, bridge } = entries;
  story.row(
    "entries",
    String(entries.total),
    `in the kernels now: ${neighbours} neighbour, ${tunnel} tunnel, ${bridge} bridge`,
  );
  const moved = move ? `, ${move.lost} of them during the move` : "";
  story.row(
    "packets",
    String(packets.sent),
    `${count(packets.received, "packet")} answered, ${packets.lost} lost${moved}`,
  );
  story.row("duration", `${(summary.durationMs / 1_000).toFixed(1)} s`, "");
  story.blank();
  const failures = expectations.filter(({ held }) => !held);
  if (summary.error !== undefined) story.mark(false, `the story ended early: ${summary.error}`);
  for (const { what, seen } of failures) story.mark(false, `${what}: ${seen}`);
  if (summary.ok) story.mark(true, `All ${expectations.length} expectations were met.`);
  else story.mark(false, `${failures.length} of ${expectations.length} expectations failed.`);
}
