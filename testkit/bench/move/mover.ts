// A VM that moves between two hosts while a third one sends to it.

export interface Mover {
  /** To the other host. @returns from the order until the third host's kernel has the new place, ms */
  move(): Promise<number>;
  remove(): Promise<void>;
}
