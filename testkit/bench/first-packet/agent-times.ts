// What the asking agent itself says of the misses that it answered, from its log. Pure.
import { toThousandths } from "../../../common/round.ts";
import type { LogLine } from "../../lab/process.ts";
import { median } from "../../statistics.ts";
import type { Family } from "../addresses.ts";
import type { ModeName } from "../modes/mode.ts";

/** Medians in ms, by the agent's clock. */
export interface AgentTimes {
  readonly mode: ModeName;
  readonly family: Family;
  readonly misses: number;
  /** Question sent → answer read. */
  readonly askMs: number;
  /** Answer read → acknowledged by the kernel. */
  readonly programMs: number;
  /** Miss read → acknowledged by the kernel. */
  readonly totalMs: number;
}

/** Families without an answered miss are left out. */
export function agentTimes(mode: ModeName, lines: readonly LogLine[], families: readonly Family[]): AgentTimes[] {
  const answered = lines.filter(({ msg, kind }) => msg === "miss answered" && kind === "l3miss");
  return families.flatMap((family): AgentTimes[] => {
    const own = answered.filter(({ key }) => String(key).includes(":") === (family === 6));
    if (own.length === 0) return [];
    const of = (field: string) => toThousandths(median(own.map((line) => Number(line[field]))));
    const [askMs, programMs, totalMs] = [of("askMs"), of("programMs"), of("totalMs")];
    return [{ mode, family, misses: own.length, askMs, programMs, totalMs }];
  });
}
