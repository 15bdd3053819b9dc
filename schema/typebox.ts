// The one door to TypeBox. It comes as hundreds of small files, and reading them was most of what it took an agent to start:
// the build makes one file of this module and all behind it (`scripts/build.cjs`).
export type { Static, TProperties, TSchema } from "typebox";
export { Type } from "typebox";
export { Compile, type Validator } from "typebox/compile";
export { Check } from "typebox/value";
