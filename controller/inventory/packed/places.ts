// Hosts and networks by dense ids, which rows of VMs have in place of names. There are few: their objects stay objects. A name
// has an id as long as anything has it, also where no such resource is registered (yet).
import { none } from "./rows.ts";

interface Place<T> {
  readonly name: string;
  resource: T | undefined;
  uses: number;
}

export class Places<T extends { readonly name: string }> {
  private readonly ids = new Map<string, number>();
  private readonly places: (Place<T> | undefined)[] = [];
  private readonly freed: number[] = [];

  /** `none` where nothing has the name. */
  find(name: string): number {
    return this.ids.get(name) ?? none;
  }

  nameOf(id: number): string {
    return this.places[id]?.name ?? "";
  }

  resourceOf(id: number): T | undefined {
    return this.places[id]?.resource;
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
    this.places[id] = { name, resource: undefined, uses: 1 };
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

  put(resource: T): void {
    const known = this.places[this.find(resource.name)];
    const place = known?.resource ? known : this.places[this.retain(resource.name)];
    if (place) place.resource = resource;
  }

  delete(name: string): void {
    const id = this.find(name);
    const place = this.places[id];
    if (!place?.resource) return;
    place.resource = undefined;
    this.release(id);
  }
}
