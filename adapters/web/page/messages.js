// The conversation as it is shown: entries, answers that grow and are replaced by their final form
// in the same place, and messages that are still being sent.

import { $, el, minutes, size, when } from "/dom.js";
import { copyText, show } from "/markdown.js";

const NEAR = 120; // pixels from the bottom that still count as being there

export class Messages {
  /** `on` has: press(button), retry(id), discard(id), earlier(). */
  constructor(on) {
    this.on = on;
    this.scroll = $("scroll");
    this.log = $("log");
    this.jump = $("jump");
    this.frame = null;
    this.clear(null);
    this.scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.jump.addEventListener("click", () => this.bottom(true));
    new ResizeObserver(() => this.follow && this.bottom()).observe(this.scroll);
  }

  clear(conversation) {
    this.conversation = conversation;
    this.first = null;
    this.growing = new Map(); // reply → {node, text}
    this.finished = new Set(); // replies of which a final part is here
    this.follow = true;
    this.log.replaceChildren();
    $("pending").replaceChildren();
    this.quiet();
  }

  get empty() {
    return !this.log.childElementCount && !$("pending").childElementCount;
  }

  get running() {
    return !$("typing").hidden || this.growing.size > 0;
  }

  entry(entry) {
    this.first ??= entry.seq;
    const { event } = entry;
    if (event.role === "user") this.log.append(this.#user(entry));
    else this.#final(entry);
    this.#settle();
  }

  /** Entries from before the first one that is shown. */
  before(entries) {
    const height = this.scroll.scrollHeight;
    const nodes = entries.map((entry) => (entry.event.role === "user" ? this.#user(entry) : this.#answer(entry)));
    this.log.prepend(...nodes);
    this.first = entries[0]?.seq ?? this.first;
    this.scroll.scrollTop += this.scroll.scrollHeight - height;
  }

  partial({ reply, text }) {
    if (this.finished.has(reply)) return;
    this.#typing(false);
    let growing = this.growing.get(reply);
    if (!growing) {
      const body = el("div", { class: "body" });
      growing = { node: el("li", { class: "message assistant growing", "aria-busy": "true" }, body), body };
      this.growing.set(reply, growing);
      this.log.append(growing.node);
    }
    growing.text = text;
    this.frame ??= requestAnimationFrame(() => this.#draw());
  }

  typing({ reply }) {
    if (!this.finished.has(reply) && !this.growing.has(reply)) this.#typing(true);
  }

  idle() {
    this.#typing(false);
    this.changed?.();
  }

  /** Forget what was running: the connection is new, what still runs will say so. */
  quiet() {
    this.#typing(false);
  }

  unsent(messages) {
    for (const node of this.log.querySelectorAll(".waiting, .failed")) unmark(node);
    const mine = messages.filter((message) => message.conversation === this.conversation);
    const bubbles = mine.filter((message) => !this.#mark(message)).map((message) => this.#unsent(message));
    $("pending").replaceChildren(...bubbles);
    if (bubbles.length) this.follow = true;
    this.#settle();
  }

  /** A message can stand in the conversation before the gateway has taken it: that is told there. */
  #mark(message) {
    const node = this.log.querySelector(`[data-id="${CSS.escape(message.id)}"]`);
    if (!node) return false;
    node.classList.add(message.failed ? "failed" : "waiting");
    node.append(this.#state(message));
    return true;
  }

  bottom(smooth = false) {
    this.follow = true;
    this.scroll.scrollTo({ top: this.scroll.scrollHeight, behavior: smooth ? "smooth" : "instant" });
  }

  #final(entry) {
    const { reply } = entry.event;
    const growing = this.growing.get(reply);
    this.growing.delete(reply);
    this.finished.add(reply);
    this.#typing(false);
    const node = this.#answer(entry);
    if (growing) growing.node.replaceWith(node);
    else this.log.append(node);
  }

  #draw() {
    this.frame = null;
    for (const { body, text } of this.growing.values()) show(body, text);
    this.#settle();
  }

  #settle() {
    if (this.follow) this.bottom();
    this.jump.hidden = this.follow;
    this.changed?.();
  }

  #typing(on) {
    clearTimeout(this.fade);
    $("typing").hidden = !on;
    if (on) {
      this.fade = setTimeout(() => this.idle(), 12000);
      this.#settle();
    }
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroll;
    this.follow = scrollHeight - scrollTop - clientHeight < NEAR;
    this.jump.hidden = this.follow;
    // Near both ends, nobody went up: the first messages are only just coming in.
    if (!this.follow && scrollTop < NEAR && this.first > 1) this.on.earlier();
  }

  #user(entry) {
    const { id, text, attachments = [], kind } = entry.event;
    return el(
      "li",
      { class: `message user ${kind ?? ""}`, "data-id": id, "data-seq": entry.seq },
      el("span", { class: "sr" }, "You: "),
      this.#files(attachments, entry.seq),
      text ? el("div", { class: "body plain" }, text) : null,
      el("div", { class: "meta" }, time(entry.at)),
    );
  }

  #answer(entry) {
    const { text = "", files = [], buttons = [], kind = "answer", reply, part = 0, parts = 1 } = entry.event;
    const body = el("div", { class: "body" });
    show(body, text);
    const copy = el("button", { type: "button", class: "copy", "aria-label": "Copy answer" }, "Copy");
    copy.addEventListener("click", () => copyText(copy, text));
    const last = part === parts - 1;
    return el(
      "li",
      { class: `message assistant ${kind}`, "data-reply": reply, "data-seq": entry.seq },
      el("span", { class: "sr" }, "Answer: "),
      body,
      this.#files(files, entry.seq),
      this.#buttons(buttons),
      last ? el("div", { class: "meta" }, time(entry.at), text ? copy : null) : null,
    );
  }

  #buttons(rows) {
    if (!rows.length) return null;
    const button = (each) =>
      each.url ? this.#link(each) : el("button", { type: "button", onclick: () => this.on.press(each) }, each.label);
    return el("div", { class: "buttons" }, ...rows.map((row) => el("div", {}, ...row.map(button))));
  }

  #link({ label, url }) {
    const good = /^(https?:\/\/|mailto:)/i.test(url);
    return good ? el("a", { href: url, rel: "noopener noreferrer nofollow", target: "_blank" }, label) : el("span", {}, label);
  }

  #files(files, seq) {
    return files.length ? el("ul", { class: "files" }, ...files.map((file) => el("li", {}, this.#file(file, seq)))) : null;
  }

  #file(file, seq) {
    if (!file.digest) return el("span", { class: "problem" }, file.problem || "This file is not available.");
    const where = new URLSearchParams({ conversation: this.conversation, seq });
    const src = `/api/v1/files/${file.digest}?${where}`;
    const label = file.name || file.kind;
    if (file.kind === "image") {
      const image = el("img", { src, alt: label, loading: "lazy" });
      image.addEventListener("load", () => this.follow && this.bottom());
      return el("a", { href: src, download: label, title: label }, image);
    }
    if (file.kind === "voice" || file.kind === "audio") {
      return el("audio", { controls: true, preload: "metadata", src, "aria-label": label });
    }
    if (file.kind === "video") return el("video", { controls: true, preload: "metadata", src, "aria-label": label });
    return el("a", { class: "document", href: src, download: label }, el("b", {}, label), ` ${size(file.size ?? 0)}`);
  }

  #unsent(message) {
    const chips = message.attachments.map((file) => el("li", {}, el("span", { class: "document" }, chip(file))));
    return el(
      "li",
      { class: `message user ${message.failed ? "failed" : "waiting"}`, "data-unsent": message.id },
      chips.length ? el("ul", { class: "files" }, ...chips) : null,
      message.text ? el("div", { class: "body plain" }, message.text) : null,
      this.#state(message),
    );
  }

  #state(message) {
    if (!message.failed) return el("div", { class: "meta unsent" }, "Sending…");
    const again = el("button", { type: "button", onclick: () => this.on.retry(message.id) }, "Try again");
    const drop = el("button", { type: "button", onclick: () => this.on.discard(message.id) }, "Discard");
    return el("div", { class: "meta unsent", role: "alert" }, `Not sent: ${message.failed}`, again, drop);
  }
}

function unmark(node) {
  node.classList.remove("waiting", "failed");
  for (const state of node.querySelectorAll(".unsent")) state.remove();
}

export function chip(file) {
  if (file.voice) return `Voice message ${minutes(file.duration ?? 0)}`;
  return `${file.name || "File"} · ${size(file.size ?? 0)}`;
}

function time(at) {
  const date = new Date(at * 1000);
  return el("time", { datetime: date.toISOString(), title: date.toLocaleString() }, when(at));
}
