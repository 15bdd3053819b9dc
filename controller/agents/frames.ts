// Controller frames of any size as texts of at most `maxFrameBytes`.
import {
  type AgentNetwork,
  type Answer,
  type ControllerFrame,
  chunk,
  type Revision,
  type Vni,
} from "../../schema/index.ts";
import type { Push } from "./fan-out.ts";

export function frameText(frame: ControllerFrame): string {
  return JSON.stringify(frame);
}

export function snapshotFrames(
  asOf: Revision,
  networks: readonly AgentNetwork[],
  answers: readonly Answer[],
): string[] {
  const parts = chunk([...networks.map((network) => ({ network })), ...answers.map((answer) => ({ answer }))]);
  return parts.map((part, i) =>
    frameText({
      type: "snapshot",
      asOf,
      networks: part.flatMap((item) => ("network" in item ? item.network : [])),
      answers: part.flatMap((item) => ("answer" in item ? item.answer : [])),
      end: i === parts.length - 1,
    }),
  );
}

/** The first frame carries `self`. */
export function changesFrames(asOf: Revision, push: Push): string[] {
  const parts = chunk<{ network: AgentNetwork } | { gone: Vni } | { answer: Answer }>([
    ...push.networks.map((network) => ({ network })),
    ...push.gone.map((gone) => ({ gone })),
    ...push.answers.map((answer) => ({ answer })),
  ]);
  return parts.map((part, i) =>
    frameText({
      type: "changes",
      asOf,
      networks: part.flatMap((item) => ("network" in item ? item.network : [])),
      gone: part.flatMap((item) => ("gone" in item ? item.gone : [])),
      answers: part.flatMap((item) => ("answer" in item ? item.answer : [])),
      ...(i === 0 && push.self ? { self: push.self } : {}),
      end: i === parts.length - 1,
    }),
  );
}

/** Several frames with one id where the answers do not fit into one: each answers its part of the questions. */
export function answersFrames(id: number, asOf: Revision, answers: readonly Answer[]): string[] {
  return chunk(answers).map((part) => frameText({ type: "answers", id, asOf, answers: part }));
}
