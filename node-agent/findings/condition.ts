// A condition of this host with its text for the log, `agent status` and controllers of version 1, which take sentences.
import { conditionSentence, type ReportedCondition } from "../../schema/agent/index.ts";

export interface HostCondition extends ReportedCondition {
  /** The sentence; also with what the kernel said, which is not sent. */
  readonly says: string;
}

/** A part of the agent that finds conditions. */
export interface ConditionSource {
  readonly conditions: readonly HostCondition[];
}

/** @param network the name of the network of its VNI. @param says where the agent knows more than is sent */
export function asCondition(facts: ReportedCondition, network?: string, says?: string): HostCondition {
  return { ...facts, says: says ?? conditionSentence(facts, network) };
}
