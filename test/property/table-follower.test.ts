// The log of the embedded store reads the same whether the tables of resources are at its head or behind it, and however often the
// process ends on the way; when they have followed, they have the inventory of the head.
import { randomUUID } from "node:crypto";
import { closeSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import fc from "fast-check";
import { expect, test } from "vitest";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { decide } from "../../controller/inventory/decide.ts";
import { Refusal } from "../../controller/inventory/refusal.ts";
import { CommitOrders } from "../../controller/store/sqlite/commit-orders.ts";
import { EventLog } from "../../controller/store/sqlite/event-log.ts";
import { readMigrations } from "../../controller/store/sqlite/migrations.ts";
import type { Order } from "../../controller/store/sqlite/orders.ts";
import {
  fromHostRow,
  fromNetworkRow,
  fromVmValues,
  type HostRow,
  type NetworkRow,
  vmColumns,
} from "../../controller/store/sqlite/rows.ts";
import { TableFollower } from "../../controller/store/sqlite/table-follower.ts";
import type { LogPosition } from "../../controller/store/store.ts";
import type { Revision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { runs } from "../support/property-runs.ts";
import { furnished, someMutations } from "./inventory-model.ts";

interface Entry {
  readonly revision: Revision;
  readonly index: number;
  readonly change: ResourceChange;
}

const time = "2026-01-02T03:04:05.678Z";
const entryOf = ({ revision, index, change }: Entry): Entry => ({ revision, index, change });
const nameOf = ({ before, after }: ResourceChange) => (after ?? before)?.name;

/** A database, and what must be in it. */
class Trial {
  private readonly db = new Database(":memory:");
  private readonly state = new CommittedInventory();
  private readonly entries: Entry[] = [];
  private orders!: CommitOrders;
  private log!: EventLog;
  private head = 0 as Revision;
  behind = 0;
  compactedBehind = 0;

  constructor(private readonly atOnce: number) {
    this.db.pragma("foreign_keys = 1");
    for (const { sql } of readMigrations()) this.db.exec(sql);
    this.connect();
  }

  /** As one revision, if it is accepted. @param isImport it goes by a stage */
  commit(mutations: Parameters<typeof decide>[1], isImport: boolean): void {
    const revision = (this.head + 1) as Revision;
    const changes = this.decided(mutations, revision);
    if (changes.length === 0) return;
    if (isImport) this.commitStaged(changes, revision);
    else {
      const audit = this.auditOf(revision);
      this.orders.obey({ do: "all", batch: [{ revision, time, changes, audit }], receipts: [], forget: [] });
    }
    this.state.apply(changes);
    this.head = revision;
    this.entries.push(...changes.map((change, index) => ({ revision, index, change })));
  }

  /** Begins an import that is not committed. @param isDropped it is told to go; else it stays until the next start */
  abandon(mutations: Parameters<typeof decide>[1], isDropped: boolean): void {
    const changes = this.decided(mutations, (this.head + 1) as Revision);
    const stage = this.stage(changes);
    if (isDropped) while (this.orders.obey({ do: "drop stage", stage }).more);
  }

  follow(): boolean {
    return this.orders.obey({ do: "follow" }).more === true;
  }

  /** As after a crash. */
  restart(): void {
    new TableFollower(this.db, { vms: this.atOnce, changes: this.atOnce }).finish();
    for (const table of ["stages", "staged", "tables_behind"]) {
      expect(this.db.prepare(`SELECT count(*) FROM ${table}`).pluck().get()).toBe(0);
    }
    this.connect();
    this.checkTables();
  }

  compact(maxEvents: number): void {
    if (this.isBehind) this.compactedBehind += 1;
    while (this.log.compact({ before: "", maxEvents }, 2));
    const { compacted } = this.log.extent();
    this.entries.splice(0, this.entries.findLastIndex(({ revision }) => revision <= compacted) + 1);
  }

  checkLog(): void {
    if (this.isBehind) this.behind += 1;
    const { compacted, events } = this.log.extent();
    expect(events).toBe(this.entries.length);
    expect(this.db.prepare("SELECT revision FROM log_head").pluck().get()).toBe(this.head);
    expect(this.pages({ revision: compacted, index: Number.MAX_SAFE_INTEGER })).toEqual(this.entries.map(entryOf));
    for (const { revision, index } of this.entries) {
      const [next] = this.log.read({ revision, index }, this.head, 1);
      const at = this.entries.findIndex((each) => each.revision === revision && each.index === index);
      expect(next && entryOf(next)).toEqual(this.entries[at + 1]);
    }
    const end = { revision: (this.head + 1) as Revision, index: 0 };
    expect(this.log.readBack(end, 1_000).map(entryOf)).toEqual(this.entries.toReversed());
    const one = this.entries.at(-1)?.change;
    if (!one) return;
    const history = this.entries.filter(({ change }) => change.kind === one.kind && nameOf(change) === nameOf(one));
    const of = { kind: one.kind, name: nameOf(one) ?? "" };
    expect(this.log.readBack(end, 1_000, of).map(entryOf)).toEqual(history.toReversed());
  }

  close(): void {
    this.db.close();
  }

  private get isBehind(): boolean {
    return this.db.prepare("SELECT 1 FROM tables_behind").get() !== undefined;
  }

  private connect(): void {
    this.orders = new CommitOrders(this.db, { vms: this.atOnce, changes: this.atOnce });
    this.log = new EventLog(this.db);
  }

  private decided(mutations: Parameters<typeof decide>[1], revision: Revision): readonly ResourceChange[] {
    try {
      return decide(this.state, mutations, { revision, newUid: randomUUID }).changes;
    } catch (error) {
      if (error instanceof Refusal) return [];
      throw error;
    }
  }

  private auditOf(revision: Revision) {
    return { time, by: { name: "test", role: "admin" as const }, revision, what: [] };
  }

  /** As its records are: decided for another revision than the one that it becomes. */
  private stage(changes: readonly ResourceChange[]): number {
    const older = changes.map(
      ({ kind, before, after }) => ({ kind, before, after: after && { ...after, revision: 1 } }) as ResourceChange,
    );
    const places = older.filter(({ kind }) => kind !== "vm");
    const vms = older.filter(({ kind }) => kind === "vm");
    const file = join(tmpdir(), `nearmiss-records-${randomUUID()}`);
    // An unchanged VM is a name, and no change.
    const lines = ['"unchanged"', ...vms.map(({ before, after }) => JSON.stringify({ before, after }))];
    writeFileSync(file, lines.map((line) => `${line}\n`).join(""));
    const descriptor = openSync(file, "r");
    rmSync(file);
    const bytes = Buffer.byteLength(lines.join("\n")) + 1;
    const extent = { places: places.length, changes: changes.length, replaces: vms.some(({ before }) => before) };
    const { stage = 0 } = this.orders.obey({ do: "open stage", extent, descriptor, bytes });
    this.orders.obey({ do: "stage places", stage, changes: places, firstIndex: 0 });
    while (this.orders.obey({ do: "stage more", stage }).more);
    closeSync(descriptor);
    return stage;
  }

  private commitStaged(changes: readonly ResourceChange[], revision: Revision): void {
    const stage = this.stage(changes);
    const order: Order = {
      do: "commit stage",
      stage,
      revision,
      time,
      audit: this.auditOf(revision),
      receipts: [],
      forget: [],
    };
    this.orders.obey(order);
  }

  private pages(from: LogPosition): Entry[] {
    const found: Entry[] = [];
    for (let after = from; found.length <= this.entries.length; ) {
      const page = this.log.read(after, this.head, 2);
      found.push(...page.map(entryOf));
      const last = page.at(-1);
      if (!last) break;
      after = last;
    }
    return found;
  }

  private checkTables(): void {
    const all = <Row>(sql: string) => this.db.prepare(sql).all() as Row[];
    expect(all<NetworkRow>("SELECT * FROM networks ORDER BY name").map(fromNetworkRow)).toEqual(
      this.state.listNetworks(),
    );
    expect(all<HostRow>("SELECT * FROM hosts ORDER BY name").map(fromHostRow)).toEqual(this.state.listHosts());
    const vms = this.db.prepare(`SELECT ${vmColumns} FROM vms ORDER BY name`).raw().all() as unknown[][];
    expect(vms.map(fromVmValues)).toEqual(this.state.listVms());
    expect(this.db.pragma("foreign_key_check")).toEqual([]);
  }
}

const action = fc.oneof(
  { weight: 4, arbitrary: someMutations.map((mutations) => ({ do: "commit" as const, mutations, isImport: true })) },
  { weight: 4, arbitrary: someMutations.map((mutations) => ({ do: "commit" as const, mutations, isImport: false })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(someMutations, fc.boolean())
      .map(([mutations, isDropped]) => ({ do: "abandon" as const, mutations, isDropped })),
  },
  { weight: 6, arbitrary: fc.constant({ do: "follow" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "restart" as const }) },
  { weight: 1, arbitrary: fc.nat(8).map((maxEvents) => ({ do: "compact" as const, maxEvents })) },
);

test("the log is one while an import is moved, and the tables follow it, whenever the process ends", () => {
  let behind = 0;
  let compactedBehind = 0;
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), fc.array(action, { maxLength: 40 }), (atOnce, actions) => {
      const trial = new Trial(atOnce);
      trial.commit(furnished, true);
      for (const each of actions) {
        if (each.do === "commit") trial.commit(each.mutations, each.isImport);
        else if (each.do === "abandon") trial.abandon(each.mutations, each.isDropped);
        else if (each.do === "compact") trial.compact(each.maxEvents);
        else trial[each.do]();
        trial.checkLog();
      }
      while (trial.follow());
      trial.checkLog();
      trial.restart();
      behind += trial.behind;
      compactedBehind += trial.compactedBehind;
      trial.close();
    }),
    { numRuns: runs(200) },
  );
  expect([behind > 0, compactedBehind > 0]).toEqual([true, true]);
});
