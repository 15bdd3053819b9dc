import type { ComponentChildren } from "preact";

export function Facts({ children }: { readonly children: ComponentChildren }) {
  return <dl class="facts">{children}</dl>;
}

/** One property; nothing and an empty list are a dash. */
export function Fact(props: { readonly name: string; readonly code?: boolean; readonly children?: ComponentChildren }) {
  const { name, code, children } = props;
  const values = Array.isArray(children) ? children : [children];
  const isNone = values.length === 0 || (values.length === 1 && (values[0] === "" || values[0] === undefined));
  const isText = values.every((value) => typeof value === "string" || typeof value === "number");
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>
        {isNone ? (
          <span class="none">–</span>
        ) : isText ? (
          <span class="several">
            {values.map((value) => (code ? <code key={value}>{value}</code> : <bdi key={value}>{value}</bdi>))}
          </span>
        ) : (
          children
        )}
      </dd>
    </div>
  );
}
