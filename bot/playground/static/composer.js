// Where a member writes: plain messages, and commands typed or filled in.

import { entries, matching, missing, named, typedValues } from "./commands.js";
import { element } from "./dom.js";
import { optionField } from "./options.js";

/** The message box with its list of commands and the form of the command that was picked. */
export class Composer {
  #entries = [];
  #found = [];
  #marked = 0;

  /** `say(text)`, `run(entry, values)` and `suggest(entry, values, focus)` resolve to results. */
  constructor({ composer, text, slash, list, refused, form, room, say, run, suggest }) {
    Object.assign(this, { composer, text, slash, list, refused, form, room, say, run, suggest });
    text.addEventListener("input", () => this.#typed());
    text.addEventListener("keydown", (event) => this.#key(event));
    text.addEventListener("blur", () => this.#close());
    composer.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send(false);
    });
    slash.addEventListener("pointerdown", (event) => event.preventDefault());
    slash.addEventListener("click", () => this.write("/"));
  }

  /** The bot registered these. */
  offer(commands) {
    this.#entries = entries(commands);
    if (document.activeElement === this.text) this.#typed();
  }

  /** Whether the bot offers a command of this name. */
  offers(name) {
    return this.#entries.some((entry) => entry.name === name);
  }

  /** Put something in the box, as if typed. */
  write(text) {
    this.close();
    this.text.value = text;
    this.text.focus();
    this.#typed();
  }

  /** Begin a command that was clicked: its form opens, or the list shows what is like it. */
  begin(name) {
    this.write(`/${name}`);
    const entry = this.#entries.find((one) => one.name === name);
    if (entry) this.pick(entry);
  }

  /** Put away the form. */
  close() {
    this.form.hidden = true;
    this.form.replaceChildren();
    this.composer.hidden = false;
  }

  #fit() {
    this.text.style.height = "auto";
    this.text.style.height = `${this.text.scrollHeight}px`;
  }

  #typed() {
    this.#fit();
    this.#refuse("");
    const line = this.text.value;
    this.#found =
      line.startsWith("/") && !line.includes("\n")
        ? matching(this.#entries, line).slice(0, 25)
        : [];
    this.#marked = 0;
    this.#show();
  }

  #show() {
    const open = this.text.value.startsWith("/") && !this.text.value.includes("\n");
    this.list.hidden = !open;
    this.text.setAttribute("aria-expanded", String(open && this.#found.length > 0));
    this.text.removeAttribute("aria-activedescendant");
    if (!open) return;
    const items = this.#found.map((entry, index) =>
      element(
        "li",
        {
          id: `command-${index}`,
          role: "option",
          class: "command",
          "aria-selected": String(index === this.#marked),
          data: { command: entry.name },
          on: {
            pointerdown: (event) => (event.preventDefault(), this.pick(entry)),
            pointermove: () => index !== this.#marked && this.#mark(index),
          },
        },
        element("strong", {}, `/${entry.name}`),
        ...entry.options.flatMap((option) => [
          " ",
          element("span", { class: `slot${option.required ? " needed" : ""}` }, option.name),
        ]),
        element("small", {}, entry.description),
      ),
    );
    const empty = element(
      "p",
      { class: "none", role: "status" },
      this.#entries.length
        ? "No command begins like this."
        : "No commands yet: the bot has not registered any.",
    );
    this.list.replaceChildren(
      items.length
        ? element(
            "ul",
            { id: "commands-offered", role: "listbox", "aria-label": "Commands" },
            ...items,
          )
        : empty,
    );
    if (items.length) this.text.setAttribute("aria-activedescendant", `command-${this.#marked}`);
  }

  #mark(index) {
    this.#marked = index;
    const items = [...this.list.querySelectorAll(".command")];
    items.forEach((item, at) => item.setAttribute("aria-selected", String(at === index)));
    items[index]?.scrollIntoView({ block: "nearest" });
    this.text.setAttribute("aria-activedescendant", `command-${index}`);
  }

  #close() {
    this.list.hidden = true;
    this.text.setAttribute("aria-expanded", "false");
    this.text.removeAttribute("aria-activedescendant");
  }

  #key(event) {
    if (event.isComposing) return;
    const open = !this.list.hidden && this.#found.length > 0;
    if (event.key === "Enter" && !event.shiftKey) this.#send(open);
    else if (event.key === "Escape" && !this.list.hidden) this.#close();
    else if (open && event.key === "Tab" && !event.shiftKey) this.pick(this.#found[this.#marked]);
    else if (open && event.key === "ArrowDown") this.#mark((this.#marked + 1) % this.#found.length);
    else if (open && event.key === "ArrowUp")
      this.#mark((this.#marked + this.#found.length - 1) % this.#found.length);
    else return;
    event.preventDefault();
  }

  /** Send what is written; from the keyboard, a command that was marked is taken first. */
  async #send(open) {
    const line = this.text.value.trim();
    if (!line) return;
    const entry = line.startsWith("/") ? named(this.#entries, line) : null;
    const marked = this.#found[this.#marked];
    if (line.startsWith("/") && marked && (!entry || (open && marked !== entry)))
      return this.pick(marked);
    if (line.startsWith("/") && !entry) return this.write(line); // the list says why
    const values = entry ? typedValues(entry, line) : {};
    if (entry && missing(entry, values)) return this.pick(entry, values);
    this.#clear();
    const { error, field } = await (entry ? this.run(entry, values) : this.say(line));
    if (!error) return;
    if (field) return this.pick(entry, values, error, field);
    // Nothing that was written is lost, neither this nor what was begun meanwhile.
    this.text.value = [line, this.text.value].filter(Boolean).join("\n");
    this.#fit();
    this.#refuse(entry ? "" : error); // what a command was refused for stands in the channel
  }

  #refuse(sentence) {
    this.refused.textContent = sentence;
    this.refused.hidden = !sentence;
  }

  #clear() {
    this.text.value = "";
    this.#typed();
  }

  /** Open the form of a command. */
  pick(entry, values = typedValues(entry, this.#lineFor(entry)), error = "", focus = null) {
    if (!error) this.#clear(); // else it is what was begun meanwhile
    const given = () =>
      Object.fromEntries(
        fields.map((field) => [field.name, field.value()]).filter(([, value]) => value !== ""),
      );
    const suggest = async (name) => (await this.suggest(entry, given(), name)).choices ?? null;
    const fields = entry.options.map((option) =>
      optionField(option, { room: this.room, value: values[option.name], suggest }),
    );
    const failed = element("p", { class: "failed", role: "alert", hidden: !error }, error);
    const runButton = element("button", { class: "button primary", data: { run: "" } }, "Send");
    const fail = (sentence, name) => {
      failed.textContent = sentence;
      failed.hidden = false;
      (fields.find((field) => field.name === name)?.input ?? runButton).focus();
    };
    this.form.onsubmit = async (event) => {
      event.preventDefault();
      const needed = missing(entry, given());
      if (needed) return fail(`Fill in ${needed.name}.`, needed.name);
      runButton.disabled = true;
      const { error: refused, field } = await this.run(entry, given());
      runButton.disabled = false;
      if (refused) return fail(refused, field);
      this.close();
      this.text.focus();
    };
    this.form.onkeydown = (event) => {
      if (event.key !== "Escape") return;
      this.close();
      this.text.focus();
    };
    this.form.replaceChildren(
      element(
        "header",
        {},
        element("strong", { class: "chip" }, `/${entry.name}`),
        element("span", {}, entry.description),
      ),
      element("div", { class: "fields" }, ...fields.map((field) => field.node)),
      failed,
      element(
        "div",
        { class: "form-buttons" },
        element(
          "button",
          {
            type: "button",
            class: "button plain",
            on: { click: () => (this.close(), this.text.focus()) },
          },
          "Cancel",
        ),
        runButton,
      ),
    );
    this.form.dataset.form = entry.name;
    this.form.hidden = false;
    this.composer.hidden = true;
    const first =
      fields.find((field) => field.name === focus) ??
      fields.find((field) => !field.value()) ??
      fields[0];
    (first?.input ?? runButton).focus();
  }

  #lineFor(entry) {
    return named([entry], this.text.value) ? this.text.value : `/${entry.name}`;
  }
}
