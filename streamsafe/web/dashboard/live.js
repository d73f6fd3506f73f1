// Live: the parts of the figures come as Server-Sent Events. Where these do not arrive (too many
// browsers, a server of one request at a time, a proxy that holds them back) the page asks.

const QUIET = 12000;  // milliseconds without an event, after which it asks
const ASK_EVERY = 2500;
const TRY_AGAIN = 30000;  // to be served live, after it was refused

const state = {};
let mode = "starting", heard = 0, asked = 0, source = null, refused = 0;

const chosen = () => at("#windows input:checked").value;
const paused = () => at("#pause").getAttribute("aria-pressed") === "true";

function show() {
  if (!state.totals || paused()) return;
  const window = chosen();
  for (const section of [tiles, drawings, overTime, active, failures, errors, groups, notices, about]) {
    section(state, window);
  }
  document.title = state.totals.active_streams ? `(${state.totals.active_streams}) streamsafe` : "streamsafe";
}

function take(text) {
  const parts = JSON.parse(text);
  Object.assign(state, parts);
  if (parts.active) parts.active.forEach(beat);
  show();
}

const MODES = {
  live: "live", polling: "every few seconds", lost: "connection lost, trying again",
  refused: "no access: open this page with its token", starting: "connecting", away: "resting",
};

function become(next) {
  mode = next;
  at("#status").dataset.mode = next;
  say(at("#status-text"), paused() ? "paused" : MODES[next]);
}

function hear(text) {
  heard = Date.now();
  if (mode !== "live") become("live");
  if (text) take(text);
}

function listen() {
  source?.close();
  source = new EventSource("live");
  source.addEventListener("parts", (event) => hear(event.data));
  source.addEventListener("beat", () => hear(""));
  source.addEventListener("error", () => {
    heard = 0;
    if (source.readyState === EventSource.CLOSED) refused = Date.now();
  });
}

async function ask() {
  asked = Date.now();
  try {
    const answer = await fetch("snapshot", { cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) return become("refused");
    if (!answer.ok) throw new Error(answer.status);
    take(await answer.text());
    become("polling");
  } catch {
    if (!document.hidden) become("lost");
  }
}

function watch() {
  if (document.hidden) return;
  const now = Date.now();
  if (refused && now - refused > TRY_AGAIN) {
    refused = 0;
    listen();
  }
  if (now - heard > QUIET && now - asked > ASK_EVERY) ask();
}

// A page that nobody sees holds no connection.
function appear() {
  if (document.hidden) {
    source?.close();
    become("away");
  } else {
    heard = Date.now() - QUIET + 1500;
    refused = 0;
    listen();
  }
}

document.addEventListener("visibilitychange", appear);
at("#windows").addEventListener("change", show);
at("#series").addEventListener("toggle", show);
at("#pause").addEventListener("click", () => {
  at("#pause").setAttribute("aria-pressed", String(!paused()));
  become(mode);
  show();
});
appear();
setInterval(watch, 500);
