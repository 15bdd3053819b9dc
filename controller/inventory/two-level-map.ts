/** A map of maps whose empty inner maps vanish, so that an index equals one that was built from scratch. */
export class TwoLevelMap<Outer, Inner, Value> {
  private readonly inner = new Map<Outer, Map<Inner, Value>>();
  private readonly none: ReadonlyMap<Inner, Value> = new Map();

  get(outer: Outer, inner: Inner): Value | undefined {
    return this.inner.get(outer)?.get(inner);
  }

  set(outer: Outer, inner: Inner, value: Value): void {
    const map = this.inner.get(outer);
    if (map) map.set(inner, value);
    else this.inner.set(outer, new Map([[inner, value]]));
  }

  delete(outer: Outer, inner: Inner): void {
    const map = this.inner.get(outer);
    if (map?.delete(inner) && map.size === 0) this.inner.delete(outer);
  }

  /** All below `outer`; empty where there is nothing. */
  under(outer: Outer): ReadonlyMap<Inner, Value> {
    return this.inner.get(outer) ?? this.none;
  }
}
