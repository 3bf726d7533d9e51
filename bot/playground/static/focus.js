// The focus, when what has it is built anew.

const PRESSED = "button, a, input, select, summary";

/** Build a part anew; what had the focus there has it again, or what stands in its place. */
export function refocused(node, build) {
  const focused = document.activeElement;
  if (!node.contains(focused) || focused === node) return build();
  const at = [...node.querySelectorAll(PRESSED)].indexOf(focused);
  const id = focused.dataset.customId;
  build();
  if (node.contains(focused)) return;
  const now = [...node.querySelectorAll(PRESSED)];
  const again = now.find((one) => id && one.dataset.customId === id) ?? now[at];
  const next = again?.disabled ? now.find((one) => !one.disabled) : again;
  (next ?? node).focus({ preventScroll: true });
}
