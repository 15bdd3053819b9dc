// VMs as rows: what `Vm` has, in about 350 bytes with all indexes. Objects are made when they are read.
import type { Revision } from "../../../schema/address/index.ts";
import type { InterfaceSpec, Vm } from "../../../schema/rest/index.ts";
import type { Labels } from "../named-index.ts";
import { Chains } from "./chains.ts";
import { HashIndex } from "./hash-index.ts";
import { hashOfBytes, hashOfText } from "./hashing.ts";
import { InterfaceRows, type Surroundings } from "./interface-rows.ts";
import { internedJson, internedTexts } from "./interned.ts";
import { type PackedVm, packedInterface } from "./packed-vm.ts";
import { none, Rows } from "./rows.ts";
import type { Named } from "./sorted-ids.ts";
import { TextArena } from "./text-arena.ts";
import { formatUuid, readUuid } from "./uuid-words.ts";

const nameStart = 0;
const nameLength = 1;
const revisionLow = 2;
/** Above the revision: whether the uid is a text. */
const revisionHigh = 3;
/** Four fields: its bytes, or the id of its text. */
const uid = 4;
const onHost = 8;
const preparedHost = 9;
const labelSet = 10;
const description = 11;
const firstInterface = 12;
const owners = 13;
const previousOnHost = 14;
const nextOnHost = 15;
const fields = 16;

const hasTextUid = 1 << 30;
/** Objects of VMs that are kept, by the last bits of their ids: one is often read several times in a row. */
const keptVms = 256;

/** Hosts by id, beside the networks. */
export interface Neighbourhood extends Surroundings {
  retainHost(name: string): number;
  releaseHost(id: number): void;
  hostName(id: number): string;
}

export class VmRows implements Named {
  readonly interfaces: InterfaceRows;
  private readonly rows = new Rows(fields);
  private readonly names = new TextArena();
  private readonly byName = new HashIndex();
  private readonly uids = internedTexts();
  private readonly descriptions = internedTexts();
  private readonly labels = internedJson<Labels>();
  private readonly ownerLists = internedJson<readonly string[]>();
  private readonly hosts = new Chains(this.rows, previousOnHost, nextOnHost);
  private readonly prepared = new Map<number, Set<number>>();
  private readonly kept: (Vm | undefined)[] = [];
  private readonly uidWords: [number, number, number, number] = [0, 0, 0, 0];

  constructor(private readonly around: Neighbourhood) {
    this.interfaces = new InterfaceRows(around);
  }

  get size(): number {
    return this.rows.size;
  }

  find(name: string, hash = hashOfText(name)): number {
    for (let id = this.byName.first(hash); id !== none; id = this.byName.next()) {
      if (this.compare(id, name) === 0) return id;
    }
    return none;
  }

  nameOf(id: number): string {
    return this.names.get(this.rows.get(id, nameStart), this.rows.get(id, nameLength));
  }

  compare(id: number, name: string): number {
    return this.names.compare(this.rows.get(id, nameStart), this.rows.get(id, nameLength), name);
  }

  hostOf(id: number): number {
    return this.rows.get(id, onHost);
  }

  revisionOf(id: number): Revision {
    return ((this.rows.get(id, revisionHigh) & ~hasTextUid) * 2 ** 32 +
      (this.rows.get(id, revisionLow) >>> 0)) as Revision;
  }

  setRevision(id: number, revision: Revision): void {
    this.rows.set(id, revisionLow, revision | 0);
    this.rows.set(id, revisionHigh, (this.rows.get(id, revisionHigh) & hasTextUid) | Math.floor(revision / 2 ** 32));
    this.kept[id % keptVms] = undefined;
  }

  /** VMs that run on the host. */
  on(host: number): Iterable<number> {
    return this.hosts.in(host);
  }

  countOn(host: number): number {
    return this.hosts.size(host);
  }

  /** For another host than its own. */
  isPrepared(id: number): boolean {
    return this.rows.get(id, preparedHost) !== none;
  }

  preparedOn(host: number): Iterable<number> {
    return this.prepared.get(host) ?? [];
  }

  *interfacesOf(id: number): Generator<number> {
    for (let each = this.rows.get(id, firstInterface); each !== none; each = this.interfaces.following(each))
      yield each;
  }

  get(id: number): Vm {
    const known = this.kept[id % keptVms];
    if (known && this.compare(id, known.name) === 0) return known;
    const vm = this.read(id);
    this.kept[id % keptVms] = vm;
    return vm;
  }

  /** The fields of a VM that is not there yet, or that `clear` has left with its name alone. @returns its id */
  put(vm: Vm): number {
    const id = this.reach(vm.name);
    const host = this.around.retainHost(vm.host);
    const target = vm.preparedHost === undefined ? none : this.around.retainHost(vm.preparedHost);
    this.rows.set(id, revisionHigh, 0);
    this.setRevision(id, vm.revision);
    this.putUid(id, vm.uid);
    this.rows.set(id, onHost, host);
    this.rows.set(id, preparedHost, target);
    this.rows.set(id, labelSet, this.labels.retain(isEmpty(vm.labels) ? undefined : vm.labels));
    this.rows.set(id, description, this.descriptions.retain(vm.description === "" ? undefined : vm.description));
    this.rows.set(id, owners, this.ownerLists.retain(vm.ownerNetworks));
    this.hosts.append(host, id);
    if (target !== none) this.prepare(target, id);
    const places = this.placesOf(id);
    let behind: number = none;
    this.rows.set(id, firstInterface, none);
    for (const each of vm.interfaces) {
      const made = this.interfaces.add(id, places, each, behind);
      if (behind === none) this.rows.set(id, firstInterface, made);
      behind = made;
    }
    this.kept[id % keptVms] = undefined;
    return id;
  }

  /** As `put` of a VM that is not there yet. @param host and @param networks, of its interfaces, were retained for it */
  putPacked(vm: PackedVm, host: number, networks: Int32Array): number {
    const { bytes, nameStart: from, nameEnd: to } = vm;
    const id = this.rows.add();
    const row = this.rows.block(id);
    const at = this.rows.offset(id);
    row[at + nameStart] = this.names.addBytes(bytes, from, to);
    row[at + nameLength] = to - from;
    this.byName.add(hashOfBytes(bytes, from, to), id);
    row[at + revisionLow] = vm.revision | 0;
    row[at + revisionHigh] = Math.floor(vm.revision / 2 ** 32);
    for (let i = 0; i < 4; i++) row[at + uid + i] = vm.uid[i] ?? 0;
    row[at + onHost] = host;
    row[at + preparedHost] = none;
    row[at + labelSet] = this.labels.retainBytes(bytes, vm.labelsStart, vm.labelsEnd);
    row[at + description] = this.descriptions.retainBytes(bytes, vm.descriptionStart, vm.descriptionEnd);
    row[at + firstInterface] = none;
    row[at + owners] = none;
    this.hosts.append(host, id);
    let behind: number = none;
    let ip = 0;
    for (let i = 0; i < vm.interfaceCount; i++) {
      const each = i * packedInterface.fields;
      const made = this.interfaces.addPacked(id, host, vm, each, ip, networks[i] ?? none, behind);
      if (behind === none) row[at + firstInterface] = made;
      behind = made;
      ip += 4 * (vm.interfaces[each + packedInterface.ipCount] ?? 0);
    }
    this.kept[id % keptVms] = undefined;
    return id;
  }

  labelsOf(id: number): Labels {
    return this.labels.get(this.rows.get(id, labelSet)) ?? noLabels;
  }

  /** Nothing is found from here to `endFilling`. */
  startFilling(): void {
    this.byName.collect();
    this.interfaces.startFilling();
  }

  endFilling(): void {
    this.byName.build();
    this.interfaces.endFilling();
  }

  /** All but its name: `put` or `delete` follows. */
  clear(id: number): void {
    const places = this.placesOf(id);
    for (let each = this.rows.get(id, firstInterface); each !== none; ) {
      const next = this.interfaces.following(each);
      this.interfaces.delete(each, places);
      each = next;
    }
    const [host = none, target = none] = places;
    this.hosts.remove(host, id);
    if (target !== none) this.unprepare(target, id);
    if ((this.rows.get(id, revisionHigh) & hasTextUid) !== 0) this.uids.release(this.rows.get(id, uid));
    this.labels.release(this.rows.get(id, labelSet));
    this.descriptions.release(this.rows.get(id, description));
    this.ownerLists.release(this.rows.get(id, owners));
    for (const place of places) this.around.releaseHost(place);
    for (const field of emptied) this.rows.set(id, field, none);
    this.kept[id % keptVms] = undefined;
  }

  /** @param id of a VM that was cleared */
  delete(id: number): void {
    const [start, length] = [this.rows.get(id, nameStart), this.rows.get(id, nameLength)];
    this.byName.delete(this.names.hash(start, length), id);
    this.names.delete(start, length);
    this.rows.delete(id);
  }

  private read(id: number): Vm {
    const target = this.rows.get(id, preparedHost);
    const ownerNetworks = this.ownerLists.get(this.rows.get(id, owners));
    const interfaces: InterfaceSpec[] = [];
    for (let each = this.rows.get(id, firstInterface); each !== none; each = this.interfaces.following(each)) {
      interfaces.push(this.interfaces.get(each));
    }
    const vm: Vm = {
      name: this.nameOf(id),
      host: this.around.hostName(this.hostOf(id)),
      interfaces,
      labels: this.labelsOf(id),
      description: this.descriptions.get(this.rows.get(id, description)) ?? "",
      uid: this.uidOf(id),
      revision: this.revisionOf(id),
    };
    // Most VMs have neither.
    if (target === none && !ownerNetworks) return vm;
    return {
      ...vm,
      ...(target === none ? {} : { preparedHost: this.around.hostName(target) }),
      ...(ownerNetworks ? { ownerNetworks } : {}),
    };
  }

  private reach(name: string): number {
    const hash = hashOfText(name);
    const known = this.find(name, hash);
    if (known !== none) return known;
    const id = this.rows.add();
    const { start, length } = this.names.add(name);
    this.rows.set(id, nameStart, start);
    this.rows.set(id, nameLength, length);
    this.byName.add(hash, id);
    return id;
  }

  /** Where it runs, and where it is about to. */
  private placesOf(id: number): number[] {
    const target = this.rows.get(id, preparedHost);
    return target === none ? [this.hostOf(id)] : [this.hostOf(id), target];
  }

  private prepare(target: number, id: number): void {
    const vms = this.prepared.get(target);
    if (vms) vms.add(id);
    else this.prepared.set(target, new Set([id]));
  }

  private unprepare(target: number, id: number): void {
    const vms = this.prepared.get(target);
    if (vms?.delete(id) && vms.size === 0) this.prepared.delete(target);
  }

  /** A uid that is not a UUID is kept as text. */
  private putUid(id: number, text: string): void {
    if (readUuid(text, this.uidWords)) {
      for (let i = 0; i < 4; i++) this.rows.set(id, uid + i, this.uidWords[i] ?? 0);
      return;
    }
    this.rows.set(id, uid, this.uids.retain(text));
    this.rows.set(id, revisionHigh, this.rows.get(id, revisionHigh) | hasTextUid);
  }

  private uidOf(id: number): string {
    const { rows } = this;
    if ((rows.get(id, revisionHigh) & hasTextUid) !== 0) return this.uids.get(rows.get(id, uid)) ?? "";
    return formatUuid(rows.get(id, uid), rows.get(id, uid + 1), rows.get(id, uid + 2), rows.get(id, uid + 3));
  }
}

/** In a row that has only its name. */
const emptied = [onHost, preparedHost, labelSet, description, firstInterface, owners];
const noLabels: Labels = {};

function isEmpty(labels: Labels): boolean {
  for (const _ in labels) return false;
  return true;
}
