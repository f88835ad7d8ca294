// The rows of the curves: a name, a colour and a dash for each, and their values over all seeds.

const BASE_DASH = "7 4";
const COLOURS = 12; // as many networks as a table has
const HALF = 4; // records on each side in a running mean, as in the figures; fewer where there are few

function rowsOf(curves) {
  const rows = new Map();
  for (const curve of curves) {
    const key = JSON.stringify([curve.row, curve.model]);
    if (!rows.has(key)) rows.set(key, { row: curve.row, model: curve.model, kind: curve.kind, runs: [], shown: true });
    rows.get(key).runs.push(curve);
  }
  const all = [...rows.values()];
  all.forEach((row, number) => {
    const namesakes = all.filter((other) => other.row === row.row).length;
    row.name = namesakes > 1 ? `${row.row} (${row.model})` : row.row;
    row.colour = `var(--colour-${number % COLOURS})`;
    row.dash = row.kind === "base" ? { "stroke-dasharray": BASE_DASH } : {};
    const known = row.runs.filter((run) => run.train[0].length + run.test[0].length > 0);
    row.empty = known.length === 0;
    row.warmups = [...new Set(known.map((run) => run.warmup))].filter((iteration) => iteration > 0);
    row.drops = known.flatMap((run) => run.drops);
  });
  return all;
}

function sample(row) {
  const line = { x1: 1, x2: 27, y1: 6, y2: 6, stroke: row.colour, "stroke-width": 2.5, ...row.dash };
  return drawn("svg", { width: 28, height: 12, "aria-hidden": "true" }, drawn("line", line));
}

// Points {iteration, mean, least, greatest, seeds} of a row, in order; NaN where no seed knows the value.
function pointsOf(row, part, smooth) {
  const found = new Map();
  for (const run of row.runs) {
    const [iterations, values] = run[part];
    const numbers = values.map((value) => value ?? NaN);
    const shown = smooth ? runningMean(numbers) : numbers;
    iterations.forEach((iteration, index) => {
      if (!found.has(iteration)) found.set(iteration, []);
      if (!Number.isNaN(shown[index])) found.get(iteration).push(shown[index]);
    });
  }
  return [...found].sort((one, other) => one[0] - other[0]).map(([iteration, values]) => ({
    iteration,
    mean: values.length ? values.reduce((sum, value) => sum + value) / values.length : NaN,
    least: values.length ? Math.min(...values) : NaN,
    greatest: values.length ? Math.max(...values) : NaN,
    seeds: values.length,
  }));
}

// Near the ends, and around what is not known, the mean is over what there is; what is not known stays so.
function runningMean(values) {
  const half = Math.min(HALF, Math.floor(values.length / 20));
  return values.map((value, index) => {
    if (Number.isNaN(value)) return NaN;
    const known = values.slice(Math.max(0, index - half), index + half + 1).filter((one) => !Number.isNaN(one));
    return known.reduce((sum, one) => sum + one) / known.length;
  });
}
