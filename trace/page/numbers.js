// Tensors in the page: exact texts of the trace as a number, a table or a heat
// map. Colours alone are computed from them.

const kAsText = 8;        // columns with which a table still shows its numbers
const kTableCells = 4096; // of all tables of a tensor

function shapeText(shape) { return `[${shape.join(", ")}]`; }

// [12, 3] for the element at a position of a row-major tensor.
function placeOf(at, shape) {
  const place = [];
  for (let d = shape.length - 1; d >= 0; --d) {
    place.unshift(at % shape[d]);
    at = Math.floor(at / shape[d]);
  }
  return `[${place.join(", ")}]`;
}

function tableOf(texts, shape, first, rows, columns, most, told) {
  const isSmall = columns > kAsText;
  const body = html("tbody", {});
  for (let r = 0; r < rows; ++r) {
    const row = html("tr", {});
    for (let c = 0; c < columns; ++c) {
      const at = first + r * columns + c;
      const value = Number(texts[at]);
      const cell = html("td", {title: `${placeOf(at, shape)} = ${texts[at]}`});
      if (!isSmall) cell.textContent = texts[at];
      if (!Number.isFinite(value)) {
        cell.className = "odd";
      } else if (most > 0) {
        cell.style.setProperty("--tone", value < 0 ? "var(--s1)" : "var(--s0)");
        cell.style.setProperty("--much", `${Math.round(62 * Math.abs(value) / most)}%`);
      }
      row.append(cell);
    }
    body.append(row);
  }
  body.addEventListener("mouseover", (event) => { told.textContent = event.target.title || ""; });
  return html("table", {class: isSmall ? "heat small" : "heat"}, body);
}

// What the page shows of numbers: an element, whose data-text is all of them exactly.
function shownNumbers(numbers, label) {
  const element = html("div", {"data-text": numbers.text});
  const texts = numbers.text === "" ? [] : numbers.text.split(" ");
  if (numbers.whole && texts.length === 1) {
    element.append(html("output", {}, texts[0]));
    if (numbers.bad > 0) element.append(" — not finite");
    return element;
  }
  const corner = numbers.whole ? numbers.shape : numbers.corner;
  let about = `${numbers.dtype} ${shapeText(numbers.shape)}`;
  if (!numbers.whole) about += `, ${numbers.about}; the corner ${shapeText(corner)}`;
  if (numbers.bad > 0) about += `, ${numbers.bad} not finite`;
  element.append(html("p", {class: "note", style: "margin: 0"}, about));
  if (texts.length === 0) return element;
  const finite = texts.map(Number).filter(Number.isFinite).map(Math.abs);
  const most = finite.reduce((a, b) => Math.max(a, b), 0);
  const columns = corner.length === 0 ? 1 : corner[corner.length - 1];
  const rows = corner.length < 2 ? 1 : corner[corner.length - 2];
  const told = html("div", {class: "cell", "aria-hidden": "true"});
  const scroll = html("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": label});
  let first = 0;
  for (; first < texts.length && first + rows * columns <= kTableCells; first += rows * columns) {
    if (corner.length > 2)
      scroll.append(html("p", {class: "note", style: "margin: 4px 0 0"}, `from ${placeOf(first, corner)}`));
    scroll.append(tableOf(texts, corner, first, rows, columns, most, told));
  }
  if (first < texts.length) scroll.append(html("p", {class: "note"}, "The rest is in the numbers below."));
  element.append(scroll, told);
  if (columns > kAsText || first < texts.length) {
    const pre = html("pre", {});
    const details = html("details", {}, html("summary", {}, "numbers"), pre);
    details.addEventListener("toggle", () => {
      const lines = [];
      for (let i = 0; i < texts.length; i += columns) lines.push(texts.slice(i, i + columns).join(" "));
      pre.textContent = lines.join("\n");
    });
    element.append(details);
  }
  return element;
}
