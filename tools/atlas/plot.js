// Curves as SVG. Every number comes from the data; only places on the screen are computed here.

const kFar = {"inf": "∞", "-inf": "-∞", "nan": "NaN"};
// A number of the data as text: the shortest that gives it again.
const shown = (value) => (typeof value === "string" ? kFar[value] : String(value));

const kDashes = ["", "7 4", "2 3", "9 3 2 3", "4 4", "12 4"];
const colour = (line) => `var(--s${line % 10})`;
const swatch = (line) =>
  svg("svg", {class: "swatch", viewBox: "0 0 26 8", "aria-hidden": "true"},
      svg("line", {x1: 1, x2: 25, y1: 4, y2: 4, stroke: colour(line), "stroke-width": 2.5,
                   "stroke-dasharray": kDashes[line % kDashes.length]}));

// Multiples of 1, 2 or 5 · 10ⁿ, about so many.
function ticks([low, high], about) {
  const rough = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough * 0.99);
  const all = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i)
    all.push(Number((i * step).toPrecision(6)));
  return all;
}

// What to show of these numbers: all of them, unless a few lie far out.
function rangeOf(arrays) {
  const all = arrays.flat().filter((value) => typeof value === "number").sort((a, b) => a - b);
  if (all.length === 0) return [-1, 1];
  const at = (part) => all[Math.round(part * (all.length - 1))];
  let [low, high] = [at(0.02), at(0.98)];
  const room = (high - low) * 0.6;
  low = Math.max(all[0], low - room);
  high = Math.min(all[all.length - 1], high + room);
  if (high - low < 1e-6 * Math.max(1, Math.abs(high))) [low, high] = [low - 1, high + 1];
  const rim = (high - low) * 0.07;
  return [low - rim, high + rim];
}

let plots = 0;

class Plot {
  // `pick` is told the place along the axis that a pointer is at, in units of the axis.
  constructor(height, label, pick) {
    this.width = 460;
    this.height = height;
    this.clip = `plot${++plots}`;
    this.back = svg("g", {});
    this.lines = svg("g", {"clip-path": `url(#${this.clip})`});
    this.point = svg("g", {"clip-path": `url(#${this.clip})`});
    this.element = svg("svg", {viewBox: `0 0 ${this.width} ${height}`, role: "img",
                               "aria-label": label, class: "plot"},
        svg("clipPath", {id: this.clip},
            svg("rect", {x: 46, y: 4, width: this.width - 54, height: height - 26})),
        this.back, this.lines, this.point);
    const follow = (event) => {
      if (event.type === "pointermove" && event.buttons === 0) return;
      const box = this.element.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * this.width;
      pick(this.xs[0] + (x - 46) / (this.width - 54) * (this.xs[1] - this.xs[0]));
    };
    this.element.addEventListener("pointerdown", follow);
    this.element.addEventListener("pointermove", follow);
  }

  x(value) { return 46 + (value - this.xs[0]) / (this.xs[1] - this.xs[0]) * (this.width - 54); }
  y(value) {
    return 4 + (this.ys[1] - value) / (this.ys[1] - this.ys[0]) * (this.height - 26);
  }

  axes(xs, ys, title) {
    this.xs = xs;
    this.ys = ys;
    const [left, right, bottom] = [46, this.width - 8, this.height - 22];
    const parts = [];
    for (const tick of ticks(xs, 7)) {
      const x = this.x(tick);
      parts.push(svg("line", {class: tick === 0 ? "zero" : "grid", x1: x, x2: x, y1: 4, y2: bottom}),
                 svg("text", {x, y: bottom + 14, "text-anchor": "middle"}, String(tick)));
    }
    for (const tick of ticks(ys, Math.round(this.height / 40))) {
      const y = this.y(tick);
      parts.push(svg("line", {class: tick === 0 ? "zero" : "grid", x1: left, x2: right, y1: y, y2: y}),
                 svg("text", {x: left - 5, y: y + 4, "text-anchor": "end"}, String(tick)));
    }
    parts.push(svg("text", {class: "axis", x: left + 5, y: 16}, title));
    this.back.replaceChildren(...parts);
  }

  // Curves {x, y}, and spans of the axis to shade. A value that is not finite interrupts its curve.
  draw(curves, shades) {
    const parts = shades.map(([from, to]) =>
      svg("rect", {class: "shade", x: this.x(from), y: 4, height: this.height - 26,
                   width: Math.max(1, this.x(to) - this.x(from))}));
    curves.forEach(({x, y}, line) => {
      let path = "", drawn = 0, open = false;
      y.forEach((value, i) => {
        const finite = typeof value === "number";
        if (finite) {
          // Far out of sight is far enough: renderers round large numbers.
          const place = Math.max(-4000, Math.min(4000, this.y(value)));
          path += `${open ? "L" : "M"}${this.x(x[i]).toFixed(1)} ${place.toFixed(1)}`;
          ++drawn;
        }
        open = finite;
      });
      parts.push(svg("path", {d: path, fill: "none", stroke: colour(line), "stroke-width": 2,
                              "stroke-dasharray": kDashes[line % kDashes.length],
                              "data-points": drawn}));
    });
    this.lines.replaceChildren(...parts);
  }

  // Marks the numbers `values` of the curves at `xs`.
  mark(xs, values) {
    const parts = [];
    values.forEach((value, line) => {
      const x = this.x(xs[line]);
      if (line === 0)
        parts.push(svg("line", {class: "here", x1: x, x2: x, y1: 4, y2: this.height - 22}));
      if (typeof value === "number")
        parts.push(svg("circle", {cx: x, cy: this.y(value), r: 4.5, fill: colour(line)}));
    });
    this.point.replaceChildren(...parts);
  }
}

const nearest = (xs, x) =>
  xs.reduce((best, value, i) => (Math.abs(value - x) < Math.abs(xs[best] - x) ? i : best), 0);
