// Buttons, select menus and layouts of a message, and the fields that modals share with them.

import { element } from "./dom.js";
import { markdown } from "./markdown.js";

const STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "linked" };
const FILLED = { 5: "members", 6: "roles", 7: "mentionables", 8: "channels" };

/** What stands under a message, or all of one that is a layout; `use(message, component, values)`
 * resolves to the result. */
export function componentRows(message, room, use) {
  if (!message.components.length) return [];
  const failed = element("p", { class: "failed", role: "alert", hidden: true });
  const act = async (node, component, values) => {
    failed.hidden = true;
    node.setAttribute("aria-busy", "true");
    const { error } = await use(message, component, values);
    node.removeAttribute("aria-busy");
    failed.textContent = error ?? "";
    failed.hidden = !error;
  };
  const parts = message.components.map((component) => part(component, { message, room, act }));
  return [element("div", { class: "components" }, ...parts, failed)];
}

/** One component, with those within it. */
function part(component, given) {
  switch (component.type) {
    case 1:
      return element("div", { class: "row" }, ...component.components.map((c) => part(c, given)));
    case 2:
      return button(component, given.act);
    case 9:
      return element(
        "div",
        { class: "section" },
        element("div", {}, ...component.components.map((c) => part(c, given))),
        part(component.accessory, given),
      );
    case 10:
      return element("div", { class: "text" }, markdown(component.content, given.room));
    case 11:
      return picture(component, given.message);
    case 12:
      return element(
        "div",
        { class: "gallery" },
        ...component.items.map((item) => picture(item, given.message)),
      );
    case 13:
      return element("p", { class: "text" }, component.file.url.replace(/^.*\//, ""));
    case 14:
      return element("hr", { class: component.divider ? "" : "gap" });
    case 17:
      return container(component, given);
    default:
      return select(component, given.room, given.act);
  }
}

function container(component, given) {
  const node = element(
    "div",
    { class: "container" },
    ...component.components.map((c) => part(c, given)),
  );
  const colour = component.accent_color;
  if (colour != null) node.style.borderInlineStartColor = `#${colour.toString(16).padStart(6, "0")}`;
  return node;
}

/** A picture at an address, or among the message's files. */
function picture(item, message) {
  const [, name] = item.media.url.match(/^attachment:\/\/(.+)$/) ?? [];
  const file = message.attachments.find((one) => one.filename === name);
  const src = name === undefined ? item.media.url : file?.url;
  return element("img", { src: src ?? "", alt: item.description ?? "", loading: "lazy" });
}

function face(component) {
  const emoji =
    component.emoji &&
    element(
      "span",
      { class: "emoji" },
      component.emoji.id ? `:${component.emoji.name}:` : component.emoji.name,
    );
  return [emoji, component.label && element("span", {}, component.label)];
}

function button(component, act) {
  const look = `button ${STYLES[component.style]}`;
  if (component.style === 5) {
    const address = /^https?:\/\//.test(component.url) ? component.url : "#";
    return element(
      "a",
      { class: look, href: address, target: "_blank", rel: "noopener noreferrer" },
      ...face(component),
      element("span", { "aria-hidden": "true" }, "↗"),
    );
  }
  const node = element(
    "button",
    {
      class: look,
      type: "button",
      disabled: component.disabled,
      data: { customId: component.custom_id },
      "aria-label": component.label ? null : component.emoji.name,
      on: { click: () => node.hasAttribute("aria-busy") || act(node, component, []) },
    },
    ...face(component),
  );
  return node;
}

function select(component, room, act) {
  const node = selectField(component, room, (values) => act(node, component, values));
  return node;
}

/** What a select menu offers: its own options, or members, roles and channels. */
export function offered(component, room) {
  const filled = FILLED[component.type];
  if (!filled) return component.options;
  const chosen = new Set(component.default_values?.map((value) => value.id));
  return room.named(filled).map((one) => ({ ...one, default: chosen.has(one.value) }));
}

/** A select menu: a native one for a single choice, a list of boxes for several. */
export function selectField(component, room, chosen) {
  const options = offered(component, room);
  const hint = component.placeholder ?? "Make a selection";
  if (component.max_values > 1) return several(component, options, hint, chosen);
  const none = element(
    "option",
    { value: "", disabled: component.min_values > 0, selected: true },
    hint,
  );
  const choices = options.map((option) =>
    element(
      "option",
      { value: option.value, selected: option.default, title: option.description ?? "" },
      [
        option.emoji?.id ? "" : option.emoji?.name,
        option.label,
        option.description && `— ${option.description}`,
      ]
        .filter(Boolean)
        .join(" "),
    ),
  );
  const pick = () => chosen(node.value ? [node.value] : []);
  const node = element(
    "select",
    {
      class: "select",
      disabled: component.disabled,
      data: { customId: component.custom_id },
      "aria-label": hint,
      on: { change: pick },
    },
    none,
    ...choices,
  );
  return node;
}

function several(component, options, hint, chosen) {
  const boxes = options.map((option) =>
    element(
      "label",
      { class: "choice" },
      element("input", { type: "checkbox", value: option.value, checked: option.default }),
      element(
        "span",
        {},
        option.label,
        option.description && element("small", {}, option.description),
      ),
    ),
  );
  const picked = options
    .filter((option) => option.default)
    .map((option) => option.label)
    .join(", ");
  const done = () => {
    node.open = false;
    chosen([...node.querySelectorAll("input:checked")].map((box) => box.value));
  };
  const node = element(
    "details",
    { class: "select several", data: { customId: component.custom_id } },
    element("summary", {}, picked || hint),
    ...boxes,
    element(
      "button",
      {
        type: "button",
        class: "button secondary",
        disabled: component.disabled,
        on: { click: done },
      },
      "Done",
    ),
  );
  return node;
}
