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
    [option.description, !isListed(option) && TYPE_NAMES[option.type]]
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

/** Whether one chooses from a list: then nobody needs to hear what to write. */
function isListed(option) {
  return Boolean(option.choices?.length || option.type === 5 || LISTED[option.type]);
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
  let shown = [];
  let marked = -1;
  let picked = null;
  let timer = 0;
  let asked = 0;
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-controls", list.id);

  const mark = (index) => {
    marked = index;
    [...list.children].forEach((item, at) =>
      item.setAttribute("aria-selected", String(at === index)),
    );
    const item = list.children[index];
    item?.scrollIntoView({ block: "nearest" });
    if (item) input.setAttribute("aria-activedescendant", item.id);
    else input.removeAttribute("aria-activedescendant");
  };
  const show = (offered, index) => {
    shown = offered;
    list.replaceChildren(
      ...shown.map((choice, at) =>
        element(
          "li",
          {
            id: `${list.id}-${at}`,
            role: "option",
            data: { suggestion: String(choice.value) },
            on: {
              pointerdown: (event) => (event.preventDefault(), pick(choice)),
              pointermove: () => at !== marked && mark(at),
            },
          },
          choice.name,
        ),
      ),
    );
    list.hidden = !shown.length;
    input.setAttribute("aria-expanded", String(shown.length > 0));
    mark(index);
  };
  const close = () => {
    asked += 1;
    clearTimeout(timer); // or the list would open again
    show([], -1);
  };
  const pick = (choice) => {
    picked = choice;
    input.value = choice.name;
    close();
  };
  const ask = async () => {
    const mine = ++asked;
    const answer = await suggest(option.name);
    if (mine !== asked || !answer) return;
    choices = answer;
    // The first is marked, unless one was while the bot was thinking.
    const before = shown[marked]?.value;
    show(
      choices,
      Math.max(
        0,
        choices.findIndex((choice) => choice.value === before),
      ),
    );
  };
  input.addEventListener("input", () => {
    picked = null;
    const typed = input.value.toLowerCase();
    // Until the bot answers; none is marked, for what was typed may not be among them.
    show(
      choices.filter((choice) => choice.name.toLowerCase().includes(typed)),
      -1,
    );
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  });
  input.addEventListener("focus", ask);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (list.hidden || event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const choice = shown[marked];
    if (step) mark((Math.max(marked, step < 0 ? 0 : -1) + step + shown.length) % shown.length);
    else if (event.key === "Escape") close();
    else if (event.key === "Enter" && choice) {
      const whole = choice.name === input.value;
      pick(choice);
      if (whole) return; // there is nothing left to take: it is sent
    } else {
      // Tab goes on to the next field; an optional one that is empty stays so.
      const wanted = option.required || input.value;
      if (event.key === "Tab" && !event.shiftKey && choice && wanted) pick(choice);
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  });
  close();
  return {
    input,
    extra: list,
    read: () => (picked && picked.name === input.value ? String(picked.value) : input.value),
  };
}
