// Interfaces and their addresses as rows, found by address, by port and by parent.
import {
  type IpAddress,
  type IpWords,
  ipToWords,
  type MacAddress,
  type MacWords,
  macToWords,
  wordsToIp,
  wordsToMac,
} from "../../../schema/address/index.ts";
import type { InterfaceSpec } from "../../../schema/rest/index.ts";
import { AllowedLists } from "./allowed-lists.ts";
import { Chains } from "./chains.ts";
import { HashIndex } from "./hash-index.ts";
import { hashOfWords } from "./hashing.ts";
import { internedTexts } from "./interned.ts";
import { type PackedVm, packedInterface as packed } from "./packed-vm.ts";
import { none, Rows } from "./rows.ts";

const owner = 0;
const inNetwork = 1;
/** The upper 16 bits of the MAC address, and above them what `router` is. */
const macHigh = 2;
const macLow = 3;
const interfaceName = 4;
const interfacePort = 5;
const interfaceParent = 6;
const nextOfVm = 7;
const firstAddress = 8;
const previousInNetwork = 9;
const nextInNetwork = 10;
const interfaceFields = 11;

/** The first four fields are the address. */
const addressOwner = 4;
const nextAddress = 5;
const addressFields = 6;

const highBits = 0xffff;
const isRouter = 1 << 16;
const isNoRouter = 1 << 17;

/** What interfaces refer to by id. */
export interface Surroundings {
  retainNetwork(name: string): number;
  releaseNetwork(id: number): void;
  networkName(id: number): string;
}

export class InterfaceRows {
  private readonly rows = new Rows(interfaceFields);
  private readonly addresses = new Rows(addressFields);
  private readonly names = internedTexts();
  private readonly ports = internedTexts();
  private readonly parents = internedTexts();
  private readonly byMac = new HashIndex();
  private readonly byIp = new HashIndex();
  /** By port and host: more than one where an earlier version took them. */
  private readonly byPort = new HashIndex();
  /** Entries of `byPort`: an interface, and a host of its VM. */
  private readonly portEntries = new Rows(2);
  private readonly byParent = new Map<number, Set<number>>();
  private readonly allowed = new AllowedLists();
  private readonly networks = new Chains(this.rows, previousInNetwork, nextInNetwork);
  private readonly addressCounts = new Map<number, number>();
  private readonly soughtMac: MacWords = [0, 0];
  private readonly soughtIp: IpWords = [0, 0, 0, 0];

  constructor(private readonly around: Surroundings) {}

  /** @param hosts where its frames may be. @param behind the interface of the VM before it. @returns its id */
  add(vm: number, hosts: readonly number[], each: InterfaceSpec, behind: number): number {
    const id = this.rows.add();
    const network = this.around.retainNetwork(each.network);
    const [high, low] = macToWords(each.mac, this.soughtMac);
    this.rows.set(id, owner, vm);
    this.rows.set(id, inNetwork, network);
    this.rows.set(id, macHigh, high | routerBits(each.router));
    this.rows.set(id, macLow, low);
    this.rows.set(id, interfaceName, this.names.retain(each.name));
    this.rows.set(id, interfacePort, this.ports.retain(each.port));
    this.rows.set(id, interfaceParent, this.parents.retain(each.parent));
    this.rows.set(id, nextOfVm, none);
    this.rows.set(id, firstAddress, none);
    if (behind !== none) this.rows.set(behind, nextOfVm, id);
    this.networks.append(network, id);
    this.byMac.add(this.macHash(id), id);
    this.addAddresses(id, network, each.ips);
    if (each.port !== undefined) for (const host of hosts) this.addPort(id, host);
    if (each.parent !== undefined) this.addChild(this.rows.get(id, interfaceParent), id);
    if (each.allowedAddresses) this.allowed.add(id, network, each.allowedAddresses);
    return id;
  }

  /**
   * As `add` of an interface of a VM that is on one host.
   * @param at where its fields begin in the record. @param ip its first address there, in words. @param network was retained for it
   */
  addPacked(
    owningVm: number,
    host: number,
    vm: PackedVm,
    at: number,
    ip: number,
    network: number,
    behind: number,
  ): number {
    const { bytes, interfaces: from } = vm;
    const id = this.rows.add();
    const row = this.rows.block(id);
    const to = this.rows.offset(id);
    const high = from[at + packed.macHigh] ?? 0;
    const low = from[at + packed.macLow] ?? 0;
    const name = this.names.retainBytes(bytes, from[at + packed.nameStart] ?? 0, from[at + packed.nameEnd] ?? 0);
    const port = this.ports.retainBytes(bytes, from[at + packed.portStart] ?? 0, from[at + packed.portEnd] ?? 0);
    const parent = this.parents.retainBytes(
      bytes,
      from[at + packed.parentStart] ?? 0,
      from[at + packed.parentEnd] ?? 0,
    );
    row[to + owner] = owningVm;
    row[to + inNetwork] = network;
    row[to + macHigh] = high | (packedRouterBits[from[at + packed.router] ?? 0] ?? 0);
    row[to + macLow] = low;
    row[to + interfaceName] = name;
    row[to + interfacePort] = port;
    row[to + interfaceParent] = parent;
    row[to + nextOfVm] = none;
    if (behind !== none) this.rows.set(behind, nextOfVm, id);
    this.networks.append(network, id);
    this.byMac.add(hashOfWords(network, high, low), id);
    row[to + firstAddress] = this.addPackedAddresses(id, network, vm.ips, ip, from[at + packed.ipCount] ?? 0);
    if (port !== none) this.addPort(id, host);
    if (parent !== none) this.addChild(parent, id);
    return id;
  }

  /** Indexes find nothing from here to `endFilling`. */
  startFilling(): void {
    for (const index of [this.byMac, this.byIp, this.byPort]) index.collect();
  }

  endFilling(): void {
    for (const index of [this.byMac, this.byIp, this.byPort]) index.build();
  }

  /** @param hosts as of `add` */
  delete(id: number, hosts: readonly number[]): void {
    const network = this.networkOf(id);
    this.byMac.delete(this.macHash(id), id);
    this.networks.remove(network, id);
    this.deleteAddresses(id, network);
    const port = this.rows.get(id, interfacePort);
    if (port !== none) for (const host of hosts) this.deletePort(id, port, host);
    const parent = this.rows.get(id, interfaceParent);
    if (parent !== none) this.deleteChild(parent, id);
    this.allowed.delete(id, network);
    this.names.release(this.rows.get(id, interfaceName));
    this.ports.release(port);
    this.parents.release(parent);
    this.around.releaseNetwork(network);
    this.rows.delete(id);
  }

  get(id: number): InterfaceSpec {
    const port = this.portOf(id);
    const parent = this.parentOf(id);
    const router = this.routerOf(id);
    const name = this.nameOf(id);
    const network = this.around.networkName(this.networkOf(id));
    const mac = this.macOf(id);
    const ips = this.ipsOf(id);
    const allowedAddresses = this.allowed.of(id);
    if (parent === undefined && router === undefined && !allowedAddresses) {
      return port === undefined ? { name, network, mac, ips } : { name, network, mac, ips, port };
    }
    return {
      name,
      network,
      mac,
      ips,
      ...(port === undefined ? {} : { port }),
      ...(parent === undefined ? {} : { parent }),
      ...(router === undefined ? {} : { router }),
      ...(allowedAddresses ? { allowedAddresses } : {}),
    };
  }

  allowedOf(id: number): InterfaceSpec["allowedAddresses"] {
    return this.allowed.of(id);
  }

  /** Interfaces in the network that may take the address. */
  allowing(network: number, ip: IpAddress): Iterable<number> {
    return this.allowed.allowing(network, ip);
  }

  /** Interfaces in the network that may take addresses. */
  allowingIn(network: number): Iterable<number> {
    return this.allowed.in(network);
  }

  vmOf(id: number): number {
    return this.rows.get(id, owner);
  }

  networkOf(id: number): number {
    return this.rows.get(id, inNetwork);
  }

  nameOf(id: number): string {
    return this.names.get(this.rows.get(id, interfaceName)) ?? "";
  }

  macOf(id: number): MacAddress {
    return wordsToMac(this.rows.get(id, macHigh) & highBits, this.rows.get(id, macLow));
  }

  portOf(id: number): string | undefined {
    return this.ports.get(this.rows.get(id, interfacePort));
  }

  parentOf(id: number): string | undefined {
    return this.parents.get(this.rows.get(id, interfaceParent));
  }

  routerOf(id: number): boolean | undefined {
    const bits = this.rows.get(id, macHigh);
    return (bits & isRouter) !== 0 ? true : (bits & isNoRouter) !== 0 ? false : undefined;
  }

  ipsOf(id: number): IpAddress[] {
    const { addresses } = this;
    const ips: IpAddress[] = [];
    for (let at = this.rows.get(id, firstAddress); at !== none; at = addresses.get(at, nextAddress)) {
      ips.push(wordsToIp(addresses.get(at, 0), addresses.get(at, 1), addresses.get(at, 2), addresses.get(at, 3)));
    }
    return ips;
  }

  /** The next interface of the same VM, or `none`. */
  following(id: number): number {
    return this.rows.get(id, nextOfVm);
  }

  /** The interface with the MAC in the network, or `none`. */
  findByMac(network: number, mac: MacAddress): number {
    const [high, low] = macToWords(mac, this.soughtMac);
    for (let id = this.byMac.first(hashOfWords(network, high, low)); id !== none; id = this.byMac.next()) {
      if (this.rows.get(id, macLow) !== low || (this.rows.get(id, macHigh) & highBits) !== high) continue;
      if (this.rows.get(id, inNetwork) === network) return id;
    }
    return none;
  }

  findByIp(network: number, ip: IpAddress): number {
    const [a, b, c, d] = ipToWords(ip, this.soughtIp);
    for (let id = this.byIp.first(hashOfWords(network, a, b, c, d)); id !== none; id = this.byIp.next()) {
      const address = this.addresses.block(id);
      const at = this.addresses.offset(id);
      if (address[at + 3] !== d || address[at + 2] !== c || address[at + 1] !== b || address[at] !== a) continue;
      const found = address[at + addressOwner] ?? none;
      if (this.rows.get(found, inNetwork) === network) return found;
    }
    return none;
  }

  /** In order of their ids. */
  findByPort(host: number, port: string): number[] {
    const sought = this.ports.find(port);
    if (sought === none) return [];
    const found: number[] = [];
    for (let entry = this.byPort.first(hashOfWords(sought, host)); entry !== none; entry = this.byPort.next()) {
      const id = this.portEntries.get(entry, 0);
      if (this.portEntries.get(entry, 1) === host && this.rows.get(id, interfacePort) === sought) found.push(id);
    }
    return found.sort((a, b) => a - b);
  }

  /** @param parent as `InterfaceSpec` names it */
  childrenOf(parent: string): Iterable<number> {
    return this.byParent.get(this.parents.find(parent)) ?? [];
  }

  in(network: number): Iterable<number> {
    return this.networks.in(network);
  }

  addressesIn(network: number): number {
    return this.addressCounts.get(network) ?? 0;
  }

  private addAddresses(id: number, network: number, ips: readonly IpAddress[]): void {
    let behind: number = none;
    for (const ip of ips) {
      const [a, b, c, d] = ipToWords(ip, this.soughtIp);
      const at = this.addresses.add();
      this.addresses.set(at, 0, a);
      this.addresses.set(at, 1, b);
      this.addresses.set(at, 2, c);
      this.addresses.set(at, 3, d);
      this.addresses.set(at, addressOwner, id);
      this.addresses.set(at, nextAddress, none);
      if (behind === none) this.rows.set(id, firstAddress, at);
      else this.addresses.set(behind, nextAddress, at);
      this.byIp.add(hashOfWords(network, a, b, c, d), at);
      behind = at;
    }
    this.countAddresses(network, ips.length);
  }

  /** @returns the first of them, or `none` */
  private addPackedAddresses(id: number, network: number, words: Int32Array, from: number, count: number): number {
    let behind: number = none;
    let first: number = none;
    for (let i = 0; i < count; i++) {
      const a = words[from + 4 * i] ?? 0;
      const b = words[from + 4 * i + 1] ?? 0;
      const c = words[from + 4 * i + 2] ?? 0;
      const d = words[from + 4 * i + 3] ?? 0;
      const at = this.addresses.add();
      const row = this.addresses.block(at);
      const to = this.addresses.offset(at);
      row[to] = a;
      row[to + 1] = b;
      row[to + 2] = c;
      row[to + 3] = d;
      row[to + addressOwner] = id;
      row[to + nextAddress] = none;
      if (behind === none) first = at;
      else this.addresses.set(behind, nextAddress, at);
      this.byIp.add(hashOfWords(network, a, b, c, d), at);
      behind = at;
    }
    this.countAddresses(network, count);
    return first;
  }

  private deleteAddresses(id: number, network: number): void {
    let count = 0;
    for (let at = this.rows.get(id, firstAddress); at !== none; count++) {
      const next = this.addresses.get(at, nextAddress);
      this.byIp.delete(this.addressHash(at), at);
      this.addresses.delete(at);
      at = next;
    }
    this.countAddresses(network, -count);
  }

  private countAddresses(network: number, step: number): void {
    const count = this.addressesIn(network) + step;
    if (count === 0) this.addressCounts.delete(network);
    else this.addressCounts.set(network, count);
  }

  private addPort(id: number, host: number): void {
    const entry = this.portEntries.add();
    this.portEntries.set(entry, 0, id);
    this.portEntries.set(entry, 1, host);
    this.byPort.add(this.portHash(entry), entry);
  }

  private deletePort(id: number, port: number, host: number): void {
    const hash = hashOfWords(port, host);
    for (let entry = this.byPort.first(hash); entry !== none; entry = this.byPort.next()) {
      if (this.portEntries.get(entry, 0) !== id || this.portEntries.get(entry, 1) !== host) continue;
      this.byPort.delete(hash, entry);
      this.portEntries.delete(entry);
      return;
    }
  }

  private addChild(parent: number, id: number): void {
    const children = this.byParent.get(parent);
    if (children) children.add(id);
    else this.byParent.set(parent, new Set([id]));
  }

  private deleteChild(parent: number, id: number): void {
    const children = this.byParent.get(parent);
    if (children?.delete(id) && children.size === 0) this.byParent.delete(parent);
  }

  private macHash(id: number): number {
    return hashOfWords(this.networkOf(id), this.rows.get(id, macHigh) & highBits, this.rows.get(id, macLow));
  }

  private addressHash(at: number): number {
    const { addresses } = this;
    const network = this.networkOf(addresses.get(at, addressOwner));
    return hashOfWords(network, addresses.get(at, 0), addresses.get(at, 1), addresses.get(at, 2), addresses.get(at, 3));
  }

  private portHash(entry: number): number {
    return hashOfWords(this.rows.get(this.portEntries.get(entry, 0), interfacePort), this.portEntries.get(entry, 1));
  }
}

/** By `packed.router`. */
const packedRouterBits = [0, isNoRouter, isRouter];
const routerBits = (router: boolean | undefined): number => (router === undefined ? 0 : router ? isRouter : isNoRouter);
