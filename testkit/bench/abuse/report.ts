// The result of `abuse` for people. Pure.
import { formatMs, formatRatio, formatShare, table } from "../table.ts";
import type { AbuseResult, ControllerAttackResult, GuestAttackResult } from "./bench.ts";
import type { Cpu } from "./controller-attack.ts";
import { operations, ratioOf } from "./verdict.ts";

/** Of the machine: the bench's own process and the kernel use less than this. */
const maxOthersShare = 0.15;

export function reportAbuse(result: AbuseResult): string {
  const { rounds, turn, cpus, attacks } = result;
  return [
    `\n${rounds} ${rounds === 1 ? "turn" : "turns"} of ${turn} ms each: in peace, control, attacked. CPUs: attacked ${cpus.attacked}, attackers ${cpus.attackers}, honest ${cpus.honest}\n`,
    ...attacks.map((attack) => (attack.on === "controller" ? reportOnController(attack) : reportOnHost(attack))),
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
    `  CPU seconds of controller / discard / attackers / honest / all others: peace ${formatCpu(cpu.peace)}, control ${formatCpu(cpu.control)}, attacked ${formatCpu(cpu.attacked)}\n`,
    `  memory ${rssPeaceMib} MiB in peace, ${rssPeakMib} MiB attacked; back to peace ${backMs === null ? "never" : backMs === 0 ? "at once" : `after ${formatMs(backMs)}`}\n`,
    attack.othersShare > maxOthersShare
      ? `  other processes took ${formatShare(attack.othersShare, 1)} of the machine: repeat when it is quiet\n`
      : "",
    `  attackers, control: ${formatTally(tally.control)}; attacked: ${formatTally(tally.attacked)}\n`,
    verdict(attack.faults),
  ].join("");
}

function reportOnHost(attack: GuestAttackResult): string {
  const {
    name,
    peace,
    framesPerSecond,
    copies,
    maxCopies,
    agentCpuSeconds,
    attackerCpuSeconds,
    rssPeaceMib,
    rssPeakMib,
  } = attack;
  const rows = (["peace", "during", "after"] as const).map((phase) => {
    const { trials, medianMs, p99Ms, maxMs, retried } = attack[phase];
    const ratio = formatRatio(medianMs / peace.medianMs);
    return [phase, String(trials), formatMs(medianMs), formatMs(p99Ms), formatMs(maxMs), String(retried), ratio];
  });
  const head = ["first packets of others", "samples", "median", "p99", "max", "lost", "median : peace"];
  return [
    `\n${name}: ${framesPerSecond.toLocaleString("en")} frames/s\n\n${table(head, rows)}`,
    `  copies to the other host ${copies.toLocaleString("en")}, at most ${maxCopies.toLocaleString("en")}\n`,
    `  CPU seconds  agent ${agentCpuSeconds.toFixed(1)}, attacker ${attackerCpuSeconds.toFixed(1)}\n`,
    `  agent's memory ${rssPeaceMib} MiB in peace, ${rssPeakMib} MiB at most from then on\n`,
    verdict(attack.faults),
  ].join("");
}

function formatCpu({ controller, discard, attackers, honest, others }: Cpu): string {
  return [controller, discard, attackers, honest, others].map((seconds) => seconds.toFixed(1)).join(" / ");
}

function formatTally(tally: Readonly<Record<string, number>>): string {
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
