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
  return place;
}

// The numbers that were kept of a tensor, as cells of which one is looked at: by the mouse, or by
// arrows.
class Grid {
  constructor(numbers, label) {
    this.texts = numbers.text === "" ? [] : numbers.text.split(" ");
    this.shape = numbers.whole ? numbers.shape : numbers.corner;
    this.columns = this.shape.length === 0 ? 1 : this.shape[this.shape.length - 1];
    this.rows = this.shape.length < 2 ? 1 : this.shape[this.shape.length - 2];
    this.isCorner = !numbers.whole;
    this.cells = [];
    this.at = 0;
    this.tell = null;  // of a product's result: what made the element at a position, in words
    this.element = html("div", {"data-text": numbers.text});
    if (numbers.whole && this.texts.length === 1) {
      this.cells.push(html("output", {}, this.texts[0]));
      this.element.append(this.cells[0]);
      if (numbers.bad > 0) this.element.append(" — not finite");
    } else {
      this.fill(numbers, label);
    }
  }

  fill(numbers, label) {
    let about = `${numbers.dtype} ${shapeText(numbers.shape)}`;
    if (!numbers.whole) about += `, ${numbers.about}; the corner ${shapeText(this.shape)}`;
    if (numbers.bad > 0) about += `, ${numbers.bad} not finite`;
    this.element.append(html("p", {class: "note", style: "margin: 0"}, about));
    if (this.texts.length === 0) return;
    const finite = this.texts.map(Number).filter(Number.isFinite).map(Math.abs);
    const most = finite.reduce((a, b) => Math.max(a, b), 0);
    const scroll = html("div", {class: "scroll"});
    const each = this.rows * this.columns;
    let first = 0;
    for (; first < this.texts.length && first + each <= kTableCells; first += each) {
      if (this.shape.length > 2)
        scroll.append(html("p", {class: "note", style: "margin: 4px 0 0"}, `from ${shapeText(placeOf(first, this.shape))}`));
      scroll.append(this.table(first, most));
    }
    if (first < this.texts.length) scroll.append(html("p", {class: "note"}, first > 0 ? "The rest is in the numbers below." : "Too much for a table: the numbers are below."));
    this.element.append(scroll);
    if (this.cells.length > 0) this.listen(scroll, label);
    if (this.columns > kAsText || first < this.texts.length) this.element.append(this.plain());
  }

  listen(scroll, label) {
    this.told = html("div", {class: "cell"});
    this.element.append(this.told);
    add(scroll, {tabindex: "0", role: "group", "aria-label": `${label}; arrows go from number to number`}, []);
    scroll.addEventListener("mouseover", (event) => {
      const at = this.cells.indexOf(event.target);
      if (at >= 0) this.look(at);
    });
    scroll.addEventListener("mouseleave", () => this.leave());
    scroll.addEventListener("focus", () => { if (scroll.matches(":focus-visible")) this.look(this.at); });
    scroll.addEventListener("blur", () => this.leave());
    scroll.addEventListener("keydown", (event) => this.key(event));
  }

  table(first, most) {
    const isSmall = this.columns > kAsText;
    const body = html("tbody", {});
    for (let r = 0; r < this.rows; ++r) {
      const row = html("tr", {});
      for (let c = 0; c < this.columns; ++c) {
        const at = first + r * this.columns + c;
        const value = Number(this.texts[at]);
        const cell = html("td", {title: this.words(at)});
        if (!isSmall) cell.textContent = this.texts[at];
        if (!Number.isFinite(value)) {
          cell.className = "odd";
        } else if (most > 0) {
          cell.style.setProperty("--tone", value < 0 ? "var(--s1)" : "var(--s0)");
          cell.style.setProperty("--much", `${Math.round(62 * Math.abs(value) / most)}%`);
        }
        this.cells.push(cell);
        row.append(cell);
      }
      body.append(row);
    }
    return html("table", {class: isSmall ? "heat small" : "heat"}, body);
  }

  plain() {
    const pre = html("pre", {});
    const details = html("details", {}, html("summary", {}, "numbers"), pre);
    details.addEventListener("toggle", () => {
      const lines = [];
      for (let i = 0; i < this.texts.length; i += this.columns) lines.push(this.texts.slice(i, i + this.columns).join(" "));
      pre.textContent = lines.join("\n");
    });
    return details;
  }

  words(at) { return `${shapeText(placeOf(at, this.shape))} = ${this.texts[at]}`; }

  look(at) {
    this.leave();
    this.at = at;
    this.cells[at].classList.add("at");
    this.told.textContent = this.words(at) + (this.tell ? this.tell(at) : "");
  }

  leave() {
    this.cells[this.at].classList.remove("at");
    this.told.textContent = "";
    if (this.tell) this.tell(-1);
  }

  // Marks the cells at whose places `isLit` says so.
  light(isLit) {
    this.cells.forEach((cell, at) => cell.classList.toggle("lit", isLit(placeOf(at, this.shape))));
  }

  key(event) {
    const by = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns,
                Home: -this.at, End: this.cells.length - 1 - this.at}[event.key];
    if (by === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (!this.cells[this.at + by]) return;
    this.look(this.at + by);
    this.cells[this.at].scrollIntoView({block: "nearest", inline: "nearest"});
  }
}
