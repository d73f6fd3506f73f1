// Charts: lines over time as SVG, in the size they are shown at. A chart is read with the pointer
// or, being a slider, with the arrow keys.

const PAD = { left: 62, right: 10, top: 10, bottom: 22 };
const HEIGHT = 168;

class Chart {
  // lines: [{name, value: (point) => number or null, class}]; area: fill under the first line;
  // most: the top of the scale where it is fixed; wide: a logarithmic scale where values differ a
  // lot; binary: round in powers of 1024; over: leave out the last part, which is not over yet.
  constructor(host, { title, lines, show, headline, area, most, wide, binary, over }) {
    Object.assign(this, { title, lines, show, headline, area, most, wide, binary, over });
    this.points = [];
    this.chosen = null;
    this.value = make("p", { class: "value" });
    this.read = make("p", { class: "read" });
    this.svg = draw("svg", { tabindex: "0", role: "slider", "aria-label": title });
    const legend = lines.length > 1
      ? make("ul", { class: "legend", "aria-hidden": "true" }, ...lines.map((line) =>
          make("li", {}, make("span", { class: `key ${line.class}` }), line.name)))
      : null;
    host.append(make("figure", { class: "card" },
      make("figcaption", {}, make("h3", {}, title), legend, this.value), this.svg, this.read));
    this.listen();
  }

  listen() {
    this.svg.addEventListener("pointermove", (event) => this.choose(this.nearest(event.offsetX)));
    this.svg.addEventListener("pointerleave", () => this.choose(null));
    this.svg.addEventListener("blur", () => this.choose(null));
    this.svg.addEventListener("keydown", (event) => {
      const last = this.points.length - 1;
      const now = this.chosen ?? last;
      const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.choose(Math.max(0, Math.min(last, to)));
    });
    new ResizeObserver(() => this.draw()).observe(this.svg);
  }

  update(points, whole) {
    this.points = this.over ? points.slice(0, -1) : points;
    if (this.chosen !== null && this.chosen >= this.points.length) this.chosen = null;
    say(this.value, this.headline(whole));
    this.draw();
  }

  choose(place) {
    this.chosen = this.points.length ? place : null;
    this.draw();
  }

  nearest(x) {
    const step = (this.width - PAD.left - PAD.right) / Math.max(1, this.points.length);
    return Math.max(0, Math.min(this.points.length - 1, Math.floor((x - PAD.left) / step)));
  }

  // -- scales

  x(place) {
    const room = this.width - PAD.left - PAD.right;
    return PAD.left + (room * (place + 0.5)) / Math.max(1, this.points.length);
  }

  y(value) {
    const { low, high, log } = this.scale;
    const part = log
      ? (Math.log(Math.max(value, low)) - Math.log(low)) / (Math.log(high) - Math.log(low))
      : value / high;
    return HEIGHT - PAD.bottom - part * (HEIGHT - PAD.top - PAD.bottom);
  }

  fit() {
    const values = this.points.flatMap((point) => this.lines.map((line) => line.value(point)))
      .filter((value) => value !== null && value > 0);
    const largest = Math.max(...values, 0), smallest = Math.min(...values, Infinity);
    if (this.wide && largest / smallest > 30) {
      const low = 10 ** Math.floor(Math.log10(smallest)), high = 10 ** Math.ceil(Math.log10(largest));
      const ticks = [];
      for (let tick = low; tick <= high * 1.01; tick *= 10) ticks.push(tick);
      this.scale = { low, high, log: true, ticks };
      return;
    }
    const reach = this.binary ? Math.max(largest, 1) : largest || 1;
    const unit = this.binary ? 1024 ** Math.floor(Math.log(reach) / Math.log(1024)) : 1;
    const high = this.most ?? round(reach / unit) * unit;
    this.scale = { low: 0, high, log: false, ticks: [0, high / 2, high] };
  }

  // -- the picture

  draw() {
    this.width = this.svg.clientWidth || 320;
    this.fit();
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
    this.svg.replaceChildren(
      ...this.grid(), ...(this.area ? [this.ground()] : []),
      ...this.lines.flatMap((line) => this.line(line)).reverse(), ...this.cross());
    this.tell();
  }

  grid() {
    const right = this.width - PAD.right;
    const parts = this.scale.ticks.flatMap((tick) => [
      draw("line", { class: "grid", x1: PAD.left, x2: right, y1: this.y(tick), y2: this.y(tick) }),
      draw("text", { x: PAD.left - 8, y: this.y(tick) + 4, "text-anchor": "end" }, trimmed(this.show(tick))),
    ]);
    const last = this.points.length - 1;
    for (const [place, anchor] of last > 0 ? [[0, "start"], [last, "end"]] : []) {
      const x = anchor === "start" ? PAD.left : right;
      parts.push(draw("text", { x, y: HEIGHT - 4, "text-anchor": anchor },
        clock(this.points[place].at + (place ? this.points[place].seconds : 0))));
    }
    return parts;
  }

  // Where nothing was measured the line is broken; a single value is a dot.
  runs(line) {
    const found = [[]];
    this.points.forEach((point, place) => {
      const value = line.value(point);
      if (value === null) found.push([]);
      else found[found.length - 1].push([this.x(place), this.y(value)]);
    });
    return found.filter((run) => run.length);
  }

  line(line) {
    return this.runs(line).map((run) => run.length === 1
      ? draw("circle", { class: `mark ${line.class}`, cx: run[0][0], cy: run[0][1], r: 2.5 })
      : draw("polyline", { class: `line ${line.class}`, points: run.map((xy) => xy.join()).join(" ") }));
  }

  ground() {
    const floor = HEIGHT - PAD.bottom;
    const shapes = this.runs(this.lines[0]).filter((run) => run.length > 1).map((run) =>
      `M${run[0][0]},${floor}L${run.map((xy) => xy.join()).join("L")}L${run[run.length - 1][0]},${floor}Z`);
    return draw("path", { class: "area", d: shapes.join("") });
  }

  cross() {
    if (this.chosen === null) return [];
    const x = this.x(this.chosen), point = this.points[this.chosen];
    const marks = this.lines.filter((line) => line.value(point) !== null).map((line) =>
      draw("circle", { class: `mark ${line.class}`, cx: x, cy: this.y(line.value(point)), r: 3.5 }));
    return [draw("line", { class: "cross", x1: x, x2: x, y1: PAD.top, y2: HEIGHT - PAD.bottom }), ...marks];
  }

  tell() {
    const place = this.chosen ?? this.points.length - 1;
    const point = this.points[place];
    const values = point ? this.lines.map((line) =>
      `${this.lines.length > 1 ? line.name + " " : ""}${this.show(line.value(point))}`).join(", ") : DASH;
    const text = point ? `${clock(point.at)}: ${values}` : DASH;
    say(this.read, this.chosen === null ? "" : text);
    fill(this.svg, {
      "aria-valuemin": 0, "aria-valuemax": Math.max(0, this.points.length - 1),
      "aria-valuenow": Math.max(0, place), "aria-valuetext": text,
    }, []);
  }
}

// A number on a scale: 50 %, not 50.0 %.
const trimmed = (text) => text.replace(/\.0+(?= )/, "");

// The next round number: 1, 2, 2.5, 5, 10 and so on.
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 2.5, 5, 10].find((step) => step * power >= value * 0.999);
}

// How much came of one stream, second by second, as small bars; the latest is on the right.
const PULSES = 28;

function pulse(svg, samples) {
  const most = Math.max(...samples, 1), step = 4;
  const all = [...new Array(PULSES - samples.length).fill(0), ...samples];
  svg.setAttribute("viewBox", `0 0 ${PULSES * step} 24`);
  svg.replaceChildren(...all.map((value, place) => {
    const height = value ? Math.max(3, (22 * value) / most) : 2;
    return draw("rect", {
      x: place * step, y: 23 - height, width: 2.6, height, rx: 1, class: value ? "beat" : "rest",
    });
  }));
}
