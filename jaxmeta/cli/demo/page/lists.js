// The lists of recordings, with a player, the text, and buttons.
import { duration, element, showMarked } from "./pieces.js";
import { ask } from "./server.js";

const shown = {};

/** Shows the recordings of a kind, unless one of them is being edited. `act(promise)` shows errors and loads the state. */
export function showList(kind, rows, act) {
  const place = document.getElementById(kind);
  const now = JSON.stringify(rows);
  if (shown[kind] === now || place.querySelector("textarea, .really")) return;
  shown[kind] = now;
  place.replaceChildren(...[...rows].reverse().map((row) => item(kind, row, act))); // The newest first.
}

function item(kind, row, act) {
  const path = `/api/${kind}/${encodeURIComponent(row.name)}`;
  const name = row.text || (kind === "words" ? "the voice, without a word" : "no text");
  const text = element("p", {}, name);
  const again = () => { delete shown[kind]; };
  const player = element("audio", { controls: true, preload: "none", src: path });
  player.setAttribute("aria-label", `Recording: ${name}`);
  const edit = button("Edit", name, () => {
    const field = element("textarea", { value: row.text, rows: 2, spellcheck: false });
    field.setAttribute("aria-label", "Text of the recording");
    const close = () => { field.remove(); again(); };
    const save = button("Save", name, () => act(async () => {
      await ask("PATCH", path, { text: field.value });
      close();
    }));
    text.replaceWith(field);
    edit.replaceWith(save);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { close(); act(async () => {}); }
    });
    field.focus();
  });
  const remove = button("Delete", name, () => {
    if (remove.classList.contains("really")) {
      act(async () => {
        remove.classList.remove("really");
        again();
        await ask("DELETE", path);
      });
      return;
    }
    remove.classList.add("really");
    remove.textContent = "Really delete?";
    remove.addEventListener("blur", () => {
      remove.classList.remove("really");
      remove.textContent = "Delete";
    }, { once: true });
  });
  const tools = element("div", { className: "row" }, player, element("span", { className: "quiet number" }, duration(row.seconds)), edit, remove);
  return element("li", {}, text, tools, ...(row.learnt ? [texts(row)] : []));
}

function texts(row) {
  const [before, after] = [row.learnt.before, row.learnt.after].map((each) => {
    const place = element("span");
    showMarked(place, each, row.learnt.said);
    return place;
  });
  const stale = row.learnt.said.toLowerCase() === row.text.toLowerCase() ? "" : " (the text has been changed since)";
  return element("details", {}, element("summary", {}, `Recognised before and after${stale}`),
    element("p", {}, "Before: ", before), element("p", {}, "After: ", after));
}

function button(label, name, onclick) {
  const made = element("button", { type: "button", onclick }, label);
  made.setAttribute("aria-description", name);
  return made;
}
