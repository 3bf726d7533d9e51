// Who and what is here.

const UNKNOWN = { id: "0", username: "unknown", name: "Unknown", color: "#5c6370", bot: false };

/** Who and what is here: what the server last said. */
export const room = {
  members: [],
  roles: [],
  channels: [],
  commands: [],
  online: false,
  me: UNKNOWN,
  bot: { ...UNKNOWN, name: "The bot", bot: true },
  channel: { name: "" },
  /** Begin a command, by its name; who owns the box where one writes says how. */
  begin: () => {},
  member: (id) => room.members.find((member) => member.id === id) ?? UNKNOWN,
  roleName: (id) => room.roles.find((role) => role.id === id)?.name.replace(/^@/, "") ?? "unknown",
  channelName: (id) => room.channels.find((channel) => channel.id === id)?.name ?? "unknown",
  /** The members, roles or channels as the options of a list. */
  named(kind) {
    const members = room.members.map((member) => ({ value: member.id, label: member.name }));
    const roles = room.roles.map((role) => ({
      value: role.id,
      label: `@${role.name.replace(/^@/, "")}`,
    }));
    const channels = room.channels.map((channel) => ({
      value: channel.id,
      label: `#${channel.name}`,
    }));
    return { members, roles, channels, mentionables: [...members, ...roles] }[kind];
  },
};
