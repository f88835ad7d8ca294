"use strict";

// Elements are made, never parsed: whatever a name holds, it is text.
function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const byId = (id) => document.getElementById(id);
const count = (number) => number.toLocaleString("en-US");
const data = JSON.parse(byId("data").textContent);

// A printed page shows everything there is.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => (one.open = true)));
