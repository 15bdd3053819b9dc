// Stored VMs that are read without objects, against the same VMs one by one: from the rows of a database to all that can be asked
// of the inventory.
import Database from "better-sqlite3";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { PackedVm, packedInterface } from "../../controller/inventory/packed/packed-vm.ts";
import { none } from "../../controller/inventory/packed/rows.ts";
import { migrate, readMigrations } from "../../controller/store/sqlite/migrations.ts";
import { toVmRow, type VmRow, vmColumns } from "../../controller/store/sqlite/rows.ts";
import { VmScan } from "../../controller/store/sqlite/vm-scan.ts";
import { VmText } from "../../controller/store/sqlite/vm-text.ts";
import { findIp, type IpAddress, ipToWords } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Vm } from "../../schema/rest/index.ts";
import { ip, mac, rev } from "../support/addresses.ts";
import { aVm, world } from "../support/arbitrary-vms.ts";
import { contentsOf } from "../support/inventory-contents.ts";
import { runs } from "../support/property-runs.ts";

const database = (): Database.Database => {
  const db = new Database(":memory:");
  migrate(db, "test.db", readMigrations());
  db.pragma("foreign_keys = OFF");
  return db;
};
const columns = vmColumns.split(", ") as (keyof VmRow)[];

function insert(db: Database.Database, rows: readonly VmRow[]): void {
  const statement = db.prepare(`INSERT INTO vms (${vmColumns}) VALUES (${columns.map(() => "?").join(", ")})`);
  for (const row of rows) statement.run(columns.map((column) => row[column]));
}

function filledFrom(db: Database.Database) {
  const inventory = new CommittedInventory();
  const filling = inventory.startFilling();
  const read = { packed: 0, objects: [] as string[] };
  new VmScan(db).read(
    (vm) => {
      read.objects.push(vm.name);
      filling.add(vm);
    },
    (vm) => {
      read.packed += 1;
      filling.addPacked(vm);
    },
  );
  filling.end();
  return { inventory, ...read };
}

const inOrder = (vms: readonly Vm[]) => [...vms].sort((a, b) => (a.name < b.name ? -1 : 1));
const asAdded = (vms: readonly Vm[]) => CommittedInventory.of({ networks: [], hosts: [], vms });
/** Networks and hosts are there, so that addresses and VTEPs are answered; nothing else of them is asked. */
const removal = (vm: Vm): ResourceChange => ({ kind: "vm", before: vm, after: null });

/** What goes through the fast way: everything but what few VMs have. */
const isPlain = ({ preparedHost, ownerNetworks, description, uid }: Vm): boolean =>
  preparedHost === undefined &&
  ownerNetworks === undefined &&
  /^[ -~]*$/.test(description) &&
  /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/.test(uid);

/** As `decide` makes them: of addresses that two VMs have, an index may name either. */
const withOwnAddresses = (vms: readonly Vm[]): Vm[] => {
  const taken = new Set<string>();
  return vms.filter((vm) => {
    const addresses = vm.interfaces.flatMap(({ network, mac, ips }) => [mac, ...ips].map((at) => `${network} ${at}`));
    const isFree = new Set(addresses).size === addresses.length && !addresses.some((at) => taken.has(at));
    if (isFree) for (const at of addresses) taken.add(at);
    return isFree;
  });
};
/** SQLite's texts are UTF-8, which has no lone surrogates. Three of four have nothing that few VMs have. */
const storable = ({ preparedHost, ownerNetworks, ...vm }: Vm, n: number): Vm => {
  const uid = vm.uid.replace(/.$/, `${n}`);
  const description = Buffer.from(vm.description).toString();
  if (n % 4 < 3) {
    const plain = description.replace(/[^ -~]/g, "?");
    return { ...vm, uid: `00000000-89ab-4cde-8f01-23456789abc${n}`, description: plain };
  }
  return {
    ...vm,
    uid,
    description,
    ...(preparedHost === undefined ? {} : { preparedHost }),
    ...(ownerNetworks === undefined ? {} : { ownerNetworks }),
  };
};
const someVms = fc
  .uniqueArray(aVm, { maxLength: 6, selector: ({ name }) => name })
  .map((vms) => inOrder(withOwnAddresses(vms)).map(storable));

test("an inventory that is filled from a database answers as one to which each VM was added, also after changes", () =>
  fc.assert(
    fc.property(someVms, fc.infiniteStream(fc.boolean()), (vms, isRemoved) => {
      const db = database();
      insert(db, vms.map(toVmRow));
      const { inventory, packed, objects } = filledFrom(db);
      db.close();
      expect(objects).toEqual(vms.filter((vm) => !isPlain(vm)).map(({ name }) => name));
      expect(packed).toBe(vms.filter(isPlain).length);
      const model = asAdded(vms);
      expect(contentsOf(inventory, world)).toEqual(contentsOf(model, world));
      for (const vm of vms) {
        if (!isRemoved.next().value) continue;
        for (const each of [inventory, model]) each.apply([removal(vm)]);
        expect(contentsOf(inventory, world)).toEqual(contentsOf(model, world));
        const moved = { ...vm, host: "c" };
        for (const each of [inventory, model]) each.apply([{ kind: "vm", before: null, after: moved }]);
        expect(contentsOf(inventory, world)).toEqual(contentsOf(model, world));
      }
      const left = inventory.listVms().map(removal);
      for (const each of [inventory, model]) each.apply(left);
      expect(contentsOf(inventory, world)).toEqual(contentsOf(model, world));
      expect([inventory.vms.size, ...tablesOf(inventory)]).toEqual([0, 0, 0, 0]);
    }),
    { numRuns: runs(150) },
  ));

/** What is left of names that VMs refer to. */
function tablesOf(inventory: CommittedInventory): number[] {
  const { vms, hostPlaces, networkPlaces } = inventory.base;
  return [
    vms.size,
    ...[hostPlaces, networkPlaces].map(
      (places) => world.hosts.concat(world.networks).filter((name) => places.find(name) !== none).length,
    ),
  ];
}

const numbered = (n: number): Vm => ({
  name: `vm-${n}`,
  host: `host-${n % 17}`,
  interfaces: [
    {
      name: "eth0",
      network: `net-${n % 5}`,
      mac: mac(`52:54:00:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`),
      ips: [ip(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`), ip(`fd00::${(n + 1).toString(16)}`)],
      port: `tap${n % 100}`,
    },
  ],
  labels: n % 3 === 0 ? { tier: n % 2 === 0 ? "web" : "db" } : {},
  description: n % 1_000 === 7 ? "größer" : "",
  uid: `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`,
  revision: rev(2 ** 31 + n),
});

test("thousands of VMs are read in parts, each once and in order, those between them that need an object too", () => {
  const db = database();
  const vms = Array.from({ length: 5_000 }, (_, n) => numbered(n));
  insert(db, vms.map(toVmRow));
  const { inventory, packed, objects } = filledFrom(db);
  db.close();
  expect([packed, objects]).toEqual([4_995, ["vm-1007", "vm-2007", "vm-3007", "vm-4007", "vm-7"]]);
  expect(inventory.listVms()).toEqual(inOrder(vms));
  expect(inventory.vms.size).toBe(5_000);
  const model = asAdded(inOrder(vms));
  for (const [network] of vms.slice(0, 5).map((_, n) => [`net-${n}`] as const)) {
    expect([...inventory.vmNamesIn(network).from("")]).toEqual([...model.vmNamesIn(network).from("")]);
    expect([...inventory.hostsIn(network).keys()]).toEqual([...model.hostsIn(network).keys()]);
    expect(inventory.addressesIn(network).size).toBe(2_000);
  }
  expect([...inventory.vms.labelled("tier", "web").from("")]).toEqual([...model.vms.labelled("tier", "web").from("")]);
  for (const vm of vms) {
    expect(inventory.findVm(vm.name)).toEqual(vm);
    for (const { network, mac, ips } of vm.interfaces) {
      expect([
        ...ips.map((each) => inventory.findOwnerOfIp(network, each)),
        inventory.findOwnerOfMac(network, mac),
      ]).toEqual([vm.name, vm.name, vm.name]);
    }
  }
  inventory.apply(vms.map(removal));
  expect([inventory.vms.size, [...inventory.hostsIn("net-1").keys()]]).toEqual([0, []]);
});

test("a row whose JSON is damaged is an error, as is a VM that cannot be found again by its name", () => {
  for (const [change, message] of [
    [{ interfaces: '[{"name":' }, "JSON"],
    [{ name: "a\x1eb" }, "not what was written"],
    [{ name: "a\x1fb" }, "not what was written"],
    [{ host: "h\x1e" }, "not what was written"],
  ] as const) {
    const db = database();
    db.pragma("ignore_check_constraints = ON");
    insert(db, [toVmRow(numbered(1)), { ...toVmRow(numbered(2)), ...change }, toVmRow(numbered(3))]);
    expect(() => filledFrom(db)).toThrow(SyntaxError);
    expect(() => filledFrom(db)).toThrow(message);
    db.close();
  }
});

describe("the text of a VM", () => {
  const rowOf = (interfaces: string, { uid = numbered(1).uid, revision = "7", labels = "{}", description = "" } = {}) =>
    Buffer.from(["vm-1", uid, "host-1", revision, labels, description, interfaces].join("\x1f"));
  const read = (bytes: Uint8Array): PackedVm | undefined => {
    const vm = new PackedVm();
    const text = new VmText(vm);
    text.begin(bytes);
    return text.next() ? vm : undefined;
  };
  const whole = '{"name":"eth0","network":"blue","mac":"52:54:00:00:00:01","ips":[]}';

  test("has each IP address in the words of its canonical text, or is left to the ordinary way", () => {
    const byte = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 }));
    const bytes = (length: number) => fc.array(byte, { minLength: length, maxLength: length }).map(Buffer.from);
    const address = fc.oneof(bytes(4), bytes(16)).map(findIp);
    return fc.assert(
      fc.property(fc.array(address, { maxLength: 64 }), (some) => {
        const ips = some.filter((each): each is IpAddress => each !== undefined && !/:.*\./.test(each));
        const vm = read(rowOf(`[${whole.replace("[]", JSON.stringify(ips))}]`));
        expect([...(vm?.ips.subarray(0, 4 * ips.length) ?? [])]).toEqual(
          ips.flatMap((each) => ipToWords(each).map((word) => word | 0)),
        );
        expect(vm?.interfaces[packedInterface.ipCount]).toBe(ips.length);
      }),
      { numRuns: runs(300) },
    );
  });

  test.each([
    "10.0.0",
    "10.0.0.256",
    "10.0.0.01",
    "10.0.0.1.2",
    "10.0.0.",
    "a.0.0.1",
    "::1::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    ":1",
    "1:",
    "12345::",
    "FD00::1",
    "::ffff:1.2.3.4",
    "",
  ])("with the address %j is left to the ordinary way", (text) => {
    expect(read(rowOf(`[${whole.replace("[]", JSON.stringify([text]))}]`))).toBeUndefined();
  });

  test.each([
    ["a property twice", `[${whole.replace("}", ',"name":"eth1"}')}]`],
    ["an unknown property", `[${whole.replace("}", ',"mtu":"1"}')}]`],
    ["an empty name", `[${whole.replace("eth0", "")}]`],
    ["an escaped name", `[${whole.replace("eth0", "eth\\u0030")}]`],
    ["a name beyond ASCII", `[${whole.replace("eth0", "éth0")}]`],
    ["no name", `[${whole.replace('"name":"eth0",', "")}]`],
    ["no network", `[${whole.replace('"network":"blue",', "")}]`],
    ["no MAC", `[${whole.replace('"mac":"52:54:00:00:00:01",', "")}]`],
    ["no addresses", `[${whole.replace(',"ips":[]', "")}]`],
    ["a MAC in upper case", `[${whole.replace("52:", "AA:")}]`],
    ["a MAC without colons", `[${whole.replaceAll(":00", "-00")}]`],
    ["a short MAC", `[${whole.replace(":01", "")}]`],
    ["a router of another kind", `[${whole.replace("}", ',"router":1}')}]`],
    ["a space", `[ ${whole}]`],
    ["an open list", `[${whole}`],
    ["an open object", `[${whole.slice(0, -1)}]`],
    ["an open list of addresses", `[${whole.replace("[]", '["10.0.0.1"')}]`],
    ["no list", whole],
    ["more behind it", `[${whole}]x`],
    ["too many interfaces", `[${Array.from({ length: 33 }, () => whole).join(",")}]`],
    ["too many addresses", `[${whole.replace("[]", JSON.stringify(Array.from({ length: 65 }, () => "10.0.0.1")))}]`],
    ["nothing", ""],
  ])("whose interfaces have %s is left to the ordinary way", (_what, interfaces) => {
    expect(read(rowOf(interfaces))).toBeUndefined();
  });

  test.each([
    ["uid", { uid: "uid-1" }],
    ["uid", { uid: numbered(1).uid.replace("-", "0") }],
    ["uid", { uid: `${numbered(1).uid}0` }],
    ["uid", { uid: numbered(1).uid.replace("4000", "400g") }],
    ["revision", { revision: "7a" }],
    ["labels", { labels: '{"tier":"é"}' }],
    ["description", { description: '"a' }],
    ["description", { description: "a" }],
    ["description", { description: '"a"b' }],
    ["description", { description: '"a\\n"' }],
  ])("with another %s is left to the ordinary way: %j", (_field, fields) => {
    expect(read(rowOf(`[${whole}]`))).toBeDefined();
    expect(read(rowOf(`[${whole}]`, fields))).toBeUndefined();
  });

  test("is skipped up to the next one", () => {
    const text = new VmText(new PackedVm());
    text.begin(Buffer.concat([rowOf("[]", { uid: "x" }), Buffer.of(0x1e), rowOf(`[${whole}]`)]));
    expect([text.next(), text.skip(), text.atEnd]).toEqual([false, "vm-1", false]);
    expect([text.next(), text.atEnd]).toEqual([true, true]);
  });
});
