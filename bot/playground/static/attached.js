// What comes with a message: embeds and files.

import { clock, element } from "./dom.js";
import { markdown } from "./markdown.js";

/** An embed as a card. */
export function embedCard(embed, room) {
  const titled = (tag, part, text, address) =>
    element(
      tag,
      { class: `embed-${part}` },
      address
        ? element("a", { href: safe(address), target: "_blank", rel: "noopener noreferrer" }, text)
        : text,
    );
  const footer = [embed.footer?.text, embed.timestamp && clock(new Date(embed.timestamp))]
    .filter(Boolean)
    .join(" • ");
  const card = element(
    "article",
    { class: "embed" },
    embed.author && titled("p", "author", embed.author.name, embed.author.url),
    embed.title && titled("h3", "title", embed.title, embed.url),
    embed.description &&
      element("div", { class: "embed-description" }, markdown(embed.description, room)),
    embed.fields?.length > 0 &&
      element(
        "dl",
        { class: "embed-fields" },
        ...embed.fields.map((one) =>
          element(
            "div",
            { class: one.inline ? "inline" : "" },
            element("dt", {}, one.name),
            element("dd", {}, markdown(one.value, room)),
          ),
        ),
      ),
    footer && element("p", { class: "embed-footer" }, footer),
  );
  if (embed.color !== undefined)
    card.style.setProperty("--embed", `#${embed.color.toString(16).padStart(6, "0")}`);
  return card;
}

function safe(address) {
  return /^https?:\/\//.test(address) ? address : "#";
}

/** A file that came with a message: a picture is shown. */
export function fileCard(file) {
  if (file.content_type?.startsWith("image/"))
    return element("img", {
      class: "picture",
      src: safe(file.url),
      alt: file.description ?? file.filename,
      data: { file: file.filename },
    });
  const size = file.size < 1024 ? `${file.size} bytes` : `${(file.size / 1024).toFixed(1)} KB`;
  return element(
    "a",
    { class: "file", href: safe(file.url), download: file.filename, data: { file: file.filename } },
    element("strong", {}, file.filename),
    element("span", {}, size),
  );
}
