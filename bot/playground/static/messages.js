// The channel's messages: each one an element that is built anew when the message changes.

import { embedCard, fileCard } from "./attached.js";
import { componentRows } from "./components.js";
import { avatar, clock, element } from "./dom.js";
import { markdown } from "./markdown.js";

const LOADING = 1 << 7;
const EPHEMERAL = 1 << 6;
const TOGETHER = 7 * 60 * 1000;
const NEAR = 120;

/** The list of messages of the channel that is open. */
export class MessageList {
  #shown = new Map();

  constructor({ list, newer, room, menu, actions }) {
    this.list = list;
    this.newer = newer;
    this.room = room;
    this.menu = menu;
    this.actions = actions;
    list.addEventListener("scroll", () => {
      if (this.#atEnd()) newer.hidden = true;
    });
    newer.addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => this.pinned && this.toEnd()).observe(list);
    this.pinned = true;
  }

  /** Show these, and nothing else. */
  reset(messages) {
    this.#shown.clear();
    this.list.replaceChildren();
    for (const message of messages) this.#append(message);
    this.#welcome();
    this.toEnd();
  }

  /** A message came, changed or went. */
  change(kind, message) {
    const pinned = this.#atEnd();
    const old = this.#shown.get(message.id);
    if (kind === "deleted") {
      old?.remove();
      this.#shown.delete(message.id);
      this.#regroup();
    } else if (old) {
      const focused = document.activeElement?.dataset.customId;
      const inside = old.contains(document.activeElement);
      const node = this.#build(message);
      old.replaceWith(node);
      this.#shown.set(message.id, node);
      this.#regroup();
      if (inside && focused)
        node.querySelector(`[data-custom-id="${CSS.escape(focused)}"]`)?.focus();
    } else if (kind === "created") this.#append(message);
    this.#welcome();
    if (pinned) this.toEnd();
    else if (kind === "created") this.newer.hidden = false;
  }

  /** A line that only this page knows of: a command on its way, or one that failed. */
  notice(header, text, kind) {
    const dismiss = () => node.remove();
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

  toEnd() {
    this.list.scrollTop = this.list.scrollHeight;
    this.newer.hidden = true;
    this.pinned = true;
  }

  #atEnd() {
    this.pinned = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < NEAR;
    return this.pinned;
  }

  #append(message) {
    const node = this.#build(message);
    this.list.append(node);
    this.#shown.set(message.id, node);
    this.#regroup();
  }

  #regroup() {
    let before = null;
    for (const node of this.#shown.values()) {
      const same =
        before?.dataset.author === node.dataset.author &&
        !("headed" in node.dataset) &&
        "ephemeral" in before.dataset === "ephemeral" in node.dataset &&
        node.dataset.time - before.dataset.time < TOGETHER;
      node.classList.toggle("grouped", Boolean(same));
      before = node;
    }
  }

  #welcome() {
    this.list.querySelector(".welcome")?.remove();
    if (this.#shown.size === 0) this.list.prepend(this.actions.welcome());
  }

  #build(message) {
    const author = this.room.member(message.author.id);
    const ephemeral = Boolean(message.flags & EPHEMERAL);
    const date = new Date(message.timestamp);
    const headed = Boolean(message.interaction || message.message_reference);
    return element(
      "li",
      {
        class: `message${ephemeral ? " ephemeral" : ""}`,
        data: {
          messageId: message.id,
          author: author.id,
          time: date.getTime(),
          ...(headed && { headed: "" }),
          ...(ephemeral && { ephemeral: "" }),
          ...(message.flags & LOADING && { loading: "" }),
        },
        "aria-label": `Message from ${author.name}`,
      },
      avatar(author),
      element(
        "div",
        { class: "body" },
        message.interaction &&
          usedLine(
            this.room,
            this.room.member(message.interaction.user.id),
            `/${message.interaction.name}`,
          ),
        message.message_reference && this.#replyLine(message.message_reference),
        nameLine(author, date),
        ...this.#content(message, author),
        ...message.embeds.map((embed) => embedCard(embed, this.room)),
        ...message.attachments.map(fileCard),
        ...componentRows(message, this.room, this.actions.use),
        ephemeral && this.#onlyYou(message),
      ),
      !(message.flags & LOADING) && this.menu(message, author),
    );
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
      element(
        "span",
        { class: "edited", title: clock(new Date(message.edited_timestamp)) },
        "(edited)",
      );
    if (!message.content) return [];
    const content = element("div", { class: "content" }, markdown(message.content, this.room));
    if (edited) (content.lastElementChild ?? content).append(" ", edited);
    return [content];
  }

  #replyLine(reference) {
    const node = this.#shown.get(reference.message_id);
    const original = node && this.room.member(node.dataset.author);
    const text =
      node?.querySelector(".content, .embed-title, .embed-description")?.textContent ?? "";
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
