// The shapes of a run's layers, and their movement under one slider.

const STEPS_PER_PIXEL = 1000;
const MARGIN_PIXELS = 0.5; // around the outermost synapse
const MANY = 8; // sets in one panel, above which each is drawn finer
const WAY_STEP = 0.004; // of the panel's width: nearer points of a way are one

// Positions as arrays [moment][set][synapse], from their differences; NaN where they are not known.
function summed(differences) {
  const before = differences[0].map((set) => set.map(() => 0));
  const added = (step, s, k) => (step === null ? NaN : (before[s][k] += step) / STEPS_PER_PIXEL);
  return differences.map((moment) => moment.map((set, s) => set.map((step, k) => added(step, s, k))));
}

// "0, 16, 32, … 496": evenly spread, but for rounding.
function sequence(numbers) {
  return numbers.length < 6 ? numbers.join(", ") : `${numbers.slice(0, 3).join(", ")}, … ${numbers.at(-1)}`;
}

// A name that may be broken after an underscore.
function breakable(name) {
  return name.split(/(?<=_)/).flatMap((part) => [element("wbr"), part]).slice(1);
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
    const sampled = this.shown < this.sets ? `${this.shown} of ` : "";
    const sets = this.sets > 1 ? `, ${sampled}${count(this.sets)} sets` : "";
    const words = `${this.kernel.join("×")}, ${synapses} synapses${sets}`;
    const title = element("div", {}, element("h3", {}, ...breakable(this.layer)), element("p", {}, words));
    if (this.shown > MANY && this.numbers) title.append(element("p", {}, `sets ${sequence(this.numbers)}`));
    if (this.shown > 1 && this.shown <= MANY) title.append(this.key());
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

  key() {
    const name = (s) => element("span", {}, element("span", this.colour(s), "● "), this.setName(s));
    return element("p", { class: "key" }, ...[...Array(this.shown).keys()].map(name));
  }

  // How far a set stands between the first and the last tells its colour.
  colour(s) {
    return { class: "set", style: `--place: ${this.shown > 1 ? s / (this.shown - 1) : 0.3}` };
  }

  setName(s) {
    return this.numbers ? `set ${this.numbers[s]}` : `sample ${s + 1} of ${this.shown}`;
  }

  // The distance of the outermost synapse from the base point, along an axis, at any time.
  extent() {
    const places = [this.x, this.y].flat(4).filter(Number.isFinite).map(Math.abs);
    return [...places, ...this.kernel.map((size) => (size - 1) / 2)].reduce((a, b) => Math.max(a, b));
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
    const size = reach * (sets.length === 1 ? 0.062 : sets.length <= MANY ? 0.04 : 0.023);
    if (sets.length > MANY) svg.classList.add("many");
    // Rings above the ways, which would hide them where there are many, and below the dots where there are few.
    const parts = [this.rings(sets, size), ...sets.map((s) => this.set(s, sets.length, size))];
    svg.append(this.pixels(), ...(sets.length > MANY ? parts.reverse() : parts));
    if (sets.length === this.shown) return svg;
    return element("figure", {}, svg, element("figcaption", {}, this.setName(sets[0])));
  }

  pixels() {
    const { reach } = this;
    const group = drawn("g", { "aria-hidden": "true" });
    const end = Math.floor(reach);
    const lattice = Array.from({ length: 2 * end + 1 }, (_, index) => index - end);
    const small = this.apart || this.shown === 1;
    const text = { "font-size": reach * (small ? 0.085 : 0.05), "text-anchor": "middle" };
    const thin = { class: "pixel", "stroke-width": reach * 0.006 };
    for (const at of lattice) {
      group.append(
        drawn("line", { ...thin, x1: at, x2: at, y1: -reach, y2: reach }),
        drawn("line", { ...thin, x1: -reach, x2: reach, y1: at, y2: at }),
      );
      if (end > 3 && at % 2) continue; // no room for every number
      group.append(
        drawn("text", { ...text, x: at, y: reach * 0.98 }, String(at)),
        drawn("text", { ...text, x: -reach * 0.94, y: at + reach * 0.025 }, String(at)),
      );
    }
    for (const cy of lattice) {
      group.append(...lattice.map((cx) => drawn("circle", { class: "lattice", cx, cy, r: reach * 0.012 })));
    }
    const arm = reach * 0.09;
    const cross = { class: "base-point", "stroke-width": reach * 0.01, d: `M${-arm} 0H${arm}M0 ${-arm}V${arm}` };
    group.append(drawn("path", cross));
    return group;
  }

  rings(sets, size) {
    const places = new Map();
    for (const s of sets) {
      for (const [k, cx] of this.x[0][s].entries()) places.set(`${cx} ${this.y[0][s][k]}`, { cx, cy: this.y[0][s][k] });
    }
    const known = [...places.values()].filter(({ cx, cy }) => Number.isFinite(cx + cy));
    const ring = { class: "ring", r: size * 1.25, "stroke-width": size * 0.25 };
    return drawn("g", {}, ...known.map((place) => drawn("circle", { ...ring, ...place })));
  }

  // The ways and dots of one set. A dot has its synapse's number where it has the panel to itself.
  set(s, together, size) {
    const group = drawn("g", { "data-set": s, ...this.colour(s) });
    const synapses = [...this.x[0][s].keys()];
    const ways = synapses.map((k) => this.way(s, k)).join("");
    group.append(drawn("path", { class: "way", d: ways, "stroke-width": size * 0.25 }));
    for (const k of synapses) {
      const fixed = k === this.fixed[s];
      const dot = fixed ? drawn("rect", { width: 2 * size, height: 2 * size }) : drawn("circle", { r: size });
      filled(dot, { class: "synapse", "data-synapse": k, "stroke-width": size * 0.15 }, []);
      const owner = this.shown > 1 ? `${this.setName(s)}, ` : "";
      dot.append(drawn("title", {}, `${owner}synapse ${k}${fixed ? ", fixed" : ""}`));
      const number = together === 1 && drawn("text", { class: "number", "font-size": size * 1.25 }, String(k));
      group.append(dot, ...(number ? [number] : []));
      this.dots.push({ s, k, dot, number, half: fixed ? size : 0 });
    }
    return group;
  }

  // The path of a synapse through all moments, broken where its position is not known.
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
        const [dx, dy] = [this.x, this.y].map((axis) => axis[t][s][k] - axis[0][s][k]);
        const distance = Math.hypot(dx, dy);
        if (!Number.isFinite(distance)) lost++;
        else [sum, most, free] = [sum + distance, Math.max(most, distance), free + 1];
      }
    }
    const unknown = lost ? `; positions not known: ${lost}` : "";
    if (!free) return `nothing moves${unknown}`;
    return `moved ${(sum / free).toFixed(2)} px on average, ${most.toFixed(2)} at most${unknown}`;
  }
}
