"use strict";

// What the programs of all pages begin with: elements, and the count of errors, which tests read as
// <html data-errors>.

function add(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}
// html("p", {class: "about"}, "text", child): texts are never read as HTML.
const html = (tag, attributes, ...children) =>
  add(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  add(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

let errors = 0;
const failed = () => { document.documentElement.dataset.errors = ++errors; };
document.documentElement.dataset.errors = 0;
window.addEventListener("error", failed);
window.addEventListener("securitypolicyviolation", failed);

