// Discord's markdown, as far as stories and answers use it, built as nodes.

import { element } from "./dom.js";

const INLINE = [
  [/^\\([^0-9A-Za-z\s])/u, (match) => match[1]],
  [/^``(.+?)``/s, (match) => element("code", {}, match[1])],
  [/^`([^`\n]+)`/, (match) => element("code", {}, match[1])],
  [
    /^\*\*\*(.+?)\*\*\*/s,
    (match, room) => element("strong", {}, element("em", {}, inline(match[1], room))),
  ],
  [/^\*\*(.+?)\*\*(?!\*)/s, (match, room) => element("strong", {}, inline(match[1], room))],
  [/^__(.+?)__(?!_)/s, (match, room) => element("u", {}, inline(match[1], room))],
  [/^\*(?=\S)(.+?\S|\S)\*(?!\*)/s, (match, room) => element("em", {}, inline(match[1], room))],
  [/^_(?=\S)(.+?\S|\S)_(?!\w)/s, (match, room) => element("em", {}, inline(match[1], room))],
  [/^~~(.+?)~~/s, (match, room) => element("s", {}, inline(match[1], room))],
  [/^\|\|(.+?)\|\|/s, (match, room) => spoiler(inline(match[1], room))],
  [
    /^\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)/,
    (match, room) => link(match[2], inline(match[1], room)),
  ],
  [/^<(https?:\/\/[^\s>]+)>/, (match) => link(match[1], match[1])],
  [/^https?:\/\/[^\s<>]*[^\s<>.,:;"')\]*_~|]/, (match) => link(match[0], match[0])],
  [/^<t:(-?\d{1,13})(?::([tTdDfFR]))?>/, (match) => moment(Number(match[1]), match[2])],
  [/^<@!?(\d+)>/, (match, room) => mention(`@${room.member(match[1]).name}`)],
  [/^<@&(\d+)>/, (match, room) => mention(`@${room.roleName(match[1])}`)],
  [/^<#(\d+)>/, (match, room) => mention(`#${room.channelName(match[1])}`)],
  [/^<\/([^:>\n]+):\d+>/, (match, room) => command(match[1], room)],
  [/^<a?:(\w+):\d+>/, (match) => `:${match[1]}:`],
];
const ORDINARY = /^(?:[^\\`*_~|[<h\n]+|\w+|.|\n)/su;

/** A whole text: blocks, then what is inside them. */
export function markdown(text, room) {
  const fragment = document.createDocumentFragment();
  let lines = text.split("\n");
  let plain = [];
  const flush = () => {
    if (plain.length) fragment.append(element("p", {}, inline(plain.join("\n"), room)));
    plain = [];
  };
  while (lines.length) {
    const [block, used] = blockAt(lines, room);
    if (block) {
      flush();
      fragment.append(block);
    } else plain.push(lines[0]);
    lines = lines.slice(used);
  }
  flush();
  return fragment;
}

function blockAt(lines, room) {
  const line = lines[0];
  if (line.startsWith("```")) {
    const end = lines.findIndex((one, index) => index > 0 && one.trimEnd().endsWith("```"));
    if (end > 0) {
      const last = lines[end].trimEnd().slice(0, -3);
      const body = [...lines.slice(1, end), ...(last ? [last] : [])];
      return [element("pre", {}, element("code", {}, body.join("\n"))), end + 1];
    }
  }
  if (line.startsWith(">>> ")) {
    return [element("blockquote", {}, markdown(lines.join("\n").slice(4), room)), lines.length];
  }
  const quoted = lines.findIndex((one) => !/^> /.test(one));
  const quotes = quoted < 0 ? lines.length : quoted;
  if (quotes) {
    const body = lines.slice(0, quotes).map((one) => one.slice(2));
    return [element("blockquote", {}, markdown(body.join("\n"), room)), quotes];
  }
  const heading = /^(#{1,3}) (.+)/.exec(line);
  if (heading) return [element(`h${heading[1].length + 2}`, {}, inline(heading[2], room)), 1];
  const small = /^-# (.+)/.exec(line);
  if (small) return [element("small", { class: "subtext" }, inline(small[1], room)), 1];
  for (const [tag, item] of [
    ["ul", /^ {0,2}[-*] (.+)/],
    ["ol", /^ {0,2}\d+\. (.+)/],
  ]) {
    const after = lines.findIndex((one) => !item.test(one));
    const count = after < 0 ? lines.length : after;
    if (count) {
      const items = lines
        .slice(0, count)
        .map((one) => element("li", {}, inline(item.exec(one)[1], room)));
      const list = element(tag, {}, ...items);
      if (tag === "ol") list.start = Number.parseInt(line, 10);
      return [list, count];
    }
  }
  return [null, 1];
}

/** What stands inside a line. */
export function inline(text, room) {
  const fragment = document.createDocumentFragment();
  let rest = text;
  while (rest) {
    const found = INLINE.map(([pattern, build]) => [pattern.exec(rest), build]).find(
      ([match]) => match,
    );
    const match = found ? found[0] : ORDINARY.exec(rest);
    fragment.append(found ? found[1](match, room) : match[0]);
    rest = rest.slice(match[0].length);
  }
  fragment.normalize();
  return fragment;
}

function link(address, content) {
  return element("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, content);
}

function mention(text) {
  return element("span", { class: "mention" }, text);
}

/** A command that can be clicked: it then stands in the box where one writes. */
function command(name, room) {
  return element(
    "button",
    { class: "mention", type: "button", data: { begin: name }, on: { click: () => room.begin(name) } },
    `/${name}`,
  );
}

function spoiler(content) {
  const reveal = (event) => {
    if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    node.classList.add("open");
    node.removeAttribute("role");
    node.removeAttribute("aria-label");
  };
  const node = element(
    "span",
    {
      class: "spoiler",
      role: "button",
      tabIndex: 0,
      "aria-label": "Spoiler",
      on: { click: reveal, keydown: reveal },
    },
    element("span", {}, content),
  );
  return node;
}

const STYLES = {
  t: { timeStyle: "short" },
  T: { timeStyle: "medium" },
  d: { dateStyle: "short" },
  D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" },
  F: { dateStyle: "full", timeStyle: "short" },
};

function moment(seconds, style = "f") {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return String(seconds);
  const text = style === "R" ? ago(seconds) : date.toLocaleString([], STYLES[style]);
  return element(
    "time",
    { dateTime: date.toISOString(), title: date.toLocaleString(), class: "moment" },
    text,
  );
}

function ago(seconds) {
  const away = seconds - Date.now() / 1000;
  const units = [
    ["year", 31536000],
    ["month", 2592000],
    ["day", 86400],
    ["hour", 3600],
    ["minute", 60],
    ["second", 1],
  ];
  const [unit, size] = units.find(([, length]) => Math.abs(away) >= length) ?? units.at(-1);
  return new Intl.RelativeTimeFormat([], { numeric: "auto" }).format(Math.round(away / size), unit);
}
