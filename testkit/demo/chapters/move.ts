// A VM moves to another host while it is talked to, as in a live migration.
import { waitFor } from "../../lab/wait.ts";
import { blue, blueDb, blueWeb } from "../cast.ts";
import type { Stage } from "../stage.ts";
import { count, formatMs } from "../story.ts";

const intervalMs = 10;
/** Answers required before and after, for the numbers to be meaningful. */
const steadyAnswers = 25;
/** Beyond it guests would notice more than a hiccup. */
const maxGapMs = 500;

export async function moveVm(stage: Stage): Promise<void> {
  const { story, lab, checks } = stage;
  const guest = stage.guest(blueDb);
  const target = lab.host("c");
  story.chapter("A VM moves during a ping");
  story.say(
    `${blueWeb.name} pings ${blueDb.name} every ${intervalMs} ms. ${blueDb.name} is paused on host b, the operator's ` +
      "PATCH names its new host, and it continues on host c with all its memory.",
  );
  story.blank();
  const ping = stage.guest(blueWeb).startPing(blueDb.ipv4, { intervalMs });
  await waitFor(() => ping.received() >= steadyAnswers, { what: `${blueDb.name} to answer before the move` });
  const startMs = performance.now();
  let patchedMs = Number.NaN;
  await guest.moveTo(target, {
    during: async () => {
      await stage.call("PATCH", `/v1/vms/${blueDb.name}?wait=ready`, { host: target.name });
      patchedMs = performance.now() - startMs;
    },
  });
  const movedMs = performance.now() - startMs;
  const reached = ping.received();
  await waitFor(() => ping.received() >= reached + steadyAnswers, {
    what: `${blueDb.name} to answer after the move`,
  }).catch(() => undefined);
  const result = await ping.stop(500);
  await stage.watch.settled();
  tellTimeline(stage, [
    { who: "operator", what: "PATCH", detail: `/v1/vms/${blueDb.name} {"host":"c"}, confirmed`, atMs: patchedMs },
    { who: "host c", what: "resumes", detail: `${blueDb.name} runs here`, atMs: movedMs },
    ...changesSince(stage, startMs),
  ]);
  const lost = result.lost.length;
  const gapMs = (longestRun(result.lost) + 1) * intervalMs;
  stage.move = { sent: result.sent, lost, gapMs };
  stage.count(result);
  story.blank();
  await stage.show("a", `bridge fdb show dev nmv${blue.vni} | grep ${blueDb.mac}`);
  story.blank();
  checks.expect(
    `${blueDb.name} continues to answer from host c`,
    result.received >= reached + steadyAnswers && gapMs <= maxGapMs,
    `${result.received} of ${result.sent} pings answered, ${count(lost, "packet")} lost, silent for ${gapMs} ms at most`,
  );
  const table = await lab.host("a").exec(["bridge", "fdb", "show", "dev", `nmv${blue.vni}`]);
  checks.expect(
    "Host a sends to the new host",
    new RegExp(`${blueDb.mac} .*dst ${target.address} `).test(table),
    `${blueDb.mac} is behind ${target.address}`,
  );
}

interface Step {
  readonly who: string;
  readonly what: string;
  readonly detail: string;
  /** After the guest was paused. */
  readonly atMs: number;
}

function changesSince(stage: Stage, startMs: number): Step[] {
  return stage.watch.changes.flatMap(({ host, vni, key, vtep, ...change }): Step[] => {
    if (change.atMs < startMs || vni !== blue.vni) return [];
    const step = { who: `host ${host}`, atMs: change.atMs - startMs };
    if (key === undefined)
      return [{ ...step, what: "clears", detail: "its last guest of blue is gone, and so is the tunnel" }];
    return key === blueDb.mac ? [{ ...step, what: "change", detail: `${blueDb.name} is behind ${vtep} now` }] : [];
  });
}

function tellTimeline(stage: Stage, steps: readonly Step[]): void {
  for (const { who, what, detail, atMs } of [...steps].sort((a, b) => a.atMs - b.atMs)) {
    stage.story.event(who, what, `${detail.padEnd(50)} after ${formatMs(atMs)}`);
  }
}

/** Length of the longest row of consecutive numbers. */
function longestRun(sequence: readonly number[]): number {
  let longest = 0;
  let run = 0;
  sequence.forEach((number, i) => {
    run = sequence[i - 1] === number - 1 ? run + 1 : 1;
    longest = Math.max(longest, run);
  });
  return longest;
}
