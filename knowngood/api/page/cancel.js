// Cancelling a run: asked for twice, refused in words.

import { ask } from "./api.js";
import { el } from "./dom.js";
import { pastReturn } from "./vocabulary.js";
import { ENDED, title } from "./words.js";

/** Return the button that ends a run, or what stands in its place; null once the run has ended. */
export function cancelButton(run, role) {
  if (ENDED.has(run.state)) return null;
  if (pastReturn(run)) {
    return el(
      "p",
      { class: "muted" },
      "It is changing the flow and goes on to its end, so that the flow is not left half-way.",
    );
  }
  if (!mayCancel(run, role)) {
    const needed = run.kind === "rollback" ? "a rollback token" : "a deploy or rollback token";
    return el("p", { class: "muted" }, `To cancel this ${run.kind}, sign in with ${needed}.`);
  }
  return el(
    "button",
    { type: "button", class: "danger", "data-cancel": run.run_id },
    `Cancel this ${run.kind}`,
  );
}

// As the API has it: whoever may start a run may end it.
function mayCancel(run, role) {
  return run.kind === "rollback" ? role === "rollback" : role !== "read";
}

/** Ask the person, then the API; resolves to what there is to say, or null if it was let be. */
export async function cancel(run) {
  if (!(await sure(run))) return null;
  try {
    await ask(`v1/runs/${encodeURIComponent(run.run_id)}/cancel`, { method: "POST" });
    return { done: true, text: `${title(run)} is cancelled.` };
  } catch (problem) {
    return { done: false, text: `It was not cancelled: ${problem.message}` };
  }
}

function sure(run) {
  const meaning =
    run.kind === "watch"
      ? "The flow is watched no longer: nothing rolls it back by itself."
      : "Nothing of the flow has been changed yet, and nothing will be.";
  const dialog = el(
    "dialog",
    { "aria-labelledby": "sure-title" },
    el(
      "form",
      { method: "dialog" },
      el("h2", { id: "sure-title" }, `Cancel the ${run.kind} of ${run.flow_name}?`),
      el("p", {}, meaning),
      el(
        "p",
        { class: "row" },
        el("button", { value: "keep", autofocus: true }, "Let it go on"),
        el("button", { value: "cancel", class: "danger" }, `Cancel the ${run.kind}`),
      ),
    ),
  );
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "cancel");
    });
    dialog.showModal();
  });
}
