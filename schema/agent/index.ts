// What agents and the controller say to each other: frames of the channel, and enrolment.
export * from "./chunks.ts";
export * from "./condition-kinds.ts";
export * from "./condition-values.ts";
export * from "./conditions.ts";
export * from "./enrolment.ts";
export * from "./findings.ts";
export { preparedText } from "./prepared.ts";
export * from "./protocol.ts";
export { portText, recordText } from "./records.ts";
export * from "./wire.ts";
