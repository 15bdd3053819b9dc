// Answers made-up questions before the first real one: code that V8 has never run takes milliseconds where it later takes
// microseconds.
import { parseAgentFrame, protocolVersions } from "../../schema/agent/index.ts";
import { answerFor } from "../inventory/bindings.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { writerFor } from "./frames.ts";
import { InterestIndex } from "./interest.ts";
import { madeUpHosts, madeUpInventory, madeUpQuestions, madeUpRevision } from "./made-up-inventory.ts";
import { SeedCandidates, seedsFor } from "./seeding.ts";

/** Enough for V8's baseline code; more costs start-up time and gains little. */
const rounds = 300;

export function warmUp(): void {
  const state = madeUpInventory();
  for (let round = 0; round < rounds; round++) resolveOnce(state, round);
}

function resolveOnce(state: Inventory, id: number): void {
  const interest = new InterestIndex();
  const [host] = madeUpHosts;
  const questions = [madeUpQuestions[id % madeUpQuestions.length]];
  const frame = parseAgentFrame(JSON.stringify({ type: "resolve", id, questions }));
  if (frame?.type !== "resolve") return;
  const writer = writerFor(protocolVersions.max);
  for (const question of frame.questions) {
    const answer = answerFor(state, host, question, madeUpRevision);
    interest.holdAnswer(host, answer, { asked: true });
    writer.answers(id, madeUpRevision, [answer]);
    if (!answer.binding) continue;
    const asked = new SeedCandidates(state, host).of(question);
    const seeds = seedsFor(state, interest, { host, asked, question, binding: answer.binding }, madeUpRevision);
    writer.seed(madeUpRevision, seeds);
  }
}
