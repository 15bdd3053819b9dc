// The log of changes and operational events, as consumers of the event stream see them.
export * from "./log.ts";
export * from "./operational.ts";
export * from "./shapes.ts";
export * from "./stream.ts";
