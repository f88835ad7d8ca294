// The choice of a run, and the slider that moves the synapses of all its layers.

const SECONDS = 8; // for all iterations, when they are played

class Player {
  constructor(runs) {
    this.runs = runs;
    this.slider = byId("moment");
    this.button = byId("play");
    for (const [number, run] of runs.entries()) {
      const namesakes = runs.some((other) => other.row === run.row && other.model !== run.model);
      const name = namesakes ? `${run.row} (${run.model})` : run.row;
      byId("run").append(element("option", { value: number }, `${name}, seed ${run.seed}`));
    }
    byId("run").addEventListener("change", () => this.choose(Number(byId("run").value)));
    this.slider.addEventListener("input", () => this.stopAt(Number(this.slider.value)));
    this.button.addEventListener("click", () => (this.playing ? this.stop() : this.play()));
    this.choose(0);
  }

  choose(number) {
    this.stop();
    const run = this.runs[number];
    this.layers = run.layers.map((layer) => new Layer(layer));
    this.moments = [...new Set(run.layers.flatMap((layer) => layer.iterations))].sort((a, b) => a - b);
    this.warmup = warmupOf(run);
    const reach = Math.max(...this.layers.map((layer) => layer.extent())) + MARGIN_PIXELS;
    this.layers.forEach((layer) => layer.draw(reach));
    byId("layers").replaceChildren(...this.layers.map((layer) => layer.card));
    this.slider.max = this.moments.length - 1;
    this.markWarmup();
    const thinned = run.layers.find((layer) => layer.iterations.length < layer.records);
    const shown = thinned && `The slider stops at ${thinned.iterations.length} of ${count(thinned.records)} records.`;
    byId("thinned").textContent = shown ?? "";
    this.show(this.moments.length - 1);
  }

  // A tick below the slider, where its thumb's middle is at the first moment after the warm-up.
  markWarmup() {
    const mark = byId("warmup");
    const last = this.moments.length - 1;
    const first = this.moments.findIndex((iteration) => iteration >= this.warmup);
    mark.hidden = !(this.warmup > 0 && first > 0 && last > 0);
    if (mark.hidden) return;
    mark.style.left = `calc(8px + ${first / last} * (100% - 16px))`;
    mark.title = `warm-up ends at ${count(this.warmup)}`;
  }

  show(moment) {
    const iteration = this.moments[moment];
    const text = `iteration ${count(iteration)}${this.phase(iteration)}`;
    this.slider.value = moment;
    this.slider.setAttribute("aria-valuetext", text);
    byId("iteration").textContent = text;
    this.layers.forEach((layer) => layer.moveTo(iteration));
  }

  phase(iteration) {
    if (!this.warmup) return "";
    const end = count(this.warmup);
    return iteration < this.warmup ? `, warm-up until ${end}` : `, after the warm-up (${end})`;
  }

  stopAt(moment) {
    this.stop();
    this.show(moment);
  }

  play() {
    const last = this.moments.length - 1;
    let from = Number(this.slider.value);
    if (from >= last) from = 0;
    let start = null;
    const frame = (now) => {
      start ??= now;
      const moment = Math.min(last, from + Math.floor(((now - start) / 1000 / SECONDS) * last));
      if (moment !== Number(this.slider.value)) this.show(moment);
      if (moment < last) this.playing = requestAnimationFrame(frame);
      else this.stop();
    };
    this.label("❚❚ Pause", "Pause the movement");
    this.playing = requestAnimationFrame(frame);
  }

  stop() {
    cancelAnimationFrame(this.playing);
    this.playing = null;
    this.label("▶ Play", "Play the movement");
  }

  label(text, spoken) {
    this.button.textContent = text;
    this.button.setAttribute("aria-label", spoken);
  }
}

function warmupOf(run) {
  const curve = data.curves.find((one) => one.row === run.row && one.model === run.model && one.seed === run.seed);
  return curve ? curve.warmup : 0;
}

if (data.shapes.length) new Player(data.shapes);
