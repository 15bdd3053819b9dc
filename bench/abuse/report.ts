// The result of `abuse` for people. Pure.
import { formatMs, formatRatio, table } from "../table.ts";
import type { AbuseResult, ControllerAttackResult } from "./bench.ts";
import type { Cpu } from "./controller-attack.ts";
import { operations, ratioOf } from "./verdict.ts";

export function reportAbuse(result: AbuseResult): string {
  const { rounds, turn, cpus, attacks } = result;
  return [
    `\n${rounds} ${rounds === 1 ? "turn" : "turns"} of ${turn} ms each: in peace, control, attacked. CPUs: attacked ${cpus.attacked}, attackers ${cpus.attackers}, honest ${cpus.honest}\n`,
    ...attacks.map(reportOnController),
    `\n${summary(attacks)}`,
  ].join("");
}

function reportOnController(attack: ControllerAttackResult): string {
  const { name, peace, control, attacked, cpu, rssPeaceMib, rssPeakMib, backMs, tally } = attack;
  const ms = (value: number | undefined) => (value === undefined ? "–" : formatMs(value));
  const rows = operations.map((operation) => [
    operation,
    String(attacked[operation]?.trials ?? 0),
    ms(peace[operation]?.p99Ms),
    ms(control[operation]?.p99Ms),
    ms(attacked[operation]?.medianMs),
    ms(attacked[operation]?.p99Ms),
    ms(attacked[operation]?.maxMs),
    formatRatio(ratioOf(attack, operation)),
  ]);
  const head = ["", "samples", "peace p99", "control p99", "attacked median", "p99", "max", "p99 : control"];
  return [
    `\n${name}\n\n${table(head, rows)}`,
    `  CPU seconds  peace ${told(cpu.peace)}; control ${told(cpu.control)}; attacked ${told(cpu.attacked)}\n`,
    `  memory ${rssPeaceMib} MiB in peace, ${rssPeakMib} MiB attacked; back to peace ${backMs === null ? "never" : backMs === 0 ? "at once" : `after ${formatMs(backMs)}`}\n`,
    `  attackers, control: ${tallied(tally.control)}; attacked: ${tallied(tally.attacked)}\n`,
    verdict(attack.faults),
  ].join("");
}

function told({ controller, discard, attackers, honest }: Cpu): string {
  const [c, d, a, h] = [controller, discard, attackers, honest].map((seconds) => seconds.toFixed(1));
  return `controller ${c}, discard ${d}, attackers ${a}, honest ${h}`;
}

function tallied(tally: Readonly<Record<string, number>>): string {
  const parts = Object.entries(tally).map(([what, count]) => `${what} ${count.toLocaleString("en")}`);
  return parts.join(", ") || "–";
}

function verdict(faults: readonly string[]): string {
  return faults.length === 0 ? "  holds\n" : `  BEYOND  ${faults.join("; ")}\n`;
}

function summary(attacks: AbuseResult["attacks"]): string {
  const beyond = attacks.filter(({ faults }) => faults.length > 0).map(({ name }) => name);
  if (beyond.length === 0) return `  all ${attacks.length} attacks hold\n`;
  return `  ${beyond.length} of ${attacks.length} attacks are beyond a ceiling: ${beyond.join(", ")}\n`;
}
