// The fields of a command's options: one for each type, with suggestions where the bot gives them.

import { TYPE_NAMES } from "./commands.js";
import { element } from "./dom.js";

const PAUSE = 150;
const LISTED = { 6: "members", 7: "channels", 8: "roles", 9: "mentionables" };

/** The field of one option; `value()` reads it. `suggest(name)` resolves to choices or null. */
export function optionField(option, { room, value = "", suggest }) {
  const id = `option-${option.name}`;
  const label = element(
    "label",
    { for: id },
    option.name,
    option.required && element("span", { class: "required", title: "Required" }, " *"),
  );
  const hint = element(
    "small",
    { id: `${id}-hint` },
    [option.description, TYPE_NAMES[option.type]]
      .filter((text) => text && text !== "…")
      .join(" · "),
  );
  const { input, extra = null, read } = control(option, { id, room, value, suggest });
  input.id = id;
  input.dataset.option = option.name;
  input.setAttribute("aria-describedby", hint.id);
  input.setAttribute("aria-required", String(Boolean(option.required)));
  return {
    name: option.name,
    input,
    value: read,
    node: element("div", { class: "field" }, label, input, extra, hint),
  };
}

function control(option, { id, room, value, suggest }) {
  if (option.choices?.length) {
    const choices = option.choices.map((choice) => ({
      value: String(choice.value),
      label: choice.name,
    }));
    const picked = choices.find((choice) => [choice.value, choice.label].includes(value));
    return listed(choices, picked?.value ?? "", option);
  }
  if (option.type === 5) {
    const choices = ["True", "False"].map((label) => ({ value: label.toLowerCase(), label }));
    return listed(choices, value.toLowerCase(), option);
  }
  if (LISTED[option.type]) {
    const choices = room.named(LISTED[option.type]);
    const picked = choices.find((choice) => [choice.value, choice.label].includes(value));
    return listed(choices, picked?.value ?? "", option);
  }
  const input = element("input", {
    type: "text",
    value,
    spellcheck: option.type === 3,
    disabled: option.type === 11,
    autocomplete: "off",
  });
  if (option.type === 4) input.inputMode = "numeric";
  if (option.type === 10) input.inputMode = "decimal";
  if (option.max_length) input.maxLength = option.max_length;
  if (option.type === 11) input.placeholder = "Files cannot be sent here";
  if (option.min_value !== undefined || option.max_value !== undefined) {
    input.placeholder = `${option.min_value ?? "…"} to ${option.max_value ?? "…"}`;
  }
  if (option.autocomplete) return suggested(option, input, id, suggest);
  return { input, read: () => input.value };
}

function listed(choices, value, option) {
  const none = element("option", { value: "" }, option.required ? "Choose…" : "—");
  const input = element(
    "select",
    {},
    none,
    ...choices.map((choice) =>
      element("option", { value: choice.value, selected: choice.value === value }, choice.label),
    ),
  );
  return { input, read: () => input.value };
}

/** A text field whose suggestions come from the bot while one types. */
function suggested(option, input, id, suggest) {
  const list = element("ul", {
    class: "suggestions",
    role: "listbox",
    id: `${id}-list`,
    "aria-label": `Suggestions for ${option.name}`,
    hidden: true,
  });
  let choices = []; // what the bot said last
  let picked = null;
  let timer = 0;
  let asked = 0;
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-controls", list.id);
  input.setAttribute("aria-expanded", "false");

  const close = () => {
    asked += 1;
    clearTimeout(timer); // or the list would open again
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
  };
  const pick = (choice) => {
    picked = choice;
    input.value = choice.name;
    close();
  };
  const mark = (step) => {
    const items = [...list.children];
    const at = items.findIndex((item) => item.ariaSelected === "true");
    const next = (at + step + items.length) % items.length;
    items.forEach((item, index) => (item.ariaSelected = String(index === next)));
    items[next]?.scrollIntoView({ block: "nearest" });
  };
  const show = (shown, kept = null) => {
    list.replaceChildren(
      ...shown.map((choice) =>
        element(
          "li",
          {
            role: "option",
            ariaSelected: String(choice.value === kept),
            data: { suggestion: String(choice.value) },
            on: { pointerdown: (event) => (event.preventDefault(), pick(choice)) },
          },
          choice.name,
        ),
      ),
    );
    list.marked = () => shown[[...list.children].findIndex((item) => item.ariaSelected === "true")];
    list.hidden = !shown.length;
    input.setAttribute("aria-expanded", String(shown.length > 0));
    list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  };
  const ask = async () => {
    const mine = ++asked;
    const answer = await suggest(option.name);
    if (mine !== asked || !answer) return;
    choices = answer;
    // One may have been marked while the bot was thinking.
    show(choices, list.hidden ? null : list.marked()?.value);
  };
  input.addEventListener("input", () => {
    picked = null;
    const typed = input.value.toLowerCase();
    show(choices.filter((choice) => choice.name.toLowerCase().includes(typed))); // until the bot answers
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  });
  input.addEventListener("focus", ask);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp")
      mark(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Enter" && list.marked()) pick(list.marked());
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return {
    input,
    extra: list,
    read: () => (picked && picked.name === input.value ? String(picked.value) : input.value),
  };
}
