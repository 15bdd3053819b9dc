// How the bench of idle processes judges, and what it says.
import { spawn } from "node:child_process";
import { expect, onTestFinished, test } from "vitest";
import { type IdleSide, judgeIdle, watchingPercentOf } from "../../testkit/bench/idle/bench.ts";
import { reportIdle } from "../../testkit/bench/idle/report.ts";
import { cpuSeconds, mainThreadCpuSeconds, wakeUps } from "../../testkit/bench/process-usage.ts";

const bounds = { cpu: 1, agent: 1.5, controller: 2.2, watching: 0.1 };
const side = (name: string, cpuPercent: number, rssRatio: number): IdleSide => ({
  name,
  cpuPercent,
  mainPercent: cpuPercent / 2,
  wakeUpsPerSecond: 40.5,
  rssMib: 43 * rssRatio,
  rssRatio,
});

test("the agent with a warm fast path and the controller have ceilings, the others are there to compare with", () => {
  const sides = [
    side("empty Node process", 0, 1),
    side("agent, fast path warm", 1, 1.5),
    side("agent, fast path off", 9, 9),
    side("controller", 9, 2.2),
  ];
  expect(judgeIdle(sides, bounds)).toEqual([]);
  expect(judgeIdle([side("agent, fast path warm", 1.25, 1.6), side("controller", 0, 2.3)], bounds)).toEqual([
    "processor time, agent, fast path warm, is 1.25 %, asked at most 1 %",
    "resident memory, agent, fast path warm : empty Node process, is 1.60 ×, asked at most 1.50 ×",
    "resident memory, controller : empty Node process, is 2.30 ×, asked at most 2.20 ×",
  ]);
});

test("what watching takes is the difference of two agents, and has a ceiling", () => {
  const sides = (watching: number) => [
    side("agent, fast path off", 1 + watching, 1),
    side("the same, without watching", 1, 1),
  ];
  expect(watchingPercentOf([side("agent, fast path off", 1, 1)])).toBeNull();
  expect(watchingPercentOf(sides(0.25))).toBe(0.25);
  expect(judgeIdle(sides(0.1), bounds)).toEqual([]);
  expect(judgeIdle(sides(0.125), bounds)).toEqual([
    "processor time of watching the kernel is 0.13 %, asked at most 0.1 %",
  ]);
});

test("the report has a row for each process, and what was missed", () => {
  const sides = [side("empty Node process", 0, 1), side("agent, fast path warm", 1.25, 2)];
  const text = reportIdle({
    networks: 10,
    knowledge: "replicate",
    watching: true,
    settle: 1,
    seconds: 60,
    sides,
    watchingPercent: 0.0625,
    missed: ["too much"],
  });
  expect(text).toContain("Idle for 60 s, with 10 networks (replicate)");
  expect(text).toMatch(/^ {2}agent, fast path warm +1\.25 % +0\.63 % +40\.5 +86 MiB +2\.00 ×$/m);
  expect(text).toContain("Watching the kernel takes 0.06 % of a processor.");
  expect(text).toContain("missed: too much");
});

test("a process's time and wake-ups are the kernel's, of all threads and of the first", async () => {
  const program = `for (const end = Date.now() + 300; Date.now() < end; );
    setInterval(() => process.stdout.write("."), 20)`;
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "ignore"] });
  onTestFinished(() => void child.kill());
  const pid = child.pid ?? 0;
  const dots = (count: number) =>
    new Promise<void>((resolve) => {
      child.stdout.on("data", function onData() {
        if (--count > 0) return;
        child.stdout.off("data", onData);
        resolve();
      });
    });
  await dots(1);
  const before = wakeUps(pid);
  const main = mainThreadCpuSeconds(pid);
  expect(main).toBeGreaterThan(0);
  // Both are counted in ticks of 10 ms, user and system time apart.
  expect(cpuSeconds(pid) + 0.02).toBeGreaterThanOrEqual(main);
  await dots(10);
  expect(wakeUps(pid) - before).toBeGreaterThanOrEqual(5);
});
