// Upgrades take turns: of a fleet that comes back, hundreds can be read in one round of the event loop.
import { TurnQueue } from "../../common/cooperative.ts";
import type { App } from "../http/app-types.ts";

/** How long they block the event loop, ms. */
const sliceMs = 2;

/** Before all hooks that cost something, and behind the one of @fastify/websocket that knows an upgrade. */
export function letUpgradesTakeTurns(app: App): void {
  const turns = new TurnQueue(sliceMs);
  app.addHook("onRequest", (request, _reply, done) => {
    if (!request.ws) return done();
    void turns.take().then(() => {
      // Of one that is closed by now nothing is left to do.
      if (!request.raw.socket.destroyed) done();
    });
  });
}
