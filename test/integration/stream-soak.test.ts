// Promise P2: whatever happens to the controller and to its consumers, each of them gets every change for it once, in
// order. A short run; `npm run soak:stream` has a million events, and NEARMISS_EVENTS sets another number.
import { join } from "node:path";
import { expect, test } from "vitest";
import { pause, waitFor } from "../../testkit/lab/wait.ts";
import { ControllerProcess, temporaryDirectory } from "../support/controller-process.ts";
import { type FollowerOptions, type StreamChange, StreamFollower } from "../support/stream-follower.ts";
import { endOf, findViolations, type Position, position } from "../support/stream-validator.ts";
import { generator, largestImport, StreamWriter } from "../support/stream-writer.ts";

const events = Number(process.env.NEARMISS_EVENTS ?? 6_000);
/** The size of the log, less one revision at most: consumers that are disconnected for longer have to start over. */
const logEvents = Math.max(2_000, Math.min(50_000, events / 20));
const kills = Math.max(2, Math.round(events / 25_000));

const onHost = (name: string) => (change: StreamChange) =>
  [change.data.before, change.data.after].some(
    (side) => side !== null && (side.host === name || (side.vtep && side.name === name)),
  );
const inNetwork = (name: string) => (change: StreamChange) =>
  [change.data.before, change.data.after].some((side) => {
    const interfaces = side?.interfaces as { network: string }[] | undefined;
    return side !== null && (interfaces ? interfaces.some(({ network }) => network === name) : side.name === name);
  });

test(`${events} events, ${kills} × SIGKILL: every consumer has a correct stream`, {
  timeout: 180_000 + events * 4,
}, async () => {
  const db = join(temporaryDirectory(), "nearmiss.db");
  const flags = ["--log-max-events", String(logEvents), "--log-max-age", "off"];
  const start = () => ControllerProcess.start(db, 0, flags);
  let controller = await start();
  const writer = new StreamWriter();
  const random = generator(11);
  await writer.furnish(controller);
  const { token } = await controller.call<{ token: string }>("POST", "/v1/tokens", {
    role: "viewer",
    networks: ["net-1"],
  });

  /** Until the log no longer goes back to the revision, or no more events arrive. */
  const forgotten = async (revision: number) => {
    const compacted = () => controller.metric("nearmiss_controller_log_compacted").catch(() => 0);
    while (writer.events < events && (await compacted()) <= revision) await pause(20);
  };
  const often = () => 1 + random(events / 40);
  const kinds: (FollowerOptions & { readonly token?: string })[] = [
    { name: "leaves often", leaveAfter: often },
    { name: "leaves often, by SSE", sse: true, leaveAfter: often },
    { name: "a host", filter: "host=host-3", leaveAfter: often, wants: onHost("host-3") },
    { name: "a network, by SSE", sse: true, filter: "network=net-2", leaveAfter: often, wants: inNetwork("net-2") },
    {
      name: "two types on a host",
      filter: "type=nearmiss.vm.deleted&type=nearmiss.vm.created&host=host-1",
      wants: (change) => onHost("host-1")(change) && /vm\.(created|deleted)$/.test(change.type),
    },
    { name: "a limited token", token, leaveAfter: often, wants: inNetwork("net-1") },
    { name: "nothing", filter: "network=none", wants: () => false },
    { name: "sleeps", leaveAfter: () => random(events / 10), away: forgotten },
    { name: "sleeps, by SSE", sse: true, leaveAfter: () => random(events / 10), away: forgotten },
    { name: "stalls", leaveAfter: () => 1 + random(events / 8), stallMs: () => random(3_000) },
  ];

  /** The events for each consumer, from the one that sees everything and never disconnects. */
  const expected = kinds.map((): Position[] => []);
  const whole: FollowerOptions = { name: "sees everything" };
  const judge = new StreamFollower(
    whole,
    () => controller,
    (change) => {
      const at = position(change.revision, change.index);
      kinds.forEach(({ wants }, i) => {
        if (!wants || wants(change)) expected[i]?.push(at);
      });
    },
  );
  const followers = kinds.map(
    (kind) =>
      new StreamFollower(kind, () =>
        kind.token ? { ...controller, url: controller.url, token: kind.token } : controller,
      ),
  );

  /**
   * Events that no consumer has seen cannot be expected. Before each step the validator has all but a tenth of the log;
   * a step is at most a third of the log, so that the log cannot outrun the validator even while that is disconnected
   * from a killed controller.
   */
  const judged = async () => {
    while (receivedBy(judge) < writer.events - logEvents / 10) await pause(2);
  };
  for (let life = 0; life <= kills; life++) {
    const until = ((life + 1) * events) / (kills + 1);
    const victim = controller.process;
    let dying = false;
    while (writer.events < until || life < kills) {
      // At a random moment, while the next changes are being made.
      if (writer.events >= until && !dying) {
        dying = true;
        setTimeout(() => victim.signal("SIGKILL"), random(50));
      }
      try {
        await Promise.race([judged(), victim.ended]);
        await writer.write(controller);
      } catch (error) {
        if (!dying) throw error;
        break;
      }
    }
    if (life === kills) break;
    expect(await victim.ended).toBe("SIGKILL");
    controller = await start();
    await writer.settle(controller);
    await judged();
  }

  const all = [judge, ...followers];
  await Promise.all(all.map((follower) => follower.finish(writer.revision)));
  expect(judge.segments).toHaveLength(1);
  const truth = writer.sizes.flatMap((size, revision) => Array.from({ length: size }, (_, i) => position(revision, i)));
  const complete = endOf(writer.revision);
  const violations = [truth, ...expected].map((due, i) => {
    const follower = all[i] as StreamFollower;
    return [follower.options.name, ...findViolations(follower.segments, due, complete)];
  });
  expect(violations).toEqual(all.map(({ options }) => [options.name]));

  const ends = new Map<number, number>();
  for (const follower of all) for (const [code, n] of follower.ends) ends.set(code, (ends.get(code) ?? 0) + n);
  const received = all.flatMap(({ segments }) => segments).reduce((sum, segment) => sum + segment.received.length, 0);
  process.stdout.write(
    `${writer.events} events in ${writer.revision} revisions, ${received} received by ${all.length} consumers, ` +
      `connections ended: ${[...ends].map(([code, n]) => `${n} × ${code}`).join(", ")}\n`,
  );
  expect(ends.get(4410)).toBeGreaterThan(0);
  expect(ends.get(410)).toBeGreaterThan(0);
  const left = () => controller.metric("nearmiss_controller_log_events");
  await waitFor(async () => (await left()) <= logEvents, { what: "compaction" });
  // Not more than it must: whole revisions go.
  expect(await left()).toBeGreaterThan(logEvents - largestImport);
});

/** @throws if it had to start over, which breaks the promise: the log has the missing events */
function receivedBy({ segments }: StreamFollower): number {
  if (segments.length > 1) throw new Error("a consumer without a filter was refused: the log does not go back so far");
  return segments[0]?.received.length ?? 0;
}
