// The page: topics with their cards, contents, search, the table of derivatives.
//
// #gelu goes to a card, #find=margin shows those that say so.
// For tests: <html data-ready="1"> when all is drawn, data-errors the number of errors. With #walk
// every control is moved through all its stops first, and what the readouts then say is written
// down, a line of JSON each.

const two = (number) => String(number).padStart(2, "0");

// Values and gradients of activations at x = -2, 0, 2, their knobs where they start.
function derivatives(cards) {
  const places = [-2, 0, 2];
  const rows = cards.filter((card) => card.data.family === "activation").map((card) => {
    const cells = places.flatMap((place) => {
      const at = card.data.x.indexOf(place);
      return [card.curve().v[0][at], card.curve().g[0][at]];
    });
    return html("tr", {}, html("th", {scope: "row"}, html("a", {href: `#${card.data.name}`}, card.data.name),
                               html("span", {class: "settings"}, ` ${card.settings()}`)),
                ...cells.map((cell) => html("td", {}, shown(cell))));
  });
  return html("section", {id: "derivatives", "aria-labelledby": "derivatives-name"},
      html("h2", {id: "derivatives-name"}, "Activations and their derivatives at -2, 0 and 2"),
      html("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": "table of derivatives"}, html("table", {},
          html("thead", {}, html("tr", {}, html("th", {scope: "col"}, ""), ...places.flatMap((place) =>
            [html("th", {scope: "col"}, `y(${place})`), html("th", {scope: "col"}, `y′(${place})`)]))),
          html("tbody", {}, ...rows))));
}

const link = (name) => html("a", {href: `#${name}`}, name);

function questions(cards) {
  return html("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": "losses and their questions"}, html("table", {class: "questions"},
      html("tbody", {}, ...cards.filter((card) => card.data.topic >= 13).map((card) =>
        html("tr", {}, html("th", {scope: "row"}, link(card.data.name)), html("td", {class: "words"}, card.data.question))))));
}

function topicSection(topic, cards) {
  const own = cards.filter((card) => card.data.topic === topic.number);
  const section = html("section", {class: "topic", id: `topic-${two(topic.number)}`},
      html("h2", {}, html("span", {class: "number"}, two(topic.number)), ` ${topic.title}`));
  if (topic.words)
    section.append(html("p", {class: "words"}, topic.words, " See ",
        ...topic.cards.flatMap((name, i) => [i ? ", " : "", link(name)]), "."));
  if (topic.number === 39) section.append(questions(cards));
  if (own.length > 0) section.append(html("div", {class: "parts"}, ...own.map((card) => card.element)));
  return section;
}

function search(cards, sections, overlay) {
  const count = html("output", {class: "count", for: "search"});
  const words = (card) => [card.data.name, card.data.question, card.data.about, card.data.trap || "",
                           card.data.formula || ""].join(" ").toLowerCase();
  const texts = new Map(cards.map((card) => [card, words(card)]));
  const find = (text) => {
    const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const card of cards) {
      card.element.hidden = !wanted.every((word) => texts.get(card).includes(word));
      found += card.element.hidden ? 0 : 1;
    }
    for (const section of sections) {
      const own = [...section.querySelectorAll(".card")];
      section.hidden = wanted.length > 0 && own.every((card) => card.hidden);
    }
    overlay.element.hidden = wanted.length > 0;
    count.textContent = `${found} of ${cards.length} cards`;
  };
  const input = html("input", {id: "search", type: "search", placeholder: "gelu, margin, temperature …", autocomplete: "off",
                               oninput: (event) => find(event.target.value)});
  const form = html("form", {role: "search", onsubmit: (event) => event.preventDefault()},
                    html("label", {for: "search"}, "Search"), input, count);
  return {form, find: (text) => { input.value = text; find(text); }};
}

// What the readouts of a card say at a point, as texts.
function readings(card, point) {
  card.slider.value = point;
  card.slider.dispatchEvent(new Event("input"));
  const texts = (entries) => entries.map((entry) => entry.number.textContent);
  return JSON.stringify([card.data.name, card.stops, point, card.place.textContent, texts(card.valueTexts), texts(card.slopeTexts), card.code.textContent]);
}

function walk(cards) {
  const lines = [];
  const last = (card) => card.data.x.length - 1;
  for (const card of cards) {
    card.approach();
    const start = [...card.stops];
    for (let point = 0; point <= last(card); ++point) lines.push(readings(card, point));
    const turn = (knob, stop) => {
      const {control} = card.knobs[knob];
      control.value = stop;
      control.dispatchEvent(new Event(control.tagName === "SELECT" ? "change" : "input"));
    };
    const all = (knob) => {
      if (knob === card.knobs.length) {
        for (const point of [0, last(card) >> 1, last(card)]) lines.push(readings(card, point));
        return;
      }
      card.data.knobs[knob].stops.forEach((_, stop) => { turn(knob, stop); all(knob + 1); });
    };
    if (start.length > 0) all(0);
    start.forEach((stop, knob) => turn(knob, stop));
    card.move(card.start);
  }
  return html("pre", {id: "walk"}, lines.join("\n"));
}

function open() {
  const {topics, cards: all} = JSON.parse(document.getElementById("data").textContent);
  const cards = all.map((data) => new Card(data));
  const overlay = new Overlay(cards);
  const sections = topics.map((topic) => topicSection(topic, cards));
  // Between the activations and the losses.
  sections.splice(sections.findIndex((_, i) => topics[i].number > 11), 0, derivatives(cards));
  const contents = html("details", {class: "contents"}, html("summary", {}, "Contents"), html("ol", {},
      html("li", {}, html("a", {href: "#overlay"}, "Overlay")),
      html("li", {}, html("a", {href: "#derivatives"}, "Derivatives at -2, 0, 2")),
      ...topics.map((topic) => html("li", {}, html("a", {href: `#topic-${two(topic.number)}`},
          html("span", {class: "number"}, two(topic.number)), ` ${topic.title}`)))));
  contents.open = window.matchMedia("(min-width: 1000px)").matches;
  const {form, find} = search(cards, sections, overlay);
  document.getElementById("atlas").replaceChildren(
      html("header", {}, html("h1", {}, "Atlas of activations and losses"),
           html("p", {}, "Every number here was computed by the engine: values by the ops themselves, gradients by going back " +
                "along the tape. Sliders stop where it computed something; drag a curve, or use the arrow keys, to move the point."),
           form),
      html("nav", {"aria-label": "Topics"}, contents),
      html("div", {class: "topics"}, overlay.element, ...sections), overlay.bar);
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      cards.find((card) => card.element === entry.target).approach();
    }
  }, {rootMargin: "800px"});
  for (const card of cards) near.observe(card.element);
  window.addEventListener("beforeprint", () => cards.forEach((card) => card.approach()));
  const go = () => {
    const to = decodeURIComponent(location.hash.slice(1));
    const target = document.getElementById(to);
    if (to.startsWith("find=")) find(to.slice(5));
    else if (target && target.closest("[hidden]")) find("");
    if (target) target.scrollIntoView();
  };
  find("");
  go();
  window.addEventListener("hashchange", go);
  if (location.hash === "#walk") document.body.append(walk(cards));
  const {dataset, scrollWidth, clientWidth} = document.documentElement;
  dataset.cards = document.querySelectorAll(".card").length;
  dataset.overflow = scrollWidth - clientWidth;
  dataset.unnamed = [...document.querySelectorAll("input, select, button, a, [tabindex], svg[role]")].filter((element) =>
    !(element.labels && element.labels.length) && !element.textContent && !element.getAttribute("aria-label")).length;
  dataset.milliseconds = Math.round(performance.now());
  dataset.ready = 1;
}

open();
