// The channel's messages: what is in one is built anew when it changes, and keeps its focus.

import { embedCard, fileCard } from "./attached.js";
import { componentRows } from "./components.js";
import { avatar, clock, element } from "./dom.js";
import { refocused } from "./focus.js";
import { markdown } from "./markdown.js";

const LOADING = 1 << 7;
const EPHEMERAL = 1 << 6;
const TOGETHER = 7 * 60 * 1000;
const NEAR = 120;
const SAID = ".content, .embed-title, .embed-description, .components .text";

/** The list of messages of the channel that is open. */
export class MessageList {
  #shown = new Map();
  #top = 0;

  constructor({ log, newer, room, menu, actions }) {
    this.log = log;
    this.list = log.querySelector("ol");
    this.newer = newer;
    this.room = room;
    this.menu = menu;
    this.actions = actions;
    log.addEventListener("scroll", () => {
      if (this.#isPinned()) newer.hidden = true;
    });
    newer.addEventListener("click", () => this.toEnd());
    // The list grows as well when a picture has come.
    const observer = new ResizeObserver(() => this.pinned && this.toEnd());
    for (const node of [log, this.list]) observer.observe(node);
    this.pinned = true;
  }

  /** Show these, and nothing else. */
  reset(messages) {
    this.#shown.clear();
    this.list.replaceChildren();
    for (const message of messages) this.#append(message);
    this.#arrange();
    this.toEnd();
  }

  /** A message came, changed or went. */
  change(kind, message) {
    const pinned = this.#isPinned();
    const old = this.#shown.get(message.id);
    if (kind === "deleted") {
      if (old?.contains(document.activeElement)) this.log.focus({ preventScroll: true });
      old?.remove();
      this.#shown.delete(message.id);
    } else if (old) this.#redraw(old, message);
    else if (kind === "created") this.#append(message);
    if (kind !== "edited") this.#arrange();
    if (pinned) this.toEnd();
    else if (kind === "created") this.newer.hidden = false;
  }

  /** A line that only this page knows of: a command on its way, or one that failed. */
  notice(header, text, kind) {
    const dismiss = () => (this.log.focus({ preventScroll: true }), node.remove());
    const hint = element(
      "p",
      { class: "only-you" },
      "Only you can see this · ",
      element(
        "button",
        { class: "link", data: { dismiss: "" }, on: { click: dismiss } },
        "Dismiss message",
      ),
    );
    const node = element(
      "li",
      { class: `message notice ${kind}`, data: { notice: kind } },
      avatar(this.room.bot),
      element(
        "div",
        { class: "body" },
        usedLine(this.room, this.room.me, header),
        nameLine(this.room.bot, new Date()),
        element("p", { class: "content", role: kind === "failed" ? "alert" : null }, text),
        kind === "failed" && hint,
      ),
    );
    this.list.append(node);
    this.toEnd();
    return node;
  }

  /** What one reads in a message; nothing when it is not there. */
  text(id) {
    const parts = this.#shown
      .get(id)
      ?.querySelectorAll(SAID);
    return [...(parts ?? [])].map((part) => part.innerText).join("\n");
  }

  toEnd() {
    this.log.scrollTop = this.log.scrollHeight;
    this.newer.hidden = true;
    this.pinned = true;
  }

  /** Whether one reads the end: as long as nobody scrolls up, whatever grows meanwhile. */
  #isPinned() {
    const { scrollTop, scrollHeight, clientHeight } = this.log;
    const atEnd = scrollHeight - scrollTop - clientHeight < NEAR;
    this.pinned = atEnd || (this.pinned && scrollTop >= this.#top);
    this.#top = scrollTop;
    return this.pinned;
  }

  #append(message) {
    const author = this.room.member(message.author.id);
    const ephemeral = Boolean(message.flags & EPHEMERAL);
    const headed = Boolean(message.interaction || message.message_reference);
    const node = element(
      "li",
      {
        class: `message${ephemeral ? " ephemeral" : ""}`,
        tabIndex: -1,
        data: {
          messageId: message.id,
          author: author.id,
          time: new Date(message.timestamp).getTime(),
          ...(headed && { headed: "" }),
          ...(ephemeral && { ephemeral: "" }),
        },
        "aria-label": `Message from ${author.name}`,
      },
      avatar(author),
      element("div", { class: "body" }),
    );
    this.list.append(node);
    this.#shown.set(message.id, node);
    this.#redraw(node, message);
  }

  /** What is in the message; its buttons and menus stay as they are while they are the same. */
  #redraw(node, message) {
    const author = this.room.member(message.author.id);
    const loading = Boolean(message.flags & LOADING);
    node.toggleAttribute("data-loading", loading);
    if (!loading && !node.querySelector(".more-holder")) node.append(this.menu(message, author));
    const components = JSON.stringify(message.components);
    const body = node.querySelector(".body");
    refocused(node, () => {
      const same = node.dataset.components === components;
      const kept = same ? body.querySelector(".components") : null;
      for (const child of [...body.children]) if (child !== kept) child.remove();
      body.prepend(...this.#said(message, author));
      if (!kept) body.append(...componentRows(message, this.room, this.actions.use));
      if (message.flags & EPHEMERAL) body.append(this.#onlyYou(message));
    });
    node.dataset.components = components;
  }

  #said(message, author) {
    const used = message.interaction && this.room.member(message.interaction.user.id);
    return [
      used && usedLine(this.room, used, `/${message.interaction.name}`),
      message.message_reference && this.#replyLine(message.message_reference),
      nameLine(author, new Date(message.timestamp)),
      ...this.#content(message, author),
      ...message.embeds.map((embed) => embedCard(embed, this.room)),
      ...message.attachments.map(fileCard),
    ].filter(Boolean);
  }

  /** Who speaks again is not named again, a new day is, and an empty channel says how to begin. */
  #arrange() {
    for (const old of this.list.querySelectorAll(".day, .welcome")) old.remove();
    if (this.#shown.size === 0) this.list.prepend(this.actions.welcome());
    let before = null;
    for (const node of this.#shown.values()) {
      const date = new Date(Number(node.dataset.time));
      const today =
        !before || new Date(Number(before.dataset.time)).toDateString() === date.toDateString();
      const same =
        today &&
        before?.dataset.author === node.dataset.author &&
        !("headed" in node.dataset) &&
        "ephemeral" in before.dataset === "ephemeral" in node.dataset &&
        node.dataset.time - before.dataset.time < TOGETHER;
      node.classList.toggle("grouped", Boolean(same));
      if (!today) node.before(dayLine(date));
      before = node;
    }
  }

  #content(message, author) {
    if (message.flags & LOADING) {
      const dots = element(
        "span",
        { class: "dots", "aria-hidden": "true" },
        ...[1, 2, 3].map(() => element("i")),
      );
      return [element("p", { class: "content thinking" }, dots, ` ${author.name} is thinking…`)];
    }
    const edited =
      message.edited_timestamp &&
      element("span", { class: "edited", title: clock(new Date(message.edited_timestamp)) });
    if (!message.content) return [];
    const content = element("div", { class: "content" }, markdown(message.content, this.room));
    if (edited) (content.lastElementChild ?? content).append(" ", edited);
    return [content];
  }

  #replyLine(reference) {
    const node = this.#shown.get(reference.message_id);
    const original = node && this.room.member(node.dataset.author);
    const text =
      node?.querySelector(SAID)?.textContent ?? "";
    const jump = () => node?.scrollIntoView({ block: "center", behavior: "smooth" });
    return element(
      "p",
      { class: "used" },
      original && avatar(original, "tiny"),
      original ? element("span", { class: "who" }, original.name) : "",
      element(
        "button",
        { class: "link excerpt", on: { click: jump } },
        original ? text.slice(0, 120) || "a message" : "Original message was deleted",
      ),
    );
  }

  #onlyYou(message) {
    const dismiss = element(
      "button",
      {
        class: "link",
        data: { dismiss: message.id },
        on: { click: () => this.actions.delete(message) },
      },
      "Dismiss message",
    );
    return element("p", { class: "only-you" }, "Only you can see this · ", dismiss);
  }
}

function nameLine(author, date) {
  return element(
    "p",
    { class: "name-line" },
    element("span", { class: "name" }, author.name),
    author.bot && element("span", { class: "tag" }, "APP"),
    element("time", { dateTime: date.toISOString() }, clock(date)),
  );
}

function dayLine(date) {
  const day = date.toLocaleDateString([], { dateStyle: "long" });
  return element("li", { class: "day", role: "separator", "aria-label": day }, day);
}

function usedLine(room, member, what) {
  return element(
    "p",
    { class: "used", data: { used: what } },
    avatar(member, "tiny"),
    element("span", { class: "who" }, member.name),
    " used ",
    element("span", { class: "mention" }, what),
  );
}
