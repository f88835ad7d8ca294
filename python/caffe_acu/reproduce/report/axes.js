// Scales and their ticks, which stand at least `apart` screen pixels from each other.

function scale(from, to, start, end, apart, logarithmic = false) {
  const place = logarithmic ? Math.log : (value) => value;
  const at = (value) => start + ((place(value) - place(from)) / (place(to) - place(from))) * (end - start);
  const ticks = logarithmic ? logarithmicTicks(from, to) : linearTicks(from, to, Math.abs(end - start) / apart);
  return { from, to, at, ticks };
}

function linearTicks(from, to, wanted) {
  const raw = (to - from) / Math.max(wanted, 2);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  const ticks = [];
  const last = Math.floor((to / step) * (1 + 1e-9));
  for (let number = Math.ceil(from / step); number <= last; number++) ticks.push(rounded(number * step));
  return ticks;
}

function logarithmicTicks(from, to) {
  if (to / from < 4) return linearTicks(from, to, 5);
  const factors = to / from > 1e4 ? [1] : [1, 2, 5];
  const ticks = [];
  for (let power = Math.floor(Math.log10(from)); 10 ** power <= to; power++) {
    for (const factor of factors) {
      const tick = rounded(factor * 10 ** power);
      if (tick >= from && tick <= to) ticks.push(tick);
    }
  }
  return ticks;
}

const rounded = (value) => Number(value.toPrecision(10));

// A little air around the values, none below zero.
function bounds(values, logarithmic) {
  const least = values.reduce((a, b) => Math.min(a, b));
  const greatest = values.reduce((a, b) => Math.max(a, b));
  if (logarithmic) return [least / 1.05, greatest * 1.05];
  const air = (greatest - least) * 0.05 || Math.abs(greatest) * 0.05 || 1;
  return [least - air < 0 || least < greatest / 4 ? Math.min(0, least) : least - air, greatest + air];
}
