// The commands in a text for people, so that each can be copied without its sentence.

import { el } from "./dom.js";

// Each form that knowngood's own advice takes: a word, then ids, versions, options, quoted reasons.
const COMMAND =
  /knowngood [a-z][a-z-]*(?: (?:--[a-z-]+|'[^'\n]*'|VERSION|(?=[\w.-]*\d)[0-9A-Za-z](?:[\w.-]*[\w-])?)(?=[\s,;:.`)]|$))*/g;
const SUBCOMMANDS = new Set(
  "snapshot watch rollback cancel status runs versions snapshots watches explain doctor alert-test".split(
    " ",
  ),
);
const ALONE = new Set(["doctor", "alert-test", "runs", "watches"]);

/** Return the commands that a text names, in order, each once. */
export function commandsIn(text) {
  const found = [];
  for (const [match] of text.matchAll(COMMAND)) {
    const words = match.split(" ");
    if (!SUBCOMMANDS.has(words[1])) continue;
    const command = ALONE.has(words[1]) ? words.slice(0, 2).join(" ") : match;
    if (!found.includes(command)) found.push(command);
  }
  return found;
}

/** Return a command that can be copied with one press. */
export function copyable(command, label = "Copy") {
  return el(
    "div",
    { class: "command", "data-key": `command ${command}` },
    el("code", {}, command),
    el(
      "button",
      {
        type: "button",
        class: "quiet",
        "data-copy": command,
        "aria-label": `${label}: ${command}`,
      },
      label,
    ),
  );
}

/** Let buttons with data-copy copy; `say` tells that it was done. */
export function copyOnPress(root, say) {
  root.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = button.dataset.copy;
    if (await copied(text)) {
      say(`Copied: ${text}`);
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), 1_500);
    } else {
      const range = document.createRange();
      range.selectNodeContents(button.previousElementSibling ?? button);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      say("The browser does not let this page copy: the text is selected, copy it yourself.");
    }
  });
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedTheOldWay(text);
  }
}

// Over plain HTTP browsers offer no clipboard but this.
function copiedTheOldWay(text) {
  const field = el("textarea", { readonly: true, class: "unseen" });
  field.value = text;
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return done;
}
