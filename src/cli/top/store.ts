// The one picture that is shown, and who wants to hear that it is another one.
import { learn, type News, type Picture } from './picture.ts';

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

  hear(news: News): void {
    this.set(learn(this.#picture, news));
  }
}
