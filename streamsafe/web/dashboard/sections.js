// Sections: each shows one part of the figures in its place of the page.

const quantile = (name, part) => (point) => point[name]?.[part] ?? null;
const percentiles = (name) => [
  { name: "p50", value: quantile(name, "p50"), class: "p50" },
  { name: "p90", value: quantile(name, "p90"), class: "p90" },
  { name: "p99", value: quantile(name, "p99"), class: "p99" },
];
const ofWindow = (state, window) => state.totals.windows[window];
const ended = (sums) => sums.successful_streams + sums.failed_streams;

// -- tiles

const TILES = [
  ["Active", (state) => count(state.totals.active_streams),
    (now) => `${count(now.total_streams)} begun`],
  ["Success", (state, now) => (ended(now) ? percent(now.success_rate) : DASH),
    (now) => (now.failed_streams ? `${count(now.failed_streams)} failed` : "none failed")],
  ["First token", (state, now) => seconds(now.ttft.p50), (now) => `p99 ${seconds(now.ttft.p99)}`],
  ["Gap", (state, now) => seconds(now.gaps.p50), (now) => `p99 ${seconds(now.gaps.p99)}`],
  ["Speed", (state, now) => speed(now.tokens_per_second), (now) => `${count(now.tokens)} tokens`],
  ["Received", (state, now, span) => perSecond(now.bytes / span), (now) => bytes(now.bytes)],
  ["Retries", (state, now) => count(now.retries), (now) => plural(now.stalls, "stall", "stalls")],
];
const SPANS = { "1m": 60, "5m": 300, "1h": 3600 };

function tiles(state, window) {
  const now = ofWindow(state, window);
  rows(at("#tiles"), TILES, ([name]) => name,
    ([name]) => make("div", { class: "card tile" }, make("dt", {}, name), make("dd", { class: "big" }), make("dd", { class: "sub" })),
    (node, [name, big, sub]) => {
      say(at(".big", node), big(state, now, SPANS[window]));
      say(at(".sub", node), sub(now));
      node.dataset.tone = name === "Success" && ended(now) && now.success_rate < 0.95 ? "bad" : "";
    });
}

// -- charts

const CHARTS = [
  { title: "Success rate", show: percent, most: 1, area: true,
    headline: (now) => (ended(now) ? percent(now.success_rate) : DASH),
    lines: [{ name: "success", value: (point) => point.success_rate, class: "p50" }] },
  { title: "Time to first token", show: seconds, wide: true, lines: percentiles("ttft"),
    headline: (now) => `p50 ${seconds(now.ttft.p50)}` },
  { title: "Gap between chunks", show: seconds, wide: true, lines: percentiles("gaps"),
    headline: (now) => `p50 ${seconds(now.gaps.p50)}` },
  { title: "Received", show: perSecond, area: true, binary: true, over: true,
    headline: (now) => bytes(now.bytes), lines: [{ name: "received", value: (point) => point.bytes / point.seconds, class: "p50" }] },
];
let charts = null;

function drawings(state, window) {
  charts = charts ?? CHARTS.map((chart) => new Chart(at("#charts"), chart));
  for (const chart of charts) chart.update(state.series[window], ofWindow(state, window));
}

const OVER_TIME = cells([
  { name: "From", words: true, header: true, show: (point) => clock(point.at) },
  { name: "Streams", show: (point) => count(point.total_streams) },
  { name: "Failed", show: (point) => count(point.failed_streams) },
  { name: "Success", show: (point) => percent(point.success_rate) },
  { name: "First token p50", show: (point) => seconds(point.ttft?.p50) },
  { name: "p99", show: (point) => seconds(point.ttft?.p99) },
  { name: "Gap p50", show: (point) => seconds(point.gaps?.p50) },
  { name: "p99", show: (point) => seconds(point.gaps?.p99) },
  { name: "Received", show: (point) => bytes(point.bytes) },
  { name: "Retries", show: (point) => count(point.retries) },
]);

function overTime(state, window) {
  if (!at("#series").open) return;
  rows(at("#series tbody"), [...state.series[window]].reverse(), (point) => String(Math.round(point.at)),
    OVER_TIME.create, OVER_TIME.update);
}

// -- active streams

const pulses = new Map();

function beat(stream) {
  const kept = pulses.get(stream.stream_id) ?? { chunks: stream.chunks, samples: [] };
  kept.samples = [...kept.samples, Math.max(0, stream.chunks - kept.chunks)].slice(-PULSES);
  kept.chunks = stream.chunks;
  pulses.set(stream.stream_id, kept);
}

const named = (stream) => `${stream.provider || "unknown"} · ${stream.model || "unknown model"}`;

function status(stream) {
  if (stream.status === "streaming" && stream.silent_for > 5) return ["silent", `silent ${seconds(stream.silent_for)}`];
  if (stream.status === "retrying") return ["retrying", `retry ${stream.retries}`];
  return [stream.status, stream.status === "pending" ? "waiting" : stream.status];
}

const STREAMS = cells([
  { name: "Stream", words: true, header: true, into: (cell, stream) => {
    if (!cell.firstChild) cell.append(make("code"), make("span", { class: "sub" }));
    say(cell.firstChild, stream.stream_id);
    say(cell.lastChild, named(stream));
  } },
  { name: "Status", words: true, into: (cell, stream) => {
    if (!cell.firstChild) cell.append(make("span", { class: "badge" }));
    const [kind, text] = status(stream);
    cell.firstChild.dataset.kind = kind;
    say(cell.firstChild, text);
  } },
  { name: "Activity", words: true, into: (cell, stream) => {
    if (!cell.firstChild) cell.append(draw("svg", { class: "pulse", role: "img" }));
    const { samples } = pulses.get(stream.stream_id);
    pulse(cell.firstChild, samples);
    cell.firstChild.setAttribute("aria-label", `${stream.chunks} chunks so far`);
  } },
  { name: "Running", show: (stream) => seconds(stream.duration) },
  { name: "First token", show: (stream) => seconds(stream.ttft) },
  { name: "Tokens", show: (stream) => `${stream.tokens.estimated ? "≈ " : ""}${count(stream.tokens.total)}` },
  { name: "Speed", show: (stream) => speed(stream.tokens_per_second) },
  { name: "Received", show: (stream) => bytes(stream.bytes) },
  { name: "Retries", show: (stream) => count(stream.retries) },
]);

function active(state) {
  const running = state.active, all = state.totals.active_streams;
  rows(at("#active tbody"), running, (stream) => stream.stream_id, STREAMS.create, STREAMS.update);
  const more = all > running.length ? `, the newest ${running.length} are shown` : "";
  say(at("#active-count"), all ? `${all}${more}` : "");
  toggle(at("#active"), "data-empty", !running.length);
  for (const name of pulses.keys()) {
    if (!running.some((stream) => stream.stream_id === name)) pulses.delete(name);
  }
}

// -- failures

const FACTS = [
  ["Failed at", (stream) => stamp(stream.ended)],
  ["After", (stream) => seconds(stream.duration)],
  ["Attempts", (stream) => count(stream.attempts)],
  ["First token", (stream) => seconds(stream.ttft)],
  ["Received", (stream) => `${bytes(stream.bytes)}, ${plural(stream.chunks, "chunk", "chunks")}`],
  ["HTTP status", (stream) => String(stream.http_status ?? DASH)],
  ["Request id", (stream) => stream.request_id ?? DASH],
];

const finding = (one) => make("li", { class: "finding", "data-severity": one.severity },
  make("h4", {}, make("span", { class: "level" }, one.severity), one.title),
  make("p", {}, one.cause), make("p", { class: "remedy" }, one.remedy));

const met = (error) => make("li", {},
  make("time", {}, clock(error.at)), " ", make("strong", {}, error.type),
  error.will_retry ? make("span", { class: "sub" }, " was tried again") : null,
  make("p", {}, error.message));

function failure(stream) {
  const last = stream.errors[stream.errors.length - 1] ?? { type: "unknown", message: "", hint: "" };
  const found = stream.findings ?? [];
  const report = `report?stream=${encodeURIComponent(stream.stream_id)}`;
  return make("details", { class: "card failure" },
    make("summary", {},
      make("span", { class: "what" }, make("strong", {}, last.type), make("span", { class: "sub" }, last.message)),
      make("span", { class: "when" }, make("time", {}, clock(stream.ended)), make("span", { class: "sub" }, named(stream)))),
    make("div", { class: "inside" },
      found.length ? make("ul", { class: "findings" }, ...found.map(finding))
        : last.hint ? make("p", { class: "hint" }, last.hint) : null,
      make("dl", { class: "facts" }, ...FACTS.map(([name, show]) =>
        make("div", {}, make("dt", {}, name), make("dd", {}, show(stream))))),
      make("h4", {}, plural(stream.error_count, "error", "errors")),
      make("ol", { class: "met" }, ...stream.errors.map(met)),
      make("p", { class: "id" }, make("code", {}, stream.stream_id), stream.findings
        ? make("a", { href: report, target: "_blank", rel: "noopener" }, "Full report") : null)));
}

function failures(state) {
  rows(at("#failures .list"), state.failures, (stream) => `${stream.stream_id} ${stream.ended}`,
    failure, () => {});
  const all = state.totals.failed_streams, shown = state.failures.length;
  say(at("#failures-count"), all > shown ? `${all}, the last ${shown} are shown` : all ? String(all) : "");
  toggle(at("#failures"), "data-empty", !state.failures.length);
}

// -- errors, providers and models, notices

function errors(state) {
  const most = Math.max(1, ...state.errors.map(([, times]) => times));
  rows(at("#errors .bars"), state.errors, ([name]) => name,
    () => make("li", {}, make("span", { class: "name" }), make("span", { class: "times" }), make("span", { class: "bar", "aria-hidden": "true" })),
    (node, [name, times]) => {
      say(node.children[0], name);
      say(node.children[1], count(times));
      node.children[2].style.setProperty("--part", `${(100 * times) / most}%`);
    });
  toggle(at("#errors"), "data-empty", !state.errors.length);
}

const GROUPS = cells([
  { name: "Provider or model", words: true, header: true, into: (cell, one) => {
    if (!cell.firstChild) cell.append(make("span"), make("span", { class: "sub" }));
    say(cell.firstChild, one.name);
    say(cell.lastChild, one.kind);
  } },
  { name: "Streams", show: (one) => count(one.total_streams) },
  { name: "Success", show: (one) => (ended(one) ? percent(one.success_rate) : DASH) },
  { name: "Failed", show: (one) => count(one.failed_streams) },
  { name: "Retries", show: (one) => count(one.retries) },
  { name: "First token p50", show: (one) => seconds(one.ttft.p50) },
  { name: "p99", show: (one) => seconds(one.ttft.p99) },
  { name: "Gap p99", show: (one) => seconds(one.gaps.p99) },
  { name: "Speed", show: (one) => speed(one.tokens_per_second) },
  { name: "Tokens", show: (one) => count(one.tokens) },
  { name: "Received", show: (one) => bytes(one.bytes) },
]);

function groups(state) {
  const all = [
    { ...state.totals, name: "All", kind: "" },
    ...state.providers.map((one) => ({ ...one, kind: "provider" })),
    ...state.models.map((one) => ({ ...one, kind: "model" })),
  ];
  rows(at("#groups tbody"), state.providers.length ? all : [], (one) => `${one.kind} ${one.name}`,
    GROUPS.create, GROUPS.update);
  toggle(at("#groups"), "data-empty", !state.providers.length);
}

const measured = (alert) => (alert.threshold <= 1 && alert.name.startsWith("success") ? percent(alert.value) : String(alert.value));

function notices(state) {
  const all = state.alerts.map((alert) =>
    ({ key: alert.name, kind: "alert", text: `${alert.name}: ${measured(alert)} at ${clock(alert.at)}` }));
  if (state.about.store_failure) {
    all.push({ key: "store", kind: "store", text: `The shared store fails, so figures may be old or of one process only: ${state.about.store_failure}` });
  }
  rows(at("#notices"), all, (one) => one.key, (one) => make("p", { class: "notice", "data-kind": one.kind }),
    (node, one) => say(node, one.text));
}

function about(state) {
  const { version, processes } = state.about;
  say(at("#about"), `streamsafe ${version} · ${plural(processes, "process", "processes")} · figures of the last hour are kept by the minute`);
}
