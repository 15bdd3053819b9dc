// Certificates that should have been renewed, and were not, before they end.
import { expect, test } from "vitest";
import { waitFor } from "../../testkit/lab/wait.ts";
import { day, lifetimeMs, startEnrolling } from "../support/enrolled.ts";

type Conditions = readonly { readonly kind: string }[];

test("a host that does not renew its certificate has a condition, from half the time after its renewal until it renews", async () => {
  const controller = await startEnrolling();
  const identity = await controller.enrol("a");
  const kinds = async (): Promise<string[]> => {
    const { conditions = [] } = (await controller.call(200, "GET", "/v1/hosts/a")) as { conditions?: Conditions };
    return conditions.map(({ kind }) => kind);
  };
  expect(await kinds()).not.toContain("host-certificate-ending");
  controller.clock.advance(lifetimeMs - 6 * day);
  expect(await kinds()).not.toContain("host-certificate-ending");
  controller.clock.advance(2 * day);
  expect(await kinds()).toContain("host-certificate-ending");
  const renewal = controller.renewal(identity);
  renewal.start();
  await waitFor(async () => !(await kinds()).includes("host-certificate-ending"), { what: "the renewal" });
});

test("the controller's certificate is one of its own conditions, and /readyz says degraded", async () => {
  const controller = await startEnrolling();
  const degraded = async (): Promise<readonly string[]> => {
    const { degraded: reasons = [] } = await controller.call(200, "GET", "/readyz");
    return reasons;
  };
  expect(await degraded()).toEqual([]);
  controller.clock.advance(lifetimeMs - day);
  await waitFor(async () => (await degraded()).some((text) => /^the controller's certificate ends at /.test(text)), {
    what: "the condition",
  });
  const { conditions } = (await controller.call(200, "GET", "/v1/conditions")) as { conditions: Conditions };
  expect(conditions.map(({ kind }) => kind)).toEqual(["certificate-ending"]);
});
