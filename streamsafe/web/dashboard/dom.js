// DOM: elements are made here and nowhere else, and text only ever goes in as text: what a
// server sent cannot become markup.

const SVG = "http://www.w3.org/2000/svg";
const at = (selector, within = document) => within.querySelector(selector);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const make = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

// Only what differs is written, so that a screen reader's place and a selection stay.
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function toggle(node, name, on) {
  if (on) node.setAttribute(name, "");
  else node.removeAttribute(name);
}

// Rows by key: those that are known stay in the page with their focus and what is unfolded.
function rows(parent, items, key, create, update) {
  const known = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let place = null;
  for (const item of items) {
    const name = key(item);
    let node = known.get(name);
    known.delete(name);
    if (!node) {
      node = create(item);
      node.dataset.key = name;
    }
    update(node, item);
    const next = place ? place.nextSibling : parent.firstChild;
    if (node !== next) parent.insertBefore(node, next);
    place = node;
  }
  for (const node of known.values()) node.remove();
}

// A row of a table: the cells are made once, and then only their texts change. The roles are said
// because on a phone a row is laid out as a card, which costs it its meaning in some browsers.
function cells(columns) {
  return {
    create: () =>
      make("tr", { role: "row" }, ...columns.map(({ name, words, header }) =>
        make(header ? "th" : "td", {
          class: words ? "words" : null, scope: header ? "row" : null, "data-label": name,
          role: header ? "rowheader" : "cell",
        }))),
    update: (row, item) =>
      columns.forEach(({ show, into }, place) => {
        if (into) into(row.cells[place], item);
        else say(row.cells[place], show(item));
      }),
  };
}
