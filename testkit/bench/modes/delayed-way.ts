// A TCP proxy that passes everything on later, as a long way does.
import { connect, createServer, type Server, type Socket } from "node:net";

export interface DelayedWay {
  readonly listen: { readonly host: string; readonly port: number };
  readonly to: { readonly host: string; readonly port: number };
  /** Of what is sent, and of what is answered, in whole ms. */
  readonly thereMs: number;
  readonly backMs: number;
}

/** Resolves when it accepts connections. */
export async function openDelayedWay({ listen, to, thereMs, backMs }: DelayedWay): Promise<Server> {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    const far = connect({ ...to, noDelay: true, allowHalfOpen: true });
    passLater(near, far, thereMs);
    passLater(far, near, backMs);
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(listen, resolve));
  return server;
}

/** Timers of one length run in the order in which they began, so bytes keep theirs. */
function passLater(from: Socket, to: Socket, delayMs: number): void {
  from.on("data", (chunk: Buffer) => void setTimeout(() => to.write(chunk), delayMs));
  from.on("end", () => void setTimeout(() => to.end(), delayMs));
  // A connection that is reset is so on both sides.
  from.on("error", () => to.destroy());
  from.on("close", (hadError) => {
    if (hadError) to.destroy();
  });
}
