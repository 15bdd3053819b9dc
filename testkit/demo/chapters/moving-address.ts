// An address that two guests of different hosts share: the guest that announces it has it, and so has one that only uses it.
import { arp, broadcastMac } from "../../lab/frames.ts";
import { guestDevice } from "../../lab/guest.ts";
import { openPacketSocket } from "../../lab/packets.ts";
import { waitFor } from "../../lab/wait.ts";
import { blue, blueCache, blueDb, blueWeb, type CastMember } from "../cast.ts";
import type { Stage } from "../stage.ts";
import { formatMs } from "../story.ts";

const shared = "10.20.1.100";
const intervalMs = 10;
/** Answers required before and after. */
const steadyAnswers = 25;
/** Of an address that is announced. */
const maxGapMs = 500;

export async function moveAddress(stage: Stage): Promise<void> {
  const { story, checks } = stage;
  story.chapter("An address that moves between guests");
  story.say(
    `${blueDb.name} and ${blueCache.name} may both have ${shared}, as two routers or databases with keepalived do. Gratuitous ARP does not cross ` +
      "the tunnel, so each host listens at the ports of such guests, and the controller decides which of them has the address.",
  );
  story.blank();
  const pair = [blueDb, blueCache] as const;
  for (const member of pair) {
    const eth0 = { port: stage.guest(member).port, allowedAddresses: [{ ip: shared }] };
    await stage.call("PATCH", `/v1/vms/${member.name}?wait=ready`, { interfaces: { eth0 } });
    story.event(
      "operator",
      "PATCH",
      `/v1/vms/${member.name}   {"interfaces":{"eth0":{"allowedAddresses":["${shared}"]}}}`,
    );
  }
  await take(stage, blueDb);
  await announce(stage, blueDb);
  story.event("host b", "claim", `${blueDb.name} announces ${shared}`);
  const web = stage.guest(blueWeb);
  await waitFor(() => has(stage, blueDb), { what: `${blueDb.name} to have ${shared}` });
  const ping = web.startPing(shared, { intervalMs });
  await waitFor(() => ping.received() >= steadyAnswers, { what: `${blueDb.name} to answer` });
  await take(stage, blueCache);
  await announce(stage, blueCache);
  await drop(stage, blueDb);
  story.event("host c", "claim", `${blueCache.name} announces ${shared}, and ${blueDb.name} drops it`);
  const before = ping.received();
  await waitFor(() => ping.received() >= before + steadyAnswers, { what: `${blueCache.name} to answer` }).catch(
    () => undefined,
  );
  const { sent, received, lost } = await ping.stop();
  const gapMs = (lost.length + 1) * intervalMs;
  story.blank();
  await stage.show("a", `ip neigh show dev nmv${blue.vni} | grep ${shared}`);
  story.blank();
  checks.expect(
    `${shared} answers from ${blueCache.name} after a takeover`,
    received >= before + steadyAnswers && gapMs <= maxGapMs,
    `${received} of ${sent} pings answered, silent for ${gapMs} ms at most`,
  );
  await drop(stage, blueCache);
  await take(stage, blueDb);
  const startMs = performance.now();
  await waitFor(() => has(stage, blueDb), { what: `${blueDb.name} to have ${shared}` }).catch(() => undefined);
  const { received: answers } = await web.ping(shared, { deadlineS: 5 });
  checks.expect(
    `${shared} goes back to ${blueDb.name}, which does not announce it: hosts ask their guests`,
    answers === 1,
    `after ${formatMs(performance.now() - startMs)}`,
  );
  await drop(stage, blueDb);
  // What it looks for once more would be a miss of a later chapter.
  await web.ip(`neigh del ${shared} dev ${guestDevice}`);
  for (const member of pair) {
    const eth0 = { allowedAddresses: null, port: null };
    await stage.call("PATCH", `/v1/vms/${member.name}?wait=ready`, { interfaces: { eth0 } });
  }
  await stage.watch.settled();
}

async function has(stage: Stage, { name }: CastMember): Promise<boolean> {
  const vm = (await stage.call("GET", `/v1/vms/${name}`)) as { interfaces: { ips: string[] }[] };
  return vm.interfaces.some(({ ips }) => ips.includes(shared));
}

const take = (stage: Stage, member: CastMember) => stage.guest(member).ip(`addr add ${shared}/32 dev ${guestDevice}`);

const drop = (stage: Stage, member: CastMember) => stage.guest(member).ip(`addr del ${shared}/32 dev ${guestDevice}`);

/** By a gratuitous reply: a request would miss, too. */
async function announce(stage: Stage, member: CastMember): Promise<void> {
  const socket = await openPacketSocket(stage.guest(member), guestDevice);
  const senderMac = member.mac;
  socket.inject(arp({ operation: "reply", senderMac, senderIp: shared, targetIp: shared }, broadcastMac));
  socket.close();
}
