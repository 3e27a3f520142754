// Asks for the token, once for each tab.

import { ask } from "./api.js";
import { el } from "./dom.js";
import { session } from "./session.js";

/** Return what the token may do: read, deploy or rollback; throws a Problem. */
export async function roleOf() {
  return (await ask("v1/token")).role;
}

/** Return the form; `done(role)` is called once the API took the token. `why` says why it asks. */
export function signIn(why, done) {
  const field = el("input", {
    id: "token",
    type: "password",
    name: "token",
    required: true,
    autocomplete: "current-password",
    autocapitalize: "off",
    spellcheck: "false",
    "aria-describedby": "token-help token-error",
  });
  const error = el("p", { id: "token-error", class: "error", role: "alert" }, why);
  const button = el("button", { type: "submit" }, "Sign in");
  const form = el(
    "form",
    { class: "card signin" },
    el("h1", { tabindex: -1 }, "Sign in"),
    el("label", { for: "token" }, "Token"),
    // Password managers keep a password with a name.
    el("input", {
      type: "text",
      name: "username",
      value: "knowngood",
      autocomplete: "username",
      hidden: true,
    }),
    field,
    el(
      "p",
      { id: "token-help", class: "muted" },
      "One of the tokens in KNOWNGOOD_API_TOKENS, without its role: a read token shows, a rollback token may also cancel. This tab keeps it until it is closed.",
    ),
    error,
    button,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const token = field.value.trim();
    if (!/^[!-~]+$/.test(token)) {
      error.textContent = "A token has neither spaces nor letters beyond ASCII: copy it again.";
      return field.select();
    }
    error.textContent = "";
    button.disabled = true;
    session.keep(token);
    try {
      done(await roleOf());
    } catch (problem) {
      session.forget();
      error.textContent = wrong(problem);
      field.select();
      field.focus();
    } finally {
      button.disabled = false;
    }
  });
  return form;
}

function wrong(problem) {
  switch (problem.status) {
    case 401:
      return "Nobody knows this token. Copy it again, or ask whoever runs knowngood for one.";
    case 0:
      return "The API does not answer. See that `knowngood api` runs, then try again.";
    default:
      return `${problem.title}: ${problem.message}`;
  }
}
