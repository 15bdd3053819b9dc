// The only import of TypeBox. The package has hundreds of small files, and reading them took most of an agent's start:
// the build bundles this module and its dependencies into one file (`scripts/build.cjs`).
export type { Static, TProperties, TSchema } from "typebox";
export { Type } from "typebox";
export { Compile, type Validator } from "typebox/compile";
export { Check } from "typebox/value";
