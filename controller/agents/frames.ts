// Controller frames of any size as texts of at most `maxFrameBytes`.
import {
  type AgentNetwork,
  type Answer,
  type ControllerFrame,
  chunk,
  chunks,
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
export function* changesFrames(asOf: Revision, push: Push): Generator<string, void, void> {
  let first = true;
  let part: ChangesItem[] | undefined;
  const frame = (items: readonly ChangesItem[], end: boolean) =>
    frameText({
      type: "changes",
      asOf,
      networks: items.flatMap((item) => ("network" in item ? item.network : [])),
      gone: items.flatMap((item) => ("gone" in item ? item.gone : [])),
      answers: items.flatMap((item) => ("answer" in item ? item.answer : [])),
      ...(first && push.self ? { self: push.self } : {}),
      end,
    });
  for (const next of chunks(itemsOf(push))) {
    if (part) {
      yield frame(part, false);
      first = false;
    }
    part = next;
  }
  yield frame(part ?? [], true);
}

type ChangesItem = { network: AgentNetwork } | { gone: Vni } | { answer: Answer };

function* itemsOf(push: Push): Generator<ChangesItem> {
  for (const network of push.networks) yield { network };
  for (const gone of push.gone) yield { gone };
  for (const answer of push.answers) yield { answer };
}

/** Several frames with one id where the answers do not fit into one: each answers its part of the questions. */
export function answersFrames(id: number, asOf: Revision, answers: readonly Answer[]): string[] {
  return chunk(answers).map((part) => frameText({ type: "answers", id, asOf, answers: part }));
}
