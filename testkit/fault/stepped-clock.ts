// Loaded into a program before it starts (`node --import`): a wall clock that a signal steps, as an operator or NTP would.
// SIGWINCH puts it an hour ahead, the next an hour behind, and so on. What Node itself times by, the kernel's monotonic clock,
// is not touched, as it would not be.
const hourMs = 3_600_000;
let offsetMs = 0;
const RealDate = Date;

const SteppedDate = new Proxy(RealDate, {
  construct: (target, args: [], newTarget) =>
    Reflect.construct(target, args.length === 0 ? [target.now() + offsetMs] : args, newTarget),
  apply: (target) => new target(target.now() + offsetMs).toString(),
  get: (target, name, receiver) =>
    name === "now" ? () => target.now() + offsetMs : Reflect.get(target, name, receiver),
});
globalThis.Date = SteppedDate;

process.on("SIGWINCH", () => {
  offsetMs = offsetMs > 0 ? -hourMs : hourMs;
  process.stderr.write(`${JSON.stringify({ msg: "clock stepped", offsetMs, now: new Date().toISOString() })}\n`);
});
