// Numbers as people write them on a command line.
import { InvalidArgumentError } from "../common/commander.ts";

/** 0 … 999999999999999. @throws InvalidArgumentError */
export function parseCount(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("Write a whole number.");
  return Number(text);
}
