// How programs are found that others attach without a message of the kernel. The kernel's side is in test/kernel/forwarding-state.test.ts.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Link } from "../../node-agent/kernel/codec/link-codec.ts";
import { NetlinkError } from "../../node-agent/kernel/sockets/request-socket.ts";
import { ProgramWatch } from "../../node-agent/watch/program-watch.ts";
import { vni } from "../support/addresses.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const blue = vni(100);
const link = (ifindex: number, fields: Partial<Link> = {}): Link => ({
  ifindex,
  name: `device${ifindex}`,
  up: true,
  carrier: true,
  mtu: 1_500,
  addressless: true,
  ...fields,
});

/** Tunnel 1, bridge 2, guest's port 3, and 4, which is no business of the agent. */
function watched() {
  const looks: string[] = [];
  const kernel = { tcx: 0, objects: "7" as string | undefined, xdp: [] as number[], readings: 0, fails: false };
  const watch = new ProgramWatch({
    devices: {
      vniOf: (ifindex) => (ifindex === 1 ? blue : undefined),
      vniOfBridge: (ifindex) => (ifindex === 2 ? blue : undefined),
    },
    networks: {
      look: (cause, at) => void looks.push(`${cause} ${at}`),
      lookAtPorts: (at) => void looks.push(`ports ${at}`),
    },
    listLinks: async () => {
      kernel.readings++;
      if (kernel.fails) throw new NetlinkError("list links", { errno: 16 });
      return [1, 2, 3, 4].map((ifindex) =>
        link(ifindex, {
          ...(ifindex === 3 ? { master: 2 } : {}),
          ...(kernel.xdp.includes(ifindex) ? { xdp: true as const } : {}),
        }),
      );
    },
    countTcx: (ifindex) => (ifindex === 1 ? kernel.tcx : 9),
    describeBpfObjects: () => kernel.objects,
    nowMs: () => performance.now(),
  });
  const after = async (change: () => void): Promise<string[]> => {
    change();
    await vi.advanceTimersByTimeAsync(2_000);
    return looks.splice(0);
  };
  return { watch, kernel, after };
}

test("a program at a tunnel by tcx is seen when it comes and when it goes", async () => {
  const { watch, kernel, after } = watched();
  expect(await after(() => {})).toEqual([]);
  const change = (tcx: number) => () => {
    kernel.tcx = tcx;
    kernel.objects = `${kernel.objects},${tcx}`;
  };
  expect(await after(change(1))).toEqual(["device 100"]);
  expect(await after(() => {})).toEqual([]);
  expect(await after(change(2))).toEqual(["device 100"]);
  expect(await after(change(0))).toEqual(["device 100"]);
  watch.close();
});

test("an XDP program by a link of bpf(2): devices are read when objects of bpf(2) have come or gone", async () => {
  const { watch, kernel, after } = watched();
  expect(await after(() => {})).toEqual([]);
  expect(kernel.readings).toBe(1);
  const add = (ifindex: number) => () => {
    kernel.objects = `${kernel.objects},${ifindex}`;
    kernel.xdp.push(ifindex);
  };
  expect(await after(add(1))).toEqual(["device 100"]);
  expect(await after(add(3))).toEqual(["ports 100"]);
  expect(await after(add(4))).toEqual([]);
  expect(kernel.readings).toBe(4);
  expect(
    await after(() => {
      kernel.objects = "7";
      kernel.xdp = [];
    }),
  ).toEqual(["device 100", "ports 100"]);
  watch.close();
});

test("objects that change all the time are followed at a bounded rate, and a reading that fails is repeated", async () => {
  const { watch, kernel, after } = watched();
  for (let id = 0; id < 120; id++)
    await after(() => {
      kernel.objects = `${id}`;
    });
  // Sixty at once, and one in ten seconds of four minutes.
  expect(kernel.readings).toBeLessThanOrEqual(60 + 24);
  kernel.fails = true;
  await vi.advanceTimersByTimeAsync(20_000);
  const before = kernel.readings;
  kernel.fails = false;
  kernel.objects = "99";
  kernel.xdp = [2];
  expect(await after(() => vi.advanceTimersByTime(20_000))).toEqual(["device 100"]);
  expect(kernel.readings).toBeGreaterThan(before);
  watch.close();
});

test("where the kernel does not show objects of bpf(2), no device is read", async () => {
  const { watch, kernel, after } = watched();
  kernel.objects = undefined;
  expect(await after(() => kernel.tcx++)).toEqual([]);
  expect(kernel.readings).toBe(0);
  watch.close();
});
