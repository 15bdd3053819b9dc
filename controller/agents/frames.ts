// Controller frames of any size as texts of at most `maxFrameBytes`.
import type { AgentNetwork, Answer, Revision, Vni } from "../../schema/address/index.ts";
import { type ControllerFrame, chunk, chunks } from "../../schema/agent/index.ts";
import type { Push } from "./fan-out.ts";

export function frameText(frame: ControllerFrame): string {
  return JSON.stringify(frame);
}

/** Bytes of a frame of a snapshot: about 100 answers, so that making one holds the event loop for less than a millisecond. */
const snapshotFrameBytes = 16 * 1024;

/** Made one by one, as they are asked for. */
export function* snapshotFrames(
  asOf: Revision,
  networks: readonly AgentNetwork[],
  answers: Iterable<Answer>,
): Generator<string, void, void> {
  const frame = (items: readonly SnapshotItem[], end: boolean) =>
    frameText({
      type: "snapshot",
      asOf,
      networks: items.flatMap((item) => ("network" in item ? item.network : [])),
      answers: items.flatMap((item) => ("answer" in item ? item.answer : [])),
      end,
    });
  let part: SnapshotItem[] | undefined;
  for (const next of chunks(snapshotItems(networks, answers), snapshotFrameBytes)) {
    if (part) yield frame(part, false);
    part = next;
  }
  yield frame(part ?? [], true);
}

type SnapshotItem = { network: AgentNetwork } | { answer: Answer };

function* snapshotItems(networks: readonly AgentNetwork[], answers: Iterable<Answer>): Generator<SnapshotItem> {
  for (const network of networks) yield { network };
  for (const answer of answers) yield { answer };
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
