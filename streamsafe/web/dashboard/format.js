// Format: numbers as people say them. Pure functions; null and undefined are a dash.

const DASH = "–";

const or = (show) => (value) => (value === null || value === undefined ? DASH : show(value));

const seconds = or((value) => {
  if (value === 0) return "0 s";
  // A bound is where the shorter form would round up to it.
  if (value < 0.0000995) return `${(value * 1e6).toFixed(value < 0.00000995 ? 1 : 0)} µs`;
  if (value < 0.00995) return `${(value * 1000).toFixed(1)} ms`;
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  if (value < 9.995) return `${value.toFixed(2)} s`;
  if (value < 119.5) return `${Math.round(value)} s`;
  if (value < 7199.5) return `${Math.floor(Math.round(value) / 60)} min ${Math.round(value) % 60} s`;
  const minutes = Math.round(value / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
});

const bytes = or((value) => {
  if (value < 1000) return `${value < 9.95 && value % 1 ? value.toFixed(1) : Math.round(value)} B`;
  let unit = "B";
  for (unit of ["KiB", "MiB", "GiB", "TiB"]) {
    value /= 1024;
    if (value < 1000) break;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
});

const count = or((value) => {
  if (value < 10000) return Math.round(value).toLocaleString("en");
  if (value < 1e6) return `${(value / 1e3).toFixed(value < 1e5 ? 1 : 0)} k`;
  return `${(value / 1e6).toFixed(1)} M`;
});

// 99.96 % is not 100 %: a failure must not be rounded away.
const percent = or((value) => {
  if (value === 1 || value === 0) return `${value * 100} %`;
  return `${Math.min(99.9, Math.max(0.1, value * 100)).toFixed(1)} %`;
});

const speed = or((value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} tok/s`);
const perSecond = or((value) => `${bytes(value)}/s`);

const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");
const stamp = (at) => new Date(at * 1000).toLocaleString("en-GB");
const plural = (number, one, many) => `${number} ${number === 1 ? one : many}`;
