// A modal: the form that a bot opens, and what was filled in.

import { offered, selectField } from "./components.js";
import { element } from "./dom.js";

/** Opens modals in a dialog; `submit(opened, values)` resolves to the result. */
export class Modal {
  constructor({ dialog, room, submit }) {
    this.dialog = dialog;
    this.room = room;
    this.submit = submit;
  }

  open(modal, opened) {
    const read = new Map();
    const fields = modal.components.map((part) => this.#part(part, read));
    const failed = element("p", { class: "failed", role: "alert", hidden: true });
    const send = async (event) => {
      event.preventDefault();
      failed.hidden = true;
      const values = Object.fromEntries([...read].map(([id, value]) => [id, value()]));
      const { error, field } = await this.submit(opened, values);
      if (!error) return this.dialog.close();
      const named = field && form.querySelector(`[data-input="${CSS.escape(field)}"]`);
      named?.focus();
      failed.textContent = error;
      failed.hidden = false;
    };
    const form = element(
      "form",
      {
        data: { modal: modal.custom_id },
        noValidate: true,
        autocomplete: "off",
        on: { submit: send },
      },
      element("h2", { id: "modal-title" }, modal.title),
      element("p", { class: "modal-from" }, `This form goes to ${this.room.bot.name}.`),
      ...fields,
      failed,
      element(
        "div",
        { class: "modal-buttons" },
        element(
          "button",
          { type: "button", class: "button plain", on: { click: () => this.dialog.close() } },
          "Cancel",
        ),
        element("button", { class: "button primary", data: { submit: "" } }, "Submit"),
      ),
    );
    this.dialog.setAttribute("aria-labelledby", "modal-title");
    this.dialog.replaceChildren(form);
    this.dialog.showModal();
    form.querySelector("input, textarea, select")?.focus();
  }

  #part(part, read) {
    if (part.type === 10) return element("p", {}, part.content);
    const component = part.type === 18 ? part.component : part.components[0];
    const label = part.type === 18 ? part.label : component.label;
    const id = `field-${component.custom_id}`;
    const required = component.required ?? true;
    return element(
      "div",
      { class: "field" },
      element(
        "label",
        { for: id },
        label,
        required && element("span", { class: "required", title: "Required" }, " *"),
      ),
      part.description && element("small", {}, part.description),
      component.type === 4
        ? textField(component, id, required, read)
        : this.#select(component, id, read),
    );
  }

  #select(component, id, read) {
    let values = offered(component, this.room)
      .filter((option) => option.default)
      .map((option) => option.value);
    const node = selectField(component, this.room, (picked) => (values = picked));
    node.id = id;
    node.removeAttribute("aria-label"); // here the field's label names it
    node.dataset.input = component.custom_id;
    read.set(component.custom_id, () => values);
    return node;
  }
}

function textField(component, id, required, read) {
  const node = element(component.style === 2 ? "textarea" : "input", {
    id,
    value: component.value ?? "",
    placeholder: component.placeholder ?? "",
    required,
    rows: component.style === 2 ? 5 : undefined,
    data: { input: component.custom_id },
  });
  if (component.max_length) node.maxLength = component.max_length;
  read.set(component.custom_id, () => node.value);
  return node;
}
