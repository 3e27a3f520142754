// Brings what is shown to what should be shown and touches nothing else, so that focus, selection,
// scrolling and an opened <details> survive each update. Children with a data-key are matched by it.

// What the person decides about an element, and not the data.
const THEIRS = new Set(["open"]);

/** Make the children of `shown` like `wanted`, a list of nodes. */
export function show(shown, ...wanted) {
  const target = document.createDocumentFragment();
  target.append(...wanted.filter(Boolean));
  children(shown, target);
}

function children(shown, wanted) {
  const byKey = new Map();
  for (const child of shown.children) if (child.dataset?.key) byKey.set(child.dataset.key, child);
  let place = shown.firstChild;
  for (const want of [...wanted.childNodes]) {
    const key = want.dataset?.key;
    let have = key ? byKey.get(key) : unkeyed(place);
    if (have && alike(have, want)) {
      byKey.delete(key);
      if (have === place) place = place.nextSibling;
      else shown.insertBefore(have, place);
      node(have, want);
    } else {
      shown.insertBefore(want, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function unkeyed(place) {
  return place && !place.dataset?.key ? place : null;
}

function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName;
}

function node(have, want) {
  if (have.nodeType !== Node.ELEMENT_NODE) {
    if (have.data !== want.data) have.data = want.data;
    return;
  }
  for (const { name } of [...have.attributes]) {
    if (!want.hasAttribute(name) && !THEIRS.has(name)) have.removeAttribute(name);
  }
  for (const { name, value } of want.attributes) {
    if (have.getAttribute(name) !== value && !THEIRS.has(name)) have.setAttribute(name, value);
  }
  children(have, want);
}
