// Addresses and what is known about them: bindings, the answers to misses.
export * from "./address.ts";
export * from "./binding.ts";
export * from "./group.ts";
export * from "./words.ts";
