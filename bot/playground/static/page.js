// The page: one room, kept in step with the playground.

import { Announcer } from "./announcer.js";
import { Composer } from "./composer.js";
import { avatar, element } from "./dom.js";
import { Live } from "./live.js";
import { MessageList } from "./messages.js";
import { Modal } from "./modal.js";
import { messageMenu } from "./menu.js";
import { room } from "./room.js";

const find = (id) => document.getElementById(id);
const TYPING = 8000;
const NARROW = window.matchMedia("(max-width: 760px)");

const address = new URLSearchParams(location.search);
const place = { as: address.get("as") ?? "", in: address.get("in") ?? "" };
// The bot answers a member in the member's language, as Discord tells it: here the browser's.
const speak = address.get("speak");
if (speak) place.speak = speak;
let connected = true;

const live = new Live({
  place: () => ({ speak: navigator.language, ...place }),
  show: (message) => shows[message.show]?.(message),
  lost: (isLost) => {
    connected = !isLost;
    banner();
  },
});

const messages = new MessageList({
  log: find("messages"),
  newer: find("newer"),
  room,
  menu: (message, author) =>
    messageMenu(message, author, {
      room,
      run: runMenu,
      remove,
      text: () => messages.text(message.id),
    }),
  actions: { use, delete: remove, welcome },
});
const announcer = new Announcer({ region: find("said"), text: (id) => messages.text(id) });
const composer = new Composer({
  composer: find("composer"),
  text: find("composer-text"),
  slash: find("slash"),
  list: find("command-list"),
  refused: find("refused"),
  form: find("command-form"),
  room,
  say: (content) => live.ask({ do: "say", content }).then(report),
  run: (entry, values) =>
    runCommand(`/${entry.name}`, { command: entry.id, path: entry.path, values }),
  suggest: (entry, values, focus) =>
    live.ask({ do: "suggest", command: entry.id, path: entry.path, values, focus }),
});
room.begin = (name) => composer.begin(name);
const modal = new Modal({
  dialog: find("modal"),
  room,
  submit: (opened, values) => live.ask({ do: "submit", modal: opened, values }),
});

const shows = {
  room(state) {
    const elsewhere = state.me !== room.me.id || state.channel !== room.channel.id;
    Object.assign(room, state);
    room.me = room.member(state.me);
    room.bot = room.members.find((member) => member.bot) ?? room.bot;
    room.channel = room.channels.find((channel) => channel.id === state.channel);
    Object.assign(place, { as: room.me.username, in: room.channel.name });
    history.replaceState(null, "", `?${new URLSearchParams(place)}`);
    surroundings();
    if (elsewhere) composer.close();
    composer.offer(room.commands);
    messages.reset(state.messages);
    announcer.reset(state.messages);
  },
  message({ change, message }) {
    if (change !== "edited") find("typing").textContent = "";
    messages.change(change, message);
    announcer.change(change, message, room.member(message.author.id));
  },
  commands({ commands }) {
    room.commands = commands;
    composer.offer(commands);
    if (find("messages").querySelector(".welcome")) messages.reset([]);
  },
  bot(state) {
    Object.assign(room, state);
    surroundings();
    if (find("messages").querySelector(".welcome")) messages.reset([]);
  },
  typing() {
    find("typing").textContent = `${room.bot.name} is typing…`;
    clearTimeout(shows.timer);
    shows.timer = setTimeout(() => (find("typing").textContent = ""), TYPING);
  },
};

/** Everything around the messages. */
function surroundings() {
  document.title = `#${room.channel.name} · ${room.bot.name} playground`;
  find("guild").textContent = room.guild;
  find("channel-name").textContent = room.channel.name;
  find("topic").textContent = room.channel.topic;
  find("composer-text").placeholder =
    `Message #${room.channel.name}${NARROW.matches ? "" : ", or type / for commands"}`;
  find("channels").replaceChildren(
    ...room.channels.map((channel) =>
      element(
        "li",
        {},
        element(
          "button",
          {
            data: { channel: channel.name },
            "aria-current": channel === room.channel && "page",
            on: { click: () => enter({ in: channel.name }) },
          },
          element("span", { class: "hash", "aria-hidden": "true" }, "#"),
          channel.name,
        ),
      ),
    ),
  );
  find("members").replaceChildren(
    ...room.members.map((member) => {
      const here = member.bot ? room.online : member.player;
      const status = here ? "online" : "offline";
      const note = member.bot ? (room.online ? room.activity : "offline") : role(member);
      return element(
        "li",
        { class: status },
        avatar(member),
        element(
          "span",
          { class: "who" },
          member.name,
          member.bot && element("span", { class: "tag" }, "APP"),
          note && element("small", {}, note),
        ),
      );
    }),
  );
  find("switcher").replaceChildren(
    ...room.members
      .filter((member) => member.player)
      .map((member) =>
        element(
          "button",
          {
            role: "radio",
            "aria-checked": String(member === room.me),
            "aria-label": named(member),
            title: `Be ${named(member)}`,
            tabIndex: member === room.me ? 0 : -1,
            data: { member: member.username },
            on: { click: () => enter({ as: member.username }), keydown: turn },
          },
          avatar(member, "small"),
          element("span", { class: "label" }, member.name),
          role(member) &&
            element("span", { class: "badge", "aria-hidden": "true" }, member.host ? "host" : "mod"),
        ),
      ),
  );
  banner();
}

/** What a member is beside being one. */
function role(member) {
  return member.host ? "host" : member.moderator ? "moderator" : "";
}

function named(member) {
  return [member.name, role(member)].filter(Boolean).join(", ");
}

function turn(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const buttons = [...find("switcher").children];
  const next =
    buttons[(buttons.indexOf(event.currentTarget) + step + buttons.length) % buttons.length];
  enter({ as: next.dataset.member });
  next.focus();
}

function enter(change) {
  drawer(false);
  live.tell({ do: "enter", ...place, ...change });
}

function banner() {
  const node = find("banner");
  const text = !connected
    ? "The playground is not reachable; trying again…"
    : room.online
      ? ""
      : `${room.bot.name} is offline. Its commands work again as soon as it connects.`;
  node.textContent = text;
  node.hidden = !text;
}

function welcome() {
  const ready = composer.offers("story");
  const tell = room.online
    ? [
        "Type ",
        element("kbd", {}, ready ? "/story" : "/"),
        ready ? " to ask for a story, or begin one yourself: " : " to see what the bot can do.",
      ]
    : ["No bot is connected yet. It appears in the list of members when it is."];
  const example = "/story In the year";
  const [moderator, host] = [
    room.members.find((member) => member.moderator && !member.host),
    room.members.find((member) => member.host),
  ];
  const others = [
    room.me !== moderator && `${moderator.name} is a moderator`,
    room.me !== host && `${host.name} is the host`,
  ].filter(Boolean);
  const you = `You are ${named(room.me)}; ${others.join(", ")}`;
  return element(
    "li",
    { class: "welcome" },
    element("span", { class: "big-hash", "aria-hidden": "true" }, "#"),
    element("h2", {}, `Welcome to #${room.channel.name}`),
    element(
      "p",
      {},
      ...tell,
      room.online &&
        ready &&
        element(
          "button",
          { class: "try", data: { try: "" }, on: { click: () => composer.write(example) } },
          example,
        ),
    ),
    element("p", { class: "quiet" }, `${you}. Become somebody else with the faces at the top.`),
  );
}

/** Run a command; what goes wrong with it, and is not about a field, stands in the channel. */
async function runCommand(title, action) {
  const sending = messages.notice(title, "Sending command…", "sending");
  const result = await live.ask({ do: "command", ...action });
  sending.remove();
  if (result.error && !result.field) messages.notice(title, result.error, "failed");
  return report(result);
}

function runMenu(command, target) {
  runCommand(command.name, { command: command.id, ...target });
}

async function use(message, component, values) {
  const result = await live.ask({
    do: "use",
    message: message.id,
    custom_id: component.custom_id,
    values,
  });
  return report(
    result.error === "The application did not respond"
      ? { ...result, error: "This interaction failed" }
      : result,
  );
}

function report(result) {
  if (result.modal) modal.open(result.modal, result.opened);
  return result;
}

async function remove(message) {
  const { error } = await live.ask({ do: "delete", message: message.id });
  if (error) messages.notice("Delete", error, "failed");
}

function drawer(open) {
  document.body.classList.toggle("drawer", open);
  find("shade").hidden = !open;
  find("menu").setAttribute("aria-expanded", String(open));
}

find("menu").addEventListener("click", () => drawer(!document.body.classList.contains("drawer")));
find("shade").addEventListener("click", () => drawer(false));
document.addEventListener("keydown", (event) => event.key === "Escape" && drawer(false));
