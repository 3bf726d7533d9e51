// The menu of a message: commands for it and for its author, and what anyone may do with it.

import { element } from "./dom.js";

const USER = 2;
const MESSAGE = 3;
const EPHEMERAL = 1 << 6;

/** The button of the menu; the menu itself is built when it opens. */
export function messageMenu(message, author, { room, run, remove, text }) {
  const button = element(
    "button",
    {
      class: "more",
      type: "button",
      "aria-label": "More for this message",
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      data: { more: message.id },
      on: { click: () => (holder.querySelector(".menu") ? close() : open()) },
    },
    "⋯",
  );
  const holder = element("div", { class: "more-holder" }, button);

  const close = () => {
    holder.querySelector(".menu")?.remove();
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside);
  };
  const outside = (event) => holder.contains(event.target) || close();
  const item = (label, act, data) =>
    element(
      "button",
      { role: "menuitem", type: "button", data, on: { click: () => (close(), act()) } },
      label,
    );

  const open = () => {
    const items = room.commands.flatMap((command) => {
      const data = { menuCommand: command.name };
      if (command.type === MESSAGE)
        return [item(command.name, () => run(command, { message: message.id }), data)];
      if (command.type === USER)
        return [
          item(`${command.name} · ${author.name}`, () => run(command, { member: author.id }), data),
        ];
      return [];
    });
    if (items.length) items.unshift(element("p", { class: "menu-title" }, "Apps"));
    items.push(item("Copy text", () => navigator.clipboard?.writeText(text())));
    const mine = author.id === room.me.id || room.me.moderator;
    if (mine && !(message.flags & EPHEMERAL))
      items.push(item("Delete message", () => remove(message), { delete: message.id }));
    const menu = element("div", { class: "menu", role: "menu", on: { keydown: keys } }, ...items);
    holder.append(menu);
    const room_below = window.innerHeight - button.getBoundingClientRect().bottom;
    menu.classList.toggle("up", room_below < menu.offsetHeight + 90);
    button.setAttribute("aria-expanded", "true");
    document.addEventListener("pointerdown", outside);
    menu.querySelector("button").focus();
  };

  const keys = (event) => {
    const buttons = [...event.currentTarget.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    if (event.key === "ArrowDown") buttons[(at + 1) % buttons.length].focus();
    else if (event.key === "ArrowUp") buttons[(at + buttons.length - 1) % buttons.length].focus();
    else if (event.key === "Escape") {
      close();
      button.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return holder;
}
