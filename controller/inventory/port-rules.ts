// Which port an interface has: one interface on a host has a port, and nested guests share it by naming that interface (ADR 0151).
import { isDeepStrictEqual } from "node:util";
import { interfaceKey, type Vm } from "../../schema/rest/index.ts";
import { portKey, type TakenPlaces } from "./claims.ts";
import type { Draft } from "./draft.ts";
import { hostsOf } from "./hosts-of.ts";
import { type Attachment, attachmentIn } from "./inventory.ts";
import { type Look, Refusal } from "./refusal.ts";
import { narrowVm } from "./scope.ts";
import type { Steps } from "./steps.ts";

/**
 * Databases of earlier versions may have duplicate ports. Such interfaces stay until they are changed: only a port that is
 * new on its host, or whose interface changes, is checked.
 */
export class PortRules {
  readonly claims: TakenPlaces;
  /** One of the edits names a parent. */
  nests = false;
  /** Whether an edit can break a rule: most VMs have neither ports nor parents, and nothing nested in them. */
  private isConcerned = false;

  constructor(private readonly draft: Draft) {
    this.claims = draft.newClaims(portsOf);
  }

  /** An edit of the draft: all of them, before `check`. */
  add(before: Vm | null, after: Vm | null): void {
    this.isConcerned ||= before !== null && before !== after;
    for (const each of after?.interfaces ?? []) {
      if (!after || (each.port === undefined && each.parent === undefined)) continue;
      this.isConcerned = true;
      this.nests ||= each.parent !== undefined;
      const own = { vm: after, interface: each };
      for (const place of portsOf(own)) this.claims.add(place, own);
    }
  }

  *check(look: Look): Steps<void> {
    const { draft } = this;
    if (!this.isConcerned) return;
    for (const [name, { before, after }] of draft.vms) {
      yield;
      if (after && after !== before) {
        look("vm", name, () => {
          this.checkPortsFree(before, after);
          for (const each of after.interfaces) checkParent(draft, before, { vm: after, interface: each });
        });
      }
      if (before && after !== before) look("vm", name, () => checkChildren(draft, before));
    }
  }

  private checkPortsFree(before: Vm | null, after: Vm): void {
    const { draft, claims } = this;
    for (const each of after.interfaces) {
      const { port } = each;
      if (port === undefined) continue;
      const stood = before?.interfaces.find(({ name }) => name === each.name);
      const isSame = stood !== undefined && isDeepStrictEqual(stood, each);
      for (const host of hostsOf(after)) {
        if (isSame && before && hostsOf(before).includes(host)) continue;
        const stored = draft.base.interfacesAt(host, port).filter(({ vm }) => !draft.vms.has(vm.name));
        const others = [...claims.find(portKey(host, port)), ...stored];
        const other = others.find(({ vm, interface: { name } }) => vm.name !== after.name || name !== each.name);
        if (other) {
          throw new Refusal("port-conflict", describeTaken(draft, { vm: after, interface: each }, host, other));
        }
      }
    }
  }
}

function* portsOf({ vm, interface: { port } }: Attachment): Generator<string> {
  if (port !== undefined) for (const host of hostsOf(vm)) yield portKey(host, port);
}

/** A caller who may not see the interface does not learn which VM has the port. */
function describeTaken(draft: Draft, own: Attachment, host: string, other: Attachment): string {
  const { vm, interface: found } = other;
  const seen = narrowVm(draft.scope, vm)?.interfaces.some(({ name }) => name === found.name);
  const taken = `${describe(own)}: port "${own.interface.port}" is in use on host "${host}"`;
  if (!seen) return `${taken}: name another port, or none`;
  const key = interfaceKey(vm.name, found.name);
  return `${taken} by ${describe(other)}: name another port, or none, or for a guest inside that VM the parent "${key}"`;
}

function checkParent(draft: Draft, before: Vm | null, child: Attachment): void {
  const { name, parent: key } = child.interface;
  if (key === undefined) return;
  const isNew = before?.interfaces.find((each) => each.name === name)?.parent !== key;
  const fault = (isNew && findParentBeyondScope(draft, child, key)) || findParentFault(draft, child, key);
  if (fault) throw fault;
}

const unknownParent = (child: Attachment, key: string): Refusal =>
  new Refusal("unknown-reference", `${describe(child)}: its parent "${key}" is not an interface of any VM`);

/** Children bind their parent to its host and port: only a caller who may change the parent may name it. */
function findParentBeyondScope(draft: Draft, child: Attachment, key: string): Refusal | undefined {
  const parent = attachmentIn(key, (name) => draft.findVm(name));
  const seen = parent && narrowVm(draft.scope, parent.vm);
  if (!parent || !seen?.interfaces.includes(parent.interface)) return unknownParent(child, key);
  if (seen === parent.vm) return undefined;
  const detail =
    `${describe(child)}: VM "${parent.vm.name}" also has interfaces in networks that are not yours: to name it as a parent ` +
    "requires a token for all of them";
  return new Refusal("forbidden", detail);
}

/** Why the interface `key` cannot be the parent of `child`, once all is done. */
function findParentFault(draft: Draft, child: Attachment, key: string): Refusal | undefined {
  const own = describe(child);
  const parent = attachmentIn(key, (name) => draft.findAnyVm(name));
  if (!parent) return unknownParent(child, key);
  const conflict = (why: string) => new Refusal("port-conflict", `${own}: ${why}`);
  if (parent.interface.parent !== undefined) {
    return conflict(`its parent "${key}" is itself nested: name its parent "${parent.interface.parent}"`);
  }
  if (parent.interface.port === undefined) return conflict(`its parent "${key}" has no port: give it one first`);
  if (parent.interface.network !== child.interface.network) {
    return conflict(
      `its parent "${key}" is in network "${parent.interface.network}", not in "${child.interface.network}"`,
    );
  }
  const missing = hostsOf(child.vm).find((host) => !hostsOf(parent.vm).includes(host));
  if (missing === undefined) return undefined;
  const where = hostsOf(parent.vm).map((host) => `"${host}"`);
  return conflict(
    `its parent "${key}" is on host ${where.join(" and on ")}, not on "${missing}": place both on one host in the same change (import)`,
  );
}

/** Children that the change set leaves alone must be left a parent. */
function checkChildren(draft: Draft, before: Vm): void {
  for (const { name } of before.interfaces) {
    const key = interfaceKey(before.name, name);
    for (const child of draft.base.childrenOf(key)) {
      if (draft.vms.has(child.vm.name) || !findParentFault(draft, child, key)) continue;
      const detail =
        `VM "${before.name}", interface "${name}" is the parent of nested guests, such as ${describe(child)}: ` +
        "change, move or delete them in the same change (import), or first";
      throw new Refusal("in-use", detail);
    }
  }
}

function describe({ vm, interface: { name } }: Attachment): string {
  return `VM "${vm.name}", interface "${name}"`;
}
