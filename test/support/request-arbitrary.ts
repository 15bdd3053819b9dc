// Requests as an OpenAPI document describes them, valid and mutated.
import fc from "fast-check";
import { fitting, type JsonSchema, mutated, type Schemas } from "./schema-arbitrary.ts";

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required?: boolean;
  readonly schema: JsonSchema;
}

interface Content {
  readonly [mediaType: string]: { readonly schema: JsonSchema };
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
}

export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Schemas };
}

export interface GeneratedRequest {
  readonly operationId: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload?: string;
}

export function requests({ paths, components }: ApiDocument): fc.Arbitrary<GeneratedRequest> {
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => request(path, method, operation, components.schemas)),
  );
  return fc.oneof(...all);
}

function request(path: string, method: string, operation: Operation, schemas: Schemas): fc.Arbitrary<GeneratedRequest> {
  const parameters = (place: Parameter["in"]) =>
    texts(
      (operation.parameters ?? []).filter((each) => each.in === place),
      schemas,
    );
  return fc
    .record({
      path: parameters("path"),
      query: parameters("query"),
      header: parameters("header"),
      body: body(operation, schemas),
    })
    .map(({ path: names, query, header, body: { type, payload } }) => {
      // URLs lose dots as segments, which would make this another path.
      const segment = (name: string) => (["", ".", ".."].includes(name) ? "x" : encodeURIComponent(name));
      const filled = path.replaceAll(/\{(\w+)\}/g, (_, name) => segment(names[name] ?? ""));
      const search = new URLSearchParams(query).toString();
      return {
        operationId: operation.operationId,
        method: method.toUpperCase(),
        url: search === "" ? filled : `${filled}?${search}`,
        headers: { ...header, ...(type === undefined ? {} : { "content-type": type }) },
        ...(payload === undefined ? {} : { payload }),
      };
    });
}

/** Mostly as documented; sometimes an invalid value, or an unknown parameter. */
function texts(parameters: readonly Parameter[], schemas: Schemas): fc.Arbitrary<Record<string, string>> {
  const wild = fc.string({ minLength: 1, maxLength: 8 }).filter((each) => /^[\x21-\x7e]+$/.test(each));
  const fields = parameters.map(({ name, schema }) => {
    const value = fc.oneof(
      { weight: 12, arbitrary: fitting(schema, schemas, name).map(String) },
      { weight: 1, arbitrary: wild },
    );
    return [name, value] as const;
  });
  const isQuery = parameters.some((each) => each.in === "query");
  const requiredKeys = parameters.filter(({ required }) => required).map(({ name }) => name);
  const known = fc.record(Object.fromEntries(fields), { requiredKeys });
  const extra = fc.oneof(
    { weight: 20, arbitrary: fc.constant({}) },
    { weight: 1, arbitrary: fc.constant({ colour: "red" }) },
  );
  return fc
    .tuple(known, isQuery ? extra : fc.constant({}))
    .map(([own, more]) => ({ ...(own as Record<string, string>), ...more }));
}

interface Body {
  readonly type?: string;
  readonly payload?: string;
}

function body({ requestBody }: Operation, schemas: Schemas): fc.Arbitrary<Body> {
  const content = Object.entries(requestBody?.content ?? {});
  if (content.length === 0) return fc.constant({});
  return fc.oneof(
    ...content.map(([type, { schema }]) => {
      const one = fitting(schema, schemas);
      const either = fc.oneof({ weight: 1, arbitrary: one }, { weight: 1, arbitrary: one.chain(mutated) });
      const lines = fc
        .array(either, { maxLength: 4 })
        .map((each) => each.map((line) => JSON.stringify(line)).join("\n"));
      const written = type === "application/x-ndjson" ? lines : either.map((each) => JSON.stringify(each));
      const broken = fc.constantFrom("", "{", '{"__proto__":{}}', '"\\ud800"', "[".repeat(2_000), "\ufeff{}");
      return fc.oneof(
        { weight: 30, arbitrary: written.map((payload) => ({ type, payload })) },
        { weight: 1, arbitrary: broken.map((payload) => ({ type, payload })) },
        { weight: 1, arbitrary: written.map((payload) => ({ type: "text/csv", payload })) },
        { weight: 1, arbitrary: fc.constant({}) },
      );
    }),
  );
}
