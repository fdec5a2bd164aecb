// Small pieces of the page. Texts are put in as text, never as HTML.

/** An element with properties and children; children are elements or strings. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const plain = (word) => word.normalize("NFKC").toLowerCase().replace(/[^\p{L}\p{M}\p{N}']/gu, "");

/** Shows a text with the words marked that do not stand in the reference, which is what was said. */
export function showMarked(place, text, reference) {
  const words = text.split(/\s+/).filter(Boolean);
  const others = reference.split(/\s+/).map(plain).filter(Boolean);
  const same = matched(words.map(plain), others);
  place.replaceChildren(...words.flatMap((word, index) => [
    index ? " " : "", same.has(index) || !plain(word) ? word : element("mark", {}, word),
  ]));
  if (!words.length) place.append(element("span", { className: "quiet" }, "(nothing)"));
}

/** Places of the words in a longest common subsequence with the others. */
function matched(words, others) {
  const table = Array.from({ length: words.length + 1 }, () => new Uint16Array(others.length + 1));
  for (let i = words.length - 1; i >= 0; i -= 1) {
    for (let j = others.length - 1; j >= 0; j -= 1) {
      table[i][j] = words[i] === others[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
    }
  }
  const places = new Set();
  for (let i = 0, j = 0; i < words.length && j < others.length;) {
    if (words[i] === others[j]) { places.add(i); i += 1; j += 1; }
    else if (table[i + 1][j] >= table[i][j + 1]) i += 1;
    else j += 1;
  }
  return places;
}

/** A number of points with its sign. */
export const points = (value) => `${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(1)}`;

/** The change and its interval on a line with 0: what lies left of 0 is better. */
export function intervalPicture({ change, change_low: low, change_high: high }) {
  const least = Math.min(low, 0), most = Math.max(high, 0), margin = 0.1 * (most - least || 1);
  const across = (value) => 20 + 360 * (value - least + margin) / (most - least + 2 * margin);
  const svg = (name, attributes, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    made.textContent = text;
    return made;
  };
  const label = `Change ${points(change)} points, 95 % interval ${points(low)} to ${points(high)}`;
  const picture = svg("svg", { viewBox: "0 0 400 62", role: "img", "aria-label": label });
  picture.append(
    svg("line", { class: "range", x1: across(low), x2: across(high), y1: 26, y2: 26 }),
    svg("line", { class: "axis", x1: across(0), x2: across(0), y1: 8, y2: 42 }),
    svg("circle", { class: "value", cx: across(change), cy: 26, r: 5 }),
    svg("text", { x: across(0), y: 57, "text-anchor": "middle" }, "0: no change"),
    svg("text", { x: 2, y: 12 }, "better"),
    svg("text", { x: 398, y: 12, "text-anchor": "end" }, "worse"),
  );
  return picture;
}

/** Seconds as a person says them. */
export const duration = (seconds) => (seconds < 60 ? `${Math.round(seconds)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`);
