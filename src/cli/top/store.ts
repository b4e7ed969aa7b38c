// Holds the picture that is shown, and notifies its listeners when it changes.
import { applyUpdate, type Picture, type Update } from './picture.ts';

export class Store {
  #picture: Picture;
  readonly #listeners = new Set<() => void>();

  constructor(picture: Picture) {
    this.#picture = picture;
  }

  readonly get = (): Picture => this.#picture;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  set(picture: Picture): void {
    if (picture === this.#picture) return;
    this.#picture = picture;
    for (const listener of this.#listeners) listener();
  }

  update(update: Update): void {
    this.set(applyUpdate(this.#picture, update));
  }
}
