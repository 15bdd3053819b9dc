// The demo's promises, and whether they were kept. A failed promise does not end the story, so that one run reports
// all.
import type { Story } from "./story.ts";

export interface Expectation {
  readonly what: string;
  readonly held: boolean;
  /** The observed value. */
  readonly seen: string;
}

export class Checks {
  readonly all: Expectation[] = [];

  constructor(private readonly story: Story) {}

  expect(what: string, held: boolean, seen: string): void {
    this.all.push({ what, held, seen });
    this.story.mark(held, `${what}: ${seen}`);
  }

  failures(): Expectation[] {
    return this.all.filter(({ held }) => !held);
  }
}
