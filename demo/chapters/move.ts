// A VM moves to another host while it is talked to, as in a live migration.
import { waitFor } from "../../lab/wait.ts";
import { blue, blueDb, blueWeb } from "../cast.ts";
import type { Stage } from "../stage.ts";
import { count, formatMs } from "../story.ts";

const intervalMs = 10;
/** Answers that must come before and after, for the numbers to mean something. */
const steadyAnswers = 25;
/** Beyond it guests would notice more than a hiccup. */
const maxGapMs = 500;

export async function moveVm(stage: Stage): Promise<void> {
  const { story, lab, checks } = stage;
  const guest = stage.guest(blueDb);
  const target = lab.host("c");
  story.chapter("A VM moves while it is talked to");
  story.say(
    `${blueWeb.name} pings ${blueDb.name} every ${intervalMs} ms. ${blueDb.name} is paused on host b, the operator's ` +
      "PATCH names its new host, and it goes on running on host c with all its memory.",
  );
  story.blank();
  const ping = stage.guest(blueWeb).startPing(blueDb.ipv4, { intervalMs });
  await waitFor(() => ping.received() >= steadyAnswers, { what: `${blueDb.name} to answer before the move` });
  stage.watch.telling = true;
  const startMs = performance.now();
  let patchedMs = Number.NaN;
  const corrected = Promise.all(
    lab.hosts.map((host) =>
      host.agent
        .nextLog(
          (line) => line.msg === "change applied" && line.key === blueDb.mac,
          5_000,
          `${blueDb.name}'s new place`,
        )
        .then((line) => ({ host: host.name, vtep: line.vtep, afterMs: performance.now() - startMs }))
        .catch(() => undefined),
    ),
  );
  await guest.moveTo(target, {
    meanwhile: async () => {
      await stage.call("PATCH", `/v1/vms/${blueDb.name}?wait=ready`, { host: target.name });
      patchedMs = performance.now() - startMs;
    },
  });
  const movedMs = performance.now() - startMs;
  const reached = ping.received();
  await waitFor(() => ping.received() >= reached + steadyAnswers, {
    what: `${blueDb.name} to answer after the move`,
  }).catch(() => undefined);
  const result = await ping.stop();
  stage.watch.telling = false;
  story.event("operator", "PATCH", `/v1/vms/${blueDb.name} {"host":"c"}   confirmed after ${formatMs(patchedMs)}`);
  for (const change of await corrected) {
    if (!change || typeof change.vtep !== "string") continue;
    story.event(
      `host ${change.host}`,
      "change",
      `${blueDb.name} is behind ${change.vtep} now   ${formatMs(change.afterMs)}`,
    );
  }
  story.event("host c", "running", `${blueDb.name} runs here   ${formatMs(movedMs)}`);
  const lost = result.lost.length;
  const gapMs = (longestRun(result.lost) + 1) * intervalMs;
  stage.move = { sent: result.sent, lost, gapMs };
  stage.packets.sent += result.sent;
  stage.packets.received += result.received;
  story.blank();
  await stage.show("a", `bridge fdb show dev nmv${blue.vni} | grep ${blueDb.mac}`);
  story.blank();
  checks.expect(
    `${blueDb.name} goes on answering from host c`,
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
