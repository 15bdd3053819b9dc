// The result of `program` for people. Pure.
import { reportMissed } from "../bounds.ts";
import { absentCompiler } from "../native/native.ts";
import { formatRatio, table } from "../table.ts";
import type { ProgramResult, SizeResult } from "./bench.ts";

export function reportProgram({ rounds, answers, perFrame, sizes, missed }: ProgramResult): string {
  const names = {
    batch: `the agent, ${perFrame} answers a frame`,
    nativeBatch: "C, 64 messages in a send",
    single: "the agent, an answer a frame",
    nativeSingle: "C, the 3 of an answer in a send",
    exec: "ip and bridge, a process each",
  } as const;
  const size = ({ cached, sides }: SizeResult) =>
    Object.entries(names).map(([name, text]) => {
      const side = sides[name as keyof typeof names];
      const cells = side
        ? [side.perCpuSecond, side.perSecond].map((value) => value.toLocaleString("en"))
        : [absentCompiler];
      return [text, cached.toLocaleString("en"), ...cells];
    });
  const ratios = table(
    ["per CPU second, beside cached", ...sizes.map(({ cached }) => cached.toLocaleString("en"))],
    [
      [`${names.batch} : ${names.nativeBatch}`, ...sizes.map((each) => formatRatio(each.ratios.batchToNative))],
      [`${names.single} : ${names.nativeSingle}`, ...sizes.map((each) => formatRatio(each.ratios.singleToNative))],
      [`${names.batch} : ${names.exec}`, ...sizes.map((each) => formatRatio(each.ratios.batchToExec))],
    ],
  );
  return [
    `\nKernel entries of ${answers.toLocaleString("en")} answers, three each, ${rounds} rounds, medians\n\n`,
    table(["", "cached answers", "per CPU second", "a second"], sizes.flatMap(size)),
    `\n${ratios}`,
    reportMissed(missed),
  ].join("");
}
