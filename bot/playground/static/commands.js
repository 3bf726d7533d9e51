// The commands that are on offer, and what a typed line says to them.

export const TYPE_NAMES = {
  3: "text",
  4: "whole number",
  5: "true or false",
  6: "member",
  7: "channel",
  8: "role",
  9: "member or role",
  10: "number",
  11: "file",
};

/** One entry for each thing that can be run: a command, or each of its subcommands. */
export function entries(commands) {
  const found = [];
  const walk = (command, part, path) => {
    const options = part.options ?? [];
    const inner = options.filter((option) => option.type <= 2);
    for (const option of inner) walk(command, option, [...path, option.name]);
    if (!inner.length) {
      found.push({
        id: command.id,
        path,
        name: [command.name, ...path].join(" "),
        description: part.description,
        options,
      });
    }
  };
  for (const command of commands.filter((one) => one.type === 1)) walk(command, command, []);
  return found.sort((one, other) => one.name.localeCompare(other.name));
}

/** The entries that a line beginning with "/" may become. */
export function matching(all, line) {
  const typed = line.slice(1).toLowerCase();
  const exact = named(all, line);
  if (exact && typed.length > exact.name.length) return [exact];
  const begins = all.filter((entry) => entry.name.startsWith(typed));
  const holds = all.filter(
    (entry) => !entry.name.startsWith(typed) && entry.name.includes(typed.trim()),
  );
  return [...begins, ...holds];
}

/** The entry whose whole name the line begins with, in any case. */
export function named(all, line) {
  const typed = `${line.toLowerCase()} `;
  return all
    .filter((entry) => typed.startsWith(`/${entry.name.toLowerCase()} `))
    .sort((one, other) => other.name.length - one.name.length)[0];
}

/** What the rest of the line fills in: `option:value` pairs, or all of it the first text option. */
export function typedValues(entry, line) {
  const rest = line.slice(entry.name.length + 1).trim();
  if (!rest) return {};
  const names = entry.options.map((option) => option.name);
  const pairs = [...rest.matchAll(/(?:^|\s)([\p{L}\p{N}_'-]+):/gu)].filter((match) =>
    names.includes(match[1]),
  );
  const values = {};
  const lead = rest.slice(0, pairs[0]?.index ?? rest.length).trim();
  const first = entry.options.find((option) => option.type === 3) ?? entry.options[0];
  if (lead && first) values[first.name] = lead;
  pairs.forEach((pair, index) => {
    const value = rest.slice(pair.index + pair[0].length, pairs[index + 1]?.index ?? rest.length);
    values[pair[1]] = value.trim();
  });
  return values;
}

/** The first required option that has no value. */
export function missing(entry, values) {
  return entry.options.find((option) => option.required && !values[option.name]);
}
