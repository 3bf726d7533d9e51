// Building elements. Text always goes in as text: nothing here reads markup from a message.

/** An element with properties, `data` and `aria`, and children (nodes or strings). */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "data") Object.assign(node.dataset, value);
    else if (name === "class") node.className = value;
    else if (name === "on")
      for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else if (name.startsWith("aria-") || name === "role" || name === "for")
      node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(
    ...children.filter((child) => child !== null && child !== undefined && child !== false),
  );
  return node;
}

/** A member's avatar: a letter on the member's colour. */
export function avatar(member, size = "") {
  const node = element(
    "span",
    { class: `avatar ${size}`.trim(), "aria-hidden": "true" },
    [...member.name][0] ?? "?",
  );
  node.style.setProperty("--avatar", member.color);
  return node;
}

/** A date as people in a chat read it. */
export function clock(date) {
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const today = new Date().toDateString() === date.toDateString();
  return today ? time : `${date.toLocaleDateString()} ${time}`;
}
