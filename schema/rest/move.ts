// Moves of VMs, and their confirmations: shapes for REST bodies and answers.
import { type Static, Type } from "../typebox.ts";

import { closed, Name, RevisionNumber } from "./metadata.ts";

/** Longest time that a request waits for confirmations, ms. */
const maxWaitMs = 60_000;
export const defaultWaitMs = 10_000;

const waitInput = {
  wait: Type.Optional(
    Type.Unsafe<boolean | "all">({
      enum: [true, false, "all"],
      default: false,
      description:
        "Answer when every affected host has confirmed. `all`: disconnected hosts that have the former place in memory only, too",
    }),
  ),
  timeoutMs: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: maxWaitMs,
      default: defaultWaitMs,
      description: "How long to wait, ms. Hosts that have not confirmed by then are listed; the change stays in effect",
    }),
  ),
};
export interface WaitInput {
  readonly wait?: boolean | "all";
  readonly timeoutMs?: number;
}

const shape = (title: string, example: object) => ({ ...closed, title, examples: [example] });

/** Body of POST /v1/vms/{name}/move. */
export const MoveInput = Type.Object(
  { host: { ...Name, description: "The host that the VM runs on from now on" }, ...waitInput },
  shape("MoveInput", { host: "b", wait: true }),
);
/** Body of POST /v1/vms/{name}/prepare. */
export const PrepareInput = Type.Object(
  { host: { ...Name, description: "The host that the VM is about to move to" }, ...waitInput },
  shape("PrepareInput", { host: "b", wait: true }),
);
/** Body of POST /v1/vms/{name}/commit. */
export const CommitInput = Type.Object(
  {
    host: Type.Optional({
      ...Name,
      description: "The expected host: refused if another one is prepared; no change if the VM is already there",
    }),
    ...waitInput,
  },
  shape("CommitInput", { host: "b", wait: true }),
);
/** Body of POST /v1/vms/{name}/abort. */
export const AbortInput = Type.Object(waitInput, shape("AbortInput", { wait: true }));
/** Body of POST /v1/hosts/{name}/evacuate. */
export const EvacuateInput = Type.Object(
  {
    to: Type.Array(Name, {
      minItems: 1,
      maxItems: 1_024,
      uniqueItems: true,
      description: "Each VM goes to the host of this list with the fewest VMs at that point",
    }),
    ...waitInput,
  },
  shape("EvacuateInput", { to: ["a", "b"], wait: true }),
);

const Of = Type.Integer({ minimum: 0, description: "Hosts that have to confirm" });
const Confirmed = Type.Integer({ minimum: 0, description: "Hosts whose kernels have the revision" });

const Unconfirmed = Type.Object(
  { host: Name, why: Type.String({ description: "For a person" }) },
  { ...closed, title: "Unconfirmed" },
);
export type Unconfirmed = Static<typeof Unconfirmed>;

/** The progress of hosts in applying a revision. */
const confirmationView = {
  revision: RevisionNumber,
  confirmed: Confirmed,
  of: Of,
  slowestMs: Type.Unsafe<number | null>({
    type: ["integer", "null"],
    description: "Time from the durable change to the last confirmation, ms; null: no host has confirmed",
  }),
  unconfirmed: Type.Array(Unconfirmed),
  remembered: Type.Optional(
    Type.Array(Name, {
      description:
        "Disconnected hosts that have the former place in memory, and in no entry of their kernel: a new conversation there would go to it",
    }),
  ),
  dryRun: Type.Optional(
    Type.Boolean({ description: "Only with ?dryRun=true: nothing was changed; `of` hosts would have to confirm" }),
  ),
};
export type ConfirmationView = Static<Type.TObject<typeof confirmationView>>;
const confirmations = { revision: 7, confirmed: 3, of: 3, slowestMs: 9, unconfirmed: [] };

const moveView = {
  vm: Name,
  from: { ...Name, description: "The same as `to` where nothing changed" },
  to: Name,
  ...confirmationView,
};
export const MoveView = Type.Object(moveView, shape("Move", { vm: "web-1", from: "a", to: "b", ...confirmations }));
export type MoveView = Static<typeof MoveView>;

const evacuationView = {
  host: Name,
  moved: Type.Array(Type.Object({ vm: Name, to: Name }, closed)),
  ...confirmationView,
};
export const EvacuationView = Type.Object(
  evacuationView,
  shape("Evacuation", { host: "c", moved: [{ vm: "web-3", to: "a" }], ...confirmations }),
);
export type EvacuationView = Static<typeof EvacuationView>;

const committed = Type.Object(
  { type: Type.Literal("committed"), revision: RevisionNumber, of: Of },
  { ...closed, description: "The change is durable, and is being sent to the hosts" },
);
const confirmed = Type.Object(
  {
    type: Type.Literal("confirmed"),
    host: Name,
    ms: Type.Integer({ minimum: 0, description: "Since the change was durable" }),
    confirmed: Confirmed,
    of: Of,
  },
  { ...closed, description: "One more host has confirmed" },
);
const result = { type: Type.Literal("result") };

/** The lines of a wait with progress: `committed`, any number of `confirmed`, and the answer as `result`. */
export const MoveLine = Type.Union(
  [committed, confirmed, Type.Object({ ...result, ...moveView }, { ...closed, description: "The last line" })],
  { title: "MoveLine" },
);
export type MoveLine = Static<typeof MoveLine>;
export const EvacuationLine = Type.Union(
  [committed, confirmed, Type.Object({ ...result, ...evacuationView }, { ...closed, description: "The last line" })],
  { title: "EvacuationLine" },
);
export type ProgressLine = Static<typeof committed> | Static<typeof confirmed>;
