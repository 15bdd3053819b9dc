// Attacks with the certificate of an enrolled host.
import type { TLSSocket } from "node:tls";
import { every } from "../../../../common/every.ts";
import type { Attack } from "./attack.ts";
import { keepMany, keepOne, openChannel } from "./connections.ts";
import { helloFrame, interestFrames, pump, questionFrames, reportFrames } from "./frames.ts";

/** Different frames, so that no cache of one text helps. */
const distinctFrames = 64;
/** Questions are about addresses among so many. */
const askedAddresses = 60_000;
/** From one declaration of the host that does not read to its next. */
const redeclareMs = 500;
/** Sessions that the host has left unread at the same time. */
const maxUnread = 8;

/** One session that sends `first` and then `rest` repeatedly, and is reopened whenever it is closed. */
const flood =
  (first: readonly Buffer[], rest: readonly Buffer[]): Attack =>
  (battle) =>
    keepOne(() =>
      openChannel(battle, (socket) => {
        socket.write(helloFrame(battle.means.identity.host));
        for (const frame of first) socket.write(frame);
        battle.grown();
        pump(socket, rest, battle.count);
      }),
    );

const made = new Map<string, readonly Buffer[]>();

/** Making them takes longer than a turn. An attacker's means do not change. */
function madeOnce(what: string, make: () => readonly Buffer[]): readonly Buffer[] {
  const frames = made.get(what) ?? make();
  made.set(what, frames);
  return frames;
}

const noInterest = interestFrames(1, 0);

/** A declaration of very many keys, one after the other. */
const interestFlood: Attack = (battle) => {
  const { sharedVni, sizes } = battle.means;
  const frames = madeOnce("interest", () => interestFrames(sharedVni, sizes.keys));
  return flood([], frames)(battle);
};

const questionFlood: Attack = (battle) => {
  const { sharedVni, sizes } = battle.means;
  const make = () => questionFrames(sharedVni, sizes.questions, askedAddresses, distinctFrames);
  const frames = madeOnce("questions", make);
  return flood(noInterest, frames)(battle);
};

const reportFlood: Attack = (battle) => {
  const frames = madeOnce("reports", () => reportFrames(battle.means.sharedVni, distinctFrames));
  return flood(noInterest, frames)(battle);
};

/** Declares many keys and reads none of the answers; reconnects while earlier sessions are unread. */
const slowReader: Attack = (battle) => {
  const { sharedVni, sizes, identity } = battle.means;
  const declaration = madeOnce("slow-reader", () => interestFrames(sharedVni, sizes.heldKeys));
  const frames = [helloFrame(identity.host), ...declaration];
  const unread: TLSSocket[] = [];
  const declared = (): boolean => {
    battle.grown();
    return false;
  };
  const come = (): void => {
    const begin = (socket: TLSSocket) => pump(socket, frames, battle.count, declared);
    unread.push(openChannel(battle, begin, false));
    if (unread.length > maxUnread) unread.shift()?.destroy();
  };
  come();
  const timer = every(redeclareMs, come);
  return () => {
    timer.stop();
    for (const socket of unread) socket.destroy();
  };
};

/** WebSockets that never say hello. */
const silentSockets: Attack = (battle) =>
  keepMany({
    size: battle.means.sizes.sockets,
    maxOpening: 32,
    onFull: battle.grown,
    open: (opened) => openChannel(battle, opened),
  });

export const rogueHost = {
  interest: interestFlood,
  questions: questionFlood,
  reports: reportFlood,
  "slow-reader": slowReader,
  "silent-sockets": silentSockets,
} as const satisfies Record<string, Attack>;
