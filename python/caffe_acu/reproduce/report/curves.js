// Training loss and test error, drawn anew for every width, range and choice of rows.

const MARGIN = { left: 52, right: 14, top: 20, bottom: 40 };
const LETTER = 6.5; // pixels, with the gap before a word shared among its letters
const FEW = 40; // points up to which each gets a dot

class Chart {
  constructor(figure, part, unit, rows) {
    this.plot = figure.querySelector(".plot");
    this.name = figure.querySelector("h3").textContent;
    Object.assign(this, { part, unit, rows });
    this.tip = element("div", { class: "tip", role: "status", hidden: "" });
    new ResizeObserver(() => this.plot.clientWidth !== this.width && this.draw()).observe(this.plot);
  }

  draw() {
    this.width = this.plot.clientWidth;
    if (this.width < 2 * (MARGIN.left + MARGIN.right)) return; // not laid out yet, or hidden
    this.height = Math.max(260, Math.min(400, this.width * 0.62));
    this.lines = this.visibleLines();
    this.tip.hidden = true;
    const [from, to] = this.iterations();
    const inside = this.lines.flatMap((line) => line.points).filter((point) => point.iteration >= from);
    const known = inside.flatMap((point) => [point.least, point.greatest]).filter((value) => !Number.isNaN(value));
    if (!known.length) {
      this.plot.replaceChildren(element("p", { class: "missing" }, `${this.name}: nothing to show.`));
      return;
    }
    this.x = scale(from, to, MARGIN.left, this.width - MARGIN.right, 75);
    this.y = scale(...bounds(known, this.logarithmic), this.height - MARGIN.bottom, MARGIN.top, 40, this.logarithmic);
    const label = `${this.name} over iterations of ${this.lines.map((line) => line.row.name).join(", ")}`;
    const size = { width: this.width, height: this.height, viewBox: `0 0 ${this.width} ${this.height}` };
    this.svg = drawn("svg", { ...size, role: "img", "aria-label": label, tabindex: 0 });
    const upright = { y1: MARGIN.top, y2: this.height - MARGIN.bottom };
    this.cross = drawn("line", { class: "cross", visibility: "hidden", ...upright });
    this.svg.append(this.axes(), this.marks(upright), this.window(), this.cross);
    this.listen();
    this.plot.replaceChildren(this.svg, this.tip);
  }

  // Iterations are those of all rows, so that hiding one moves nothing sideways.
  iterations() {
    const all = this.rows.flatMap((row) => row.runs.flatMap((run) => [...run.train[0], ...run.test[0]]));
    const last = all.reduce((a, b) => Math.max(a, b), 1);
    return [last * byId("range").value, last];
  }

  visibleLines() {
    this.logarithmic = byId("log").checked;
    const smooth = this.part === "train" && byId("smooth").checked;
    // A logarithm has no place for the rest.
    const points = (row, smoothed) =>
      pointsOf(row, this.part, smoothed).map((point) =>
        this.logarithmic && point.least <= 0 ? { ...point, mean: NaN, least: NaN, greatest: NaN } : point);
    return this.rows
      .filter((row) => row.shown)
      .map((row) => ({
        row,
        points: points(row, smooth),
        raw: smooth && row.runs.length === 1 ? points(row, false) : [],
      }));
  }

  // The inner SVG cuts off what lies outside the axes, but not a dot on one of them.
  window() {
    const [x, y] = [MARGIN.left - 4, MARGIN.top - 4];
    const [width, height] = [this.width - MARGIN.right + 4 - x, this.height - MARGIN.bottom + 4 - y];
    const frame = drawn("svg", { x, y, width, height, viewBox: `${x} ${y} ${width} ${height}` });
    frame.append(...this.lines.flatMap((line) => this.strokes(line)));
    return frame;
  }

  axes() {
    const group = drawn("g", { "aria-hidden": "true" });
    const [bottom, right] = [this.height - MARGIN.bottom, this.width - MARGIN.right];
    for (const tick of this.x.ticks) {
      const x = this.x.at(tick);
      group.append(
        drawn("line", { class: "grid", x1: x, x2: x, y1: MARGIN.top, y2: bottom }),
        drawn("text", { class: "x-tick", x, y: bottom + 16, "text-anchor": "middle" }, count(tick)),
      );
    }
    for (const tick of this.y.ticks) {
      const y = this.y.at(tick);
      group.append(
        drawn("line", { class: "grid", x1: MARGIN.left, x2: right, y1: y, y2: y }),
        drawn("text", { class: "y-tick", x: MARGIN.left - 7, y: y + 4, "text-anchor": "end" }, String(tick)),
      );
    }
    const middle = (MARGIN.left + right) / 2;
    group.append(
      drawn("text", { x: middle, y: this.height - 6, "text-anchor": "middle" }, "iteration"),
      drawn("text", { x: 2, y: 12 }, this.unit),
    );
    return group;
  }

  // The ends of warm-ups, and where the learning rate drops, each with its words on a line of their own.
  marks(upright) {
    const group = drawn("g");
    const rows = this.lines.map((line) => line.row);
    const ends = [...new Set(rows.flatMap((row) => row.warmups))].filter((at) => this.inside(at));
    const drops = new Map(rows.flatMap((row) => row.drops).filter(([at]) => this.inside(at)));
    ends.forEach((end, number) => this.mark(group, "warmup-line", end, number, `warm-up ends at ${count(end)}`, upright));
    [...drops].forEach(([at, rate], number) =>
      this.mark(group, "drop-line", at, ends.length + number, `rate ${rate}`, upright));
    return group;
  }

  inside(iteration) {
    return iteration >= this.x.from && iteration <= this.x.to;
  }

  mark(group, kind, iteration, line, text, upright) {
    const x = this.x.at(iteration);
    const fits = x + LETTER * text.length < this.width - MARGIN.right;
    const place = fits ? { x: x + 5, "text-anchor": "start" } : { x: x - 5, "text-anchor": "end" };
    const y = MARGIN.top + 11 + 14 * line;
    group.append(drawn("line", { class: kind, x1: x, x2: x, ...upright }), drawn("text", { ...place, y }, text));
  }

  strokes({ row, points, raw }) {
    const parts = [];
    for (const piece of unbroken(points)) {
      if (piece.some((point) => point.seeds > 1)) {
        const edge = [...this.path(piece, "greatest"), ...this.path([...piece].reverse(), "least")];
        parts.push(drawn("path", { class: "band", d: `M${edge.join("L")}Z`, fill: row.colour }));
      }
    }
    const pale = unbroken(raw).map((piece) => `M${this.path(piece, "mean").join("L")}`);
    if (pale.length) parts.push(drawn("path", { class: "raw", d: pale.join(""), stroke: row.colour }));
    const pieces = unbroken(points);
    const line = pieces.map((piece) => `M${this.path(piece, "mean").join("L")}`).join("");
    parts.push(drawn("path", { class: "curve", d: line, stroke: row.colour, "data-row": row.name, ...row.dash }));
    const lone = pieces.filter((piece) => piece.length === 1);
    const seen = points.filter((point) => point.iteration >= this.x.from);
    for (const point of seen.length <= FEW ? pieces.flat() : lone.flat()) {
      const [cx, cy] = [this.x.at(point.iteration), this.y.at(point.mean)];
      parts.push(drawn("circle", { class: "point", cx, cy, r: 2.6, fill: row.colour }));
    }
    return parts;
  }

  path(points, value) {
    return points.map((point) => `${this.x.at(point.iteration).toFixed(2)} ${this.y.at(point[value]).toFixed(2)}`);
  }

  listen() {
    const inside = (x) => Math.min(Math.max(x, MARGIN.left), this.width - MARGIN.right);
    const step = (this.width - MARGIN.left - MARGIN.right) / 100;
    this.svg.addEventListener("pointermove", (event) => this.show(inside(event.offsetX)));
    this.svg.addEventListener("pointerleave", () => this.hide());
    this.svg.addEventListener("blur", () => this.hide());
    this.svg.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
      if (event.key === "Escape") this.hide();
      if (!steps) return;
      event.preventDefault();
      this.show(inside((this.at ?? this.width - MARGIN.right) + steps * step));
    });
  }

  hide() {
    this.cross.setAttribute("visibility", "hidden");
    this.tip.hidden = true;
  }

  // The values nearest to a place on the screen, with the line at the point that is nearest of all.
  show(x) {
    this.at = x;
    const share = (x - MARGIN.left) / (this.width - MARGIN.left - MARGIN.right);
    const wanted = this.x.from + share * (this.x.to - this.x.from);
    const away = (point) => Math.abs(point.iteration - wanted);
    const nearest = (points) => points.reduce((a, b) => (away(b) < away(a) ? b : a));
    const found = this.lines.filter((line) => line.points.length).map(({ row, points }) => [row, nearest(points)]);
    const { iteration } = nearest(found.map(([, point]) => point));
    const table = element("table");
    for (const [row, point] of found) {
      const elsewhere = point.iteration === iteration ? "" : ` at ${count(point.iteration)}`;
      const name = element("td", { title: row.name }, sample(row), row.name);
      table.append(element("tr", {}, name, element("td", {}, described(point) + elsewhere)));
    }
    this.tip.replaceChildren(element("p", {}, `iteration ${count(iteration)}`), table);
    this.tip.hidden = false;
    const line = Math.max(this.x.at(iteration), MARGIN.left);
    filled(this.cross, { x1: line, x2: line, visibility: "visible" }, []);
    const width = this.tip.offsetWidth;
    const left = line + 12 + width <= this.width ? line + 12 : line - 12 - width;
    this.tip.style.left = `${Math.max(0, left)}px`;
  }
}

function described({ mean, least, greatest, seeds }) {
  if (Number.isNaN(mean)) return "not known";
  return seeds > 1 ? `${short(mean)} (${short(least)} to ${short(greatest)})` : short(mean);
}

const short = (value) => String(Number(value.toPrecision(4)));

// The pieces of a line between values that are not known.
function unbroken(points) {
  const pieces = [];
  let open = null;
  for (const point of points) {
    if (Number.isNaN(point.mean)) open = null;
    else if (open) open.push(point);
    else pieces.push((open = [point]));
  }
  return pieces;
}

function drawCurves() {
  const rows = rowsOf(data.curves);
  const charts = [
    new Chart(byId("loss"), "train", "loss", rows),
    new Chart(byId("error"), "test", "test error (%)", rows),
  ];
  const draw = () => charts.forEach((chart) => chart.draw());
  for (const row of rows) {
    const seeds = row.empty ? "not run" : row.runs.length > 1 ? `${row.runs.length} seeds` : "";
    const text = seeds ? `${row.name} (${seeds})` : row.name;
    const pressed = { type: "button", "aria-pressed": "true" };
    const button = element("button", pressed, sample(row), element("span", {}, text));
    button.addEventListener("click", () => {
      row.shown = !row.shown;
      button.setAttribute("aria-pressed", row.shown);
      draw();
    });
    byId("legend").append(button);
  }
  ["range", "log", "smooth"].forEach((id) => byId(id).addEventListener("change", draw));
  const span = data.curves[0].averaged;
  if (span) byId("averaged").textContent = `Each point of the training loss is a mean over ${count(span)} iterations.`;
  draw();
}

if (data.curves.length) drawCurves();
