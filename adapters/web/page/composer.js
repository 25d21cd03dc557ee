// Writing a message: the growing field, commands, files by button, paste or drop, and voice.

import { $, ApiError, api, el, minutes, size } from "/dom.js";
import { chip } from "/messages.js";

const COMMANDS = [
  ["/new", "Start afresh: forget what was said before"],
  ["/stop", "Stop the answer and what waits"],
  ["/status", "What runs and what waits"],
  ["/model", "Show or choose the model"],
  ["/help", "What you can do here"],
];
const LONGEST_VOICE = 10 * 60;

export class Composer {
  /** `send(text, files)` is called when there is something to send and all files are uploaded. */
  constructor(send) {
    this.send = send;
    this.files = []; // {name, size, voice, duration, digest, upload}
    this.limit = 20 * 1024 * 1024;
    this.recorder = null;
    this.chosen = 0;
    this.text = $("text");
    this.#listen();
  }

  focus() {
    if (matchMedia("(hover: hover)").matches) this.text.focus();
  }

  clear() {
    this.text.value = "";
    this.files = [];
    this.notice("");
    this.#changed();
  }

  notice(message) {
    $("notice").textContent = message;
  }

  #listen() {
    const { text } = this;
    text.addEventListener("input", () => this.#changed());
    text.addEventListener("keydown", (event) => this.#key(event));
    text.addEventListener("paste", (event) => this.#paste(event));
    $("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    $("attach").addEventListener("click", () => $("file").click());
    $("file").addEventListener("change", () => {
      this.add($("file").files);
      $("file").value = "";
    });
    $("record").addEventListener("click", () => (this.recorder ? this.#stopRecording() : this.#record()));
    this.#listenToDrops();
  }

  #listenToDrops() {
    let depth = 0;
    const carries = (event) => event.dataTransfer?.types.includes("Files");
    const on = (name, act) =>
      document.addEventListener(name, (event) => {
        if (!carries(event) || $("chat").hidden) return;
        event.preventDefault();
        act(event);
        $("drop").hidden = depth === 0;
      });
    on("dragenter", () => depth++);
    on("dragleave", () => (depth = Math.max(0, depth - 1)));
    on("dragover", () => {});
    on("drop", (event) => {
      depth = 0;
      this.add(event.dataTransfer.files);
    });
  }

  #key(event) {
    if (event.isComposing) return;
    const offered = !$("commands").hidden;
    if (offered && ["ArrowDown", "ArrowUp"].includes(event.key)) {
      event.preventDefault();
      this.#offer(this.chosen + (event.key === "ArrowDown" ? 1 : -1));
    } else if (offered && event.key === "Tab" && !event.shiftKey) {
      event.preventDefault();
      this.#complete(this.#matching()[this.chosen][0]);
    } else if (event.key === "Escape" && offered) {
      event.preventDefault();
      event.stopPropagation();
      $("commands").hidden = true;
      this.text.setAttribute("aria-expanded", "false");
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      if (offered && this.#matching()[this.chosen][0] !== this.text.value.trim()) {
        this.#complete(this.#matching()[this.chosen][0]);
      } else this.#submit();
    }
  }

  #paste(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    this.add(files);
  }

  // --- commands ------------------------------------------------------------------------------

  #matching() {
    const text = this.text.value;
    return /^\/[a-z]*$/.test(text) ? COMMANDS.filter(([name]) => name.startsWith(text)) : [];
  }

  #offer(chosen) {
    const found = this.#matching();
    const list = $("commands");
    list.hidden = !found.length;
    this.text.setAttribute("aria-expanded", String(!list.hidden));
    this.chosen = found.length ? (chosen + found.length) % found.length : 0;
    list.replaceChildren(
      ...found.map(([name, about], n) =>
        el(
          "li",
          { role: "option", id: `command-${n}`, "aria-selected": String(n === this.chosen), onclick: () => this.#complete(name) },
          el("b", {}, name),
          el("span", {}, about),
        ),
      ),
    );
    if (found.length) this.text.setAttribute("aria-activedescendant", `command-${this.chosen}`);
    else this.text.removeAttribute("aria-activedescendant");
  }

  #complete(name) {
    this.text.value = name === "/model" ? `${name} ` : name;
    this.#changed();
    $("commands").hidden = true;
    this.text.focus();
  }

  // --- files ---------------------------------------------------------------------------------

  add(files) {
    for (const file of files) this.#upload(file, { name: file.name, size: file.size });
  }

  async #upload(blob, about) {
    if (blob.size > this.limit) {
      this.notice(`${about.name} is larger than ${size(this.limit)}.`);
      return;
    }
    if (this.files.length >= 10) {
      this.notice("A message carries up to 10 files.");
      return;
    }
    const file = { ...about, digest: "", stop: new AbortController() };
    this.files.push(file);
    this.notice("");
    this.#changed();
    try {
      const where = `/api/v1/files?${new URLSearchParams({ name: about.name })}`;
      const headers = { "Content-Type": "application/octet-stream" };
      const stored = await api(where, { method: "POST", body: blob, headers, signal: file.stop.signal });
      Object.assign(file, stored);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      this.files = this.files.filter((each) => each !== file);
      this.notice(`${about.name} could not be uploaded. ${problem instanceof ApiError ? problem.message : "No connection."}`);
    }
    this.#changed();
  }

  #remove(file) {
    file.stop.abort();
    this.files = this.files.filter((each) => each !== file);
    this.#changed();
    this.text.focus();
  }

  // --- voice ---------------------------------------------------------------------------------

  async #record() {
    if (!navigator.mediaDevices || !window.MediaRecorder) {
      this.notice("This browser records voice only over HTTPS or on this machine.");
      return;
    }
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      this.#recordFrom(stream);
    } catch {
      this.notice("The microphone is not allowed or not there.");
    }
  }

  #recordFrom(stream) {
    const type = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"].find((each) => MediaRecorder.isTypeSupported(each));
    const recorder = new MediaRecorder(stream, type ? { mimeType: type } : {});
    const parts = [];
    const began = performance.now();
    const seconds = () => (performance.now() - began) / 1000;
    const tick = setInterval(() => {
      $("clock").textContent = minutes(seconds());
      if (seconds() > LONGEST_VOICE) this.#stopRecording();
    }, 250);
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onstop = () => {
      clearInterval(tick);
      for (const track of stream.getTracks()) track.stop();
      const blob = new Blob(parts, { type: recorder.mimeType });
      this.#recording(null);
      if (blob.size) this.#upload(blob, { name: "Voice message", size: blob.size, voice: true, duration: seconds() });
      this.text.focus();
    };
    recorder.start();
    this.#recording(recorder);
  }

  #stopRecording() {
    if (this.recorder?.state === "recording") this.recorder.stop();
  }

  #recording(recorder) {
    this.recorder = recorder;
    const label = recorder ? "Stop recording" : "Record voice";
    const button = $("record");
    button.setAttribute("aria-pressed", String(Boolean(recorder)));
    button.setAttribute("aria-label", label);
    button.title = label;
    $("clock").textContent = recorder ? "0:00" : "";
  }

  // --- sending -------------------------------------------------------------------------------

  #submit() {
    const text = this.text.value.trim();
    if ((!text && !this.files.length) || this.files.some((file) => !file.digest)) return;
    const files = this.files.map(({ digest, name, size, voice = false, duration = 0 }) => ({ digest, name, size, voice, duration }));
    this.clear();
    this.send(text, files);
    this.text.focus();
  }

  #changed() {
    const { text, files } = this;
    text.style.height = "auto";
    text.style.height = `${Math.min(text.scrollHeight, window.innerHeight * 0.4)}px`;
    $("chips").replaceChildren(...files.map((file) => this.#chip(file)));
    const waiting = files.some((file) => !file.digest);
    $("send").disabled = waiting || (!text.value.trim() && !files.length);
    this.#offer(0);
  }

  #chip(file) {
    const remove = el("button", { type: "button", "aria-label": `Remove ${file.name}`, onclick: () => this.#remove(file) }, "×");
    return el("li", { class: file.digest ? "chip" : "chip loading" }, chip(file), remove);
  }
}
