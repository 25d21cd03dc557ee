// CommonMark as chats use it → DOM nodes. Text becomes text nodes and links become <a> with http,
// https or mailto only; there is no HTML in between, so nothing in a message can become code.
// Every step is linear in the text's length or bounded by a depth.

import { el } from "/dom.js";

const DEPTH = 8;
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const ITEM = /^( {0,9})([-*+]|\d{1,9}[.)])( +|$)(.*)$/;
const QUOTE = /^ {0,3}> ?(.*)$/;
const DIVIDER = /^ *\|?(?: *:?-+:? *\|)+(?: *:?-+:? *)?$|^ *\| *:?-+:? *\|? *$/;

/** Show `text` in `target`, leaving the blocks that did not change where they are. */
export function show(target, text) {
  const next = blocks(text.split("\n"));
  const before = target.markdown ?? [];
  let same = 0;
  while (same < next.length && same < before.length && next[same].key === before[same]) same++;
  while (target.childNodes.length > same) target.lastChild.remove();
  for (const block of next.slice(same)) target.append(draw(block, 0));
  target.markdown = next.map((block) => block.key);
}

/** The text cut into blocks: {type, lines, key}. */
function blocks(lines) {
  const found = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at++;
      continue;
    }
    const [type, end, extra] = measure(lines, at);
    const own = lines.slice(at, end);
    found.push({ type, lines: own, extra, key: `${type}\n${own.join("\n")}` });
    at = end;
  }
  return found;
}

function measure(lines, at) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (fence) return ["code", fenceEnd(lines, at, fence[1]), fence];
  if (HEADING.test(line)) return ["heading", at + 1];
  if (RULE.test(line)) return ["rule", at + 1];
  if (QUOTE.test(line)) return ["quote", run(lines, at, (next) => QUOTE.test(next))];
  if (ITEM.test(line)) return ["list", listEnd(lines, at)];
  if (line.includes("|") && lines[at + 1] !== undefined && DIVIDER.test(lines[at + 1])) {
    return ["table", run(lines, at + 2, (next) => next.includes("|"))];
  }
  return ["text", run(lines, at + 1, plain)];
}

function run(lines, at, belongs) {
  while (at < lines.length && lines[at].trim() && belongs(lines[at])) at++;
  return at;
}

const plain = (line) =>
  !FENCE.test(line) && !HEADING.test(line) && !RULE.test(line) && !QUOTE.test(line) && !ITEM.test(line);

function fenceEnd(lines, at, mark) {
  for (let end = at + 1; end < lines.length; end++) {
    const line = lines[end].trim();
    if (line.length >= mark.length && line === mark[0].repeat(line.length)) return end + 1;
  }
  return lines.length;
}

function listEnd(lines, at) {
  let end = at + 1;
  while (end < lines.length) {
    if (!lines[end].trim()) {
      const next = lines[end + 1] ?? "";
      if (!ITEM.test(next) && !/^ {2,}\S/.test(next)) break;
    } else if (!ITEM.test(lines[end]) && !/^ {2,}/.test(lines[end]) && !lines[end - 1].trim()) break;
    else if (HEADING.test(lines[end]) || (RULE.test(lines[end]) && !ITEM.test(lines[end]))) break;
    end++;
  }
  return end;
}

function draw(block, depth) {
  if (block.type === "code") return drawCode(block);
  if (block.type === "heading") return drawHeading(block.lines[0]);
  if (block.type === "rule") return el("hr");
  if (block.type === "quote") return drawQuote(block.lines, depth);
  if (block.type === "list") return drawList(block.lines, depth);
  if (block.type === "table") return drawTable(block.lines);
  return el("p", {}, ...inline(block.lines.join("\n")));
}

function drawAll(lines, depth) {
  if (depth >= DEPTH) return [el("p", {}, lines.join("\n"))];
  return blocks(lines).map((block) => draw(block, depth));
}

function drawCode(block) {
  const closed = block.lines.length > 1 && /^\s*(`{3,}|~{3,})\s*$/.test(block.lines.at(-1));
  const source = block.lines.slice(1, closed ? -1 : undefined).join("\n");
  const language = block.extra[2].trim().split(/\s/)[0].slice(0, 30);
  const copy = el("button", { type: "button", class: "copy", "aria-label": "Copy code" }, "Copy");
  copy.addEventListener("click", () => copyText(copy, source));
  return el(
    "figure",
    { class: "code" },
    el("figcaption", {}, el("span", {}, language || "text"), copy),
    el("pre", { tabindex: "0" }, el("code", {}, source)),
  );
}

export async function copyText(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => (button.textContent = label), 1500);
}

function drawHeading(line) {
  const [, marks, text] = HEADING.exec(line);
  return el(`h${Math.min(marks.length + 2, 6)}`, { class: `h${marks.length}` }, ...inline(text));
}

function drawQuote(lines, depth) {
  return el("blockquote", {}, ...drawAll(lines.map((line) => QUOTE.exec(line)[1]), depth + 1));
}

function drawList(lines, depth) {
  const first = ITEM.exec(lines[0]);
  const ordered = /\d/.test(first[2]);
  const base = first[1].length;
  const items = [];
  for (const line of lines) {
    const item = ITEM.exec(line);
    if (item && item[1].length <= base + 1) items.push({ own: [item[4]], indent: item[0].length - item[4].length });
    else {
      const { own, indent } = items.at(-1);
      own.push(line.slice(Math.min(indent, line.length - line.trimStart().length)));
    }
  }
  const start = ordered ? parseInt(first[2], 10) : 1;
  const drawn = items.map(({ own }) => drawItem(own, depth));
  return el(ordered ? "ol" : "ul", { start: start !== 1 ? start : null }, ...drawn);
}

function drawItem(lines, depth) {
  const box = /^\[([ xX])\] +/.exec(lines[0]);
  if (box) lines = [lines[0].slice(box[0].length), ...lines.slice(1)];
  const inner = drawAll(lines, depth + 1);
  // a lone paragraph at the beginning needs no box of its own
  if (inner[0]?.tagName === "P") inner.splice(0, 1, ...inner[0].childNodes);
  const mark = box && el("input", { type: "checkbox", disabled: true, checked: box[1] !== " " });
  return el("li", { class: box ? "task" : null }, mark, ...inner);
}

function drawTable(lines) {
  const [head, , ...rows] = lines.map(cells);
  const line = (row, tag) => el("tr", {}, ...head.map((_, n) => el(tag, {}, ...inline(row[n] ?? ""))));
  return el(
    "div",
    { class: "table", tabindex: "0" },
    el("table", {}, el("thead", {}, line(head, "th")), el("tbody", {}, ...rows.map((row) => line(row, "td")))),
  );
}

const cells = (line) =>
  line.trim().replace(/^\|/, "").replace(/\|$/, "").split(/(?<!\\)\|/).slice(0, 40).map((cell) => cell.trim().replace(/\\\|/g, "|"));

// --- within a block ------------------------------------------------------------------------------

const ESCAPED = /[!-/:-@[-`{-~]/;
const MARKS = [["**", "strong"], ["__", "strong"], ["~~", "s"], ["*", "em"], ["_", "em"]];
const BARE = /https?:\/\/[^\s<>"'`]{1,2000}/y;
const SPECIAL = /[\\`!\[<*_~\n]|https?:\/\//g;

function inline(text, depth = 0) {
  const nodes = [];
  const hopeless = new Set();
  let plainFrom = 0;
  let at = 0;
  const flush = (until) => {
    if (until > plainFrom) nodes.push(text.slice(plainFrom, until));
  };
  while (at < text.length) {
    SPECIAL.lastIndex = at;
    const special = SPECIAL.exec(text);
    if (!special) break;
    at = special.index;
    const found = depth < DEPTH ? span(text, at, depth, hopeless) : null;
    if (!found) {
      at += special[0].length;
      continue;
    }
    flush(at);
    nodes.push(found.node);
    at = plainFrom = found.end;
  }
  flush(text.length);
  return nodes;
}

function span(text, at, depth, hopeless) {
  const char = text[at];
  if (char === "\n") return { node: el("br"), end: at + 1 };
  if (char === "\\") return ESCAPED.test(text[at + 1] ?? "") ? { node: text[at + 1], end: at + 2 } : null;
  if (char === "`") return code(text, at, hopeless);
  if (char === "!") return text[at + 1] === "[" ? link(text, at + 1, depth, hopeless) : null;
  if (char === "[") return link(text, at, depth, hopeless);
  if (char === "<") return angle(text, at);
  if (char === "h") return bare(text, at);
  return emphasis(text, at, depth, hopeless);
}

function code(text, at, hopeless) {
  let marks = 1;
  while (text[at + marks] === "`") marks++;
  const fence = "`".repeat(marks);
  if (hopeless.has(fence)) return { node: fence, end: at + marks };
  let end = text.indexOf(fence, at + marks);
  while (end >= 0 && text[end + marks] === "`") {
    while (text[end] === "`") end++;
    end = text.indexOf(fence, end);
  }
  if (end < 0) {
    hopeless.add(fence);
    return { node: fence, end: at + marks };
  }
  const inner = text.slice(at + marks, end).replace(/\n/g, " ");
  const trimmed = /^ .*[^ ].* $/.test(inner) ? inner.slice(1, -1) : inner;
  return { node: el("code", {}, trimmed), end: end + marks };
}

function link(text, at, depth, hopeless) {
  if (hopeless.has("](") || text.indexOf("](", at) < 0) {
    hopeless.add("](");
    return null;
  }
  let open = 0;
  let close = -1;
  for (let n = at; n < Math.min(text.length, at + 1000); n++) {
    if (text[n] === "\\") n++;
    else if (text[n] === "[") open++;
    else if (text[n] === "]" && --open === 0) {
      close = n;
      break;
    }
  }
  if (close < 0 || text[close + 1] !== "(") return null;
  const end = closing(text, close + 1);
  if (end < 0) return null;
  const [target] = text.slice(close + 2, end).trim().split(/\s/);
  const href = safe(target.replace(/^<|>$/g, ""));
  if (!href) return null;
  const label = text.slice(at + 1, close);
  return { node: anchor(href, inline(label || target, depth + 1)), end: end + 1 };
}

function closing(text, at) {
  let open = 0;
  for (let n = at; n < Math.min(text.length, at + 2000) && text[n] !== "\n"; n++) {
    if (text[n] === "(") open++;
    else if (text[n] === ")" && --open === 0) return n;
  }
  return -1;
}

function angle(text, at) {
  const end = text.slice(at, at + 2000).indexOf(">");
  if (end < 0) return null;
  const inner = text.slice(at + 1, at + end);
  const address = /^[^\s@<>:/]+@[^\s@<>:/]+\.[^\s@<>:/]+$/.test(inner) ? `mailto:${inner}` : inner;
  const href = /^(https?:\/\/|mailto:)/i.test(address) ? safe(address) : null;
  return href ? { node: anchor(href, [inner]), end: at + end + 1 } : null;
}

function bare(text, at) {
  BARE.lastIndex = at;
  const found = BARE.exec(text);
  if (!found) return null;
  let shown = found[0].replace(/[.,:;!?*_~'"]+$/, "");
  if (shown.endsWith(")") && !shown.includes("(")) shown = shown.slice(0, -1);
  const href = safe(shown);
  return href ? { node: anchor(href, [shown]), end: at + shown.length } : null;
}

function emphasis(text, at, depth, hopeless) {
  for (const [mark, tag] of MARKS) {
    if (!text.startsWith(mark, at) || hopeless.has(mark)) continue;
    const from = at + mark.length;
    if (/\s/.test(text[from] ?? " ")) continue;
    if (mark[0] === "_" && /\w/.test(text[at - 1] ?? "")) continue;
    const end = closer(text, from, mark);
    if (end < 0) {
      hopeless.add(mark);
      continue;
    }
    return { node: el(tag, {}, ...inline(text.slice(from, end), depth + 1)), end: end + mark.length };
  }
  return null;
}

function closer(text, from, mark) {
  for (let end = text.indexOf(mark, from); end >= 0; end = text.indexOf(mark, end + 1)) {
    if (end === from || /\s/.test(text[end - 1])) continue;
    if (mark.length === 1 && (text[end + 1] === mark || text[end - 1] === mark)) {
      while (text[end + 1] === mark) end++;
      continue;
    }
    if (mark[0] === "_" && /\w/.test(text[end + mark.length] ?? "")) continue;
    return mark.length === 2 && text[end + 2] === mark[0] ? end + 1 : end;
  }
  return -1;
}

function safe(address) {
  try {
    const url = new URL(address);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

const anchor = (href, children) =>
  el("a", { href, rel: "noopener noreferrer nofollow", target: "_blank" }, ...children);
