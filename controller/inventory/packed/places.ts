// Names of hosts and networks by dense ids, which rows of VMs have in place of names. A name has an id as long as it has a user, also
// where no such resource is registered (yet).
import { none } from "./rows.ts";

interface Place {
  readonly name: string;
  uses: number;
}

export class Places {
  private readonly ids = new Map<string, number>();
  private readonly places: (Place | undefined)[] = [];
  private readonly freed: number[] = [];

  /** `none` where the name has no user. */
  find(name: string): number {
    return this.ids.get(name) ?? none;
  }

  nameOf(id: number): string {
    return this.places[id]?.name ?? "";
  }

  /** Counts one more user. */
  retain(name: string): number {
    const known = this.ids.get(name);
    const place = known === undefined ? undefined : this.places[known];
    if (known !== undefined && place) {
      place.uses += 1;
      return known;
    }
    const id = this.freed.pop() ?? this.places.length;
    this.places[id] = { name, uses: 1 };
    this.ids.set(name, id);
    return id;
  }

  release(id: number): void {
    const place = this.places[id];
    if (!place) return;
    place.uses -= 1;
    if (place.uses > 0) return;
    this.ids.delete(place.name);
    this.places[id] = undefined;
    this.freed.push(id);
  }
}
