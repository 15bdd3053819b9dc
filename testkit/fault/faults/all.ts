// All faults, in the order in which they run.
import type { Fault } from "../fault.ts";
import { takenBehindPartition, takenWhileAgentIsDown } from "./addresses.ts";
import { agentsKilledUnderBroadcasts, membersChangedBehindPartition } from "./broadcast.ts";
import { clockSteps } from "./clock.ts";
import { logCompacted } from "./compaction.ts";
import { deviceFaults } from "./devices.ts";
import { randomHistories } from "./histories.ts";
import { neighbourTableFull, overrun } from "./load.ts";
import { restartedAlone, restoredUnderMemory } from "./memory.ts";
import { halfOpen, partition } from "./partition.ts";
import {
  agentKilled,
  agentKilledWriting,
  agentStopped,
  bothKilled,
  controllerKilled,
  controllerStopped,
} from "./processes.ts";
import { sameAddressTwice } from "./race.ts";
import { restoredOlder, restoredWithNewEpoch } from "./store.ts";

export const allFaults: readonly Fault[] = [
  agentKilled,
  controllerKilled,
  bothKilled,
  agentsKilledUnderBroadcasts,
  agentStopped,
  controllerStopped,
  halfOpen,
  partition,
  membersChangedBehindPartition,
  takenWhileAgentIsDown,
  takenBehindPartition,
  restoredWithNewEpoch,
  restoredOlder,
  restoredUnderMemory,
  restartedAlone,
  logCompacted,
  ...deviceFaults,
  sameAddressTwice,
  clockSteps,
  neighbourTableFull,
  randomHistories,
  agentKilledWriting,
  overrun,
];
