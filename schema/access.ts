// Who may do what: roles, tokens as REST shows them, and the audit trail.

/** What a token can be. Hosts have certificates instead. */
export const tokenRoles = ["admin", "operator", "viewer"] as const;
export type TokenRole = (typeof tokenRoles)[number];

/** The networks that somebody may see and change, by name: a network that is deleted and made again is the same. */
export type NetworkScope = "all" | ReadonlySet<string>;

/** On whose behalf something changes: written into the audit trail beside the change. */
export interface Actor {
  /** Such as `token 3f9a2c1b (ci)` or `host a`. */
  readonly name: string;
  readonly role: string;
  /** Of the peer; absent for what happens on the controller's own machine. */
  readonly address?: string;
  /** What the change may touch. */
  readonly scope: NetworkScope;
}
