// Values for the JSON schemas of an OpenAPI 3.1 document: such as fit, drawn from few names and addresses so that they meet,
// and such as nearly fit.
import fc from "fast-check";

/** As much of JSON Schema as our document has. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly maxProperties?: number;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
}

export type Schemas = Readonly<Record<string, JsonSchema>>;

const names = ["a", "b", "c", "blue", "red", "web-1", "web-2", "web-3", "eth0", "eth1", "none", ".."];

/** Likely values by the name of a field: most exist, are free, or collide. */
const pools: Readonly<Record<string, readonly unknown[]>> = {
  name: names,
  host: ["a", "b", "c", "none"],
  network: ["blue", "red", "none"],
  networks: ["blue", "red"],
  vni: [100, 200, 300, 0, 16_777_216],
  subnets: ["10.20.1.0/24", "fd00:20::/64", "10.30.0.0/29", "10.20.0.0/16", "10.20.1.1/24"],
  gateways: ["10.20.1.1", "10.30.0.1", "fd00:20::1"],
  reserved: ["10.20.1.8-10.20.1.20", "10.30.0.0/30", "fd00:20::8", "9-1"],
  ips: ["10.20.1.1", "10.20.1.9", "10.20.1.0", "fd00:20::1", "fd00:20::99", "fe80::1", "10.99.0.1", "::"],
  ip: ["10.20.1.1", "10.20.1.77", "fd00:20:0::1"],
  mac: ["52:54:00:00:00:01", "52:54:00:00:00:44", "52-54-00-00-00-45", "01:00:5e:00:00:01"],
  vtep: ["192.0.2.1", "192.0.2.7", "192.0.2.8", "2001:db8::1", "239.0.0.1"],
  label: ["tier=web", "tier", "!tier", "a!=b,c", "="],
  expires: ["2099-01-01T00:00:00Z", "2001-01-01T00:00:00Z", "tomorrow"],
  timeoutMs: [0, 1, 5],
  "if-match": ['"1"', '"3"', '"7"', '"9"', "*", "W/1"],
  "if-none-match": ['"1"', '"7"', "*"],
  "idempotency-key": ["one", '"two"', "three"],
};

const text = fc.oneof(
  fc.constantFrom("", ...names),
  fc.string({ maxLength: 12 }),
  fc.string({ unit: "grapheme", maxLength: 6 }),
);

/** A value that the schema accepts; of text only the form is checked, so the controller may still refuse it. */
export function fitting(schema: JsonSchema, schemas: Schemas, field = ""): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) return fitting(schemas[schema.$ref.split("/").at(-1) ?? ""] ?? {}, schemas, field);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((each) => fitting(each, schemas, field)));
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if ("const" in schema) return fc.constant(schema.const);
  const types = [schema.type ?? "string"].flat();
  return fc.oneof(...types.map((type) => ofType(type, schema, schemas, field)));
}

function ofType(type: string, schema: JsonSchema, schemas: Schemas, field: string): fc.Arbitrary<unknown> {
  const pool = pools[field] ?? [];
  switch (type) {
    case "null":
      return fc.constant(null);
    case "boolean":
      return fc.boolean();
    case "integer": {
      const any = fc.integer({ min: schema.minimum ?? -2, max: Math.min(schema.maximum ?? 100_000, 100_000) });
      return pool.length > 0 ? fc.constantFrom(...pool) : any;
    }
    case "array":
      return fc.array(fitting(schema.items ?? {}, schemas, field), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 3, 3),
      });
    case "object":
      return ofObject(schema, schemas);
    default:
      if (pool.length > 0) return fc.constantFrom(...pool);
      return schema.pattern ? fc.constantFrom(...names) : text.map((each) => each.slice(0, schema.maxLength ?? 20));
  }
}

function ofObject(schema: JsonSchema, schemas: Schemas): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties } = schema;
  const known = fc.record(
    Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, fitting(each, schemas, name)])),
    { requiredKeys: [...required] },
  );
  if (typeof additionalProperties !== "object") return known;
  const more = fc.dictionary(
    fc.constantFrom("eth0", "eth1", "tier", "example.com/team", "a b"),
    fitting(additionalProperties, schemas),
    {
      maxKeys: 3,
    },
  );
  return fc.tuple(known, more).map(([own, others]) => ({ ...others, ...(own as object) }));
}

const junk = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1e300,
    2 ** 53,
    0.5,
    "",
    "\u0000",
    "x".repeat(5_000),
    [],
    {},
    [[]],
    "10.20.1.1",
  ),
  fc.jsonValue({ maxDepth: 3 }),
);

/** The value with one place of it changed: another value there, one too many, or none. */
export function mutated(value: unknown): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 1, arbitrary: junk }, { weight: 6, arbitrary: within(value) });
}

function within(value: unknown): fc.Arbitrary<unknown> {
  if (Array.isArray(value)) {
    const grown = junk.map((each) => [...value, each]);
    const doubled = fc.constant([...value, ...value]);
    const inner = value.map((each, i) => within(each).map((changed) => value.with(i, changed)));
    return fc.oneof(grown, doubled, ...inner);
  }
  if (typeof value !== "object" || value === null) return junk;
  const entries = Object.entries(value);
  const grown = fc.tuple(fc.constantFrom("x", "uid", "revision", "", "toString"), junk);
  const inner = entries.flatMap(([key, each]) => [
    within(each).map((changed) => ({ ...value, [key]: changed })),
    fc.constant(Object.fromEntries(entries.filter(([other]) => other !== key))),
  ]);
  return fc.oneof(
    grown.map(([key, each]) => ({ ...value, [key]: each })),
    ...inner,
  );
}
