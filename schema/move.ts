// Moves of VMs, and who has confirmed them: shapes for REST bodies and answers.
import { type Static, Type } from "typebox";
import { closed, Name, RevisionNumber } from "./metadata.ts";

/** Longest time that a request waits for confirmations, ms. */
export const maxWaitMs = 60_000;
export const defaultWaitMs = 10_000;

const waitInput = {
  wait: Type.Optional(
    Type.Boolean({ description: "Answer when every host that holds the VM has confirmed", default: false }),
  ),
  timeoutMs: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: maxWaitMs,
      default: defaultWaitMs,
      description: "How long to wait, ms. What has not confirmed by then is listed; the move stands",
    }),
  ),
};
export interface WaitInput {
  readonly wait?: boolean;
  readonly timeoutMs?: number;
}

/** Body of POST /v1/vms/{name}/move. */
export const MoveInput = Type.Object(
  { host: { ...Name, description: "The host that the VM runs on from now on" }, ...waitInput },
  { ...closed, title: "MoveInput", examples: [{ host: "b", wait: true }] },
);

const Of = Type.Integer({ minimum: 0, description: "Hosts that have to confirm: all that hold something of the VM" });
const Confirmed = Type.Integer({ minimum: 0, description: "Hosts whose kernels hold the revision" });
const Ms = Type.Integer({ minimum: 0, description: "Since the move was durable" });

export const Unconfirmed = Type.Object(
  { host: Name, why: Type.String({ description: "For a person" }) },
  { ...closed, title: "Unconfirmed" },
);
export type Unconfirmed = Static<typeof Unconfirmed>;

/** How far hosts have followed a revision. */
export const confirmationView = {
  revision: RevisionNumber,
  confirmed: Confirmed,
  of: Of,
  slowestMs: Type.Unsafe<number | null>({
    type: ["integer", "null"],
    description: "When the last of the confirmed ones confirmed; null: none has",
  }),
  unconfirmed: Type.Array(Unconfirmed),
};

const moveView = {
  vm: Name,
  from: { ...Name, description: "Where the VM was; the same as `to` where nothing changed" },
  to: Name,
  ...confirmationView,
  dryRun: Type.Optional(
    Type.Boolean({ description: "Only with ?dryRun=true: nothing was changed; `of` hosts would have to confirm" }),
  ),
};
const moveExample = {
  vm: "web-1",
  from: "a",
  to: "b",
  revision: 7,
  confirmed: 3,
  of: 3,
  slowestMs: 9,
  unconfirmed: [],
};

export const MoveView = Type.Object(moveView, { ...closed, title: "Move", examples: [moveExample] });
export type MoveView = Static<typeof MoveView>;

/** A line of a wait that is told as it goes, `application/x-ndjson`: `committed`, any number of `confirmed`, one `result`. */
export const MoveLine = Type.Union(
  [
    Type.Object(
      { type: Type.Literal("committed"), revision: RevisionNumber, of: Of },
      { ...closed, description: "The move is durable, and now goes to the hosts" },
    ),
    Type.Object(
      { type: Type.Literal("confirmed"), host: Name, ms: Ms, confirmed: Confirmed, of: Of },
      { ...closed, description: "One more host has confirmed" },
    ),
    Type.Object({ type: Type.Literal("result"), ...moveView }, { ...closed, description: "The last line" }),
  ],
  { title: "MoveLine" },
);
export type MoveLine = Static<typeof MoveLine>;
