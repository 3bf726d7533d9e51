// The socket to the playground: what happens comes in, what the member does goes out.

const QUICKEST = 500;
const SLOWEST = 5000;

/** Keeps a socket open, and opens it again whenever it is lost. */
export class Live {
  #waiting = new Map();
  #nonce = 0;
  #socket = null;
  #pause = QUICKEST;

  /** `place()` gives who and where; `show(message)` takes what comes; `lost(isLost)` the state. */
  constructor({ place, show, lost }) {
    this.place = place;
    this.show = show;
    this.lost = lost;
    this.#open();
  }

  #open() {
    const address = new URL("/live", location.href);
    address.protocol = location.protocol.replace("http", "ws");
    address.search = new URLSearchParams(this.place()).toString();
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.onopen = () => {
      this.#pause = QUICKEST;
      this.lost(false);
    };
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.show !== "result") return this.show(message);
      this.#waiting.get(message.nonce)?.(message);
      this.#waiting.delete(message.nonce);
    };
    socket.onclose = () => {
      this.lost(true);
      for (const answer of this.#waiting.values()) answer({ error: "The connection was lost." });
      this.#waiting.clear();
      setTimeout(() => this.#open(), this.#pause);
      this.#pause = Math.min(this.#pause * 2, SLOWEST);
    };
  }

  /** Do something; resolves to its result: `error`, `choices`, `modal`, or nothing of these. */
  ask(action) {
    if (this.#socket.readyState !== WebSocket.OPEN) {
      return Promise.resolve({ error: "There is no connection to the playground." });
    }
    const nonce = ++this.#nonce;
    return new Promise((resolve) => {
      this.#waiting.set(nonce, resolve);
      this.#socket.send(JSON.stringify({ ...action, nonce }));
    });
  }

  /** Do something that has no result. */
  tell(action) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(action));
  }
}
