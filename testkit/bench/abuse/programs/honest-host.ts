// An honest host: an agent's session with the controller, which asks questions at a fixed rate without waiting for
// answers.
import { pino } from "pino";
import { ControllerLink } from "../../../../node-agent/controller-link/link.ts";
import { parseIp, parseVni, type Revision } from "../../../../schema/address/index.ts";
import { protocolVersions } from "../../../../schema/agent/index.ts";
import { serveOrders } from "../crew.ts";
import type { HostIdentity, Target } from "../means.ts";
import { pace, Samples } from "../samples.ts";

export type HostOrder =
  | {
      readonly kind: "begin";
      readonly target: Target;
      readonly ca: string;
      readonly identity: HostIdentity;
      readonly vni: number;
      /** That is asked for. */
      readonly ip: string;
    }
  | { readonly kind: "cut" }
  | { readonly kind: "end" };

const askEveryMs = 5;
const timeoutMs = 10_000;

interface Waiting {
  readonly answered: () => void;
  readonly failed: (error: Error) => void;
}

const samples = new Samples();
let end = (): void => {};

serveOrders(async (order: HostOrder) => {
  if (order.kind === "cut") return samples.cut();
  end();
  end = () => {};
  if (order.kind === "end") return undefined;
  end = await begin(order);
  return undefined;
});

async function begin({ target, ca, identity, vni, ip }: Extract<HostOrder, { kind: "begin" }>): Promise<() => void> {
  const waiting = new Map<number, Waiting>();
  let nextId = 1;
  let synced = (): void => {};
  const inSync = new Promise<void>((resolve) => {
    synced = resolve;
  });
  const confirm = ({ asOf }: { readonly asOf: Revision }) => {
    link.send({ type: "applied", revision: asOf, problems: [] });
  };
  const question = { kind: "ip", vni: parseVni(vni), ip: parseIp(ip) } as const;
  const link: ControllerLink = new ControllerLink(
    new URL(`https://${target.ipv4}:${target.port}`),
    () => ({ ...identity, ca }),
    {
      hello: () => ({ protocol: protocolVersions, version: "bench", host: identity.host, vtepPort: 4789 }),
      interest: () => [{ keys: [question] }],
      onSnapshot: (frame) => {
        confirm(frame);
        synced();
      },
      onAnswers: (frame) => {
        if (frame.type !== "answers") return;
        waiting.get(frame.id)?.answered();
        waiting.delete(frame.id);
      },
      onHeartbeat: confirm,
      onChanges: confirm,
      onClosed: () => {
        for (const { failed } of waiting.values()) failed(new Error("the session ended"));
        waiting.clear();
      },
      onWelcome: () => {},
      onBase: () => {},
      onDelta: () => {},
      onGroups: () => {},
      onHosts: () => {},
      onSenders: () => {},
      onTrust: () => {},
      onClaimed: () => {},
      onProbe: () => {},
      onRevoked: () => {},
    },
    pino({ level: "silent" }),
  );
  const ask = () =>
    new Promise<void>((resolve, reject) => {
      const id = nextId++;
      const timer = setTimeout(() => settle(() => reject(new Error("no answer in time"))), timeoutMs);
      const settle = (act: () => void) => {
        clearTimeout(timer);
        waiting.delete(id);
        act();
      };
      waiting.set(id, {
        answered: () => settle(resolve),
        failed: (error) => settle(() => reject(error)),
      });
      if (!link.send({ type: "resolve", id, questions: [question] })) {
        settle(() => reject(new Error("no session")));
      }
    });
  link.start();
  await inSync;
  const stop = pace(askEveryMs, () => samples.time("questions", ask));
  return () => {
    stop();
    link.stop();
  };
}
