// What keeps the code of answers warm: real sockets, and nothing that anybody else notices.
import { beforeEach, expect, test } from "vitest";
import { waitUntil } from "../../testkit/lab/wait.ts";
import { type Controller, call, populate, startController } from "./harness.ts";

let controller: Controller;
beforeEach(async () => {
  controller = await startController({ isWarm: true });
});

async function figure(name: string): Promise<number> {
  const metrics: string = await call(controller, 200, "GET", "/metrics");
  return Number(new RegExp(`^nearmiss_controller_${name} (\\d+)$`, "m").exec(metrics)?.[1]);
}

const runs = (least: number) =>
  waitUntil(
    () => figure("made_up_questions"),
    (count) => count > least,
    { what: `more than ${least} made-up questions` },
  );

test("made-up questions are answered while agents are connected, and are no questions, sessions or interest of anybody", async () => {
  await populate(controller);
  expect(await figure("made_up_questions")).toBe(0);
  const agent = await controller.agent("a").connect();
  await runs(20);
  expect(await figure("sessions")).toBe(1);
  expect(await figure("interest")).toBe(0);
  expect(await figure("seeds_total")).toBe(0);
  const metrics: string = await call(controller, 200, "GET", "/metrics");
  expect(metrics).toContain('nearmiss_controller_resolves_total{kind="ip",result="known"} 0');
  agent.close();
  await waitUntil(
    () => figure("sessions"),
    (sessions) => sessions === 0,
    { what: "the session to end" },
  );
  const after = await figure("made_up_questions");
  await controller.agent("a").connect();
  await runs(after);
});
