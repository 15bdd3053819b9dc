// Keys that were removed lately, over all networks: what a host that has a network since a position must forget. Pure. Bindings need no
// such list: the revision of each tells whether it is newer than the position.
import type { BindingKey, Revision, Vni } from "../../schema/address/index.ts";

/** For all networks together; a key takes about 100 bytes. */
const maxRemoved = 65_536;

export class RemovedKeys {
  /** In the order of revisions. */
  private readonly removals: { readonly key: BindingKey; readonly asOf: Revision }[] = [];

  /** @param floor the position from which on removals are added, later the one up to which some have been dropped */
  constructor(
    private floor: Revision,
    private readonly max = maxRemoved,
  ) {}

  add(key: BindingKey, asOf: Revision): void {
    this.removals.push({ key, asOf });
    if (this.removals.length < 2 * this.max) return;
    for (const { asOf: dropped } of this.removals.splice(0, this.max)) this.floor = dropped;
  }

  /** Keys of the network that were removed behind `since`, perhaps to come again; undefined: unknown, since it is too long ago. */
  find(vni: Vni, since: Revision): BindingKey[] | undefined {
    if (since < this.floor) return undefined;
    return this.removals.flatMap(({ key, asOf }) => (key.vni === vni && asOf > since ? [key] : []));
  }
}
