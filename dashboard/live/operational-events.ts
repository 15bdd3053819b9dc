// What happened on hosts lately and is in no log: what the controller has kept of it, and what comes in from then on.
import { signal } from "@preact/signals";
import type { OperationalCloudEvent } from "../../schema/operational.ts";
import { get, withQuery } from "../api.ts";
import { isChange } from "./events.ts";
import { merged } from "./order.ts";
import { stream } from "./stream.ts";

interface KeptEvents {
  readonly run: string;
  readonly events: readonly OperationalCloudEvent[];
}

/** In the order in which they came: those of one run of the controller by their sequence. */
export const operationalEvents = signal<readonly OperationalCloudEvent[]>([]);

/** Until `stop` is called. */
export function followOperationalEvents(): () => void {
  operationalEvents.value = [];
  let ended = false;
  const fill = async () => {
    const newest = operationalEvents.peek().at(-1);
    const after = newest && Number(newest.sequence);
    const kept = await get<KeptEvents>(withQuery("/v1/operational-events", { after }));
    // Sequences of another run say nothing about what it has kept.
    const all = newest && newest.run !== kept.run ? await get<KeptEvents>("/v1/operational-events") : kept;
    if (!ended) operationalEvents.value = merged(operationalEvents.peek(), all.events);
  };
  const stop = stream.listen({
    onEvents: (events) => {
      const added = events.filter((event) => !isChange(event)) as OperationalCloudEvent[];
      if (added.length > 0) operationalEvents.value = merged(operationalEvents.peek(), added);
    },
    // Only behind the opening of the stream: what happens between asking and that would be missing.
    onLive: () => void fill().catch(() => {}),
  });
  return () => {
    ended = true;
    stop();
  };
}
