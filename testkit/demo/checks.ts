// What the demo promises, and whether it held. A promise that fails does not end the story, so that one run tells all.
import type { Story } from "./story.ts";

export interface Expectation {
  readonly what: string;
  readonly held: boolean;
  /** What was seen. */
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
