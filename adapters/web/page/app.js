// Brings the page together: logging in, the list of conversations, and the one that is open.

import { Composer } from "/composer.js";
import { Connection } from "/connection.js";
import { $, api, el, post, randomId, when } from "/dom.js";
import { Messages } from "/messages.js";

const STATES = { connecting: "Connecting…", online: "Connected", offline: "No connection, trying again…" };
const EARLIER = 100;

let conversation = null;
let listed = [];
let loading = false;

const messages = new Messages({
  press: (button) => connection.send(conversation, button.data || button.label, [], "button"),
  retry: (id) => connection.retry(id),
  discard: (id) => connection.discard(id),
  earlier: loadEarlier,
});
const composer = new Composer((text, files) => connection.send(conversation, text, files));
const connection = new Connection({
  entry: (entry) => {
    messages.entry(entry);
    if (entry.event.role === "user") messages.unsent(connection.unsent);
    if (listed[0]?.conversation !== conversation || entry.event.role === "user") refreshSoon();
  },
  partial: (live) => messages.partial(live),
  typing: (live) => messages.typing(live),
  idle: (live) => messages.idle(live),
  ready: () => {
    messages.quiet();
    messages.unsent(connection.unsent);
    $("welcome").hidden = !messages.empty;
  },
  state: showState,
  unsent: (unsent) => messages.unsent(unsent),
  loggedOut: () => showLogin(""),
});

messages.changed = () => {
  $("welcome").hidden = !messages.empty || connection.last === null;
  $("stop").hidden = !messages.running;
};

function showState(state) {
  const pill = $("state");
  pill.textContent = STATES[state];
  pill.dataset.state = state;
}

// --- logging in ----------------------------------------------------------------------------------

async function start() {
  const code = location.pathname === "/login" ? location.hash.slice(1) : "";
  if (location.pathname === "/login") history.replaceState(null, "", "/");
  if (code) return logIn(code);
  try {
    showChat(await api("/api/v1/me"));
  } catch (problem) {
    if (problem.status === 401 || problem.status === 403) showLogin("");
    else {
      showLogin("The gateway cannot be reached at the moment.");
      setTimeout(start, 3000);
    }
  }
}

async function logIn(code) {
  try {
    await post("/api/v1/login", { code });
    showChat(await api("/api/v1/me"));
  } catch (problem) {
    // a link opened twice does no harm where somebody is logged in already
    const me = await api("/api/v1/me").catch(() => null);
    if (me) showChat(me);
    else showLogin(problem.message);
  }
}

function showLogin(problem) {
  connection.close();
  $("chat").hidden = true;
  $("login").hidden = false;
  $("login-problem").textContent = problem;
  $("login-code").value = "";
  $("login-code").focus();
}

function showChat(me) {
  $("login").hidden = true;
  $("chat").hidden = false;
  $("brand").textContent = document.title = me.title;
  composer.limit = me.upload_limit;
  refresh();
  open(location.hash.slice(1) || null);
}

$("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  logIn($("login-code").value.trim().split("#").at(-1));
});

$("logout").addEventListener("click", async () => {
  await post("/api/v1/logout", {}).catch(() => null);
  sessionStorage.clear();
  showLogin("");
});

// --- conversations ---------------------------------------------------------------------------------

function open(name) {
  const known = /^[A-Za-z0-9_-]{1,64}$/.test(name ?? "");
  conversation = known ? name : randomId("c");
  if (known && location.hash.slice(1) !== name) history.pushState(null, "", `#${name}`);
  if (!known) history.replaceState(null, "", `#${conversation}`);
  messages.clear(conversation);
  connection.open(conversation);
  messages.unsent(connection.unsent);
  showList();
  toggleSidebar(false);
  composer.focus();
}

async function refresh() {
  const found = await api("/api/v1/conversations").catch(() => null);
  if (found) listed = found.conversations;
  showList();
}

let timer = null;
function refreshSoon() {
  clearTimeout(timer);
  timer = setTimeout(refresh, 100);
}

function showList() {
  $("conversations").replaceChildren(...listed.map(item));
  const current = listed.find((each) => each.conversation === conversation);
  $("title").textContent = current?.title || "New chat";
}

function item({ conversation: name, title, at }) {
  const current = name === conversation;
  return el(
    "li",
    {},
    el(
      "a",
      { href: `#${name}`, "aria-current": current ? "page" : null },
      el("span", { class: "name" }, title || "Untitled"),
      el("span", { class: "at" }, when(at)),
    ),
  );
}

async function loadEarlier() {
  if (loading) return;
  loading = true;
  const [wanted, first] = [conversation, messages.first];
  const after = Math.max(0, first - 1 - EARLIER);
  const limit = first - 1 - after;
  try {
    const found = await api(`/api/v1/conversations/${wanted}/messages?after=${after}&limit=${limit}`);
    if (wanted === conversation) messages.before(found.messages);
  } catch {
    // scrolling up again asks again
  } finally {
    loading = false;
  }
}

window.addEventListener("popstate", () => {
  const name = location.hash.slice(1);
  if (!$("chat").hidden && name !== conversation) open(name);
});
$("new-chat").addEventListener("click", () => {
  history.pushState(null, "", "#");
  open(null);
});

// --- sidebar and keys ------------------------------------------------------------------------------

function toggleSidebar(shown) {
  $("sidebar").classList.toggle("shown", shown);
  $("veil").hidden = !shown;
  $("menu").setAttribute("aria-expanded", String(shown));
}

$("menu").addEventListener("click", () => {
  toggleSidebar($("veil").hidden);
  if (!$("veil").hidden) $("new-chat").focus();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the conversation
  $("text").focus();
});
$("veil").addEventListener("click", () => toggleSidebar(false));
$("stop").addEventListener("click", () => connection.send(conversation, "/stop", []));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || $("chat").hidden) return;
  if (!$("veil").hidden) {
    toggleSidebar(false);
    $("menu").focus();
  } else $("text").focus();
});

start();
