// The shapes of a run's layers, and their movement under one slider.

const STEPS_PER_PIXEL = 10000;
const MARGIN_PIXELS = 0.5; // around the outermost synapse
const SECONDS = 8; // for all iterations, when they are played
const NUMBERED_SETS = 1; // sets up to which the dots have room for the synapses' numbers
const WAY_STEP = 0.004; // of the panel's width: nearer points of a way are one

// Positions as arrays [moment][set][synapse], from their differences; NaN where they are not known.
function summed(differences) {
  const before = differences[0].map((set) => set.map(() => 0));
  return differences.map((moment) =>
    moment.map((set, s) => set.map((step, k) => (step === null ? NaN : (before[s][k] += step) / STEPS_PER_PIXEL))));
}

class Layer {
  constructor(description) {
    Object.assign(this, description, { x: summed(description.x), y: summed(description.y), apart: false });
    this.shown = this.fixed.length;
    this.readout = element("p", { class: "moved" });
    this.panels = element("div", { class: "panels" });
    this.card = element("section", { class: this.shown > 1 ? "layer several" : "layer", "data-layer": this.layer });
    this.card.append(this.header(), this.panels, this.readout);
  }

  header() {
    const synapses = this.x[0][0].length;
    const words = [`${this.kernel.join("×")}, ${synapses} synapses`];
    if (this.sets > 1) words.push(this.shown < this.sets ? `${this.shown} of ${count(this.sets)} sets` : `${this.sets} sets`);
    const title = element("div", {}, element("h3", {}, this.layer), element("p", {}, words.join(", ")));
    if (this.numbers && this.shown < this.sets) title.append(element("p", {}, `sets ${this.numbers.join(", ")}`));
    const header = element("header", {}, title);
    if (this.shown > 1) {
      const button = element("button", { type: "button", "aria-pressed": "false" }, "side by side");
      button.addEventListener("click", () => {
        this.apart = !this.apart;
        button.setAttribute("aria-pressed", this.apart);
        this.card.classList.toggle("apart", this.apart);
        this.draw(this.reach);
        this.move(this.moment);
      });
      header.append(button);
    }
    return header;
  }

  setName(s) {
    return this.numbers ? `set ${this.numbers[s]}` : `sample ${s + 1} of ${this.shown}`;
  }

  // The distance of the outermost synapse from the base point, along an axis, at any time.
  extent() {
    return Math.max(...[this.x, this.y].flat(3).filter(Number.isFinite).map(Math.abs), ...this.kernel.map((size) => (size - 1) / 2));
  }

  draw(reach) {
    this.reach = reach;
    this.dots = [];
    const all = [...Array(this.shown).keys()];
    const groups = this.apart ? all.map((s) => [s]) : [all];
    this.panels.replaceChildren(...groups.map((sets) => this.panel(sets)));
  }

  panel(sets) {
    const { reach } = this;
    const name = sets.length === 1 && this.shown > 1 ? `${this.layer}, ${this.setName(sets[0])}` : this.layer;
    const svg = drawn("svg", { viewBox: `${-reach} ${-reach} ${2 * reach} ${2 * reach}`, role: "img" });
    svg.setAttribute("aria-label", `Positions of the synapses of ${name}`);
    svg.append(this.pixels());
    for (const s of sets) svg.append(this.set(s, sets.length));
    if (sets.length === this.shown) return svg;
    return element("figure", {}, svg, element("figcaption", {}, this.setName(sets[0])));
  }

  pixels() {
    const { reach } = this;
    const group = drawn("g", { "aria-hidden": "true" });
    const end = Math.floor(reach);
    const lattice = Array.from({ length: 2 * end + 1 }, (_, index) => index - end);
    const text = { "font-size": reach * 0.075, "text-anchor": "middle" };
    const thin = { class: "pixel", "stroke-width": reach * 0.006 };
    for (const at of lattice) {
      group.append(
        drawn("line", { ...thin, x1: at, x2: at, y1: -reach, y2: reach }),
        drawn("line", { ...thin, x1: -reach, x2: reach, y1: at, y2: at }),
        drawn("text", { ...text, x: at, y: reach * 0.98 }, String(at)),
        drawn("text", { ...text, x: -reach * 0.94, y: at + reach * 0.025 }, String(at)),
      );
    }
    for (const y of lattice) for (const x of lattice) group.append(drawn("circle", { class: "lattice", cx: x, cy: y, r: reach * 0.012 }));
    const [arm, line] = [reach * 0.09, { class: "base-point", "stroke-width": reach * 0.01 }];
    group.append(drawn("line", { ...line, x1: -arm, x2: arm, y1: 0, y2: 0 }), drawn("line", { ...line, x1: 0, x2: 0, y1: -arm, y2: arm }));
    return group;
  }

  // One set: rings, ways and dots. With many sets in a panel, all of it is smaller.
  set(s, together) {
    const size = this.reach * (together === 1 ? 0.062 : together <= 8 ? 0.042 : 0.03);
    const group = drawn("g", { class: "set", "data-set": s, style: `--place: ${this.shown > 1 ? s / (this.shown - 1) : 0.3}` });
    const way = { class: "way", "stroke-width": size * (together === 1 ? 0.28 : 0.2), stroke: "currentColor" };
    const synapses = this.x[0][s].keys();
    const dots = [];
    const back = drawn("path", { ...way, d: "" });
    let ways = "";
    group.append(back);
    for (const k of synapses) {
      const fixed = k === this.fixed[s];
      if (Number.isFinite(this.x[0][s][k] + this.y[0][s][k])) {
        const ring = { class: "ring", cx: this.x[0][s][k], cy: this.y[0][s][k], r: size * 1.25, "stroke-width": size * 0.25 };
        group.append(drawn("circle", ring));
      }
      ways += this.way(s, k);
      const dot = fixed ? drawn("rect", { width: 2 * size, height: 2 * size }) : drawn("circle", { r: size });
      filled(dot, { class: "synapse", "data-synapse": k, "stroke-width": size * 0.15 }, []);
      dot.append(drawn("title", {}, `${this.shown > 1 ? `${this.setName(s)}, ` : ""}synapse ${k}${fixed ? ", fixed" : ""}`));
      const number = together <= NUMBERED_SETS ? drawn("text", { class: "number", "font-size": size * 1.25 }, String(k)) : null;
      dots.push(dot, ...(number ? [number] : []));
      this.dots.push({ s, k, dot, number, half: fixed ? size : 0 });
    }
    back.setAttribute("d", ways);
    group.append(...dots);
    return group;
  }

  way(s, k) {
    const near = 2 * this.reach * WAY_STEP;
    const last = this.x.length - 1;
    let [path, open, px, py] = ["", false, NaN, NaN];
    for (let t = 0; t <= last; t++) {
      const [x, y] = [this.x[t][s][k], this.y[t][s][k]];
      if (!Number.isFinite(x + y)) {
        open = false;
      } else if (!open || t === last || Math.hypot(x - px, y - py) >= near) {
        path += `${open ? "L" : "M"}${x} ${y}`;
        [open, px, py] = [true, x, y];
      }
    }
    return path;
  }

  // Shows the last moment that is not after the iteration.
  moveTo(iteration) {
    let t = 0;
    while (t + 1 < this.iterations.length && this.iterations[t + 1] <= iteration) t++;
    this.move(t);
  }

  move(t) {
    this.moment = t;
    for (const { s, k, dot, number, half } of this.dots) {
      const [x, y] = [this.x[t][s][k], this.y[t][s][k]];
      const known = Number.isFinite(x + y);
      dot.style.display = known ? "" : "none";
      if (number) number.style.display = known ? "" : "none";
      if (!known) continue;
      filled(dot, half ? { x: x - half, y: y - half } : { cx: x, cy: y }, []);
      if (number) filled(number, { x, y }, []);
    }
    this.readout.textContent = this.moved(t);
  }

  moved(t) {
    let [sum, most, free, lost] = [0, 0, 0, 0];
    for (const [s, set] of this.x[t].entries()) {
      for (const k of set.keys()) {
        if (k === this.fixed[s]) continue;
        const distance = Math.hypot(this.x[t][s][k] - this.x[0][s][k], this.y[t][s][k] - this.y[0][s][k]);
        if (!Number.isFinite(distance)) lost++;
        else [sum, most, free] = [sum + distance, Math.max(most, distance), free + 1];
      }
    }
    const unknown = lost ? `; ${lost} positions are not known` : "";
    return free ? `moved ${(sum / free).toFixed(2)} px on average, ${most.toFixed(2)} at most${unknown}` : `nothing to move${unknown}`;
  }
}
