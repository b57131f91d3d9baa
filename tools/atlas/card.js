// A card: words, curves, and controls that choose which of the engine's numbers are shown.

let controls = 0;

const isSlider = (stops) => stops.every((stop) => typeof stop === "number");

class Card {
  constructor(data) {
    this.data = data;
    this.stops = data.knobs.map((knob) => knob.start);
    this.start = Math.round((data.x.length - 1) * 2 / 3);  // x = 2, for instance
    this.point = this.start;
    this.changed = () => {};
    this.near = false;  // curves are drawn when someone may see them
    const pick = (x) => this.move(nearest(data.x, x));
    this.values = new Plot(190, `${data.name}: its value over ${data.axis}`, pick);
    this.slopes = data.slopes.length === 0 ? null :
        new Plot(150, `${data.name}: its gradient over ${data.axis}`, pick);
    this.element = this.build();
    this.update();
  }

  // The curve of the stops chosen: combinations stand in the order of counting, the last knob first.
  curve() {
    let index = 0;
    this.data.knobs.forEach((knob, i) => { index = index * knob.stops.length + this.stops[i]; });
    return this.data.curves[index];
  }

  // The range of an axis: that of all curves that only sliders part from this one, so that it stands
  // still while one is moved, unless little would be seen of this one.
  range(key) {
    const curve = this.curve();
    if (!curve[key]) return [-1, 1];
    const own = rangeOf(curve[key]);
    const family = rangeOf(this.data.curves.filter((_, index) => {
      for (let i = this.stops.length - 1; i >= 0; --i) {
        const {stops} = this.data.knobs[i];
        if (!isSlider(stops) && index % stops.length !== this.stops[i]) return false;
        index = Math.floor(index / stops.length);
      }
      return true;
    }).flatMap((other) => other[key] || []));
    return own[1] - own[0] < 0.2 * (family[1] - family[0]) ? own : family;
  }

  // "β = 0.5", "" without knobs.
  settings() {
    return this.data.knobs.map((knob, i) => `${knob.label} = ${knob.stops[this.stops[i]]}`).join(", ");
  }

  build() {
    const {data} = this;
    this.formula = html("dd", {class: "formula"});
    this.gradient = html("dd", {class: "formula"});
    const words = html("dl", {}, html("dt", {}, "Formula"), this.formula);
    if (this.slopes) words.append(html("dt", {}, "Gradient"), this.gradient);
    words.append(html("dt", {}, "Values"), html("dd", {}, data.range), html("dt", {}, "Slope"),
                 html("dd", {}, data.slope));
    this.chosen = html("input", {type: "checkbox", onchange: () => this.overlaid(this)});
    this.code = html("code", {});
    this.small = html("p", {class: "small"});
    this.warning = html("p", {class: "refused", role: "status"});
    const card = html("article", {class: "card", id: data.name, "aria-labelledby": `${data.name}-name`},
        html("header", {},
             html("h3", {id: `${data.name}-name`}, html("a", {href: `#${data.name}`}, data.name)),
             html("label", {class: "pick"}, this.chosen, " overlay",
                  html("span", {class: "unseen"}, ` ${data.name}`))),
        html("p", {class: "question"}, data.question), html("p", {}, data.about),
        html("figure", {}, this.values.element, ...(this.slopes ? [this.slopes.element] : []),
             html("figcaption", {}, `over ${data.axis}`), this.warning),
        this.buildControls(), this.buildReadout(), words);
    if (data.trap) card.append(html("p", {class: "trap"}, html("b", {}, "Take care. "), data.trap));
    card.append(html("pre", {tabindex: "0", "aria-label": `${data.name} in C++`}, this.code));
    if (data.example) card.append(html("p", {class: "example"}, "In a program: ", html("code", {}, `./run ${data.example}`)));
    card.append(this.buildDetails(), this.small);
    return card;
  }

  buildControls() {
    const {data} = this;
    const box = html("div", {class: "controls"});
    this.knobs = data.knobs.map((knob, i) => {
      const id = `control${++controls}`;
      const label = html("label", {for: id}, knob.label, html("span", {class: "unseen"}, ` of ${data.name}`));
      const choose = (event) => { this.stops[i] = Number(event.target.value); this.update(); };
      if (isSlider(knob.stops)) {
        const slider = html("input", {id, type: "range", min: 0, max: knob.stops.length - 1, step: 1,
                                      oninput: choose});
        slider.value = knob.start;
        const output = html("output", {for: id});
        box.append(label, slider, output);
        return {control: slider, output};
      }
      const select = html("select", {id, onchange: choose},
          ...knob.stops.map((stop, k) => html("option", {value: k}, String(stop))));
      select.value = knob.start;
      box.append(label, select, html("span", {}));
      return {control: select};
    });
    const id = `control${++controls}`;
    this.slider = html("input", {id, type: "range", min: 0, max: data.x.length - 1, step: 1,
                                 oninput: (event) => this.move(Number(event.target.value))});
    this.place = html("output", {for: id, class: "x"});
    box.append(html("label", {for: id}, data.symbol, html("span", {class: "unseen"}, ` of ${data.name}, the point`)),
               this.slider, this.place);
    return box;
  }

  buildReadout() {
    const entry = (name, line) => {
      const number = html("output", {});
      return {number, row: html("li", {}, swatch(line), html("span", {}, `${name} = `), number)};
    };
    this.valueTexts = this.data.shown.map(entry);
    this.slopeTexts = this.data.slopes.map(entry);
    return html("ul", {class: "readout", "aria-live": "polite", "aria-label": `${this.data.name} at the point`},
                ...[...this.valueTexts, ...this.slopeTexts].map((text) => text.row));
  }

  buildDetails() {
    const {data} = this;
    const parts = [];
    const fixed = data.inputs.filter((input) => input.name !== data.moved || input.numbers.length > 1);
    if (fixed.length > 0) {
      const text = (input) => `${input.name} ${input.sizes.length ? `[${input.sizes.join(", ")}] ` : ""}= ` +
          input.numbers.map((number, i) =>
            (input.name === data.moved && i === data.element ? data.symbol : shown(number))).join(", ");
      parts.push(html("p", {class: "small"}, "The scene: ",
                      ...fixed.flatMap((input, i) => [i ? "; " : "", html("code", {}, text(input))]), "."));
    }
    if (data.edges.length > 0) {
      const head = [data.symbol, data.shown[0], ...(this.slopes ? [data.slopes[0]] : [])];
      parts.push(html("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": `${data.name} at the edges`},
          html("table", {}, html("thead", {}, html("tr", {}, ...head.map((cell) => html("th", {scope: "col"}, cell)))),
              html("tbody", {}, ...data.edges.map((edge) => html("tr", {}, html("th", {scope: "row"}, shown(edge.x)),
                  ...(edge.refused ? [html("td", {class: "words", colspan: 2}, edge.refused)] :
                      [html("td", {}, shown(edge.v)), ...(this.slopes ? [html("td", {}, edge.g === undefined ? "-" : shown(edge.g))] : [])])))))));
    }
    return parts.length === 0 ? html("span", {}) :
        html("details", {}, html("summary", {}, "Edges and scene"), ...parts);
  }

  move(point) {
    this.point = point;
    this.mark();
    this.changed();
  }

  // Spans of the axis on which every gradient is exactly 0.
  flat(curve) {
    const {x} = this.data;
    const spans = [];
    if (!curve.g || this.data.slopes.length === 0) return spans;
    let start = -1;
    for (let i = 0; i <= x.length; ++i) {
      const zero = i < x.length && curve.g.every((slopes) => slopes[i] === 0);
      if (zero && start < 0) start = i;
      if (!zero && start >= 0) {
        if (i - start > 3) spans.push([x[start], x[i - 1]]);
        start = -1;
      }
    }
    return spans;
  }

  update() {
    const {data} = this;
    const curve = this.curve();
    this.knobs.forEach(({control, output}, i) => {
      const text = String(data.knobs[i].stops[this.stops[i]]);
      if (output) {
        output.textContent = text;
        control.setAttribute("aria-valuetext", text);
      }
    });
    this.formula.textContent = curve.f || data.formula;
    this.gradient.textContent = curve.d || data.gradient || "";
    this.code.textContent = data.knobs.reduce((call, knob, i) =>
      call.replaceAll(`$(${knob.name})`, String(knob.stops[this.stops[i]])), data.call);
    this.warning.textContent = curve.refused ? `Refused: ${curve.refused}` : "";
    this.shades = this.flat(curve);
    this.small.textContent = this.check(curve);
    if (this.near) this.draw();
    this.mark();
    this.changed();
  }

  approach() {
    this.near = true;
    this.draw();
    this.mark();
  }

  draw() {
    const {data} = this;
    const curve = this.curve();
    const xs = [data.x[0], data.x[data.x.length - 1]];
    const of = (arrays) => (arrays || []).map((y) => ({x: data.x, y}));
    this.values.axes(xs, this.range("v"), "value");
    this.values.draw(of(curve.v), this.shades);
    if (!this.slopes) return;
    this.slopes.axes(xs, this.range("g"), "gradient");
    this.slopes.draw(of(curve.g), this.shades);
  }

  check(curve) {
    const {x, symbol} = this.data;
    if (!curve.g) return "";
    const parts = [];
    if (curve.n > 0) parts.push(`Held against finite differences at ${curve.n} places: off by ${curve.e} at most.`);
    const few = curve.c.slice(0, 4).map(([i, left, right, jump]) =>
      `at ${symbol} = ${x[i]} ${jump ? "the value jumps" : `the slope goes from ${left} to ${right}`}`);
    if (few.length > 0) parts.push(`Left out: ${few.join("; ")}${curve.c.length > 4 ? "; and more" : ""}.`);
    if (this.shades.length > 0) parts.push("Shaded: the gradient is exactly 0.");
    return parts.join(" ");
  }

  mark() {
    const {data, point} = this;
    const curve = this.curve();
    const at = (arrays) => (arrays || []).map((y) => y[point]);
    const write = (texts, values) =>
      texts.forEach((text, i) => { text.number.textContent = i < values.length ? shown(values[i]) : "-"; });
    this.slider.value = point;
    this.place.textContent = shown(data.x[point]);
    this.slider.setAttribute("aria-valuetext", `${data.symbol} = ${shown(data.x[point])}`);
    write(this.valueTexts, at(curve.v));
    write(this.slopeTexts, at(curve.g));
    if (!this.near) return;
    const xs = [...data.shown, ...data.slopes].map(() => data.x[point]);
    this.values.mark(xs, at(curve.v));
    if (this.slopes) this.slopes.mark(xs, at(curve.g));
  }
}
