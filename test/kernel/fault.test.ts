// Every fault in its short form. Faults that mostly wait have their own scene and run beside the others.
import { afterAll, test } from "vitest";
import { sizes } from "../../testkit/fault/fault.ts";
import { allFaults } from "../../testkit/fault/faults/all.ts";
import { Lane } from "../../testkit/fault/lane.ts";
import { describeKernel } from "../support/kernel.ts";

/** For all of them: each waits for those before it in its lane. */
const deadlineMs = 900_000;

describeKernel("faults", () => {
  const working = new Lane(sizes.short);
  const waiting = new Lane(sizes.short);
  afterAll(() => Promise.all([working.close(), waiting.close()]));

  for (const fault of allFaults) {
    test.concurrent(fault.name, { timeout: deadlineMs }, async ({ expect }) => {
      const { failures } = await (fault.waits ? waiting : working).run(fault);
      expect(failures).toEqual([]);
    });
  }
});
