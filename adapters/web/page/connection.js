// The WebSocket: follows one conversation, comes back by itself, and keeps every message until the
// gateway has acknowledged it. The same id is sent again after a lost connection, so a message is
// neither lost nor taken twice; a reload keeps what is unsent too.

import { api, randomId } from "/dom.js";

const KEPT = "moltgate.unsent";
const LONGEST = 8000;

export class Connection {
  /** `on` has: entry, partial, typing, idle, ready, state, unsent, loggedOut. */
  constructor(on) {
    this.on = on;
    this.conversation = null;
    this.last = null;
    this.unsent = this.#restore();
    this.socket = null;
    this.delay = 0;
    this.timer = null;
    window.addEventListener("online", () => this.#now());
    document.addEventListener("visibilitychange", () => !document.hidden && this.#now());
  }

  /** Follow a conversation from its newest entries on. */
  open(conversation) {
    this.conversation = conversation;
    this.last = null;
    if (this.socket?.readyState === WebSocket.OPEN) this.#hello();
    else this.#now();
  }

  close() {
    clearTimeout(this.timer);
    this.conversation = null;
    this.socket?.close();
  }

  send(conversation, text, attachments, kind = "message") {
    const message = { id: randomId("m"), conversation, text, attachments, kind, failed: "" };
    this.unsent.push(message);
    this.#changed();
    this.#deliver(message);
  }

  retry(id) {
    const message = this.unsent.find((each) => each.id === id);
    if (!message) return;
    message.failed = "";
    this.#changed();
    this.#deliver(message);
  }

  discard(id) {
    this.unsent = this.unsent.filter((each) => each.id !== id);
    this.#changed();
  }

  #now() {
    if (this.conversation === null || (this.socket && this.socket.readyState <= WebSocket.OPEN)) return;
    clearTimeout(this.timer);
    this.#connect();
  }

  #connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/v1/ws`);
    this.socket = socket;
    this.on.state("connecting");
    socket.onopen = () => {
      this.delay = 0;
      this.#hello();
      for (const message of this.unsent) this.#deliver(message);
    };
    socket.onmessage = (event) => this.#read(JSON.parse(event.data));
    socket.onclose = (event) => {
      if (this.socket === socket) this.#closed(event.code);
    };
  }

  async #closed(code) {
    this.socket = null;
    if (this.conversation === null) return;
    this.on.state("offline");
    if (code === 4401 || (await this.#refused())) {
      this.conversation = null;
      this.on.loggedOut();
      return;
    }
    this.delay = Math.min(LONGEST, this.delay * 2 || 300);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#now(), this.delay * (0.7 + Math.random() * 0.6));
  }

  async #refused() {
    try {
      await api("/api/v1/me");
      return false;
    } catch (problem) {
      return problem.status === 401;
    }
  }

  #hello() {
    this.#say({ type: "hello", conversation: this.conversation, after: this.last });
  }

  #say(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  #deliver(message) {
    if (message.failed) return;
    const { id, conversation, text, kind } = message;
    const attachments = message.attachments.map(({ digest, voice, duration }) => ({ digest, voice, duration }));
    this.#say({ type: "send", id, conversation, text, attachments, kind });
  }

  #read(message) {
    if (message.type === "ack") this.discard(message.id);
    else if (message.type === "refused") this.#refusedMessage(message);
    else if (message.conversation === this.conversation) this.#show(message);
  }

  #show(message) {
    if (message.type === "ready") {
      this.last = message.seq;
      this.on.state("online");
      this.on.ready();
    } else if (message.type === "entry") {
      if (this.last !== null && message.seq <= this.last) return;
      this.last = message.seq;
      this.on.entry(message);
    } else this.on[message.type]?.(message);
  }

  #refusedMessage({ id, message, retry_after: after }) {
    const kept = this.unsent.find((each) => each.id === id);
    if (!kept) return;
    if (after !== undefined) {
      setTimeout(() => this.unsent.includes(kept) && this.#deliver(kept), after * 1000);
      return;
    }
    kept.failed = message;
    this.#changed();
  }

  #changed() {
    sessionStorage.setItem(KEPT, JSON.stringify(this.unsent));
    this.on.unsent(this.unsent);
  }

  #restore() {
    try {
      return JSON.parse(sessionStorage.getItem(KEPT)) ?? [];
    } catch {
      return [];
    }
  }
}
