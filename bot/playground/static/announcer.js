// What a screen reader says: each message once it is whole, not each edit of it.

const QUIET = 5000;
const KEPT = 20;

/** Says what is written into a polite region. */
export class Announcer {
  #waiting = new Map();
  #said = new Map();

  /** `text(id)` is what a message reads now. */
  constructor({ region, text }) {
    Object.assign(this, { region, text });
  }

  /** These were there before: they are news to nobody. */
  reset(messages) {
    for (const { timer } of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
    this.#said = new Map(messages.map(({ id }) => [id, this.text(id)]));
  }

  /**
   * A message came, changed or went. What a bot is still writing looks the same but for its
   * words: it is whole when its buttons change, or when no edit has come for a while.
   */
  change(kind, message, author) {
    const { id } = message;
    const before = this.#waiting.get(id);
    clearTimeout(before?.timer);
    this.#waiting.delete(id);
    if (kind === "deleted") return this.#said.delete(id);
    const look = JSON.stringify([
      message.flags,
      JSON.stringify(message.components).match(/"custom_id":"[^"]*"/g),
    ]);
    const say = () => this.#say(id, author);
    if (kind === "created" || (before && before.look !== look)) say();
    this.#waiting.set(id, { look, timer: kind === "edited" ? setTimeout(say, QUIET) : 0 });
  }

  #say(id, author) {
    const text = this.text(id);
    if (!text || this.#said.get(id) === text) return;
    this.#said.set(id, text);
    this.region.append(
      Object.assign(document.createElement("p"), { textContent: `${author.name}: ${text}` }),
    );
    while (this.region.children.length > KEPT) this.region.firstChild.remove();
  }
}
