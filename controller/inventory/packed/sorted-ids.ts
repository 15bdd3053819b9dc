// Ids in order of their names, in short sorted arrays: 4 bytes for each, and a few comparisons to find one among millions.
import { byName, type Names } from "../names.ts";

/** Ids of an array, at most: what an insertion may move. */
const maxIds = 512;
const firstIds = 2;

export interface Named {
  nameOf(id: number): string;
  /** Negative where the name of `id` comes before `name`. */
  compare(id: number, name: string): number;
}

interface Part {
  ids: Int32Array;
  count: number;
}

export class SortedIds implements Names {
  private readonly parts: Part[] = [];
  private count = 0;
  /** Counts changes: a reader that goes on after one looks for its place again. */
  private changes = 0;

  constructor(private readonly named: Named) {}

  get size(): number {
    return this.count;
  }

  /** @returns whether it was not in yet */
  add(id: number, name: string): boolean {
    const place = Math.max(0, this.partOf(name));
    const part = this.parts[place];
    if (!part) {
      this.parts.push({ ids: Int32Array.of(id), count: 1 });
      this.counted(1);
      return true;
    }
    const at = this.positionIn(part, name);
    if (at < part.count && this.named.compare(part.ids[at] ?? 0, name) === 0) return false;
    if (part.count === maxIds) {
      this.split(place, at);
      return this.add(id, name);
    }
    if (part.count === part.ids.length) part.ids = resized(part.ids, Math.min(maxIds, part.count * 2));
    part.ids.copyWithin(at + 1, at, part.count);
    part.ids[at] = id;
    part.count += 1;
    this.counted(1);
    return true;
  }

  /** @param id its name comes behind all others, or it is the last one: then nothing changes */
  append(id: number): void {
    let part = this.parts[this.parts.length - 1];
    if (part && part.ids[part.count - 1] === id) return;
    if (!part || part.count === maxIds) {
      part = { ids: new Int32Array(firstIds), count: 0 };
      this.parts.push(part);
    }
    if (part.count === part.ids.length) part.ids = resized(part.ids, Math.min(maxIds, part.count * 2));
    part.ids[part.count] = id;
    part.count += 1;
    this.counted(1);
  }

  delete(name: string): boolean {
    const place = Math.max(0, this.partOf(name));
    const part = this.parts[place];
    if (!part) return false;
    const at = this.positionIn(part, name);
    if (at === part.count || this.named.compare(part.ids[at] ?? 0, name) !== 0) return false;
    part.ids.copyWithin(at, at + 1, part.count);
    part.count -= 1;
    if (part.count === 0) this.parts.splice(place, 1);
    else this.merge(place);
    this.counted(-1);
    return true;
  }

  *from(name: string, skips?: (id: number) => boolean): Generator<string> {
    for (const id of this.idsFrom(name, skips)) yield this.named.nameOf(id);
  }

  /** What is added or deleted in between does not disturb: each step goes on behind the last id's name. */
  *idsFrom(name: string, skips?: (id: number) => boolean): Generator<number> {
    let place = Math.max(0, this.partOf(name));
    const first = this.parts[place];
    let at = first ? this.positionIn(first, name) : 0;
    let seen = this.changes;
    for (let part = first; part; part = this.parts[place]) {
      if (at >= part.count) {
        place += 1;
        at = 0;
        continue;
      }
      const id = part.ids[at] ?? 0;
      if (skips?.(id)) {
        at += 1;
        continue;
      }
      const last = this.named.nameOf(id);
      yield id;
      at += 1;
      if (seen === this.changes) continue;
      seen = this.changes;
      place = Math.max(0, this.partOf(last));
      const now = this.parts[place];
      at = now ? this.positionIn(now, last) : 0;
      const there = now?.ids[at];
      if (there !== undefined && now && at < now.count && this.named.compare(there, last) === 0) at += 1;
    }
  }

  private counted(step: number): void {
    this.count += step;
    this.changes += 1;
  }

  /** The last part that begins at `name` or before; -1 where all begin behind it. */
  private partOf(name: string): number {
    const end = this.parts.length - 1;
    // Names often come in order, at a start even all of them.
    if (end >= 0 && this.named.compare(this.parts[end]?.ids[0] ?? 0, name) <= 0) return end;
    let low = 0;
    let high = Math.max(0, end);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.named.compare(this.parts[middle]?.ids[0] ?? 0, name) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Of the first id whose name is `name` or comes behind it. */
  private positionIn({ ids, count }: Part, name: string): number {
    if (count > 0 && this.named.compare(ids[count - 1] ?? 0, name) < 0) return count;
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.named.compare(ids[middle] ?? 0, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Behind the last of all nothing moves: names that come in order fill each part. */
  private split(place: number, at: number): void {
    const part = this.parts[place];
    if (!part) return;
    const cut = place === this.parts.length - 1 && at === maxIds ? maxIds - 1 : maxIds >>> 1;
    const rest = resized(part.ids.subarray(cut, part.count), maxIds);
    this.parts.splice(place + 1, 0, { ids: rest, count: part.count - cut });
    part.count = cut;
  }

  /** Two small neighbours become one. */
  private merge(place: number): void {
    const [part, next] = [this.parts[place], this.parts[place + 1]];
    if (!part || !next || part.count + next.count > maxIds >>> 1) return;
    const ids = resized(part.ids.subarray(0, part.count), maxIds);
    ids.set(next.ids.subarray(0, next.count), part.count);
    this.parts.splice(place, 2, { ids, count: part.count + next.count });
  }
}

function resized(ids: Int32Array, length: number): Int32Array {
  const made = new Int32Array(length);
  made.set(ids);
  return made;
}

/** Ids by a common property, such as a label or a network. */
export class IdGroups<Group> {
  /** A single id, as with labels that are unique, needs no array. */
  private readonly groups = new Map<Group, number | SortedIds>();

  constructor(private readonly named: Named) {}

  add(group: Group, id: number, name: string): void {
    const ids = this.groups.get(group);
    if (ids === undefined) this.groups.set(group, id);
    else if (typeof ids === "object") ids.add(id, name);
    else if (ids !== id) {
      const made = new SortedIds(this.named);
      made.add(ids, this.named.nameOf(ids));
      made.add(id, name);
      this.groups.set(group, made);
    }
  }

  /** @param id its name comes behind all others of the group, or it is the last one */
  append(group: Group, id: number): void {
    const ids = this.groups.get(group);
    if (ids === undefined) this.groups.set(group, id);
    else if (typeof ids === "object") ids.append(id);
    else if (ids !== id) {
      const made = new SortedIds(this.named);
      made.append(ids);
      made.append(id);
      this.groups.set(group, made);
    }
  }

  delete(group: Group, id: number, name: string): void {
    const ids = this.groups.get(group);
    if (ids === id || (typeof ids === "object" && ids.delete(name) && ids.size === 0)) this.groups.delete(group);
  }

  in(group: Group): Names & { idsFrom(name: string): Iterable<number> } {
    const ids = this.groups.get(group);
    if (typeof ids === "object") return ids;
    if (ids === undefined) return { size: 0, from: () => [], idsFrom: () => [] };
    const name = this.named.nameOf(ids);
    return {
      size: 1,
      from: (first, skips) => (byName(name, first) >= 0 && !skips?.(ids) ? [name] : []),
      idsFrom: (first) => (byName(name, first) >= 0 ? [ids] : []),
    };
  }
}
