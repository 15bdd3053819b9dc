// Names of hosts and networks by dense ids, which rows of VMs have in place of names. A name has an id as long as it has a user, also
// where no such resource is registered (yet).
import { internedTexts } from "./interned.ts";
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

  /** Counts one more user of a name that has some. */
  retainAgain(id: number): void {
    const place = this.places[id];
    if (place) place.uses += 1;
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

/** Finds names of places by their bytes, for as long as many are read. */
export class PlacesByBytes {
  private readonly texts = internedTexts();
  /** By the ids of `texts`. */
  private readonly ids: number[] = [];

  constructor(private readonly places: Places) {}

  /** As `Places.retain` of the name in ASCII. */
  retain(bytes: Uint8Array, from: number, to: number): number {
    const text = this.texts.retainBytes(bytes, from, to);
    const known = this.ids[text];
    if (known !== undefined) {
      this.places.retainAgain(known);
      return known;
    }
    const id = this.places.retain(this.texts.get(text) ?? "");
    this.ids[text] = id;
    return id;
  }
}
