// The inputs of a decision in addition to the state and the mutations.
import type { Revision } from "../../schema/address/index.ts";
import type { NetworkScope, Quota } from "../../schema/rest/index.ts";
import type { AddressSource } from "./assign.ts";

export interface DecisionContext {
  /** The revision that the change set becomes, if there is any change. */
  readonly revision: Revision;
  readonly newUid: () => string;
  /** The scope in which the actor may see and change; absent: everything. */
  readonly scope?: NetworkScope;
  /** Where the asker may place VMs, by name; absent: on any host. */
  readonly hosts?: ReadonlySet<string>;
  /** Of the asker, counted over `scope`. Absent: none. */
  readonly quota?: Quota;
  /** Absent: every interface must name its MAC and IPs. */
  readonly addresses?: AddressSource;
}
