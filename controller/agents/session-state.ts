// States of an agent's session in the controller, each with what exists in that state only. The diagram in ARCHITECTURE.md
// shows the transitions.
import type { Transitions } from "../../common/state-machine.ts";
import type { Hello } from "./admission.ts";
import type { Declaration } from "./declaration.ts";

export type SessionState =
  /** `timer` closes a session without a hello. */
  | { readonly kind: "greeting"; readonly timer: NodeJS.Timeout }
  /** The hello was accepted; the host declares its interest. */
  | ({ readonly kind: "declaring" } & Declaring)
  /**
   * The declaration is complete, and its snapshot waits for its turn. Nothing is pushed: the host would forget it with its
   * older snapshot.
   */
  | { readonly kind: "queued"; readonly hello: Hello }
  /** The snapshot is being sent; changes follow it. */
  | { readonly kind: "sending"; readonly hello: Hello }
  /** The snapshot is sent, and changes are pushed. The host may declare its interest again. */
  | ({ readonly kind: "synced" } & Declaring)
  /** The socket is closed, or is being closed. */
  | { readonly kind: "closed"; readonly hello: Hello | undefined };

interface Declaring {
  readonly hello: Hello;
  /** The parts received so far. */
  declaration?: Declaration;
}

export const sessionTransitions: Transitions<SessionState["kind"]> = {
  greeting: ["declaring", "closed"],
  declaring: ["queued", "closed"],
  queued: ["sending", "closed"],
  sending: ["synced", "closed"],
  synced: ["queued", "closed"],
  closed: [],
};
